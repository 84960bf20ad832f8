# %% [markdown]
# # Coding
#
# A likelihood is the length of a message. This chapter reads the bound that way, as the paper does in its
# section 4.3: $L$ is the number of nats that it takes to send an image without loss, its terms are the parts
# of the message in the order in which they are sent, and a receiver who has heard only the first parts
# already has an estimate of the image. How many nats so far, and how good is the estimate? For Gaussian data
# both have closed forms, and together they are Shannon's rate-distortion function, at every step.
#
# Lengths are in nats; divided by $\log 2$ they are bits.

# %%
from sympy import Eq, Expr, Gt, Integer, Le, Lt, Rational, diff, log, pi, sqrt

from derivations.decoder import best_variance, sums_to_one
from derivations.forward import SCHEDULE, kernel, marginal, sample
from derivations.gaussians import after_step, chain, density, log_normal
from derivations.parameterization import kl, reverse_variance, x0_from_eps
from derivations.posterior import AFTER_THE_FIRST_STEP, before
from derivations.posterior import mean as posterior_mean
from derivations.posterior import variance as posterior_variance
from derivations.proof.certificates import gaussian_integral, induction
from derivations.proof.claims import Equation, Holds, Law, claim, mutant
from derivations.proof.inequalities import tangent
from derivations.proof.obligations import Obligation, equal
from derivations.proof.symbols import (
    E,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_t,
    back_sum_end,
    back_sum_prev,
    back_sum_t,
    beta_t,
    coded_share,
    d,
    data_deviation,
    data_mean,
    data_spread,
    data_variance,
    eps,
    last_reported,
    log_after_prev,
    log_after_t,
    log_p_back_t,
    log_p_end,
    log_p_image,
    log_p_latents,
    log_q_at_prev,
    log_q_at_t,
    log_q_back_t,
    log_q_end,
    log_q_forth_t,
    log_q_image,
    log_q_latents,
    mean_gap,
    message,
    message_2,
    missing_prev,
    missing_t,
    mu_1,
    mu_2,
    rate_at_100,
    rate_reported,
    scale,
    sent_t,
    sigma,
    sigma_1,
    sigma_2,
    sqnorm,
    true_share,
    x_0,
    x_prev,
    x_t,
    z,
)
from derivations.proof.symbols import distortion as mean_square
from derivations.sampling import gaussian_denoiser

# %% [markdown]
# ## The length of a message
#
# A code that suits a distribution gives a message of probability $p$ the length $-\log_2 p$. What makes it a
# length: a certain message costs nothing, one half as likely costs one bit more, and two independent messages
# cost the sum. What makes it possible: Kraft's inequality allows exactly the lengths with $\sum 2^{-\ell}
# \leq 1$, and here the sum is that of the probabilities. So a model must have probabilities that sum to one,
# which a density does not, and the discretised decoder does.

# %%
LOG_2 = Gt(log(2), 0, evaluate=False)


def is_a_length(value: Expr) -> list[Obligation]:
    length = value * log(2)
    return [
        equal(length.subs(message, 1), 0, "what is certain costs nothing"),
        equal(length.subs(message, message / 2), length + log(2), "half as likely: one bit more"),
        equal(
            length.subs(message, message * message_2),
            length + length.subs(message, message_2),
            "independent messages: lengths add",
        ),
    ]


length = claim(
    "coding.length",
    "The length of a message",
    Equation(r"\ell", -log(message) / log(2)),
    definition=True,
    given=[LOG_2],
    proof=is_a_length,
    mutants=[
        mutant("nats", value=-log(message)),
        mutant("sign: the log-likelihood", value=log(message) / log(2)),
        mutant("one bit for the end", value=1 - log(message) / log(2)),
    ],
    uses=[sums_to_one],
    sources=["D4:70", "D4:76", "D4:78"],
    assumes=["Kraft's inequality; arithmetic coding comes within two bits per image of this length"],
)
length

# %% [markdown]
# If the messages come from another distribution $q$ than the code was made for, their mean length is the
# cross-entropy, and it is least if the two agree. Letter by letter, $-q_i \log p_i \geq -q_i \log q_i + q_i -
# p_i$, with equality at $p_i = q_i$ alone; summed over the letters, what is added and what is subtracted is
# one. So the mean log-likelihood measures how well a model describes the data, and its best value is not zero
# but minus the data's entropy.

