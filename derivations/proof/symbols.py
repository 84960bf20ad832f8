"""Every symbol of the book, declared once: its name, its TeX, its domain.

`Symbol('u')` and `Symbol('u', positive=True)` are different symbols to SymPy and print alike, so no chapter
makes its own. A symbol's domain is a hypothesis of every claim that mentions it; the kernels read it from
here.

Vectors stand for elements of R^d with d left open. A formula that is linear in vectors is read coordinate by
coordinate; `sqnorm` and `inner` are the only ways to make a number of them.
"""

# mypy: disallow-subclassing-any=False
# SymPy ships no types, and its functions and printers are made by subclassing.

from __future__ import annotations

import sys
from functools import cache

from sympy import Add, Basic, Expr, Function, Mul, Symbol, init_printing, log
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE

TEX: dict[Symbol, str] = {}
VECTORS: set[Symbol] = set()
STANDARD_NORMALS: set[Symbol] = set()


def scalar(name: str, tex: str, **domain: bool) -> Symbol:
    """Declare a real number; `domain` is SymPy's vocabulary: positive, nonnegative, integer."""
    return _declare(Symbol(name, real=True, **domain), tex)


def vector(name: str, tex: str, *, standard_normal: bool = False) -> Symbol:
    """Declare an element of R^d; a standard normal one is N(0, I), independent of everything else."""
    symbol = _declare(Symbol(name, real=True), tex)
    VECTORS.add(symbol)
    if standard_normal:
        STANDARD_NORMALS.add(symbol)
    return symbol


def _declare(symbol: Symbol, tex: str) -> Symbol:
    if any(symbol.name == other.name for other in TEX):
        raise ValueError(f"symbol {symbol.name!r} is declared twice")
    TEX[symbol] = tex
    return symbol


class sqnorm(Function):  # noqa: N801 - printed and read as a function
    """‖u‖² for a linear combination u of vectors."""

    nargs = 1

    def _latex(self, printer: object, exp: str | None = None) -> str:
        body = tex(self.args[0])
        return rf"\left\lVert {body} \right\rVert^{{2}}"


class inner(Function):  # noqa: N801
    """⟨u, v⟩ for linear combinations u, v of vectors."""

    nargs = 2

    def _latex(self, printer: object, exp: str | None = None) -> str:
        return rf"\left\langle {tex(self.args[0])}, {tex(self.args[1])} \right\rangle"


class E(Function):
    """Expectation over every standard normal vector in its argument, which must be a polynomial in them."""

    nargs = 1

    def _latex(self, printer: object, exp: str | None = None) -> str:
        return rf"\mathbb{{E}}\left[{tex(self.args[0])}\right]"


class _Printer(LatexPrinter):
    """SymPy's printer, with vectors, norms and logarithms after their coefficients."""

    def _print_Mul(self, expr: Expr) -> str:
        last = [arg for arg in expr.args if arg in VECTORS or isinstance(arg, sqnorm | inner | E | log)]
        if not expr.is_Mul or len(last) != 1:
            return str(super()._print_Mul(expr))
        coefficient = Mul(*(arg for arg in expr.args if arg is not last[0]))
        if coefficient == -1:
            return f"- {self._print(last[0])}"
        return f"{self.parenthesize(coefficient, PRECEDENCE['Mul'], strict=True)} {self._print(last[0])}"


def tex(expression: Basic) -> str:
    """Print an expression with the symbols' own TeX."""
    return str(_Printer({"symbol_names": TEX, "order": "none"}).doprint(expression))


def vectors_in(expression: Expr) -> list[Symbol]:
    """Return the vectors that an expression mentions, in a fixed order."""
    return sorted(expression.free_symbols & VECTORS, key=lambda symbol: symbol.name)


@cache
def one_step_earlier(symbol: Symbol) -> Symbol:
    """Return the symbol whose value one step earlier is meant, of which nothing but its domain is known."""
    domain = {fact: True for fact in ("positive", "nonnegative", "integer") if getattr(symbol, f"is_{fact}")}
    made = _declare(Symbol(f"{symbol.name}_earlier", real=True, **domain), rf"{{{TEX[symbol]}}}^{{-}}")
    if symbol in VECTORS:
        VECTORS.add(made)
    return made


def depends_on_t(symbol: Symbol) -> bool:
    """Tell whether a symbol's value differs from step to step; its name says so."""
    return bool(symbol == t or symbol.name.endswith(("_t", "_prev", "_next", "_tilde", "_theta")))


