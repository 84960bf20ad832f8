# %% [markdown]
# # The forward process
#
# The forward process destroys an image $x_0$ in $T$ small steps: each shrinks what is left by
# $\sqrt{\alpha_t}$ and adds fresh Gaussian noise of variance $\beta_t = 1 - \alpha_t$. Nothing in it is
# learned. This chapter proves that $t$ steps can be taken at once, which is what makes training cheap, and
# says exactly when the variance is kept and where the process ends.
#
# Time is the paper's: $t = 1, \dots, T$, and $t = 0$ is the clean image. The cumulative product
# $\bar\alpha_t$ is defined by its recurrence, so every statement below is for symbolic $t$, by induction,
# not for some $T$ that was tried.

# %%
from sympy import Eq, Expr, Gt, Integer, cos, diff, pi, sqrt

from derivations.gaussians import after_step, chain, density, is_sample_of, reparameterization
from derivations.proof.certificates import induction, stays_below, tends_to_zero
from derivations.proof.claims import Equation, Eventually, Holds, Law, claim, mutant
from derivations.proof.obligations import Obligation, at_most, equal, less
from derivations.proof.symbols import (
    T,
    alpha_bar_prev,
    alpha_bar_r,
    alpha_bar_s,
    alpha_bar_t,
    alpha_next,
    alpha_prev,
    alpha_t,
    beta_1,
    beta_min,
    beta_rise,
    beta_sum_prev,
    beta_sum_t,
    beta_T,
    beta_t,
    eps,
    eps_merged,
    eps_prev,
    eps_two_back,
    excess,
    offset,
    sigma,
    sqnorm,
    t,
    tolerance,
    x_0,
    x_prev,
    x_r,
    x_s,
    x_t,
    x_two_back,
)

# %% [markdown]
# ## One step
#
# Three relations tie the schedule's symbols together. They are hypotheses of nearly every claim, beside $0
# < \alpha_t < 1$.

# %%
NOISE = (Eq(beta_t, 1 - alpha_t), alpha_t < 1)
NOISE

# %%
SCHEDULE = (*NOISE, Eq(alpha_bar_t, alpha_bar_prev * alpha_t), alpha_bar_prev <= 1)
SCHEDULE

# %% [markdown]
# The kernel is a definition. What it is *for*: a coordinate of unit variance keeps unit variance, and a
# step without noise changes nothing.

# %%
kernel = claim(
    "forward.kernel",
    "The forward kernel",
    Law("q(x_{t} \\mid x_{t-1})", x_t, sqrt(1 - beta_t) * x_prev, beta_t),
    definition=True,
    given=[beta_t < 1],
    proof=lambda mean, variance: [
        equal(after_step(0, 1, diff(mean, x_prev), variance)[1], 1, "unit variance is kept"),
        equal(mean.subs(beta_t, 0), x_prev, "no noise, no shrinking"),
        equal(variance, beta_t, "the noise put in is β"),
    ],
    mutants=[
        mutant("root of the scale forgotten", mean=(1 - beta_t) * x_prev),
        mutant("β for its root: variance β²", variance=beta_t**2),
        mutant("not shrunk", mean=x_prev, seen="D3 line 77, as a first sketch"),
        mutant(
            "scale and noise exchanged",
            mean=sqrt(beta_t) * x_prev,
            variance=1 - beta_t,
            seen="D2 line 39, with α for β",
        ),
    ],
    uses=[chain],
    sources=["Ho2020 (2)", "D1:76", "D2:12", "D3:69", "D4:91"],
    implemented_by=["ddpm_ref.schedule.Schedule.beta"],
)
kernel

# %% [markdown]
# Reparameterised, a step is one line of code.

