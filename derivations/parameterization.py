# %% [markdown]
# # Parameterisations of the reverse step
#
# The reverse step is a Gaussian $p_\theta(x_{t-1} \mid x_t)$ with a mean that a network supplies. The
# network may predict the mean itself, the image, the noise, or a mixture of the last two; given $x_t$, each
# determines the others. This chapter proves every conversion with its inverse, turns the bound's terms into
# squared distances, and finds the weight that separates the bound from the paper's simple objective.

# %%
from sympy import Gt, Integer, log, sqrt

from derivations.forward import SCHEDULE, sample
from derivations.gaussians import density, log_normal, moments, reparameterization
from derivations.posterior import mean as posterior_mean
from derivations.posterior import posterior
from derivations.proof.claims import Equation, claim, mutant
from derivations.proof.obligations import equal
from derivations.proof.symbols import (
    E,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_t,
    beta_t,
    beta_tilde_t,
    d,
    eps,
    eps_theta,
    lambda_t,
    mu_1,
    mu_2,
    mu_theta,
    mu_tilde,
    sigma_1,
    sigma_2,
    sigma_t,
    sqnorm,
    v,
    x_0,
    x_t,
)

# %% [markdown]
# ## The divergence between two Gaussians
#
# The Kullback-Leibler divergence is the mean of a difference of log-densities. With $x = \mu_1 + \sigma_1
# \epsilon$ that difference is a quadratic in $\epsilon$, and its mean follows from the second moment alone.

# %%
log_ratio = log_normal(mu_1 + sigma_1 * eps, mu_1, sigma_1**2) - log_normal(
    mu_1 + sigma_1 * eps, mu_2, sigma_2**2
)
log_ratio

# %%
kl = claim(
    "parameterization.kl",
    "Divergence between isotropic Gaussians",
    Equation(
        r"D_{\mathrm{KL}}\left(\mathcal{N}(\mu_{1}, \sigma_{1}^{2} I)"
        r" \,\Vert\, \mathcal{N}(\mu_{2}, \sigma_{2}^{2} I)\right)",
        d / 2 * (log(sigma_2**2 / sigma_1**2) + sigma_1**2 / sigma_2**2 - 1)
        + sqnorm(mu_1 - mu_2) / (2 * sigma_2**2),
    ),
    proof=lambda value: [equal(E(log_ratio), value, "mean of the difference of log-densities")],
    mutants=[
        mutant(
            "arguments exchanged",
            value=d / 2 * (log(sigma_1**2 / sigma_2**2) + sigma_2**2 / sigma_1**2 - 1)
            + sqnorm(mu_1 - mu_2) / (2 * sigma_1**2),
        ),
        mutant(
            "the one forgotten",
            value=d / 2 * (log(sigma_2**2 / sigma_1**2) + sigma_1**2 / sigma_2**2)
            + sqnorm(mu_1 - mu_2) / (2 * sigma_2**2),
        ),
        mutant(
            "deviations in the logarithm",
            value=d / 2 * (log(sigma_2 / sigma_1) + sigma_1**2 / sigma_2**2 - 1)
            + sqnorm(mu_1 - mu_2) / (2 * sigma_2**2),
        ),
        mutant(
            "dimension forgotten",
            value=(log(sigma_2**2 / sigma_1**2) + sigma_1**2 / sigma_2**2 - 1) / 2
            + sqnorm(mu_1 - mu_2) / (2 * sigma_2**2),
        ),
        mutant(
            "distance not halved",
            value=d / 2 * (log(sigma_2**2 / sigma_1**2) + sigma_1**2 / sigma_2**2 - 1)
            + sqnorm(mu_1 - mu_2) / sigma_2**2,
        ),
    ],
    uses=[density, moments, reparameterization],
    sources=["D2:124"],
    implemented_by=[
        "ddpm_ref.gaussian.kl",
        "ddpm_ref.gaussian.log_excess",
        "ddpm_ref.reverse_law.ReverseLaw.divergence",
    ],
    remark=r"D2 gives it for one dimension, with $\bar\beta$ for the deviations, and forgets the logarithm "
    "in the integral before it.",
)
kl

# %% [markdown]
# ## The bound's terms are squared distances
#
# Both laws in $L_{t-1}$ are Gaussian, and the reverse variance $\sigma_t^2$ is fixed. So the network enters
# through one squared distance; the rest is a constant, which is zero exactly when $\sigma_t^2 =
# \tilde\beta_t$ is chosen.

# %%
constant = d / 2 * (log(sigma_t**2 / beta_tilde_t) + beta_tilde_t / sigma_t**2 - 1)
constant

# %%
L_t_minus_1 = claim(
    "parameterization.L-t-1",
    "A term of the bound",
    Equation("L_{t-1}", sqnorm(mu_tilde - mu_theta) / (2 * sigma_t**2) + constant),
    given=[Gt(beta_tilde_t, 0)],
    proof=lambda value: [
        equal(
            kl.value.xreplace(
                {mu_1: mu_tilde, sigma_1: sqrt(beta_tilde_t), mu_2: mu_theta, sigma_2: sigma_t}
            ),
            value,
            "divergence of the posterior from the reverse step",
        ),
        equal(constant.subs(sigma_t, sqrt(beta_tilde_t)), 0, "no constant if the variances agree"),
    ],
    mutants=[
        mutant(
            "constant forgotten", value=sqnorm(mu_tilde - mu_theta) / (2 * sigma_t**2), seen="D2 line 126"
        ),
        mutant("not halved", value=sqnorm(mu_tilde - mu_theta) / sigma_t**2 + constant),
        mutant(
            "variance squared",
            value=sqnorm(mu_tilde - mu_theta) / (2 * sigma_t**4) + constant,
            seen="D2 line 126, 2β_t² with β_t a variance",
        ),
        mutant(
            "posterior's variance below", value=sqnorm(mu_tilde - mu_theta) / (2 * beta_tilde_t) + constant
        ),
    ],
    uses=[posterior],
    sources=["Ho2020 (8)", "D2:126", "D3:262"],
    implemented_by=[
        "ddpm_ref.objective.L_t_minus_1",
        "ddpm_ref.objective.L_vlb",
        "ddpm_ref.objective.divergence",
    ],
    remark=r"In nats, summed over the $d$ coordinates; $t \geq 2$: at $t = 1$ the posterior has no density.",
)
L_t_minus_1