def linear_coefficients(combination: Expr) -> dict[Symbol, Expr]:
    """Return {vector: coefficient} of a linear combination of vectors; anything else is an error."""
    expanded = combination.expand()
    coefficients: dict[Symbol, Expr] = {}
    for term in Add.make_args(expanded):
        mentioned = vectors_in(term)
        if len(mentioned) != 1 or term.diff(mentioned[0]).free_symbols & VECTORS:
            if term == 0:
                continue
            raise ValueError(f"not a linear combination of vectors: {combination}")
        vector_ = mentioned[0]
        coefficients[vector_] = coefficients.get(vector_, 0) + term.coeff(vector_)
    return coefficients


# Dimension and time. Time is the paper's: t = 1..T, and t = 0 is the clean image.
d = scalar("d", "d", positive=True, integer=True)
t = scalar("t", "t", positive=True, integer=True)
T = scalar("T", "T", positive=True, integer=True)

# The schedule at one step. "prev" is t - 1, "next" is t + 1.
alpha_t = scalar("alpha_t", r"\alpha_{t}", positive=True)
alpha_next = scalar("alpha_next", r"\alpha_{t+1}", positive=True)
beta_t = scalar("beta_t", r"\beta_{t}", positive=True)
alpha_bar_t = scalar("alpha_bar_t", r"\bar{\alpha}_{t}", positive=True)
alpha_bar_prev = scalar("alpha_bar_prev", r"\bar{\alpha}_{t-1}", positive=True)
alpha_bar_next = scalar("alpha_bar_next", r"\bar{\alpha}_{t+1}", positive=True)
beta_tilde_t = scalar("beta_tilde_t", r"\tilde{\beta}_{t}", nonnegative=True)
beta_tilde_2 = scalar("beta_tilde_2", r"\tilde{\beta}_{2}", positive=True)
sigma_t = scalar("sigma_t", r"\sigma_{t}", positive=True)
lambda_t = scalar("lambda_t", r"\lambda_{t}", positive=True)
beta_1 = scalar("beta_1", r"\beta_{1}", positive=True)
beta_T = scalar("beta_T", r"\beta_{T}", positive=True)
beta_rise = scalar("beta_rise", r"\Delta\beta", positive=True)
beta_sum_t = scalar("beta_sum_t", r"\textstyle\sum_{s=1}^{t} \beta_{s}", positive=True)
beta_sum_prev = scalar("beta_sum_prev", r"\textstyle\sum_{s=1}^{t-1} \beta_{s}", nonnegative=True)
beta_min = scalar("beta_min", r"\beta_{\min}", positive=True)
alpha_bar_s = scalar("alpha_bar_s", r"\bar{\alpha}_{s}", positive=True)
alpha_bar_r = scalar("alpha_bar_r", r"\bar{\alpha}_{r}", positive=True)
offset = scalar("offset", r"\mathrm{s}", positive=True)
tolerance = scalar("tolerance", r"\delta", positive=True)
excess = scalar("excess", "w", nonnegative=True)

# Points and Gaussians.
x = vector("x", "x")
x_0 = vector("x_0", "x_{0}")
x_t = vector("x_t", "x_{t}")
x_prev = vector("x_prev", "x_{t-1}")
x_s = vector("x_s", "x_{s}")
mu = vector("mu", r"\mu")
mu_1 = vector("mu_1", r"\mu_{1}")
mu_2 = vector("mu_2", r"\mu_{2}")
mu_tilde = vector("mu_tilde", r"\tilde{\mu}_{t}")
mu_theta = vector("mu_theta", r"\mu_{\theta}")
eps = vector("eps", r"\epsilon", standard_normal=True)
eps_theta = vector("eps_theta", r"\epsilon_{\theta}")
eps_prev = vector("eps_prev", r"\epsilon_{t-1}", standard_normal=True)
z = vector("z", "z", standard_normal=True)
v = vector("v", "v")
frequency = vector("frequency", r"\lambda")
shift = vector("shift", "b")
x_r = vector("x_r", "x_{r}")
data_mean = vector("data_mean", "m")
data_deviation = scalar("data_deviation", "s", nonnegative=True)
scale = scalar("scale", "a")
radius = scalar("radius", "r", positive=True)
argument = scalar("argument", r"\ell")
sigma = scalar("sigma", r"\sigma", positive=True)
sigma_1 = scalar("sigma_1", r"\sigma_{1}", positive=True)
sigma_2 = scalar("sigma_2", r"\sigma_{2}", positive=True)

