"""Ho2020, equation by equation."""

from sympy import sqrt

from derivations import (
    bound,
    coding,
    continuous,
    decoder,
    forward,
    parameterization,
    posterior,
    sampling,
    score,
)
from derivations.ledger.row import Document
from derivations.proof.symbols import alpha_bar_t, alpha_t, eps_theta, sigma_t, x_t, z

DOCUMENT = Document("Ho2020", "Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel 2020)")

# 1 Introduction

DOCUMENT.words(
    "§1",
    "if every step adds little noise, Gaussian reverse steps are enough",
    continuous.small,
    note="In the limit of small steps. After a large one, between two images, the true reverse step has two "
    "peaks, which no Gaussian has (continuous.two-peaks).",
)
DOCUMENT.words(
    "§1",
    "with a certain parameterization, training is equivalent to denoising score matching over several "
    "noise levels",
    score.eps_prediction,
    note="Up to the weights of the levels.",
)
DOCUMENT.words(
    "§1",
    "with a certain parameterization, sampling is equivalent to annealed Langevin dynamics",
    score.algorithm_2,
    note="First reading: of the same form, a step along the score, and noise.",
)
DOCUMENT.words(
    "§1",
    "with a certain parameterization, sampling is equivalent to annealed Langevin dynamics",
    score.twice_langevin,
    mutant="as hard",
    kind="wrong words",
    note="Second reading: the same steps. At equal noise the drift is 2/√α_t times Langevin's. Section 3.2 "
    "says 'resembles'.",
)
DOCUMENT.words(
    "§1",
    "most of the lossless codelength describes imperceptible details",
    coding.imperceptible,
    note="Of the paper's figures: 0.12 of 3.75 bits per dimension bring the error down to 12 of 255.",
)

# 2 Background

DOCUMENT.says(
    "§2",
    r"p_\theta(x_0) := \int p_\theta(x_{0:T})\, dx_{1:T}",
    bound.likelihood,
    note="The definition of p_θ(x_0); it is what makes Bayes' rule true for the chain.",
)
DOCUMENT.says(
    "(1)", r"p_\theta(x_{0:T}) := p(x_T) \prod_{t=1}^T p_\theta(x_{t-1} | x_t)", bound.reverse_chain
)
DOCUMENT.says(
    "(1)",
    r"p_\theta(x_{t-1} | x_t) := \mathcal{N}(x_{t-1}; \mu_\theta(x_t, t), \Sigma_\theta(x_t, t))",
    bound.reverse_step,
    note="With the covariance that section 3.2 chooses, σ_t² I.",
)
DOCUMENT.says("(2)", r"q(x_{1:T} | x_0) := \prod_{t=1}^T q(x_t | x_{t-1})", bound.forward_chain)
DOCUMENT.says(
    "(2)", r"q(x_t | x_{t-1}) := \mathcal{N}(x_t; \sqrt{1 - \beta_t}\, x_{t-1}, \beta_t I)", forward.kernel
)
DOCUMENT.says(
    "(3)",
    r"\mathbb{E}[-\log p_\theta(x_0)] \leq \mathbb{E}_q\left[-\log \frac{p_\theta(x_{0:T})}"
    r"{q(x_{1:T} | x_0)}\right]",
    bound.upper_bound,
)
DOCUMENT.says(
    "(3)",
    r"= \mathbb{E}_q\left[-\log p(x_T) - \sum_{t \geq 1} \log \frac{p_\theta(x_{t-1} | x_t)}"
    r"{q(x_t | x_{t-1})}\right] =: L",
    bound.sum_form,
)
DOCUMENT.words(
    "§2",
    "both processes have the same functional form if the β_t are small",
    continuous.small,
    note="As an approximation, at t ≥ 2: the true reverse step is a mixture of Gaussians, whose means come "
    "together as β_t goes to zero.",
)
DOCUMENT.says("§2", r"\alpha_t := 1 - \beta_t", forward.alpha_bar, note="The claim's hypothesis.")
DOCUMENT.says("§2", r"\bar\alpha_t := \prod_{s=1}^t \alpha_s", forward.alpha_bar)
DOCUMENT.says(
    "(4)",
    r"q(x_t | x_0) = \mathcal{N}(x_t; \sqrt{\bar\alpha_t}\, x_0, (1 - \bar\alpha_t) I)",
    forward.marginal,
)
DOCUMENT.says(
    "(5)",
    r"\mathbb{E}_q\Big[D_{\mathrm{KL}}(q(x_T | x_0) \,\Vert\, p(x_T)) + \sum_{t > 1} "
    r"D_{\mathrm{KL}}(q(x_{t-1} | x_t, x_0) \,\Vert\, p_\theta(x_{t-1} | x_t)) "
    r"- \log p_\theta(x_0 | x_1)\Big]",
    bound.terms,
)
DOCUMENT.says(
    "(6)",
    r"q(x_{t-1} | x_t, x_0) = \mathcal{N}(x_{t-1}; \tilde\mu_t(x_t, x_0), \tilde\beta_t I)",
    posterior.posterior,
)
DOCUMENT.says(
    "(7)",
    r"\tilde\mu_t(x_t, x_0) := \frac{\sqrt{\bar\alpha_{t-1}} \beta_t}{1 - \bar\alpha_t} x_0 + "
    r"\frac{\sqrt{\alpha_t} (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} x_t",
    posterior.mean,
)
DOCUMENT.says(
    "(7)", r"\tilde\beta_t := \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t} \beta_t", posterior.variance
)

