"""What the book proves beyond the documents and the paper: where its formulas stand elsewhere."""

from derivations import continuous, decoder, forward, parameterization, posterior, sampling, score
from derivations.ledger.row import Document

DOCUMENT = Document("Further", "Later papers and public code")

# -- Nichol and Dhariwal 2021, Improved Denoising Diffusion Probabilistic Models
DOCUMENT.says(
    "Nichol & Dhariwal 2021 (17)",
    r"\bar{\alpha}_t = \frac{f(t)}{f(0)},\quad f(t) = \cos\left(\frac{t/T + s}{1 + s} \cdot "
    r"\frac{\pi}{2}\right)^2",
    forward.cosine_schedule,
)
DOCUMENT.says(
    "Nichol & Dhariwal 2021 (15)",
    r"\Sigma_\theta(x_t, t) = \exp(v \log \beta_t + (1 - v) \log \tilde{\beta}_t)",
    parameterization.learned_variance,
    note="Their code reads v from an output o in [-1, 1]: v = (o + 1)/2.",
)
DOCUMENT.words(
    "Nichol & Dhariwal 2021, §3.1",
    "β_t and the posterior variance are the two extremes for the variance of a reverse step",
    parameterization.between,
)
DOCUMENT.says(
    "Nichol & Dhariwal 2021 (16)",
    r"L_{\text{hybrid}} = L_{\text{simple}} + \lambda L_{\text{vlb}}",
    parameterization.L_hybrid,
)

# -- Salimans and Ho 2022, Progressive Distillation
DOCUMENT.says(
    "Salimans & Ho 2022, appendix D",
    r"v = \alpha_t \epsilon - \sigma_t x",
    parameterization.velocity,
    note="There α_t and σ_t are what is √ᾱ_t and √(1 - ᾱ_t) here, throughout.",
)
DOCUMENT.says(
    "Salimans & Ho 2022, appendix D",
    r"\hat{x} = \alpha_t z_t - \sigma_t \hat{v}",
    parameterization.x0_from_v,
    note="z_t is x_t here.",
)
DOCUMENT.says(
    "Salimans & Ho 2022, appendix D",
    r"\hat{\epsilon} = \sigma_t z_t + \alpha_t \hat{v}",
    parameterization.eps_from_v,
    note="z_t is x_t here.",
)
DOCUMENT.words(
    "Salimans & Ho 2022, appendix D", "given the state, the image determines v", parameterization.v_from_x0
)
DOCUMENT.words(
    "Salimans & Ho 2022, appendix D", "given the state, the noise determines v", parameterization.v_from_eps
)
DOCUMENT.words(
    "Salimans & Ho 2022, §4",
    "a loss on v is a loss on the noise with another weight",
    parameterization.error_v,
    note="They weight the error of the image; parameterization.error-x0 turns one weight into the other.",
)

# -- Song, Meng and Ermon 2021, Denoising Diffusion Implicit Models
DOCUMENT.says(
    "Song, Meng & Ermon 2021 (12)",
    r"x_{t-1} = \sqrt{\alpha_{t-1}} \left(\frac{x_t - \sqrt{1 - \alpha_t}\, \epsilon_\theta(x_t)}"
    r"{\sqrt{\alpha_t}}\right)"
    r" + \sqrt{1 - \alpha_{t-1} - \sigma_t^2}\, \epsilon_\theta(x_t) + \sigma_t \epsilon_t",
    sampling.ddim_step,
    note="There α_t is what is ᾱ_t here.",
)
DOCUMENT.words(
    "Song, Meng & Ermon 2021, §4.3",
    "the step without noise can be walked backwards, and so encodes an image",
    sampling.ddim_inversion,
)
DOCUMENT.words(
    "Song, Meng & Ermon 2021 (67)",
    "latents are interpolated along great circles",
    sampling.slerp,
    note="The formula of the appendix, for any angle short of a half-turn.",
)

# -- Ho, Jain and Abbeel 2020, beyond the equations
DOCUMENT.words(
    "Ho et al. 2020, §4.4",
    "images are interpolated by mixing them at level t, where both share their noise",
    sampling.interpolation,
    note="The paper fixes the noise between the weights. The claim is about sharing it between the images, "
    "without which the mixture is less noisy than level t.",
)

# -- Song and Ermon 2019, Generative Modeling by Estimating Gradients of the Data Distribution
DOCUMENT.words(
    "Song & Ermon 2019, algorithm 1",
    "the step of annealed Langevin dynamics is in proportion to the variance of the noise level",
    score.annealed_step,
)

# -- Song et al. 2021, Score-Based Generative Modeling through Stochastic Differential Equations
DOCUMENT.words(
    "Song et al. 2021, appendix E",
    "ancestral sampling is a discretisation of the reverse equation",
    continuous.reverse_step,
)
DOCUMENT.words(
    "Song et al. 2021, §2.1",
    "the score of Gaussian data, perturbed, is again the score of a Gaussian",
    score.gaussian_data,
)

# -- hojonathanho/diffusion, the paper's code
DOCUMENT.words(
    "hojonathanho/diffusion, diffusion_utils_2.py",
    "the posterior variance is 0 at the beginning of the chain",
    posterior.first_step,
)
DOCUMENT.words(
    "hojonathanho/diffusion, diffusion_utils_2.py",
    "the logarithm of the posterior variance is clipped: its first entry is that of the second step",
    posterior.clipped,
)
DOCUMENT.words(
    "diffusers, scheduling_ddpm.py",
    "the variance is clamped from below before its logarithm is taken: it cannot be negative, but zero",
    posterior.not_negative,
)
DOCUMENT.says(
    "hojonathanho/diffusion, utils.py",
    r"0.5\left(1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715 x^3)\right)\right)",
    decoder.tanh_cdf,
)
DOCUMENT.words(
    "hojonathanho/diffusion, utils.py",
    "the upper edge bin is one minus the approximate distribution function",
    decoder.complement,
)
DOCUMENT.words(
    "hojonathanho/diffusion, utils.py",
    "its cubic coefficient is fitted: Taylor's formula would choose another",
    decoder.curvature,
)
DOCUMENT.words(
    "hojonathanho/diffusion, utils.py",
    "each bin's probability is at least 1e-12",
    decoder.floor,
    note="So the bins add up to a little more than one.",
)
DOCUMENT.words(
    "hojonathanho/diffusion, fixedlarge",
    "the last step's deviation is the root of the second posterior variance",
    decoder.paper_error,
    note="In levels of 255 that is 0.9415, which the paper's measured error of 0.95 comes near.",
)

# -- exact denoisers
DOCUMENT.words(
    "Karras et al. 2022, appendix B.3",
    "the ideal denoiser of a finite data set is a mean of its images, weighted by their likelihoods",
    score.two_images,
    note="There the image is not shrunk: x_t / √ᾱ_t here. The weights are the softmax of these odds.",
)
DOCUMENT.words(
    "Bao et al. 2022, theorem 1",
    "the best variance of a reverse step is larger by what the best estimate leaves of the image",
    score.posterior_spread,
    note="Analytic-DPM. The claim says what that is for data that are a mixture.",
)
DOCUMENT.words(
    "Cover & Thomas 2006, §2.5",
    "the entropy of two variables is that of one and, given that, of the other",
    score.mixture_surprise,
    note="Point by point, of an image and the component that it comes from.",
)
DOCUMENT.words(
    "Ho et al. 2020, equation 16",
    "the bound is the entropy, and divergences of marginals and of reverse steps",
    sampling.data_gap,
    note="For Gaussian data, in closed form.",
)
