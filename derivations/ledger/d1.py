"""D1, line by line."""

from sympy import Integer

from derivations import bound, divergences, forward, parameterization
from derivations.ledger.row import Document

DOCUMENT = Document("D1", "Diffusion (study post)")

# Diffusion Model

DOCUMENT.words(36, "the forward process is fixed: every step adds Gaussian noise", forward.kernel)
DOCUMENT.words(
    37,
    "the reverse process takes noise away by Gaussian steps, whose mean and deviation are learned",
    bound.reverse_step,
    note="In the paper the mean is learned and the deviation is fixed.",
)

# Likelihood

DOCUMENT.names("an observation; nothing is claimed of it", r"x")
DOCUMENT.names("a notation: the law is given, the outcome varies", r"P(x | \theta)")
DOCUMENT.names("a notation: the outcome is given, the law varies", r"L(\theta | x)")
DOCUMENT.words(
    41,
    "probability and likelihood are both the probability that the observed x comes out",
    divergences.likelihood,
    note="Both are P(x | θ) as a number. As a function of θ it is no probability: it need not sum to one.",
)
DOCUMENT.words(
    42,
    "a probability: the law is fixed and the event varies",
    divergences.probability,
)
DOCUMENT.words(
    43, "with the integers 1 to 5 to choose from, the observation is one of them", divergences.probability
)
DOCUMENT.words(
    44, "a likelihood: the observed event is fixed and the unknown law is supposed", divergences.likelihood
)
DOCUMENT.words(
    45,
    "the likelihoods of a 2, with the integers 1 to 5, 1 to 10 or 4 to 50 to choose from",
    divergences.likelihood,
    note="D1 gives no numbers; with equally likely integers they are 1/5, 1/10 and 0.",
)
DOCUMENT.words(
    46,
    "from n repetitions one may suppose a kind of random variable, and its parameter",
    divergences.coin,
    note="For a coin: the parameter of largest likelihood is the observed frequency.",
)

# Markov process

DOCUMENT.words(
    50,
    "a Markov process is memoryless",
    divergences.markov,
    note="Read as the Markov property: no memory of the past, once the present is known.",
)
DOCUMENT.says(51, r"P[s_{t+1}|s_t] = P[s_{t+1}|s_1, \ldots, s_t]", divergences.markov)

# KL-divergence

DOCUMENT.names("a law; nothing is claimed of it", r"p", r"q")
DOCUMENT.names("a name for what lines 57 and 60 write out", r"H(p)", r"log p(x_n)")
DOCUMENT.names("the model's parameters", r"\theta")
DOCUMENT.says(55, r"H(p, q) = - \sum p_i log q_i", divergences.cross_entropy)
DOCUMENT.words(
    56,
    "usually p is the ground truth and q the prediction",
    divergences.cross_entropy,
    note="The mean is taken under p, as it must be if p is the law of the data.",
)
DOCUMENT.says(57, r"H(p) = - \sum p_i log p_i", divergences.entropy)
DOCUMENT.words(
    57,
    "the entropy of p is a constant",
    divergences.maximum_likelihood,
    note="Constant in q: it cancels when two models are compared. It differs from one p to another.",
)
DOCUMENT.says(58, r"KL(p \| q) = H(p, q) - H(p)", divergences.kl)
DOCUMENT.says(58, r"\sum p_i log \frac{p_i}{q_i}", divergences.kl)
DOCUMENT.words(
    59,
    "H(p) is constant, so minimising the divergence is minimising the cross-entropy",
    divergences.maximum_likelihood,
)
DOCUMENT.says(
    60,
    r"KL(p \| q) \simeq \frac{1}{N} \sum_{n=1}^{N} {-log q(x_n | \theta) + log p(x_n)}",
    divergences.monte_carlo,
    kind="notation",
    note="The braces group in TeX and are not printed. The sum is read as over both terms, since both have "
    "x_n; the x_n as draws from p, and ≃ as an estimate that is right in the mean.",
)
DOCUMENT.words(
    61,
    "log p(x_n) is free of θ, so minimising the divergence is minimising the negative log-likelihood, "
    "which is maximum likelihood",
    divergences.maximum_likelihood,
)
DOCUMENT.says(64, r"KL(p \| q) \geq 0", divergences.gibbs)
DOCUMENT.words(64, "it is least at p = q", divergences.not_negative)
DOCUMENT.words(
    64, "it is least at p = q", divergences.gaussian_not_negative, note="For densities, here of Gaussians."
)
DOCUMENT.says(
    65,
    r"KL(p \| q) \neq KL(q \| p)",
    divergences.asymmetric,
    note="Read as 'not equal in general', as 'asymmetric' beside it says: one pair that differs. Of all "
    "pairs of different laws it would be false.",
)
DOCUMENT.words(
    65,
    "it is asymmetric",
    divergences.exchanged,
    note="What the printed ≠ leaves open: (p, 1 - p) and (1 - p, p) have equal divergences both ways.",
)
DOCUMENT.words(
    65, "it is asymmetric", divergences.gaussian_asymmetric, note="For densities, here of Gaussians."
)
DOCUMENT.words(
    65,
    "it is no distance",
    divergences.triangle,
    note="Besides the asymmetry: the triangle inequality fails.",
)
DOCUMENT.names("a name for the Jensen-Shannon divergence", r"JSD(p \| q)")
DOCUMENT.words(
    66,
    "JSD is the average of the two divergences",
    divergences.js,
    note="First reading, of those of p and of q from their mixture: D1 does not say which two.",
)
DOCUMENT.words(
    66,
    "JSD is the average of the two divergences",
    divergences.js,
    mutant="the average of the two divergences: Jeffreys",
    kind="wrong words",
    note="Second reading, of KL(p ‖ q) and KL(q ‖ p), which the line before compares. Their average is "
    "Jeffreys' divergence.",
)
DOCUMENT.words(
    66,
    "JSD is the average of the two divergences",
    divergences.jeffreys_large,
    mutant="bounded alike",
    kind="wrong words",
    note="The second reading again: JSD is at most log 2 = 0.69, and between (4/5, 1/5) and (1/5, 4/5) that "
    "average is 0.83.",
)
DOCUMENT.words(
    66,
    "JSD can be used as a distance",
    divergences.js_lower,
    note="First reading of 'distance': a symmetric measure of how different two laws are, not negative, and "
    "zero for equal laws only.",
)
DOCUMENT.words(
    66,
    "JSD can be used as a distance",
    divergences.js_triangle,
    mutant="the triangle inequality",
    kind="wrong words",
    note="Second reading of 'distance', the mathematical one: the triangle inequality fails. From (1/4, "
    "3/4) to (3/4, 1/4) it is 0.131 directly, and 0.034 + 0.034 by way of (1/2, 1/2). The root of JSD is a "
    "distance.",
)

