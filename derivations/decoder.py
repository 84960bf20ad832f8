# %% [markdown]
# # The decoder
#
# The last reverse step is different. Pixels are whole numbers $0, \dots, k_{\max}$, the
# step's Gaussian is not, and a density is no probability: it can exceed one, and its logarithm is no
# number of bits. The paper therefore cuts the real line into bins, one around each pixel value, and
# gives the value the mass of its bin. This chapter proves that the masses are a distribution, with which
# bins and with which only, and how its logarithm relates to the density that it replaces.
#
# One pixel at a time: the decoder is a product over the $d$ coordinates, so its logarithm is a sum, and a
# product of distributions is a distribution.

# %%
from sympy import Eq, Expr, Gt, Integer, Le, Lt, Rational, diff, log, pi, sqrt
from sympy.core.relational import Relational

from derivations.forward import linear_schedule
from derivations.gaussians import density, log_normal
from derivations.posterior import clipped
from derivations.proof.certificates import induction, stays_below
from derivations.proof.claims import Equation, Holds, claim, mutant
from derivations.proof.inequalities import numbers, tangent
from derivations.proof.obligations import Obligation, equal, holds, less
from derivations.proof.symbols import (
    E,
    T,
    alpha_bar_next,
    alpha_bar_t,
    alpha_next,
    beta_1,
    beta_T,
    beta_tilde_2,
    bin_part,
    brightest,
    cdf_bottom,
    cdf_prev,
    cdf_t,
    cdf_top,
    d,
    distortion,
    eps,
    floored_sum_t,
    half_width,
    level,
    mass_floor,
    nats,
    odds,
    off_centre,
    pixel_mean,
    sigma,
    smaller,
    standardised,
    t,
    x_0,
)

# %% [markdown]
# ## Pixels on [-1, 1]
#
# Let $k_{\max}$ be the brightest value: 255 for bytes.


# %%
def is_the_scale(value: Expr) -> list[Obligation]:
    return [
        equal(value.subs(level, 0), -1, "the darkest value"),
        equal(value.subs(level, brightest), 1, "the brightest value"),
        equal(diff(value, level), 2 / brightest, "the same step everywhere"),
        equal(value.subs(brightest, 255), level / Rational(255, 2) - 1, "bytes: divided by 127.5, less one"),
    ]


scaling = claim(
    "decoder.scaling",
    "Pixel values on [-1, 1]",
    Equation("x_{0}(k)", 2 * level / brightest - 1),
    definition=True,
    proof=is_the_scale,
    mutants=[
        mutant("divided by 128: half the number of bytes", value=2 * level / (brightest + 1) - 1),
        mutant("onto [0, 1]", value=level / brightest),
        mutant("not centred: onto [0, 2]", value=2 * level / brightest),
    ],
    sources=["Ho2020 §3.3"],
    implemented_by=["ddpm_ref.decoder.from_levels"],
    remark="For the digits of this project, the brightest value is 16 and the map is k/8 - 1.",
)
scaling

# %% [markdown]
# ## Bins that tile
#
# A bin reaches from $\delta_-(k)$ to $\delta_+(k)$. Two demands fix the edges: the pixel value is its bin's
# midpoint, and each bin begins where the one before ends. So the half width is $1/k_{\max}$: half the
# distance between neighbours, $1/255$ for bytes.


# %%
def lower_edge(upper: Expr) -> Expr:
    """The other edge of the bin whose midpoint is the pixel value."""
    return 2 * scaling.value - upper


def next_level(expression: Expr) -> Expr:
    """The same expression for the next pixel value."""
    return expression.subs(level, level + 1)


def tiles(value: Expr) -> list[Obligation]:
    return [
        equal(value, next_level(lower_edge(value)), "ends where the next bin begins"),
        equal(
            (value - lower_edge(value)).subs(brightest, 255), Rational(2, 255), "bytes: bins of width 2/255"
        ),
    ]


