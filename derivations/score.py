# %% [markdown]
# # The score
#
# The score of a density is the gradient of its logarithm, in the point, not in the parameters. A network
# that predicts the noise predicts a score: this chapter proves the factor between the two, why matching the
# score of the noised image is as good as matching the score of the noised data, and how the sampler of
# Algorithm 2 compares with Langevin dynamics, which it is said to resemble.
#
# No derivative is taken of anything written with norms. If $f(x + h) - f(x) = \langle g, h \rangle +
# O(\lVert h \rVert^2)$, then $g$ is the gradient of $f$ at $x$, by definition; and for a Gaussian the
# remainder is known exactly.

# %%
from collections.abc import Callable

from sympy import Eq, Expr, Integer, diff, exp, log, sqrt

from derivations.forward import SCHEDULE, marginal, sample, snr
from derivations.gaussians import affine, after_step, chain, density, log_normal
from derivations.parameterization import eps_from_x0, weight, x0_from_eps
from derivations.proof.certificates import induction, stays_below, tends_to_zero
from derivations.proof.claims import Equation, Eventually, Holds, Law, claim, mutant
from derivations.proof.obligations import Obligation, equal
from derivations.proof.symbols import (
    alpha_bar_t,
    alpha_t,
    argument,
    beta_t,
    data_deviation,
    data_mean,
    density_p,
    density_q,
    direction,
    eps,
    eps_theta,
    forgotten,
    gamma,
    inner,
    kept_t,
    mu,
    rho,
    s_theta,
    score_1,
    score_q,
    sigma,
    sigma_t,
    slope_prev,
    slope_t,
    spread,
    sqnorm,
    t,
    tau,
    tolerance,
    x,
    x_0,
    x_noised,
    x_prev,
    x_t,
    z,
)
from derivations.sampling import ancestral_step, gaussian_denoiser

# %% [markdown]
# ## The score of a Gaussian
#
# The increment of the log-density, and what is left of it when its linear part is taken away:


# %%
def is_score(value: Expr, log_density: Callable[[Expr], Expr], at: Expr, variance: Expr) -> Obligation:
    """The log-density's increment is ⟨value, h⟩ minus a multiple of ‖h‖²."""
    return equal(
        log_density(at + direction) - log_density(at),
        inner(value, direction) - sqnorm(direction) / (2 * variance),
        "linear part of the increment of the log-density",
    )


log_normal(x + direction, mu, sigma**2) - log_normal(x, mu, sigma**2)

# %%
gaussian_score = claim(
    "score.gaussian",
    "Score of a Gaussian",
    Equation(r"\nabla_{x} \log \mathcal{N}(x;\, \mu,\, \sigma^{2} I)", -(x - mu) / sigma**2),
    proof=lambda value: [is_score(value, lambda at: log_normal(at, mu, sigma**2), x, sigma**2)],
    mutants=[
        mutant("away from the mean", value=(x - mu) / sigma**2),
        mutant("deviation for variance", value=-(x - mu) / sigma),
        mutant("factor two of the square kept", value=-2 * (x - mu) / sigma**2),
        mutant("not divided", value=-(x - mu)),
    ],
    uses=[density],
    sources=["D3:310", "D3:317", "D4:57"],
    assumes=["a linear map that leaves a remainder of O(‖h‖²) is the gradient (its definition)"],
    remark="It points towards the mean, the more steeply the narrower the Gaussian.",
)
gaussian_score


# %%
def score_of_normal(point: Expr, mean: Expr, variance: Expr) -> Expr:
    """The claim above, at another point and for another Gaussian."""
    moved: Expr = gaussian_score.value.subs({x: point, mu: mean, sigma: sqrt(variance)}, simultaneous=True)
    return moved


# %% [markdown]
# ## The kernel's score is the noise
#
# For the diffusion kernel $q(x_t \mid x_0)$, at the $x_t$ that the noise $\epsilon$ leads to, distance over
# variance is noise over deviation.

# %%
kernel_score = claim(
    "score.kernel",
    "The kernel's score is the noise, scaled",
    Equation(r"\nabla_{x_{t}} \log q(x_{t} \mid x_{0})", -eps / sqrt(1 - alpha_bar_t)),
    given=SCHEDULE,
    proof=lambda value: [
        is_score(
            value,
            lambda at: log_normal(at, marginal.mean, marginal.variance),
            sample.value,
            marginal.variance,
        ),
        equal(value, score_of_normal(sample.value, marginal.mean, marginal.variance), "score of a Gaussian"),
    ],
    mutants=[
        mutant("the noise itself", value=-eps),
        mutant("sign", value=eps / sqrt(1 - alpha_bar_t)),
        mutant("variance for deviation", value=-eps / (1 - alpha_bar_t)),
        mutant("α for ᾱ", value=-eps / sqrt(1 - alpha_t)),
        mutant("signal's root", value=-eps / sqrt(alpha_bar_t)),
    ],
    uses=[density],
    sources=["Ho2020 §3.2", "D3:28", "D3:314"],
    implemented_by=["ddpm_ref.score.score_from_eps"],
)
kernel_score

