"""D3, line by line."""

from sympy import sqrt

from derivations import (
    bound,
    coding,
    continuous,
    divergences,
    forward,
    parameterization,
    posterior,
    sampling,
    score,
)
from derivations.ledger.row import Document
from derivations.proof.symbols import beta_t, eps, x_prev

DOCUMENT = Document("D3", "[Generative-model] DDPM (jh_yun)")

STATES = "a state, a number of steps or a step; nothing is claimed of it"
DOCUMENT.names(STATES, r"x_0", r"x_T", r"x_t", r"x_{t-1}", r"x_k", r"x_{k-1}", r"x_0,x_1,x_2,...")
DOCUMENT.names(STATES, r"t", r"t-1", r"T", r"k")
DOCUMENT.names("the latents of an autoencoder and of a diffusion model", r"z_1", r"z_1,z_2,...,z_T")
DOCUMENT.names(
    "a quantity that a formula nearby defines", r"\beta_t", r"\beta_1,...,\beta_T", r"\tilde{\mu}_t"
)
DOCUMENT.names("a quantity that a formula nearby defines", r"\tilde{\mu}_t(x_t,x_0)", r"\epsilon_\theta")
DOCUMENT.names("the noise", r"\epsilon")
DOCUMENT.names("what the noise is: a definition", r"\epsilon \sim N(0,I)")
DOCUMENT.names("the network's parameters", r"\theta")
DOCUMENT.names("the model, its step, or what parametrises it", r"p_\theta", r"p_\theta(x_{t-1}|x_t)")
DOCUMENT.names("the model, its step, or what parametrises it", r"\mu_\theta(x_t,t)", r"\Sigma_\theta(x_t,t)")
DOCUMENT.names("the model's mean, with stray asterisks of bold type", r"**\mu_\theta")
DOCUMENT.names("a law; nothing is claimed of it", r"q(x_{t-1}|x_t)", r"q(x_{t-1}|x_t,x_0)")
DOCUMENT.names("a law, with stray asterisks of bold type", r"**q(x_{t-1}|x_t)")
DOCUMENT.names("a factor of line 178", r"p_\theta(x_{1:T} | x_0)", r"q(x_{1:T} | x_0)")
DOCUMENT.names("a term of the bound of line 210", r"L_T", r"L_0", r"L_{t-1}", r"L_{1:T-1}")
DOCUMENT.names("what line 305 says how to draw from", r"x_{t-1} \sim p_\theta(x_{t-1}|x_t)")

# Contribution

DOCUMENT.words(
    28,
    "with a certain parameterization the objective has a form like denoising score matching",
    score.eps_prediction,
)
DOCUMENT.words(
    28,
    "with a certain parameterization sampling has a form like Langevin dynamics",
    score.algorithm_2,
    note="Of like form, not the same step: see line 305.",
)

# What a diffusion model is

DOCUMENT.words(
    38,
    "adding noise little by little turns the data into Gaussian noise x_T",
    forward.prior,
    note="Read as a limit: what is left of the image falls below every bound if T is large enough. At the "
    "paper's T it is not zero (continuous.end-of-schedule).",
)
DOCUMENT.words(43, "the state at time t depends only on the state at t - 1", divergences.markov)
DOCUMENT.says(46, r"q(x_t | x_0, x_1,x_2,...,x_{t-1}) = q(x_t | x_{t-1})", divergences.markov)
DOCUMENT.words(
    49,
    "for the k-th state it is enough to know the one before; the first ones need not be considered",
    divergences.markov,
)
DOCUMENT.words(
    54, "the forward process is not learned: it is fixed beforehand by a Markov chain", forward.kernel
)
DOCUMENT.words(
    56,
    "the network learns how much noise is to be taken out of a noised input",
    score.optimal_eps,
    note="The best it can learn is the mean of the noise, given the input.",
)

# Forward process