edges = claim(
    "decoder.edges",
    "The upper edge of a bin",
    Equation(r"\delta_{+}(k)", scaling.value + 1 / brightest),
    proof=tiles,
    mutants=[
        mutant("half width 1/127.5: each bin overlaps its neighbours", value=scaling.value + 2 / brightest),
        mutant("half width 1/256: gaps between the bins", value=scaling.value + 1 / (brightest + 1)),
        mutant("half width 1/510: a quarter of the distance", value=scaling.value + 1 / (2 * brightest)),
        mutant("bins to the left of the pixel value", value=scaling.value),
    ],
    sources=["Ho2020 (13)"],
    implemented_by=["ddpm_ref.decoder.decoder_log_likelihood"],
    remark="With overlaps the masses add up to more than one, with gaps to less; neither is a likelihood.",
)
edges

# %% [markdown]
# The bins are open at both ends of the scale: all that the Gaussian puts below $\delta_+(0)$ belongs to the
# darkest value, all above $\delta_-(k_{\max})$ to the brightest.

# %%
lower_edge(edges.value)

# %% [markdown]
# ## The mass of a bin
#
# Let $F(x) = \Phi((x - \mu)/\sigma)$ be the distribution function of the last step. Nothing in this section
# uses that it is Gaussian: $F$ is written by its values at the edges, so it holds for the tanh approximation
# below, and for the logistic decoders of other models, as well. What the definition is *for* is that the
# masses of the first bins add up to $F$ at the last one's upper edge: by induction over $k$, starting from
# no bins at all, at $-\infty$, where $F$ is zero.


# %%
def adds_up(value: Expr) -> list[Obligation]:
    return induction(
        cdf_t,
        lambda previous: previous + value,
        start={cdf_t: 0},
        first=0,
        previous={cdf_t: cdf_prev},
        name="masses of the bins up to k",
    )


bin_mass = claim(
    "decoder.bin",
    "The probability of a pixel value",
    Equation(r"p_{\theta}(x_{0} = x_{0}(k) \mid x_{1})", cdf_t - cdf_prev),
    definition=True,
    proof=adds_up,
    mutants=[
        mutant("open below: a distribution function, not a mass", value=cdf_t),
        mutant("edges exchanged", value=cdf_prev - cdf_t),
        mutant("the mean of both edges", value=(cdf_t + cdf_prev) / 2),
    ],
    uses=[edges],
    sources=["Ho2020 (13)", "D1:87", "D3:210"],
    implemented_by=["ddpm_ref.decoder.decoder_log_likelihood", "ddpm_ref.objective.L_vlb"],
    assumes=["induction over the natural numbers"],
    remark="F is zero at the first bin's lower edge and one at the last one's upper edge: these are "
    "infinite. D1 and D3 write L_0 = -log p(x_0 | x_1) without saying that x_0 is discrete there.",
)
bin_mass

# %% [markdown]
# The last bin takes what is left, because its upper edge is $+\infty$ and $F$ is one there.


# %%
def exhausts(value: Expr) -> list[Obligation]:
    before_the_last = cdf_prev
    last = bin_mass.value.subs(cdf_t, 1)
    return [
        *adds_up(bin_mass.value),
        equal(value, before_the_last + last, "all bins before the last, and the last"),
    ]


sums_to_one = claim(
    "decoder.sums-to-one",
    "The pixel values' probabilities sum to one",
    Equation(r"\sum_{k=0}^{k_{\max}} p_{\theta}(x_{0} = x_{0}(k) \mid x_{1})", Integer(1)),
    proof=exhausts,
    mutants=[
        mutant(
            "no edge bins: the tails' mass is lost",
            value=cdf_top - cdf_bottom,
            seen="asked about in improved-diffusion#89 and lucidrains/denoising-diffusion-pytorch#271",
        ),
        mutant("open above only", value=1 - cdf_bottom),
        mutant("open below only", value=cdf_top),
    ],
    uses=[edges],
    sources=["Ho2020 (13)"],
    implemented_by=["ddpm_ref.decoder.decoder_log_likelihood"],
    assumes=[
        "a distribution function tends to 0 at -∞ and to 1 at +∞",
        "a product of sums is the sum of the products (from one pixel to d)",
    ],
    remark="For every mean, every deviation and every number of values, exactly.",
)
sums_to_one