# %%
step = claim(
    "forward.step",
    "One step as a sample",
    Equation(x_t, sqrt(alpha_t) * x_prev + sqrt(1 - alpha_t) * eps),
    given=NOISE,
    proof=lambda value: is_sample_of(value, eps, kernel.mean, kernel.variance),
    mutants=[
        mutant("variance for deviation", value=sqrt(alpha_t) * x_prev + (1 - alpha_t) * eps),
        mutant("not shrunk", value=x_prev + sqrt(1 - alpha_t) * eps, seen="D3 line 77, as a first sketch"),
        mutant("root forgotten", value=alpha_t * x_prev + sqrt(1 - alpha_t) * eps),
    ],
    uses=[density, reparameterization],
    sources=["D2:43", "D3:89", "D3:95"],
)
step

# %% [markdown]
# ## The cumulative product
#
# $\bar\alpha_t$ is the share of the image's variance that survives $t$ steps. Its definition is a product;
# what pins it down is that the factor in front of $x_0$ after $t$ steps is its root, while the noise makes
# up for the rest.

# %%
alpha_bar = claim(
    "forward.alpha-bar",
    "The surviving share of variance",
    Equation(
        r"\bar{\alpha}_{0} = 1, \qquad \bar{\alpha}_{t} = \prod_{s=1}^{t} \alpha_{s}",
        alpha_bar_prev * alpha_t,
    ),
    given=[*NOISE, alpha_next < 1, alpha_bar_prev <= 1],
    proof=lambda value: [
        equal(sqrt(value), diff(step.value, x_prev) * sqrt(alpha_bar_prev), "factor in front of the image"),
        equal(
            1 - value,
            after_step(0, 1 - alpha_bar_prev, diff(step.value, x_prev), diff(step.value, eps) ** 2)[1],
            "variance of the noise",
        ),
    ],
    mutants=[
        mutant(
            "mean of the α instead of their product",
            value=((t - 1) * alpha_bar_prev + alpha_t) / t,
            seen="D2 line 152",
        ),
        mutant("this step's α alone", value=alpha_t, seen="D2 line 45, which writes α for ᾱ"),
        mutant("one factor too few", value=alpha_bar_prev),
        mutant("one factor too many", value=alpha_bar_prev * alpha_t * alpha_next),
    ],
    uses=[chain],
    sources=["Ho2020 (4)", "D2:152", "D3:107", "D5:115"],
    implemented_by=["ddpm_ref.schedule.Schedule.alpha_bar"],
)
alpha_bar

# %% [markdown]
# ## Any number of steps at once
#
# By induction: after zero steps $x_0$ stands there with no noise; and if the law of $x_{t-1}$ given $x_0$
# is as claimed, one more step makes the law of $x_t$ as claimed, by the chaining rule.


# %%
def by_induction(mean: Expr, variance: Expr) -> list[Obligation]:
    keep = diff(kernel.mean, x_prev)
    return [
        *induction(
            mean,
            lambda previous: after_step(previous, 0, keep, 0)[0],
            start={alpha_bar_t: 1},
            first=x_0,
            previous={alpha_bar_t: alpha_bar_prev},
            name="mean",
        ),
        *induction(
            variance,
            lambda previous: after_step(0, previous, keep, kernel.variance)[1],
            start={alpha_bar_t: 1},
            first=0,
            previous={alpha_bar_t: alpha_bar_prev},
            name="variance",
        ),
    ]


marginal = claim(
    "forward.marginal",
    "The diffusion kernel",
    Law("q(x_{t} \\mid x_{0})", x_t, sqrt(alpha_bar_t) * x_0, 1 - alpha_bar_t),
    given=SCHEDULE,
    proof=by_induction,
    mutants=[
        mutant("root forgotten", mean=alpha_bar_t * x_0),
        mutant("deviation for variance", variance=sqrt(1 - alpha_bar_t)),
        mutant(
            "α for ᾱ", mean=sqrt(alpha_t) * x_0, variance=1 - alpha_t, seen="D2 lines 43 and 45, as printed"
        ),
        mutant("variance of the step before", variance=1 - alpha_bar_prev),
        mutant("variance of one step", variance=beta_t, seen="D2 line 154, β_t = 1 - ᾱ_t"),
    ],
    uses=[chain, alpha_bar],
    sources=["Ho2020 (4)", "D2:45", "D2:144", "D3:111", "D5:135"],
    implemented_by=["ddpm_ref.process.q_mean_variance"],
    assumes=["induction over the natural numbers"],
)
marginal