DOCUMENT.says(65, r"q(x_{1:T} | x_0):= \Pi^T_{t=1}q(x_{t} | x_{t-1})", bound.forward_chain)
DOCUMENT.says(69, r"q(x_t | x_{t-1}):=N(x_{t} ; \sqrt{1-\beta_t} x_{t-1}, \beta_t I)", forward.kernel)
DOCUMENT.says(
    77,
    r"x_t=x_{t-1} +noise",
    forward.kernel,
    mutant="not shrunk",
    kind="wrong formula",
    note="Offered as a first sketch of line 69, and mended in lines 80 to 89. With any noise that does not "
    "depend on x_{t-1}: x_{t-1} is not shrunk, and the variance grows with every step: in the witness from "
    "1 by noise of variance β_t.",
    corrected_by=forward.step,
)
DOCUMENT.says(
    83,
    r"x_t=a*x_{t-1}+b*noise",
    forward.step,
    note="With the a and b of line 89, which it prepares.",
)
DOCUMENT.says(
    89,
    r"x_t=\sqrt{1-\beta_t}*x_{t-1} + \sqrt{\beta_t}*noise",
    forward.step,
    value=sqrt(1 - beta_t) * x_prev + sqrt(beta_t) * eps,
    note="The noise is the standard normal one that line 92 names.",
)
DOCUMENT.words(
    92,
    "with standard normal noise the variance stays one, whatever t is",
    forward.variance_kept,
    mutant="kept for any data",
    kind="missing hypothesis",
    note="It stays one if it is one at the start: Var(x_0) = 1 is not asked for. The witness is "
    "Var(x_t) - 1, for data of variance σ².",
)
DOCUMENT.says(
    95,
    r"x_t=\sqrt{1-\beta_t}*x_{t-1} + \sqrt{\beta_t}*\epsilon",
    forward.step,
    value=sqrt(1 - beta_t) * x_prev + sqrt(beta_t) * eps,
)
DOCUMENT.says(98, r"\beta_1 =0.0001", forward.linear_schedule, note="The paper's choice of one end.")
DOCUMENT.says(
    98,
    r"\beta_T=0.02",
    forward.linear_schedule,
    note="The paper's choice of the other end. That the steps between are linear in t is not said here.",
)
DOCUMENT.words(
    98,
    "β_t grows with t",
    forward.schedule_rises,
    note="For the paper's schedule, which is linear.",
)
DOCUMENT.words(
    98,
    "β_t could be learned; fixed beforehand, it leaves nothing of the forward process to be learned",
    bound.prior_term,
    note="L_T shows both: it depends on the schedule, and on nothing else that is trained.",
)
DOCUMENT.says(101, r"q(x_t | x_{t-1}):=N(x_{t} ; \sqrt{1-\beta_t} x_{t-1}, \beta_t I)", forward.kernel)
DOCUMENT.says(107, r"\alpha_t := 1-\beta_t", forward.alpha_bar, note="The claim's hypothesis.")
DOCUMENT.says(107, r"\bar{\alpha}_t :=\Pi^t_{s=1} \alpha_s", forward.alpha_bar)
DOCUMENT.says(111, r"q(x_t|x_0) = N(x_t;\sqrt{\bar{\alpha}_t}x_0,(1-\bar{\alpha}_t)I)", forward.marginal)
DOCUMENT.words(114, "knowing x_0 is enough to draw x_t at once", forward.sample)
DOCUMENT.says(117, r"x_t=\sqrt{\bar{\alpha}_t}*x_0 + \sqrt{1-\bar{\alpha}_t}*\epsilon", forward.sample)
DOCUMENT.words(
    122,
    "for training, x_t is drawn at once instead of in t forward steps",
    forward.sample,
)
DOCUMENT.words(
    122,
    "the t drawn for training is any step smaller than T",
    bound.terms,
    mutant="one step short",
    kind="wrong index",
    note="To the letter. Steps run from 1 to T, as in line 150. Without t = T the bound would lose its last "
    "divergence, and the step from x_T to x_{T-1} would never be trained. The witness compares both for the "
    "chain of two steps and two states that opens the chapter on the bound.",
)

# Reverse process