# Divergences: laws on an alphabet, letter by letter, and on two letters.
p_i = scalar("p_i", "p_{i}", positive=True)
q_i = scalar("q_i", "q_{i}", positive=True)
q_other = scalar("q_other", "q'_{i}", positive=True)
p = scalar("p", "p", positive=True)
q = scalar("q", "q", positive=True)
p_rest = scalar("p_rest", r"\bar{p}", positive=True)
q_rest = scalar("q_rest", r"\bar{q}", positive=True)
q_second_rest = scalar("q_second_rest", r"\bar{q}'", positive=True)
p_second = scalar("p_second", "p'", positive=True)
q_second = scalar("q_second", "q'", positive=True)
share = scalar("share", "s", positive=True)
letters = scalar("letters", "n", positive=True, integer=True)
draws = scalar("draws", "N", positive=True, integer=True)
heads = scalar("heads", "h", positive=True, integer=True)
tails = scalar("tails", "k", positive=True, integer=True)
kl_sum = scalar("kl_sum", r"\textstyle\sum_{j \leq i} p_{j} \log \frac{p_{j}}{q_{j}}")
p_sum = scalar("p_sum", r"\textstyle\sum_{j \leq i} p_{j}", nonnegative=True)
q_sum = scalar("q_sum", r"\textstyle\sum_{j \leq i} q_{j}", nonnegative=True)
p_before = scalar("p_before", r"\textstyle\sum_{j < i} p_{j}", nonnegative=True)
q_before = scalar("q_before", r"\textstyle\sum_{j < i} q_{j}", nonnegative=True)
start_1 = scalar("start_1", r"\pi", positive=True)
step_from_0 = scalar("step_from_0", "a_{0}", positive=True)
step_from_1 = scalar("step_from_1", "a_{1}", positive=True)
next_from_0 = scalar("next_from_0", "b_{0}", positive=True)
next_from_1 = scalar("next_from_1", "b_{1}", positive=True)
distance = scalar("distance", r"\Delta", positive=True)
bound = scalar("bound", "M", positive=True)
m_1 = scalar("m_1", "m_{1}")
m_2 = scalar("m_2", "m_{2}")
rate = scalar("rate", r"\lambda", positive=True)
positive_step = scalar("positive_step", r"\eta", positive=True)

# The decoder: pixel values, their bins, and the distribution function at the edges.
level = scalar("level", "k", nonnegative=True, integer=True)
brightest = scalar("brightest", r"k_{\max}", positive=True, integer=True)
pixel_mean = scalar("pixel_mean", r"\mu")
cdf_t = scalar("cdf_t", r"F(\delta_{+}(k))", nonnegative=True)  # the steps of its induction are the bins
cdf_prev = scalar("cdf_prev", r"F(\delta_{-}(k))", nonnegative=True)
cdf_bottom = scalar("cdf_bottom", r"F(\delta_{-}(0))", positive=True)
cdf_top = scalar("cdf_top", r"F(\delta_{+}(k_{\max}))", positive=True)
mass_floor = scalar("mass_floor", r"\delta", nonnegative=True)
smaller = scalar("smaller", r"\min(p_{k}, \delta)", nonnegative=True)
floored_sum_t = scalar("floored_sum_t", r"\textstyle\sum_{j=0}^{k} \max(p_{j}, \delta)", nonnegative=True)
standardised = scalar("standardised", "u")
odds = scalar("odds", "e^{2 g(u)}", positive=True)
half_width = scalar("half_width", "h", positive=True)
off_centre = scalar("off_centre", r"\lvert x - \mu \rvert", nonnegative=True)
bin_part = scalar("bin_part", r"\rho", positive=True)
nats = scalar("nats", r"\ell_{\mathrm{nats}}")
distortion = scalar("distortion", "D", positive=True)