# %%
sample = claim(
    "forward.sample",
    "A noised image in one line",
    Equation(x_t, sqrt(alpha_bar_t) * x_0 + sqrt(1 - alpha_bar_t) * eps),
    given=SCHEDULE,
    proof=lambda value: is_sample_of(value, eps, marginal.mean, marginal.variance),
    mutants=[
        mutant(
            "variance for deviation",
            value=sqrt(alpha_bar_t) * x_0 + (1 - alpha_bar_t) * eps,
            seen="labml_nn#152, σ against σ²",
        ),
        mutant("root forgotten", value=alpha_bar_t * x_0 + sqrt(1 - alpha_bar_t) * eps),
        mutant("α for ᾱ", value=sqrt(alpha_t) * x_0 + sqrt(1 - alpha_t) * eps, seen="D2 line 43, as printed"),
        mutant("one step early", value=sqrt(alpha_bar_prev) * x_0 + sqrt(1 - alpha_bar_prev) * eps),
        mutant("signal and noise exchanged", value=sqrt(1 - alpha_bar_t) * x_0 + sqrt(alpha_bar_t) * eps),
        mutant("noise subtracted twice", value=sqrt(alpha_bar_t) * (x_0 + sqrt(1 - alpha_bar_t) * eps)),
    ],
    uses=[density, reparameterization],
    sources=["D2:43", "D2:148", "D3:117", "D3:337"],
    implemented_by=["ddpm_ref.process.q_sample"],
    remark="The kernel and this line say the same; the proof is the change of variable between them.",
)
sample

# %% [markdown]
# The same image at seven times, with the same noise:
#
# <!-- picture forward -->

# %% [markdown]
# ## Any stretch of steps
#
# The same induction, started at $s$ instead of $0$, gives the law of a stretch; and stretches compose: from
# $r$ to $s$ and from $s$ to $t$ is from $r$ to $t$. Samplers that skip steps, and the conditional laws
# behind them, need exactly this.


# %%
def stretch(earlier: Expr, later: Expr) -> tuple[Expr, Expr]:
    """Mean factor and variance of the steps between two values of ᾱ."""
    return sqrt(later / earlier), 1 - later / earlier


def composes(mean: Expr, variance: Expr) -> list[Obligation]:
    factor = diff(mean, x_s)
    from_r, noise_from_r = stretch(alpha_bar_r, alpha_bar_s)
    return [
        *induction(
            mean,
            lambda previous: after_step(previous, 0, diff(kernel.mean, x_prev), 0)[0],
            start={alpha_bar_t: alpha_bar_s},
            first=x_s,
            previous={alpha_bar_t: alpha_bar_prev},
            name="mean, from s on",
        ),
        *induction(
            variance,
            lambda previous: after_step(0, previous, diff(kernel.mean, x_prev), kernel.variance)[1],
            start={alpha_bar_t: alpha_bar_s},
            first=0,
            previous={alpha_bar_t: alpha_bar_prev},
            name="variance, from s on",
        ),
        equal(
            after_step(from_r * x_r, 0, factor, 0)[0],
            stretch(alpha_bar_r, alpha_bar_t)[0] * x_r,
            "means compose",
        ),
        equal(
            after_step(0, noise_from_r, factor, variance)[1],
            stretch(alpha_bar_r, alpha_bar_t)[1],
            "variances compose",
        ),
    ]


stretch_factor, stretch_variance = stretch(alpha_bar_s, alpha_bar_t)