DOCUMENT.words(
    133,
    "q(x_{t-1} | x_t) is not easy to know exactly",
    parameterization.reverse_variance,
    note="It depends on the law of the data: even for Gaussian data their variance stands in it.",
)
DOCUMENT.says(
    136,
    r"q(x_{t-1}|x_t) \approx p_\theta(x_{t-1} | x_t)",
    bound.goal,
    note="Read as what training is after: a term of the bound is the divergence between these two, but for "
    "a number in which θ does not occur.",
)
DOCUMENT.words(
    139,
    "if β_t is small enough, q(x_{t-1} | x_t) may be taken for a Gaussian",
    continuous.small,
    note="Read as an approximation, at t ≥ 2: the law is a mixture of Gaussians of equal variance, one for "
    "each image, and their means come together as β_t goes to zero. It is not Gaussian at any "
    "β_t > 0 (continuous.third-moment, continuous.fourth-cumulant).",
)
DOCUMENT.says(
    146,
    r"p_\theta(x_0) := \int p_\theta(x_{0:T}) dx_{1:T}",
    bound.likelihood,
    note="The definition of p_θ(x_0); it is what makes Bayes' rule of line 172 true.",
)
DOCUMENT.says(150, r"p_\theta(x_{0:T}):=p(x_T)\Pi^T_{t=1}p_\theta (x_{t-1} | x_t)", bound.reverse_chain)
DOCUMENT.says(
    154,
    r"p_\theta(x_{t-1} | x_t):=N(x_{t-1} ; \mu_\theta(x_t,t), \Sigma_\theta(x_t,t))",
    bound.reverse_step,
    note="With the covariance that line 253 chooses.",
)

# Objective function

DOCUMENT.words(
    163,
    "a variational upper (lower) bound of the negative log-likelihood is optimised",
    bound.upper_bound,
    note="Read as: an upper bound of the negative log-likelihood, a lower one of the log-likelihood.",
)
DOCUMENT.skip(
    166, r"\mathbb{E} \left[-\log p_\theta(x_0)\right]", "the left-hand side of the chain that follows"
)
DOCUMENT.says(
    172,
    r"\mathbb{E}_q \left[-\log \frac{p_\theta(x_0,x_1,x_2,...,x_T)}{p_\theta(x_1,x_2,...,x_T | x_0)} \right]",
    bound.likelihood,
)
DOCUMENT.says(
    172,
    r"\mathbb{E}_q \left[-\log \frac{p_\theta(x_{0:T})}{p_\theta(x_{1:T} | x_0)} \right]",
    bound.likelihood,
)
DOCUMENT.says(175, r"q(x_{1:T} | x_0):= \Pi^T_{t=1}q(x_{t} | x_{t-1})", bound.forward_chain)
DOCUMENT.says(
    178,
    r"\mathbb{E}_q \left[-\log \frac{p_\theta(x_{0:T})}{p_\theta(x_{1:T} | x_0)}  \cdot "
    r"\frac{q(x_{1:T} | x_0)}{q(x_{1:T} | x_0)} \right]",
    bound.likelihood,
    note="The factor that is new is one.",
)
DOCUMENT.words(
    181,
    "the model's posterior below and q above split off as a divergence",
    bound.gap,
)
DOCUMENT.words(
    181,
    "that divergence has some positive value",
    divergences.not_negative,
    mutant="always positive",
    kind="wrong words",
    note="It is not negative, which is all that line 184 needs; it is zero where the two laws are equal, "
    "which is the witness.",
)
DOCUMENT.says(
    184,
    r"\leq \mathbb{E}_q \left[-\log \frac{p_\theta(x_{0:T})}{q(x_{1:T} | x_0)} \right]",
    bound.upper_bound,
)
DOCUMENT.says(
    190,
    r"\mathbb{E}_q \left[-\log \frac{p(x_T)\Pi^T_{t=1}p_\theta (x_{t-1} | x_t)}"
    r"{\Pi^T_{t=1}q(x_{t} | x_{t-1})} \right]",
    bound.sum_form,
)
PRIOR = "p_θ(x_T) is the p(x_T) of line 150: it has no parameters."
DOCUMENT.says(
    190,
    r"\mathbb{E}_q \left[-\log p_\theta(x_T)-\log \frac{\Pi^T_{t=1}p_\theta (x_{t-1} | x_t)}"
    r"{\Pi^T_{t=1}q(x_{t} | x_{t-1})} \right]",
    bound.sum_form,
    note=PRIOR,
)
DOCUMENT.says(
    194,
    r"\mathbb{E}_q \left[-\log p_\theta(x_T)-\sum_{t \geq 1} \log \frac{p_\theta (x_{t-1} | x_t)}"
    r"{q(x_{t} | x_{t-1})} \right] := L",
    bound.sum_form,
    note=PRIOR,
)
DOCUMENT.says(
    200,
    r"L = \mathbb{E}_q \left[-\log p_\theta(x_T)-\sum_{t > 1} \log \frac{p_\theta (x_{t-1} | x_t)}"
    r"{q(x_{t} | x_{t-1})} -\log\frac{p_\theta (x_{0} | x_1)}{q(x_{1} | x_{0})} \right]",
    bound.first_apart,
    note=PRIOR,
)
DOCUMENT.says(
    204,
    r"\mathbb{E}_q \left[-\log \frac{p_\theta(x_T)}{q(x_t|x_0)} -\sum_{t > 1} \log "
    r"\frac{p_\theta (x_{t-1} | x_t)}{q(x_{t-1} | x_{t},x_0)} -\log p_\theta (x_{0} | x_1) \right]",
    bound.decomposition,
    mutant="q(x_t | x_0) at a t that is not T, here T - 1",
    kind="wrong index",
    note="The t of q(x_t | x_0) stands outside the sum, where it has no value; only T is right. The witness "
    "takes T - 1, on the chain of one step and two states that opens the chapter on the bound.",
)
DOCUMENT.says(
    210,
    r"\mathbb{E}_q \left[ D_{KL}(q(x_T|x_0) || p(x_T))  +  \sum_{t>1} "
    r"D_{KL}(q(x_{t-1}|x_t,x_0) || p_\theta(x_{t-1}|x_t))-\log p_\theta(x_0|x_1) \right]",
    bound.terms,
)