# %%
at_best = -true_share * log(true_share) + true_share - coded_share

wrong_code = claim(
    "coding.wrong-code",
    "A code for the wrong distribution",
    Holds(Le(at_best, -true_share * log(coded_share))),
    proof=lambda relation: tangent(relation, coded_share, at=true_share, name="mean length, one letter"),
    mutants=[
        mutant(
            "the wrong code is shorter",
            relation=Le(-true_share * log(coded_share), at_best),
        ),
        mutant(
            "arguments exchanged",
            relation=Le(-coded_share * log(true_share), -true_share * log(coded_share)),
        ),
        mutant("by a factor", relation=Le(-2 * true_share * log(true_share), -true_share * log(coded_share))),
    ],
    uses=[length],
    sources=["D4:74"],
    assumes=["the mean value theorem"],
)
wrong_code

# %% [markdown]
# ## Bits back
#
# A model with latents cannot compute $-\log p_\theta(x_0)$. It can send $x_{0:T}$ instead, which costs $-\log
# p_\theta(x_{0:T})$. The latents are not wasted: the sender draws them from $q(x_{1:T} \mid x_0)$ by decoding
# bits that were to be sent anyway, and the receiver, once he has the image, encodes them and gets $-\log
# q(x_{1:T} \mid x_0)$ of the bits back.

# %%
paid = -(log_p_image + log_p_latents)
refunded = -log_q_latents

bits_back = claim(
    "coding.bits-back",
    "The net length along one path",
    Equation(
        r"- \log \frac{p_{\theta}(x_{0:T})}{q(x_{1:T} \mid x_{0})}",
        -log_p_image + log_q_latents - log_p_latents,
    ),
    proof=lambda value: [
        equal(value, paid - refunded, "paid, less what is refunded"),
        equal(
            value.xreplace({log_q_latents: log_p_latents}), -log_p_image, "latents drawn from the posterior"
        ),
    ],
    mutants=[
        mutant("nothing given back", value=-log_p_image - log_p_latents),
        mutant("sign of the gap", value=-log_p_image - log_q_latents + log_p_latents),
        mutant("the likelihood itself", value=-log_p_image),
    ],
    sources=["Ho2020 (3)", "Ho2020 §4.3", "D4:70"],
    assumes=["p(x_{0:T}) = p(x_0) p(x_{1:T} | x_0)", "bits-back coding (Hinton & van Camp 1993)"],
    remark="Its mean over q is the bound L. The gap to -log p(x_0) is, in the mean, the divergence of "
    "q(x_{1:T} | x_0) from the model's posterior.",
)
bits_back

# %% [markdown]
# ## The bound without conditioning on the image
#
# The bound's usual form compares reverse steps with posteriors that know the image. The paper's equation
# (16) does not: it compares them with $q(x_{t-1} \mid x_t)$ itself. The proof is again Bayes' rule at each
# step and a sum that telescopes, here over the marginals $q(x_t)$: by induction over $t$, the log-ratios of
# the first $t$ steps are those of the reversed steps plus $\log q(x_t) - \log q(x_0)$.

# %%
BAYES = (
    Eq(log_q_forth_t, log_q_back_t + log_q_at_t - log_q_at_prev),
    Eq(back_sum_t, back_sum_prev + log_q_back_t - log_p_back_t),
)
BAYES

# %%
first_steps = back_sum_t + log_q_at_t - log_q_image
first_steps


# %%
def telescopes(value: Expr) -> list[Obligation]:
    end = {back_sum_t: back_sum_end, log_q_at_t: log_q_end}
    return [
        *induction(
            first_steps,
            lambda previous: previous + log_q_forth_t - log_p_back_t,
            start={back_sum_t: 0, log_q_at_t: log_q_image},
            first=0,
            previous={back_sum_t: back_sum_prev, log_q_at_t: log_q_at_prev},
            name="log-ratios of the first t steps",
        ),
        equal(value, -log_p_end + first_steps.xreplace(end), "the prior's term and all T steps"),
    ]


