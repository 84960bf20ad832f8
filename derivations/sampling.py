# %% [markdown]
# # Sampling
#
# Ancestral sampling walks the reverse chain: from $x_T \sim \mathcal{N}(0, I)$ draw $x_{T-1}$, and so on
# down to $x_0$. This chapter proves the line of code that does a step, what happens at the last one, and,
# for Gaussian data, the exact law of what comes out. The last is how the sampler is tested: with the exact
# denoiser it is an affine map of its noises, so its law can be read off without drawing a single sample.

# %%
from sympy import Eq, Integer, diff, log, pi, sqrt

from derivations.forward import SCHEDULE, marginal, sample
from derivations.gaussians import after_step, chain, density, is_sample_of, log_normal, reparameterization
from derivations.parameterization import mean_from_eps, x0_from_eps
from derivations.posterior import variance as posterior_variance
from derivations.proof.claims import Equation, Law, claim, mutant
from derivations.proof.obligations import equal
from derivations.proof.symbols import (
    E,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_t,
    beta_t,
    d,
    data_deviation,
    data_mean,
    eps,
    eps_theta,
    inner,
    mu_1,
    mu_theta,
    sigma,
    sigma_1,
    sigma_t,
    x_0,
    x_prev,
    x_t,
    z,
)

# %% [markdown]
# ## One step
#
# The reverse step is $\mathcal{N}(\mu_\theta, \sigma_t^2 I)$ with the mean of the noise parameterisation;
# reparameterised, it is the fourth line of the paper's Algorithm 2.

# %%
model_mean = mean_from_eps.value.xreplace({eps: eps_theta})
model_mean

# %%
ancestral_step = claim(
    "sampling.ancestral-step",
    "One ancestral step",
    Equation(x_prev, (x_t - beta_t / sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_t) + sigma_t * z),
    given=SCHEDULE,
    proof=lambda value: is_sample_of(value, z, mean_from_eps.value.xreplace({eps: eps_theta}), sigma_t**2),
    mutants=[
        mutant(
            "variance for deviation",
            value=(x_t - beta_t / sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_t) + sigma_t**2 * z,
            seen="D3 line 343, σ_t = β̃_t; labml_nn#152",
        ),
        mutant(
            "noise scaled with the mean",
            value=(x_t - beta_t / sqrt(1 - alpha_bar_t) * eps_theta + sigma_t * z) / sqrt(alpha_t),
        ),
        mutant(
            "√β for β",
            value=(x_t - sqrt(beta_t) / sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_t) + sigma_t * z,
        ),
        mutant(
            "noise added",
            value=(x_t + beta_t / sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_t) + sigma_t * z,
        ),
        mutant(
            "ᾱ for α",
            value=(x_t - beta_t / sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_bar_t) + sigma_t * z,
        ),
    ],
    uses=[density, reparameterization],
    sources=["Ho2020 Algorithm 2", "D3:305", "D3:342"],
    implemented_by=["ddpm_ref.process.p_sample"],
)
ancestral_step

# %% [markdown]
# ## The last step
#
# At $t = 1$ the mean is the predicted image itself, and no noise is added.

# %%
last_step = claim(
    "sampling.last-step",
    "The last mean is the predicted image",
    Equation(mu_theta, (x_t - sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_bar_t)),
    given=[*SCHEDULE, Eq(alpha_bar_prev, 1)],
    proof=lambda value: [
        equal(mean_from_eps.value.xreplace({eps: eps_theta}), value, "mean with ᾱ_0 = 1"),
        equal(x0_from_eps.value.xreplace({eps: eps_theta}), value, "predicted image"),
    ],
    mutants=[
        mutant("the state itself", value=x_t),
        mutant("β for its root", value=(x_t - beta_t * eps_theta) / sqrt(alpha_bar_t)),
        mutant("rescaled twice", value=(x_t - sqrt(1 - alpha_bar_t) * eps_theta) / alpha_bar_t),
    ],
    sources=["Ho2020 Algorithm 2, line 3"],
    implemented_by=["ddpm_ref.process.p_sample"],
    remark=r"The symbols are those of $t = 1$: $\bar\alpha_1 = \alpha_1$ and $1 - \bar\alpha_1 = \beta_1$.",
)
last_step

# %% [markdown]
# ## A case where the truth is known
#
# Let each coordinate of the data be Gaussian with mean $m$ and deviation $s$. Then image, noise and state
# are jointly Gaussian, and the best predictor of the noise is its conditional mean. It is the affine
# function of $x_t$ that leaves an error of mean zero, uncorrelated with $x_t$.

# %%
data = data_mean + data_deviation * z
state = sample.value.xreplace({x_0: data})
state