# The autoencoder's objective beside it

DOCUMENT.words(221, "an autoencoder has one latent, a diffusion model T of them", bound.one_latent)
DOCUMENT.words(
    225,
    "the losses are alike, and the further latents add as many terms, those of the denoising process",
    bound.many_latents,
)
DOCUMENT.says(225, r"T-1", bound.many_latents, note="How many latents more, and how many terms.")

# L_T and L_0

DOCUMENT.words(
    231,
    "L_T is the autoencoder's term that pulls the posterior towards the prior",
    bound.one_latent,
)
DOCUMENT.words(231, "L_T is independent of θ, and may be ignored in training", bound.prior_term)
DOCUMENT.words(
    232,
    "L_0 is so small that it has no great influence on the result",
    coding.paper_majority,
    mutant="L_0 is negligible: below a hundredth of the whole",
    kind="wrong words",
    note="Read as speaking of the objective, as its heading does: of the 3.75 bits per dimension of the "
    "paper's model, L_0 is 1.97. What it does to the look of a sample is another matter.",
)

# L_{1:T-1}

DOCUMENT.words(
    238,
    "q(x_{t-1} | x_t) is not known exactly, and p_θ(x_{t-1} | x_t) is trained to approximate it",
    bound.goal,
)
DOCUMENT.words(238, "rearranging the objective has brought in q(x_{t-1} | x_t, x_0)", bound.turned)
DOCUMENT.words(
    240,
    "q(x_{t-1} | x_t, x_0) is tractable, and a normal law",
    posterior.posterior,
)
DOCUMENT.says(
    244,
    r"q(x_{t-1} | x_{t}, x_0):=N(x_{t-1} ; \tilde{\mu}_t(x_t,x_0), \tilde{\beta}_t I)",
    posterior.posterior,
)
DOCUMENT.says(
    248,
    r"\tilde{\mu}_t(x_t,x_0) := \frac{\sqrt{\bar{\alpha}_{t-1}}\beta_t}{1-\bar{\alpha}_t}x_0 "
    r"+\frac{\sqrt{\alpha}(1-\bar{\alpha}_{t-1})}{1-\bar{\alpha}_t}x_t",
    posterior.mean,
    kind="notation",
    note="√α has no index. Line 107 defines α_t and no α, so it is read as √α_t.",
)
DOCUMENT.says(
    248,
    r"\tilde{\beta}_t := \frac{1-\bar{\alpha}_{t-1}}{1-\bar{\alpha}_t}\beta_t",
    posterior.variance,
)
DOCUMENT.says(
    251,
    r"p_\theta(x_{t-1} | x_t):=N(x_{t-1} ; \mu_\theta(x_t,t), \Sigma_\theta(x_t,t))",
    bound.reverse_step,
    note="With the covariance that line 253 chooses.",
)
DOCUMENT.says(253, r"\Sigma_\theta(x_t,t) =\sigma^2_tI", bound.reverse_step)
DOCUMENT.words(
    253,
    "the variance could be learned as well",
    parameterization.best_variance,
    note="The claim is what there would be to learn, for a given mean.",
)
DOCUMENT.says(
    253,
    r"\sigma^2_t =\beta_t",
    sampling.normal_data,
    note="One of two choices, both allowed; the claim says for which data it is exact.",
)
DOCUMENT.says(
    253,
    r"\sigma^2_t = \tilde{\beta}_t",
    sampling.single_image,
    note="The other choice; the claim says for which data it is exact.",
)
DOCUMENT.says(253, r"= \frac{1-\bar{\alpha}_{t-1}}{1-\bar{\alpha}_t}\beta_t", posterior.variance)
DOCUMENT.says(
    256,
    r"p_\theta(x_{t-1} | x_t) =N(x_{t-1} ; \mu_\theta(x_t,t), \sigma^2_tI)",
    bound.reverse_step,
)
DOCUMENT.says(
    262,
    r"L_{t-1}=\mathbb{E}_q\left[\frac{1}{2\sigma^2_t} ||\tilde{\mu}_t(x_t,x_0)-\mu_\theta(x_t,t)||^2 "
    r"\right] +C",
    parameterization.L_t_minus_1,
    note="C is the claim's other summand, which is free of θ.",
)
DOCUMENT.says(
    265,
    r"( x_t=\sqrt{\bar{\alpha}_t}*x_0 + \sqrt{1-\bar{\alpha}_t}*\epsilon)",
    forward.sample,
)
DOCUMENT.skip(268, r"L_{t-1} - C", "the left-hand side of the chain that follows")
DOCUMENT.says(
    272,
    r"\mathbb{E}_{x_0,\epsilon}\left[\frac{1}{2\sigma^2_t} ||\tilde{\mu}_t \left(x_t(x_0,\epsilon),"
    r"\frac{1}{\sqrt{\bar{\alpha}_t}}(x_t(x_0,\epsilon)-\sqrt{1-\bar{\alpha}}\epsilon) \right)"
    r"-\mu_\theta(x_t(x_0,\epsilon),t)||^2 \right]",
    parameterization.x0_from_eps,
    kind="notation",
    note="The ᾱ under the second root has no index; it is read as the ᾱ_t beside it. What is new against "
    "line 262 is x_0, written by x_t and ε.",
)
DOCUMENT.says(
    278,
    r"\mathbb{E}_{x_0,\epsilon}\left[\frac{1}{2\sigma^2_t} \left|\left|\frac{1}{\sqrt{\alpha_t}} "
    r"\left(x_t(x_0,\epsilon)-\frac{\beta_t}{\sqrt{1-\bar{\alpha}_t}}\epsilon \right)"
    r"-\mu_\theta(x_t(x_0,\epsilon),t) \right|\right|^2 \right]",
    parameterization.mean_from_eps,
)
DOCUMENT.says(
    281,
    r"\frac{1}{\sqrt{\alpha_t}} \left(x_t-\frac{\beta_t}{\sqrt{1-\bar{\alpha}_t}}\epsilon \right)",
    parameterization.mean_from_eps,
    note="What μ_θ is to predict.",
)
DOCUMENT.words(
    281,
    "predicting this from the x_t that is given lowers the loss",
    parameterization.projection,
    note="As far as x_t allows: ε is not a function of x_t, and its mean given x_t is the best prediction.",
)
DOCUMENT.says(
    284,
    r"\mu_\theta(x_t,t) = \tilde{\mu}_t \left(x_t,\frac{1}{\sqrt{\bar{\alpha}_t}}"
    r"(x_t-\sqrt{1-\bar{\alpha}}\epsilon_\theta(x_t)) \right)",
    parameterization.x0_from_eps,
    kind="notation",
    note="The ᾱ under the second root has no index; it is read as the ᾱ_t beside it. ε_θ(x_t) is the "
    "ε_θ(x_t, t) of line 288, put for ε.",
)
DOCUMENT.says(
    288,
    r"\frac{1}{\sqrt{\alpha_t}} \left(x_t-\frac{\beta_t}{\sqrt{1-\bar{\alpha}_t}}\epsilon_\theta(x_t,t) "
    r"\right)",
    parameterization.mean_from_eps,
    note="With ε_θ(x_t, t) put for ε.",
)
DOCUMENT.words(
    291,
    "so learning comes to the same as learning to predict ε from x_t",
    parameterization.eps_from_mean,
    note="x_t is given, and then the mean and the noise determine each other.",
)
DOCUMENT.says(
    294,
    r"\mathbb{E}_{x_{0},\epsilon} \left[\frac{\beta^2_t}{2\sigma^2_t\alpha_t(1-\bar{\alpha}_t)} "
    r"\left|\left| \epsilon - \epsilon_\theta(\sqrt{\bar{\alpha}_t}x_0 +\sqrt{1-\bar{\alpha}_t}\epsilon,t)"
    r"\right|\right|^2 \right]",
    parameterization.weight,
)
DOCUMENT.says(
    298,
    r"\mathbb{E}_{x_{0},\epsilon} \left[\frac{\beta^2_t}{2\sigma^2_t\alpha_t(1-\bar{\alpha}_t)} "
    r"\left|\left| \epsilon - \epsilon_\theta(x_t,t)\right|\right|^2 \right]",
    parameterization.weight,
)
DOCUMENT.says(301, r"\Sigma_\theta(x_t,t) =\sigma^2_tI", bound.reverse_step)
DOCUMENT.words(
    301,
    "one may learn the mean by predicting μ̃_t or by predicting ε",
    parameterization.eps_from_mean,
)

