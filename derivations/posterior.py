# %% [markdown]
# # The forward posterior
#
# Seen backwards, the forward process is no longer simple: $q(x_{t-1} \mid x_t)$ depends on the data. But
# once the image $x_0$ is known as well, it is Gaussian again, and its mean and variance have closed forms.
# They are what the network is trained towards.
#
# Bayes' rule gives it: the step from $t-1$ to $t$, times the law of $x_{t-1}$, over the law of $x_t$.

# %%
from sympy import Eq, Expr, Ge, Integer, Lt, sqrt

from derivations.forward import SCHEDULE, kernel, marginal
from derivations.gaussians import density, log_normal, products
from derivations.proof.certificates import gaussian_integral
from derivations.proof.claims import Equation, Holds, Law, claim, mutant
from derivations.proof.obligations import equal, less
from derivations.proof.symbols import (
    alpha_bar_next,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_next,
    alpha_t,
    beta_t,
    beta_tilde_t,
    mu_tilde,
    p_i,
    q_i,
    share,
    sqnorm,
    x,
    x_0,
    x_prev,
    x_t,
)

# %% [markdown]
# For $t \geq 2$ all three laws have densities. Their logarithms:

# %%
AFTER_THE_FIRST_STEP = (*SCHEDULE, alpha_bar_prev < 1)
NEXT_STEP = (alpha_next < 1, Eq(alpha_bar_next, alpha_bar_t * alpha_next))


def before(expression: Expr) -> Expr:
    """The same expression one step earlier."""
    return expression.xreplace({alpha_bar_t: alpha_bar_prev})


log_step = log_normal(x_t, kernel.mean, kernel.variance)
log_step

# %%
log_prior = log_normal(x_prev, before(marginal.mean), before(marginal.variance))
log_prior

# %%
log_evidence = log_normal(x_t, marginal.mean, marginal.variance)
log_evidence

# %% [markdown]
# ## Completing the square
#
# As a function of $x_{t-1}$ the sum of the first two is a quadratic. The coefficient of its square is the
# precision, and the precision is the sum of those of the two factors.

# %%
quadratic = gaussian_integral(log_step + log_prior, x_prev, "step times prior")
quadratic.precision

# %%
variance = claim(
    "posterior.variance",
    "Variance of the forward posterior",
    Equation(beta_tilde_t, (1 - alpha_bar_prev) / (1 - alpha_bar_t) * beta_t),
    given=[*AFTER_THE_FIRST_STEP, *NEXT_STEP],  # the mutants speak of t + 1
    proof=lambda value: [
        *quadratic.obligations,
        equal(value * quadratic.precision, 1, "inverse of the precision"),
    ],
    mutants=[
        mutant("divided by α_t", value=(1 - alpha_bar_prev) / alpha_t, seen="labml_nn, for eleven months"),
        mutant(
            "divided by one step's noise",
            value=(1 - alpha_bar_prev) / (1 - alpha_t) * beta_t,
            seen="varun-ml/diffusion-models-tutorial#1",
        ),
        mutant(
            "ᾱ padded on the wrong side: ᾱ_{t+1} for ᾱ_{t-1}",
            value=(1 - alpha_bar_next) / (1 - alpha_bar_t) * beta_t,
            seen="lucidrains/denoising-diffusion-pytorch#18",
        ),
        mutant("fraction inverted", value=(1 - alpha_bar_t) / (1 - alpha_bar_prev) * beta_t),
        mutant("ᾱ_t for ᾱ_{t-1}", value=beta_t),
        mutant(
            "a deviation",
            value=sqrt((1 - alpha_bar_prev) / (1 - alpha_bar_t) * beta_t),
            seen="D3 line 343, σ_t = β̃_t",
        ),
    ],
    uses=[density, kernel, marginal],
    sources=["Ho2020 (7)", "D2:107", "D3:248", "D3:343"],
    implemented_by=["ddpm_ref.process.q_posterior", "ddpm_ref.schedule.Schedule.posterior_variance"],
    remark="The formula holds at $t = 1$ too, where it gives zero. The proof by densities needs $t \\geq 2$; "
    "the first step is below.",
)
variance

# %% [markdown]
# The mean is the linear term over the precision: a weighted sum of the image and of where we are.