# %% [markdown]
# ## The score of a mixture
#
# What a sampler needs is the score of $q(x_t)$, where the image is drawn from the data. Data of finitely
# many points make $q(x_t)$ a mixture, and mixtures are built by adding one component at a time. Along $x +
# r h$ a density $q$ is $q\,(1 + r \langle \nabla \log q, h \rangle)$ to first order. So is another, $p$,
# with score $g$, which enters with weight $\rho$:

# %%
along_q = density_q * (1 + argument * inner(score_q, direction))
along_p = density_p * (1 + argument * inner(score_1, direction))
along_q + rho * along_p

# %%
mixture_score = claim(
    "score.mixture",
    "Score of a mixture",
    Equation(
        r"\nabla \log (q + \rho\, p)",
        (density_q * score_q + rho * density_p * score_1) / (density_q + rho * density_p),
    ),
    proof=lambda value: [
        equal(
            diff(log(along_q + rho * along_p), argument).subs(argument, 0),
            inner(value, direction),
            "derivative of the logarithm along the line",
        )
    ],
    mutants=[
        mutant("scores added", value=score_q + rho * score_1),
        mutant("weights without the densities", value=(score_q + rho * score_1) / (1 + rho)),
        mutant(
            "weights exchanged",
            value=(rho * density_p * score_q + density_q * score_1) / (density_q + rho * density_p),
        ),
        mutant("not divided by the density", value=density_q * score_q + rho * density_p * score_1),
    ],
    sources=["Vincent 2011"],
    implemented_by=["ddpm_ref.denoisers.MixtureDenoiser", "ddpm_ref.denoisers.Denoiser.score"],
    assumes=["SymPy's rules of differentiation; a derivative depends on first-order terms only"],
    remark="Each component's score, weighted by the probability that the point came from it.",
)
mixture_score

# %% [markdown]
# ## Tweedie's formula
#
# The weights above are those of Bayes' rule, so the mixture's score is an average of $(\sqrt{\bar\alpha_t}
# x_0 - x_t)/(1 - \bar\alpha_t)$ over the images that may have led to $x_t$. Read backwards: the score tells
# the mean of those images. The proof goes by induction over the data points: it holds for one, and a
# further point moves the posterior mean and the score in step.


# %%
def by_adding_points(value: Expr) -> list[Obligation]:
    of_point = score_of_normal(x_t, marginal.mean, marginal.variance)
    with_point = mixture_score.value.xreplace({score_1: of_point})
    posterior_mean = (density_q * value + rho * density_p * x_0) / (density_q + rho * density_p)
    return [
        equal(value.xreplace({score_q: of_point}), x_0, "data of a single point"),
        equal(value.xreplace({score_q: with_point}), posterior_mean, "one more point, by Bayes' rule"),
    ]


tweedie = claim(
    "score.tweedie",
    "Tweedie's formula",
    Equation(
        r"\mathbb{E}[x_{0} \mid x_{t}]",
        (x_t + (1 - alpha_bar_t) * score_q) / sqrt(alpha_bar_t),
    ),
    given=SCHEDULE,
    proof=by_adding_points,
    mutants=[
        mutant("sign", value=(x_t - (1 - alpha_bar_t) * score_q) / sqrt(alpha_bar_t)),
        mutant("deviation for variance", value=(x_t + sqrt(1 - alpha_bar_t) * score_q) / sqrt(alpha_bar_t)),
        mutant("not rescaled", value=x_t + (1 - alpha_bar_t) * score_q),
        mutant("divided by ᾱ", value=(x_t + (1 - alpha_bar_t) * score_q) / alpha_bar_t),
    ],
    uses=[mixture_score, gaussian_score],
    sources=["Efron 2011", "D3:56"],
    implemented_by=[
        "ddpm_ref.score.x0_from_score",
        "ddpm_ref.denoisers.Denoiser.x0_hat",
        "ddpm_ref.denoisers.DatasetDenoiser",
    ],
    assumes=[
        "induction over the number of data points",
        "for data that are not finitely many points: differentiation under the integral",
    ],
    remark="Every finite data set is covered; q is the density of x_t under the points so far, p that under "
    "the new one, ρ its weight.",
)
tweedie

# %% [markdown]
# The noise has a conditional mean as well, and it is what a perfect network outputs, since the conditional
# mean minimises the squared error.

# %%
optimal_eps = claim(
    "score.optimal-eps",
    "The best noise predictor is the score, scaled",
    Equation(r"\epsilon^{*}(x_{t}) = \mathbb{E}[\epsilon \mid x_{t}]", -sqrt(1 - alpha_bar_t) * score_q),
    given=SCHEDULE,
    proof=lambda value: [
        equal(eps_from_x0.value.xreplace({x_0: tweedie.value}), value, "noise from Tweedie's image")
    ],
    mutants=[
        mutant("sign", value=sqrt(1 - alpha_bar_t) * score_q),
        mutant("variance for deviation", value=-(1 - alpha_bar_t) * score_q),
        mutant("divided for multiplied", value=-score_q / sqrt(1 - alpha_bar_t)),
    ],
    sources=["Ho2020 §3.2", "D3:28", "D3:56", "D3:291"],
    implemented_by=[
        "ddpm_ref.score.eps_from_score",
        "ddpm_ref.denoisers.Denoiser.__call__",
        "ddpm_ref.denoisers.MixtureDenoiser",
    ],
    assumes=["the conditional mean minimises the mean squared error"],
)
optimal_eps