# What predicting ε has about it

STEP = (
    r"x_{t-1}=\frac{1}{\sqrt{\alpha_t}} \left(x_t-\frac{\beta_t}{\sqrt{1-\bar{\alpha}_t}}"
    r"\epsilon_\theta(x_t,t) \right)"
)
DOCUMENT.says(305, STEP + r"+\sigma_tz", sampling.ancestral_step, note="z is fresh standard normal noise.")
DOCUMENT.words(
    305,
    "sampling has a form similar to Langevin dynamics",
    score.algorithm_2,
    note="A step along the score, and noise. How far the likeness goes: score.twice-langevin.",
)
DOCUMENT.says(
    310,
    r"\text{Langevin dynamics: }x_i = x_{i-1} + \frac{\epsilon}{2} \nabla_x \log p(x) + \sqrt{\epsilon}z_i",
    score.langevin_step,
    kind="notation",
    note="The score is printed at an x that is not said; it is read as x_{i-1}. Here ε is the length of the "
    "step (γ in the claim), not a noise.",
)
DOCUMENT.words(
    314,
    "the objective of ε-prediction has a form like that of denoising score matching",
    score.eps_prediction,
    note="Step t has the noise level of score.noise-level.",
)
DOCUMENT.says(
    317,
    r"l(\theta;\sigma) \triangleq \frac{1}{2}\mathbb{E}_{p_{data}(x)} \mathbb{E}_{\tilde{x} \sim "
    r"N(x,\sigma^2I)} \left[ \left| \left| s_\theta(\tilde{x},\sigma) + \frac{\tilde{x}-x}{\sigma^2}\right| "
    r"\right|^2_2 \right]",
    score.objective,
)

