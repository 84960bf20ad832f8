# %% [markdown]
# # Small steps
#
# A thousand small steps are nearly one continuous motion. This chapter says how near: what a step leaves out
# when it is read as a stochastic differential equation, what that equation does to the image, where in the
# paper's own schedule the noise takes over, and why a reverse step may be taken for a Gaussian when
# $\beta_t$ is small, and only then.
#
# Time in the limit is $\tau$, the noise put in per unit of time is $\beta(\tau)$, and its integral so far
# is $B$. Whatever depends on $\tau$ does so through $B$, so $d/d\tau$ is $\beta(\tau)\, d/dB$, and no
# particular schedule is assumed.

# %%
from fractions import Fraction
from functools import cache

from sympy import Eq, Expr, Integer, Lt, Rational, diff, exp, log, sqrt

from derivations.forward import SCHEDULE, alpha_bar, kernel, linear_schedule, marginal, sample, snr
from derivations.parameterization import weight
from derivations.posterior import AFTER_THE_FIRST_STEP, before
from derivations.posterior import mean as posterior_mean
from derivations.posterior import variance as posterior_variance
from derivations.proof.certificates import induction
from derivations.proof.claims import Equation, Holds, Law, claim, mutant
from derivations.proof.inequalities import tangent
from derivations.proof.obligations import Obligation, at_most, equal, less
from derivations.proof.symbols import (
    E,
    T,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_t,
    argument,
    beta_1,
    beta_max,
    beta_s,
    beta_sum_prev,
    beta_sum_t,
    beta_T,
    beta_t,
    density_q,
    direction,
    drift,
    eps,
    inner,
    keep,
    noise_rate,
    noise_so_far,
    rho,
    s_theta,
    score_q,
    separation,
    sigma_t,
    sqnorm,
    t,
    x,
    x_0,
    x_0_other,
    x_prev,
    x_t,
    z,
)
from derivations.score import algorithm_2

# %% [markdown]
# ## A step, to first order
#
# The root in the forward kernel is nearly linear. The remainder is known exactly, and it is of second order:
# between an eighth and a half of $\beta_t^2$.

# %%
root = claim(
    "continuous.root",
    "The root of one minus β",
    Equation(
        r"1 - \tfrac{1}{2} \beta_{t} - \sqrt{1 - \beta_{t}}",
        beta_t**2 / (2 * (1 + sqrt(1 - beta_t)) ** 2),
    ),
    given=[beta_t < 1],
    proof=lambda value: [
        equal(1 - beta_t / 2 - sqrt(1 - beta_t), value, "what the linear part leaves out"),
        *(
            at_most(low, high, note, given=(keep < 1, Eq(beta_t, 1 - keep**2)))
            for low, high, note in (
                (beta_t**2 / 8, value.subs(sqrt(1 - beta_t), keep), "an eighth of the square at least"),
                (value.subs(sqrt(1 - beta_t), keep), beta_t**2 / 2, "half the square at most"),
            )
        ),
    ],
    mutants=[
        mutant("nothing left out", value=Integer(0)),
        mutant("the next term alone", value=beta_t**2 / 8),
        mutant("sign of the root", value=beta_t**2 / (2 * (1 - sqrt(1 - beta_t)) ** 2)),
    ],
    sources=["D5:107"],
    remark="In the bounds k is the root, so that β_t = 1 - k² and no root is left to estimate.",
)
root

# %% [markdown]
# So a forward step is a step of the Euler-Maruyama scheme for
#
# $$
# dx = -\tfrac{1}{2} \beta(\tau)\, x\, d\tau + \sqrt{\beta(\tau)}\, dw,
# $$
#
# with the noise exact and the drift up to that remainder.