# %%
mean = claim(
    "posterior.mean",
    "Mean of the forward posterior",
    Equation(
        mu_tilde,
        sqrt(alpha_bar_prev) * beta_t / (1 - alpha_bar_t) * x_0
        + sqrt(alpha_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t,
    ),
    given=[*AFTER_THE_FIRST_STEP, *NEXT_STEP],  # the mutants speak of t + 1
    proof=lambda value: [
        *quadratic.obligations,
        equal(value * quadratic.precision, quadratic.shift, "linear term over precision"),
    ],
    mutants=[
        mutant(
            "roots exchanged",
            value=sqrt(alpha_t) * beta_t / (1 - alpha_bar_t) * x_0
            + sqrt(alpha_bar_prev) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t,
        ),
        mutant(
            "√ᾱ_t for √α_t",
            value=sqrt(alpha_bar_prev) * beta_t / (1 - alpha_bar_t) * x_0
            + sqrt(alpha_bar_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t,
            seen="D2 line 107, as printed",
        ),
        mutant(
            "ᾱ padded on the wrong side: ᾱ_{t+1} for ᾱ_{t-1}",
            value=sqrt(alpha_bar_next) * beta_t / (1 - alpha_bar_t) * x_0
            + sqrt(alpha_t) * (1 - alpha_bar_next) / (1 - alpha_bar_t) * x_t,
            seen="lucidrains/denoising-diffusion-pytorch#18",
        ),
        mutant(
            "root of ᾱ_{t-1} forgotten",
            value=alpha_bar_prev * beta_t / (1 - alpha_bar_t) * x_0
            + sqrt(alpha_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t,
        ),
        mutant(
            "image and state exchanged",
            value=sqrt(alpha_bar_prev) * beta_t / (1 - alpha_bar_t) * x_t
            + sqrt(alpha_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_0,
        ),
        mutant(
            "difference for sum",
            value=sqrt(alpha_bar_prev) * beta_t / (1 - alpha_bar_t) * x_0
            - sqrt(alpha_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t,
        ),
    ],
    uses=[density, kernel, marginal],
    sources=["Ho2020 (7)", "D2:107", "D3:248"],
    implemented_by=["ddpm_ref.process.q_posterior", "ddpm_ref.process.mu_from_x0"],
    remark=r"D3 prints $\sqrt{\alpha}$ without an index in this formula; with $\alpha_t$ it is right.",
)
mean

# %% [markdown]
# ## Nothing is left over
#
# Matching the square and the linear term fixes the Gaussian. That the constants agree as well, normalisers
# included, is a separate identity, and it is Bayes' rule itself, for every dimension:

# %%
posterior = claim(
    "posterior.law",
    "Bayes' rule, normaliser included",
    Law("q(x_{t-1} \\mid x_{t}, x_{0})", x_prev, mean.value, variance.value),
    given=AFTER_THE_FIRST_STEP,
    proof=lambda mean, variance: [
        equal(log_step + log_prior - log_evidence, log_normal(x_prev, mean, variance), "Bayes' rule")
    ],
    mutants=[
        mutant(
            "variance divided by α_t",
            variance=(1 - alpha_bar_prev) / alpha_t,
            seen="labml_nn, for eleven months",
        ),
        mutant("variance of the step", variance=beta_t),
        mutant(
            "√ᾱ_t for √α_t",
            mean=sqrt(alpha_bar_prev) * beta_t / (1 - alpha_bar_t) * x_0
            + sqrt(alpha_bar_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t,
            seen="D2 line 107, as printed",
        ),
    ],
    uses=[density, kernel, marginal, products, mean, variance],
    sources=["Ho2020 (6)", "D2:95", "D2:97", "D2:99", "D2:101", "D2:105", "D3:244"],
    implemented_by=["ddpm_ref.process.q_posterior"],
    assumes=["Bayes' rule for densities, and the Markov property: q(x_t | x_{t-1}, x_0) = q(x_t | x_{t-1})"],
)
posterior

# %% [markdown]
# ## Between zero and β
#
# Knowing the image can only reduce the uncertainty about $x_{t-1}$: the posterior variance is below the
# step's own, and never negative.

# %%
not_negative = claim(
    "posterior.variance-not-negative",
    "The variance is not negative",
    Holds(Ge(variance.value, 0, evaluate=False)),
    given=SCHEDULE,
    mutants=[
        mutant(
            "with ᾱ_t - ᾱ_{t-1} upside down",
            relation=Ge((alpha_bar_t - alpha_bar_prev) / (1 - alpha_bar_t), 0, evaluate=False),
        ),
        mutant("above half the step's", relation=Ge(variance.value, beta_t / 2, evaluate=False)),
    ],
    uses=[variance],
    sources=["D3:248"],
)
not_negative

# %%
below_step = claim(
    "posterior.variance-below-step",
    "The variance is below the step's",
    Holds(Lt(variance.value, beta_t, evaluate=False)),
    given=SCHEDULE,
    mutants=[
        mutant(
            "fraction inverted",
            relation=Lt((1 - alpha_bar_t) / (1 - alpha_bar_prev) * beta_t, beta_t, evaluate=False),
        ),
        mutant("below half the step's", relation=Lt(variance.value, beta_t / 2, evaluate=False)),
    ],
    uses=[variance],
    sources=["D3:253"],
    remark=r"So the paper's two choices of reverse variance, $\tilde\beta_t$ and $\beta_t$, are ordered.",
)
below_step

# %% [markdown]
# The weights and the variance along two schedules:
#
# <!-- picture posterior -->

# %% [markdown]
# ## The first step
#
# At $t = 1$ the state before is the image itself. The formulas say so: with $\bar\alpha_0 = 1$ the mean is
# $x_0$ and the variance zero. A table that is padded with $\bar\alpha_1$ instead of $1$ gets both wrong, by
# little enough that no sample grid shows it.

# %%
first_step = claim(
    "posterior.first-step",
    "At t = 1 the posterior is the image",
    Law("q(x_{0} \\mid x_{1}, x_{0})", x_0, x_0, Integer(0)),
    given=[*SCHEDULE, Eq(alpha_bar_prev, 1)],
    proof=lambda mean, variance: [
        equal(posterior.mean, mean, "mean"),
        equal(posterior.variance, variance, "variance"),
    ],
    mutants=[
        mutant(
            "ᾱ_0 padded with ᾱ_1",
            mean=posterior.mean.xreplace({alpha_bar_prev: alpha_bar_t}),
            variance=posterior.variance.xreplace({alpha_bar_prev: alpha_bar_t}),
        ),
        mutant("variance of the step", variance=beta_t),
        mutant("the state for the image", mean=x_t),
    ],
    sources=["D3:248"],
    implemented_by=["ddpm_ref.process.q_posterior"],
)
first_step

# %% [markdown]
# A variance of zero has no logarithm, and a decoder needs a width. The original code therefore uses
# $\tilde\beta_2$ at $t = 1$, for both fixed variances. It matters for the likelihood's last term only:
# sampling adds no noise at $t = 1$.


# %%
def next_step(expression: Expr) -> Expr:
    """The same expression one step later."""
    return expression.subs(
        {beta_t: 1 - alpha_next, alpha_bar_prev: alpha_bar_t, alpha_bar_t: alpha_bar_next}, simultaneous=True
    )


clipped = claim(
    "posterior.log-variance-clipped",
    "The variance at t = 1",
    Equation(
        r"\sigma_{1}^{2} = \tilde{\beta}_{2}", (1 - alpha_bar_t) / (1 - alpha_bar_next) * (1 - alpha_next)
    ),
    definition=True,
    given=[*SCHEDULE, Eq(alpha_bar_prev, 1), *NEXT_STEP],
    proof=lambda value: [
        equal(value, next_step(variance.value), "posterior variance of the second step"),
        less(0, value, "has a logarithm"),
    ],
    mutants=[
        mutant("the first step's own", value=variance.value),
        mutant("β_1", value=beta_t, seen="improved-diffusion#45, guided-diffusion#69"),
        mutant("β_2", value=1 - alpha_next),
    ],
    sources=["hojonathanho/diffusion: posterior_log_variance_clipped, fixedlarge"],
    implemented_by=[
        "ddpm_ref.schedule.Schedule.variance_fixed_small",
        "ddpm_ref.schedule.Schedule.variance_fixed_large",
    ],
    remark="Here $t = 1$ throughout, so $t + 1$ is the second step.",
)
clipped

# %% [markdown]
# ## The denominator of Bayes' rule
#
# The evidence is the sum, or the integral, of the likelihood times the prior over everything that may have
# been the cause. It is what makes the posteriors sum to one. For two causes, with likelihoods $p_i$ and $q_i$
# and prior probabilities $s$ and $1 - s$:

# %%
evidence = claim(
    "posterior.evidence",
    "The evidence",
    Equation(r"p(D) = \sum_{x} p(D \mid x)\, p(x)", share * p_i + (1 - share) * q_i),
    given=[share < 1],
    proof=lambda value: [
        equal(share * p_i / value + (1 - share) * q_i / value, 1, "the two posteriors sum to one")
    ],
    mutants=[
        mutant(
            "the evidence itself summed over x",
            value=2 * (share * p_i + (1 - share) * q_i),
            seen="D5 line 163",
        ),
        mutant("the prior forgotten", value=p_i + q_i),
        mutant("likelihood and prior of different causes", value=share * q_i + (1 - share) * p_i),
    ],
    sources=["D5:163"],
    remark="For the true reverse step x is the state before, and its law is that of noised data: that is "
    "what is not known.",
)
evidence

# %% [markdown]
# ## The exponents, by hand
#
# Written out, Bayes' rule has three exponents: the step's, that of the law of $x_{t-1}$ and, divided out,
# that of the law of $x_t$. Whatever does not contain $x_{t-1}$ may be left out, so an exponent is judged by
# its change from another value $x$ to $x_{t-1}$, which is the logarithm of a quotient of densities.


# %%
def change(exponent: Expr) -> Expr:
    """The change of an exponent from x to x_{t-1}."""
    return exponent - exponent.xreplace({x_prev: x})


three_exponents = (
    -sqnorm(x_t - sqrt(alpha_t) * x_prev) / (2 * beta_t)
    - sqnorm(x_prev - sqrt(alpha_bar_prev) * x_0) / (2 * (1 - alpha_bar_prev))
    + sqnorm(x_t - sqrt(alpha_bar_t) * x_0) / (2 * (1 - alpha_bar_t))
)
three_exponents

# %%
exponent = claim(
    "posterior.exponent",
    "The exponent of the forward posterior",
    Equation(
        r"\log \frac{q(x_{t-1} \mid x_{t}, x_{0})}{q(x \mid x_{t}, x_{0})}",
        change(three_exponents),
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=lambda value: [
        equal(
            value,
            change(log_normal(x_prev, posterior.mean, posterior.variance)),
            "difference of the posterior's log-densities",
        )
    ],
    mutants=[
        mutant(
            "ᾱ_{t-1} for α_t, signs lost, x_{t-1} in all three",
            value=change(
                -sqnorm(x_t - sqrt(alpha_bar_prev) * x_prev) / (2 * beta_t)
                + sqnorm(x_prev - sqrt(alpha_bar_prev) * x_0) / (2 * (1 - alpha_bar_prev))
                - sqnorm(x_prev - sqrt(alpha_bar_prev) * x_0) / (2 * (1 - alpha_bar_t))
            ),
            seen="D2 line 99, with t + 1 read as t - 1",
        ),
        mutant(
            "square completed, with √ᾱ_t for √α_t",
            value=change(
                -(1 - alpha_bar_t)
                / (2 * beta_t * (1 - alpha_bar_prev))
                * sqnorm(
                    x_prev
                    - sqrt(alpha_bar_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t
                    - sqrt(alpha_bar_prev) * beta_t / (1 - alpha_bar_t) * x_0
                )
            ),
            seen="D2 line 101, with its parentheses put right",
        ),
        mutant(
            "β_t² for the variance",
            value=change(-sqnorm(x_prev - mean.value) / (2 * beta_t**2)),
            seen="D2 line 103",
        ),
        mutant(
            "the law of x_{t-1} forgotten",
            value=change(-sqnorm(x_t - sqrt(alpha_t) * x_prev) / (2 * beta_t)),
        ),
    ],
    uses=[density],
    sources=["D2:99", "D2:101", "D2:103"],
    remark="x is any other value in the place of x_{t-1}.",
)
exponent

# %% [markdown]
# ## What this chapter assumed
#
# Bayes' rule for densities and the Markov property of the forward process.