# 3.1 Forward process and L_T

DOCUMENT.words(
    "§3.1", "L_T is a constant during training and can be ignored, since q is fixed", bound.prior_term
)

# 3.2 Reverse process and L_1 to L_{T-1}

DOCUMENT.words("§3.2", "σ_t² = β_t is optimal for x_0 ~ N(0, I)", sampling.normal_data)
DOCUMENT.words("§3.2", "σ_t² = β̃_t is optimal for x_0 set to one point", sampling.single_image)
DOCUMENT.words(
    "§3.2",
    "these two are the extreme choices: the data's variance decides which of those between is right",
    parameterization.rises,
    note="For Gaussian data; a single image and unit variance are the ends.",
)
DOCUMENT.words("§3.2", "of the two, β̃_t is the lower one", posterior.below_step)
DOCUMENT.words(
    "§3.2",
    "these correspond to an upper and a lower bound on the entropy of the reverse process, for data of "
    "unit variance in each coordinate",
    parameterization.entropy_range,
    note="The claim says how far the two are apart.",
)
DOCUMENT.words(
    "§3.2",
    "the lower one is extreme: no reverse step has less variance than β̃_t",
    parameterization.above,
    note="Written for Gaussian data.",
)
DOCUMENT.words(
    "§3.2",
    "the upper one is extreme: for data of unit variance no reverse step has more than β_t",
    parameterization.linear_residual,
    note="In the mean over x_t, for any such data: the best linear predictor leaves β_t, and no predictor "
    "leaves less than the variance of the reverse step.",
)
DOCUMENT.says(
    "(8)",
    r"L_{t-1} = \mathbb{E}_q\left[\frac{1}{2 \sigma_t^2} \Vert \tilde\mu_t(x_t, x_0) - "
    r"\mu_\theta(x_t, t) \Vert^2\right] + C",
    parameterization.L_t_minus_1,
    note="C is the claim's other summand, which is free of θ.",
)
DOCUMENT.says(
    "§3.2",
    r"x_t(x_0, \epsilon) = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon",
    forward.sample,
)
DOCUMENT.says(
    "(9)",
    r"L_{t-1} - C = \mathbb{E}_{x_0, \epsilon}\left[\frac{1}{2 \sigma_t^2} \left\Vert \tilde\mu_t\left("
    r"x_t(x_0, \epsilon), \frac{1}{\sqrt{\bar\alpha_t}} (x_t(x_0, \epsilon) - \sqrt{1 - \bar\alpha_t}\, "
    r"\epsilon)\right) - \mu_\theta(x_t(x_0, \epsilon), t) \right\Vert^2\right]",
    parameterization.x0_from_eps,
    note="What is new against (8) is x_0, written by x_t and ε.",
)
DOCUMENT.says(
    "(10)",
    r"= \mathbb{E}_{x_0, \epsilon}\left[\frac{1}{2 \sigma_t^2} \left\Vert \frac{1}{\sqrt{\alpha_t}} \left("
    r"x_t(x_0, \epsilon) - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}} \epsilon\right) - "
    r"\mu_\theta(x_t(x_0, \epsilon), t) \right\Vert^2\right]",
    parameterization.mean_from_eps,
)
DOCUMENT.words(
    "§3.2",
    "(10) shows that μ_θ must predict (x_t - β_t ε / √(1-ᾱ_t)) / √α_t, given x_t",
    parameterization.projection,
    note="As far as x_t allows: the best prediction has the mean of ε given x_t in place of ε.",
)
DOCUMENT.says(
    "(11)",
    r"\mu_\theta(x_t, t) = \tilde\mu_t\left(x_t, \frac{1}{\sqrt{\bar\alpha_t}} (x_t - "
    r"\sqrt{1 - \bar\alpha_t}\, \epsilon_\theta(x_t))\right)",
    parameterization.x0_from_eps,
    kind="notation",
    note="ε_θ(x_t) is read as ε_θ(x_t, t), as it stands further right; it is put for ε.",
)
DOCUMENT.says(
    "(11)",
    r"= \frac{1}{\sqrt{\alpha_t}} \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}} "
    r"\epsilon_\theta(x_t, t)\right)",
    parameterization.mean_from_eps,
    note="With ε_θ(x_t, t) put for ε.",
)
DOCUMENT.says(
    "§3.2",
    r"x_{t-1} = \frac{1}{\sqrt{\alpha_t}} \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}} "
    r"\epsilon_\theta(x_t, t)\right) + \sigma_t z, \quad z \sim \mathcal{N}(0, I)",
    sampling.ancestral_step,
)
DOCUMENT.words(
    "§3.2",
    "Algorithm 2 resembles Langevin dynamics",
    score.algorithm_2,
    note="A step along the score, and noise. How far the likeness goes: score.twice-langevin.",
)
DOCUMENT.words(
    "§3.2",
    "ε_θ is a learned gradient of the data density",
    score.optimal_eps,
    note="Read as: of the logarithm of the noised data's density, times -√(1-ᾱ_t).",
)
DOCUMENT.says(
    "(12)",
    r"\mathbb{E}_{x_0, \epsilon}\left[\frac{\beta_t^2}{2 \sigma_t^2 \alpha_t (1 - \bar\alpha_t)} \Vert "
    r"\epsilon - \epsilon_\theta(\sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon, t) "
    r"\Vert^2\right]",
    parameterization.weight,
)
DOCUMENT.words(
    "§3.2",
    "(12) resembles denoising score matching",
    score.bound_weight,
    note="The claim is its weight, for the error of the score.",
)
DOCUMENT.words("§3.2", "its noise levels are indexed by t", score.noise_level)
DOCUMENT.words(
    "§3.2",
    "the mean may be learnt by predicting μ̃_t or by predicting ε",
    parameterization.eps_from_mean,
)
DOCUMENT.words(
    "§3.2",
    "it may also be learnt by predicting x_0",
    parameterization.x0_from_mean,
    note="x_t is given, and then the mean and the image determine each other.",
)
DOCUMENT.words(
    "§3.2",
    "predicting x_0 is one more choice, beside predicting μ̃_t and ε",
    parameterization.error_x0,
    note="The error of the image is that of the noise with another weight.",
)