by_marginals = claim(
    "coding.bound-by-marginals",
    "The bound, term by term without the image",
    Equation(
        r"- \log p(x_{T}) - \sum_{t=1}^{T} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t} \mid x_{t-1})}",
        (log_q_end - log_p_end) + back_sum_end - log_q_image,
    ),
    given=BAYES,
    proof=telescopes,
    mutants=[
        mutant("entropy subtracted", value=(log_q_end - log_p_end) + back_sum_end + log_q_image),
        mutant("entropy forgotten", value=(log_q_end - log_p_end) + back_sum_end),
        mutant("the prior's divergence reversed", value=(log_p_end - log_q_end) + back_sum_end - log_q_image),
        mutant("the prior's own term alone", value=-log_p_end + back_sum_end - log_q_image),
    ],
    uses=[bits_back],
    sources=["Ho2020 (16)", "Ho2020 appendix A"],
    implemented_by=["ddpm_ref.exact.bound", "ddpm_ref.exact.ExactBound.gap"],
    assumes=["Bayes' rule and the Markov property of q", "induction over the natural numbers"],
    remark="Means over q: the divergence at T, those of the T reverse steps, and the entropy H(x_0), which "
    "no model can go below. At t = 0 the marginal is the data's.",
)
by_marginals

# %% [markdown]
# ## Autoregressive models are a special case
#
# Let the chain have as many steps as the image has coordinates, and let step $t$ erase coordinate $t$, and
# do nothing else. Nothing is random in it: $\log q(x_t \mid x_{t-1}) = 0$, and after the last step the
# image is blank, $\log p(x_T) = 0$. A reverse step copies what is there and draws one coordinate, given
# those after it. By the chain rule of probability that is the ratio of two joint probabilities, and the sum
# telescopes: the bound is the negative log-likelihood of an autoregressive model, with no gap.

# %%
drawing_one = log_after_prev - log_after_t
drawing_one


# %%
def erases_one_at_a_time(value: Expr) -> list[Obligation]:
    length_of_first = log_after_t - log_p_image
    erased = {log_q_forth_t: Integer(0), log_p_back_t: drawing_one}
    return [
        *induction(
            length_of_first,
            lambda previous: previous + (log_q_forth_t - log_p_back_t).xreplace(erased),
            start={log_after_t: log_p_image},
            first=0,
            previous={log_after_t: log_after_prev},
            name="the first t steps",
        ),
        equal(value, length_of_first.xreplace({log_after_t: Integer(0)}), "after d steps nothing is left"),
    ]


autoregressive = claim(
    "coding.autoregressive",
    "Erasing one coordinate at a time",
    Equation(
        r"- \log p(x_{d}) - \sum_{t=1}^{d} \log \frac{p_{\theta}(x_{t-1} \mid x_{t})}{q(x_{t} \mid x_{t-1})}",
        -log_p_image,
    ),
    proof=erases_one_at_a_time,
    mutants=[
        mutant("sign", value=log_p_image),
        mutant("twice: forward steps charged too", value=-2 * log_p_image),
        mutant("nothing, as if the chain were known", value=Integer(0)),
    ],
    uses=[by_marginals],
    sources=["Ho2020 §4.3", "D4:18", "D4:61", "D4:70"],
    assumes=["the chain rule of probability", "induction over the natural numbers"],
    remark="What D4 describes is the decoding of either: from what is blank or noise to the image, in steps. "
    "A Gaussian diffusion has no order of coordinates; it sends all of them a little at a time.",
)
autoregressive

# %% [markdown]
# ## Sending an image in steps
#
# The message has parts. First $x_T$, at a cost of $L_T$; then, for $t = T, \dots, 2$, what the receiver needs
# to get from $x_t$ to $x_{t-1}$, at a cost of $L_{t-1}$; at last the image itself, given $x_1$, for $L_0$. So
# the rate after each part is the sum so far. It cannot fall, since each term is a divergence between
# Gaussians, written here for one coordinate with means $\Delta\mu$ apart.

# %%
step_cost = kl.value.xreplace({d: Integer(1), sqnorm(mu_1 - mu_2): mean_gap**2})
step_cost