# %% [markdown]
# A distribution function increases, so a bin's mass is not negative if its edges are in order; and with a
# positive deviation, standardising keeps the order.

# %%
upper_standardised = (edges.value - pixel_mean) / sigma
lower_standardised = (lower_edge(edges.value) - pixel_mean) / sigma

in_order = claim(
    "decoder.edges-in-order",
    "Every bin has positive mass",
    Holds(Lt(lower_standardised, upper_standardised, evaluate=False)),
    mutants=[
        mutant("edges exchanged", relation=Lt(upper_standardised, lower_standardised, evaluate=False)),
        mutant(
            "wider than one deviation",
            relation=Lt(1 + lower_standardised, upper_standardised, evaluate=False),
        ),
    ],
    uses=[scaling, edges, bin_mass],
    sources=["Ho2020 (13)"],
    assumes=["Φ is strictly increasing"],
    remark="p = Φ(right side) - Φ(left side). For an edge bin one side is infinite, in the same order.",
)
in_order

# %% [markdown]
# ## The approximation that the code uses
#
# The original evaluation replaces $\Phi(u)$ by $\frac{1}{2}(1 + \tanh g(u))$ with a cubic $g$. The bins still
# sum to one, by the same telescoping; what must be checked is that the replacement is a distribution
# function. Written as $1 / (1 + e^{-2 g(u)})$ it clearly lies between zero and one. It increases if $g$ does,
# and it has the Gaussian's slope in the middle. It is as symmetric as $\Phi$ is, because $g$ is odd.

# %%
CUBIC = Rational(44715, 1000000)


def tanh_argument(cubic: Expr) -> Expr:
    return sqrt(2 / pi) * (standardised + cubic * standardised**3)


tanh_argument(CUBIC)


# %%
def is_a_distribution_function(value: Expr) -> list[Obligation]:
    slope = diff(value, standardised)
    in_the_middle = slope.subs(standardised, 0)
    return [
        equal(value.subs(standardised, -standardised), -value, "odd"),
        less(0, (slope / in_the_middle).cancel(), "increases"),
        equal(in_the_middle / 2, 1 / sqrt(2 * pi), "the Gaussian's slope in the middle"),
    ]


tanh_cdf = claim(
    "decoder.tanh",
    "The argument of tanh in place of Φ",
    Equation("g(u)", tanh_argument(CUBIC)),
    definition=True,
    proof=is_a_distribution_function,
    mutants=[
        mutant("root forgotten", value=2 / pi * (standardised + CUBIC * standardised**3)),
        mutant("square for cube", value=sqrt(2 / pi) * (standardised + CUBIC * standardised**2)),
        mutant("sign of the cubic term", value=tanh_argument(-CUBIC)),
        mutant("π/2 for 2/π", value=sqrt(pi / 2) * (standardised + CUBIC * standardised**3)),
    ],
    uses=[density],
    sources=["hojonathanho/diffusion: approx_standard_normal_cdf"],
    implemented_by=["ddpm_ref.decoder.decoder_log_likelihood"],
    assumes=["tanh is odd and increasing from -1 to 1", "SymPy's rules of differentiation"],
)
tanh_cdf