# %%
gaussian_denoiser = claim(
    "sampling.gaussian-denoiser",
    "The best noise predictor for Gaussian data",
    Equation(
        r"\epsilon^{*}(x_{t})",
        sqrt(1 - alpha_bar_t)
        / (alpha_bar_t * data_deviation**2 + 1 - alpha_bar_t)
        * (x_t - sqrt(alpha_bar_t) * data_mean),
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(E(eps - value.xreplace({x_t: state})), 0, "error of mean zero"),
        equal(E(inner(eps - value.xreplace({x_t: state}), state)), 0, "error uncorrelated with the state"),
    ],
    mutants=[
        mutant(
            "deviation for variance",
            value=sqrt(1 - alpha_bar_t)
            / (alpha_bar_t * data_deviation + 1 - alpha_bar_t)
            * (x_t - sqrt(alpha_bar_t) * data_mean),
        ),
        mutant(
            "mean not scaled",
            value=sqrt(1 - alpha_bar_t)
            / (alpha_bar_t * data_deviation**2 + 1 - alpha_bar_t)
            * (x_t - data_mean),
        ),
        mutant("as for a single image", value=(x_t - sqrt(alpha_bar_t) * data_mean) / sqrt(1 - alpha_bar_t)),
        mutant(
            "as for standard normal data", value=sqrt(1 - alpha_bar_t) * (x_t - sqrt(alpha_bar_t) * data_mean)
        ),
    ],
    uses=[sample],
    sources=["Ho2020 §3.2"],
    implemented_by=["ddpm_ref.denoisers.GaussianDenoiser", "ddpm_ref.denoisers.Denoiser.__call__"],
    assumes=[
        "jointly Gaussian variables that are uncorrelated are independent, so this projection is the "
        "conditional mean"
    ],
)
gaussian_denoiser

# %% [markdown]
# ## The law of the reverse chain
#
# With that denoiser a reverse step is affine in the state. So if $x_t$ is Gaussian, $x_{t-1}$ is, and mean
# and variance obey a recursion.

# %%
exact_step = ancestral_step.value.xreplace({eps_theta: gaussian_denoiser.value})
exact_step

# %%
factor = (1 - beta_t / (alpha_bar_t * data_deviation**2 + 1 - alpha_bar_t)) / sqrt(alpha_t)
pull = beta_t * sqrt(alpha_bar_t) / (sqrt(alpha_t) * (alpha_bar_t * data_deviation**2 + 1 - alpha_bar_t))

reverse_law = claim(
    "sampling.reverse-law",
    "The law of the reverse chain, step by step",
    Law(
        "p_{\\theta}(x_{t-1})", x_prev, factor * mu_1 + pull * data_mean, factor**2 * sigma_1**2 + sigma_t**2
    ),
    given=SCHEDULE,
    proof=lambda mean, variance: [
        equal(exact_step.xreplace({x_t: mu_1, z: Integer(0)}), mean, "the affine map at the mean"),
        equal(
            after_step(0, sigma_1**2, diff(exact_step, x_t), diff(exact_step, z) ** 2)[1],
            variance,
            "its slopes, squared",
        ),
    ],
    mutants=[
        mutant("slope not squared", variance=factor * sigma_1**2 + sigma_t**2),
        mutant("no noise", variance=factor**2 * sigma_1**2),
        mutant("pulled with the wrong root", mean=factor * mu_1 + pull * sqrt(alpha_t) * data_mean),
        mutant("deviation for variance", variance=factor**2 * sigma_1**2 + sigma_t),
    ],
    uses=[chain, ancestral_step, gaussian_denoiser],
    sources=["Ho2020 §3.2"],
    implemented_by=["ddpm_ref.sampler.ancestral", "ddpm_ref.reverse_law.reverse_law"],
    remark=r"Here $\mathcal{N}(\mu_1, \sigma_1^2 I)$ is the law of $x_t$. Start from $\mathcal{N}(0, I)$ "
    "at $T$ and apply it down to $t = 1$.",
)
reverse_law

# %% [markdown]
# ## Two variances, each right for one kind of data
#
# The paper says that $\sigma_t^2 = \beta_t$ is optimal for standard normal data and $\sigma_t^2 =
# \tilde\beta_t$ for a single image. Both follow from the recursion: if the law at $t$ is the forward
# marginal, so is the law at $t - 1$.

# %%
normal_data = claim(
    "sampling.variance-for-normal-data",
    "Standard normal data: the step's variance is exact",
    Equation(r"\sigma_{t}^{2}", beta_t),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            reverse_law.variance.subs({data_deviation: 1, sigma_1: 1}).subs(sigma_t, sqrt(value)),
            1,
            "unit variance at t gives unit variance at t - 1",
        )
    ],
    mutants=[
        mutant("the posterior's variance", value=posterior_variance.value),
        mutant("variance squared", value=beta_t**2),
        mutant("no noise", value=Integer(0)),
    ],
    sources=["Ho2020 §3.2", "D3:253"],
    implemented_by=["ddpm_ref.schedule.Schedule.variance_fixed_large"],
)
normal_data

# %%
single_image = claim(
    "sampling.variance-for-one-image",
    "A single image: the posterior's variance is exact",
    Equation(r"\sigma_{t}^{2}", posterior_variance.value),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            reverse_law.variance.subs(data_deviation, 0)
            .subs(sigma_1, sqrt(marginal.variance))
            .subs(sigma_t, sqrt(value)),
            1 - alpha_bar_prev,
            "the forward variance at t gives that at t - 1",
        )
    ],
    mutants=[
        mutant("the step's variance", value=beta_t),
        mutant("divided by α_t", value=(1 - alpha_bar_prev) / alpha_t, seen="labml_nn, for eleven months"),
        mutant("no noise", value=Integer(0)),
    ],
    uses=[posterior_variance],
    sources=["Ho2020 §3.2", "D3:253"],
    implemented_by=["ddpm_ref.schedule.Schedule.variance_fixed_small"],
)
single_image

# %% [markdown]
# What is left of the difference after all steps:
#
# <!-- picture sampler-law -->