# %% [markdown]
# ## Image and noise
#
# $x_t$ is a known mixture of image and noise, so either gives the other.

# %%
x0_from_eps = claim(
    "parameterization.x0-from-eps",
    "Image from noise",
    Equation(x_0, (x_t - sqrt(1 - alpha_bar_t) * eps) / sqrt(alpha_bar_t)),
    given=SCHEDULE,
    proof=lambda value: [equal(value.xreplace({x_t: sample.value}), x_0, "put into the noised image")],
    mutants=[
        mutant("divided by ᾱ", value=(x_t - sqrt(1 - alpha_bar_t) * eps) / alpha_bar_t),
        mutant("noise added", value=(x_t + sqrt(1 - alpha_bar_t) * eps) / sqrt(alpha_bar_t)),
        mutant("variance for deviation", value=(x_t - (1 - alpha_bar_t) * eps) / sqrt(alpha_bar_t)),
        mutant("α for ᾱ", value=(x_t - sqrt(1 - alpha_t) * eps) / sqrt(alpha_t)),
        mutant("only the state divided", value=x_t / sqrt(alpha_bar_t) - sqrt(1 - alpha_bar_t) * eps),
    ],
    sources=["D2:150", "D3:268"],
    implemented_by=["ddpm_ref.process.x0_from_eps"],
)
x0_from_eps

# %%
eps_from_x0 = claim(
    "parameterization.eps-from-x0",
    "Noise from image",
    Equation(eps, (x_t - sqrt(alpha_bar_t) * x_0) / sqrt(1 - alpha_bar_t)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(value.xreplace({x_t: sample.value}), eps, "put into the noised image"),
        equal(x0_from_eps.value.xreplace({eps: value}), x_0, "inverse of the conversion above"),
    ],
    mutants=[
        mutant("divided by the variance", value=(x_t - sqrt(alpha_bar_t) * x_0) / (1 - alpha_bar_t)),
        mutant("root forgotten", value=(x_t - alpha_bar_t * x_0) / sqrt(1 - alpha_bar_t)),
        mutant("image not scaled", value=(x_t - x_0) / sqrt(1 - alpha_bar_t)),
        mutant("sign", value=(sqrt(alpha_bar_t) * x_0 - x_t) / sqrt(1 - alpha_bar_t)),
    ],
    sources=["D2:148"],
    implemented_by=["ddpm_ref.process.eps_from_x0"],
)
eps_from_x0

# %% [markdown]
# ## The mean, from the noise and back
#
# Put the image, expressed by the noise, into the posterior mean: the two terms collapse.

# %%
mean_from_eps = claim(
    "parameterization.mean-from-eps",
    "Posterior mean from noise",
    Equation(mu_tilde, (x_t - beta_t / sqrt(1 - alpha_bar_t) * eps) / sqrt(alpha_t)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(posterior_mean.value.xreplace({x_0: x0_from_eps.value}), value, "image expressed by the noise")
    ],
    mutants=[
        mutant(
            "ᾱ for α throughout",
            value=(x_t - (1 - alpha_bar_t) / sqrt(1 - alpha_bar_t) * eps) / sqrt(alpha_bar_t),
            seen="D2 lines 109 and 113, as printed",
        ),
        mutant("√β for β", value=(x_t - sqrt(beta_t) / sqrt(1 - alpha_bar_t) * eps) / sqrt(alpha_t)),
        mutant("root of 1 - ᾱ forgotten", value=(x_t - beta_t / (1 - alpha_bar_t) * eps) / sqrt(alpha_t)),
        mutant("noise added", value=(x_t + beta_t / sqrt(1 - alpha_bar_t) * eps) / sqrt(alpha_t)),
        mutant("divided by α", value=(x_t - beta_t / sqrt(1 - alpha_bar_t) * eps) / alpha_t),
    ],
    sources=["Ho2020 (10), (11)", "D2:109", "D2:113", "D3:278", "D3:288"],
    implemented_by=["ddpm_ref.process.mu_from_eps"],
)
mean_from_eps

# %%
eps_from_mean = claim(
    "parameterization.eps-from-mean",
    "Noise from posterior mean",
    Equation(eps, sqrt(1 - alpha_bar_t) / beta_t * (x_t - sqrt(alpha_t) * mu_tilde)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(value.xreplace({mu_tilde: mean_from_eps.value}), eps, "inverse from the left"),
        equal(mean_from_eps.value.xreplace({eps: value}), mu_tilde, "inverse from the right"),
    ],
    mutants=[
        mutant("mean not scaled", value=sqrt(1 - alpha_bar_t) / beta_t * (x_t - mu_tilde)),
        mutant("√β for β", value=sqrt(1 - alpha_bar_t) / sqrt(beta_t) * (x_t - sqrt(alpha_t) * mu_tilde)),
        mutant("fraction inverted", value=beta_t / sqrt(1 - alpha_bar_t) * (x_t - sqrt(alpha_t) * mu_tilde)),
    ],
    sources=["D3:281"],
    implemented_by=["ddpm_ref.process.eps_from_mu"],
)
eps_from_mean