# %%
euler_step = claim(
    "continuous.step",
    "A forward step is a step of an SDE",
    Law(r"\text{Euler-Maruyama: } \hat{q}(x_{t} \mid x_{t-1})", x_t, (1 - beta_t / 2) * x_prev, beta_t),
    given=[beta_t < 1],
    proof=lambda mean, variance: [
        equal(mean - kernel.mean, root.value * x_prev, "the drift misses the kernel by second order"),
        equal(variance, kernel.variance, "the noise is the kernel's"),
    ],
    mutants=[
        mutant("drift not halved", mean=(1 - beta_t) * x_prev),
        mutant("no drift: the variance explodes", mean=x_prev, seen="D3 line 77, as a first sketch"),
        mutant("β for its root", variance=beta_t**2),
        mutant("drift √β", mean=(1 - sqrt(beta_t)) * x_prev),
    ],
    sources=["Song et al. 2021 (11)", "D5:107"],
    remark="D5 says that an SDE is solved to get q(x_t | x_0). The chain has its exact law by induction "
    "(forward.marginal); the SDE is its limit.",
)
euler_step

# %% [markdown]
# ## Mean and variance in the limit
#
# A linear equation moves the mean by $m' = -\frac{1}{2} \beta m$ and the variance by $v' = -\beta v + \beta$.
# Solutions are checked by differentiating them, and there is $\bar\alpha$ again, as $e^{-B}$.


# %%
def per_time(expression: Expr) -> Expr:
    """d/dτ of something that depends on τ through B, the integral of β."""
    moved: Expr = noise_rate * diff(expression, noise_so_far)
    return moved


def solves(mean: Expr, variance: Expr) -> list[Obligation]:
    return [
        equal(per_time(mean), -noise_rate / 2 * mean, "the mean drifts"),
        equal(mean.subs(noise_so_far, 0), x_0, "the mean starts at the image"),
        equal(per_time(variance), -noise_rate * variance + noise_rate, "the variance is pulled to one"),
        equal(variance.subs(noise_so_far, 0), 0, "the variance starts at zero"),
        equal(mean, marginal.mean.subs(alpha_bar_t, exp(-noise_so_far)), "the diffusion kernel's mean"),
        equal(
            variance,
            marginal.variance.subs(alpha_bar_t, exp(-noise_so_far)),
            "the diffusion kernel's variance",
        ),
    ]


sde_law = claim(
    "continuous.law",
    "The law in the limit",
    Law(r"q(x(\tau) \mid x_{0})", x, exp(-noise_so_far / 2) * x_0, 1 - exp(-noise_so_far)),
    proof=solves,
    mutants=[
        mutant("mean twice as fast", mean=exp(-noise_so_far) * x_0),
        mutant("variance half as fast", variance=1 - exp(-noise_so_far / 2)),
        mutant("no drift: the variance explodes", mean=x_0, variance=noise_so_far),
        mutant("at the prior at once", mean=0 * x_0, variance=Integer(1)),
    ],
    uses=[euler_step],
    sources=["Song et al. 2021 (33)", "D4:95", "D5:107", "D5:121"],
    assumes=[
        "mean and variance of a linear stochastic differential equation obey these equations (Itô)",
        "a linear differential equation has one solution; its solution is Gaussian from a fixed start",
    ],
)
sde_law

# %% [markdown]
# That $\bar\alpha_t$ tends to $e^{-B}$ can be seen in the chain itself. Its logarithm is the sum of the
# $\log(1 - \beta_s)$, each below $-\beta_s$, and above $-\beta_s / (1 - \beta_{\max})$ if no $\beta_s$
# exceeds $\beta_{\max}$. So if the steps get smaller while their sum stays $B$, the signal has no choice.

# %%
SUMMED = (
    alpha_t < 1,
    Eq(alpha_bar_t, alpha_bar_prev * alpha_t),
    Eq(beta_sum_t, beta_sum_prev + 1 - alpha_t),
)
SUMMED


# %%
def added_by_a_step(bound: Expr) -> Expr:
    """What a step adds to a multiple of the sum of the β_s; the bound is zero before the first step."""
    return bound.xreplace({beta_sum_t: 1 - alpha_t}) - bound.subs(beta_sum_t, 0)


def begins_and_adds_up(bound: Expr) -> list[Obligation]:
    whole = bound.xreplace({beta_sum_t: beta_sum_prev + 1 - alpha_t})
    return [
        equal(bound.subs(beta_sum_t, 0), 0, "base case t = 0"),
        equal(
            whole, bound.xreplace({beta_sum_t: beta_sum_prev}) + added_by_a_step(bound), "the bound adds up"
        ),
        equal(
            log(alpha_bar.value), log(alpha_bar_prev) + log(alpha_t), "so does the logarithm of the signal"
        ),
    ]