# Simplified training objective

DOCUMENT.says(
    325,
    r"\lambda_t = \frac{\beta^2_t}{2\sigma^2_t\alpha_t(1-\bar{\alpha}_t)}",
    parameterization.weight,
)
DOCUMENT.says(
    325,
    r"\lambda_t = \frac{\beta^2_t}{2\sigma^2_t\alpha_t(1-\bar{\alpha}_t)}=1",
    parameterization.weight,
    mutant="set to one",
    kind="wrong formula",
    note="Read as the equation that is printed: the schedule and σ_t fix the weight, and it is not one.",
)
DOCUMENT.says(
    325,
    r"\lambda_t = \frac{\beta^2_t}{2\sigma^2_t\alpha_t(1-\bar{\alpha}_t)}=1",
    parameterization.L_simple_norm,
    note="Read as an instruction: the weight is dropped, which makes another objective than the bound.",
)
DOCUMENT.says(
    328,
    r"L_{\text{simple}} (\theta):= \mathbb{E}_{t,x_0,\epsilon} \left[ ||\epsilon - "
    r"\epsilon_\theta(\sqrt{\bar{\alpha}_t}x_0 + \sqrt{1-\bar{\alpha}_t}\epsilon,t)||^2\right]",
    parameterization.L_simple_norm,
)