# %%
x0_from_mean = claim(
    "parameterization.x0-from-mean",
    "Image from posterior mean",
    Equation(
        x_0,
        (1 - alpha_bar_t) / (sqrt(alpha_bar_prev) * beta_t) * mu_tilde
        - sqrt(alpha_t) * (1 - alpha_bar_prev) / (sqrt(alpha_bar_prev) * beta_t) * x_t,
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(value.xreplace({mu_tilde: posterior_mean.value}), x_0, "inverse from the left"),
        equal(posterior_mean.value.xreplace({x_0: value}), mu_tilde, "inverse from the right"),
    ],
    mutants=[
        mutant(
            "sum for difference",
            value=(1 - alpha_bar_t) / (sqrt(alpha_bar_prev) * beta_t) * mu_tilde
            + sqrt(alpha_t) * (1 - alpha_bar_prev) / (sqrt(alpha_bar_prev) * beta_t) * x_t,
        ),
        mutant(
            "√ᾱ_t for √ᾱ_{t-1}",
            value=(1 - alpha_bar_t) / (sqrt(alpha_bar_t) * beta_t) * mu_tilde
            - sqrt(alpha_t) * (1 - alpha_bar_prev) / (sqrt(alpha_bar_t) * beta_t) * x_t,
        ),
        mutant(
            "1 - ᾱ_t in both",
            value=(1 - alpha_bar_t) / (sqrt(alpha_bar_prev) * beta_t) * (mu_tilde - sqrt(alpha_t) * x_t),
        ),
    ],
    sources=["D3:248"],
    implemented_by=["ddpm_ref.process.x0_from_mu"],
)
x0_from_mean

# %% [markdown]
# ## The velocity
#
# Salimans and Ho predict a third mixture, at a right angle to $x_t$: $(x_t, v)$ is $(x_0, \epsilon)$
# rotated, so lengths are kept and the inverse is the rotation back. Its weight is finite at both ends of
# the process, where the other two each lose their footing.

# %%
velocity = claim(
    "parameterization.v",
    "The velocity",
    Equation(v, sqrt(alpha_bar_t) * eps - sqrt(1 - alpha_bar_t) * x_0),
    definition=True,
    given=SCHEDULE,
    proof=lambda value: [
        equal(sqnorm(sample.value) + sqnorm(value), sqnorm(x_0) + sqnorm(eps), "a rotation keeps lengths"),
        equal(value.subs(alpha_bar_t, 1), eps, "the noise, where there is none yet"),
    ],
    mutants=[
        mutant("sign of the image", value=sqrt(alpha_bar_t) * eps + sqrt(1 - alpha_bar_t) * x_0),
        mutant("factors exchanged", value=sqrt(1 - alpha_bar_t) * eps - sqrt(alpha_bar_t) * x_0),
        mutant("roots forgotten", value=alpha_bar_t * eps - (1 - alpha_bar_t) * x_0),
    ],
    sources=["Salimans & Ho 2022, appendix D"],
    implemented_by=["ddpm_ref.process.target"],
)
velocity

# %%
x0_from_v = claim(
    "parameterization.x0-from-v",
    "Image from velocity",
    Equation(x_0, sqrt(alpha_bar_t) * x_t - sqrt(1 - alpha_bar_t) * v),
    given=SCHEDULE,
    proof=lambda value: [equal(value.xreplace({x_t: sample.value, v: velocity.value}), x_0, "rotated back")],
    mutants=[
        mutant("sign", value=sqrt(alpha_bar_t) * x_t + sqrt(1 - alpha_bar_t) * v),
        mutant("factors exchanged", value=sqrt(1 - alpha_bar_t) * x_t - sqrt(alpha_bar_t) * v),
        mutant("roots forgotten", value=alpha_bar_t * x_t - (1 - alpha_bar_t) * v),
    ],
    sources=["Salimans & Ho 2022, appendix D"],
    implemented_by=["ddpm_ref.process.x0_from_v"],
)
x0_from_v

# %%
eps_from_v = claim(
    "parameterization.eps-from-v",
    "Noise from velocity",
    Equation(eps, sqrt(1 - alpha_bar_t) * x_t + sqrt(alpha_bar_t) * v),
    given=SCHEDULE,
    proof=lambda value: [equal(value.xreplace({x_t: sample.value, v: velocity.value}), eps, "rotated back")],
    mutants=[
        mutant("sign", value=sqrt(1 - alpha_bar_t) * x_t - sqrt(alpha_bar_t) * v),
        mutant("factors exchanged", value=sqrt(alpha_bar_t) * x_t + sqrt(1 - alpha_bar_t) * v),
        mutant("one root forgotten", value=(1 - alpha_bar_t) * x_t + sqrt(alpha_bar_t) * v),
    ],
    sources=["Salimans & Ho 2022, appendix D"],
    implemented_by=["ddpm_ref.process.eps_from_v"],
)
eps_from_v

# %%
v_from_x0 = claim(
    "parameterization.v-from-x0",
    "Velocity from image and state",
    Equation(v, (sqrt(alpha_bar_t) * x_t - x_0) / sqrt(1 - alpha_bar_t)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(value, velocity.value.xreplace({eps: eps_from_x0.value}), "noise expressed by the image")
    ],
    mutants=[
        mutant("sign", value=(x_0 - sqrt(alpha_bar_t) * x_t) / sqrt(1 - alpha_bar_t)),
        mutant("image scaled for the state", value=(x_t - sqrt(alpha_bar_t) * x_0) / sqrt(1 - alpha_bar_t)),
        mutant("divided by the variance", value=(sqrt(alpha_bar_t) * x_t - x_0) / (1 - alpha_bar_t)),
    ],
    sources=["Salimans & Ho 2022, appendix D"],
    implemented_by=["ddpm_ref.process.v_from_x0"],
)
v_from_x0