# Algorithm 1, training

DRAWN = "something is drawn; nothing is claimed of it"
DOCUMENT.skip("Algorithm 1, line 2", r"x_0 \sim q(x_0)", DRAWN)
DOCUMENT.skip("Algorithm 1, line 3", r"t \sim \mathrm{Uniform}(\{1, \dots, T\})", DRAWN)
DOCUMENT.skip("Algorithm 1, line 4", r"\epsilon \sim \mathcal{N}(0, I)", DRAWN)
DOCUMENT.says(
    "Algorithm 1, line 5",
    r"\nabla_\theta \Vert \epsilon - \epsilon_\theta(\sqrt{\bar\alpha_t}\, x_0 + "
    r"\sqrt{1 - \bar\alpha_t}\, \epsilon, t) \Vert^2",
    parameterization.L_simple_norm,
    note="The gradient of the claim's right-hand side, one term of (14).",
)

# Algorithm 2, sampling

DOCUMENT.skip("Algorithm 2, line 1", r"x_T \sim \mathcal{N}(0, I)", DRAWN)
DOCUMENT.skip("Algorithm 2, line 2", r"t = T, \dots, 1", "the order of the steps")
DOCUMENT.says(
    "Algorithm 2, line 3",
    r"z \sim \mathcal{N}(0, I) \text{ if } t > 1, \text{ else } z = 0",
    sampling.last_step,
    note="At t = 1 what comes out is then the mean alone.",
)
DOCUMENT.says(
    "Algorithm 2, line 4",
    r"x_{t-1} = \frac{1}{\sqrt{\alpha_t}} \left(x_t - \frac{1 - \alpha_t}{\sqrt{1 - \bar\alpha_t}} "
    r"\epsilon_\theta(x_t, t)\right) + \sigma_t z",
    sampling.ancestral_step,
    value=(x_t - (1 - alpha_t) / sqrt(1 - alpha_bar_t) * eps_theta) / sqrt(alpha_t) + sigma_t * z,
)