# The chapters `score` and `continuous`, and the samplers that skip steps.
direction = vector("direction", "h")
s_theta = vector("s_theta", r"s_{\theta}")
score_1 = vector("score_1", "g")
score_q = vector("score_q", r"\nabla \log q")
x_noised = vector("x_noised", r"\tilde{x}")
x_0_other = vector("x_0_other", r"x_{0}'")
density_p = scalar("density_p", "p", positive=True)
density_q = scalar("density_q", "q", positive=True)
rho = scalar("rho", r"\rho", positive=True)
spread = scalar("spread", "V", nonnegative=True)
posterior_share = scalar("posterior_share", "r", positive=True)
gamma = scalar("gamma", r"\gamma", positive=True)
slope_t = scalar("slope_t", "r_{t}")
slope_prev = scalar("slope_prev", "r_{t-1}")
kept_t = scalar("kept_t", "r_{t}^{2}", nonnegative=True)
forgotten = scalar("forgotten", "c", positive=True)
tau = scalar("tau", r"\tau", nonnegative=True)
noise_rate = scalar("noise_rate", r"\beta(\tau)", positive=True)
noise_so_far = scalar("noise_so_far", "B", nonnegative=True)
keep = scalar("keep", "k", positive=True)
beta_s = scalar("beta_s", r"\beta_{s}", positive=True)
separation = scalar("separation", r"\Delta", positive=True)
drift = vector("drift", "f")
eta = scalar("eta", r"\eta", nonnegative=True)
beta_max = scalar("beta_max", r"\beta_{\max}", positive=True)