# %%
v_from_eps = claim(
    "parameterization.v-from-eps",
    "Velocity from noise and state",
    Equation(v, (eps - sqrt(1 - alpha_bar_t) * x_t) / sqrt(alpha_bar_t)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(value, velocity.value.xreplace({x_0: x0_from_eps.value}), "image expressed by the noise")
    ],
    mutants=[
        mutant("sign", value=(eps + sqrt(1 - alpha_bar_t) * x_t) / sqrt(alpha_bar_t)),
        mutant("noise scaled for the state", value=(sqrt(1 - alpha_bar_t) * eps - x_t) / sqrt(alpha_bar_t)),
        mutant("divided by ᾱ", value=(eps - sqrt(1 - alpha_bar_t) * x_t) / alpha_bar_t),
    ],
    sources=["Salimans & Ho 2022, appendix D"],
    implemented_by=["ddpm_ref.process.v_from_eps"],
)
v_from_eps

# %% [markdown]
# ## The weight between the bound and the simple objective
#
# If the network predicts noise, its mean is the posterior mean with its prediction in place of the noise.
# The $x_t$ cancel, and the squared distance between means is a multiple of the squared error of the noise.

# %%
model_mean = mean_from_eps.value.xreplace({eps: eps_theta})
mean_from_eps.value - model_mean

# %%
weight = claim(
    "parameterization.weight",
    "The weight of the noise error in the bound",
    Equation(lambda_t, beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - alpha_bar_t))),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            sqnorm(mean_from_eps.value - mean_from_eps.value.xreplace({eps: eps_theta})) / (2 * sigma_t**2),
            value * sqnorm(eps - eps_theta),
            "squared distance of the means over twice the variance",
        )
    ],
    mutants=[
        mutant(
            "ᾱ for α, and β_t² for σ_t²",
            value=(1 - alpha_bar_t) ** 2 / (2 * beta_t**2 * alpha_bar_t * (1 - alpha_bar_t)),
            seen="D2 lines 130 and 132, as printed",
        ),
        mutant("β not squared", value=beta_t / (2 * sigma_t**2 * alpha_t * (1 - alpha_bar_t))),
        mutant("not halved", value=beta_t**2 / (sigma_t**2 * alpha_t * (1 - alpha_bar_t))),
        mutant(
            "ᾱ_{t-1} in the variance", value=beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - alpha_bar_prev))
        ),
        mutant("α forgotten", value=beta_t**2 / (2 * sigma_t**2 * (1 - alpha_bar_t))),
        mutant("set to one", value=Integer(1), seen="D3 line 325; that is L_simple, another objective"),
    ],
    uses=[L_t_minus_1],
    sources=["Ho2020 (12)", "D2:130", "D2:132", "D3:294", "D3:298"],
    implemented_by=["ddpm_ref.objective.weight"],
    remark="It multiplies the sum over coordinates. The simple objective replaces it by one.",
)
weight

# %% [markdown]
# Along two schedules:
#
# <!-- picture loss-weights -->

# %% [markdown]
# The other predictions differ from the noise error by a factor that depends on $t$ alone, so training on
# them is training on the noise with another weight.

# %%
error_x0 = claim(
    "parameterization.error-x0",
    "Error of the image and of the noise",
    Equation(
        r"\left\lVert x_{0} - \hat{x}_{0} \right\rVert^{2}",
        (1 - alpha_bar_t) / alpha_bar_t * sqnorm(eps - eps_theta),
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            sqnorm(x0_from_eps.value - x0_from_eps.value.xreplace({eps: eps_theta})),
            value,
            "both from the same state",
        )
    ],
    mutants=[
        mutant("inverted", value=alpha_bar_t / (1 - alpha_bar_t) * sqnorm(eps - eps_theta)),
        mutant("root", value=sqrt((1 - alpha_bar_t) / alpha_bar_t) * sqnorm(eps - eps_theta)),
        mutant("without the variance", value=sqnorm(eps - eps_theta) / alpha_bar_t),
    ],
    sources=["Ho2020 §3.2"],
    implemented_by=["ddpm_ref.denoisers.Denoiser.least_loss"],
)
error_x0

# %%
error_v = claim(
    "parameterization.error-v",
    "Error of the velocity and of the noise",
    Equation(r"\left\lVert v - v_{\theta} \right\rVert^{2}", sqnorm(eps - eps_theta) / alpha_bar_t),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            sqnorm(v_from_eps.value - v_from_eps.value.xreplace({eps: eps_theta})),
            value,
            "both from the same state",
        )
    ],
    mutants=[
        mutant("multiplied", value=alpha_bar_t * sqnorm(eps - eps_theta)),
        mutant("root", value=sqnorm(eps - eps_theta) / sqrt(alpha_bar_t)),
        mutant("the image's factor", value=(1 - alpha_bar_t) / alpha_bar_t * sqnorm(eps - eps_theta)),
    ],
    sources=["Salimans & Ho 2022, appendix D"],
)
error_v

# %% [markdown]
# ## The simple objective
#
# The paper drops the weight. Code takes the mean over coordinates where the paper writes the squared norm;
# the factor $1/d$ is the same for all $t$ and changes no minimum.

