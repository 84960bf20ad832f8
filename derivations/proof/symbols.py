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
        if len(last) != 1 or len(expr.args) == 1:
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
v_theta = vector("v_theta", r"v_{\theta}")
x_hat = vector("x_hat", r"\hat{x}_{0}")
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

if "IPython" in sys.modules:  # a notebook shows expressions with this TeX, tuples of them too
    init_printing(use_latex="mathjax", latex_printer=lambda expression, **_: tex(expression))