# 3.3 The decoder

DOCUMENT.words("§3.3", "integers from 0 to 255 are scaled linearly to [-1, 1]", decoder.scaling)
DOCUMENT.says(
    "(13)",
    r"p_\theta(x_0 | x_1) = \prod_{i=1}^D \int_{\delta_-(x_0^i)}^{\delta_+(x_0^i)} "
    r"\mathcal{N}(x; \mu_\theta^i(x_1, 1), \sigma_1^2)\, dx",
    decoder.bin_mass,
    note="The claim is one factor.",
)
DOCUMENT.says(
    "(13)",
    r"\delta_+(x) = x + \tfrac{1}{255} \text{ if } x < 1",
    decoder.edges,
    note="With k_max = 255.",
)
DOCUMENT.says(
    "(13)",
    r"\delta_-(x) = x - \tfrac{1}{255} \text{ if } x > -1",
    decoder.edges,
    note="With k_max = 255. It is the upper edge of the bin below.",
)
DOCUMENT.says(
    "(13)",
    r"\delta_+(x) = \infty \text{ if } x = 1, \quad \delta_-(x) = -\infty \text{ if } x = -1",
    decoder.sums_to_one,
    note="What this is for.",
)
DOCUMENT.words(
    "§3.3",
    "the bound is a lossless codelength of discrete data",
    decoder.in_order,
    note="Every pixel value has a positive probability, and they sum to one (decoder.sums-to-one).",
)
DOCUMENT.words(
    "§3.3",
    "the Jacobian of the scaling need not be put into the likelihood",
    decoder.offset_in_bits,
    note="The claim is what a density on [-1, 1] would need.",
)
DOCUMENT.words("§3.3", "at the end of sampling μ_θ(x_1, 1) is shown, without noise", sampling.last_step)