# %% [markdown]
# For Gaussian data both sides are known: the score from the law of $x_t$, the predictor from the chapter on
# sampling, where it was found without any score.

# %%
noised_mean, noised_variance = after_step(
    data_mean, data_deviation**2, diff(marginal.mean, x_0), marginal.variance
)

gaussian_data = claim(
    "score.gaussian-data",
    "The score for Gaussian data",
    Equation(
        r"\nabla \log q(x_{t})",
        -(x_t - sqrt(alpha_bar_t) * data_mean) / (alpha_bar_t * data_deviation**2 + 1 - alpha_bar_t),
    ),
    given=SCHEDULE,
    proof=lambda value: [
        is_score(value, lambda at: log_normal(at, noised_mean, noised_variance), x_t, noised_variance),
        equal(
            tweedie.value.xreplace({score_q: value}),
            x0_from_eps.value.xreplace({eps: gaussian_denoiser.value}),
            "Tweedie's image is the exact denoiser's",
        ),
    ],
    mutants=[
        mutant(
            "as if the data had no spread", value=-(x_t - sqrt(alpha_bar_t) * data_mean) / (1 - alpha_bar_t)
        ),
        mutant("as if the law were standard normal", value=-x_t),
        mutant(
            "mean not scaled",
            value=-(x_t - data_mean) / (alpha_bar_t * data_deviation**2 + 1 - alpha_bar_t),
        ),
    ],
    uses=[chain, density, marginal],
    sources=["D3:28"],
    implemented_by=["ddpm_ref.exact.state_variance", "ddpm_ref.denoisers.Denoiser.score"],
)
gaussian_data

# %% [markdown]
# ## Matching the score without knowing it
#
# Explicit score matching would ask $s_\theta$ to be near $\nabla \log q(x_t)$, which nobody knows.
# Denoising score matching asks it to be near the score $g$ of the kernel, which is the noise. Vincent
# showed that the two objectives differ by a constant: the first is the conditional mean of $g$, so the
# square splits. Again by adding components: if the mean square over the components so far is
# $\lVert s_\theta - \nabla \log q \rVert^2 + V$, then with one more of share $\rho$ the cross term vanishes,
# and what is left over does not know $s_\theta$.

# %%
mean_score = (1 - rho) * score_q + rho * score_1


def splits(value: Expr) -> list[Obligation]:
    before = sqnorm(s_theta - score_q) + spread
    return [
        equal(
            (1 - rho) * before + rho * sqnorm(s_theta - score_1),
            sqnorm(s_theta - mean_score) + value,
            "mean square = square of the mean's error + the rest",
        ),
        equal(value, value.xreplace({s_theta: mu}), "the rest does not know the network"),
        equal(value.subs(rho, 1), 0, "nothing is left over for a single component"),
    ]


matching = claim(
    "score.matching",
    "Denoising is explicit score matching, up to a constant",
    Equation(
        r"\mathbb{E}\left[\lVert s_{\theta} - g \rVert^{2} \,\middle|\, \tilde{x}\right]"
        r" - \left\lVert s_{\theta} - \mathbb{E}[g \mid \tilde{x}] \right\rVert^{2}",
        (1 - rho) * spread + rho * (1 - rho) * sqnorm(score_q - score_1),
    ),
    given=[rho <= 1],
    proof=splits,
    mutants=[
        mutant("no constant", value=Integer(0)),
        mutant(
            "depends on the network",
            value=(1 - rho) * spread + rho * (1 - rho) * sqnorm(s_theta - score_1),
        ),
        mutant("shares not multiplied", value=(1 - rho) * spread + rho * sqnorm(score_q - score_1)),
        mutant("earlier spread in full", value=spread + rho * (1 - rho) * sqnorm(score_q - score_1)),
    ],
    uses=[mixture_score],
    sources=["Vincent 2011 (11)", "D3:28", "D3:314", "D4:16", "D4:57"],
    assumes=[
        "induction over the number of components; for other data, the tower property of conditional means",
        "the mean square of the conditional score is finite",
    ],
    remark="The constant is the variance of the kernel's score given x̃. It does not vanish: a perfect "
    "network has a positive loss.",
)
matching

# %% [markdown]
# ## The objective of noise-conditional score networks
#
# Song and Ermon add noise of variance $\sigma^2$ without shrinking the image, $\tilde x = x + \sigma
# \epsilon$, and write the objective out.

# %%
objective = claim(
    "score.objective",
    "Denoising score matching at one noise level",
    Equation(
        r"\ell(\theta; \sigma)\ \text{for one } x \text{ and } \tilde{x}",
        sqnorm(s_theta + (x_noised - x) / sigma**2) / 2,
    ),
    definition=True,
    proof=lambda value: [
        equal(
            value,
            sqnorm(s_theta - score_of_normal(x_noised, x, sigma**2)) / 2,
            "half the squared distance from the kernel's score",
        ),
        equal(
            value.xreplace({x_noised: x + sigma * eps, s_theta: -eps_theta / sigma}),
            sqnorm(eps - eps_theta) / (2 * sigma**2),
            "a noise error in disguise",
        ),
    ],
    mutants=[
        mutant("sign", value=sqnorm(s_theta - (x_noised - x) / sigma**2) / 2),
        mutant("deviation for variance", value=sqnorm(s_theta + (x_noised - x) / sigma) / 2),
        mutant("not halved", value=sqnorm(s_theta + (x_noised - x) / sigma**2)),
        mutant("the noised image for the noise", value=sqnorm(s_theta + x_noised / sigma**2) / 2),
    ],
    sources=["Song & Ermon 2019 (5)", "D3:317"],
    implemented_by=["ddpm_ref.score.denoising_score_matching"],
    remark="D3 prints it with the expectation over x and x̃ in front, and as the paper has it.",
)
objective

