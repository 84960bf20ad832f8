"""D2, line by line.

The notes write g for q and, from line 83 on, x_{t+1} where the chain runs to x_{t-1}. What is judged is what
they print; where a line changes its verdict with t - 1 for t + 1, it has a second row.
"""

from sympy import sqrt

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
)
from derivations.ledger.row import Document
from derivations.proof.symbols import (
    T,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_prev,
    alpha_t,
    beta_t,
    eps,
    eps_merged,
    eps_prev,
    inner,
    log_p_first,
    log_prior,
    log_q_first,
    mu_theta,
    mu_tilde,
    sqnorm,
    tau,
    upward_rest,
    x_0,
    x_prev,
    x_t,
    x_two_back,
)

DOCUMENT = Document("D2", "Diffusion (handwritten notes)")

# Diffusion: noise is added, and over a short time the way back is Gaussian too

DOCUMENT.skip(10, r"\frac{2}{2}", "An error of transcription: nothing can be read from it.")
DOCUMENT.skip(10, r"\frac{1}{D}", "An error of transcription: nothing can be read from it.")
DOCUMENT.words(
    10,
    "with Gaussian noise added, over a very short time the way back is Gaussian as well",
    continuous.small,
    note="Read as a limit: the smaller the step, the closer together the Gaussian parts of the way back.",
)
DOCUMENT.words(
    10,
    "with Gaussian noise added, over a very short time the way back is Gaussian as well",
    continuous.skew,
    mutant="a Gaussian's",
    kind="missing hypothesis",
    note="Read as it stands, for a step that is short but not zero: with two images the third moment is not "
    "a Gaussian's.",
)
DOCUMENT.says(12, r"q(x_t | x_{t-1}) = N(x_t; \sqrt{1-\beta_t} x_{t-1}, \beta_t I)", forward.kernel)
DOCUMENT.says(
    14,
    r"N(x_{t-1}, 0)",
    forward.without_noise,
    note="'At first', where β_t is small: the limit β_t = 0.",
)
DOCUMENT.words(
    15,
    "β_t is a small constant that rises with t",
    forward.schedule_rises,
    note="For the linear schedule; the noise need not rise for what follows.",
)
DOCUMENT.says(
    15,
    r"N(0, I)",
    forward.prior,
    note="Where the forward process ends: a limit, reached to any tolerance after enough steps.",
)
DOCUMENT.names("an arrow between the names Data and Noise", r"\xleftarrow{\text{Reverse}}")
DOCUMENT.says(
    21,
    r"P(x_{t-1} | x_t) = N(x_{t-1}; \mu_\theta(x_t, t), \sigma_t^2 I)",
    bound.reverse_step,
)

# Forward process

DOCUMENT.says(
    27,
    r"q(x_T | x_{T-1}, \dots, x_0)",
    bound.forward_chain,
    note="The first of the factors whose product lines 27 and 29 set equal to the product over the steps: "
    "given x_{T-1}, x_T does not depend on the states before.",
)
DOCUMENT.names(
    "a factor of the product that line 27 begins", r"q(x_{T-1} | x_{T-2}, \dots, x_0)", r"q(x_1 | x_0)"
)
DOCUMENT.skip(
    29,
    r"\underbrace{x_0, x_1, \dots, x_T}_{\text{to 1 step sequential 할 때}}",
    "The states, under a caption: 'one step after the other'. Their law is what the line is about.",
)
DOCUMENT.says(
    29,
    r"\frac{q(x_1 | x_0)}{q(x_0)}",
    bound.forward_chain,
    mutant="the law of the first latent over that of the data",
    kind="wrong formula",
    note="Read as the law of the states after x_0. Divided by q(x_0) must be the law of all states, not that "
    "of one step.",
)
DOCUMENT.skip(
    29,
    r"\frac{q(x_1 | x_0)}{\text{data가 주어졌을 때 noise ...}}",
    "The fraction again, with a caption for a denominator: 'noise when the data are given …'.",
)
DOCUMENT.says(29, r"\prod_{t=1}^T q(x_t | x_{t-1})", bound.forward_chain)
DOCUMENT.words(31, "the forward process is a Markov chain", divergences.markov)

# Reparameterization trick