# %%
complement = claim(
    "decoder.tanh-complement",
    "Both sides of the approximation add up to one",
    Equation(r"\tilde{\Phi}(-u), \quad \tilde{\Phi}(u) = \frac{1 + \tanh g(u)}{2}", 1 - odds / (1 + odds)),
    proof=lambda value: [
        equal(tanh_cdf.value.subs(standardised, -standardised), -tanh_cdf.value, "e^{2g(-u)} = 1/e^{2g(u)}"),
        equal(value, (odds / (1 + odds)).subs(odds, 1 / odds), "the distribution function at -u"),
    ],
    mutants=[
        mutant("odd itself, as tanh is", value=-odds / (1 + odds)),
        mutant("even", value=odds / (1 + odds)),
        mutant("sum forgotten to be halved", value=2 - odds / (1 + odds)),
    ],
    sources=["hojonathanho/diffusion: approx_standard_normal_cdf"],
    assumes=["(1 + tanh g)/2 = e^{2g}/(1 + e^{2g}), and e^{-a} = 1/e^{a}"],
    remark="So the bins sum to one with it, exactly.",
)
complement

# %% [markdown]
# How good is it? The coefficient that would also match the curvature's slope, the third derivative of $\Phi$
# at zero, is not the one that is used: that one is fitted to a wide range. With $y = \tanh g$, $y' = (1 -
# y^2) g'$, so $y'''(0) = g'''(0) - 2 g'(0)^3$.


# %%
def matches_third_derivative(value: Expr) -> list[Obligation]:
    g = tanh_argument(value)
    slope, third = (diff(g, standardised, n).subs(standardised, 0) for n in (1, 3))
    return [equal((third - 2 * slope**3) / 2, -1 / sqrt(2 * pi), "third derivative of Φ at zero")]


curvature = claim(
    "decoder.tanh-coefficient",
    "The coefficient that Taylor's formula would choose",
    Equation("c", (4 - pi) / (6 * pi)),
    proof=matches_third_derivative,
    mutants=[
        mutant("0.044715", value=CUBIC, seen="hojonathanho/diffusion: approx_standard_normal_cdf"),
        mutant("no cubic term", value=Integer(0)),
    ],
    uses=[tanh_cdf],
    assumes=["the chain rule for tanh; Φ'''(0) = -φ(0)"],
    remark="0.0455 against 0.0447: the approximation is fitted, not expanded.",
)
curvature

# %% [markdown]
# Code also keeps the logarithm finite by a floor $\delta = 10^{-12}$ under each mass. That breaks the sum,
# but by no more than the floor in each bin, since $\max(p, \delta) = p + \delta - \min(p, \delta)$.

# %%
floor = claim(
    "decoder.floor",
    "What a floor adds to the sum",
    Holds(Le(floored_sum_t, cdf_t + (level + 1) * mass_floor)),
    proof=lambda relation: stays_below(
        relation,
        lambda previous: previous + bin_mass.value + mass_floor - smaller,
        sequence=floored_sum_t,
        start={cdf_t: 0, level: -1},
        first=0,
        previous={cdf_t: cdf_prev, level: level - 1},
        name="floored masses",
    ),
    mutants=[
        mutant("nothing", relation=Le(floored_sum_t, cdf_t)),
        mutant("one floor in all", relation=Le(floored_sum_t, cdf_t + mass_floor)),
        mutant("half a floor a bin", relation=Le(floored_sum_t, cdf_t + (level + 1) * mass_floor / 2)),
    ],
    uses=[bin_mass],
    sources=["hojonathanho/diffusion: discretized_gaussian_log_likelihood"],
    assumes=["induction over the natural numbers", "max(p, δ) = p + δ - min(p, δ)"],
    remark="At the last bin of bytes this is 1 + 256δ = 1 + 2.56e-10.",
)
floor

# %% [markdown]
# ## Bits per dimension
#
# Likelihoods are reported in bits per coordinate: $b$ bits with $2^{b d} = e^{\ell}$ for $\ell$ nats.

# %%
LOG_2 = Gt(log(2), 0, evaluate=False)

bits_per_dim = claim(
    "decoder.bits-per-dim",
    "Bits per dimension",
    Equation(r"\ell_{\mathrm{bits/dim}}", nats / (d * log(2))),
    definition=True,
    given=[LOG_2],
    proof=lambda value: [equal(value * d * log(2), nats, "that many bits for each of d coordinates")],
    mutants=[
        mutant("nats per dimension", value=nats / d),
        mutant("bits of the whole image", value=nats / log(2)),
        mutant("multiplied by log 2", value=nats * log(2) / d),
    ],
    sources=["Ho2020 §4.3, table 1"],
    implemented_by=["ddpm_ref.decoder.bits_per_dim"],
)
bits_per_dim