# The bound: logarithms of probabilities along a path x_0, …, x_T, and their sums. "_t" is the whole chain,
# "_prev" the chain without its last latent x_T.
log_p_x = scalar("log_p_x", r"\log p_{\theta}(x)")
log_p_x_given_z = scalar("log_p_x_given_z", r"\log p_{\theta}(x \mid z)")
log_p_z = scalar("log_p_z", r"\log p_{\theta}(z)")
log_p_z_given_x = scalar("log_p_z_given_x", r"\log p_{\theta}(z \mid x)")
log_q_z_given_x = scalar("log_q_z_given_x", r"\log q(z \mid x)")
log_q_z = scalar("log_q_z", r"\log q(z)")
kl_encoder_prior = scalar("kl_encoder_prior", r"D_{\mathrm{KL}}(q(z \mid x) \Vert p_{\theta}(z))")
kl_encoder_posterior = scalar(
    "kl_encoder_posterior", r"D_{\mathrm{KL}}(q(z \mid x) \Vert p_{\theta}(z \mid x))"
)
decoded_by_posterior = scalar(
    "decoded_by_posterior", r"\mathbb{E}_{p_{\theta}(z \mid x)}[\log p_{\theta}(x \mid z)]"
)
log_p_x0 = scalar("log_p_x0", r"\log p_{\theta}(x_{0})")
log_q_x0 = scalar("log_q_x0", r"\log q(x_{0})")
log_p_joint = scalar("log_p_joint", r"\log p_{\theta}(x_{0:T})")
log_p_latents = scalar("log_p_latents", r"\log p_{\theta}(x_{1:T} \mid x_{0})")
log_q_latents = scalar("log_q_latents", r"\log q(x_{1:T} \mid x_{0})")
kl_latents = scalar(
    "kl_latents",
    r"D_{\mathrm{KL}}(q(x_{1:T} \mid x_{0}) \Vert p_{\theta}(x_{1:T} \mid x_{0}))",
)
kl_latents_turned = scalar(
    "kl_latents_turned",
    r"D_{\mathrm{KL}}(p_{\theta}(x_{1:T} \mid x_{0}) \Vert q(x_{1:T} \mid x_{0}))",
)
posterior_ratio = scalar(
    "posterior_ratio", r"\frac{p_{\theta}(x_{1:T} \mid x_{0})}{q(x_{1:T} \mid x_{0})}", positive=True
)
log_prior = scalar("log_prior", r"\log p(x_{T})")
log_p_step_t = scalar("log_p_step_t", r"\log p_{\theta}(x_{T-1} \mid x_{T})")
log_q_step_t = scalar("log_q_step_t", r"\log q(x_{T} \mid x_{T-1})")
log_p_first = scalar("log_p_first", r"\log p_{\theta}(x_{0} \mid x_{1})")
log_q_first = scalar("log_q_first", r"\log q(x_{1} \mid x_{0})")
log_p_first_history = scalar("log_p_first_history", r"\log p_{\theta}(x_{0} \mid x_{1:T})")
log_q_step_history_t = scalar("log_q_step_history_t", r"\log q(x_{T} \mid x_{0:T-1})")
log_q_marginal_t = scalar("log_q_marginal_t", r"\log q(x_{T} \mid x_{0})")
log_q_marginal_prev = scalar("log_q_marginal_prev", r"\log q(x_{T-1} \mid x_{0})")
log_q_posterior_t = scalar("log_q_posterior_t", r"\log q(x_{T-1} \mid x_{T}, x_{0})")
log_q_reverse_t = scalar("log_q_reverse_t", r"\log q(x_{T-1} \mid x_{T})")
log_p_steps_t = scalar("log_p_steps_t", r"\sum_{t=1}^{T} \log p_{\theta}(x_{t-1} \mid x_{t})")
log_p_rest_t = scalar("log_p_rest_t", r"\sum_{t=2}^{T} \log p_{\theta}(x_{t-1} \mid x_{t})")
log_q_steps_t = scalar("log_q_steps_t", r"\sum_{t=1}^{T} \log q(x_{t} \mid x_{t-1})")
log_q_steps_prev = scalar("log_q_steps_prev", r"\sum_{t=1}^{T-1} \log q(x_{t} \mid x_{t-1})")
log_q_marginals_t = scalar("log_q_marginals_t", r"\sum_{t=1}^{T} \log q(x_{t} \mid x_{0})")
ratio_sum_t = scalar(
    "ratio_sum_t", r"\sum_{t=1}^{T} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t} \mid x_{t-1})}"
)
ratio_sum_prev = scalar(
    "ratio_sum_prev", r"\sum_{t=1}^{T-1} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t} \mid x_{t-1})}"
)
ratio_rest_t = scalar(
    "ratio_rest_t", r"\sum_{t=2}^{T} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t} \mid x_{t-1})}"
)
ratio_rest_prev = scalar(
    "ratio_rest_prev", r"\sum_{t=2}^{T-1} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t} \mid x_{t-1})}"
)
upward_sum = scalar(
    "upward_sum", r"\sum_{t=1}^{T-1} \log \frac{p_{\theta}(x_{t+1} \mid x_{t})}{q(x_{t} \mid x_{t+1})}"
)
upward_rest = scalar(
    "upward_rest", r"\sum_{t=2}^{T-1} \log \frac{p_{\theta}(x_{t+1} \mid x_{t})}{q(x_{t} \mid x_{t+1})}"
)
upward_bayes_rest = scalar(
    "upward_bayes_rest",
    r"\sum_{t=2}^{T-1} \log \frac{p_{\theta}(x_{t+1} \mid x_{t})}{q(x_{t} \mid x_{t+1})}"
    r" \cdot \frac{q(x_{t+1} \mid x_{0})}{q(x_{t} \mid x_{0})}",
)
bayes_rest_t = scalar(
    "bayes_rest_t",
    r"\sum_{t=2}^{T} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t-1} \mid x_{t}, x_{0})}"
    r" \cdot \frac{q(x_{t-1} \mid x_{0})}{q(x_{t} \mid x_{0})}",
)
bayes_rest_prev = scalar(
    "bayes_rest_prev",
    r"\sum_{t=2}^{T-1} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t-1} \mid x_{t}, x_{0})}"
    r" \cdot \frac{q(x_{t-1} \mid x_{0})}{q(x_{t} \mid x_{0})}",
)
half_bayes_rest_t = scalar(
    "half_bayes_rest_t",
    r"\sum_{t=2}^{T} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t} \mid x_{t-1})}"
    r" \cdot \frac{q(x_{t-1} \mid x_{0})}{q(x_{t} \mid x_{0})}",
)
marginal_rest_t = scalar(
    "marginal_rest_t", r"\sum_{t=2}^{T} \log \frac{q(x_{t} \mid x_{0})}{q(x_{t-1} \mid x_{0})}"
)
matched_rest_t = scalar(
    "matched_rest_t",
    r"\sum_{t=2}^{T} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t-1} \mid x_{t}, x_{0})}",
)
matched_rest_prev = scalar(
    "matched_rest_prev",
    r"\sum_{t=2}^{T-1} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t-1} \mid x_{t}, x_{0})}",
)
kl_prior = scalar("kl_prior", r"D_{\mathrm{KL}}(q(x_{T} \mid x_{0}) \Vert p(x_{T}))")
kl_rest_t = scalar(
    "kl_rest_t",
    r"\sum_{t=2}^{T} D_{\mathrm{KL}}(q(x_{t-1} \mid x_{t}, x_{0}) \Vert p_{\theta}(x_{t-1} \mid x_{t}))",
)
kl_rest_prev = scalar(
    "kl_rest_prev",
    r"\sum_{t=2}^{T-1} D_{\mathrm{KL}}(q(x_{t-1} \mid x_{t}, x_{0}) \Vert p_{\theta}(x_{t-1} \mid x_{t}))",
)
kl_rest_without_x0 = scalar(
    "kl_rest_without_x0",
    r"\sum_{t=2}^{T} D_{\mathrm{KL}}(q(x_{t-1} \mid x_{t}) \Vert p_{\theta}(x_{t-1} \mid x_{t}))",
)
kl_rest_turned = scalar(
    "kl_rest_turned",
    r"\sum_{t=2}^{T} D_{\mathrm{KL}}(p_{\theta}(x_{t-1} \mid x_{t}) \Vert q(x_{t-1} \mid x_{t}, x_{0}))",
)
upward_kl_sum = scalar(
    "upward_kl_sum",
    r"\sum_{t=1}^{T-1} D_{\mathrm{KL}}(q(x_{t+1} \mid x_{t}) \Vert p_{\theta}(x_{t+1} \mid x_{t}))",
)
kl_reverse_t = scalar(
    "kl_reverse_t", r"D_{\mathrm{KL}}(q(x_{T-1} \mid x_{T}) \Vert p_{\theta}(x_{T-1} \mid x_{T}))"
)
kl_posterior_t = scalar(
    "kl_posterior_t", r"D_{\mathrm{KL}}(q(x_{T-1} \mid x_{T}, x_{0}) \Vert p_{\theta}(x_{T-1} \mid x_{T}))"
)
kl_information_t = scalar(
    "kl_information_t", r"D_{\mathrm{KL}}(q(x_{T-1} \mid x_{T}, x_{0}) \Vert q(x_{T-1} \mid x_{T}))"
)
log_p_old = scalar("log_p_old", r"\log p_{\theta}(x)")
log_p_new = scalar("log_p_new", r"\log p_{\theta'}(x)")
bound_old = scalar("bound_old", r"F(q, \theta)")
bound_new = scalar("bound_new", r"F(q, \theta')")
kl_old = scalar("kl_old", r"D_{\mathrm{KL}}(q \Vert p_{\theta}(z \mid x))", nonnegative=True)
kl_new = scalar("kl_new", r"D_{\mathrm{KL}}(q \Vert p_{\theta'}(z \mid x))", nonnegative=True)
gain = scalar("gain", r"\Delta F", nonnegative=True)