# Diffusion Algorithm: the forward process

DOCUMENT.says(
    76,
    r"q(X_t | X_{t-1}) = N(X_t ; \mu_{X_{t-1}}, \Sigma_{X_{t-1}})",
    forward.kernel,
    note="A Gaussian, with names for the mean and the covariance that the rest of the line gives; the "
    "covariance does not depend on X_{t-1}, whatever its index says.",
)
DOCUMENT.says(76, r"N(X_t ; \sqrt{1-\beta_t} \cdot X_{t-1}, \beta_t \cdot I)", forward.kernel)
DOCUMENT.names("the schedule: how much noise step t adds, a given number", r"\beta_t")
DOCUMENT.words(
    77, "β_t is the amount of noise put in, a constant", forward.kernel, note="Constant: fixed, not learned."
)
DOCUMENT.words(
    78,
    "β_t grows with t",
    forward.schedule_rises,
    note="For the paper's schedule. Nothing asks for it of a schedule in general.",
)
DOCUMENT.names("the identity matrix, which D1 takes for a choice of pixels", r"I")
DOCUMENT.words(
    78,
    "as β_t grows, other pixels are selected by I, so that the noise gets stronger",
    forward.kernel,
    variance=Integer(0),
    kind="wrong words",
    note="Read as: only the pixels that I selects get noise. I is the identity matrix: every pixel gets "
    "noise of variance β_t at every step. The printed side is the variance of a pixel that is not selected.",
    corrected_by=forward.step,
)
DOCUMENT.words(
    78,
    "the noise gets stronger as t grows",
    forward.falls,
    note="The signal falls at every step, whether β_t grows or not.",
)

# Diffusion Algorithm: the reverse process

DOCUMENT.names("laws of the forward process, named only", r"q(X_t)", r"q(X_{t-1} | X_t)")
DOCUMENT.names("the model's reverse step, named only", r"p_{\theta}(X_{t-1} | X_t)")
DOCUMENT.words(
    80,
    "q(X_{t-1} | X_t) cannot be computed without the law of the images",
    parameterization.reverse_variance,
    note="Already for Gaussian data its variance depends on theirs. With the law of the data it could be.",
)
DOCUMENT.words(81, "the goal is a p_θ(X_{t-1} | X_t) that approximates q(X_{t-1} | X_t)", bound.goal)
DOCUMENT.says(
    82,
    r"p_{\theta | x}",
    divergences.likelihood,
    kind="notation",
    note="'Likelihood' is said of it, so read as L(θ | x) of line 44, that is p_θ(x); as printed it would be "
    "a law of θ.",
)
DOCUMENT.words(
    82,
    "it is a maximum likelihood problem",
    divergences.maximum_likelihood,
    note="Read as the aim. What line 84 minimises is a bound; the likelihood need not gain what the bound "
    "gains (bound.fixed-q).",
)

# Diffusion Algorithm: the loss

THETA = "p without θ is the model here; the sum ends at T."
DOCUMENT.says(
    84,
    r"E_q [D_{KL}(q(x_T | x_0) \| p(x_T))"
    r" + \sum_{t \gt 1} D_{KL}(q(x_{t-1} | x_t, x_0) \| p(x_{t-1} | x_t)) - log p_{\theta} (x_0 | x_1)]",
    bound.terms,
    note=THETA,
)
DOCUMENT.says(85, r"L_T = D_{KL}(q(x_T | x_0) \| p(x_T))", bound.terms)
DOCUMENT.says(
    86, r"L_{t-1} = D_{KL}(q(x_{t-1} | x_t, x_0) \| p(x_{t-1} | x_t))", bound.terms, note="For t ≥ 2."
)
DOCUMENT.says(
    87,
    r"L_0 = - log p_{\theta} (x_0 | x_1)",
    bound.terms,
    note="A density or, as in the paper, a probability of pixel values (decoder.bin); D1 does not say.",
)