# %%
rate_grows = claim(
    "coding.rate-grows",
    "The rate grows with every step",
    Holds(Le(sent_t, sent_t + step_cost, evaluate=False)),
    proof=lambda relation: tangent(relation, sigma_1, at=sigma_2, name="a step's cost", attained=False),
    mutants=[
        mutant("falls", relation=Le(sent_t + step_cost, sent_t, evaluate=False)),
        mutant(
            "half a nat less",
            relation=Le(sent_t, sent_t + step_cost - Rational(1, 2), evaluate=False),
        ),
        mutant(
            "without the logarithm",
            relation=Le(sent_t, sent_t + (sigma_1**2 / sigma_2**2 - 1) / 2, evaluate=False),
        ),
    ],
    uses=[kl],
    sources=["Ho2020 §4.3"],
    assumes=[
        "the mean value theorem",
        "sending a sample of q to who knows p costs KL(q ‖ p) nats, up to a logarithm (Harsha et al. 2007)",
    ],
    remark="The cost is zero only if variances and means agree: if the receiver could have guessed.",
)
rate_grows

# %% [markdown]
# The paper's model spends its bits like this: $L_1 + \dots + L_T$ is the rate, $L_0$ is what is left to be
# sent about details that no one sees.

# %%
REPORTED = (Eq(rate_reported, Rational(178, 100)), Eq(last_reported, Rational(197, 100)))
REPORTED

# %%
whole = rate_reported + last_reported

paper_total = claim(
    "coding.paper-total",
    "Rate and last term of the paper's model",
    Equation(whole, Rational(375, 100)),
    given=REPORTED,
    proof=lambda value: [equal(value, whole, "rate and last term, in bits per dimension")],
    mutants=[
        mutant("the model trained on the bound itself", value=Rational(370, 100)),
        mutant("on the training images", value=Rational(372, 100)),
    ],
    sources=["Ho2020 §4.3, table 1"],
    remark="In bits per dimension. The paper writes at most, since L is an upper bound.",
)
paper_total

# %%
paper_majority = claim(
    "coding.paper-majority",
    "Most of the code is spent on the last term",
    Holds(whole / 2 < last_reported),
    given=REPORTED,
    mutants=[
        mutant(
            "L_0 is negligible: below a hundredth of the whole",
            relation=last_reported < whole / 100,
            seen="D3 line 232, in words, if it is taken to speak of the bound",
        ),
        mutant("most of it is rate", relation=whole / 2 < rate_reported),
    ],
    uses=[paper_total],
    sources=["Ho2020 §4.3", "D4:70", "D4:78", "D3:232"],
    remark="Of the code, not of the model, as D4 has it. For sample quality L_0 does matter little; for the "
    "likelihood it is the largest term.",
)
paper_majority

# %% [markdown]
# How little of it one sees is in the paper's table of rate against error: after 900 of the 1000 reverse steps
# the root mean square error is 12 of 255, for 0.12 bits per dimension.

# %%
imperceptible = claim(
    "coding.paper-imperceptible",
    "What one sees costs a thirtieth",
    Holds(rate_at_100 < whole / 30),
    given=[*REPORTED, Eq(rate_at_100, Rational(11994, 100000))],
    mutants=[
        mutant("with the last hundred steps", relation=rate_reported < whole / 30),
        mutant("a fortieth", relation=rate_at_100 < whole / 40),
    ],
    uses=[paper_total],
    sources=["Ho2020 §4.3, figure 5", "D4:70"],
    remark="The rest, 96.8 of 100 bits, takes the error from 12 to none.",
)
imperceptible

# %% [markdown]
# ## Gaussian data: the estimate
#
# Let each coordinate of the data be Gaussian with mean $m$ and deviation $s > 0$. A receiver who has $x_t$
# estimates the image by the paper's equation (15), with the best noise predictor for $\epsilon_\theta$.

# %%
data = data_mean + data_spread * z
state = sample.value.xreplace({x_0: data})
best_noise = gaussian_denoiser.value.xreplace({data_deviation: data_spread})
estimate = x0_from_eps.value.xreplace({eps: best_noise})
estimate

# %%
spread_t = after_step(0, data_spread**2, sqrt(alpha_bar_t), marginal.variance)[1]
spread_t

# %%
error = data - estimate.xreplace({x_t: state})
error

# %% [markdown]
# The mean drops out. What remains is a little of the data's own variation, and a little of the noise.

# %%
error_in_parts = (
    data_spread * (1 - alpha_bar_t) * z - data_spread**2 * sqrt(alpha_bar_t) * sqrt(1 - alpha_bar_t) * eps
) / spread_t
error_in_parts