# %% [markdown]
# ## A density in bits
#
# A model with a density on $[-1, 1]$ can be compared with one on pixel values if the pixels are spread
# evenly over their bins first. The density of $k$ is the density of $x_0(k)$ times the slope of the scale,
# which is the width of a bin; in bits, its logarithm is added.


# %%
def changes_variable(value: Expr) -> list[Obligation]:
    return [
        equal(-value * log(2), log(diff(scaling.value, level)), "the slope of the scale, in nats"),
        equal(
            (value * log(2)).subs(brightest, 255),
            7 * log(2) - log(Rational(256, 255)),
            "bytes: a little less than seven bits",
        ),
    ]


offset_in_bits = claim(
    "decoder.offset",
    "From a density on [-1, 1] to pixel values",
    Equation(r"\frac{- \log_{2} p(k) + \log_{2} p(x_{0}(k))}{d}", log(brightest / 2) / log(2)),
    given=[LOG_2],
    proof=changes_variable,
    mutants=[
        mutant(
            "seven bits for any scale",
            value=Integer(7),
            seen="score_sde_pytorch#51, right there: its pixels are (k + u)/256, so bins have width 2/256",
        ),
        mutant("as for data on [0, 1]", value=log(brightest) / log(2)),
        mutant("as if the bins filled [-1, 1]", value=log((brightest + 1) / 2) / log(2)),
        mutant("subtracted", value=-log(brightest / 2) / log(2)),
    ],
    uses=[scaling],
    sources=["Ho2020 §3.3"],
    assumes=["change of variable for a density"],
    remark="For bytes log2(127.5) = 6.994 bits. The bins around the pixel values cover a little more than "
    "[-1, 1], by half a bin at either end, hence 255 and not 256.",
)
offset_in_bits

# %% [markdown]
# Is the mass of a bin the density at its middle times its width? In the limit. By the mean value theorem the
# mass is the width times the density *somewhere* in the bin, at $x \pm \rho h$ with $0 < \rho \leq 1$ and
# half width $h$. How far can that be from the density in the middle?

# %%
shifted = half_width * bin_part


def log_shape(point: Expr) -> Expr:
    """The part of a Gaussian's log-density that depends on the point, at a signed distance from the mean."""
    return -(point**2) / (2 * sigma**2)


def bounds_both_sides(relation: Relational) -> list[Obligation]:
    away, bound = relation.args
    towards = away.xreplace({half_width: -half_width})
    return [
        equal(away, log_shape(off_centre) - log_shape(off_centre + shifted), "moving away from the mean"),
        *(
            holds(relation.func(change, bound, evaluate=False), note)
            for change, note in (
                (away, "away from the mean, the loss"),
                (towards, "towards the mean, the loss"),
                (-towards, "towards the mean, the gain"),
            )
        ),
    ]


moved = half_width * bin_part * (2 * off_centre + half_width * bin_part) / (2 * sigma**2)

width = claim(
    "decoder.width",
    "Mass against density times width",
    Holds(Le(moved, half_width * (2 * off_centre + half_width) / (2 * sigma**2))),
    given=[bin_part <= 1],
    proof=bounds_both_sides,
    mutants=[
        mutant(
            "second order in the width, everywhere",
            relation=Le(moved, half_width**2 / (2 * sigma**2)),
        ),
        mutant("first order alone", relation=Le(moved, half_width * off_centre / sigma**2)),
        mutant(
            "deviation for variance",
            relation=Le(moved, half_width * (2 * off_centre + half_width) / (2 * sigma)),
        ),
    ],
    uses=[density],
    sources=["Ho2020 (13)"],
    assumes=[
        "the mean value theorem for integrals",
        "the symmetry of the Gaussian, to put the mean on one side",
    ],
    remark="The left side is the change of the log-density over ρh. The bound vanishes with the width, so "
    "-log p(k) is the negative log-density plus the offset, in the limit. For bytes and the paper's last "
    "step, h = 0.0039 and σ = 0.0074: the limit is not reached, and the bins matter.",
)
width