# %% [markdown]
# ## Skipping steps
#
# A thousand network evaluations are many. Can a step lead from $t$ to some earlier $s$ at once? Given the
# image it can: Bayes' rule works on a stretch of steps as it does on one.

# %%
from sympy import Expr, Le, Lt

from derivations.forward import composition
from derivations.gaussians import density
from derivations.parameterization import eps_from_x0
from derivations.posterior import posterior
from derivations.proof.certificates import gaussian_integral
from derivations.proof.obligations import Obligation, at_most
from derivations.proof.symbols import alpha_bar_s, eta, rho, x_s

SKIPPING = (
    *SCHEDULE,
    Lt(alpha_bar_t, alpha_bar_s, evaluate=False),
    Lt(alpha_bar_s, 1, evaluate=False),
)

stretch_variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)
stretch_mean = (
    sqrt(alpha_bar_s) * (1 - alpha_bar_t / alpha_bar_s) / (1 - alpha_bar_t) * x_0
    + sqrt(alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t) * x_t
)
log_evidence = log_normal(x_t, marginal.mean, marginal.variance)
log_prior = log_normal(x_s, sqrt(alpha_bar_s) * x_0, 1 - alpha_bar_s)


# %%
def one_step_back(expression: Expr) -> Expr:
    """A statement about s and t, read at s = t - 1."""
    adjacent: Expr = expression.xreplace({alpha_bar_s: alpha_bar_prev, x_s: x_prev})
    return adjacent


def bayes_on_a_stretch(mean: Expr, variance: Expr) -> list[Obligation]:
    log_stretch = log_normal(x_t, composition.mean, composition.variance)
    quadratic = gaussian_integral(log_stretch + log_prior, x_s, "stretch times prior")
    return [
        equal(variance * quadratic.precision, 1, "inverse of the precision"),
        equal(mean * quadratic.precision, quadratic.shift, "linear term over precision"),
        equal(log_stretch + log_prior - log_evidence, log_normal(x_s, mean, variance), "Bayes' rule"),
        equal(one_step_back(mean), posterior.mean, "with s = t - 1, the forward posterior's mean"),
        equal(one_step_back(variance), posterior.variance, "with s = t - 1, its variance"),
    ]


stretch_posterior = claim(
    "sampling.stretch-posterior",
    "The posterior of a stretch of steps",
    Law("q(x_{s} \\mid x_{t}, x_{0})", x_s, stretch_mean, stretch_variance),
    given=[*SKIPPING, alpha_bar_prev < 1],
    proof=bayes_on_a_stretch,
    mutants=[
        mutant(
            "one step's β",
            variance=(1 - alpha_bar_s) / (1 - alpha_bar_t) * beta_t,
            seen="diffusers#2076, where t - 1 stands for the step before when steps are skipped",
        ),
        mutant(
            "one step's ᾱ before",
            variance=(1 - alpha_bar_prev) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s),
            seen="diffusers#9261",
        ),
        mutant("difference for quotient", variance=(1 - alpha_bar_s) * (alpha_bar_s - alpha_bar_t)),
        mutant(
            "one step's root",
            mean=sqrt(alpha_bar_s) * (1 - alpha_bar_t / alpha_bar_s) / (1 - alpha_bar_t) * x_0
            + sqrt(alpha_t) * (1 - alpha_bar_s) / (1 - alpha_bar_t) * x_t,
        ),
    ],
    uses=[density, marginal],
    sources=["Nichol & Dhariwal 2021 §4", "D5:177", "D5:179"],
    implemented_by=["ddpm_ref.subsequence.Subsequence"],
    assumes=["Bayes' rule for densities, and the Markov property: q(x_t | x_s, x_0) = q(x_t | x_s)"],
)
stretch_posterior

# %% [markdown]
# That answers for data of one image. For other data the true law of $x_s$ given $x_t$ is a mixture, the
# further from a Gaussian the longer the stretch (the chapter on small steps measures it). And the update of
# a single step, used on a stretch, is plainly wrong: it leads to $t - 1$.
#
# Song, Meng and Ermon ask for less: any step that takes the marginal law at $t$ to that at $s$, for every
# image, since training never looked at anything but the marginals. They point from the image in the
# direction of the noise $\hat\epsilon$ that $x_t$ shows, and replace some of it by fresh noise of a variance
# $\sigma_t^2$ that one may choose.

# %%
shown_noise = eps_from_x0.value
shown_noise

# %%
ROOM = (Le(sigma_t**2, 1 - alpha_bar_s, evaluate=False),)


def keeps_marginals(mean: Expr, variance: Expr) -> list[Obligation]:
    slope = diff(mean, x_t)
    return [
        equal(mean.xreplace({x_t: marginal.mean}), sqrt(alpha_bar_s) * x_0, "mean of the marginal at s"),
        equal(after_step(0, marginal.variance, slope, variance)[1], 1 - alpha_bar_s, "variance of it"),
    ]


