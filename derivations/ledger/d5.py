"""D5, line by line."""

from sympy import Integer

from derivations import (
    bound,
    coding,
    continuous,
    divergences,
    forward,
    gaussians,
    parameterization,
    posterior,
    sampling,
    score,
)
from derivations.ledger.row import Document

DOCUMENT = Document("D5", "Week 12: Diffusion Models (lecture notes)")

# Mode collapse and noise

DOCUMENT.words(
    7,
    "where p and q have nothing in common, training fails to converge all the more",
    divergences.disjoint_kl,
    note="For the Kullback-Leibler divergence: it passes any bound as the common part vanishes.",
)
DOCUMENT.words(
    9,
    "the noise has a long tail",
    divergences.tail,
    mutant="heavier than some exponential: a long tail",
    kind="wrong words",
    note="First reading: heavy, as the word is used. The noise is normal (line 17), and a normal tail is "
    "lighter than every exponential.",
)
DOCUMENT.words(
    9,
    "the noise has a long tail",
    divergences.js_upper,
    note="Second reading: a tail that ends nowhere, so that the laws overlap. That is what helps, see line "
    "17.",
)
DOCUMENT.words(
    9,
    "noise added prevents mode collapse",
    divergences.mode_seeking,
    mutant="with overlap the covering model is closer",
    kind="wrong words",
    note="Read with lines 17 and 21: by the overlap that it gives. Overlap is not enough: the laws of the "
    "witness, those of line 21, overlap everywhere, and the model that lost a mode is the closer one.",
)
DOCUMENT.words(
    13,
    "with some overlap the two are brought together",
    divergences.partial_overlap,
    note="For the Jensen-Shannon divergence, that of a GAN. The Kullback-Leibler divergence may still be "
    "infinite.",
)
DOCUMENT.words(
    15, "without any overlap they are not", divergences.disjoint_js, note="Nothing tells near from far."
)
DOCUMENT.words(17, "normal noise makes the laws overlap everywhere", divergences.js_upper)
DOCUMENT.words(
    17, "normal noise is added for that", divergences.noised, note="The divergence becomes finite."
)
DOCUMENT.words(19, "as the noise is taken away the two are brought together", divergences.gradient)
DOCUMENT.words(
    21,
    "mode collapse is due to densities that do not overlap",
    divergences.mode_seeking,
    mutant="with overlap the covering model is closer",
    kind="wrong words",
    note="It happens with full overlap too. Data (16, 1, 16)/33; the divergence, model first, is 0.55 "
    "for the model (1, 1, 1)/3, which covers both modes, and 0.39 for (10, 1, 1)/12, which lost one.",
)
DOCUMENT.words(
    21,
    "the added noise is long-tailed",
    divergences.tail,
    mutant="heavier than some exponential: a long tail",
    kind="wrong words",
    note="As on line 9, first reading; its second reading holds.",
)

# Diffusion

DOCUMENT.names("the law of the data", r"P_d")
DOCUMENT.names("the law that is simple, the prior", r"P_0")
DOCUMENT.words(
    27,
    "from the complex law of the data one goes to the prior",
    forward.prior,
    note="In the limit, for β_s that do not become too small (see line 115).",
)
DOCUMENT.names("the transitions from prior to data, named only", r"P_0 -> P_d")
DOCUMENT.words(
    29,
    "the transitions can be run in the opposite order",
    continuous.reverse_drift,
    note="They can, and it takes the score of the noised data.",
)
DOCUMENT.words(
    33,
    "MCMC: after a burn-in the chain is stationary",
    score.forgets,
    note="For Langevin steps towards a Gaussian: nearly, to any tolerance.",
)
DOCUMENT.words(
    33,
    "MCMC: the stationary law is that of the data",
    score.stationary,
    note="For the continuous process. With steps of a fixed length there is a bias (score.langevin-bias).",
)
DOCUMENT.words(
    35,
    "reverse diffusion, run to its end, leads to the prior P_0",
    forward.prior,
    note="First reading, by line 29, where the transitions run from P_0 to P_d: their reverse is the forward "
    "process of line 47.",
)
DOCUMENT.words(
    35,
    "reverse diffusion, run to its end, leads to the prior P_0",
    sampling.reverse_law,
    mean=Integer(0),
    variance=Integer(1),
    kind="wrong words",
    note="Second reading, by lines 49 and 153, where reverse diffusion removes noise: it leads to the data. "
    "Compared for Gaussian data, on the law after a step, which is not N(0, I).",
)