# %% [markdown]
# The diffusion kernel is that kernel, on another scale: divide $x_t$ by $\sqrt{\bar\alpha_t}$.

# %%
noise_level = claim(
    "score.noise-level",
    "The noise level of a step",
    Law(
        r"q\left(\tilde{x} = x_{t} / \sqrt{\bar{\alpha}_{t}} \,\middle|\, x_{0}\right)",
        x_noised,
        x_0,
        (1 - alpha_bar_t) / alpha_bar_t,
    ),
    given=SCHEDULE,
    proof=lambda mean, variance: [
        equal(after_step(marginal.mean, 0, 1 / sqrt(alpha_bar_t), 0)[0], mean, "mean"),
        equal(after_step(0, marginal.variance, 1 / sqrt(alpha_bar_t), 0)[1], variance, "variance"),
        equal(variance * snr.value, 1, "one over the signal-to-noise ratio"),
    ],
    mutants=[
        mutant("divided once", variance=(1 - alpha_bar_t) / sqrt(alpha_bar_t)),
        mutant("not rescaled", variance=1 - alpha_bar_t),
        mutant("signal to noise", variance=alpha_bar_t / (1 - alpha_bar_t)),
    ],
    uses=[affine, chain],
    sources=["D3:314", "D3:317"],
    implemented_by=["ddpm_ref.score.noise_level"],
)
noise_level

# %% [markdown]
# ## Noise prediction is weighted score matching
#
# With $s_\theta = -\epsilon_\theta / \sqrt{1 - \bar\alpha_t}$ the simple objective is denoising score
# matching over all noise levels, each weighted by its variance; the bound weighs them otherwise.

# %%
score_from_eps = -eps_theta / sqrt(1 - alpha_bar_t)

eps_prediction = claim(
    "score.eps-prediction",
    "Noise error and score error",
    Equation(
        r"\lVert \epsilon - \epsilon_{\theta} \rVert^{2}",
        (1 - alpha_bar_t) * sqnorm(s_theta - score_1),
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            value.xreplace({s_theta: score_from_eps, score_1: kernel_score.value}),
            sqnorm(eps - eps_theta),
            "both scores from their noises",
        )
    ],
    mutants=[
        mutant("unweighted", value=sqnorm(s_theta - score_1)),
        mutant("weighted by the deviation", value=sqrt(1 - alpha_bar_t) * sqnorm(s_theta - score_1)),
        mutant("weight inverted", value=sqnorm(s_theta - score_1) / (1 - alpha_bar_t)),
        mutant("weighted by the signal", value=alpha_bar_t * sqnorm(s_theta - score_1)),
    ],
    sources=["Ho2020 §3.2", "D3:28", "D3:314", "D4:16"],
    implemented_by=["ddpm_ref.score.denoising_score_matching"],
    remark="Here g is the kernel's score. D3 says that the objectives resemble each other: they are equal, "
    "up to this weight and to a constant.",
)
eps_prediction

# %%
bound_weight = claim(
    "score.bound-weight",
    "The weight of the score error in the bound",
    Equation(r"\lambda_{t}\, (1 - \bar{\alpha}_{t})", beta_t**2 / (2 * sigma_t**2 * alpha_t)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            value * sqnorm(score_from_eps - kernel_score.value),
            weight.value * sqnorm(eps - eps_theta),
            "the bound's term",
        )
    ],
    mutants=[
        mutant("the noise error's weight", value=beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - alpha_bar_t))),
        mutant("β not squared", value=beta_t / (2 * sigma_t**2 * alpha_t)),
        mutant("that of the simple objective", value=1 - alpha_bar_t),
    ],
    sources=["Ho2020 (12)", "D3:294", "D3:314"],
    implemented_by=["ddpm_ref.score.denoising_score_matching"],
    remark="With σ_t² = β_t this is close to β_t / 2, the weight that makes a score model's likelihood.",
)
bound_weight

# %% [markdown]
# ## Langevin dynamics
#
# A particle that drifts up the score and is shaken by Brownian motion, $dx = b(x)\, d\tau + dw$. By the
# Fokker-Planck equation its density $q$ changes by the divergence of a flux, $J = b\, q - \frac{1}{2} \nabla
# q$. One drift stops the flux altogether, at every point and for every density:

# %%
flux = density_q * inner(score_q / 2, direction) - diff(along_q, argument) / 2
flux