product_above = claim(
    "continuous.product-above",
    "The signal is below the exponential",
    Holds(log(alpha_bar_t) <= -beta_sum_t),
    given=SUMMED,
    proof=lambda relation: [
        *begins_and_adds_up(relation.rhs),
        equal(relation.lhs, log(alpha_bar_t), "what is bounded"),
        *tangent(
            relation.func(log(alpha_t), added_by_a_step(relation.rhs), evaluate=False),
            alpha_t,
            at=Integer(1),
            name="one step",
            sides="below",
            given=(alpha_t < 1,),
        ),
    ],
    mutants=[
        mutant("with room for a half more", relation=log(alpha_bar_t) <= -3 * beta_sum_t / 2),
        mutant("above", relation=log(alpha_bar_t) >= -beta_sum_t),
    ],
    uses=[alpha_bar],
    sources=["D5:107", "D5:115"],
    assumes=["induction over the natural numbers", "mean value theorem"],
)
product_above

# %%
product_below = claim(
    "continuous.product-below",
    "And not far below",
    Holds(log(alpha_bar_t) >= -beta_sum_t / (1 - beta_max)),
    given=[*SUMMED, Eq(alpha_t, 1 - rho * beta_max), rho <= 1, beta_max < 1],
    proof=lambda relation: [
        *begins_and_adds_up(relation.rhs),
        equal(relation.lhs, log(alpha_bar_t), "what is bounded"),
        *tangent(
            relation.func(log(alpha_t), -(1 - alpha_t) / alpha_t, evaluate=False),
            alpha_t,
            at=Integer(1),
            name="one step",
            sides="below",
            given=(alpha_t < 1,),
        ),
        at_most(added_by_a_step(relation.rhs), -(1 - alpha_t) / alpha_t, "α_t is at least 1 - β_max"),
    ],
    mutants=[
        mutant("equal to the exponential", relation=log(alpha_bar_t) >= -beta_sum_t),
        mutant("half as much", relation=log(alpha_bar_t) >= -beta_sum_t / 2),
        mutant("below", relation=log(alpha_bar_t) <= -beta_sum_t / (1 - beta_max)),
    ],
    uses=[alpha_bar],
    sources=["D5:107"],
    assumes=["induction over the natural numbers", "mean value theorem"],
    remark="Every β_s is ρ β_max with some ρ ≤ 1. For the paper's schedule, with B = 10.05 and β_max = 0.02, "
    "log ᾱ_T lies between -10.26 and -10.05; it is -10.12.",
)
product_below

# %% [markdown]
# ## Both directions
#
# Let $f$ be the forward drift, $q$ the density at $\tau$. The flux of probability is $J = f q -
# \frac{1}{2} \beta \nabla q$. Time run backwards needs the opposite flux, with the same noise; that fixes
# its drift, and the score enters (Anderson 1982). Without noise the same flux needs half of that score.

# %%
along = density_q * (1 + argument * inner(score_q, direction))
forward_flux = density_q * inner(drift, direction) - noise_rate / 2 * diff(along, argument)
forward_flux

# %%
reverse_drift = claim(
    "continuous.reverse-drift",
    "The drift that runs the process backwards",
    Equation(r"\text{reverse drift, per unit of time run backwards}", noise_rate * score_q - drift),
    proof=lambda value: [
        equal(
            density_q * inner(value, direction) - noise_rate / 2 * diff(along, argument),
            -forward_flux,
            "the opposite flux, with the same noise",
        )
    ],
    mutants=[
        mutant("the forward drift reversed, and no score", value=-drift),
        mutant("half the score, with the noise kept", value=noise_rate / 2 * score_q - drift),
        mutant("drift not reversed", value=noise_rate * score_q + drift),
        mutant("down the score", value=-noise_rate * score_q - drift),
    ],
    sources=["Anderson 1982", "Song et al. 2021 (6)", "D5:29"],
    assumes=["the Fokker-Planck equation, and that it determines the densities"],
    remark="D5's picture, to run the transitions in reverse order, is right; but reversing each transition "
    "takes the score, which depends on the data.",
)
reverse_drift