# Diffusion process

DOCUMENT.names("the image; observed", r"x_0")
DOCUMENT.names("the latents, the noised images", r"x_i", r"x_t", r"x_T", r"x_{t-1}")
DOCUMENT.words(47, "the forward process is stochastic: it adds noise at every step", forward.kernel)
DOCUMENT.words(
    49,
    "the reverse process is deterministic",
    continuous.random,
    mutant="deterministic",
    kind="wrong words",
    note="First reading: the reverse process of these notes (line 189) and of the paper. Every step but the "
    "last adds noise.",
)
DOCUMENT.words(
    49,
    "the reverse process is deterministic",
    continuous.probability_flow,
    note="Second reading, that it can be: there is one with the same densities. It is not the one of these "
    "notes.",
)
DOCUMENT.words(
    49,
    "the reverse process is deterministic",
    sampling.ddim_eta,
    note="The same reading, step by step: the DDIM sampler with η = 0; DDPM is η = 1.",
)
DOCUMENT.words(49, "noise is removed step by step, and becomes an image", coding.distortion_falls)
DOCUMENT.words(
    53,
    "latent variables make the likelihood intractable, so one must go through expectation-maximisation",
    bound.em,
    note="First reading: as a method in general, which does climb the likelihood.",
)
DOCUMENT.words(
    53,
    "latent variables make the likelihood intractable, so one must go through expectation-maximisation",
    bound.fixed_q,
    mutant="the new gap alone",
    kind="wrong words",
    note="Second reading: that it is done here. There is no E-step, since q is fixed. An E-step would close "
    "the old gap, so that the likelihood gains the bound's gain ΔF and the new gap; here the old gap is "
    "taken off.",
)
DOCUMENT.words(55, "variational inference gives an evidence lower bound, which is optimised", bound.elbo)

# Bayesian network

DOCUMENT.words(61, "the model is a Bayesian network", bound.reverse_chain, note="Its graph is a path.")
DOCUMENT.words(65, "a Bayesian network is stochastic", continuous.random, note="Against line 49.")
DOCUMENT.words(69, "the full joint law is factorised: the model", bound.reverse_chain)
DOCUMENT.words(69, "the full joint law is factorised: the forward process", bound.forward_chain)
DOCUMENT.says(
    77,
    r"p_\theta(x_{t-1}|x_t)",
    bound.reverse_step,
    note="As the generative process, together with the prior p(x_T).",
)
DOCUMENT.words(79, "latents, so the ELBO is optimised", bound.upper_bound)
DOCUMENT.words(
    79,
    "the variational law is given, and it is normal",
    posterior.posterior,
    note="q(x_{t-1} | x_t, x_0), made of the fixed forward steps.",
)
DOCUMENT.words(81, "no mean field is assumed", bound.not_mean_field)
DOCUMENT.words(
    83, "normal plus normal is normal", gaussians.sums, note="First reading: independent variables."
)
DOCUMENT.words(
    83,
    "normal plus normal is normal",
    gaussians.dependent_sum,
    mutant="normal",
    kind="missing hypothesis",
    note="Second reading: any two variables. They must be independent, or jointly normal.",
)
DOCUMENT.words(
    83,
    "normal times normal is normal",
    gaussians.products,
    note="First reading: densities are multiplied, up to the factor that makes a density of the product.",
)
DOCUMENT.words(
    83,
    "normal times normal is normal",
    gaussians.variables_product,
    mutant="normal",
    kind="wrong words",
    note="Second reading: variables are multiplied, as they are added before.",
)
DOCUMENT.words(
    85,
    "the model's posterior is the same as the variational law",
    bound.gap,
    mutant="no gap, as if the two posteriors were one",
    kind="wrong words",
    note="D5 puts a question mark. If they were the same, bound and likelihood would be; they differ by the "
    "divergence between the two. Nor is the posterior the prior.",
)

# One step