DOCUMENT.skip(35, r"x \sim N(\mu, \sigma^2)", "The hypothesis of line 37.")
DOCUMENT.says(
    37, r"x = \mu + \sigma \varepsilon \quad (\varepsilon \sim N(0, 1))", gaussians.reparameterization
)
DOCUMENT.says(
    39,
    r"N(x_t; \sqrt{1-\alpha_t} x_{t-1}, \alpha_t I)",
    forward.kernel,
    mutant="scale and noise exchanged",
    kind="wrong formula",
    note="With α_t = 1 - β_t, as the right-hand side has it.",
    corrected_by=forward.step,
)
DOCUMENT.says(
    39,
    r"N(x_t; \sqrt{\alpha_t} x_{t-1}, (1-\alpha_t) I)",
    forward.kernel,
    note="With α_t = 1 - β_t.",
)
DOCUMENT.names("a label beside line 39", r"\frac{1}{\alpha_t}", r"1-\alpha_t")

# The closed form, step by step

DOCUMENT.says(
    43,
    r"x_t &= \sqrt{\alpha_t} x_{t-1} + \sqrt{1-\alpha_t} \varepsilon_t",
    forward.step,
    note="ε_t is the noise of step t.",
)
DOCUMENT.says(
    43,
    r"\sqrt{\alpha_t} (\sqrt{\alpha_{t-1}} x_{t-2} + \sqrt{1-\alpha_{t-1}} \varepsilon_{t-1}) + "
    r"\sqrt{1-\alpha_t} \varepsilon_t",
    forward.two_steps,
    value=sqrt(alpha_t) * (sqrt(alpha_prev) * x_two_back + sqrt(1 - alpha_prev) * eps_prev)
    + sqrt(1 - alpha_t) * eps,
)
DOCUMENT.says(
    43,
    r"\sqrt{\alpha_t \alpha_{t-1}} x_{t-2} + \sqrt{\alpha_t (1-\alpha_{t-1})} \varepsilon_{t-2} + "
    r"\sqrt{1-\alpha_t} \varepsilon_t",
    forward.two_steps,
    mutant="ε_{t-2} for ε_{t-1}",
    kind="wrong index",
    note="The line before has the noise of step t - 1 in this place. The law of the sum is the same; x_t, as "
    "a function of the noises, is not.",
)
DOCUMENT.says(
    43,
    r"\sqrt{\alpha_t \alpha_{t-1}} x_{t-2} + \sqrt{\alpha_t (1-\alpha_{t-1}) + 1-\alpha_t} \varepsilon_t",
    forward.two_steps_merged,
    kind="notation",
    note="Read with a new standard normal variable, which the next line writes with a bar: the two noises "
    "are merged.",
    value=sqrt(alpha_t * alpha_prev) * x_two_back
    + sqrt(alpha_t * (1 - alpha_prev) + 1 - alpha_t) * eps_merged,
)
DOCUMENT.says(
    43,
    r"\sqrt{\alpha_t \alpha_{t-1}} x_{t-2} + \sqrt{\alpha_t (1-\alpha_{t-1}) + 1-\alpha_t} \varepsilon_t",
    forward.two_steps,
    kind="wrong index",
    note="Read as printed, with the ε_t of the lines before: the noise of step t alone, made larger.",
    value=sqrt(alpha_t * alpha_prev) * x_two_back + sqrt(alpha_t * (1 - alpha_prev) + 1 - alpha_t) * eps,
)
DOCUMENT.says(
    43,
    r"\sqrt{\alpha_t \alpha_{t-1}} x_{t-2} + \sqrt{1-\alpha_t \alpha_{t-1}} \bar{\varepsilon}_t",
    forward.two_steps_merged,
)
DOCUMENT.says(
    43,
    r"\sqrt{\alpha_t} x_0 + \sqrt{1-\alpha_t} \varepsilon",
    forward.sample,
    mutant="α for ᾱ",
    kind="wrong index",
    note="The bars are missing: as printed it is one step, taken from x_0.",
)
DOCUMENT.says(
    45,
    r"q(x_t | x_0) = N(x_t; \sqrt{\alpha_t} x_0, (1-\alpha_t) I)",
    forward.marginal,
    mutant="α for ᾱ",
    kind="wrong index",
    note="The bars are missing; line 144 has them.",
)

# Moment generating function