composition = claim(
    "forward.composition",
    "A stretch of steps",
    Law("q(x_{t} \\mid x_{s})", x_t, stretch_factor * x_s, stretch_variance),
    given=[*SCHEDULE, alpha_bar_s <= 1, alpha_bar_r <= 1],
    proof=composes,
    mutants=[
        mutant("difference for quotient", variance=alpha_bar_s - alpha_bar_t),
        mutant("started at zero", mean=sqrt(alpha_bar_t) * x_s, variance=1 - alpha_bar_t),
        mutant(
            "one step's variance",
            variance=beta_t,
            seen="diffusers#2076, a one-step update after skipped steps",
        ),
        mutant("root forgotten", mean=alpha_bar_t / alpha_bar_s * x_s),
    ],
    uses=[chain, marginal],
    sources=["D2:43", "D5:137"],
    assumes=["induction over the natural numbers"],
    remark="With $s = 0$ this is the diffusion kernel, with $s = t - 1$ the forward kernel.",
)
composition

# %% [markdown]
# ## Is the variance kept?
#
# Only if it was one to begin with. For data of variance $\sigma^2$ per coordinate the excess over one
# shrinks by $\bar\alpha_t$ and is never gone before $\bar\alpha_t$ is.

# %%
variance_kept = claim(
    "forward.variance",
    "Variance along the way",
    Equation(r"\operatorname{Var}(x_{t}) - 1", alpha_bar_t * (sigma**2 - 1)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            after_step(0, sigma**2, diff(marginal.mean, x_0), marginal.variance)[1] - 1,
            value,
            "law of total variance",
        )
    ],
    mutants=[
        mutant("kept for any data", value=Integer(0), seen="D3 line 92, which does not ask for Var(x_0) = 1"),
        mutant("excess shrinks by the root", value=sqrt(alpha_bar_t) * (sigma**2 - 1)),
        mutant("one step early", value=alpha_bar_prev * (sigma**2 - 1)),
    ],
    uses=[chain],
    sources=["D3:92", "D4:95"],
    assumes=["the noise is independent of the data"],
    remark="A pixel scaled to $[-1, 1]$ has a variance of at most one; it grows towards one.",
)
variance_kept

# %% [markdown]
# ## Where it ends
#
# $\bar\alpha_t$ falls with every step, and with it the signal-to-noise ratio.

# %%
falls = claim(
    "forward.alpha-bar-falls",
    "The signal falls at every step",
    Holds(alpha_bar_t < alpha_bar_prev),
    given=SCHEDULE,
    mutants=[
        mutant("rises", relation=alpha_bar_prev < alpha_bar_t),
        mutant("falls by half at least", relation=alpha_bar_t <= alpha_bar_prev / 2),
    ],
    uses=[alpha_bar],
    sources=["D5:115"],
)
falls


# %%
def is_signal_to_noise(value: Expr) -> list[Obligation]:
    earlier = value.xreplace({alpha_bar_t: alpha_bar_prev})
    return [
        equal(value, diff(marginal.mean, x_0) ** 2 / marginal.variance, "squared factor over variance"),
        less(value, earlier, "falls", given=(alpha_bar_prev < 1,)),
    ]


snr = claim(
    "forward.snr",
    "Signal-to-noise ratio",
    Equation(r"\operatorname{SNR}(t)", alpha_bar_t / (1 - alpha_bar_t)),
    definition=True,
    given=SCHEDULE,
    proof=is_signal_to_noise,
    mutants=[
        mutant("amplitudes for powers", value=sqrt(alpha_bar_t) / sqrt(1 - alpha_bar_t)),
        mutant("noise to signal", value=(1 - alpha_bar_t) / alpha_bar_t),
        mutant("one step early", value=alpha_bar_prev / (1 - alpha_bar_t)),
    ],
    sources=["D5:117"],
    implemented_by=["ddpm_ref.schedule.Schedule.snr"],
)
snr