# %%
stationary = claim(
    "score.stationary",
    "The drift that keeps a density",
    Equation(r"b(x)\ \text{with } b\, q - \tfrac{1}{2} \nabla q = 0", score_q / 2),
    proof=lambda value: [
        equal(density_q * inner(value, direction) - diff(along_q, argument) / 2, 0, "no flux")
    ],
    mutants=[
        mutant("not halved", value=score_q),
        mutant("downhill", value=-score_q / 2),
        mutant("no drift", value=0 * score_q),
    ],
    sources=["D4:40", "D4:52"],
    assumes=[
        "the Fokker-Planck equation; a density whose flux vanishes does not change",
        "the score is regular enough for the equation to have one solution",
    ],
    remark="D4 prints dx = dw + ½ ∇ log p(x), without the dt that the drift needs.",
)
stationary

# %% [markdown]
# ## One step of it
#
# A computer takes steps of length $\gamma$. (The documents write $\epsilon$ for it, which is the noise
# here.) A step must keep the target to first order in its length; for a Gaussian target one sees the error
# exactly.


# %%
def on_gaussian(mean: Expr) -> Expr:
    """A Langevin step's mean, for the target N(μ, σ² I)."""
    drawn: Expr = mean.xreplace({score_q: score_of_normal(x_prev, mu, sigma**2)})
    return drawn


def keeps_target(mean: Expr, variance: Expr) -> list[Obligation]:
    step = on_gaussian(mean)
    return [
        equal(step.xreplace({x_prev: mu}), mu, "the target's mean is kept"),
        equal(
            after_step(0, sigma**2, diff(step, x_prev), variance)[1] - sigma**2,
            gamma**2 / (4 * sigma**2),
            "its variance is missed by the step squared",
        ),
    ]


langevin_step = claim(
    "score.langevin-step",
    "One Langevin step",
    Law("p(x_{t} \\mid x_{t-1})", x_t, x_prev + gamma / 2 * score_q, gamma),
    definition=True,
    proof=keeps_target,
    mutants=[
        mutant("dt forgotten", mean=x_prev + score_q / 2, seen="D4 line 40, as printed"),
        mutant("step not halved", mean=x_prev + gamma * score_q),
        mutant("root of the step forgotten: noise of variance one", variance=Integer(1)),
        mutant("step for its root: noise γ z", variance=gamma**2),
        mutant("downhill", mean=x_prev - gamma / 2 * score_q),
    ],
    uses=[chain, stationary],
    sources=["D3:310", "D4:45", "D4:47"],
    implemented_by=["ddpm_ref.langevin.langevin_step"],
    remark="Both documents write ∇ log p(x): the score is meant at x_{t-1}.",
)
langevin_step

# %% [markdown]
# ## What it converges to
#
# With a Gaussian target every step is affine, so everything is known. The slope is $1 - \gamma / 2
# \sigma^2$. The variance that a step leaves as it is:

# %%
slope = diff(on_gaussian(langevin_step.mean), x_prev)
slope

# %%
SMALL_STEP = (gamma < 4 * sigma**2,)

bias = claim(
    "score.langevin-bias",
    "The variance that Langevin steps settle at",
    Equation(r"\operatorname{Var}(x_{\infty})", sigma**2 / (1 - gamma / (4 * sigma**2))),
    given=SMALL_STEP,
    proof=lambda value: [
        equal(
            after_step(0, value, diff(on_gaussian(langevin_step.mean), x_prev), langevin_step.variance)[1],
            value,
            "kept by a step",
        ),
        equal(value - sigma**2, gamma * sigma**2 / (4 * sigma**2 - gamma), "too wide by"),
    ],
    mutants=[
        mutant("the target's", value=sigma**2, seen="D4 line 50, if read for a fixed step"),
        mutant("too narrow", value=sigma**2 / (1 + gamma / (4 * sigma**2))),
        mutant("half the slope for a quarter", value=sigma**2 / (1 - gamma / (2 * sigma**2))),
        mutant("the step added", value=sigma**2 + gamma),
    ],
    uses=[chain],
    sources=["D4:50", "D5:33"],
    implemented_by=["ddpm_ref.langevin.langevin"],
    remark="T large alone does not help: for any fixed step the limit is not the target. Both limits are "
    "needed, first T, then the step; or a Metropolis correction.",
)
bias

# %% [markdown]
# Beside the variance that was wanted:
#
# <!-- picture langevin-bias -->

# %% [markdown]
# It settles at all only if the slope is less than one in size. That allows steps up to four times the
# target's variance; beyond, the walk explodes.

# %%
contracts = claim(
    "score.langevin-contracts",
    "Short steps contract",
    Holds(slope**2 < 1),
    given=[Eq(gamma, 4 * sigma**2 * rho), rho < 1],
    mutants=[
        mutant("they expand", relation=slope**2 > 1),
        mutant("they never overshoot", relation=slope**2 < slope),
        mutant("they arrive at once", relation=slope**2 <= 0),
    ],
    uses=[gaussian_score, langevin_step],
    sources=["D4:50"],
    remark="ρ is the step as a share of the longest one allowed.",
)
contracts

# %% [markdown]
# From a start at $x_0$, write $r_t$ for the slope to the power $t$; it obeys $r_t = r_{t-1}\,(1 - \gamma /
# 2\sigma^2)$. By induction the whole law is known.


# %%
def by_steps(mean: Expr, variance: Expr) -> list[Obligation]:
    step = on_gaussian(langevin_step.mean)
    return [
        *induction(
            mean,
            lambda previous: step.xreplace({x_prev: previous}),
            start={slope_t: 1},
            first=x_0,
            previous={slope_t: slope_prev},
            name="mean",
        ),
        *induction(
            variance,
            lambda previous: after_step(0, previous, diff(step, x_prev), langevin_step.variance)[1],
            start={slope_t: 1},
            first=0,
            previous={slope_t: slope_prev},
            name="variance",
        ),
    ]