# Summary

DOCUMENT.says(336, r"q(x_t|x_0) = N(x_t;\sqrt{\bar{\alpha}_t}x_0,(1-\bar{\alpha}_t)I)", forward.marginal)
DOCUMENT.says(
    337,
    r"x_t=\sqrt{\bar{\alpha}_t}*x_0 + \sqrt{1-\bar{\alpha}_t}*\epsilon, \ \epsilon \sim N(0,I)",
    forward.sample,
)
DOCUMENT.says(338, r"\beta_1 = 0.0001", forward.linear_schedule, note="The paper's choice of one end.")
DOCUMENT.says(338, r"\beta_T = 0.02", forward.linear_schedule, note="The paper's choice of the other end.")
DOCUMENT.says(339, r"\alpha_t := 1-\beta_t", forward.alpha_bar, note="The claim's hypothesis.")
DOCUMENT.says(339, r"\bar{\alpha}_t :=\Pi^t_{s=1} \alpha_s", forward.alpha_bar)
DOCUMENT.says(
    341,
    r"p_\theta(x_{t-1} | x_t) =N(x_{t-1} ; \mu_\theta(x_t,t), \sigma^2_tI)",
    bound.reverse_step,
)
DOCUMENT.says(
    342,
    STEP + r"+\sigma_t \epsilon , \ \epsilon \sim N(0,I)",
    sampling.ancestral_step,
    note="The last ε is fresh noise, the z of line 305, not the noise that ε_θ predicts.",
)
DOCUMENT.says(
    343,
    r"\sigma_t = \tilde{\beta}_t",
    sampling.single_image,
    value=posterior.variance.statement.parts["value"] ** 2,
    kind="wrong formula",
    note="A variance, called a deviation: in lines 253 and 341 it is σ_t² that is β̃_t. As printed, "
    "σ_t² would be β̃_t².",
)
DOCUMENT.says(343, r"= \frac{1-\bar{\alpha}_{t-1}}{1-\bar{\alpha}_t}\beta_t", posterior.variance)
DOCUMENT.says(
    343,
    r"\sigma_t = \beta_t",
    sampling.normal_data,
    mutant="variance squared",
    kind="wrong formula",
    note="A variance, called a deviation: in lines 253 and 341 it is σ_t² that is β_t. As printed, σ_t² "
    "would be β_t².",
)
DOCUMENT.says(
    345,
    r"\epsilon - \epsilon_\theta(x_t)= \epsilon - \epsilon_\theta(\sqrt{\bar{\alpha}_t}x_0 + "
    r"\sqrt{1-\bar{\alpha}_t}\epsilon,t)",
    forward.sample,
    kind="notation",
    note="ε_θ(x_t) is ε_θ(x_t, t), and then the two sides are the same; the loss under whose name they "
    "stand is the squared norm of this difference, averaged, as in line 328.",
)
DOCUMENT.words(351, "after t is chosen, the noise of that step is added to x_0", forward.sample)
DOCUMENT.words(
    353,
    "the network's output predicts how much noise was added",
    parameterization.L_simple_norm,
)
DOCUMENT.words(
    358,
    "sampling starts from Gaussian noise x_T and takes the noise out step by step, down to x_0",
    bound.reverse_chain,
)

# Experiments

DOCUMENT.skip(366, r"T=1000", "a setting of the paper's experiments")
