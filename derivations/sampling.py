# %% [markdown]
# # Sampling
#
# Ancestral sampling walks the reverse chain: from $x_T \sim \mathcal{N}(0, I)$ draw $x_{T-1}$, and so on
# down to $x_0$. This chapter proves the line of code that does a step, what happens at the last one, and,
# for Gaussian data, the exact law of what comes out. The last is how the sampler is tested: with the exact
# denoiser it is an affine map of its noises, so its law can be read off without drawing a single sample.

# %%
from sympy import Eq, Integer, diff, log, sqrt

from derivations.forward import SCHEDULE, marginal, sample
from derivations.gaussians import after_step, chain, density, log_normal, reparameterization
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
    proof=lambda value: [
        equal(
            log_normal(value, mean_from_eps.value.xreplace({eps: eps_theta}), sigma_t**2)
            + d * log(diff(value, z)),
            log_normal(z, 0 * x_0, Integer(1)),
            "density at the image times stretch of volume",
        )
    ],
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
    implemented_by=["ddpm_ref.sampler.ancestral"],
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
# ## What this chapter assumed
#
# That the projection of jointly Gaussian variables is their conditional mean.