# %%
distortion = claim(
    "coding.distortion",
    "The error of the estimate",
    Equation(
        r"D_{t} = \frac{1}{d} \mathbb{E}\left\lVert x_{0} - \hat{x}_{0}(x_{t}) \right\rVert^{2}",
        data_spread**2 * (1 - alpha_bar_t) / (alpha_bar_t * data_spread**2 + 1 - alpha_bar_t),
    ),
    given=SCHEDULE,
    proof=lambda value: [
        equal(error, error_in_parts, "the error, in parts"),
        equal(E(sqnorm(error_in_parts * spread_t)), d * value * spread_t**2, "mean squared error"),
    ],
    mutants=[
        mutant("as if nothing were known of the data", value=(1 - alpha_bar_t) / alpha_bar_t),
        mutant(
            "deviation for variance",
            value=data_spread * (1 - alpha_bar_t) / (alpha_bar_t * data_spread + 1 - alpha_bar_t),
        ),
        mutant("the data's own variance", value=data_spread**2),
        mutant("the noise's variance", value=1 - alpha_bar_t),
    ],
    uses=[chain, marginal, sample, gaussian_denoiser, x0_from_eps],
    sources=["Ho2020 (15)", "Ho2020 §4.3"],
    implemented_by=[
        "ddpm_ref.coding.rate_distortion",
        "ddpm_ref.exact.distortion",
        "ddpm_ref.denoisers.Denoiser.spread",
    ],
    remark="Precisions add: 1/D_t = 1/s² + ᾱ_t/(1 - ᾱ_t), the data's and the signal-to-noise ratio.",
)
distortion

# %% [markdown]
# Going back, from $t$ to $t - 1$, the estimate gets better with every step. It is perfect at $t = 0$ only: as
# long as noise is left, something is lost. That is what makes a truncated message *lossy* compression.

# %%
missing_now = distortion.statement.parts["value"]
missing_before = before(missing_now)

distortion_falls = claim(
    "coding.distortion-falls",
    "The estimate improves with every reverse step",
    Holds(Lt(missing_before, missing_now)),
    given=SCHEDULE,
    mutants=[
        mutant("gets worse", relation=Lt(missing_now, missing_before)),
        mutant("halves", relation=Lt(missing_before, missing_now / 2)),
    ],
    uses=[distortion],
    sources=["Ho2020 §4.3", "D4:17", "D4:61"],
)
distortion_falls

# %%
lossy = claim(
    "coding.lossy",
    "A truncated message loses something",
    Holds(Lt(0, missing_now, evaluate=False)),
    given=SCHEDULE,
    mutants=[
        mutant(
            "nothing can be lost",
            relation=Le(missing_now, 0, evaluate=False),
            seen="D4 line 82, which says that there can be no loss and calls it a drawback",
        ),
        mutant("all is lost", relation=Le(data_spread**2, missing_now, evaluate=False)),
    ],
    uses=[distortion],
    sources=["D4:80", "D4:82", "Ho2020 §4.3"],
    remark="For t ≥ 1. The loss is the point of it: it buys a shorter message.",
)
lossy

# %% [markdown]
# ## Gaussian data: the rate
#
# What has the receiver been told? The mutual information of $x_t$ and $x_0$: the mean, over the images, of
# the divergence of $q(x_t \mid x_0)$ from $q(x_t)$.

# %%
told = kl.value.xreplace(
    {
        mu_1: sqrt(alpha_bar_t) * data,
        sigma_1: sqrt(1 - alpha_bar_t),
        mu_2: sqrt(alpha_bar_t) * data_mean,
        sigma_2: sqrt(spread_t),
    }
)

information = claim(
    "coding.information",
    "What the state tells about the image",
    Equation(
        r"\frac{1}{d}\, I(x_{0}; x_{t})",
        log(1 + alpha_bar_t * data_spread**2 / (1 - alpha_bar_t)) / 2,
    ),
    given=SCHEDULE,
    proof=lambda value: [equal(E(told), d * value, "mean divergence of the kernel from the marginal")],
    mutants=[
        mutant("not halved", value=log(1 + alpha_bar_t * data_spread**2 / (1 - alpha_bar_t))),
        mutant("the one forgotten", value=log(alpha_bar_t * data_spread**2 / (1 - alpha_bar_t)) / 2),
        mutant("unit variance assumed", value=log(1 + alpha_bar_t / (1 - alpha_bar_t)) / 2),
        mutant("deviation for variance", value=log(1 + alpha_bar_t * data_spread / (1 - alpha_bar_t)) / 2),
    ],
    uses=[chain, kl, marginal],
    sources=["Ho2020 §4.3"],
    implemented_by=["ddpm_ref.exact.rate"],
    remark="Half the logarithm of one plus the signal-to-noise ratio: the capacity of the Gaussian channel.",
)
information