# %% [markdown]
# How fast? The product of the $1 - \beta_s$ is at most one over one plus their sum. So the signal dies
# exactly as fast as the sum of the $\beta_s$ forces it to: if the sum diverges, nothing is left.

# %%
decay = claim(
    "forward.decay",
    "The signal is bounded by the noise put in",
    Holds(alpha_bar_t <= 1 / (1 + beta_sum_t)),
    given=[*NOISE, Eq(beta_sum_t, beta_sum_prev + beta_t)],
    proof=lambda relation: stays_below(
        relation,
        lambda previous: alpha_t * previous,
        sequence=alpha_bar_t,
        start={beta_sum_t: 0},
        first=1,
        previous={beta_sum_t: beta_sum_prev},
        name="signal",
    ),
    mutants=[
        mutant("twice as fast", relation=alpha_bar_t <= 1 / (1 + 2 * beta_sum_t)),
        mutant("one forgotten", relation=alpha_bar_t <= 1 / (2 + beta_sum_t)),
        mutant("linear, as if small steps added up", relation=alpha_bar_t <= 1 - beta_sum_t),
    ],
    uses=[alpha_bar],
    sources=["D5:115"],
    assumes=["induction over the natural numbers", "multiplying by α_t > 0 keeps an inequality"],
)
decay

# %% [markdown]
# A schedule whose steps never fall below some $\beta_{\min}$ puts in at least $t\,\beta_{\min}$. The limit
# is then proved as the textbook defines it: for any tolerance there is a step from which on the signal
# stays below it. And what is left of the image in $q(x_t \mid x_0)$ is exactly the signal: the squared mean
# is $\bar\alpha_t \lVert x_0 \rVert^2$, and the variance misses one by $\bar\alpha_t$.


# %%
def ends_at_the_prior(threshold: Expr) -> list[Obligation]:
    signal = decay.parts["relation"].rhs
    bound = signal.xreplace({beta_sum_t: t * beta_min})
    more_noise = (Eq(beta_sum_t, t * beta_min + excess),)
    return [
        at_most(signal, bound, "more noise leaves less signal", given=more_noise),
        *tends_to_zero(bound, index=t, tolerance=tolerance, threshold=threshold, name="signal"),
        equal(sqnorm(marginal.mean), alpha_bar_t * sqnorm(x_0), "squared mean"),
        equal(1 - marginal.variance, alpha_bar_t, "missing variance"),
    ]


prior = claim(
    "forward.prior",
    "The forward process forgets the image",
    Eventually(alpha_bar_t < tolerance, 1 / (beta_min * tolerance)),
    given=[beta_min < 1],
    proof=ends_at_the_prior,
    mutants=[
        mutant("forgotten at once", threshold=Integer(1)),
        mutant("after 1/β steps whatever the tolerance", threshold=1 / beta_min),
        mutant("after 1/δ steps whatever the noise", threshold=1 / tolerance),
    ],
    uses=[decay, marginal],
    sources=["D5:115", "D5:121", "D5:123"],
    remark=r"For any schedule with $\beta_s \geq \beta_{\min}$. D5's limit of small $t$ is the first step.",
)
prior

# %% [markdown]
# ## Two schedules
#
# The paper raises $\beta_t$ linearly. Nichol and Dhariwal choose $\bar\alpha_t$ instead, along a squared
# cosine, and read $\beta_t$ off the quotients (their code then caps $\beta_t$ at 0.999, since the last one
# would be 1).