DOCUMENT.says(
    49,
    r"M_n = \mathbb{E}[e^{tx^n}]",
    gaussians.moment,
    mutant="the power put into the exponential",
    kind="wrong formula",
    note="For n = 2. The number that line 51 calls M_n is the moment E[x^n].",
)
DOCUMENT.says(
    51,
    r"M(t) &= \mathbb{E}[e^{tx}]",
    gaussians.mgf,
    note="The definition; the claim says what it is for a Gaussian.",
)
DOCUMENT.says(
    51,
    r"\sum_{n=0}^{\infty} e^{tx} \frac{t^n}{n!} f(x) dx",
    gaussians.expansion,
    mutant="the exponential kept beside its own series",
    kind="wrong formula",
    note="Read with the missing integral sign. The terms of the series of e^{tx} are (tx)^n/n!; those "
    "printed sum to "
    "e^t times the right value.",
)
DOCUMENT.says(
    51,
    r"1 + t \mathbb{E}[x] + \frac{t^2}{2!} \mathbb{E}[x^2] + \dots \quad \text{Taylor Series}",
    gaussians.expansion,
)
DOCUMENT.says(51, r"1 + t \mathbb{E}[x] + \frac{t^2}{2!} \mathbb{E}[x^2] + \dots", gaussians.expansion)
DOCUMENT.says(
    51,
    r"1 + t M_1 + \frac{t^2}{2!} M_2 + \dots",
    gaussians.expansion,
    note="With M_n = E[x^n], as the line above has it; not with line 49.",
)
DOCUMENT.skip(53, r"X \sim M_X(t), Y \sim M_Y(t)", "Names the generating functions of X and Y for line 55.")
DOCUMENT.says(
    55,
    r"M_{X+Y}(t) = M_X(t) M_Y(t)",
    gaussians.sums,
    note="For independent X and Y, which is how line 43 uses it; the claim draws the conclusion for "
    "Gaussians.",
)
DOCUMENT.says(
    55,
    r"M_{X+Y}(t) = M_X(t) M_Y(t)",
    gaussians.twice,
    mutant="as if the two were independent",
    kind="missing hypothesis",
    note="Read for any X and Y: that they be independent is not said. Take Y = X; λ is the line's t.",
)

# Reverse process

DOCUMENT.says(
    57,
    r"P_\theta(x_{0:T}) = P(x_T) P_\theta(x_{T-1}|x_T) \cdots P_\theta(x_0|x_1)",
    bound.reverse_chain,
)
DOCUMENT.says(59, r"\stackrel{f}{=} P(x_T) \prod_{t=1}^T P_\theta(x_{t-1}|x_t)", bound.reverse_chain)
DOCUMENT.says(
    61,
    r"P(x_T) = N(x_T; 0, I)",
    bound.prior_term,
    note="The model's choice of a prior; the claim takes the divergence from it. For the forward process it "
    "would be a limit only: at any T something of the image is left.",
)
DOCUMENT.says(
    63,
    r"P_\theta(x_{t-1}|x_t) = N(x_{t-1}; \mu_\theta(x_{t-1}, t), \Sigma_\theta(x_{t-1}, t))",
    bound.reverse_step,
    mutant="the mean a function of what is drawn: μ_θ(x_{t-1}), here the identity",
    kind="wrong index",
    note="Mean and variance are to be computed from x_t, as line 21 has it, not from the x_{t-1} that is to "
    "be drawn.",
    corrected_by=sampling.ancestral_step,
)

# The autoencoder's loss

DOCUMENT.says(
    71,
    r"\mathbb{E}_{z \sim p_\theta(z|x)} \{ \log p_\theta(x) \} &= \mathbb{E}_z \{ \log "
    r"\frac{p_\theta(x|z)p_\theta(z)}"
    r"{p_\theta(z|x)} \cdot \frac{g_\theta(z|x)}{g_\theta(z)} \}",
    bound.decoder_written_in,
    mutant="q(z|x)/q(z) multiplied in, which is not one",
    kind="wrong formula",
    note="First line. The last denominator should be g(z|x), so that the fraction is one. The slip is the "
    "same at every z, "
    "whatever law the mean is over.",
)
DOCUMENT.says(
    71,
    r"\mathbb{E}_z \{ \log p_\theta(x|z) - \log \frac{g_\theta(z|x)}{p_\theta(z)} + \log "
    r"\frac{g_\theta(z|x)}{p_\theta(z)} \}",
    bound.decoder_written_in,
    mutant="the prior under both encoders",
    kind="wrong formula",
    note="Second line. The last denominator should be p(z|x); as printed the two fractions cancel.",
)
DOCUMENT.says(
    71,
    r"\mathbb{E}_z \{ \log p_\theta(x|z) \} - D_{KL}(g_\theta(z|x) || p_\theta(z)) + D_{KL}(g_\theta(z|x) || "
    r"p_\theta(z|x))",
    bound.elbo,
    note="Third line, with the mean over z from the encoder g(z|x), which the two divergences ask for.",
)
DOCUMENT.says(
    71,
    r"\mathbb{E}_z \{ \log p_\theta(x|z) \} - D_{KL}(g_\theta(z|x) || p_\theta(z)) + D_{KL}(g_\theta(z|x) || "
    r"p_\theta(z|x))",
    bound.elbo,
    mutant="mean under the model's posterior",
    kind="wrong formula",
    note="Third line, with the mean over z from p(z|x), as the first line prints it.",
)
DOCUMENT.words(
    75,
    "the last divergence is not negative",
    divergences.not_negative,
    kind="notation",
    note="The line has 'KLD 20', which is read as KLD ≥ 0.",
)
DOCUMENT.words(
    76,
    "without the last divergence a lower bound is left, the ELBO",
    bound.upper_bound,
    note="The claim has the signs turned: an upper bound of the negative log-likelihood.",
)