# 3.4 Simplified training objective

DOCUMENT.says(
    "(14)",
    r"L_{\mathrm{simple}}(\theta) := \mathbb{E}_{t, x_0, \epsilon}\left[\Vert \epsilon - "
    r"\epsilon_\theta(\sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon, t) \Vert^2\right]",
    parameterization.L_simple_norm,
    note="The claim is for one x_0, t and ε.",
)
DOCUMENT.words(
    "§3.4",
    "its case t = 1 is L_0 with density times width for the decoder's integral, but for edges and σ_1²",
    decoder.width,
    note="The claim bounds what that changes in the exponent.",
)
DOCUMENT.words(
    "§3.4",
    "it leaves out the weight of (12), so it is a weighted bound",
    parameterization.L_simple,
)
DOCUMENT.words(
    "§3.4",
    "it weighs the terms of small t down",
    continuous.small_steps_weigh_more,
    note="The claim compares the first step with the last.",
)

# 4 Experiments

DOCUMENT.words("§4", "β_t increases linearly from 0.0001 to 0.02 in T = 1000 steps", forward.linear_schedule)
DOCUMENT.words(
    "§4", "the signal-to-noise ratio at x_T is small", continuous.end_of_schedule, note="ᾱ_T, times 10⁹."
)

# 4.3 Progressive coding

DOCUMENT.words("§4.3", "the bound is a lossless codelength", coding.bits_back)
DOCUMENT.words("table 1", "codelengths are in bits per dimension", decoder.bits_per_dim)
DOCUMENT.words("§4.3", "a rate of 1.78 and a distortion of 1.97 bits per dimension", coding.paper_total)
DOCUMENT.words(
    "§4.3",
    "a distortion of 1.97 bits per dimension is a root mean squared error of 0.95 of 255",
    decoder.paper_last_term,
    note="If the error is normal: then 0.95 has an entropy of 1.9731 bits.",
)
DOCUMENT.words(
    "§4.3", "more than half of the codelength describes imperceptible distortions", coding.paper_majority
)
DOCUMENT.words(
    "§4.3",
    "L_1 + … + L_T is a rate and L_0 a distortion, and together they are the codelength",
    coding.lossless,
    note="Written for Gaussian data, where the sum is the entropy of the data.",
)
DOCUMENT.words(
    "§4.3",
    "Algorithms 3 and 4 send x_T to x_0 with a total expected codelength equal to (5)",
    bound.terms,
    note="If a sample of q can be sent at the cost of its divergence from p.",
)
DOCUMENT.says(
    "(15)",
    r"x_0 \approx \hat x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\, \epsilon_\theta(x_t)) / \sqrt{\bar\alpha_t}",
    parameterization.x0_from_eps,
    kind="notation",
    note="ε_θ(x_t) is read as ε_θ(x_t, t), put for ε.",
)
DOCUMENT.words(
    "§4.3",
    "the distortion at time t is the error of this estimate",
    coding.distortion,
    note="The claim is for Gaussian data and the best estimate, and is the square of the paper's.",
)
DOCUMENT.words(
    "§4.3",
    "the rate is the number of bits received so far",
    coding.rate_grows,
)
DOCUMENT.words(
    "§4.3",
    "the distortion falls as bits are received",
    coding.distortion_falls,
    note="Written for Gaussian data.",
)
DOCUMENT.says(
    "(16)",
    r"L = D_{\mathrm{KL}}(q(x_T) \,\Vert\, p(x_T)) + \mathbb{E}_q\left[\sum_{t \geq 1} "
    r"D_{\mathrm{KL}}(q(x_{t-1} | x_t) \,\Vert\, p_\theta(x_{t-1} | x_t))\right] + H(x_0)",
    coding.by_marginals,
)
DOCUMENT.words(
    "§4.3",
    "a process that masks one coordinate after the other makes an autoregressive model",
    coding.autoregressive,
)