# %%
L_simple = claim(
    "parameterization.L-simple",
    "The simple objective, for one example and one t",
    Equation(r"L_{\mathrm{simple}}", sqnorm(eps - eps_theta) / d),
    definition=True,
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            d * weight.value * value,
            sqnorm(mean_from_eps.value - mean_from_eps.value.xreplace({eps: eps_theta})) / (2 * sigma_t**2),
            "times d and the weight, the bound's squared distance",
        )
    ],
    mutants=[
        mutant("halved", value=sqnorm(eps - eps_theta) / (2 * d)),
        mutant("sign of the prediction", value=sqnorm(eps + eps_theta) / d),
        mutant("the weight left in", value=weight.value * sqnorm(eps - eps_theta) / d),
    ],
    sources=["Ho2020 (14)", "D3:328"],
    implemented_by=["ddpm_ref.objective.L_simple"],
)
L_simple

# %%
L_simple_norm = claim(
    "parameterization.L-simple-norm",
    "The simple objective as the paper writes it, for one example and one t",
    Equation(r"L_{\mathrm{simple}}\ \text{as a squared norm}", sqnorm(eps - eps_theta)),
    definition=True,
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            weight.value * value,
            sqnorm(mean_from_eps.value - mean_from_eps.value.xreplace({eps: eps_theta})) / (2 * sigma_t**2),
            "times the weight, the bound's squared distance",
        ),
        equal(value, d * L_simple.value, "d times the mean over the coordinates"),
    ],
    mutants=[
        mutant("halved", value=sqnorm(eps - eps_theta) / 2),
        mutant("sign of the prediction", value=sqnorm(eps + eps_theta)),
        mutant("the weight left in", value=weight.value * sqnorm(eps - eps_theta)),
    ],
    sources=["Ho2020 (14)", "Ho2020 Algorithm 1, line 5", "D3:325", "D3:328", "D3:353"],
)
L_simple_norm

# %% [markdown]
# ## What the network can learn at best
#
# The noise in $x_t$ is not a function of $x_t$, so no network predicts it without error. Given $x_t$ it has a
# law, with a mean $\epsilon^{*}$ and a mean squared distance $S$ from that mean. Any other output costs its
# squared distance from $\epsilon^{*}$ on top: the squared error splits as in Pythagoras' theorem.
#
# For a law on one point this is plain. If it holds for two laws it holds for their mixture, whose mean and
# $S$ follow from the claim itself; so it holds for every law on finitely many points.

# %%
from sympy import Eq, Expr, Ge, Le, Lt, diff, pi

from derivations.forward import kernel, marginal, step
from derivations.posterior import AFTER_THE_FIRST_STEP, log_evidence, log_step
from derivations.posterior import below_step as posterior_below_step
from derivations.posterior import variance as posterior_variance
from derivations.proof.certificates import gaussian_integral
from derivations.proof.claims import Holds
from derivations.proof.inequalities import tangent
from derivations.proof.obligations import Obligation, holds, less
from derivations.proof.symbols import (
    data_mean,
    data_variance,
    eps_prev,
    eps_spread,
    eps_spread_1,
    eps_spread_2,
    eps_star,
    eps_star_1,
    eps_star_2,
    inner,
    log_distance,
    mean_error,
    mixing,
    mu,
    positive_step,
    sigma,
    variance_output,
    variance_t,
    vlb,
    vlb_weight,
    x_prev,
    z,
)


# %%
def by_mixing(value: Expr) -> list[Obligation]:
    def error(spread: Expr, mean: Expr, prediction: Expr) -> Expr:
        return value.xreplace({eps_spread: spread, eps_star: mean, eps_theta: prediction})

    def of_mixture(prediction: Expr) -> Expr:
        first = error(eps_spread_1, eps_star_1, prediction)
        return mixing * first + (1 - mixing) * error(eps_spread_2, eps_star_2, prediction)

    mean = mixing * eps_star_1 + (1 - mixing) * eps_star_2
    return [
        equal(error(Integer(0), eps, eps_theta), sqnorm(eps - eps_theta), "law on one point"),
        equal(of_mixture(eps_theta), error(of_mixture(mean), mean, eps_theta), "mixture of two laws"),
    ]


projection = claim(
    "parameterization.projection",
    "The squared error of a noise predictor",
    Equation(
        r"\mathbb{E}\left[\left\lVert \epsilon - \epsilon_{\theta}(x_{t}) \right\rVert^{2}"
        r"\,\middle|\, x_{t}\right]",
        eps_spread + sqnorm(eps_star - eps_theta),
    ),
    given=[mixing < 1],
    proof=by_mixing,
    mutants=[
        mutant("as if the error could be zero", value=sqnorm(eps_star - eps_theta)),
        mutant("the distance twice", value=eps_spread + 2 * sqnorm(eps_star - eps_theta)),
        mutant("difference for sum", value=sqnorm(eps_star - eps_theta) - eps_spread),
        mutant("as if the prediction cost nothing", value=eps_spread + 0 * sqnorm(eps_star - eps_theta)),
    ],
    sources=["Ho2020 §3.2", "D3:281", "D3:291"],
    implemented_by=["ddpm_ref.gap.split_loss"],
    assumes=[
        "induction over the number of points of a law, and for other laws with second moments their "
        "approximation by such"
    ],
    remark="S = E‖ε - ε*‖² given x_t. Averaged over x_t: the minimum of L_simple is reached by "
    "ε_θ(x_t) = E[ε | x_t], and it is not zero.",
)
projection

# %% [markdown]
# The same holds for the mean of the reverse step, or for anything else that is predicted by least squares.
#
# ## The best variance
#
# Let the mean be fixed, and let $m_t$ be its mean squared error per coordinate. Then the bound's term is, per
# coordinate, a function of the variance alone, and it has one minimum.

# %%
POSTERIOR_VARIANCE = (*AFTER_THE_FIRST_STEP, Eq(beta_tilde_t, posterior_variance.value))

per_coordinate = (log(variance_t / beta_tilde_t) + (beta_tilde_t + mean_error) / variance_t - 1) / 2
per_coordinate


