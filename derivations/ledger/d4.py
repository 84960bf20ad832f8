"""D4, line by line."""

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
    23,
    "the inception score measures the variety of images and their quality at once",
    metrics.inception_score,
    note="The definition, which D4 does not give: how far the classifier's answers for single images are "
    "from its mean answer. Varied answers raise it, and so do certain ones.",
)
DOCUMENT.words(
    23,
    "the inception score measures variety",
    metrics.score_lower,
    note="Images without any, for which all answers are the same, have the least score.",
)
DOCUMENT.words(
    23,
    "as a measure of quality it has limits",
    metrics.score_upper,
    note="It cannot exceed the number of classes; the next row says what reaches it.",
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
    "FID is the Fréchet distance between the two feature distributions",
    metrics.general,
    note="The same reading, for two features and any covariances.",
)
DOCUMENT.words(
    27,
    "FID is the Fréchet distance between the two feature distributions",
    metrics.fid_triangle,
    mutant="additive, as a distance along a line",
    kind="wrong words",
    note="Second reading: the distance itself. FID is its square. Between Gaussians that differ in their "
    "means only, the distance adds up along a line; FID does not.",
)
DOCUMENT.words(
    27,
    "FID tells how alike the two distributions are",
    metrics.zero,
    note="First reading: the features are Gaussian. Then it is zero for equal laws only.",
)
DOCUMENT.words(
    27,
    "FID tells how alike the two distributions are",
    metrics.blind,
    mutant="equal laws",
    kind="missing hypothesis",
    note="Second reading: whatever the features. A fair coin and a standard normal have distance zero and "
    "different fourth moments; the printed side says that distance zero makes laws equal.",
)
DOCUMENT.words(
    27,
    "FID measures the difference between generated and real images",
    metrics.bias,
    note="It is computed from n images on each side, and then it is too large in the mean. 'Two images' is "
    "read as two sets of images: a single one has no covariance.",
)

# The variational bound

DOCUMENT.words(
    31,
    "the variational bound is the difference between the true law and the model's",
    coding.by_marginals,
    mutant="entropy forgotten",
    kind="wrong words",
    note="First reading, to the letter. In the mean the printed side is the divergence of the model from "
    "the forward process, summed step by step. The bound is that and the entropy of the data, which no "
    "model can take away.",
)
DOCUMENT.words(
    31,
    "the variational bound is the difference between the true law and the model's",
    bound.terms,
    note="Second reading: it is made of such differences, one for each step, and of the last term.",
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
    corrected_by=score.stationary,
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
    "for very large T and very small ε it is the same as to sample from p(x)",
    score.langevin_flow,
    note="First reading, in the limit: ε to zero, then time to infinity; proved for a Gaussian p.",
)
DOCUMENT.words(
    50,
    "for very large T and very small ε it is the same as to sample from p(x)",
    score.bias,
    mutant="the target's",
    kind="missing hypothesis",
    note="Second reading, for some small ε: for any fixed step the law that is approached is not p: here p "
    "is N(μ, σ²), and ε is γ.",
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
    "score matching: the model's gradient is trained to be that of the data's law",
    score.matching,
    note="'The gradient of the data's law' is that of the logarithm of its density, with respect to x, as in "
    "line 45. Matching the kernel's scores does it, up to a constant.",
)

# Progressive decompression

DOCUMENT.words(
    59,
    "progressive decompression generalises autoregressive decoding",
    coding.autoregressive,
)
DOCUMENT.words(
    61,
    "decoding starts from pure noise, the latent variables",
    forward.prior,
    note="Read of x_T, where it starts: noise in the limit. The latents between carry the image.",
)
DOCUMENT.words(
    61,
    "noise is taken out little by little until there is the image",
    coding.distortion_falls,
    note="For Gaussian data: the error falls with every step.",
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
    "T must be large enough for the sampled law to become the true one",
    continuous.small,
    note="First reading, as a limit. D4's guess, and right if a larger T means more and smaller steps "
    "between the same ends: the smaller β_t do it.",
)
DOCUMENT.words(
    67,
    "T must be large enough for the sampled law to become the true one",
    continuous.peakedness,
    mutant="a Gaussian's",
    kind="missing hypothesis",
    note="Second reading, from some T on: for two images, ρ and 1 - ρ likely and Δ apart, the true reverse "
    "step is not the Gaussian that is sampled, for any T. The claim is its fourth cumulant; a Gaussian's is "
    "zero.",
)
DOCUMENT.words(
    70,
    "most of the lossless code length describes details that are not seen",
    coding.imperceptible,
)
DOCUMENT.words(
    70,
    "this can be said in the language of lossy compression",
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
    "most of it describes details that are hardly seen",
    coding.paper_majority,
    note="D4 says 'most of the model'; read as most of the code, as in the sentence of the paper that it "
    "explains.",
)
DOCUMENT.words(
    82,
    "lossy compression: there can be no loss when the image is restored",
    coding.lossy,
    mutant="nothing can be lost",
    kind="wrong words",
    note="D4 calls it a drawback, so perhaps 'can' was meant. Compared for Gaussian data, decoded from x_t.",
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