# %%
probability_flow = claim(
    "continuous.probability-flow",
    "The same densities without noise",
    Equation(r"\text{drift of the probability flow, run backwards}", noise_rate / 2 * score_q - drift),
    proof=lambda value: [equal(density_q * inner(value, direction), -forward_flux, "the opposite flux")],
    mutants=[
        mutant("the score in full", value=noise_rate * score_q - drift),
        mutant("no score", value=-drift),
        mutant("sign of the score", value=-noise_rate / 2 * score_q - drift),
    ],
    sources=["Song et al. 2021 (13)", "D5:49"],
    assumes=["the continuity equation, and that it determines the densities"],
    remark="So a deterministic reverse process exists; it is not the one of the documents. Song et al. show "
    "that DDIM with η = 0 discretises it.",
)
probability_flow

# %% [markdown]
# The ancestral step with $\sigma_t^2 = \beta_t$ is an Euler-Maruyama step of the reverse equation, with $f =
# -\frac{1}{2} \beta x$: it moves by $\frac{1}{2} \beta_t x_t + \beta_t s_\theta$, up to second order in
# $\beta_t$. Both remainders are exact.

# %%
reverse_step = claim(
    "continuous.reverse-step",
    "The ancestral step is a step of the reverse SDE",
    Equation(r"\text{Euler step of the reverse equation}", x_t + beta_t / 2 * x_t + beta_t * s_theta),
    given=[*SCHEDULE, keep < 1, Eq(alpha_t, keep**2)],
    proof=lambda value: [
        equal(
            value,
            x_t
            + reverse_drift.value.xreplace({noise_rate: beta_t, score_q: s_theta, drift: -beta_t * x_t / 2}),
            "one step of the drift above",
        ),
        equal(
            algorithm_2.value.xreplace({z: Integer(0)}) - value,
            (beta_t / (1 + keep)) ** 2 * ((keep + 2) / (2 * keep) * x_t)
            + beta_t**2 / (keep * (1 + keep)) * s_theta,
            "what is left is of second order",
        ),
    ],
    mutants=[
        mutant("drift not halved", value=x_t + beta_t * x_t + beta_t * s_theta),
        mutant("half the score", value=x_t + beta_t / 2 * x_t + beta_t / 2 * s_theta),
        mutant("shrinking instead of growing", value=x_t - beta_t / 2 * x_t + beta_t * s_theta),
    ],
    sources=["Song et al. 2021, appendix E"],
    remark="Here k = √α_t.",
)
reverse_step

# %% [markdown]
# ## The two ends
#
# As $t$ grows the image is forgotten, if no $\beta_s$ is below some $\beta_{\min}$ (`forward.prior`). At
# the other end stands the first step, and there is no limit in it: at $t = 1$ the kernel *is* the step.

# %%
first_step = claim(
    "continuous.first-step",
    "The first noised image",
    Equation(r"x_{1}", sqrt(1 - beta_1) * x_0 + sqrt(beta_1) * eps),
    given=[beta_1 < 1, beta_s < 1],
    proof=lambda value: [
        equal(
            sample.value.subs(alpha_bar_t, alpha_bar.value).subs({alpha_bar_prev: 1, alpha_t: 1 - beta_1}),
            value,
            "the diffusion kernel with ᾱ_1 = α_1",
        ),
    ],
    mutants=[
        mutant(
            "another step's β",
            value=sqrt(1 - beta_s) * x_0 + sqrt(beta_1) * eps,
            seen="D5 line 123, as printed",
        ),
        mutant("roots forgotten", value=(1 - beta_1) * x_0 + beta_1 * eps),
        mutant("the image itself", value=x_0),
    ],
    sources=["D5:123"],
    remark="D5 also writes ᾱ_T for ᾱ_t here, and → for what is an equation.",
)
first_step

# %% [markdown]
# Nor is the image forgotten just because every factor $1 - \beta_s$ is below one. Let $\beta_s =
# 1/(s+1)^2$. The factors $s(s+2)/(s+1)^2$ telescope, and half of the image's variance is never lost.