# %%
def is_the_minimum(value: Expr) -> list[Obligation]:
    distance = sqnorm(mu_tilde - mu_theta)
    return [
        equal(
            L_t_minus_1.value.xreplace({distance: d * mean_error}).subs(sigma_t, sqrt(variance_t)),
            d * per_coordinate,
            "the bound's term, over d coordinates",
        ),
        *tangent(
            Le(per_coordinate.xreplace({variance_t: value}), per_coordinate, evaluate=False),
            variance_t,
            at=value,
            name="the term as a function of the variance",
            given=POSTERIOR_VARIANCE,
        ),
    ]


best_variance = claim(
    "parameterization.best-variance",
    "The best variance for a given mean",
    Equation(r"\arg\min_{\sigma_{t}^{2}} L_{t-1}", beta_tilde_t + mean_error),
    given=POSTERIOR_VARIANCE,
    proof=is_the_minimum,
    mutants=[
        mutant("the posterior's alone", value=beta_tilde_t + 0),
        mutant("the error twice", value=beta_tilde_t + 2 * mean_error),
        mutant("half the error", value=beta_tilde_t + mean_error / 2),
        mutant("twice both", value=2 * (beta_tilde_t + mean_error)),
    ],
    uses=[posterior_variance, L_t_minus_1],
    sources=["Ho2020 §3.2", "D3:253", "D5:175"],
    assumes=["the mean value theorem (a function that falls before a point and rises after is least there)"],
    remark="Never below β̃_t. With the best mean it is the mean over x_t of the true reverse step's variance.",
)
best_variance

# %% [markdown]
# ## The true reverse step
#
# What is $q(x_{t-1} \mid x_t)$, without the image? It depends on the data, and for general data nobody can
# write it down. For Gaussian data of variance $s^2$ per coordinate Bayes' rule gives it as before: the
# forward step times the law of $x_{t-1}$.

# %%
data_before = log_normal(
    x_prev, sqrt(alpha_bar_prev) * data_mean, alpha_bar_prev * data_variance + 1 - alpha_bar_prev
)
reverse_quadratic = gaussian_integral(log_step + data_before, x_prev, "step times law of the data")
reverse_quadratic.precision

# %% [markdown]
# A second way: the image's own law given $x_t$ is Gaussian too, and the variance of $x_{t-1}$ is that around
# the posterior mean, plus that of the posterior mean while the image varies.

# %%
image_quadratic = gaussian_integral(
    log_evidence + log_normal(x_0, data_mean, data_variance), x_0, "kernel times law of the data"
)
image_quadratic.precision


# %%
def of_the_reverse_step(value: Expr) -> list[Obligation]:
    weight_of_image = posterior_mean.value.coeff(x_0)
    return [
        *reverse_quadratic.obligations,
        *image_quadratic.obligations,
        equal(value * reverse_quadratic.precision, 1, "inverse of the precision"),
        equal(
            posterior_variance.value + weight_of_image**2 / image_quadratic.precision,
            value,
            "variance given the image, plus that of the posterior mean",
        ),
        equal(value.subs(data_variance, 0), posterior_variance.value, "a single image"),
        equal(value.subs(data_variance, 1), kernel.variance, "unit variance"),
    ]