langevin_law = claim(
    "score.langevin-law",
    "After t Langevin steps",
    Law("p(x_{t} \\mid x_{0})", x_t, mu + slope_t * (x_0 - mu), (1 - slope_t**2) * bias.value),
    given=[*SMALL_STEP, Eq(slope_t, slope_prev * slope)],
    proof=by_steps,
    mutants=[
        mutant("the target at once", mean=mu, variance=sigma**2),
        mutant("towards the target's variance", variance=(1 - slope_t**2) * sigma**2),
        mutant("slope not squared", variance=(1 - slope_t) * bias.value),
        mutant("towards zero", mean=slope_t * x_0),
    ],
    uses=[chain, bias],
    sources=["D4:50", "D4:53"],
    implemented_by=["ddpm_ref.langevin.langevin"],
    assumes=["induction over the natural numbers"],
)
langevin_law

# %% [markdown]
# And $r_t^2$ goes to zero: it is $(1 - c)^t$ with $0 < c \leq 1$, which is below $1/(1 + tc)$.


# %%
def start_is_forgotten(threshold: Expr) -> list[Obligation]:
    bound = 1 / (1 + t * forgotten)
    return [
        *stays_below(
            kept_t <= bound,
            lambda previous: (1 - forgotten) * previous,
            sequence=kept_t,
            start={t: 0},
            first=1,
            previous={t: t - 1},
            name="memory",
        ),
        *tends_to_zero(bound, index=t, tolerance=tolerance, threshold=threshold, name="memory"),
    ]


forgets = claim(
    "score.langevin-forgets",
    "The start is forgotten",
    Eventually(kept_t < tolerance, 1 / (forgotten * tolerance)),
    given=[forgotten <= 1],
    proof=start_is_forgotten,
    mutants=[
        mutant("at once", threshold=Integer(1)),
        mutant("whatever the tolerance", threshold=1 / forgotten),
        mutant("whatever the step", threshold=1 / tolerance),
    ],
    uses=[langevin_law, contracts],
    sources=["D4:53", "D5:33"],
    assumes=["induction over the natural numbers"],
    remark="Here c is one minus the squared slope. What is approached is the law with the bias, not the "
    "target.",
)
forgets

# %% [markdown]
# In continuous time there is no bias. The equations for mean and variance, $m' = \frac{1}{2} \nabla \log
# p(m)$ and $v' = -v/\sigma^2 + 1$, are solved by exponentials, and what they tend to is the target.


# %%
def solves(mean: Expr, variance: Expr) -> list[Obligation]:
    pull = score_of_normal(mean, mu, sigma**2) / 2
    return [
        equal(diff(mean, tau), pull, "the mean drifts up the score"),
        equal(mean.subs(tau, 0), x_0, "it starts at the start"),
        equal(
            diff(variance, tau),
            2 * variance * diff(score_of_normal(x, mu, sigma**2) / 2, x) + 1,
            "the variance shrinks with the drift and grows with the noise",
        ),
        equal(variance.subs(tau, 0), 0, "no variance at the start"),
    ]


langevin_flow = claim(
    "score.langevin-flow",
    "Langevin dynamics towards a Gaussian",
    Law(
        r"p(x(\tau) \mid x_{0})",
        x,
        mu + exp(-tau / (2 * sigma**2)) * (x_0 - mu),
        sigma**2 * (1 - exp(-tau / sigma**2)),
    ),
    proof=solves,
    mutants=[
        mutant("the target at once", mean=mu, variance=sigma**2),
        mutant("mean twice as fast", mean=mu + exp(-tau / sigma**2) * (x_0 - mu)),
        mutant("variance half as fast", variance=sigma**2 * (1 - exp(-tau / (2 * sigma**2)))),
        mutant("variance of free diffusion", variance=tau),
    ],
    uses=[stationary],
    sources=["D4:50", "D4:52", "D4:53"],
    assumes=[
        "mean and variance of a linear stochastic differential equation obey these equations (Itô)",
        "a linear differential equation has one solution; exp(-τ/σ²) → 0",
        "for targets that are not Gaussian: ergodicity, under conditions on the tails of p",
    ],
    remark="D4's two theorems, for a Gaussian target: p is stationary, and p(x_t | x_0) tends to it.",
)
langevin_flow

# %% [markdown]
# ## From one noise level to the next
#
# Annealed Langevin dynamics walks through noise levels, from the largest down, with steps in proportion to
# the level's variance (Song and Ermon 2019). Its images are not shrunk: at level $t$ the walk is on
# $\tilde x = x_t / \sqrt{\bar\alpha_t}$, whose score is $\sqrt{\bar\alpha_t}$ times that of $x_t$. On the
# scale of $x_t$ such a step is a Langevin step too, of another length.