# %%
def telescopes(value: Expr) -> list[Obligation]:
    return [
        *induction(
            value,
            lambda previous: (1 - 1 / (t + 1) ** 2) * previous,
            start={t: 0},
            first=1,
            previous={t: t - 1},
            name="signal",
        ),
        less(Rational(1, 2), value, "more than half is left"),
    ]


not_forgotten = claim(
    "continuous.not-forgotten",
    "Factors below one are not enough",
    Equation(r"\bar{\alpha}_{t}\ \text{for } \beta_{s} = \tfrac{1}{(s+1)^{2}}", (t + 2) / (2 * (t + 1))),
    proof=telescopes,
    mutants=[
        mutant(
            "zero in the end, since every factor is below one",
            value=1 / (t + 1),
            seen="D5 line 115, which asks for no more",
        ),
        mutant("one factor too many", value=(t + 3) / (2 * (t + 2))),
        mutant("the last factor alone", value=1 - 1 / (t + 1) ** 2),
    ],
    uses=[alpha_bar],
    sources=["D5:115", "D5:121"],
    assumes=["induction over the natural numbers"],
    remark="What D5 needs besides: that the sum of the β_s grows without bound (forward.decay).",
)
not_forgotten

# %% [markdown]
# ## Where noise takes over
#
# The signal-to-noise ratio falls from infinity (`forward.snr`), so for each schedule there is one last
# step at which a unit image outweighs its noise. For the paper's schedule the product can be multiplied
# out. All its factors are rational; to keep the numbers short, the product is rounded every hundred steps,
# down for a lower bound and up for an upper one.

# %%
PAPER = {T: 1000, beta_1: Rational(1, 10**4), beta_T: Rational(2, 100)}
DIGITS = 10**15


@cache
def factors(first: int, last: int) -> Rational:
    """The product of the paper's α_s for s = first..last."""
    product = Fraction(1)
    step = 1 - linear_schedule.value.subs(PAPER)
    for s in range(first, last + 1):
        alpha = step.subs(t, s)
        product *= Fraction(int(alpha.p), int(alpha.q))
    return Rational(product.numerator, product.denominator)


def enclosed(last: int) -> tuple[list[Obligation], Rational, Rational]:
    """A lower and an upper bound of the paper's ᾱ_last, with what shows them."""
    low = high = Rational(1)
    shown: list[Obligation] = []
    for first in range(1, last + 1, 100):
        until = min(first + 99, last)
        block = factors(first, until)
        down = Rational(int(low * block * DIGITS), DIGITS)
        up = Rational(int(high * block * DIGITS) + 1, DIGITS)
        shown += [
            at_most(down, low * block, f"lower bound of the signal at t = {until}"),
            at_most(high * block, up, f"upper bound of the signal at t = {until}"),
        ]
        low, high = down, up
    return shown, low, high


factors(1, 2)


# %%
def is_last_with_signal(value: Expr) -> list[Obligation]:
    last = max(0, int(value))
    shown, low, high = enclosed(last)
    after = factors(last + 1, last + 1)
    return [
        *shown,
        less(1 - low, low, "signal outweighs noise at this step"),
        less(high * after, 1 - high * after, "noise outweighs signal at the next"),
    ]


crossing = claim(
    "continuous.crossing",
    "The last step of the paper's schedule with SNR above one",
    Equation(r"\max \{ t : \mathrm{SNR}(t) > 1 \}", Integer(259)),
    proof=is_last_with_signal,
    mutants=[
        mutant("half of the steps", value=Integer(500)),
        mutant("one step late", value=Integer(260)),
        mutant("where the amplitude, not the power, is one half", value=Integer(368)),
        mutant("one step early", value=Integer(258)),
    ],
    uses=[linear_schedule, alpha_bar, snr],
    sources=["D5:117"],
    remark="For data of unit variance; T = 1000, β from 0.0001 to 0.02. The ratio falls at every step, so "
    "there is one such t; three quarters of the steps see more noise than image. Data of variance σ² cross "
    "where SNR(t) is 1/σ².",
)
crossing


# %%
def is_what_is_left(value: Expr) -> list[Obligation]:
    shown, low, high = enclosed(1000)
    half = Rational(1, 2)
    return [
        *shown,
        at_most(value - half, 10**9 * low, "not below"),
        at_most(10**9 * high, value + half, "not above"),
    ]