# Coding: lengths of codes, log-probabilities along one path, what has been sent, and what is missing still.
message = scalar("message", r"p", positive=True)
message_2 = scalar("message_2", r"p'", positive=True)
true_share = scalar("true_share", r"q_{i}", positive=True)
coded_share = scalar("coded_share", r"p_{i}", positive=True)
log_p_image = scalar("log_p_image", r"\log p_{\theta}(x_{0})")
log_p_end = scalar("log_p_end", r"\log p(x_{T})")
log_q_end = scalar("log_q_end", r"\log q(x_{T})")
log_q_image = scalar("log_q_image", r"\log q(x_{0})")
log_q_at_t = scalar("log_q_at_t", r"\log q(x_{t})")
log_q_at_prev = scalar("log_q_at_prev", r"\log q(x_{t-1})")
log_q_forth_t = scalar("log_q_forth_t", r"\log q(x_{t} \mid x_{t-1})")
log_q_back_t = scalar("log_q_back_t", r"\log q(x_{t-1} \mid x_{t})")
log_p_back_t = scalar("log_p_back_t", r"\log p_{\theta}(x_{t-1} \mid x_{t})")
back_sum_t = scalar(
    "back_sum_t",
    r"\textstyle\sum_{s=1}^{t} \log \frac{q(x_{s-1} \mid x_{s})}{p_{\theta}(x_{s-1} \mid x_{s})}",
)
back_sum_prev = scalar(
    "back_sum_prev",
    r"\textstyle\sum_{s=1}^{t-1} \log \frac{q(x_{s-1} \mid x_{s})}{p_{\theta}(x_{s-1} \mid x_{s})}",
)
back_sum_end = scalar(
    "back_sum_end",
    r"\textstyle\sum_{s=1}^{T} \log \frac{q(x_{s-1} \mid x_{s})}{p_{\theta}(x_{s-1} \mid x_{s})}",
)
log_after_t = scalar("log_after_t", r"\log p_{\theta}(x_{0}^{(t+1)}, \dots, x_{0}^{(d)})")
log_after_prev = scalar("log_after_prev", r"\log p_{\theta}(x_{0}^{(t)}, \dots, x_{0}^{(d)})")
sent_t = scalar("sent_t", "R_{t}")
mean_gap = scalar("mean_gap", r"\Delta\mu")
missing_t = scalar("missing_t", "D_{t}", positive=True)
missing_prev = scalar("missing_prev", "D_{t-1}", positive=True)
data_spread = scalar("data_spread", "s", positive=True)
rate_reported = scalar("rate_reported", r"(L_{1} + \dots + L_{T})", positive=True)
last_reported = scalar("last_reported", "L_{0}", positive=True)
rate_at_100 = scalar("rate_at_100", "R_{100}", positive=True)
if "IPython" in sys.modules:  # a notebook shows expressions with this TeX, tuples of them too
    init_printing(use_latex="mathjax", latex_printer=lambda expression, **_: tex(expression))