# %%
annealed_step = claim(
    "score.annealed-step",
    "An annealed Langevin step, on the diffusion's scale",
    Law(
        r"p(x_{t}' \mid x_{t})",
        x_t,
        x_t + rho * (1 - alpha_bar_t) / 2 * score_q,
        rho * (1 - alpha_bar_t),
    ),
    given=SCHEDULE,
    proof=lambda mean, variance: [
        equal(
            sqrt(alpha_bar_t)
            * langevin_step.mean.subs(gamma, rho * noise_level.variance).xreplace(
                {x_prev: x_t / sqrt(alpha_bar_t), score_q: sqrt(alpha_bar_t) * score_q}
            ),
            mean,
            "the mean, scaled back",
        ),
        equal(
            alpha_bar_t * langevin_step.variance.subs(gamma, rho * noise_level.variance),
            variance,
            "the variance, scaled back",
        ),
    ],
    mutants=[
        mutant(
            "the level's step, not scaled back",
            mean=x_t + rho * (1 - alpha_bar_t) / alpha_bar_t / 2 * score_q,
            variance=rho * (1 - alpha_bar_t) / alpha_bar_t,
        ),
        mutant(
            "the score not rescaled", mean=x_t + rho * (1 - alpha_bar_t) / sqrt(alpha_bar_t) / 2 * score_q
        ),
        mutant("one step for all levels", mean=x_t + rho / 2 * score_q, variance=rho),
        mutant("step not halved", mean=x_t + rho * (1 - alpha_bar_t) * score_q),
    ],
    uses=[langevin_step, noise_level],
    sources=["Song & Ermon 2019, algorithm 1"],
    implemented_by=["ddpm_ref.langevin.annealed_langevin", "ddpm_ref.langevin.LangevinCorrector"],
    remark="ρ is the step as a share of the level's variance; score.langevin-contracts wants it below 4.",
)
annealed_step

# %% [markdown]
# ## Algorithm 2 beside it
#
# Written with the score, the ancestral step climbs the score and adds noise, as a Langevin step does.

# %%
algorithm_2 = claim(
    "score.algorithm-2",
    "The ancestral step, by the score",
    Equation(x_prev, (x_t + beta_t * s_theta) / sqrt(alpha_t) + sigma_t * z),
    given=SCHEDULE,
    proof=lambda value: [
        equal(value.xreplace({s_theta: score_from_eps}), ancestral_step.value, "line 4 of Algorithm 2")
    ],
    mutants=[
        mutant(
            "a Langevin step of length β_t",
            value=x_t + beta_t / 2 * s_theta + sigma_t * z,
            seen="D3 line 305, if 'the form of Langevin dynamics' is read as the same step",
        ),
        mutant("drift halved", value=(x_t + beta_t / 2 * s_theta) / sqrt(alpha_t) + sigma_t * z),
        mutant("not rescaled", value=x_t + beta_t * s_theta + sigma_t * z),
        mutant("down the score", value=(x_t - beta_t * s_theta) / sqrt(alpha_t) + sigma_t * z),
    ],
    sources=["Ho2020 §3.2", "D3:28", "D3:305", "D4:16"],
    implemented_by=["ddpm_ref.score.eps_from_score"],
)
algorithm_2

# %% [markdown]
# It is not the same step. Langevin with the same noise, $\gamma = \sigma_t^2 = \beta_t$, climbs half as far,
# and does not rescale. The reason: Langevin holds one density fixed, while a reverse step goes from one
# density to the one before, and so must also undo what the forward step did. For standard normal data it
# keeps the variance at one exactly, where Langevin steps of that length settle at $1 / (1 - \beta_t / 4)$.

# %%
twice_langevin = claim(
    "score.twice-langevin",
    "How much harder Algorithm 2 climbs",
    Equation(r"\frac{\text{drift of Algorithm 2}}{\text{drift of Langevin}}", 2 / sqrt(alpha_t)),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            diff(algorithm_2.value, s_theta),
            value
            * diff(langevin_step.mean, score_q).subs(
                gamma, diff(algorithm_2.value, z).subs(sigma_t, sqrt(beta_t)) ** 2
            ),
            "at equal noise",
        )
    ],
    mutants=[
        mutant("as hard", value=Integer(1), seen="D3 line 305, if read as the same step"),
        mutant("twice, without the rescaling", value=Integer(2)),
        mutant("the rescaling alone", value=1 / sqrt(alpha_t)),
    ],
    sources=["D3:305", "D3:310"],
    remark="For σ_t² = β_t. With the posterior's smaller noise β̃_t the ratio is larger still.",
)
twice_langevin

# %% [markdown]
# ## What a state tells, for data that are not Gaussian
#
# A mixture of Gaussians has an exact denoiser too: each component has its own, and Bayes' rule says how much
# each of them counts. For a finite data set the components are its images, and the odds of two of them depend
# on how far each is from the state.

# %%
from derivations.proof.symbols import (
    eps_spread_1,
    eps_spread_2,
    mu_1,
    mu_2,
    posterior_share,
    x_0_other,
)