end_of_schedule = claim(
    "continuous.end-of-schedule",
    "The signal at the end of the paper's schedule",
    Equation(r"10^{9}\, \bar{\alpha}_{1000}\ \text{rounded}", Integer(40358)),
    proof=is_what_is_left,
    mutants=[
        mutant("nothing", value=Integer(0), seen="D5 line 121, if read as an equation"),
        mutant("as if every step had the mean β", value=Integer(41045)),
        mutant("as if small steps added up in the exponent", value=Integer(43186)),
    ],
    uses=[linear_schedule, alpha_bar],
    sources=["Ho2020 §4", "D3:98", "D5:121"],
    remark="Small, and not zero: q(x_T | x_0) is close to N(0, I) and never equal to it.",
)
end_of_schedule

# %% [markdown]
# The same numbers say what the simple objective does. It gives every step the weight one, where the bound
# gives the noise error of step $t$ the weight $\lambda_t$ (`parameterization.weight`); with $\sigma_t^2 =
# \beta_t$ the bound weighs the first step of the paper's schedule far more than the last.


# %%
def weight_in_bound(step: int, signal: Rational) -> Expr:
    """The paper's λ_t at a step where the signal is ᾱ_t, with the step's variance."""
    beta = linear_schedule.value.subs(PAPER).subs(t, step)
    at_step: Expr = weight.value.xreplace(
        {beta_t: beta, sigma_t: sqrt(beta), alpha_t: 1 - beta, alpha_bar_t: signal}
    )
    return at_step


def is_ratio_of_weights(value: Expr) -> list[Obligation]:
    shown, low, high = enclosed(1000)
    half = Rational(1, 2)
    first = weight_in_bound(1, factors(1, 1))
    return [
        *shown,
        at_most((value - half) * weight_in_bound(1000, high), first, "not below"),
        at_most(first, (value + half) * weight_in_bound(1000, low), "not above"),
    ]


small_steps_weigh_more = claim(
    "continuous.small-t-weigh-more",
    "What the simple objective takes from the first step",
    Equation(r"\lambda_{1} / \lambda_{1000}\ \text{rounded}", Integer(49)),
    proof=is_ratio_of_weights,
    mutants=[
        mutant("no difference", value=Integer(1)),
        mutant("the ratio of the β, as if the noise so far did not matter", value=Integer(200)),
        mutant("the last weighs more", value=Integer(0)),
    ],
    uses=[linear_schedule, weight],
    sources=["Ho2020 §3.4"],
    remark="For T = 1000, β from 0.0001 to 0.02, σ_t² = β_t. Equal weights thus take from the small t, as "
    "the paper says.",
)
small_steps_weigh_more

# %% [markdown]
# ## The reverse step is a mixture
#
# Given the image, $x_{t-1}$ is Gaussian (`posterior.law`). Not given it, the law of $x_{t-1}$ given $x_t$ is
# the average of those Gaussians over the images that may have led to $x_t$: by Bayes' rule each enters with
# weight $q(x_0 \mid x_t)$. All have the same variance; the means differ by a multiple of the difference of
# the images. In units of the variance, the squared distance between two of them is a drop in the
# signal-to-noise ratio.

# %%
shift_of_mean = posterior_mean.value - posterior_mean.value.xreplace({x_0: x_0_other})
shift_of_mean

