"""D4, line by line."""

from sympy import Integer

from derivations import (
    bound,
    coding,
    continuous,
    forward,
    gaussians,
    metrics,
    parameterization,
    score,
)
from derivations.ledger.row import Document

DOCUMENT = Document("D4", "Denoising Diffusion Probabilistic Model (reading notes)")

DOCUMENT.words(11, "the noise is normal", forward.kernel)

# Abstract

DOCUMENT.words(
    15,
    "the training objective is a weighted variational bound",
    parameterization.weight,
    note="Against this weight the simple objective gives every step the weight one.",
)
DOCUMENT.words(
    16,
    "diffusion models and denoising score matching are connected: the objective",
    score.eps_prediction,
)
DOCUMENT.words(16, "diffusion models and Langevin dynamics are connected: the sampler", score.algorithm_2)
DOCUMENT.words(17, "sampling is a progressive lossy decompression", coding.distortion_falls)
DOCUMENT.words(18, "it generalises autoregressive decoding", coding.autoregressive)

# Inception score, FID

DOCUMENT.words(
    21,
    "the inception score",
    metrics.inception_score,
    note="A headline; the definition is meant, which D4 does not give.",
)
DOCUMENT.words(
    23,
    "the inception score measures variety: images without any have the least score",
    metrics.score_lower,
)
DOCUMENT.words(
    23,
    "the inception score measures variety and quality at once",
    metrics.score_upper,
    note="On a scale that ends at the number of classes; the next row says what reaches the end.",
)
DOCUMENT.words(
    23,
    "as a measure of quality it has limits",
    metrics.score_best,
    note="One image of each class, if the classifier is certain of it, has the best score there is.",
)
DOCUMENT.words(
    27,
    "FID is the Fréchet distance between the two feature distributions",
    metrics.frechet,
    note="First reading: Gaussians are fitted to the features, and 'distance' stands for its square.",
)
DOCUMENT.words(
    27,
    "FID is the Fréchet distance between the two feature distributions, for any covariances",
    metrics.general,
    note="The same reading, for two features and covariances that need not commute.",
)
DOCUMENT.words(
    27,
    "FID is a distance: on a straight way it adds up",
    metrics.fid_triangle,
    mutant="additive, as a distance along a line",
    kind="wrong words",
    note="Second reading: FID as the Fréchet distance itself. Between equal Gaussians with moved means the "
    "distance adds up along a line; FID, its square, does not.",
)
DOCUMENT.words(
    27,
    "FID tells how alike the two distributions are: it is zero for equal Gaussians only",
    metrics.zero,
    note="First reading: the features are Gaussian.",
)
DOCUMENT.words(
    27,
    "FID tells how alike the two distributions are, whatever they are",
    metrics.blind,
    mutant="equal laws",
    kind="missing hypothesis",
    note="Second reading. A fair coin and a standard normal have distance zero and different fourth moments; "
    "the printed side says that distance zero makes laws equal.",
)
DOCUMENT.words(
    27,
    "FID is computed from images, generated and real",
    metrics.bias,
    note="From n images on each side, and then it is too large in the mean. 'Two images' is read as two sets "
    "of images: a single one has no covariance.",
)

# The variational bound

DOCUMENT.words(
    31,
    "the variational bound is the difference between the true law and the model's",
    coding.by_marginals,
    mutant="entropy forgotten",
    kind="wrong words",
    note="In the mean the printed side is the divergence of the model from the forward process, summed step "
    "by step. The bound is that and the entropy of the data, which no model can take away.",
)
DOCUMENT.words(
    31,
    "the variational bound is made of differences between true and approximating laws",
    bound.terms,
    note="Second reading: divergences step by step, beside the last term.",
)
DOCUMENT.words(31, "weighted: every term is given a weight for its importance", parameterization.weight)
DOCUMENT.words(
    33,
    "variational inference: out of an easy family, the law nearest to the posterior is sought",
    bound.elbo,
    note="The evidence does not depend on the family, so a larger bound is a smaller divergence.",
)

# Langevin dynamics

DOCUMENT.says(
    40,
    r"d\mathbf{x} = d\mathbf{w} + \frac{1}{2}\nabla_xlogp(\mathbf{x})",
    score.langevin_step,
    mutant="dt forgotten",
    kind="wrong formula",
    note="The drift is ½ ∇ log p(x) dt. Compared after a step of length γ, which is D4's ε. Take p = N(0, 4) "
    "and γ = 2: a state drawn from p has the variance (3/4)² · 4 + 2 = 4 + 1/4 after a step with dt, and "
    "(7/8)² · 4 + 2 = 4 + 17/16 without.",
)
DOCUMENT.names("the length of a step of the simulation; ε is no noise here", r"dt = \epsilon", r"\epsilon")
DOCUMENT.says(
    45,
    r"x_i = x_{i-1} + \frac{\epsilon}{2}\nabla_xlogp(x) + \sqrt{\epsilon}\mathbf{z}_i",
    score.langevin_step,
    kind="notation",
    note="p(x) is read as p at x_{i-1}; D4's ε is the claim's γ.",
)
DOCUMENT.skip(46, r"for \ i = 1, 2, 3, ..., T", "the range of the index")
DOCUMENT.says(47, r"\mathbf{z}_i \sim N(0, \mathbf{I})", score.langevin_step)
DOCUMENT.names("noise, defined by line 47", r"\mathbf{z}_i")
DOCUMENT.names("a number of steps", r"T")
DOCUMENT.names("a law or a state; nothing is claimed of the name", r"p(x)", r"x_t", r"p(x_t|x_0)")
DOCUMENT.words(50, "the z_i are Gaussian", score.langevin_step)
DOCUMENT.words(
    50,
    "for large T and small ε it is the same as to sample from p(x): in the limit",
    score.langevin_flow,
    note="First reading: ε to zero, then time to infinity; proved for a Gaussian p.",
)
DOCUMENT.words(
    50,
    "for large T and small ε it is the same as to sample from p(x): for some small ε",
    score.bias,
    mutant="the target's",
    kind="missing hypothesis",
    note="Second reading. For any fixed step the law that is approached is not p: here p is N(μ, σ²), and ε "
    "is γ.",
)
DOCUMENT.words(52, "p(x) is the stationary law of x_t", score.stationary)
DOCUMENT.names("a limit, named only; the line's other formula states it", r"t \to \infty")
DOCUMENT.says(
    53,
    r"p(x_t|x_0) \to p(x)",
    score.langevin_flow,
    note="For the SDE of line 40, with its dt; proved for a Gaussian p. Others need conditions on their "
    "tails.",
)
DOCUMENT.words(
    57,
    "score matching: the model is trained until its gradient is that of the data's log-density",
    score.matching,
    note="First reading: 'the gradient of the data's law' is that of its logarithm, with respect to x. "
    "Matching the kernel's scores does it, up to a constant.",
)
DOCUMENT.words(
    57,
    "score matching: the gradient of the data's density is matched",
    score.mixture_score,
    mutant="not divided by the density",
    kind="wrong words",
    note="Second reading, to the letter: the logarithm forgotten. Compared on a mixture of two densities.",
)