# Negative log-likelihood

DOCUMENT.says(
    83,
    r"\mathbb{E}_g \{ -\log p_\theta(x_0) \} &= \mathbb{E}_g \{ -\log "
    r"\frac{p_\theta(x_{0:T})}{p_\theta(x_{1:T}|x_0)} \cdot "
    r"\frac{g(x_{1:T}|x_0)}{g(x_{1:T}|x_0)} \}",
    bound.likelihood,
    note="First line.",
)
DOCUMENT.says(
    83,
    r"\mathbb{E}_g \{ -\log \frac{p_\theta(x_{0:T})}{g(x_{1:T}|x_0)} - \log "
    r"\frac{g(x_{1:T}|x_0)}{p_\theta(x_{1:T}|x_0)} \}",
    bound.likelihood,
    note="Second line.",
)
DOCUMENT.says(
    83,
    r"\mathbb{E}_g \{ -\log \frac{p_\theta(x_{0:T})}{g(x_{1:T}|x_0)} \} - D_{KL}(g(x_{1:T}|x_0) || "
    r"p_\theta(x_{1:T}|x_0))",
    bound.gap,
    note="Third line. The divergence depends on x_0; the mean over x_0 goes over it too.",
)
DOCUMENT.says(
    83,
    r"\leq \mathbb{E}_g \{ -\log \frac{p_\theta(x_{0:T})}{g(x_{1:T}|x_0)} \}",
    bound.upper_bound,
    note="Fourth line.",
)
UPWARD = r"\log \frac{p_\theta(x_{t+1}|x_t)}{g(x_t|x_{t+1})}"
DOCUMENT.says(
    83,
    rf"\mathbb{{E}}_g \{{ -\log p_\theta(x_T) - \sum_{{t=1}}^{{T-1}} {UPWARD} \}}",
    bound.sum_form,
    mutant="both processes run the wrong way, one step short",
    kind="wrong index",
    note="Fifth line. With t - 1 for t + 1 the sum is still one step short.",
)
DOCUMENT.says(
    83,
    rf"\mathbb{{E}}_g \{{ -\log p_\theta(x_T) - \sum_{{t=2}}^{{T-1}} {UPWARD} - \log "
    rf"\frac{{p_\theta(x_0|x_1)}}{{g(x_1|x_0)}} \}}",
    bound.first_apart,
    mutant="both processes run the wrong way, one step short",
    kind="wrong index",
    note="Sixth line. With t - 1 for t + 1 the sum is still one step short.",
)
DOCUMENT.says(
    83,
    rf"\mathbb{{E}}_g \{{ -\log p_\theta(x_T) - \sum_{{t=2}}^{{T-1}} {UPWARD} \cdot "
    rf"\frac{{g(x_{{t+1}}|x_0)}}{{g(x_t|x_0)}} "
    r"- \log \frac{p_\theta(x_0|x_1)}{g(x_1|x_0)} \}",
    bound.turned_sum,
    mutant="both processes run the wrong way, one step short",
    kind="wrong formula",
    note="Seventh line. With t - 1 for t + 1 the marginals are multiplied in, but the step under them is not "
    "turned round.",
)
DOCUMENT.says(
    83,
    rf"\mathbb{{E}}_g \{{ -\log p_\theta(x_T) - \sum_{{t=2}}^{{T-1}} {UPWARD} - \log "
    rf"\frac{{p_\theta(x_0|x_1)}}{{g(x_1|x_0)}} \}}",
    bound.decomposition,
    kind="wrong formula",
    note="Eighth line, where the marginals have gone: neither q(x_T|x_0) is left of them nor has q(x_1|x_0) "
    "cancelled.",
    value=-log_prior - upward_rest - (log_p_first - log_q_first),
)
for number in ("Ninth", "Tenth", "Eleventh"):
    DOCUMENT.says(
        83,
        rf"\mathbb{{E}}_g \{{ -\log p_\theta(x_T) - \sum_{{t=1}}^{{T-1}} {UPWARD} - \log p_\theta(x_0|x_1) "
        rf"\}}",
        bound.decomposition,
        mutant="the sum as before, and one step short",
        kind="wrong formula",
        note=f"{number} line, the same three times. q(x_T|x_0) is lost, and the steps of q are not those "
        f"given x_0.",
    )