two_images = claim(
    "score.two-images",
    "The odds of two images",
    Equation(
        r"\log \frac{q(x_{0}' \mid x_{t})}{q(x_{0} \mid x_{t})}",
        (sqnorm(x_t - sqrt(alpha_bar_t) * x_0) - sqnorm(x_t - sqrt(alpha_bar_t) * x_0_other))
        / (2 * (1 - alpha_bar_t)),
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(
            log_normal(x_t, marginal.mean.xreplace({x_0: x_0_other}), marginal.variance)
            - log_normal(x_t, marginal.mean, marginal.variance),
            value,
            "the ratio of the kernels, both images being as likely before",
        )
    ],
    mutants=[
        mutant(
            "not halved",
            value=(sqnorm(x_t - sqrt(alpha_bar_t) * x_0) - sqnorm(x_t - sqrt(alpha_bar_t) * x_0_other))
            / (1 - alpha_bar_t),
        ),
        mutant(
            "images not scaled",
            value=(sqnorm(x_t - x_0) - sqnorm(x_t - x_0_other)) / (2 * (1 - alpha_bar_t)),
        ),
        mutant(
            "farther is likelier",
            value=(sqnorm(x_t - sqrt(alpha_bar_t) * x_0_other) - sqnorm(x_t - sqrt(alpha_bar_t) * x_0))
            / (2 * (1 - alpha_bar_t)),
        ),
        mutant(
            "deviation for variance",
            value=(sqnorm(x_t - sqrt(alpha_bar_t) * x_0) - sqnorm(x_t - sqrt(alpha_bar_t) * x_0_other))
            / (2 * sqrt(1 - alpha_bar_t)),
        ),
    ],
    uses=[density, marginal],
    sources=["Karras et al. 2022, appendix B.3"],
    implemented_by=["ddpm_ref.denoisers.DatasetDenoiser"],
    assumes=["Bayes' rule"],
    remark="So the images' probabilities are a softmax over their squared distances, and the ideal "
    "denoiser's image is their mean under it.",
)
two_images

# %% [markdown]
# How far off is the best guess? The mean square splits, as in denoising score matching: what each component
# leaves, and how far apart the components' guesses lie. Here a component of weight $\rho$, with guess $\mu_2$
# and spread $S_2$, joins those before, with guess $\mu_1$ and spread $S_1$.

# %%
posterior_spread = claim(
    "score.posterior-spread",
    "What a mixture's denoiser leaves",
    Equation(
        r"\mathbb{E}\left[\lVert x_{0} - \mathbb{E}[x_{0} \mid x_{t}] \rVert^{2} \,\middle|\, x_{t}\right]",
        (1 - rho) * eps_spread_1 + rho * eps_spread_2 + rho * (1 - rho) * sqnorm(mu_1 - mu_2),
    ),
    given=[rho <= 1],
    proof=lambda value: [
        equal(
            (1 - rho) * (eps_spread_1 + sqnorm(mu_1 - mu)) + rho * (eps_spread_2 + sqnorm(mu_2 - mu)),
            value + sqnorm((1 - rho) * mu_1 + rho * mu_2 - mu),
            "about any point: what is left, and the distance of the mean",
        ),
        equal(value.subs(rho, 0), eps_spread_1, "weight nought"),
        equal(value.subs(rho, 1), eps_spread_2, "no other component"),
    ],
    mutants=[
        mutant("as if it were known which", value=(1 - rho) * eps_spread_1 + rho * eps_spread_2),
        mutant(
            "shares not multiplied",
            value=(1 - rho) * eps_spread_1 + rho * eps_spread_2 + rho * sqnorm(mu_1 - mu_2),
        ),
        mutant(
            "squared share",
            value=(1 - rho) * eps_spread_1 + rho * eps_spread_2 + rho**2 * sqnorm(mu_1 - mu_2),
        ),
    ],
    sources=["Vincent 2011 (11)"],
    implemented_by=["ddpm_ref.denoisers.Denoiser.spread"],
    assumes=["induction over the number of components"],
)
posterior_spread

# %% [markdown]
# The entropy of a mixture has no closed form. But its surprise at a point splits into that of a component,
# which has, and that of the component given the point, which is never more than $\log K$ in the mean.

# %%
mixture_surprise = claim(
    "score.mixture-surprise",
    "The surprise of a mixture",
    Equation(
        r"- \log (q + \rho\, p)",
        -log(rho) - log(density_p) + log(posterior_share),
    ),
    given=[Eq(posterior_share, rho * density_p / (density_q + rho * density_p))],
    proof=lambda value: [
        equal(-log(density_q + rho * density_p), value, "logarithm of Bayes' rule"),
    ],
    mutants=[
        mutant("sign of what is left", value=-log(rho) - log(density_p) - log(posterior_share)),
        mutant("that of the component alone", value=-log(density_p) + 0 * rho),
        mutant("as if it were known which", value=-log(rho) - log(density_p)),
    ],
    sources=["Cover & Thomas 2006 §2.5"],
    implemented_by=[
        "ddpm_ref.laws.MixtureLaw.log_density",
        "ddpm_ref.laws.MixtureLaw.entropy",
        "ddpm_ref.denoisers.Denoiser.log_density",
    ],
    assumes=["Bayes' rule"],
    remark="In the mean over a component's own points, and then over the components: the entropy of the "
    "weights, plus the components' entropies, less what the point leaves open about the component.",
)
mixture_surprise

# %% [markdown]
# ## What this chapter assumed
#
# That conditional means minimise squared errors, and, for data that are not a finite set, differentiation
# under the integral and the tower property. The Fokker-Planck equation, and Itô's rule for the mean and
# variance of a linear stochastic differential equation. That Langevin dynamics converges for targets other
# than Gaussians is not proved here: it needs conditions that the documents do not state.