# Parameterisation, completed: the best predictor, the best variance, and the true reverse step's.
eps_star = vector("eps_star", r"\epsilon^{*}")
eps_star_1 = vector("eps_star_1", r"\epsilon^{*}_{1}")
eps_star_2 = vector("eps_star_2", r"\epsilon^{*}_{2}")
eps_spread = scalar("eps_spread", r"S", nonnegative=True)
eps_spread_1 = scalar("eps_spread_1", r"S_{1}", nonnegative=True)
eps_spread_2 = scalar("eps_spread_2", r"S_{2}", nonnegative=True)
mixing = scalar("mixing", "w", positive=True)
mean_error = scalar("mean_error", "m_{t}", nonnegative=True)
variance_output = scalar("variance_output", "o")
log_distance = scalar("log_distance", r"\Delta", positive=True)
vlb_weight = scalar("vlb_weight", r"\lambda", positive=True)
vlb = scalar("vlb", r"L_{\mathrm{vlb}}")
variance_t = scalar("variance_t", r"\sigma_{t}^{2}", positive=True)
data_variance = scalar("data_variance", "s^{2}", positive=True)

# Metrics: couplings, 2 × 2 covariances by their roots, samples and classes.
correlation = scalar("correlation", r"\rho")
samples = scalar("samples", "n", positive=True, integer=True)
classes = scalar("classes", "K", positive=True, integer=True)
share_rest = scalar("share_rest", r"\bar{s}", positive=True)
r_11 = scalar("r_11", "r_{11}", positive=True)
r_12 = scalar("r_12", "r_{12}")
r_22 = scalar("r_22", "r_{22}", positive=True)
s_11 = scalar("s_11", "s_{11}", positive=True)
s_12 = scalar("s_12", "s_{12}")
s_22 = scalar("s_22", "s_{22}", positive=True)
trace_1 = scalar("trace_1", r"\operatorname{tr} \Sigma_{1}", positive=True)
trace_2 = scalar("trace_2", r"\operatorname{tr} \Sigma_{2}", positive=True)
trace_12 = scalar("trace_12", r"\operatorname{tr}(\Sigma_{1} \Sigma_{2})", positive=True)
root_det_1 = scalar("root_det_1", r"\sqrt{\det \Sigma_{1}}", positive=True)
root_det_2 = scalar("root_det_2", r"\sqrt{\det \Sigma_{2}}", positive=True)

# The forward process, two steps back.
alpha_prev = scalar("alpha_prev", r"\alpha_{t-1}", positive=True)
x_two_back = vector("x_two_back", "x_{t-2}")
eps_two_back = vector("eps_two_back", r"\epsilon_{t-2}", standard_normal=True)
eps_merged = vector("eps_merged", r"\bar{\epsilon}", standard_normal=True)

# Great circles: two latents, the direction across, and the tangents of half the angles walked and left.
latent_1 = vector("latent_1", "u")
latent_2 = vector("latent_2", "v")
half_walked = scalar("half_walked", r"\tan\tfrac{w \theta}{2}", positive=True)
half_left = scalar("half_left", r"\tan\tfrac{(1-w) \theta}{2}", positive=True)