DOCUMENT.says(
    83,
    r"D_{KL}(g(x_T|x_0) || p_\theta(x_T)) + \sum_{t=1}^{T-1} D_{KL}(g(x_{t+1}|x_t) || p_\theta(x_{t+1}|x_t)) "
    r"- \mathbb{E}_g \{ \log p_\theta(x_0|x_1) \}",
    bound.terms,
    mutant="forward steps compared, from t = 1 to T - 1",
    kind="wrong formula",
    note="Last line. With t - 1 for t + 1 it is g(x_{t-1}|x_t) without x_0, and the sum runs to T - 1.",
)
DOCUMENT.words(85, "L_T is fixed", bound.prior_term, note="No θ occurs in it.")
DOCUMENT.words(
    86,
    "L_{t-1} is fixed",
    parameterization.L_t_minus_1,
    kind="wrong words",
    note="Read as free of θ, like L_T in the line above. It is what is trained.",
    value=parameterization.constant,
)
DOCUMENT.words(
    88,
    "L_0 is very small",
    coding.paper_majority,
    mutant="L_0 is negligible: below a hundredth of the whole",
    kind="wrong words",
    note="Beside the other terms of the bound: of the 3.75 bits per dimension of the paper's model, L_0 is "
    "1.97. The witness reads 'very small' as below a hundredth of the whole.",
)
DOCUMENT.says(
    90,
    r"\text{Loss} : D_{KL}(g(x_{t+1}|x_t) || P_\theta(x_{t+1}|x_t))",
    bound.terms,
    mutant="forward steps compared, from t = 1 to T - 1",
    kind="wrong index",
    note="Read as printed, as the terms of the bound; for x_{t+1} there, the network supplies no law.",
)
DOCUMENT.says(
    90,
    r"\text{Loss} : D_{KL}(g(x_{t+1}|x_t) || P_\theta(x_{t+1}|x_t))",
    bound.goal,
    kind="notation",
    note="Read with t - 1 for t + 1, as a loss, to be made small in θ: then it is the bound's term, less a "
    "number without θ.",
)
DOCUMENT.words(
    93,
    "the mean and the variance of g(x_{t-1}|x_t) are known at once",
    posterior.posterior,
    note="Read given x_0 as well, as line 126 writes it.",
)
DOCUMENT.words(
    93,
    "the mean and the variance of g(x_{t-1}|x_t) are known at once",
    parameterization.reverse_variance,
    mutant="the posterior's, whatever the data",
    kind="missing hypothesis",
    note="Read as line 90 writes it, without x_0: then they depend on the data.",
)

# 1: the forward posterior