# %% [markdown]
# For Gaussian data the true reverse step is Gaussian, by Bayes' rule. Its mean is the forward posterior's
# with the estimate in place of the image. Its variance is the one that the chapter on parameterisations found
# between the paper's two choices.

# %%
spread_prev = before(spread_t)
log_step = log_normal(x_t, kernel.mean, kernel.variance)
log_prior = log_normal(x_prev, sqrt(alpha_bar_prev) * data_mean, spread_prev)
quadratic = gaussian_integral(log_step + log_prior, x_prev, "step times marginal")
quadratic.precision


# %%
def by_bayes(mean: Expr, variance: Expr) -> list[Obligation]:
    earlier = sqrt(alpha_bar_prev) * data_mean, spread_prev
    evidence_mean, evidence_variance = after_step(*earlier, sqrt(alpha_t), kernel.variance)
    return [
        *quadratic.obligations,
        equal(variance * quadratic.precision, 1, "inverse of the precision"),
        equal(mean * quadratic.precision, quadratic.shift, "linear term over precision"),
        equal(evidence_mean, sqrt(alpha_bar_t) * data_mean, "the evidence is the marginal: mean"),
        equal(evidence_variance, spread_t, "the evidence is the marginal: variance"),
        equal(mean, posterior_mean.value.xreplace({x_0: estimate}), "the estimate for the image"),
        equal(variance, reverse_variance.value.xreplace({data_variance: data_spread**2}), "as found before"),
    ]