ddim_family = claim(
    "sampling.ddim-family",
    "A family of steps that keep the marginals",
    Law(
        "q_{\\sigma}(x_{s} \\mid x_{t}, x_{0})",
        x_s,
        sqrt(alpha_bar_s) * x_0 + sqrt(1 - alpha_bar_s - sigma_t**2) * shown_noise,
        sigma_t**2,
    ),
    given=[*SKIPPING, *ROOM],
    proof=keeps_marginals,
    mutants=[
        mutant(
            "a single step's update after skipped steps",
            mean=mean_from_eps.value.xreplace({eps: shown_noise}),
            variance=beta_t,
            seen="diffusers#2076",
        ),
        mutant(
            "to t - 1 only, whatever s is",
            mean=sqrt(alpha_bar_prev) * x_0 + sqrt(1 - alpha_bar_prev - sigma_t**2) * shown_noise,
            seen="D5 line 177, one step at a time",
        ),
        mutant(
            "fresh noise on top of the old",
            mean=sqrt(alpha_bar_s) * x_0 + sqrt(1 - alpha_bar_s) * shown_noise,
        ),
        mutant("deviation for variance", variance=sigma_t),
        mutant(
            "noise as strong as at t",
            mean=sqrt(alpha_bar_s) * x_0 + sqrt(1 - alpha_bar_t) * shown_noise,
        ),
        mutant(
            "image not scaled",
            mean=x_0 + sqrt(1 - alpha_bar_s - sigma_t**2) * shown_noise,
        ),
    ],
    uses=[chain, marginal, eps_from_x0],
    sources=["Song, Meng & Ermon 2021 (7)", "D5:177"],
    implemented_by=["ddpm_ref.subsequence.Subsequence"],
    remark="D5 says that t steps cannot be skipped because μ_θ changes from step to step. They can: s is any "
    "step before t. What cannot be done is to use a single step's update for it.",
)
ddim_family

# %% [markdown]
# One number $\eta$ is usually chosen instead of the variances. With $\eta = 1$ the family is the posterior of
# the stretch, so with adjacent steps it is DDPM; with $\eta = 0$ nothing is drawn at all, and the image is a
# function of $x_T$. The roots are compared by their squares, both being positive.