reverse_variance = claim(
    "parameterization.reverse-variance",
    "The variance of the true reverse step, for Gaussian data",
    Equation(
        r"\operatorname{Var}(x_{t-1} \mid x_{t})",
        (1 - alpha_bar_prev * (1 - data_variance)) / (1 - alpha_bar_t * (1 - data_variance)) * beta_t,
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=of_the_reverse_step,
    mutants=[
        mutant("the step's, whatever the data", value=beta_t),
        mutant("the posterior's, whatever the data", value=posterior_variance.value),
        mutant(
            "deviation for variance",
            value=(1 - alpha_bar_prev * (1 - sqrt(data_variance)))
            / (1 - alpha_bar_t * (1 - sqrt(data_variance)))
            * beta_t,
        ),
        mutant(
            "as if the law of x_{t-1} did not matter",
            value=(1 - alpha_bar_prev * (1 - data_variance)) * beta_t,
        ),
    ],
    uses=[density, marginal, posterior],
    sources=["Ho2020 §3.2", "D1:80", "D3:133", "D3:253", "D5:159", "D5:163"],
    implemented_by=["ddpm_ref.exact.reverse_variance"],
    assumes=[
        "Bayes' rule for densities",
        "the law of total variance, for the second way",
    ],
    remark="It depends on s²: no formula in the schedule alone is right for all data. For general data it "
    "depends on x_t as well.",
)
reverse_variance

# %% [markdown]
# Between a single image ($s = 0$, and $\tilde\beta_t$ is exact) and data of unit variance ($s = 1$, and
# $\beta_t$ is exact) it rises with $s$. So for data of variance at most one the two choices of the paper are
# the two ends of what is possible.

# %%
rises = claim(
    "parameterization.reverse-variance-rises",
    "More varied data, a wider reverse step",
    Holds(
        Lt(
            reverse_variance.value,
            reverse_variance.value.xreplace({data_variance: data_variance + positive_step}),
            evaluate=False,
        )
    ),
    given=AFTER_THE_FIRST_STEP,
    mutants=[
        mutant(
            "falls",
            relation=Gt(
                reverse_variance.value,
                reverse_variance.value.xreplace({data_variance: data_variance + positive_step}),
                evaluate=False,
            ),
        ),
        mutant(
            "rises as fast as the data's variance",
            relation=Lt(
                reverse_variance.value + positive_step,
                reverse_variance.value.xreplace({data_variance: data_variance + positive_step}),
                evaluate=False,
            ),
        ),
    ],
    uses=[reverse_variance],
    sources=["Ho2020 §3.2"],
)
rises

# %%
above = claim(
    "parameterization.reverse-variance-above",
    "Never below the posterior's",
    Holds(Lt(posterior_variance.value, reverse_variance.value, evaluate=False)),
    given=AFTER_THE_FIRST_STEP,
    mutants=[
        mutant("never below the step's", relation=Lt(beta_t, reverse_variance.value, evaluate=False)),
        mutant(
            "twice the posterior's",
            relation=Lt(2 * posterior_variance.value, reverse_variance.value, evaluate=False),
        ),
        mutant("below", relation=Gt(posterior_variance.value, reverse_variance.value, evaluate=False)),
    ],
    uses=[posterior_variance, reverse_variance],
    sources=["Ho2020 §3.2", "D3:253"],
    remark="Knowing the image can only help. With s = 0 the two are equal.",
)
above

# %%
below = claim(
    "parameterization.reverse-variance-below",
    "Never above the step's, for data of variance at most one",
    Holds(Le(reverse_variance.value, beta_t, evaluate=False)),
    given=[*AFTER_THE_FIRST_STEP, data_variance <= 1],
    mutants=[
        mutant("below half the step's", relation=Le(reverse_variance.value, beta_t / 2, evaluate=False)),
        mutant(
            "below the posterior's",
            relation=Le(reverse_variance.value, posterior_variance.value, evaluate=False),
        ),
        mutant("above", relation=Ge(reverse_variance.value, beta_t, evaluate=False)),
    ],
    uses=[reverse_variance],
    sources=["Ho2020 §3.2", "D3:253"],
    remark="For data of larger variance the reverse step is wider than the forward step.",
)
below

# %% [markdown]
# ## A variance that is learned
#
# A network may choose its variance between the two ends. They differ little where $t$ is large and by orders
# of magnitude where it is small, so it chooses on the scale of logarithms: an output of 1 means $\beta_t$, of
# -1 means $\tilde\beta_t$, and of 0 their geometric mean.

# %%
upwards = (variance_output + 1) / 2
upwards

# %%
learned_variance = claim(
    "parameterization.learned-variance",
    "A variance learned between the two fixed ones",
    Equation(r"\log \sigma_{t}^{2}", upwards * log(beta_t) + (1 - upwards) * log(beta_tilde_t)),
    definition=True,
    given=[Gt(beta_tilde_t, 0)],
    proof=lambda value: [
        equal(value.subs(variance_output, 1), log(beta_t), "an output of 1"),
        equal(value.subs(variance_output, -1), log(beta_tilde_t), "an output of -1"),
        equal(value.subs(variance_output, 0), log(sqrt(beta_t * beta_tilde_t)), "an output of 0"),
        equal(
            diff(value, variance_output),
            (log(beta_t) - log(beta_tilde_t)) / 2,
            "the same factor everywhere",
        ),
    ],
    mutants=[
        mutant(
            "the output itself as the share",
            value=variance_output * log(beta_t) + (1 - variance_output) * log(beta_tilde_t),
        ),
        mutant(
            "variances mixed, not their logarithms",
            value=log(upwards * beta_t + (1 - upwards) * beta_tilde_t),
            seen="diffusers#2090, #3006",
        ),
        mutant("ends exchanged", value=(1 - upwards) * log(beta_t) + upwards * log(beta_tilde_t)),
        mutant("the deviation's", value=(upwards * log(beta_t) + (1 - upwards) * log(beta_tilde_t)) / 2),
    ],
    sources=["Nichol & Dhariwal 2021 (15)"],
    implemented_by=["ddpm_ref.process.learned_log_variance"],
    remark=r"At $t = 1$, where $\tilde\beta_1 = 0$ has no logarithm, $\tilde\beta_2$ stands for it.",
)
learned_variance

# %%
from_below = learned_variance.value.subs(variance_output, 2 * mixing - 1) - log(beta_tilde_t)
from_below

# %%
between = claim(
    "parameterization.learned-variance-between",
    "It lies between the two",
    Holds(Le(mixing * log_distance, log_distance, evaluate=False)),
    given=[Gt(beta_tilde_t, 0), mixing <= 1],
    proof=lambda relation: [
        equal(from_below.subs(mixing, 0), 0, "no way up"),
        equal(diff(from_below, mixing), log(beta_t) - log(beta_tilde_t), "a share w of the way up"),
        less(0, mixing * log_distance, "above the lower end"),
        holds(relation, "not above the upper end"),
    ],
    mutants=[
        mutant("outside", relation=Le(log_distance, mixing * log_distance, evaluate=False)),
        mutant("half the way at most", relation=Le(2 * mixing * log_distance, log_distance, evaluate=False)),
        mutant(
            "above the lower end with the output itself as the share",
            relation=Le(0, (2 * mixing - 1) * log_distance, evaluate=False),
        ),
    ],
    uses=[learned_variance, posterior_below_step],
    sources=["Nichol & Dhariwal 2021, §3.1"],
    assumes=[
        r"the logarithm is increasing, so that $\Delta = \log \beta_t - \log \tilde\beta_t$ is positive"
    ],
    remark=r"For outputs $o = 2w - 1$ with $0 < w \leq 1$. With an output outside [-1, 1] the variance lies "
    r"outside too, where the best one can lie as well: above $\beta_t$ for data of variance above one.",
)
between

# %% [markdown]
# ## The hybrid objective
#
# The simple objective does not see the variance, and the bound, which does, trains the mean worse. So a
# learned variance is trained on a little of the bound beside the simple objective. The gradient of that part
# is stopped at the mean: it is the variance's alone.

# %%
L_hybrid = claim(
    "parameterization.L-hybrid",
    "The hybrid objective, for one example and one t",
    Equation(r"L_{\mathrm{hybrid}}", L_simple.value + vlb_weight * vlb),
    definition=True,
    proof=lambda value: [
        equal(d * value.subs(vlb, 0), d * L_simple.value, "beside the bound, the simple objective"),
        equal(value.subs(vlb, vlb + 1) - value, vlb_weight, "a unit more of the bound counts by its weight"),
    ],
    mutants=[
        mutant("weight forgotten", value=L_simple.value + vlb),
        mutant("weights that add up to one", value=(1 - vlb_weight) * L_simple.value + vlb_weight * vlb),
        mutant("the bound subtracted", value=L_simple.value - vlb_weight * vlb),
    ],
    sources=["Nichol & Dhariwal 2021 (16)"],
    implemented_by=["ddpm_ref.objective.L_hybrid"],
    remark="They use λ = 0.001, with the bound in bits per dimension and T times the one term.",
)
L_hybrid

# %% [markdown]
# ## Entropy bounds, for any data
#
# Data are not Gaussian, but for unit variance the upper end holds for all of them, in terms of entropy. The
# best *linear* predictor of $x_{t-1}$ from $x_t$ leaves an error of variance $\beta_t$; this is a matter of
# second moments alone, so in the proof a normal $z$ stands in for the data.

# %%
earlier = sqrt(alpha_bar_prev) * z + sqrt(1 - alpha_bar_prev) * eps_prev
later = step.value.xreplace({x_prev: earlier})
residual = earlier - sqrt(alpha_t) * later
residual

# %%
linear_residual = claim(
    "parameterization.linear-residual",
    "What the best linear predictor leaves",
    Equation(
        r"\tfrac{1}{d}\, \mathbb{E}\left\lVert x_{t-1} - \sqrt{\alpha_{t}}\, x_{t} \right\rVert^{2}", beta_t
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(E(inner(residual, later)), 0, "uncorrelated with the state: the best linear predictor"),
        equal(E(sqnorm(residual)), d * value, "mean square over d coordinates"),
    ],
    mutants=[
        mutant("the posterior's variance", value=posterior_variance.value),
        mutant("α_t for β_t", value=alpha_t),
        mutant("as if x_t told nothing", value=Integer(1)),
    ],
    uses=[step],
    sources=["Ho2020 §3.2"],
    assumes=["a mean of squares depends on the data through their first two moments only, which are 0 and 1"],
)
linear_residual

# %%
entropy = claim(
    "parameterization.entropy",
    "Entropy of an isotropic Gaussian",
    Equation(r"H\left(\mathcal{N}(\mu, \sigma^{2} I)\right)", d / 2 * (log(2 * pi * sigma**2) + 1)),
    proof=lambda value: [
        equal(-E(log_normal(mu + sigma * eps, mu, sigma**2)), value, "mean of minus the log-density")
    ],
    mutants=[
        mutant("the one forgotten", value=d / 2 * log(2 * pi * sigma**2)),
        mutant("dimension forgotten", value=(log(2 * pi * sigma**2) + 1) / 2),
        mutant("deviation for variance", value=d / 2 * (log(2 * pi * sigma) + 1)),
        mutant("sign", value=-d / 2 * (log(2 * pi * sigma**2) + 1)),
    ],
    uses=[density, moments, reparameterization],
    sources=["Ho2020 §3.2"],
    implemented_by=["ddpm_ref.laws.GaussianLaw.entropy"],
)
entropy

# %% [markdown]
# Conditioning lowers entropy, and among laws with a given second moment the Gaussian has the most. So
#
# $$H(x_{t-1} \mid x_t, x_0) \leq H(x_{t-1} \mid x_t) \leq H(\text{residual}),$$
#
# where the left side is the entropy of a Gaussian of variance $\tilde\beta_t$ and the right side at most that
# of one of variance $\beta_t$. How far are the two apart?

# %%
entropy_range = claim(
    "parameterization.entropy-range",
    "The room between the two entropies",
    Equation(
        r"H\left(\mathcal{N}(\cdot, \beta_{t} I)\right)"
        r" - H\left(\mathcal{N}(\cdot, \tilde{\beta}_{t} I)\right)",
        d / 2 * log((1 - alpha_bar_t) / (1 - alpha_bar_prev)),
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=lambda value: [
        equal(
            entropy.value.xreplace({sigma: sqrt(linear_residual.value)})
            - entropy.value.xreplace({sigma: sqrt(posterior_variance.value)}),
            value,
            "upper bound less lower bound",
        ),
    ],
    mutants=[
        mutant("fraction inverted", value=d / 2 * log((1 - alpha_bar_prev) / (1 - alpha_bar_t))),
        mutant("dimension forgotten", value=log((1 - alpha_bar_t) / (1 - alpha_bar_prev)) / 2),
        mutant("none", value=Integer(0), seen="D3 line 253, read as 'the two variances are the same'"),
        mutant("not halved", value=d * log((1 - alpha_bar_t) / (1 - alpha_bar_prev))),
    ],
    sources=["Ho2020 §3.2", "D3:253"],
    assumes=[
        "for data of zero mean and unit variance in each coordinate: conditioning lowers entropy, and the "
        "Gaussian has the largest entropy for given second moments"
    ],
    remark="Late in the process both ᾱ are near zero and the choice hardly matters; early on it does.",
)
entropy_range

# %% [markdown]
# ## What this chapter assumed
#
# Bayes' rule for densities; the mean value theorem, for the best variance; that laws with second moments are
# approximated by laws on finitely many points; and, for the entropy bounds on data that are not Gaussian,
# that conditioning lowers entropy and that the Gaussian has the most for its second moments.