# %% [markdown]
# ## How small can the last term be?
#
# In the limit of narrow bins the last term of the bound is the cross-entropy of a Gaussian: with a mean
# squared error $D$ per coordinate it costs $\frac{1}{2} \log 2 \pi \sigma^2 + D / 2 \sigma^2$ nats. The
# variance that makes this least is the error itself, and then the cost is the entropy of a Gaussian of
# variance $D$, whatever the error's distribution: only its mean square enters.


# %%
def is_least(relation: Relational) -> list[Obligation]:
    at_the_error = cross_entropy.xreplace({sigma: sqrt(distortion)})
    return [
        equal(
            d * relation.rhs,
            -E(log_normal(x_0 + sqrt(distortion) * eps, x_0, sigma**2)),
            "the mean of the negative log-density",
        ),
        equal(relation.lhs, at_the_error, "the cost where the variance is the error"),
        *tangent(relation, distortion, at=sigma**2, name="cost above the least"),
    ]


cross_entropy = log(2 * pi * sigma**2) / 2 + distortion / (2 * sigma**2)
cross_entropy

# %%
best_variance = claim(
    "decoder.best-variance",
    "The variance that makes the last term least",
    Holds(Le((log(2 * pi * distortion) + 1) / 2, cross_entropy)),
    proof=is_least,
    mutants=[
        mutant("one half forgotten", relation=Le(log(2 * pi * distortion) + 1, cross_entropy)),
        mutant("one nat less to be had", relation=Le((log(2 * pi * distortion) + 2) / 2, cross_entropy)),
        mutant("deviation for variance", relation=Le((log(2 * pi * distortion**2) + 1) / 2, cross_entropy)),
    ],
    uses=[density],
    sources=["Ho2020 §4.3", "D3:232"],
    assumes=["the mean value theorem (a function that falls before a point and rises after is least there)"],
    remark="The rate L_1 + ... + L_T can be small; this term cannot, unless the error is.",
)
best_variance

# %% [markdown]
# In pixel units, for the mean squared error of pixel values $0, \dots, k_{\max}$ instead of that on $[-1,
# 1]$, the offset is absorbed: the cost is the entropy of a Gaussian of that variance.

# %%
least_cost = claim(
    "decoder.least-cost",
    "The least last term, per pixel value",
    Equation(
        r"\min_{\sigma} L_{0} / d",
        (log(2 * pi * distortion * (brightest / Integer(2)) ** 2) + 1) / 2,
    ),
    given=[LOG_2],
    proof=lambda value: [
        equal(
            value,
            best_variance.parts["relation"].lhs + offset_in_bits.value * log(2),
            "least cross-entropy, and the offset in nats",
        )
    ],
    mutants=[
        mutant("as for data on [0, 1]", value=(log(2 * pi * distortion * brightest**2) + 1) / 2),
        mutant("the width for its square", value=(log(pi * distortion * brightest) + 1) / 2),
        mutant("no offset: the density's own", value=(log(2 * pi * distortion) + 1) / 2),
    ],
    sources=["Ho2020 §4.3"],
    remark="In nats, in the limit of narrow bins.",
)
least_cost

# %% [markdown]
# The paper reports a last term of 1.97 bits per dimension at a root mean square error of 0.95 of 255. The
# formula says no less than that: $\frac{1}{2} \log 2 \pi e + \log 0.95$ nats. The comparison is one of
# integers, once $\pi$ and $e$ are replaced by fractions below them.

# %%
PI_FROM_BELOW, E_FROM_BELOW = Rational(31415, 10000), Rational(27182, 10000)