# %%
linear_schedule = claim(
    "forward.linear-schedule",
    "The linear schedule",
    Equation(beta_t, beta_1 + (t - 1) / (T - 1) * (beta_T - beta_1)),
    definition=True,
    given=[T > 1],
    proof=lambda value: [
        equal(value.subs(t, 1), beta_1, "first step"),
        equal(value.subs(t, T), beta_T, "last step"),
        equal(value.subs(t, t + 1) - value, (beta_T - beta_1) / (T - 1), "steps of equal height"),
    ],
    mutants=[
        mutant("counted from zero", value=beta_1 + t / (T - 1) * (beta_T - beta_1)),
        mutant("divided by T", value=beta_1 + (t - 1) / T * (beta_T - beta_1)),
        mutant(
            "linear in the root",
            value=(sqrt(beta_1) + (t - 1) / (T - 1) * (sqrt(beta_T) - sqrt(beta_1))) ** 2,
            seen="the 'scaled_linear' schedule of diffusers",
        ),
    ],
    sources=["Ho2020 §4", "D3:98", "D3:338"],
    implemented_by=["ddpm_ref.schedule.linear"],
)
linear_schedule


# %%
schedule_rises = claim(
    "forward.linear-schedule-rises",
    "The linear schedule rises by equal steps",
    Equation(r"\beta_{t+1} - \beta_{t}", beta_rise / (T - 1)),
    given=[T > 1, Eq(beta_T, beta_1 + beta_rise)],
    proof=lambda value: [
        equal(linear_schedule.value.subs(t, t + 1) - linear_schedule.value, value, "from step to step"),
        less(0, value * (T - 1), "positive, since T > 1"),
    ],
    mutants=[
        mutant("constant", value=Integer(0)),
        mutant("one step too many", value=beta_rise / T),
        mutant("falls", value=-beta_rise / (T - 1)),
    ],
    sources=["D1:78", "D3:98"],
    remark="For a last $\\beta_T$ above the first, by $\\Delta\\beta$. Noise is added whether a schedule "
    "rises or not: nothing asks for it in general.",
)
schedule_rises


# %%
def cosine(s: Expr) -> Expr:
    return cos((s / T + offset) / (1 + offset) * pi / 2)


def squared_cosine(s: Expr) -> Expr:
    return cosine(s) ** 2


def telescopes(value: Expr) -> list[Obligation]:
    signal = squared_cosine(t) / squared_cosine(0)
    return [
        equal((1 - value) * signal.subs(t, t - 1), signal, "the quotients multiply up to the squared cosine"),
        equal(signal.subs(t, 0), 1, "the image at t = 0"),
        equal(signal.subs(t, T), 0, "no signal at t = T"),
    ]


cosine_schedule = claim(
    "forward.cosine-schedule",
    "The cosine schedule",
    Equation(beta_t, 1 - squared_cosine(t) / squared_cosine(t - 1)),
    definition=True,
    given=[
        Gt(cosine(0), 0),
        Gt(cosine(t - 1), 0),
    ],
    proof=telescopes,
    mutants=[
        mutant("cosine not squared", value=1 - cosine(t) / cosine(t - 1)),
        mutant("one step late", value=1 - squared_cosine(t + 1) / squared_cosine(t)),
        mutant(
            "offset not normalised",
            value=1 - cos((t / T + offset) * pi / 2) ** 2 / cos(((t - 1) / T + offset) * pi / 2) ** 2,
        ),
    ],
    sources=["Nichol & Dhariwal 2021 (17)"],
    implemented_by=["ddpm_ref.schedule.cosine"],
    remark="Not in the paper nor in the five documents; here because most code now has it.",
)
cosine_schedule

# %% [markdown]
# Both, for a thousand steps:
#
# <!-- picture schedules -->

# %% [markdown]
# ## Two steps by hand
#
# Most derivations of the closed form write out two steps and then say "and so on". The noise of the earlier
# step is $\epsilon_{t-1}$, and it is shrunk along with the image.

# %%
earlier_step = step.value.xreplace({alpha_t: alpha_prev, x_prev: x_two_back, eps: eps_prev})
earlier_step