# Progressive decompression

DOCUMENT.words(
    61,
    "decoding goes from noise to the image, step by step",
    coding.autoregressive,
)
DOCUMENT.words(61, "decoding: the error falls with every step", coding.distortion_falls)
DOCUMENT.words(
    61,
    "the latent variables are pure noise",
    forward.marginal,
    mean=Integer(0),
    variance=Integer(1),
    kind="wrong words",
    note="Only x_T is, and that nearly; the latents between carry the image.",
)

# Introduction

DOCUMENT.words(
    65,
    "for small amounts of noise, conditional Gaussians are enough for the sampling chain",
    continuous.small,
    note="In the limit of small steps: the parts that the reverse step is a mixture of come together.",
)
DOCUMENT.words(
    65,
    "that the amounts of noise are small is a condition for it",
    continuous.two_peaks,
    note="The reverse of a large step may have two peaks.",
)
DOCUMENT.words(
    67,
    "T must be large for the sampled law to be the true one: more, smaller steps between the same ends",
    continuous.small,
    note="D4's guess, and right, if the larger T goes with smaller β_t: it is they that do it.",
)
DOCUMENT.words(
    67,
    "for a large T the two laws are the same: the reverse step is Gaussian",
    continuous.peakedness,
    mutant="a Gaussian's",
    kind="missing hypothesis",
    note="If it is read of a finite T. Nearly the same: for two images the step is not Gaussian for any β_t.",
)
DOCUMENT.words(
    70,
    "most of the lossless code length describes details that are not seen",
    coding.imperceptible,
)
DOCUMENT.words(
    70,
    "it is a phenomenon of lossy compression",
    coding.rate_distortion,
    note="For Gaussian data every step is at the best rate for its distortion.",
)
DOCUMENT.words(
    70,
    "sampling is a progressive decoding, more general than any order of coordinates",
    coding.autoregressive,
)
DOCUMENT.words(
    74,
    "the log-likelihood says how well the model's law represents the data",
    coding.wrong_code,
    note="The mean of -log p is least where p is the data's own law.",
)
DOCUMENT.words(78, "the lossless code length is the length of a code for lossless compression", coding.length)
DOCUMENT.words(
    78,
    "lossless: nothing is left to be sent after it",
    coding.lossless,
    note="For Gaussian data: the rate and the last term together are the entropy of the image.",
)
DOCUMENT.words(
    78,
    "most of it describes details that are hardly seen",
    coding.paper_majority,
    kind="notation",
    note="D4 says 'most of the model'; read as most of the code, as in the sentence of the paper.",
)
DOCUMENT.words(
    82,
    "lossy compression: there can be no loss when the image is restored",
    coding.lossy,
    mutant="nothing can be lost",
    kind="wrong words",
    note="D4 even calls it a drawback. Compared for Gaussian data, decoded from x_t.",
)

# Forward process

DOCUMENT.says(
    90,
    r"q(\mathbf{x_{1:T}}|\mathbf{x_0}) \coloneqq \prod_{t=1}^{T}{q(\mathbf{x_t}|\mathbf{x_{t-1}})}",
    bound.forward_chain,
)
DOCUMENT.says(
    91,
    r"q(\mathbf{x_{t}}|\mathbf{x_{t-1}})"
    r" \coloneqq N(\mathbf{x_t};\sqrt{1 - \beta_t}\mathbf{x_{t-1}}, \beta_t\mathbf{I})",
    forward.kernel,
)
DOCUMENT.names("a step; nothing is claimed of it", r"t")
DOCUMENT.words(
    94,
    "at every step a Gaussian is sampled by reparameterisation",
    gaussians.reparameterization,
)
DOCUMENT.words(94, "the sample is added to the image as noise", forward.step, note="To the shrunk image.")
DOCUMENT.names("the factor of line 91; the line's words are about it", r"\sqrt{1 - \beta_t}")
DOCUMENT.words(
    95,
    "the factor √(1 - β_t) keeps the variance from diverging",
    forward.variance_kept,
    note="Whatever the data's variance, its distance from one shrinks.",
)