DOCUMENT.says(
    95,
    r"g(x_{t+1}|x_t) g(x_t|x_0) = g(x_{t+1}|x_{t+1}) g(x_{t+1}|x_0)",
    bound.turned,
    mutant="the posterior of x given itself, which is one",
    kind="wrong index",
    note="The claim's T is the line's t + 1. The first factor on the right should be g(x_t|x_{t+1}, x_0).",
)
DOCUMENT.says(
    97,
    r"g(x_{t+1}|x_t) = g(x_t|x_{t+1}) \frac{g(x_{t+1}|x_0)}{g(x_t|x_0)}",
    bound.turned,
    mutant="x_0 forgotten in the posterior",
    kind="missing hypothesis",
    note="The claim's T is the line's t + 1. Given x_0 throughout it holds, with t + 1 as with t - 1.",
)
DOCUMENT.says(
    99,
    r"\alpha \exp\left(-\frac{(x_t - \sqrt{\bar{\alpha}_{t-1}} x_{t+1})^2}{2\beta_t}\right) "
    r"\frac{\exp\left(\frac{(x_{t+1} - "
    r"\sqrt{\bar{\alpha}_{t-1}} x_0)^2}{2(1-\bar{\alpha}_{t-1})}\right)}{\exp\left(\frac{(x_{t+1} - "
    r"\sqrt{\bar{\alpha}_{t-1}} "
    r"x_0)^2}{2(1-\bar{\alpha}_t)}\right)}",
    posterior.exponent,
    mutant="ᾱ_{t-1} for α_t, signs lost, x_{t-1} in all three",
    kind="wrong formula",
    note="α is the sign of proportionality, and x_{t+1} is read as x_{t-1}. Two exponents have lost their "
    "minus signs, the "
    "first has ᾱ_{t-1} for α_t, the last speaks of x_{t+1} where it should of x_t.",
)
SQUARE = -(1 - alpha_bar_t) / (2 * beta_t * (1 - alpha_bar_prev))
LINEAR = (
    sqrt(alpha_bar_t) * (1 - alpha_bar_prev) / (1 - alpha_bar_t) * x_t
    + sqrt(alpha_bar_prev) * beta_t / (1 - alpha_bar_t) * x_0
)
DOCUMENT.says(
    101,
    r"\exp\left(-\frac{1-\bar{\alpha}_t}{2\beta_t(1-\bar{\alpha}_{t-1})}\right) (x_{t+1}^2 - "
    r"2\frac{\sqrt{\bar{\alpha}_t}"
    r"(1-\bar{\alpha}_{t-1})}{1-\bar{\alpha}_t} x_t + "
    r"\frac{\sqrt{\bar{\alpha}_{t-1}}\beta_t}{1-\bar{\alpha}_t} x_0) x_{t+1} "
    r"+ C(x_t, x_0)",
    posterior.exponent,
    kind="wrong formula",
    note="Read with x_{t-1} for x_{t+1} and with all of it in the exponent, the factor two before both "
    "terms: even then √ᾱ_t "
    "stands where √α_t should.",
    value=posterior.change(SQUARE * (sqnorm(x_prev) - 2 * inner(LINEAR, x_prev))),
)
DOCUMENT.says(
    103,
    r"\exp\left(-\frac{1}{2\beta_t^2}(x^2 - 2\mu x + \mu^2)\right)",
    posterior.exponent,
    mutant="β_t² for the variance",
    kind="wrong formula",
    note="β_t is a variance (line 12), and not this one: the denominator should be twice β̃_t of line 107. "
    "As a pattern, "
    "with a deviation in the place of β_t, it is right.",
)
DOCUMENT.says(
    105,
    r"N(x_{t+1}; \tilde{\mu}_t(x_t, x_0), \tilde{\beta}_t I)",
    posterior.posterior,
    kind="notation",
    note="The variable is x_{t-1}, printed x_{t+1}; mean and variance are named here, and line 107 gives "
    "them.",
)
DOCUMENT.says(
    107,
    r"\tilde{\mu}_t(x_t, x_0) = \frac{\sqrt{\bar{\alpha}_t}(1-\bar{\alpha}_{t-1})}{1-\bar{\alpha}_t} x_t + "
    r"\frac{\sqrt{\bar{\alpha}_{t-1}}\beta_t}{1-\bar{\alpha}_t} x_0",
    posterior.mean,
    mutant="√ᾱ_t for √α_t",
    kind="wrong index",
)
DOCUMENT.says(
    107,
    r"\tilde{\beta}_t = \frac{1-\bar{\alpha}_{t-1}}{1-\bar{\alpha}_t} \beta_t",
    posterior.variance,
)
DOCUMENT.says(
    109,
    r"\frac{1}{\sqrt{\bar{\alpha}_t}} (x_t - \frac{(1-\bar{\alpha}_t)}{\sqrt{1-\bar{\alpha}_t}} \varepsilon)",
    parameterization.mean_from_eps,
    mutant="ᾱ for α throughout",
    kind="wrong index",
    note="As printed it is x_0, by line 150, and not the mean.",
)

# 2: the reverse step