# Appendix A

DOCUMENT.says(
    "(17)",
    r"L = \mathbb{E}_q\left[-\log \frac{p_\theta(x_{0:T})}{q(x_{1:T} | x_0)}\right]",
    bound.gap,
    note="The claim's bound: the likelihood and the gap.",
)
DOCUMENT.says(
    "(18)",
    r"= \mathbb{E}_q\left[-\log p(x_T) - \sum_{t \geq 1} \log \frac{p_\theta(x_{t-1} | x_t)}"
    r"{q(x_t | x_{t-1})}\right]",
    bound.sum_form,
)
DOCUMENT.says(
    "(19)",
    r"= \mathbb{E}_q\left[-\log p(x_T) - \sum_{t > 1} \log \frac{p_\theta(x_{t-1} | x_t)}"
    r"{q(x_t | x_{t-1})} - \log \frac{p_\theta(x_0 | x_1)}{q(x_1 | x_0)}\right]",
    bound.first_apart,
)
DOCUMENT.says(
    "(20)",
    r"= \mathbb{E}_q\left[-\log p(x_T) - \sum_{t > 1} \log \frac{p_\theta(x_{t-1} | x_t)}"
    r"{q(x_{t-1} | x_t, x_0)} \cdot \frac{q(x_{t-1} | x_0)}{q(x_t | x_0)} "
    r"- \log \frac{p_\theta(x_0 | x_1)}{q(x_1 | x_0)}\right]",
    bound.turned_sum,
)
DOCUMENT.says(
    "(21)",
    r"= \mathbb{E}_q\left[-\log \frac{p(x_T)}{q(x_T | x_0)} - \sum_{t > 1} \log "
    r"\frac{p_\theta(x_{t-1} | x_t)}{q(x_{t-1} | x_t, x_0)} - \log p_\theta(x_0 | x_1)\right]",
    bound.decomposition,
)
DOCUMENT.says(
    "(22)",
    r"= \mathbb{E}_q\Big[D_{\mathrm{KL}}(q(x_T | x_0) \,\Vert\, p(x_T)) + \sum_{t > 1} "
    r"D_{\mathrm{KL}}(q(x_{t-1} | x_t, x_0) \,\Vert\, p_\theta(x_{t-1} | x_t)) "
    r"- \log p_\theta(x_0 | x_1)\Big]",
    bound.terms,
)
DOCUMENT.says(
    "(23)",
    r"L = \mathbb{E}_q\left[-\log p(x_T) - \sum_{t \geq 1} \log \frac{p_\theta(x_{t-1} | x_t)}"
    r"{q(x_t | x_{t-1})}\right]",
    bound.sum_form,
)
DOCUMENT.says(
    "(24)",
    r"= \mathbb{E}_q\left[-\log p(x_T) - \sum_{t \geq 1} \log \frac{p_\theta(x_{t-1} | x_t)}"
    r"{q(x_{t-1} | x_t)} \cdot \frac{q(x_{t-1})}{q(x_t)}\right]",
    coding.by_marginals,
    note="The line before the marginals telescope, which the claim's proof does step by step.",
)
DOCUMENT.says(
    "(25)",
    r"= \mathbb{E}_q\left[-\log \frac{p(x_T)}{q(x_T)} - \sum_{t \geq 1} \log \frac{p_\theta(x_{t-1} | x_t)}"
    r"{q(x_{t-1} | x_t)} - \log q(x_0)\right]",
    coding.by_marginals,
)
DOCUMENT.says(
    "(26)",
    r"= D_{\mathrm{KL}}(q(x_T) \,\Vert\, p(x_T)) + \mathbb{E}_q\left[\sum_{t \geq 1} "
    r"D_{\mathrm{KL}}(q(x_{t-1} | x_t) \,\Vert\, p_\theta(x_{t-1} | x_t))\right] + H(x_0)",
    coding.by_marginals,
)