DOCUMENT.words(89, "every step has the same structure", forward.kernel, note="With a β_t of its own.")
DOCUMENT.words(
    89,
    "if the step works, all is well",
    coding.by_marginals,
    note="Read of every step: in the mean the bound is the entropy of the data, the divergence at T, and the "
    "sum of the steps' divergences.",
)
DOCUMENT.names("the schedule: the variance of the noise that a step adds", r"\beta_t", r"1-\beta_s")
DOCUMENT.words(
    97,
    "the β_t can be learned",
    bound.prior_term,
    note="The bound depends on them, already by L_T, which is constant only as long as the β_t are.",
)
DOCUMENT.words(99, "in the paper the β_t are hyperparameters", forward.linear_schedule)
DOCUMENT.words(101, "with all of them fixed, every transition can be written down", forward.step)
DOCUMENT.words(
    103,
    "after the transitions the law is normal, in closed form",
    forward.marginal,
    note="For a given x_0. The law of x_t over all images is a mixture.",
)

# Many steps: the diffusion kernel

DOCUMENT.names("the law of x_t given x_0; D5 writes p or P for q", r"p(x_t|x_0)", r"P(x_t|x_0)")
DOCUMENT.names("the forward step, named only", r"q(x_t|x_{t-1})")
DOCUMENT.names("what the picture defines, named only", r"\bar \alpha_t , x_t", r"\bar \alpha_t")
DOCUMENT.words(
    107,
    "the law of x_t given x_0 is approximated by solving an SDE",
    continuous.sde_law,
    note="In the limit of many small steps. No SDE is needed: for the steps themselves line 125's induction "
    "is exact.",
)
DOCUMENT.words(
    107,
    "the law of x_t given x_0 is approximated by solving an SDE",
    continuous.euler_step,
    note="A step of the process is nearly an Euler step of the SDE.",
)
DOCUMENT.words(
    107,
    "the law of x_t given x_0 is approximated by solving an SDE",
    continuous.product_above,
    note="What the steps leave of the image is at most what the SDE leaves.",
)
DOCUMENT.words(
    107,
    "the law of x_t given x_0 is approximated by solving an SDE",
    continuous.product_below,
    note="What the steps leave of the image is not far below what the SDE leaves, if every β_s is small.",
)
DOCUMENT.words(111, "the forward step is done t times", forward.composition)
DOCUMENT.words(113, "ᾱ_t is a name that shortens the computation", forward.alpha_bar)
DOCUMENT.words(113, "x_t is written by reparameterisation", forward.sample)
DOCUMENT.words(
    115,
    "a product of factors 1 - β_s below one tends to zero",
    continuous.not_forgotten,
    mutant="zero in the end, since every factor is below one",
    kind="missing hypothesis",
    note="The sum of the β_s must grow without bound (forward.decay). With β_s = 1/(s + 1)² every factor is "
    "below one, and ᾱ_t never falls to one half. The witness compares it with 1/(t + 1), which tends to "
    "zero.",
)
DOCUMENT.words(115, "ᾱ_t falls with every factor", forward.falls)
DOCUMENT.words(
    117,
    "the law tends to a normal one as noise is added",
    forward.prior,
    note="For β_s above some positive number, see line 115.",
)
DOCUMENT.words(
    117,
    "at some x_t the noise begins to outweigh the image",
    continuous.crossing,
    note="In the paper's schedule, for data of unit variance: from t = 260 on.",
)
DOCUMENT.says(
    121,
    r"\bar \alpha_T -> 0",
    forward.prior,
    kind="notation",
    note="First reading: T is the t that grows, on a schedule without end, with β_s above some positive "
    "number.",
)
DOCUMENT.says(
    121,
    r"\bar \alpha_T -> 0",
    continuous.end_of_schedule,
    mutant="nothing",
    kind="wrong index",
    note="Second reading: T is the last step, as in the paper. Then ᾱ_T is a number: small, and not zero.",
)
DOCUMENT.says(
    121,
    r"q(x_T|x_0) \sim N(0,I)",
    forward.prior,
    kind="notation",
    note="A law tends to a law, which ~ does not say; T is read as the t that grows, as above. The claim's "
    "proof has the mean and the variance: what they lack to 0 and 1 is ᾱ_t.",
)
DOCUMENT.says(
    123,
    r"\bar \alpha_T -> 1-\beta_1, x_t",
    forward.alpha_bar,
    kind="notation",
    note="First reading: T is the t that falls, and → is =, since t = 1 is reached: ᾱ_1 = ᾱ_0 α_1 = 1 - β_1. "
    "x_t belongs to the formula that follows.",
)
DOCUMENT.says(
    123,
    r"\bar \alpha_T -> 1-\beta_1, x_t",
    continuous.end_of_schedule,
    value=Integer(999900000),
    kind="wrong index",
    note="Second reading: T is the last step, here the paper's. What tends to 1 - β_1, and is it at t = 1, "
    "is ᾱ_t (forward.alpha-bar).",
)
DOCUMENT.says(
    123,
    r"\sqrt{1-\beta_s}x_0 + \sqrt{\beta_1} \epsilon",
    continuous.first_step,
    mutant="another step's β",
    kind="wrong index",
    note="The value of x_t at t = 1.",
)
DOCUMENT.words(
    125,
    "nothing is changed in the parameters while noise is added",
    forward.marginal,
    note="Read as: they are fixed beforehand (lines 99 and 101), which is all that the induction needs. They "
    "are not the same at every step (forward.linear-schedule-rises).",
)
DOCUMENT.words(125, "by induction T noisings are computed at once", forward.composition)
DOCUMENT.words(135, "the law of x_t given x_0 is computed at once", forward.marginal)
DOCUMENT.words(137, "x_t is had at once, without the steps between", forward.sample)
DOCUMENT.words(
    139,
    "noise added t times leads from x_0 to x_T",
    forward.sample,
    kind="notation",
    note="T is read as t: after t times it is x_t.",
)
DOCUMENT.words(145, "the way from x_0 to x_T in one step is the diffusion kernel", forward.marginal)
DOCUMENT.words(149, "whoever can sample x_0 can sample x_T", forward.sample, note="With t = T.")