def of_rationals(relation: Relational) -> list[Obligation]:
    """The comparison with smaller fractions for π and e, where a term without a logarithm is one of log e."""
    smaller_side, larger_side = relation.args
    constant, logarithms = larger_side.as_independent(log, as_Add=True)
    bounded = constant * log(E_FROM_BELOW) + logarithms.xreplace({2 * pi: 2 * PI_FROM_BELOW})
    return numbers(relation.func(smaller_side, bounded, evaluate=False), name="integer powers")


paper_last_term = claim(
    "decoder.paper-last-term",
    "The paper's last term is the entropy of its error",
    Holds(
        Le(
            Rational(197, 100) * log(2),
            log(2 * pi) / 2 + Rational(1, 2) + log(Rational(95, 100)),
            evaluate=False,
        )
    ),
    proof=of_rationals,
    mutants=[
        mutant(
            "half a nat forgotten",
            relation=Le(
                Rational(197, 100) * log(2), log(2 * pi) / 2 + log(Rational(95, 100)), evaluate=False
            ),
        ),
        mutant(
            "the error taken on [-1, 1]",
            relation=Le(
                Rational(197, 100) * log(2),
                log(2 * pi) / 2 + Rational(1, 2) + log(Rational(95, 100) * Rational(2, 255)),
                evaluate=False,
            ),
        ),
        mutant(
            "two bits",
            relation=Le(
                2 * log(2), log(2 * pi) / 2 + Rational(1, 2) + log(Rational(95, 100)), evaluate=False
            ),
        ),
    ],
    uses=[least_cost],
    sources=["Ho2020 §4.3", "D3:232"],
    assumes=["π > 3.1415 and e > 2.7182"],
    remark="The left side is 1.97 bits in nats; the right side is 1.9731 bits.",
)
paper_last_term

# %% [markdown]
# And where does an error of 0.95 come from? If the mean is right, the error of the last step is the variance
# that the original code gives it, $\tilde\beta_2$. Under the paper's schedule that is an error of 0.9415.

# %%
BETAS = {T: 1000, beta_1: Rational(1, 10000), beta_T: Rational(1, 50)}
alpha_first, alpha_second = (1 - linear_schedule.value.subs({**BETAS, t: step}) for step in (1, 2))
last_variance = clipped.value.xreplace(
    {alpha_bar_t: alpha_first, alpha_next: alpha_second, alpha_bar_next: alpha_first * alpha_second}
)
last_variance


# %%
def near(square: Expr, root: Rational) -> Relational:
    """The square of a root mean square error, within one part in ten thousand of what is expected."""
    return Lt((square - root**2) ** 2, Rational(1, 10**8), evaluate=False)


paper_error = claim(
    "decoder.paper-error",
    "The last step's error under the paper's schedule",
    Holds(near((Rational(255, 2)) ** 2 * beta_tilde_2, Rational(9415, 10000))),
    given=[Eq(beta_tilde_2, last_variance)],
    mutants=[
        mutant(
            "β_1 for β̃_2",
            relation=near(Rational(255, 2) ** 2 * Rational(1, 10000), Rational(9415, 10000)),
            seen="improved-diffusion#45, guided-diffusion#69",
        ),
        mutant("as for data on [0, 1]", relation=near(255**2 * beta_tilde_2, Rational(9415, 10000))),
        mutant("the paper's 0.95", relation=near(Rational(255, 2) ** 2 * beta_tilde_2, Rational(95, 100))),
    ],
    uses=[clipped, linear_schedule],
    sources=["Ho2020 §4.3", "hojonathanho/diffusion: fixedlarge"],
    remark="Its square, 0.8865, within 0.0001.",
)
paper_error

# %% [markdown]
# ## What this chapter assumed
#
# That $\Phi$, and $\tanh$, increase between their limits; the mean value theorem, for integrals and for
# derivatives; that a product of sums is the sum of products; change of variable for a density; induction over
# the natural numbers; and the first decimals of $\pi$ and $e$.