DOCUMENT.says(
    111,
    r"P_\theta(x_{t+1}|x_t) = N(x_{t+1}; \mu_\theta(x_t, t), \Sigma_\theta(x_t, t))",
    bound.reverse_step,
    kind="notation",
    note="Read with x_{t-1} for x_{t+1}, as line 21 has it, and with the variance σ_t² I.",
)
DOCUMENT.says(
    111,
    r"P_\theta(x_{t+1}|x_t) = N(x_{t+1}; \mu_\theta(x_t, t), \Sigma_\theta(x_t, t))",
    bound.read_forwards,
    mutant="as if it were the reverse step",
    kind="wrong index",
    note="Read as printed, as the model's law of the later state given the earlier. The claim's x_t is the "
    "line's x_{t+1}; "
    "the network's mean is taken to be linear.",
)
DOCUMENT.says(
    113,
    r"\mu_\theta(x_t, t) = \frac{1}{\sqrt{\bar{\alpha}_t}} (x_t - "
    r"\frac{(1-\bar{\alpha}_t)}{\sqrt{1-\bar{\alpha}_t}} "
    r"\varepsilon_\theta(x_t, t))",
    parameterization.mean_from_eps,
    mutant="ᾱ for α throughout",
    kind="wrong index",
    note="The network's ε_θ stands for ε. As printed it is the model's x_0, not its mean.",
)

# 3: the divergence between the two

DOCUMENT.says(
    124,
    r"D_{KL}(g||P) = \int g(x) \frac{g(x)}{P(x)} dx",
    divergences.kl,
    mutant="logarithm forgotten",
    kind="wrong formula",
    note="The integrand should be g log(g/P). Compared on an alphabet of two letters, g for p and P for q: "
    "at equal laws the divergence is zero, and the printed sum is one.",
)
DOCUMENT.says(
    124,
    r"\int g(x) \frac{g(x)}{P(x)} dx",
    divergences.without_log,
    mutant="the divergence",
    kind="wrong formula",
    note="Read with the missing logarithm before the integral. For Gaussians of equal variance that is twice "
    "the divergence.",
)
DOCUMENT.says(
    124,
    r"\xrightarrow[\text{분포}]{\text{가우시안}} D_{KL}(g||P) = \log \frac{\bar{\beta}_P}{\bar{\beta}_g} + "
    r"\frac{\bar{\beta}_g^2 + (\mu_g - \mu_p)^2}{2\bar{\beta}_P^2} - \frac{1}{2}",
    divergences.gaussian_line,
    note="On the line, with β̄ for the deviations, which the squares ask for.",
)
DOCUMENT.says(
    124,
    r"\xrightarrow[\text{분포}]{\text{가우시안}} D_{KL}(g||P) = \log \frac{\bar{\beta}_P}{\bar{\beta}_g} + "
    r"\frac{\bar{\beta}_g^2 + (\mu_g - \mu_p)^2}{2\bar{\beta}_P^2} - \frac{1}{2}",
    divergences.gaussian_line,
    mutant="variances for deviations",
    kind="wrong formula",
    note="On the line, with β̄ for the variances, as every other β of these notes is one (lines 12 and 107).",
)
DOCUMENT.says(
    126,
    r"D_{KL}(g(x_{t+1}|x_t, x_0) || P_\theta(x_{t+1}|x_t)) = \frac{1}{2\beta_t^2} \|\tilde{\mu}(x_t, x_0) - "
    r"\mu_\theta(x_t, t)\|^2",
    parameterization.L_t_minus_1,
    kind="wrong formula",
    note="With x_{t-1} for x_{t+1}. Below the norm stands twice the square of a variance. With σ_t² there a "
    "constant is still "
    "missing, unless σ_t² = β̃_t.",
    value=sqnorm(mu_tilde - mu_theta) / (2 * beta_t**2),
)
DOCUMENT.says(
    128,
    r"\frac{1}{2\beta_t^2} \|\frac{1}{\sqrt{\bar{\alpha}_t}} (x_t - "
    r"\frac{(1-\bar{\alpha}_t)}{\sqrt{1-\bar{\alpha}_t}} "
    r"\varepsilon) - \frac{1}{\sqrt{\bar{\alpha}_t}} (x_t - "
    r"\frac{(1-\bar{\alpha}_t)}{\sqrt{1-\bar{\alpha}_t}} "
    r"\varepsilon_\theta(x_t, t))\|^2",
    parameterization.weight,
    mutant="ᾱ for α, and β_t² for σ_t²",
    kind="wrong formula",
    note="Compared by the factor before ‖ε - ε_θ‖², which line 130 works out rightly from this line.",
)
DOCUMENT.says(
    130,
    r"\frac{(1-\bar{\alpha}_t)^2}{2\beta_t^2 \bar{\alpha}_t (1-\bar{\alpha}_t)} \|\varepsilon - "
    r"\varepsilon_\theta("
    r"\sqrt{\bar{\alpha}_t} x_0 + \sqrt{1-\bar{\alpha}_t} \varepsilon, t)\|^2",
    parameterization.weight,
    mutant="ᾱ for α, and β_t² for σ_t²",
    kind="wrong formula",
)
DOCUMENT.says(
    132,
    r"\mathcal{L}_{t+1} = \mathbb{E}_{x_0 \in \varepsilon} \left\{ \frac{(1-\bar{\alpha}_t)^2}{2\beta_t^2 "
    r"\bar{\alpha}_t "
    r"(1-\bar{\alpha}_t)} \|\varepsilon - \varepsilon_\theta(\sqrt{\bar{\alpha}_t} x_0 + "
    r"\sqrt{1-\bar{\alpha}_t} "
    r"\varepsilon, t)\|^2 \right\}",
    parameterization.weight,
    mutant="ᾱ for α, and β_t² for σ_t²",
    kind="wrong formula",
    note="With L_{t-1} for L_{t+1}, and the mean over x_0 and ε.",
)
DOCUMENT.words(
    135,
    "the factor before the norm is a constant",
    parameterization.weight,
    note="Free of θ; it depends on t.",
)
DOCUMENT.words(
    138,
    "the network predicts the noise that was put into the input of the term t - 1",
    forward.sample,
    note="That input is x_t, and its noise is all that was added since x_0, not step t's alone.",
)