# %%
two_steps = claim(
    "forward.two-steps",
    "Two steps as a sample",
    Equation(
        x_t,
        sqrt(alpha_t * alpha_prev) * x_two_back
        + sqrt(alpha_t * (1 - alpha_prev)) * eps_prev
        + sqrt(1 - alpha_t) * eps,
    ),
    given=[*NOISE, alpha_prev < 1],
    proof=lambda value: [
        equal(step.value.xreplace({x_prev: earlier_step}), value, "one step put into the next")
    ],
    mutants=[
        mutant(
            "ε_{t-2} for ε_{t-1}",
            value=sqrt(alpha_t * alpha_prev) * x_two_back
            + sqrt(alpha_t * (1 - alpha_prev)) * eps_two_back
            + sqrt(1 - alpha_t) * eps,
            seen="D2 line 43, third line",
        ),
        mutant(
            "the two noises taken to be the same",
            value=sqrt(alpha_t * alpha_prev) * x_two_back + sqrt(1 - alpha_t * alpha_prev) * eps,
            seen="D2 line 43, fourth line, if its ε_t is that of the first",
        ),
        mutant(
            "earlier noise not shrunk",
            value=sqrt(alpha_t * alpha_prev) * x_two_back
            + sqrt(1 - alpha_prev) * eps_prev
            + sqrt(1 - alpha_t) * eps,
        ),
    ],
    sources=["D2:43"],
    remark=r"$\epsilon$ is the noise of step $t$, $\epsilon_{t-1}$ that of the step before.",
)
two_steps

# %% [markdown]
# The two noises are independent, so their variances add, and one new standard normal $\bar\epsilon$ can stand
# for both. From here on the line is about the law of $x_t$ given $x_{t-2}$.


# %%
def of_merged_noise(value: Expr) -> list[Obligation]:
    keep, noise = diff(step.value, x_prev), diff(step.value, eps)
    earlier_noise = diff(earlier_step, eps_prev)
    mean, variance = after_step(sqrt(alpha_prev) * x_two_back, earlier_noise**2, keep, noise**2)
    return is_sample_of(value, eps_merged, mean, variance)


two_steps_merged = claim(
    "forward.two-steps-merged",
    "Two steps with one noise",
    Equation(x_t, sqrt(alpha_t * alpha_prev) * x_two_back + sqrt(1 - alpha_t * alpha_prev) * eps_merged),
    given=[*NOISE, alpha_prev < 1],
    proof=of_merged_noise,
    mutants=[
        mutant(
            "deviations added",
            value=sqrt(alpha_t * alpha_prev) * x_two_back
            + (sqrt(alpha_t * (1 - alpha_prev)) + sqrt(1 - alpha_t)) * eps_merged,
        ),
        mutant(
            "earlier noise not shrunk",
            value=sqrt(alpha_t * alpha_prev) * x_two_back + sqrt(2 - alpha_prev - alpha_t) * eps_merged,
        ),
        mutant(
            "this step's noise alone",
            value=sqrt(alpha_t * alpha_prev) * x_two_back + sqrt(1 - alpha_t) * eps_merged,
        ),
    ],
    uses=[density, chain, two_steps],
    sources=["D2:43"],
)
two_steps_merged

# %% [markdown]
# ## A step with next to no noise
#
# With $\beta_t$ at zero a step stays where it is. That is where the first, small steps begin.

# %%
without_noise = claim(
    "forward.kernel-without-noise",
    "The kernel at β = 0",
    Law("q(x_{t} \\mid x_{t-1}) |_{\\beta_{t} = 0}", x_t, x_prev, Integer(0)),
    proof=lambda mean, variance: [
        equal(kernel.mean.subs(beta_t, 0), mean, "mean"),
        equal(kernel.variance.subs(beta_t, 0), variance, "variance"),
    ],
    mutants=[
        mutant("all noise, as at β = 1", mean=0 * x_prev, variance=1),
        mutant("noise all the same", variance=1),
    ],
    sources=["D2:14"],
)
without_noise

# %% [markdown]
# ## What this chapter assumed
#
# Induction over the natural numbers; that the noise of each step is independent of everything before; and,
# for the cosine schedule, that the cosine is positive inside $(-\pi/2, \pi/2)$, which is listed as a
# hypothesis.