# %%
drop = claim(
    "continuous.separation",
    "How far apart the parts of the reverse step are",
    Equation(
        r"\frac{\lVert \tilde{\mu}_{t}(x_{t}, x_{0}) - \tilde{\mu}_{t}(x_{t}, x_{0}') \rVert^{2}}"
        r"{\tilde{\beta}_{t}}",
        alpha_bar_prev * beta_t / ((1 - alpha_bar_t) * (1 - alpha_bar_prev)) * sqnorm(x_0 - x_0_other),
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=lambda value: [
        equal(sqnorm(shift_of_mean), value * posterior_variance.value, "squared distance over variance"),
        equal(
            value,
            (before(snr.value) - snr.value) * sqnorm(x_0 - x_0_other),
            "the drop in the signal-to-noise ratio",
        ),
    ],
    mutants=[
        mutant(
            "distance over deviation",
            value=sqrt(alpha_bar_prev * beta_t / ((1 - alpha_bar_t) * (1 - alpha_bar_prev)))
            * sqnorm(x_0 - x_0_other),
        ),
        mutant(
            "in units of the step's variance",
            value=alpha_bar_prev * beta_t / (1 - alpha_bar_t) ** 2 * sqnorm(x_0 - x_0_other),
        ),
        mutant(
            "no distance: a Gaussian",
            value=Integer(0),
            seen="D3 line 139, if q(x_{t-1} | x_t) is taken to be normal as it stands",
        ),
        mutant(
            "ratio of the signals for their drop",
            value=alpha_bar_t / alpha_bar_prev * sqnorm(x_0 - x_0_other),
        ),
    ],
    uses=[posterior_mean, posterior_variance, snr],
    sources=["D2:10", "D3:139", "D4:65"],
    assumes=["Bayes' rule for densities"],
)
drop

# %% [markdown]
# So, given where the process stands before the step, the parts come together at least as fast as
# $\sqrt{\beta_t}$ goes to zero:

# %%
per_distance = alpha_bar_prev * beta_t / ((1 - alpha_bar_t) * (1 - alpha_bar_prev))

small = claim(
    "continuous.separation-small",
    "Small steps bring the parts together",
    Holds(per_distance <= beta_t * alpha_bar_prev / (1 - alpha_bar_prev) ** 2),
    given=AFTER_THE_FIRST_STEP,
    mutants=[
        mutant("whatever β", relation=per_distance <= beta_t / 4),
        mutant(
            "with the square of β",
            relation=per_distance <= beta_t**2 * alpha_bar_prev / (1 - alpha_bar_prev) ** 2,
        ),
        mutant(
            "the bound turned round",
            relation=beta_t * alpha_bar_prev / (1 - alpha_bar_prev) ** 2 <= per_distance,
        ),
    ],
    uses=[drop],
    sources=["D2:10", "D3:139", "D4:65", "D4:67"],
    remark="From t = 2 on the drops add up to SNR(1) - SNR(T), so more steps between the same two ends make "
    "each smaller on average, which is D4's guess. Early steps, where ᾱ is near one, need the smallest β; at "
    "t = 1 no β is small enough, since q(x_0 | x_1) is the data.",
)
small

# %% [markdown]
# ## How far from a Gaussian
#
# Take two images. In units of the posterior's deviation, along the line that joins the means, the reverse
# step is a standard normal $z$ moved to one of two places $\Delta$ apart, with probabilities $\rho$ and $1 -
# \rho$. Measured from the common mean, the places are $(1 - \rho) \Delta$ and $-\rho \Delta$.


# %%
def moment(power: int) -> Expr:
    """Moment of the two-part law about its mean."""
    return rho * E((z + (1 - rho) * separation) ** power) + (1 - rho) * E((z - rho * separation) ** power)


moment(3)

# %% [markdown]
# A Gaussian's third moment and fourth cumulant vanish. Here the first is of third order in the separation,
# that is of order $\beta_t^{3/2}$, the second of order $\beta_t^2$, beside a variance of one.

# %%
skew = claim(
    "continuous.third-moment",
    "The reverse step leans",
    Equation(
        r"\mathbb{E}\left[(y - \mathbb{E}\, y)^{3}\right]", rho * (1 - rho) * (1 - 2 * rho) * separation**3
    ),
    given=[rho < 1],
    proof=lambda value: [
        equal(moment(1), 0, "measured from the mean"),
        equal(moment(3), value, "third moment"),
        at_most(value**2, separation**6 / 15, "of third order in the separation"),
    ],
    mutants=[
        mutant(
            "a Gaussian's",
            value=Integer(0),
            seen="D3 line 139, if q(x_{t-1} | x_t) is taken to be normal as it stands",
        ),
        mutant("second order", value=rho * (1 - rho) * (1 - 2 * rho) * separation**2),
        mutant("sign", value=rho * (1 - rho) * (2 * rho - 1) * separation**3),
        mutant("as if one part had no share", value=rho * (1 - 2 * rho) * separation**3),
    ],
    uses=[drop],
    sources=["D2:10", "D3:139"],
)
skew

# %%
peakedness = claim(
    "continuous.fourth-cumulant",
    "The reverse step is flatter or more peaked than a Gaussian",
    Equation(
        r"\mathbb{E}\left[(y - \mathbb{E}\, y)^{4}\right] - 3 \operatorname{Var}(y)^{2}",
        rho * (1 - rho) * (1 - 6 * rho * (1 - rho)) * separation**4,
    ),
    given=[rho < 1],
    proof=lambda value: [
        equal(moment(4) - 3 * moment(2) ** 2, value, "fourth cumulant"),
        equal(value.subs(rho, Rational(1, 2)), -(separation**4) / 8, "not zero where the third moment is"),
    ],
    mutants=[
        mutant(
            "a Gaussian's",
            value=Integer(0),
            seen="D3 line 139, if q(x_{t-1} | x_t) is taken to be normal as it stands",
        ),
        mutant(
            "fourth moment of the places", value=rho * (1 - rho) * (1 - 3 * rho * (1 - rho)) * separation**4
        ),
        mutant("third order", value=rho * (1 - rho) * (1 - 6 * rho * (1 - rho)) * separation**3),
    ],
    uses=[drop],
    sources=["D2:10", "D3:139"],
    remark="Third moment and fourth cumulant never vanish together: for two images the reverse step is not "
    "Gaussian for any β, however small; it is nearly so.",
)
peakedness

# %% [markdown]
# When the step is large it is not even nearly so. With equal shares, the curvature of the density at the
# midpoint tells one peak from two; the change of sign is at a separation of two deviations.

# %%
bump = exp(-((argument - separation / 2) ** 2) / 2) + exp(-((argument + separation / 2) ** 2) / 2)
bump

# %%
two_peaks = claim(
    "continuous.two-peaks",
    "Large steps have two peaks",
    Equation(r"\frac{p''(0)}{p(0)}", separation**2 / 4 - 1),
    proof=lambda value: [
        equal(diff(bump, argument, 2).subs(argument, 0), value * bump.subs(argument, 0), "curvature"),
        equal(diff(bump, argument).subs(argument, 0), 0, "the midpoint is a peak or a valley"),
    ],
    mutants=[
        mutant("one peak whatever the separation", value=-1 - separation**2 / 4),
        mutant("two peaks from one deviation on", value=separation**2 - 1),
        mutant("a Gaussian's curvature", value=Integer(-1)),
    ],
    sources=["Ho2020 §1", "D4:65"],
    assumes=["SymPy's rules of differentiation"],
    remark="Two peaks as soon as (SNR(t-1) - SNR(t)) · ‖x_0 - x_0'‖² exceeds four, at equal shares. A "
    "Gaussian step, however well trained, cannot have them: this is what few, large steps lose.",
)
two_peaks

# %% [markdown]
# ## The reverse process is random
#
# The reverse process is sometimes called deterministic, in contrast to the forward process. It is not: every
# step but the last adds noise, whichever of the two variances is chosen. So it must: the variance of the
# true reverse step, for the two images above, is the posterior's and more.

# %%
random = claim(
    "continuous.reverse-is-random",
    "The reverse process adds noise",
    Holds(Lt(0, posterior_variance.value, evaluate=False)),
    given=AFTER_THE_FIRST_STEP,
    mutants=[
        mutant(
            "deterministic",
            relation=Eq(posterior_variance.value, 0, evaluate=False),
            seen="D5 line 49, as printed",
        ),
        mutant("more than the step's own", relation=Lt(beta_t, posterior_variance.value, evaluate=False)),
    ],
    uses=[posterior_variance],
    sources=["D1:37", "D5:47", "D5:49"],
    remark="For t ≥ 2. The last step, t = 1, adds none. With β_t instead of β̃_t there is more noise still.",
)
random

# %% [markdown]
# ## What this chapter assumed
#
# Itô's rule for the mean and variance of a linear stochastic differential equation, uniqueness of the
# solutions, the Fokker-Planck and continuity equations, and the mean value theorem. That the reverse of a
# Markov chain is a Markov chain, and that for small steps its increments are Gaussian in the limit for all
# data (Feller), is quoted by the paper; here it is proved for two images, with the size of the error.