reverse_step = claim(
    "coding.reverse-step",
    "The true reverse step for Gaussian data",
    Law(
        r"q(x_{t-1} \mid x_{t})",
        x_prev,
        (sqrt(alpha_t) * spread_prev * x_t + beta_t * sqrt(alpha_bar_prev) * data_mean) / spread_t,
        beta_t * spread_prev / spread_t,
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=by_bayes,
    mutants=[
        mutant("fraction inverted", variance=beta_t * spread_t / spread_prev),
        mutant("the forward posterior's", variance=posterior_variance.value),
        mutant("the step's", variance=beta_t),
        mutant("the data's mean for the estimate", mean=posterior_mean.value.xreplace({x_0: data_mean})),
    ],
    uses=[density, chain, marginal, gaussian_denoiser, x0_from_eps],
    sources=["Ho2020 §3.2", "D3:253"],
    assumes=["Bayes' rule for densities"],
)
reverse_step

# %% [markdown]
# A model that has this reverse step pays, at each step, half the logarithm of the ratio by which the error
# falls, and no more. The means differ by a multiple of the estimate's error, the model's variance is larger
# by just that, and so in the mean divergence everything cancels but the logarithm.

# %%
weight_of_image = diff(posterior_mean.value, x_0)
weight_of_image

# %%
MISSING = (Eq(missing_t, missing_now), Eq(missing_prev, missing_before))


def is_the_step(value: Expr) -> list[Obligation]:
    wider = {mu_1: mu_2 + scale * sigma * eps, sigma_2: sqrt(sigma_1**2 + scale**2 * sigma**2)}
    return [
        equal(
            posterior_mean.value - reverse_step.mean,
            weight_of_image * (x_0 - estimate),
            "the means differ by the error, weighted",
        ),
        equal(
            reverse_step.variance,
            posterior_variance.value + weight_of_image**2 * missing_now,
            "and the variances by its mean square",
        ),
        equal(
            E(kl.value.xreplace(wider)),
            d * log((sigma_1**2 + scale**2 * sigma**2) / sigma_1**2) / 2,
            "then the mean divergence is half the logarithm of their ratio",
        ),
        equal(log(reverse_step.variance / posterior_variance.value) / 2, value, "the ratio of the errors"),
    ]


step_rate = claim(
    "coding.step-rate",
    "What a step costs",
    Equation(r"L_{t-1} / d", log(missing_t / missing_prev) / 2),
    given=[*AFTER_THE_FIRST_STEP, *MISSING],
    proof=is_the_step,
    mutants=[
        mutant("not halved", value=log(missing_t / missing_prev)),
        mutant("upside down", value=log(missing_prev / missing_t) / 2),
        mutant("by the schedule alone", value=log((1 - alpha_bar_t) / (1 - alpha_bar_prev)) / 2),
        mutant("the noise of one step", value=-log(alpha_t) / 2),
    ],
    uses=[distortion, gaussian_denoiser, kl, x0_from_eps],
    sources=["Ho2020 §4.3", "Ho2020 (8)"],
    remark="For t ≥ 2; with any other reverse step it costs more.",
)
step_rate

# %% [markdown]
# So the costs telescope, from $T$ down, and the rate at $t$ is the information in $x_t$, which is half the
# logarithm of $s^2/D_t$. This is the rate-distortion function of a Gaussian: no code whatever, of any kind,
# that leaves an error of $D_t$ is shorter. A diffusion model with the exact denoiser is at Shannon's limit at
# *every* step of the way, whatever its schedule.


# %%
def at_shannons_limit(value: Expr) -> list[Obligation]:
    earlier = value.xreplace({missing_t: missing_prev})
    return [
        equal(value, information.value, "the information in the state"),
        equal(earlier, value + step_rate.value, "one step more", given=(alpha_bar_prev < 1, MISSING[1])),
    ]


rate_distortion = claim(
    "coding.rate-distortion",
    "Every step is at Shannon's limit",
    Equation(r"\frac{1}{d}\, R_{t}", log(data_spread**2 / missing_t) / 2),
    given=[*SCHEDULE, MISSING[0]],
    proof=at_shannons_limit,
    mutants=[
        mutant("not halved", value=log(data_spread**2 / missing_t)),
        mutant("upside down", value=log(missing_t / data_spread**2) / 2),
        mutant("deviation for variance", value=log(data_spread / missing_t) / 2),
        mutant("one step ahead", value=log(data_spread**2 / missing_prev) / 2),
    ],
    uses=[distortion],
    sources=["Ho2020 §4.3"],
    implemented_by=["ddpm_ref.coding.rate_distortion", "ddpm_ref.exact.rate"],
    assumes=[
        "Shannon: the least rate for a Gaussian of variance s² at mean squared error D < s² is ½ log(s²/D)",
        "the prior is q(x_T); else its divergence from q(x_T) is paid once, at the start",
    ],
)
rate_distortion

# %% [markdown]
# And the end of the message? Given $x_1$ the image is Gaussian with variance $D_1$, so its last term is the
# entropy of that. Rate and last term add up to the entropy of the data, with nothing to spare: what was saved
# in one is spent in the other.

# %%
lossless = claim(
    "coding.lossless",
    "The whole message",
    Equation(r"\frac{1}{d} \left( R_{1} + L_{0} \right)", (log(2 * pi * data_spread**2) + 1) / 2),
    given=[*SCHEDULE, MISSING[0]],
    proof=lambda value: [
        equal(
            value,
            rate_distortion.value + best_variance.parts["relation"].lhs.xreplace({mean_square: missing_t}),
            "rate, and the entropy of what is missing",
        )
    ],
    mutants=[
        mutant("the rate counted twice", value=(log(2 * pi * data_spread**4) + 1) / 2),
        mutant("the last term alone", value=(log(2 * pi * missing_t) + 1) / 2),
        mutant("the rate alone", value=log(data_spread**2 / missing_t) / 2),
    ],
    uses=[by_marginals, distortion],
    sources=["Ho2020 §4.3", "Ho2020 (16)", "D4:76", "D4:78"],
    remark="In the limit of narrow bins and without their offset. It is H(x_0), as equation (16) says it "
    "must be where both kinds of divergence vanish. The sum holds at every t, not only at t = 1.",
)
lossless

# %% [markdown]
# The curve, for two laws of images:
#
# <!-- picture rate-distortion -->

# %% [markdown]
# ## What this chapter assumed
#
# Kraft's inequality and the existence of codes within a few bits of it; Shannon's theorem for Gaussians; the
# chain rule, Bayes' rule and the Markov property; the mean value theorem; induction over the natural numbers.