# %%
kept_noise = sqrt(alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / sqrt(1 - alpha_bar_t)


def between_ddpm_and_none(value: Expr) -> list[Obligation]:
    full = value.subs(eta, 1)
    return [
        equal(full, stretch_posterior.variance, "η = 1: variance of the posterior of the stretch"),
        equal(
            stretch_posterior.mean,
            sqrt(alpha_bar_s) * x_0 + kept_noise * shown_noise,
            "the posterior's mean points in the direction of the noise too",
        ),
        equal(kept_noise**2, 1 - alpha_bar_s - full, "η = 1: and as far as the family's"),
        equal(one_step_back(full), posterior_variance.value, "η = 1 and s = t - 1: DDPM's β̃_t"),
        equal(value.subs(eta, 0), 0, "η = 0: nothing is drawn"),
        equal(value, eta**2 * full, "η multiplies the deviation"),
        at_most(
            value,
            1 - alpha_bar_s,
            "η < 1: there is room for it",
            given=(eta < 1, Eq(alpha_bar_prev, rho * alpha_bar_s), rho <= 1),
        ),
    ]


ddim_eta = claim(
    "sampling.ddim-eta",
    "From DDPM to a deterministic sampler",
    Equation(
        r"\sigma_{t}^{2}(\eta)",
        eta**2 * (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s),
    ),
    definition=True,
    given=SKIPPING,
    proof=between_ddpm_and_none,
    mutants=[
        mutant(
            "η scales the variance",
            value=eta * (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s),
        ),
        mutant("as much as there is room for", value=eta**2 * (1 - alpha_bar_s)),
        mutant(
            "one step's β",
            value=eta**2 * (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta_t,
            seen="diffusers#2076",
        ),
        mutant("the step's own variance", value=eta**2 * (1 - alpha_bar_t / alpha_bar_s)),
    ],
    uses=[eps_from_x0, ddim_family],
    sources=["Song, Meng & Ermon 2021 (16)", "D5:49", "D5:177"],
    implemented_by=["ddpm_ref.subsequence.Subsequence"],
    remark="D5 calls the reverse process deterministic: that is η = 0, not DDPM.",
)
ddim_eta

# %% [markdown]
# The line of code puts the predicted image and the predicted noise in. At $s = 0$ both roots vanish and the
# predicted image is left.

# %%
ddim_step = claim(
    "sampling.ddim-step",
    "One DDIM step",
    Equation(
        x_s,
        sqrt(alpha_bar_s) * (x_t - sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_bar_t)
        + sqrt(1 - alpha_bar_s - sigma_t**2) * eps_theta
        + sigma_t * z,
    ),
    given=[*SKIPPING, *ROOM],
    proof=lambda value: is_sample_of(
        value,
        z,
        ddim_family.mean.xreplace({x_0: x0_from_eps.value.xreplace({eps: eps_theta})}),
        ddim_family.variance,
    ),
    mutants=[
        mutant(
            "variance for deviation",
            value=sqrt(alpha_bar_s) * (x_t - sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_bar_t)
            + sqrt(1 - alpha_bar_s - sigma_t**2) * eps_theta
            + sigma_t**2 * z,
        ),
        mutant(
            "predicted noise in full",
            value=sqrt(alpha_bar_s) * (x_t - sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_bar_t)
            + sqrt(1 - alpha_bar_s) * eps_theta
            + sigma_t * z,
        ),
        mutant(
            "predicted image not scaled",
            value=(x_t - sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_bar_t)
            + sqrt(1 - alpha_bar_s - sigma_t**2) * eps_theta
            + sigma_t * z,
        ),
    ],
    uses=[density, reparameterization],
    sources=["Song, Meng & Ermon 2021 (12)"],
    implemented_by=["ddpm_ref.sampler.sample"],
)
ddim_step

# %% [markdown]
# Without fresh noise the step is a bijection for a fixed prediction, and can be walked the other way: that
# encodes an image. The factor of the noise is a difference of two roots that nearly agree. Code had better
# divide $1 - \bar\alpha_t / \bar\alpha_s$ by their sum.

# %%
backwards = sqrt(1 - alpha_bar_t) - sqrt(alpha_bar_t / alpha_bar_s) * sqrt(1 - alpha_bar_s)
backwards

# %%
ddim_inversion = claim(
    "sampling.ddim-inversion",
    "The DDIM step, backwards",
    Equation(x_t, sqrt(alpha_bar_t / alpha_bar_s) * x_s + backwards * eps_theta),
    given=SKIPPING,
    proof=lambda value: [
        equal(
            ddim_step.value.subs({sigma_t: 0, z: 0}).xreplace({x_t: value}),
            x_s,
            "the step without noise leads back",
        ),
        equal(
            diff(value, eps_theta)
            * (sqrt(1 - alpha_bar_t) + sqrt(alpha_bar_t / alpha_bar_s) * sqrt(1 - alpha_bar_s)),
            1 - alpha_bar_t / alpha_bar_s,
            "difference times sum",
        ),
    ],
    mutants=[
        mutant(
            "a forward step with the predicted noise",
            value=sqrt(alpha_bar_t / alpha_bar_s) * x_s + sqrt(1 - alpha_bar_t / alpha_bar_s) * eps_theta,
        ),
        mutant(
            "all the noise on top",
            value=sqrt(alpha_bar_t / alpha_bar_s) * x_s + sqrt(1 - alpha_bar_t) * eps_theta,
        ),
        mutant("downwards", value=sqrt(alpha_bar_t / alpha_bar_s) * x_s - backwards * eps_theta),
        mutant(
            "one step's factors",
            value=sqrt(alpha_t) * x_s
            + (sqrt(1 - alpha_bar_t) - sqrt(alpha_t) * sqrt(1 - alpha_bar_prev)) * eps_theta,
        ),
    ],
    uses=[ddim_step],
    sources=["Song, Meng & Ermon 2021 §4.3"],
    implemented_by=["ddpm_ref.latents.encode"],
    remark="The prediction is the one at x_t, which is not known yet when the step is taken; that at x_s "
    "stands in for it, or a few rounds of iteration find it.",
)
ddim_inversion

# %% [markdown]
# ## Between two images
#
# Two images can be noised to level $t$, mixed there, and brought back. If they share their noise, the mixture
# is as noisy as the network expects at $t$. With noises of their own it is not, and the network takes what is
# left of the noise for image.

# %%
from derivations.proof.symbols import mixing, x_0_other

mixed = (1 - mixing) * sample.value + mixing * sample.value.xreplace({x_0: x_0_other})
mixed

# %%
interpolation = claim(
    "sampling.interpolation",
    "The law of an interpolated state",
    Law(
        r"q(\bar{x}_{t} \mid x_{0}, x_{0}')",
        x_t,
        sqrt(alpha_bar_t) * ((1 - mixing) * x_0 + mixing * x_0_other),
        1 - alpha_bar_t,
    ),
    given=[*SCHEDULE, mixing < 1],
    proof=lambda mean, variance: [
        equal(mixed.xreplace({eps: Integer(0)}), mean, "the mixture without its noise"),
        equal(diff(mixed, eps) ** 2, variance, "the noise's factor, squared"),
        equal(variance, marginal.variance, "the noise of level t"),
    ],
    mutants=[
        mutant("noises of their own", variance=((1 - mixing) ** 2 + mixing**2) * (1 - alpha_bar_t)),
        mutant("the first image's noise alone", variance=(1 - mixing) ** 2 * (1 - alpha_bar_t)),
        mutant("images not scaled", mean=(1 - mixing) * x_0 + mixing * x_0_other),
        mutant("images exchanged", mean=sqrt(alpha_bar_t) * (mixing * x_0 + (1 - mixing) * x_0_other)),
    ],
    uses=[sample],
    sources=["Ho2020 §4.4"],
    implemented_by=["ddpm_ref.latents.interpolate"],
    remark="w is the share of the second image. With noises of their own and w = 1/2, half of the noise's "
    "variance is missing.",
)
interpolation

# %% [markdown]
# DDIM's latents are noise altogether, so there is no noise to share: a straight line between two of them
# passes too near the origin. A great circle does not. Let $\theta$ be the angle between $u$ and $v$, of equal
# length, and $h$ the vector of that length at right angles to $u$, so that $v = u \cos\theta + h \sin\theta$.
# Whoever walks the circle from $u$ has got to $u \cos w\theta + h \sin w\theta$ after a share $w$ of the way.
# Sines and cosines are rational in the tangent of half the angle.

# %%
from derivations.proof.symbols import direction, half_left, half_walked, latent_1, latent_2


def sine(half: Expr) -> Expr:
    return 2 * half / (1 + half**2)


def cosine(half: Expr) -> Expr:
    return (1 - half**2) / (1 + half**2)


whole_sine = sine(half_walked) * cosine(half_left) + cosine(half_walked) * sine(half_left)
whole_cosine = cosine(half_walked) * cosine(half_left) - sine(half_walked) * sine(half_left)

slerp = claim(
    "sampling.slerp",
    "Along a great circle",
    Equation(r"\bar{x}_{T}", (sine(half_left) * latent_1 + sine(half_walked) * latent_2) / whole_sine),
    given=[half_walked * half_left < 1],
    proof=lambda value: [
        equal(
            value.xreplace({latent_2: whole_cosine * latent_1 + whole_sine * direction}),
            cosine(half_walked) * latent_1 + sine(half_walked) * direction,
            "the point of the circle after a share of the angle",
        )
    ],
    mutants=[
        mutant(
            "a straight line: weights that add up to one",
            value=(sine(half_left) * latent_1 + sine(half_walked) * latent_2)
            / (sine(half_left) + sine(half_walked)),
        ),
        mutant(
            "ends exchanged",
            value=(sine(half_walked) * latent_1 + sine(half_left) * latent_2) / whole_sine,
        ),
        mutant("not divided", value=sine(half_left) * latent_1 + sine(half_walked) * latent_2),
        mutant(
            "cosines",
            value=(cosine(half_walked) * latent_1 + cosine(half_left) * latent_2) / whole_sine,
        ),
    ],
    sources=["Song, Meng & Ermon 2021 (67)"],
    implemented_by=["ddpm_ref.latents.slerp"],
    assumes=["the addition theorems, and sine and cosine by the tangent of half the angle"],
)
slerp

# %% [markdown]
# ## Every term of the bound, for data whose truth is known
#
# With the exact denoiser every term of the bound is the mean of a quadratic form in the data's normal $z$ and
# the noise $\epsilon$, so each has a closed form, and the code can be compared with it to rounding. First
# what the exact denoiser itself leaves: no network can have a smaller loss.

# %%
from derivations.parameterization import entropy, kl, reverse_variance
from derivations.posterior import AFTER_THE_FIRST_STEP, before
from derivations.posterior import mean as posterior_mean
from derivations.proof.symbols import data_spread, data_variance, mean_error, mu_2, sigma_2, sqnorm

spread_t = alpha_bar_t * data_deviation**2 + 1 - alpha_bar_t
not_found = eps - gaussian_denoiser.value.xreplace({x_t: state})
not_found

# %%
noise_in_noise = alpha_bar_t * data_deviation**2 / spread_t
data_in_noise = data_deviation * sqrt(alpha_bar_t) * sqrt(1 - alpha_bar_t) / spread_t

smallest_loss = claim(
    "sampling.smallest-loss",
    "The smallest loss, for Gaussian data",
    Equation(
        r"\tfrac{1}{d}\, \mathbb{E}\left\lVert \epsilon - \epsilon^{*}(x_{t}) \right\rVert^{2}",
        alpha_bar_t * data_deviation**2 / spread_t,
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(not_found, noise_in_noise * eps - data_in_noise * z, "the error, in parts"),
        equal(noise_in_noise**2 + data_in_noise**2, value, "its mean square, per coordinate"),
    ],
    mutants=[
        mutant("zero, as if the network could know the noise", value=Integer(0)),
        mutant("the part that is found", value=(1 - alpha_bar_t) / spread_t),
        mutant("deviation for variance", value=alpha_bar_t * data_deviation / spread_t),
        mutant("the image's error for the noise's", value=(1 - alpha_bar_t) * data_deviation**2 / spread_t),
    ],
    uses=[sample, gaussian_denoiser],
    sources=["Ho2020 §3.4"],
    implemented_by=["ddpm_ref.exact.smallest_loss", "ddpm_ref.denoisers.Denoiser.least_loss"],
    remark="It falls from nearly one at small t, where the noise is hidden in the image, to nearly zero.",
)
smallest_loss

# %% [markdown]
# The divergence from $\mathcal{N}(0, I)$ at the end, in the mean over the data:

# %%
data_prior_term = claim(
    "sampling.gaussian-prior-term",
    "The prior's term, for Gaussian data",
    Equation(
        r"L_{T}",
        (alpha_bar_t * sqnorm(data_mean) + d * (alpha_bar_t * data_deviation**2 - alpha_bar_t)) / 2
        - d / 2 * log(1 - alpha_bar_t),
    ),
    given=[alpha_bar_t < 1],
    proof=lambda value: [
        equal(
            E(
                kl.value.xreplace(
                    {
                        mu_1: marginal.mean.xreplace({x_0: data}),
                        sigma_1: sqrt(marginal.variance),
                        mu_2: 0 * x_0,
                        sigma_2: Integer(1),
                    }
                )
            ),
            value,
            "mean divergence of the kernel from the prior",
        )
    ],
    mutants=[
        mutant(
            "of the marginal, not of the kernel",
            value=(alpha_bar_t * sqnorm(data_mean) + d * (alpha_bar_t * data_deviation**2 - alpha_bar_t)) / 2
            - d / 2 * log(spread_t),
        ),
        mutant(
            "one image at the mean",
            value=(alpha_bar_t * sqnorm(data_mean) - d * alpha_bar_t) / 2 - d / 2 * log(1 - alpha_bar_t),
        ),
        mutant(
            "deviation for variance",
            value=(alpha_bar_t * sqnorm(data_mean) + d * (alpha_bar_t * data_deviation - alpha_bar_t)) / 2
            - d / 2 * log(1 - alpha_bar_t),
        ),
    ],
    uses=[kl, marginal],
    sources=["Ho2020 (5)"],
    implemented_by=["ddpm_ref.exact.prior_term"],
    remark=r"The symbols are those of $t = T$.",
)
data_prior_term

# %% [markdown]
# A step in between compares the forward posterior, which knows the image, with the reverse step, which has
# the denoiser's estimate. What it costs depends on the reverse step's variance $\sigma_t^2$, and on that of
# the true reverse step, $V_t$. It splits in two: what must be said about the image, and what is paid because
# the variance is wrong.

# %%
true_variance = reverse_variance.value.xreplace({data_variance: data_deviation**2})
true_variance

# %%
weight_of_image = diff(posterior_mean.value, x_0)
weight_of_image

# %%
exact_estimate = x0_from_eps.value.xreplace({eps: gaussian_denoiser.value})
left_of_data = data_deviation * (1 - alpha_bar_t) / spread_t
left_of_noise = data_deviation**2 * sqrt(alpha_bar_t) * sqrt(1 - alpha_bar_t) / spread_t
error_left = data_deviation**2 * (1 - alpha_bar_t) / spread_t
error_left

# %% [markdown]
# What the estimate leaves is a little of the data's own variation, and a little of the noise:

# %%
ERROR_IN_PARTS = [
    equal(
        data - exact_estimate.xreplace({x_t: state}),
        left_of_data * z - left_of_noise * eps,
        "the estimate's error, in parts",
    ),
    equal(left_of_data**2 + left_of_noise**2, error_left, "its mean square"),
    equal(
        error_left,
        (1 - alpha_bar_t) / alpha_bar_t * smallest_loss.value,
        "which is that of the noise, scaled",
    ),
]

# %%
mean_kl = E(kl.value.xreplace({mu_1: mu_2 + sqrt(mean_error) * eps}))
mean_kl

# %%
step_cost = d / 2 * (log(sigma_2**2 / sigma_1**2) + (sigma_1**2 + mean_error) / sigma_2**2 - 1)
at_exact_means = {
    sigma_1: sqrt(posterior_variance.value),
    sigma_2: sigma_t,
    mean_error: weight_of_image**2 * error_left,
}


# %%
def of_a_step(value: Expr) -> list[Obligation]:
    exact_mean = model_mean.xreplace({eps_theta: gaussian_denoiser.value})
    return [
        equal(
            posterior_mean.value - exact_mean,
            weight_of_image * (x_0 - exact_estimate),
            "the means differ by the estimate's error, weighted",
        ),
        *ERROR_IN_PARTS,
        equal(mean_kl, step_cost, "the mean divergence, for a mean square error of the means"),
        equal(step_cost.xreplace(at_exact_means), value, "with the error that is left"),
    ]


data_step_term = claim(
    "sampling.gaussian-term",
    "A step's term, for Gaussian data",
    Equation(
        r"L_{t-1}",
        d / 2 * (log(sigma_t**2 / posterior_variance.value) + true_variance / sigma_t**2 - 1),
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=of_a_step,
    mutants=[
        mutant(
            "the posterior's variance for the reverse step's",
            value=d
            / 2
            * (log(sigma_t**2 / posterior_variance.value) + posterior_variance.value / sigma_t**2 - 1),
        ),
        mutant(
            "the true step's excess alone",
            value=d / 2 * (log(sigma_t**2 / true_variance) + true_variance / sigma_t**2 - 1),
        ),
        mutant(
            "not halved",
            value=d * (log(sigma_t**2 / posterior_variance.value) + true_variance / sigma_t**2 - 1),
        ),
    ],
    uses=[
        kl,
        posterior_mean,
        posterior_variance,
        mean_from_eps,
        x0_from_eps,
        sample,
        gaussian_denoiser,
        reverse_variance,
        smallest_loss,
    ],
    sources=["Ho2020 (5)", "Ho2020 (8)"],
    implemented_by=["ddpm_ref.exact.step_term"],
    remark="V_t is the variance of the true reverse step. For t ≥ 2.",
)
data_step_term

# %%
step_excess = claim(
    "sampling.gaussian-excess",
    "What a wrong variance costs",
    Equation(
        r"L_{t-1} - \tfrac{d}{2} \log \frac{V_{t}}{\tilde{\beta}_{t}}",
        d / 2 * (log(sigma_t**2 / true_variance) + true_variance / sigma_t**2 - 1),
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=lambda value: [
        equal(
            data_step_term.value - d / 2 * log(true_variance / posterior_variance.value),
            value,
            "the term, less what must be said",
        ),
        equal(
            kl.value.xreplace(
                {mu_1: mu_theta, mu_2: mu_theta, sigma_1: sqrt(true_variance), sigma_2: sigma_t}
            ),
            value,
            "divergence of the true reverse step from the model's",
        ),
    ],
    mutants=[
        mutant(
            "arguments exchanged",
            value=d / 2 * (log(true_variance / sigma_t**2) + sigma_t**2 / true_variance - 1),
        ),
        mutant("the logarithm alone", value=d / 2 * log(sigma_t**2 / true_variance)),
        mutant(
            "against the posterior's",
            value=d
            / 2
            * (log(sigma_t**2 / posterior_variance.value) + posterior_variance.value / sigma_t**2 - 1),
        ),
    ],
    uses=[kl, posterior_variance, reverse_variance],
    sources=["Ho2020 §3.2", "Ho2020 (16)"],
    implemented_by=["ddpm_ref.exact.step_excess"],
    remark="Summed over the steps, with the divergence of q(x_T) from the prior, it is all that separates "
    "the bound from the entropy. A model that learns the variance need not pay it.",
)
step_excess

# %% [markdown]
# And the last term, with the Gaussian itself as the decoder: data that are not rounded to levels have a
# density, and the bound is one on minus its logarithm.

# %%
last_cost = d / 2 * (log(2 * pi * sigma_t**2) + mean_error / sigma_t**2)
last_cost


# %%
def of_the_last_step(value: Expr) -> list[Obligation]:
    return [
        equal(last_step.value.xreplace({eps_theta: eps}), x0_from_eps.value, "the mean is the estimate"),
        *ERROR_IN_PARTS,
        equal(
            -E(log_normal(mu_1 + sqrt(mean_error) * eps, mu_1, sigma_t**2)),
            last_cost,
            "mean of minus the log-density, for a mean square error",
        ),
        equal(last_cost.xreplace({mean_error: error_left}), value, "with the error that is left"),
        equal(
            last_cost.xreplace({mean_error: sigma_t**2}),
            entropy.value.xreplace({sigma: sigma_t}),
            "with the right variance, an entropy",
        ),
    ]


data_last_term = claim(
    "sampling.gaussian-last-term",
    "The last term, for Gaussian data",
    Equation(r"L_{0}", d / 2 * (log(2 * pi * sigma_t**2) + true_variance / sigma_t**2)),
    given=[*SCHEDULE, Eq(alpha_bar_prev, 1)],
    proof=of_the_last_step,
    mutants=[
        mutant("not the decoder's variance", value=d / 2 * (log(2 * pi * true_variance) + 1)),
        mutant("two π forgotten", value=d / 2 * (log(sigma_t**2) + true_variance / sigma_t**2)),
        mutant(
            "the step's variance for the image's error",
            value=d / 2 * (log(2 * pi * sigma_t**2) + beta_t / sigma_t**2),
        ),
    ],
    uses=[density, last_step, sample, gaussian_denoiser, reverse_variance, entropy, smallest_loss],
    sources=["Ho2020 (5)", "Ho2020 (13)"],
    implemented_by=["ddpm_ref.exact.last_term"],
    remark=r"The symbols are those of $t = 1$, where $V_1$ is the variance of the image given $x_1$. With "
    r"$\sigma_1^2 = \tilde\beta_2$, and small betas that start evenly, $V_1$ is twice as large: that alone "
    r"keeps the bound $\frac{d}{2}(1 - \log 2)$ above the entropy, however many steps there are.",
)
data_last_term

# %% [markdown]
# Together they must be what the chapter on coding finds without the image: the entropy of the data, the
# divergence of $q(x_T)$ from the prior, and what the wrong variances cost. By induction over the number of
# steps: it holds for one; and one more step changes both sides by the same.


# %%
def adds_up(value: Expr) -> list[Obligation]:
    positive = {data_deviation: data_spread}
    data_entropy = entropy.value.xreplace({sigma: data_spread})
    return [
        equal(
            (data_prior_term.value + data_last_term.value).xreplace(positive) - data_entropy,
            (value + step_excess.value).xreplace(positive),
            "one step",
            given=(Eq(alpha_bar_prev, 1),),
        ),
        equal(
            data_prior_term.value - before(data_prior_term.value) + data_step_term.value,
            value - before(value) + step_excess.value,
            "one more step",
            given=(alpha_bar_prev < 1,),
        ),
    ]


data_gap = claim(
    "sampling.gaussian-gap",
    "Bound and entropy, for Gaussian data",
    Equation(
        r"L - H(x_{0}) - \sum_{s=1}^{t}"
        r" D_{\mathrm{KL}}(q(x_{s-1} \mid x_{s}) \Vert p_{\theta}(x_{s-1} \mid x_{s}))",
        alpha_bar_t * sqnorm(data_mean) / 2 + d / 2 * (spread_t - 1 - log(spread_t)),
    ),
    given=SCHEDULE,
    proof=adds_up,
    mutants=[
        mutant(
            "of the kernel, not of the marginal",
            value=alpha_bar_t * sqnorm(data_mean) / 2 + d / 2 * (-alpha_bar_t - log(1 - alpha_bar_t)),
        ),
        mutant("nothing", value=Integer(0)),
        mutant("the mean forgotten", value=d / 2 * (spread_t - 1 - log(spread_t))),
    ],
    uses=[data_prior_term, data_last_term, data_step_term, step_excess, entropy],
    sources=["Ho2020 (16)"],
    implemented_by=["ddpm_ref.exact.bound"],
    assumes=["induction over the number of steps"],
    remark="For t steps in all: the divergence of q(x_t) from the prior. A step that has the true variance "
    "adds nothing, so with those the bound is the entropy, for every schedule that forgets the data.",
)
data_gap

# %% [markdown]
# The gap, for more and more steps:
#
# <!-- picture entropy-gap -->

# %% [markdown]
# ## What this chapter assumed
#
# That the projection of jointly Gaussian variables is their conditional mean; Bayes' rule for densities and
# the Markov property of the forward process.