# Reverse diffusion

DOCUMENT.names("the states that are asked for", r"x_t, x_{t-1}, x_0", r"x_t, x_0")
DOCUMENT.names("the reverse step; D5 writes p for q", r"p(x_{t-1}|x_t)")
DOCUMENT.words(153, "the decoder removes the noise", bound.reverse_step)
DOCUMENT.words(159, "Bayes' rule gives the reverse step", coding.reverse_step, note="Here for Gaussian data.")
DOCUMENT.says(
    163,
    r"\int p(D) dx",
    posterior.evidence,
    mutant="the evidence itself summed over x",
    kind="wrong formula",
    note="The integrand must be p(D | x) p(x); p(D) does not depend on x. Compared for two possible x, where "
    "the integral is a sum.",
)
DOCUMENT.words(
    163,
    "x runs over everything that is possible",
    posterior.evidence,
)
DOCUMENT.words(
    165,
    "the reverse step cannot be computed without the law of the data",
    parameterization.reverse_variance,
    note="Already for Gaussian data its variance depends on theirs.",
)
DOCUMENT.words(165, "there is another way: to approximate the reverse step", bound.goal)
DOCUMENT.names("mean and variance of a normal law", r"\mu", r"\sigma^2", r"\sigma")
DOCUMENT.words(
    167,
    "a normal law is known from its mean and its variance",
    gaussians.mgf,
    note="D5 says 'in most cases': in all.",
)
DOCUMENT.names("the model's parameters, and the mean that they give", r"\theta", r"\mu_\theta")
DOCUMENT.words(
    173,
    "θ is trained by maximum likelihood",
    bound.upper_bound,
    note="Read with lines 55 and 79: through a bound. The likelihood need not gain what the bound gains "
    "(bound.fixed-q).",
)
DOCUMENT.words(
    175,
    "σ is small anyway, as every step adds little noise",
    parameterization.below,
    note="The variance of the true reverse step is at most β_t, for data of variance at most one.",
)
DOCUMENT.words(
    177,
    "t steps cannot be taken at once: one goes step by step",
    sampling.stretch_posterior,
    note="First reading: not with the update of a single step. A stretch of steps has another mean and "
    "another variance.",
)
DOCUMENT.words(
    177,
    "t steps cannot be taken at once: one goes step by step",
    sampling.ddim_family,
    mutant="to t - 1 only, whatever s is",
    kind="wrong words",
    note="Second reading: by no sampler, with this network. A family of steps from t to any earlier s keeps "
    "the laws of the states.",
)
DOCUMENT.words(179, "the law of x_{t-1} is had from x_t and x_0", posterior.posterior)
DOCUMENT.words(
    179,
    "what one added noise does is seen from it",
    bound.turned,
    note="The forward step turned round, by Bayes' rule.",
)
DOCUMENT.says(
    189,
    r"p_\theta(x_{t-1|x_t}) = N(\mu_\theta(x_t, t), \sigma_t^2I)",
    bound.reverse_step,
    kind="notation",
    note="The condition has slipped into the index: read p_θ(x_{t-1} | x_t).",
)