# In the margin

DOCUMENT.says(
    140,
    r"g(x_t|x_{t+1}) &= N(x_t; \sqrt{1-\bar{\alpha}_t} x_{t+1}, \beta_t I)",
    forward.kernel,
    kind="wrong formula",
    note="With x_{t-1} for x_{t+1}. √(1-ᾱ_t) stands where √(1-β_t) should.",
    mean=sqrt(1 - alpha_bar_t) * x_prev,
    corrected_by=forward.step,
)
DOCUMENT.says(
    140,
    r"N(x_t; \sqrt{\bar{\alpha}_t} x_{t+1}, \beta_t I)",
    forward.kernel,
    kind="wrong index",
    note="First reading, with the ᾱ_t of line 144, and x_{t-1} for x_{t+1}: √ᾱ_t stands where √α_t should.",
    mean=sqrt(alpha_bar_t) * x_prev,
    corrected_by=forward.step,
)
DOCUMENT.says(
    140,
    r"N(x_t; \sqrt{\bar{\alpha}_t} x_{t+1}, \beta_t I)",
    forward.kernel,
    kind="notation",
    note="Second reading, by line 154, which has ᾱ_t = 1 - β_t; with x_{t-1} for x_{t+1}.",
)
DOCUMENT.says(
    142,
    r"N(x; \mu, \Sigma) = \frac{1}{\sqrt{2\pi\Sigma^2}} \exp\left(-\frac{(x-\mu)^2}{2\Sigma^2}\right)",
    gaussians.density,
    mutant="variance squared once more",
    kind="wrong formula",
    note="With Σ for the variance, as the second parameter is everywhere else in these notes; d = 1.",
)
DOCUMENT.says(
    142,
    r"N(x; \mu, \Sigma) = \frac{1}{\sqrt{2\pi\Sigma^2}} \exp\left(-\frac{(x-\mu)^2}{2\Sigma^2}\right)",
    gaussians.density,
    note="With Σ for the deviation; d = 1.",
)
DOCUMENT.says(144, r"g(x_t|x_0) = N(x_t; \sqrt{\bar{\alpha}_t} x_0, (1-\bar{\alpha}_t) I)", forward.marginal)
DOCUMENT.says(148, r"x_t = \sqrt{\bar{\alpha}_t} x_0 + \sqrt{1-\bar{\alpha}_t} \varepsilon", forward.sample)
DOCUMENT.says(
    150,
    r"x_0 = \frac{x_t - \sqrt{1-\bar{\alpha}_t} \varepsilon}{\sqrt{\bar{\alpha}_t}}",
    parameterization.x0_from_eps,
)
DOCUMENT.says(
    152,
    r"\bar{\alpha}_t = \frac{\tau}{T} \sum_{s=1}^t \alpha_s",
    forward.alpha_bar,
    kind="wrong formula",
    note="τ is not defined; no constant τ ≥ 0 makes it right, since a sum does not fall with t, and a "
    "product of α_s does. The claim's second line is compared, with what the sum adds at step t.",
    value=alpha_bar_prev + tau / T * alpha_t,
)
DOCUMENT.says(
    154,
    r"\beta_t = 1-\bar{\alpha}_t",
    forward.alpha_bar,
    mutant="this step's α alone",
    kind="wrong index",
    note="That is ᾱ_t = 1 - β_t = α_t, which holds at t = 1 only.",
)
