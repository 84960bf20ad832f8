# %% [markdown]
# # The variational bound
#
# The likelihood $p_\theta(x_0)$ is an integral over all latents that nobody can compute. What is minimised
# instead is a bound on its negative logarithm, and everything else in the model is read off that bound. This
# chapter takes the derivation line by line: the bound, its form for Markov chains, and its rearrangement
# into one divergence per step.
#
# Each line holds *under the mean* over $q$, the data and its forward process; the identities behind it hold
# on every path $x_0, x_1, \dots, x_T$. So the symbols of this chapter are logarithms of probabilities along
# a path, and the proofs for a chain of $T$ steps are by induction: a chain gets one more latent.

# %%
from fractions import Fraction

from sympy import Eq, Expr, Ge, Gt, Integer, Le, Lt, log, sqrt
from sympy.core.relational import Relational

from derivations.forward import kernel, marginal, step
from derivations.gaussians import density, log_normal
from derivations.parameterization import kl
from derivations.posterior import AFTER_THE_FIRST_STEP, log_evidence, log_step, posterior
from derivations.posterior import log_prior as log_earlier
from derivations.proof.certificates import gaussian_integral, induction, induction_from_one
from derivations.proof.claims import Equation, Holds, Law, claim, mutant
from derivations.proof.finite_chain import (
    FiniteChain,
    Logs,
    Mean,
    MeanHolds,
    Meaning,
    Oracle,
    Path,
    number,
    total,
)
from derivations.proof.inequalities import tangent
from derivations.proof.obligations import Obligation, equal, holds, less
from derivations.proof.symbols import (
    E,
    T,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_t,
    bayes_rest_prev,
    bayes_rest_t,
    bound_new,
    bound_old,
    d,
    decoded_by_posterior,
    eps_prev,
    gain,
    half_bayes_rest_t,
    inner,
    kl_encoder_posterior,
    kl_encoder_prior,
    kl_information_t,
    kl_latents,
    kl_latents_turned,
    kl_new,
    kl_old,
    kl_posterior_t,
    kl_prior,
    kl_rest_prev,
    kl_rest_t,
    kl_rest_turned,
    kl_rest_without_x0,
    kl_reverse_t,
    log_p_first,
    log_p_first_history,
    log_p_joint,
    log_p_latents,
    log_p_new,
    log_p_old,
    log_p_rest_t,
    log_p_step_t,
    log_p_steps_t,
    log_p_x,
    log_p_x0,
    log_p_x_given_z,
    log_p_z,
    log_p_z_given_x,
    log_prior,
    log_q_first,
    log_q_latents,
    log_q_marginal_prev,
    log_q_marginal_t,
    log_q_marginals_t,
    log_q_posterior_t,
    log_q_reverse_t,
    log_q_step_history_t,
    log_q_step_t,
    log_q_steps_prev,
    log_q_steps_t,
    log_q_x0,
    log_q_z,
    log_q_z_given_x,
    marginal_rest_t,
    matched_rest_prev,
    matched_rest_t,
    mu_1,
    mu_2,
    mu_theta,
    posterior_ratio,
    ratio_rest_prev,
    ratio_rest_t,
    ratio_sum_prev,
    ratio_sum_t,
    scale,
    sigma_1,
    sigma_2,
    sigma_t,
    sqnorm,
    upward_bayes_rest,
    upward_kl_sum,
    upward_rest,
    upward_sum,
    x_0,
    x_prev,
    x_t,
    z,
)

# %% [markdown]
# ## A model small enough to be computed
#
# Beside the algebra stands a second opinion: models of the same shape over two or three states. Their tables
# are fractions, so all their probabilities are, found by adding up whole paths without Bayes' rule or the
# Markov property; the logarithm of a fraction is a vector of prime exponents, so the mean of a line is an
# exact number. Every line below is computed on three chains: one step and two steps over two states, small
# enough for pencil and paper, and three steps over three states with tables drawn at random.


# %%
def two_states(*rows: tuple[int, int, int, int]) -> list[tuple[tuple[Fraction, Fraction], ...]]:
    """Tables from the odds in each of their two rows."""
    return [
        ((Fraction(a, a + b), Fraction(b, a + b)), (Fraction(c, c + e), Fraction(e, c + e)))
        for a, b, c, e in rows
    ]


DATA, PRIOR = (Fraction(1, 2), Fraction(1, 2)), (Fraction(1, 3), Fraction(2, 3))
ONE_STEP = FiniteChain(DATA, two_states((3, 1, 1, 2)), PRIOR, two_states((2, 1, 1, 1)))
TWO_STEPS = FiniteChain(
    DATA,
    forward=two_states((3, 1, 1, 2), (2, 1, 1, 1)),
    prior=PRIOR,
    reverse=two_states((2, 1, 1, 1), (3, 1, 1, 2)),
)
CHAINS = (ONE_STEP, TWO_STEPS, FiniteChain.random(3, T=3, states=3))
TWO_STEPS.mean(lambda path: TWO_STEPS.log_q(path, [1, 2], [0]) - TWO_STEPS.log_p(path, [0, 1, 2])).expression

# %% [markdown]
# That is the bound, for two steps over two states.
#
# What each symbol is on a path. A sum over the steps after the first runs over $t = 2, \dots, T$.


# %%
def log_reverse(chain: FiniteChain, path: Path, t: int) -> Logs:
    return chain.log_p(path, [t - 1], [t])


def log_forward(chain: FiniteChain, path: Path, t: int) -> Logs:
    return chain.log_q(path, [t], [t - 1])


def log_matched(chain: FiniteChain, path: Path, t: int) -> Logs:
    return chain.log_q(path, [t - 1], [t, 0])


def log_marginal(chain: FiniteChain, path: Path, t: int) -> Logs:
    return chain.log_q(path, [t], [0])


def log_upward(chain: FiniteChain, path: Path, t: int) -> Logs:
    return chain.log_p(path, [t + 1], [t]) - chain.log_q(path, [t], [t + 1])


def log_growth(chain: FiniteChain, path: Path, t: int) -> Logs:
    return log_marginal(chain, path, t) - log_marginal(chain, path, t - 1)


def middle(steps: int) -> range:
    return range(2, steps + 1)


def kl_step(chain: FiniteChain, path: Path, t: int, given: tuple[int, ...]) -> Logs:
    return chain.divergence(
        lambda other: chain.q.conditional(other, [t - 1], given),
        lambda other: chain.p.conditional(other, [t - 1], [t]),
        path,
        [t - 1],
    )


def kl_turned(chain: FiniteChain, path: Path, t: int) -> Logs:
    return chain.divergence(
        lambda other: chain.p.conditional(other, [t - 1], [t]),
        lambda other: chain.q.conditional(other, [t - 1], [t, 0]),
        path,
        [t - 1],
    )


def kl_upward(chain: FiniteChain, path: Path, t: int) -> Logs:
    return chain.divergence(
        lambda other: chain.q.conditional(other, [t + 1], [t]),
        lambda other: chain.p.conditional(other, [t + 1], [t]),
        path,
        [t + 1],
    )


def latents(chain: FiniteChain) -> range:
    return range(1, chain.T + 1)


def posterior_of_latents(chain: FiniteChain, path: Path) -> Fraction:
    return chain.p.conditional(path, latents(chain), [0])


def law_of_latents(chain: FiniteChain, path: Path) -> Fraction:
    return chain.q.conditional(path, latents(chain), [0])


MEANING: Meaning = {
    log_p_x0: lambda c, x: c.log_p(x, [0]),
    log_q_x0: lambda c, x: c.log_q(x, [0]),
    log_p_joint: lambda c, x: c.log_p(x, range(c.T + 1)),
    log_p_latents: lambda c, x: c.log_p(x, latents(c), [0]),
    log_q_latents: lambda c, x: c.log_q(x, latents(c), [0]),
    posterior_ratio: lambda c, x: number(posterior_of_latents(c, x) / law_of_latents(c, x)),
    log_prior: lambda c, x: c.log_p(x, [c.T]),
    log_p_first: lambda c, x: log_reverse(c, x, 1),
    log_q_first: lambda c, x: log_forward(c, x, 1),
    log_p_first_history: lambda c, x: c.log_p(x, [0], latents(c)),
    log_q_step_t: lambda c, x: log_forward(c, x, c.T),
    log_q_step_history_t: lambda c, x: c.log_q(x, [c.T], range(c.T)),
    log_q_posterior_t: lambda c, x: log_matched(c, x, c.T),
    log_q_reverse_t: lambda c, x: c.log_q(x, [c.T - 1], [c.T]),
    log_q_marginal_t: lambda c, x: log_marginal(c, x, c.T),
    log_q_marginal_prev: lambda c, x: log_marginal(c, x, c.T - 1),
    log_p_steps_t: lambda c, x: total(log_reverse(c, x, t) for t in latents(c)),
    log_p_rest_t: lambda c, x: total(log_reverse(c, x, t) for t in middle(c.T)),
    log_q_steps_t: lambda c, x: total(log_forward(c, x, t) for t in latents(c)),
    log_q_steps_prev: lambda c, x: total(log_forward(c, x, t) for t in range(1, c.T)),
    log_q_marginals_t: lambda c, x: total(log_marginal(c, x, t) for t in latents(c)),
    marginal_rest_t: lambda c, x: total(log_growth(c, x, t) for t in middle(c.T)),
    ratio_sum_t: lambda c, x: total(log_reverse(c, x, t) - log_forward(c, x, t) for t in latents(c)),
    ratio_sum_prev: lambda c, x: total(log_reverse(c, x, t) - log_forward(c, x, t) for t in range(1, c.T)),
    ratio_rest_t: lambda c, x: total(log_reverse(c, x, t) - log_forward(c, x, t) for t in middle(c.T)),
    ratio_rest_prev: lambda c, x: total(log_reverse(c, x, t) - log_forward(c, x, t) for t in range(2, c.T)),
    upward_sum: lambda c, x: total(log_upward(c, x, t) for t in range(1, c.T)),
    upward_rest: lambda c, x: total(log_upward(c, x, t) for t in range(2, c.T)),
    upward_bayes_rest: lambda c, x: total(
        log_upward(c, x, t) + log_growth(c, x, t + 1) for t in range(2, c.T)
    ),
    bayes_rest_t: lambda c, x: total(
        log_reverse(c, x, t) - log_matched(c, x, t) - log_growth(c, x, t) for t in middle(c.T)
    ),
    bayes_rest_prev: lambda c, x: total(
        log_reverse(c, x, t) - log_matched(c, x, t) - log_growth(c, x, t) for t in range(2, c.T)
    ),
    half_bayes_rest_t: lambda c, x: total(
        log_reverse(c, x, t) - log_forward(c, x, t) - log_growth(c, x, t) for t in middle(c.T)
    ),
    matched_rest_t: lambda c, x: total(log_reverse(c, x, t) - log_matched(c, x, t) for t in middle(c.T)),
    matched_rest_prev: lambda c, x: total(log_reverse(c, x, t) - log_matched(c, x, t) for t in range(2, c.T)),
}

# %% [markdown]
# Divergences are sums over states, by their definition:

# %%
DIVERGENCES: Meaning = {
    kl_latents: lambda c, x: c.divergence(
        lambda y: law_of_latents(c, y), lambda y: posterior_of_latents(c, y), x, latents(c)
    ),
    kl_latents_turned: lambda c, x: c.divergence(
        lambda y: posterior_of_latents(c, y), lambda y: law_of_latents(c, y), x, latents(c)
    ),
    kl_prior: lambda c, x: c.divergence(
        lambda y: c.q.conditional(y, [c.T], [0]), lambda y: c.p.conditional(y, [c.T]), x, [c.T]
    ),
    kl_rest_t: lambda c, x: total(kl_step(c, x, t, (t, 0)) for t in middle(c.T)),
    kl_rest_prev: lambda c, x: total(kl_step(c, x, t, (t, 0)) for t in range(2, c.T)),
    kl_rest_without_x0: lambda c, x: total(kl_step(c, x, t, (t,)) for t in middle(c.T)),
    kl_rest_turned: lambda c, x: total(kl_turned(c, x, t) for t in middle(c.T)),
    upward_kl_sum: lambda c, x: total(kl_upward(c, x, t) for t in range(1, c.T)),
    kl_posterior_t: lambda c, x: kl_step(c, x, c.T, (c.T, 0)),
    kl_reverse_t: lambda c, x: kl_step(c, x, c.T, (c.T,)),
    kl_information_t: lambda c, x: c.divergence(
        lambda y: c.q.conditional(y, [c.T - 1], [c.T, 0]),
        lambda y: c.q.conditional(y, [c.T - 1], [c.T]),
        x,
        [c.T - 1],
    ),
}

ON_CHAINS = Oracle(CHAINS, {**MEANING, **DIVERGENCES})

# %% [markdown]
# ## One latent: the autoencoder's bound
#
# A variational autoencoder has one latent $z$ with prior $p_\theta(z)$, a decoder $p_\theta(x \mid z)$ and an
# encoder $q(z \mid x)$. Bayes' rule writes the likelihood through the decoder, and the encoder is multiplied
# in and divided out.

# %%
BAYES_FOR_Z = Eq(log_p_z_given_x, log_p_x_given_z + log_p_z - log_p_x)

ONE_LATENT: Meaning = {
    log_p_x: lambda c, x: c.log_p(x, [0]),
    log_p_z: lambda c, x: c.log_p(x, [1]),
    log_p_x_given_z: lambda c, x: c.log_p(x, [0], [1]),
    log_p_z_given_x: lambda c, x: c.log_p(x, [1], [0]),
    log_q_z_given_x: lambda c, x: c.log_q(x, [1], [0]),
    log_q_z: lambda c, x: c.log_q(x, [1]),
    kl_encoder_prior: DIVERGENCES[kl_prior],
    kl_encoder_posterior: DIVERGENCES[kl_latents],
    decoded_by_posterior: lambda c, x: total(
        c.log_p(y, [0], [1]).times(c.p.conditional(y, [1], [0])) for y in c.elsewhere(x, [1])
    ),
}
WITH_ONE_LATENT = Oracle((ONE_STEP, FiniteChain.random(5, T=1, states=3)), ONE_LATENT)

decoder_written_in = claim(
    "bound.elbo-pointwise",
    "The autoencoder's likelihood, with the encoder written in",
    Mean(
        log_p_x,
        log_p_x_given_z - (log_q_z_given_x - log_p_z) + (log_q_z_given_x - log_p_z_given_x),
        under=r"q(z \mid x)",
    ),
    given=[BAYES_FOR_Z],
    proof=lambda value: [
        *WITH_ONE_LATENT.same_mean(log_p_x, value, "in the mean"),
        equal(log_p_x, value, "at every z"),
    ],
    mutants=[
        mutant(
            "q(z|x)/q(z) multiplied in, which is not one",
            value=log_p_x_given_z + log_p_z - log_p_z_given_x + log_q_z_given_x - log_q_z,
            seen="D2 line 71, first line",
        ),
        mutant(
            "the prior under both encoders",
            value=log_p_x_given_z - (log_q_z_given_x - log_p_z) + (log_q_z_given_x - log_p_z),
            seen="D2 line 71, second line",
        ),
        mutant(
            "signs exchanged",
            value=log_p_x_given_z + (log_q_z_given_x - log_p_z) - (log_q_z_given_x - log_p_z_given_x),
        ),
    ],
    sources=["D2:71"],
    assumes=["Bayes' rule for densities"],
    remark="As logarithms the encoder cancels; it is written in to make the two divergences.",
)
decoder_written_in

# %% [markdown]
# Under $q(z \mid x)$ the two brackets are divergences, and there it matters which law the mean is over: under
# the model's posterior, as D2 writes it, the brackets would be no divergences.

# %%
elbo = claim(
    "bound.elbo",
    "The evidence and its lower bound",
    Mean(
        log_p_x,
        log_p_x_given_z - kl_encoder_prior + kl_encoder_posterior,
        under=r"q(z \mid x)",
    ),
    given=[
        BAYES_FOR_Z,
        Eq(kl_encoder_prior, log_q_z_given_x - log_p_z),
        Eq(kl_encoder_posterior, log_q_z_given_x - log_p_z_given_x),
    ],
    proof=lambda value: [
        *WITH_ONE_LATENT.same_mean(log_p_x, value, "divergences by their definition"),
        equal(decoder_written_in.value, value, "each symbol read as its mean"),
    ],
    mutants=[
        mutant(
            "mean under the model's posterior",
            value=decoded_by_posterior - kl_encoder_prior + kl_encoder_posterior,
            seen="D2 line 71, E over z ~ p(z|x)",
        ),
        mutant(
            "divergence from the prior added",
            value=log_p_x_given_z + kl_encoder_prior + kl_encoder_posterior,
        ),
        mutant("divergences exchanged", value=log_p_x_given_z - kl_encoder_posterior + kl_encoder_prior),
        mutant("the last term dropped, yet an equality", value=log_p_x_given_z - kl_encoder_prior),
    ],
    sources=["D2:71", "D5:55", "D5:79"],
    assumes=["the mean of a sum is the sum of the means, which are finite"],
    remark="Without the divergence from the model's posterior, which is not negative, the right-hand side is "
    "the lower bound (ELBO).",
)
elbo

# %% [markdown]
# ## Chains
#
# A diffusion model has $T$ latents. Its forward process is a Markov chain: given the present, the step to the
# next state does not depend on the past. The rule $P(A, B) = P(A)\, P(B \mid A)$ then makes the law of all
# latents a product over the steps, latent by latent.

# %%
FORWARD_SUM = Eq(log_q_steps_t, log_q_steps_prev + log_q_step_t)
FORWARD_MARKOV = Eq(log_q_step_history_t, log_q_step_t)


def forward_by_induction(value: Expr) -> list[Obligation]:
    return [
        *ON_CHAINS.same_mean(log_q_latents, value, "law of the latents"),
        *ON_CHAINS.same_mean(log_q_step_history_t, log_q_step_t, "Markov property"),
        *induction(
            value,
            lambda previous: previous + log_q_step_history_t,
            start={log_q_steps_t: 0},
            first=0,
            previous={log_q_steps_t: log_q_steps_prev},
            name="law of the latents",
        ),
    ]


forward_chain = claim(
    "bound.forward-chain",
    "The forward process as a product of its steps",
    Equation(log_q_latents, log_q_steps_t),
    given=[FORWARD_SUM, FORWARD_MARKOV],
    proof=forward_by_induction,
    mutants=[
        mutant(
            "the law of the first latent over that of the data",
            value=log_q_first - log_q_x0,
            seen="D2 line 29, as printed",
        ),
        mutant("the data's law included", value=log_q_x0 + log_q_steps_t),
        mutant("mean field: the latents independent given the image", value=log_q_marginals_t),
        mutant("the last step forgotten", value=log_q_steps_prev),
    ],
    sources=["Ho2020 (2)", "D1:51", "D2:27", "D2:29", "D3:65", "D3:175", "D4:90", "D5:61", "D5:69"],
    assumes=["induction over the natural numbers", "P(A, B) = P(A) P(B | A)"],
    remark="A Bayesian network whose graph is a path; the hypotheses are the Markov property and the sum.",
)
forward_chain

# %% [markdown]
# The reverse process is a chain of the same shape, started at $x_T$. Here the induction adds a state at the
# other end: the chain from $x_T$ down to $x_1$ gets $x_0$.

# %%
REVERSE_SUM = Eq(log_p_steps_t, log_p_rest_t + log_p_first)
REVERSE_MARKOV = Eq(log_p_first_history, log_p_first)


def reverse_by_induction(value: Expr) -> list[Obligation]:
    return [
        *ON_CHAINS.same_mean(log_p_joint, value, "law of the path"),
        *ON_CHAINS.same_mean(log_p_first_history, log_p_first, "Markov property"),
        *induction(
            value,
            lambda previous: previous + log_p_first_history,
            start={log_p_steps_t: 0},
            first=log_prior,
            previous={log_p_steps_t: log_p_rest_t},
            name="law of the path",
        ),
    ]


reverse_chain = claim(
    "bound.reverse-chain",
    "The model as a product of its steps",
    Equation(log_p_joint, log_prior + log_p_steps_t),
    given=[REVERSE_SUM, REVERSE_MARKOV],
    proof=reverse_by_induction,
    mutants=[
        mutant("the prior forgotten", value=log_p_steps_t),
        mutant("the first step forgotten", value=log_prior + log_p_rest_t),
        mutant("the prior divided out", value=log_p_steps_t - log_prior),
    ],
    sources=["Ho2020 (1)", "D2:57", "D2:59", "D3:150", "D5:61", "D5:69", "D5:77"],
    assumes=["induction over the natural numbers", "P(A, B) = P(A) P(B | A)"],
)
reverse_chain

# %% [markdown]
# Each of its steps is a Gaussian around a mean that the network computes *from $x_t$*. It is random: a step
# without noise would be another model.


# %%
def is_noise_around_the_mean(mean: Expr, variance: Expr) -> list[Obligation]:
    drawn = mu_theta + sigma_t * z
    off = drawn - mean.xreplace({x_prev: drawn})
    return [
        equal(E(off), 0, "drawn around the mean"),
        equal(E(sqnorm(off)), d * variance, "mean square over d coordinates"),
    ]


reverse_step = claim(
    "bound.reverse-step",
    "The reverse step",
    Law(r"p_{\theta}(x_{t-1} \mid x_{t})", x_prev, mu_theta, sigma_t**2),
    definition=True,
    proof=is_noise_around_the_mean,
    mutants=[
        mutant(
            "the mean a function of what is drawn: μ_θ(x_{t-1}), here the identity",
            mean=x_prev,
            seen="D2 line 63, as printed",
        ),
        mutant("no noise", variance=Integer(0), seen="D5 line 49, 'deterministic'"),
        mutant("deviation for variance", variance=sigma_t),
    ],
    sources=["Ho2020 (1)", "D2:21", "D2:63", "D2:111", "D3:154", "D3:256", "D5:49", "D5:77", "D5:189"],
    remark="μ_θ stands for μ_θ(x_t, t).",
)
reverse_step

# %% [markdown]
# That the variational law is a chain and not a product of its marginals is what "no mean field" means: given
# the image, neighbouring states are correlated.

# %%
earlier = marginal.mean.xreplace({alpha_bar_t: alpha_bar_prev}) + sqrt(1 - alpha_bar_prev) * eps_prev
later = step.value.xreplace({x_prev: earlier})
later

# %%
not_mean_field = claim(
    "bound.not-mean-field",
    "Neighbouring latents are correlated",
    Equation(
        r"\tfrac{1}{d} \operatorname{Cov}(x_{t-1}, x_{t} \mid x_{0})", sqrt(alpha_t) * (1 - alpha_bar_prev)
    ),
    given=AFTER_THE_FIRST_STEP,
    proof=lambda value: [
        equal(E(later - marginal.mean), 0, "mean of the later state"),
        equal(
            E(inner(earlier - marginal.mean.xreplace({alpha_bar_t: alpha_bar_prev}), later - marginal.mean)),
            d * value,
            "mean of the product",
        ),
        less(0, value**2, "not independent"),
    ],
    mutants=[
        mutant("mean field", value=Integer(0)),
        mutant("root forgotten", value=alpha_t * (1 - alpha_bar_prev)),
        mutant("the later variance", value=sqrt(alpha_t) * (1 - alpha_bar_t)),
    ],
    uses=[step],
    sources=["D5:81"],
    remark="For t ≥ 2. At t = 1 the earlier state is the image itself, which has no variance.",
)
not_mean_field

# %% [markdown]
# ## The bound
#
# The first line is Bayes' rule for the whole chain. The law of the latents under $q$ may be multiplied in and
# divided out, which changes nothing, as above.

# %%
BAYES = Eq(log_p_latents, log_p_joint - log_p_x0)

likelihood = claim(
    "bound.bayes",
    "The likelihood by Bayes' rule",
    Mean(r"\mathbb{E}_{q}\left[-\log p_{\theta}(x_{0})\right]", -log_p_joint + log_p_latents),
    given=[BAYES],
    proof=lambda value: [
        *ON_CHAINS.same_mean(-log_p_x0, value, "likelihood as a sum over paths"),
        equal(-log_p_x0, value, "on every path"),
    ],
    mutants=[
        mutant("q for the model's posterior, yet an equality", value=-log_p_joint + log_q_latents),
        mutant("the posterior multiplied", value=-log_p_joint - log_p_latents),
        mutant("the joint for the likelihood", value=-log_p_joint),
    ],
    sources=["D2:83", "D3:146", "D3:166", "D3:172", "D3:178"],
    assumes=["Bayes' rule for densities"],
    remark="Lines 1 and 2 of D2:83. On a finite chain p(x_0) is computed as the sum over all latents, its "
    "definition.",
)
likelihood

# %% [markdown]
# With $q$ in place of the model's posterior an error is made, and the error is a divergence.

# %%
gap = claim(
    "bound.gap",
    "Likelihood, bound and gap",
    Mean(
        r"\mathbb{E}_{q}\left[-\log p_{\theta}(x_{0})\right]",
        -log_p_joint + log_q_latents - kl_latents,
    ),
    given=[BAYES, Eq(kl_latents, log_q_latents - log_p_latents)],
    proof=lambda value: [
        *ON_CHAINS.same_mean(-log_p_x0, value, "divergence by its definition"),
        equal(likelihood.value, value, "each symbol read as its mean"),
    ],
    mutants=[
        mutant("added", value=-log_p_joint + log_q_latents + kl_latents),
        mutant("turned round", value=-log_p_joint + log_q_latents - kl_latents_turned),
        mutant(
            "no gap, as if the two posteriors were one",
            value=-log_p_joint + log_q_latents,
            seen="D5 line 85, which asks whether they are the same",
        ),
    ],
    sources=["D2:83", "D3:178", "D3:181", "D5:85"],
    assumes=["the mean of a sum is the sum of the means, which are finite"],
    remark="Line 3 of D2:83.",
)
gap

# %% [markdown]
# The gap is not negative, since $-\log r \geq 1 - r$: the logarithm lies below its tangent at one. With
# $r = p_\theta(x_{1:T} \mid x_0) / q(x_{1:T} \mid x_0)$ the right-hand side has mean zero.


# %%
def by_the_tangent(relation: Relational) -> list[Obligation]:
    on_equality = {log_p_joint: log_p_x0 + log_q_latents}
    return [
        *ON_CHAINS.same_mean(Integer(1), posterior_ratio, "r has mean one"),
        equal(relation.gts - relation.lts, log_q_latents - log_p_latents, "what is given away: -log r"),
        *tangent(
            Le(log(posterior_ratio), posterior_ratio - 1), posterior_ratio, at=Integer(1), name="tangent"
        ),
        holds(
            relation.func(*(side.xreplace(on_equality) for side in relation.args), evaluate=False),
            "where the two posteriors agree",
        ),
    ]


upper_bound = claim(
    "bound.upper-bound",
    "The bound",
    MeanHolds(Le(-log_p_x0, -log_p_joint + log_q_latents)),
    given=[BAYES],
    proof=by_the_tangent,
    mutants=[
        mutant(
            "a lower bound",
            relation=Ge(-log_p_x0, -log_p_joint + log_q_latents),
            seen="D3 line 163, 'upper(lower)', read as the second",
        ),
        mutant(
            "always strict",
            relation=Lt(-log_p_x0, -log_p_joint + log_q_latents),
            seen="D3 line 181, 'a positive value'",
        ),
        mutant("sign of the likelihood", relation=Le(log_p_x0, -log_p_joint + log_q_latents)),
    ],
    uses=[gap],
    sources=["Ho2020 (3)", "D1:82", "D2:75", "D2:83", "D3:163", "D3:181", "D3:184", "D5:55", "D5:173"],
    assumes=[
        "a law has total mass one, so that r has mean one (at most one, where q > 0)",
        "the mean value theorem; a mean keeps inequalities",
    ],
    remark="An upper bound of the negative logarithm is a lower bound of the logarithm: minimising the one "
    "is maximising the other. It is not quite maximum likelihood: the gap depends on θ too.",
)
upper_bound

# %% [markdown]
# ## For chains, a sum over steps
#
# From here on every line is an equality, and every line is $L$. What $L$ gains from one more latent is known:
# one reverse step, one forward step. So a line is proved by showing that it gains the same (the prior's term,
# always that of the last latent, stands aside) and that it starts with the same.

# %%
L_SO_FAR = -log_p_joint + log_q_latents
SUM = Eq(ratio_sum_t, ratio_sum_prev + log_p_step_t - log_q_step_t)


def one_more_latent(previous: Expr) -> Expr:
    return previous - log_p_step_t + log_q_step_t


sum_form = claim(
    "bound.sum",
    "The bound as a sum over the steps",
    Mean("L", -log_prior - ratio_sum_t),
    given=[SUM],
    proof=lambda value: [
        *ON_CHAINS.same_mean(L_SO_FAR, value, "the bound"),
        *induction(
            value + log_prior,
            one_more_latent,
            start={ratio_sum_t: 0},
            first=0,
            previous={ratio_sum_t: ratio_sum_prev},
            name="sum",
        ),
        equal(
            -reverse_chain.value + forward_chain.value,
            -log_prior - log_p_steps_t + log_q_steps_t,
            "the two products",
        ),
    ],
    mutants=[
        mutant(
            "both processes run the wrong way, one step short",
            value=-log_prior - upward_sum,
            seen="D2 line 83, fifth line, as printed",
        ),
        mutant("one step short", value=-log_prior - ratio_sum_prev, seen="D2 line 83, t + 1 read as t - 1"),
        mutant("the prior forgotten", value=-ratio_sum_t),
        mutant("ratios upside down", value=-log_prior + ratio_sum_t),
    ],
    sources=["Ho2020 (3), (17), (18)", "D2:83", "D3:187", "D3:190", "D3:194"],
    assumes=["induction over the natural numbers"],
)
sum_form

# %% [markdown]
# The first step is set apart. From here on the induction begins with one latent.


# %%
REST = Eq(ratio_rest_t, ratio_rest_prev + log_p_step_t - log_q_step_t)

first_apart = claim(
    "bound.first-apart",
    "The first step set apart",
    Mean("L", -log_prior - ratio_rest_t - (log_p_first - log_q_first)),
    given=[SUM, REST],
    proof=lambda value: [
        *ON_CHAINS.same_mean(L_SO_FAR, value, "the bound"),
        *induction_from_one(
            value + log_prior,
            one_more_latent,
            start={ratio_rest_t: 0},
            first=(sum_form.value + log_prior).subs(ratio_sum_t, log_p_first - log_q_first),
            previous={ratio_rest_t: ratio_rest_prev},
            name="first step apart",
        ),
    ],
    mutants=[
        mutant(
            "both processes run the wrong way, one step short",
            value=-log_prior - upward_rest - (log_p_first - log_q_first),
            seen="D2 line 83, sixth and eighth line, as printed",
        ),
        mutant(
            "one step short",
            value=-log_prior - ratio_rest_prev - (log_p_first - log_q_first),
            seen="D2 line 83, t + 1 read as t - 1",
        ),
        mutant("the first step counted twice", value=-log_prior - ratio_sum_t - (log_p_first - log_q_first)),
        mutant("its forward half dropped", value=-log_prior - ratio_rest_t - log_p_first),
    ],
    sources=["Ho2020 (19)", "D2:83", "D3:200"],
    assumes=["induction over the natural numbers"],
)
first_apart

# %% [markdown]
# ## Turning the forward steps round
#
# Given the image, the law of a pair of neighbours can be written from either end. This is the one place where
# conditioning on $x_0$ enters, and it is what makes the reverse step comparable with a known law. For the
# Gaussian process it is the posterior of the chapter before, normalisers included.


# %%
def pair_from_either_end(value: Expr) -> list[Obligation]:
    gaussian = {
        log_q_posterior_t: log_normal(x_prev, posterior.mean, posterior.variance),
        log_q_marginal_t: log_evidence,
        log_q_marginal_prev: log_earlier,
    }
    return [
        *ON_CHAINS.same_mean(log_q_step_t, value, "for finite chains"),
        equal(log_q_marginal_prev + value, log_q_marginal_t + log_q_posterior_t, "the pair, from either end"),
        equal(log_step, value.xreplace(gaussian), "for the Gaussian process", given=AFTER_THE_FIRST_STEP),
    ]


turned = claim(
    "bound.turned-step",
    "A forward step, turned round",
    Equation(log_q_step_t, log_q_posterior_t + log_q_marginal_t - log_q_marginal_prev),
    proof=pair_from_either_end,
    mutants=[
        mutant(
            "x_0 forgotten in the posterior",
            value=log_q_reverse_t + log_q_marginal_t - log_q_marginal_prev,
            seen="D2 lines 95 and 97",
        ),
        mutant(
            "the posterior of x given itself, which is one",
            value=log_q_marginal_t - log_q_marginal_prev,
            seen="D2 line 95, as printed",
        ),
        mutant("marginals exchanged", value=log_q_posterior_t - log_q_marginal_t + log_q_marginal_prev),
        mutant("marginals forgotten", value=log_q_posterior_t),
    ],
    uses=[density, kernel, marginal, posterior],
    sources=["Ho2020 (20)", "D2:95", "D2:97", "D3:240", "D5:181"],
    assumes=["Bayes' rule for densities, and the Markov property: q(x_t | x_{t-1}, x_0) = q(x_t | x_{t-1})"],
)
turned

# %%
TURNED = Eq(log_q_step_t, turned.value)
BAYES_REST = Eq(
    bayes_rest_t,
    bayes_rest_prev + log_p_step_t - log_q_posterior_t + log_q_marginal_prev - log_q_marginal_t,
)

turned_sum = claim(
    "bound.turned-sum",
    "The bound with every forward step turned round",
    Mean("L", -log_prior - bayes_rest_t - (log_p_first - log_q_first)),
    given=[TURNED, BAYES_REST],
    proof=lambda value: [
        *ON_CHAINS.same_mean(L_SO_FAR, value, "the bound"),
        *induction_from_one(
            value + log_prior,
            one_more_latent,
            start={bayes_rest_t: 0},
            first=-log_p_first + log_q_first,
            previous={bayes_rest_t: bayes_rest_prev},
            name="turned steps",
        ),
    ],
    mutants=[
        mutant(
            "marginals multiplied in, and q(x_t | x_{t-1}) kept",
            value=-log_prior - half_bayes_rest_t - (log_p_first - log_q_first),
            seen="D2 line 83, seventh line, t + 1 read as t - 1",
        ),
        mutant(
            "both processes run the wrong way, one step short",
            value=-log_prior - upward_bayes_rest - (log_p_first - log_q_first),
            seen="D2 line 83, seventh line, as printed",
        ),
        mutant("one step short", value=-log_prior - bayes_rest_prev - (log_p_first - log_q_first)),
    ],
    uses=[first_apart, turned],
    sources=["Ho2020 (20)", "D2:83"],
    assumes=["induction over the natural numbers"],
)
turned_sum

# %% [markdown]
# The quotients of the marginals telescope.

# %%
telescope = claim(
    "bound.telescope",
    "The marginals telescope",
    Equation(marginal_rest_t, log_q_marginal_t - log_q_first),
    proof=lambda value: [
        *ON_CHAINS.same_mean(marginal_rest_t, value, "marginals"),
        *induction_from_one(
            value,
            lambda previous: previous + log_q_marginal_t - log_q_marginal_prev,
            start={log_q_marginal_t: log_q_first},
            first=0,
            previous={log_q_marginal_t: log_q_marginal_prev},
            name="marginals",
        ),
    ],
    mutants=[
        mutant("the first forgotten", value=log_q_marginal_t),
        mutant("the other way round", value=log_q_first - log_q_marginal_t),
        mutant("all cancels", value=Integer(0), seen="D2 line 83, where q(x_T | x_0) is lost"),
    ],
    sources=["Ho2020 (20), (21)", "D2:83"],
    assumes=["induction over the natural numbers"],
)
telescope

# %% [markdown]
# So $q(x_1 \mid x_0)$ cancels and $q(x_T \mid x_0)$ goes under the prior.

# %%
MATCHED = Eq(matched_rest_t, matched_rest_prev + log_p_step_t - log_q_posterior_t)


def matched_by_induction(value: Expr) -> list[Obligation]:
    return [
        *ON_CHAINS.same_mean(L_SO_FAR, value, "the bound"),
        *induction_from_one(
            value + log_prior,
            one_more_latent,
            start={matched_rest_t: 0, log_q_marginal_t: log_q_first},
            first=-log_p_first + log_q_first,
            previous={matched_rest_t: matched_rest_prev, log_q_marginal_t: log_q_marginal_prev},
            name="matched steps",
        ),
        equal(
            turned_sum.value.xreplace({bayes_rest_t: matched_rest_t - telescope.value}),
            value,
            "the turned sum, telescoped",
        ),
    ]


decomposition = claim(
    "bound.decomposition",
    "The bound, step matched with step",
    Mean("L", -(log_prior - log_q_marginal_t) - matched_rest_t - log_p_first),
    given=[TURNED, MATCHED],
    proof=matched_by_induction,
    mutants=[
        mutant(
            "q(x_T | x_0) lost",
            value=-log_prior - matched_rest_t - log_p_first,
            seen="D2 line 83, ninth to eleventh line",
        ),
        mutant(
            "the sum as before, and one step short",
            value=-log_prior - upward_sum - log_p_first,
            seen="D2 line 83, ninth to eleventh line, as printed",
        ),
        mutant(
            "q(x_t | x_0) at a t that is not T, here T - 1",
            value=-(log_prior - log_q_marginal_prev) - matched_rest_t - log_p_first,
            seen="D3 line 204, as printed",
        ),
        mutant(
            "q(x_1 | x_0) kept",
            value=-(log_prior - log_q_marginal_t) - matched_rest_t - (log_p_first - log_q_first),
        ),
        mutant(
            "forward steps not turned", value=-(log_prior - log_q_marginal_t) - ratio_rest_t - log_p_first
        ),
    ],
    uses=[turned, turned_sum, telescope],
    sources=["Ho2020 (21)", "D2:83", "D3:204"],
    assumes=["induction over the natural numbers"],
)
decomposition

# %% [markdown]
# ## One divergence per step
#
# Under the mean, a logarithm of a ratio becomes a divergence: fix $x_t$ and $x_0$, and average over $x_{t-1}$
# first. Three kinds of terms are left, $L_T$, the $L_{t-1}$ and $L_0$.

# %%
terms = claim(
    "bound.terms",
    "The bound, term by term",
    Mean("L", kl_prior + kl_rest_t - log_p_first),
    given=[Eq(kl_prior, log_q_marginal_t - log_prior), Eq(kl_rest_t, -matched_rest_t)],
    proof=lambda value: [
        *ON_CHAINS.same_mean(L_SO_FAR, value, "divergences by their definition"),
        equal(decomposition.value, value, "each symbol read as its mean"),
    ],
    mutants=[
        mutant(
            "forward steps compared, from t = 1 to T - 1",
            value=kl_prior + upward_kl_sum - log_p_first,
            seen="D2 line 83, last line, and line 90, as printed",
        ),
        mutant(
            "x_0 forgotten in the posterior",
            value=kl_prior + kl_rest_without_x0 - log_p_first,
            seen="D2 line 83, last line, and line 90, t + 1 read as t - 1",
        ),
        mutant("one step short", value=kl_prior + kl_rest_prev - log_p_first, seen="D2 line 83, last line"),
        mutant("divergences turned round", value=kl_prior + kl_rest_turned - log_p_first),
        mutant("sign of the last term", value=kl_prior + kl_rest_t + log_p_first),
    ],
    sources=[
        "Ho2020 (5), (22)",
        "D1:84",
        "D1:85",
        "D1:86",
        "D1:87",
        "D2:83",
        "D2:90",
        "D3:210",
    ],
    implemented_by=[
        "ddpm_ref.bound.bound",
        "ddpm_ref.bound.bound_terms",
        "ddpm_ref.objective.L_vlb",
        "ddpm_ref.exact.bound",
        "ddpm_ref.exact.ExactBound.total",
    ],
    assumes=["Fubini (the tower property), and that the divergences are finite"],
    remark="L_T, then L_1 to L_{T-1}, then L_0. The outer mean is over x_0 and the x_t that the divergences "
    "are given.",
)
terms

# %% [markdown]
# The documents say that the model is to approximate $q(x_{t-1} \mid x_t)$, which cannot be computed without
# knowing the data's law, and the bound compares it with $q(x_{t-1} \mid x_t, x_0)$, which can. There is no
# contradiction. The two divergences differ, in the mean, by a number in which $\theta$ does not occur: what
# $x_0$ still tells about $x_{t-1}$ once $x_t$ is known.

# %%
goal = claim(
    "bound.goal",
    "Approximating the posterior approximates the reverse step",
    Mean(
        r"\mathbb{E}_{q}\left["
        r"D_{\mathrm{KL}}(q(x_{T-1} \mid x_{T}, x_{0}) \Vert p_{\theta}(x_{T-1} \mid x_{T}))\right]",
        kl_reverse_t + kl_information_t,
    ),
    given=[
        Eq(kl_reverse_t, log_q_reverse_t - log_p_step_t),
        Eq(kl_information_t, log_q_posterior_t - log_q_reverse_t),
    ],
    proof=lambda value: [
        *ON_CHAINS.same_mean(kl_posterior_t, value, "divergences by their definition", at_least=2),
        equal(log_q_posterior_t - log_p_step_t, value, "each symbol read as its mean"),
    ],
    mutants=[
        mutant("the two the same", value=kl_reverse_t),
        mutant("subtracted", value=kl_reverse_t - kl_information_t),
        mutant("twice", value=kl_reverse_t + 2 * kl_information_t),
    ],
    uses=[terms],
    sources=["D1:80", "D1:81", "D3:133", "D3:136", "D3:238", "D3:240", "D5:165"],
    assumes=["Fubini (the tower property), and that the divergences are finite"],
    remark="Written for the last step; it is the same for every t ≥ 2.",
)
goal

# %% [markdown]
# For Gaussian data and their exact denoiser every term is known:
#
# <!-- picture bound -->

# %% [markdown]
# ## One latent again, and many
#
# With $T = 1$ nothing is left of the sum, and the bound is the autoencoder's, with $z = x_1$.

# %%
AS_AUTOENCODER = {log_prior: log_p_z, log_q_first: log_q_z_given_x, log_p_first: log_p_x_given_z}

one_latent = claim(
    "bound.one-latent",
    "One latent: the autoencoder's bound",
    Equation("L |_{T = 1}", -(log_p_x_given_z - (log_q_z_given_x - log_p_z))),
    given=[Eq(kl_encoder_prior, log_q_z_given_x - log_p_z)],
    proof=lambda value: [
        *WITH_ONE_LATENT.same_mean(-log_p_x + kl_encoder_posterior, value, "likelihood and gap"),
        equal(
            decomposition.value.subs({matched_rest_t: 0, log_q_marginal_t: log_q_first}).xreplace(
                AS_AUTOENCODER
            ),
            value,
            "the decomposition at T = 1",
        ),
        equal(elbo.value - kl_encoder_posterior, -value, "minus the evidence lower bound"),
    ],
    mutants=[
        mutant("the lower bound itself", value=log_p_x_given_z - (log_q_z_given_x - log_p_z)),
        mutant("the encoder forgotten", value=-log_p_x_given_z - log_p_z),
        mutant("the likelihood", value=-(log_p_x_given_z - (log_p_z_given_x - log_p_z))),
    ],
    uses=[elbo],
    sources=["D3:221", "D3:225", "D3:231"],
)
one_latent

# %% [markdown]
# Every further latent adds one divergence: $T - 1$ terms more than the autoencoder has.


# %%
def one_term_each(value: Expr) -> list[Obligation]:
    kl_of_last_step = log_q_posterior_t - log_p_step_t
    shorter = decomposition.value.xreplace(
        {matched_rest_t: matched_rest_prev, log_q_marginal_t: log_q_marginal_prev}
    )
    return [
        equal(
            decomposition.value - shorter,
            log_q_marginal_t - log_q_marginal_prev + kl_of_last_step,
            "one more latent: the prior's term moves on, and one term is added",
            given=(MATCHED,),
        ),
        equal(value.subs(T, 1), 0, "terms more, base case T = 1"),
        equal(value.subs(T, T + 1), value + 1, "terms more, step from T to T + 1"),
        *(
            equal(value.subs(T, chain.T), len(middle(chain.T)), f"terms of the chain with T = {chain.T}")
            for chain in CHAINS
        ),
    ]


many_latents = claim(
    "bound.latents",
    "How many terms more",
    Equation(r"\#\, \text{terms of } L - \#\, \text{terms of } L |_{T = 1}", T - 1),
    proof=one_term_each,
    mutants=[
        mutant("one for every latent", value=T + 0),
        mutant("one short", value=T - 2),
        mutant("two for every step", value=2 * (T - 1)),
    ],
    uses=[terms, one_latent],
    sources=["D3:221", "D3:225"],
    assumes=["induction over the natural numbers"],
)
many_latents

# %% [markdown]
# ## The term that is not trained
#
# In an autoencoder the divergence from the prior is trained, since the encoder is. Here the encoder is the
# forward process, and the term can be written down: no $\theta$ occurs in it.

# %%
prior_term = claim(
    "bound.prior-term",
    "The prior's term is free of θ",
    Equation(r"L_{T}", alpha_bar_t * sqnorm(x_0) / 2 - d * (alpha_bar_t + log(1 - alpha_bar_t)) / 2),
    given=[alpha_bar_t < 1],
    proof=lambda value: [
        equal(
            kl.value.xreplace(
                {
                    mu_1: marginal.mean,
                    sigma_1: sqrt(marginal.variance),
                    mu_2: Integer(0),
                    sigma_2: Integer(1),
                }
            ),
            value,
            "divergence of the diffusion kernel from N(0, I)",
        )
    ],
    mutants=[
        mutant(
            "dimension forgotten",
            value=alpha_bar_t * sqnorm(x_0) / 2 - (alpha_bar_t + log(1 - alpha_bar_t)) / 2,
        ),
        mutant(
            "ᾱ not in front of the image",
            value=sqnorm(x_0) / 2 - d * (alpha_bar_t + log(1 - alpha_bar_t)) / 2,
        ),
        mutant(
            "sign of the logarithm",
            value=alpha_bar_t * sqnorm(x_0) / 2 - d * (alpha_bar_t - log(1 - alpha_bar_t)) / 2,
        ),
        mutant("zero", value=Integer(0)),
    ],
    uses=[terms],
    sources=["Ho2020 §3.1", "D1:85", "D2:61", "D2:85", "D3:231"],
    implemented_by=["ddpm_ref.bound.prior_term"],
    remark="Read at t = T. It is small, for it goes to zero with ᾱ_T, and not zero.",
)
prior_term

# %% [markdown]
# ## Raising the bound raises the likelihood
#
# Expectation-maximisation climbs the bound $F(q, \theta)$ by turns: set $q$ to the model's posterior, which
# closes the gap; then raise $F$ in $\theta$. The likelihood cannot fall. In a diffusion model the first half
# is missing, because $q$ is fixed, and so is the guarantee: a better bound may come from a smaller gap.


# %%
def by_the_gap(relation: Relational) -> list[Obligation]:
    def evidence(bound: Expr, divergence: Expr) -> Expr:
        return elbo.value.xreplace(
            {log_p_x_given_z: bound + kl_encoder_prior, kl_encoder_posterior: divergence}
        )

    means = {log_p_old: evidence(bound_old, kl_old), log_p_new: evidence(bound_new, kl_new)}
    return [
        holds(
            relation.func(*(side.xreplace(means) for side in relation.args), evaluate=False),
            "evidence as bound plus gap, before and after",
        )
    ]


em = claim(
    "bound.em",
    "Expectation-maximisation does not lower the likelihood",
    Holds(Ge(log_p_new, log_p_old + gain)),
    given=[Eq(kl_old, 0), Eq(bound_new, bound_old + gain)],
    proof=by_the_gap,
    mutants=[
        mutant("it gains twice what the bound gains", relation=Ge(log_p_new, log_p_old + 2 * gain)),
        mutant("it gains what the bound gains, no more", relation=Le(log_p_new, log_p_old + gain)),
        mutant("always more than the bound", relation=Gt(log_p_new, log_p_old + gain)),
    ],
    uses=[elbo],
    sources=["D5:53", "D5:55", "D5:79"],
    assumes=["a divergence is not negative, and is zero for equal laws"],
    remark="Hypotheses: the gap is closed first, and the bound then gains ΔF ≥ 0. What the likelihood gains "
    "besides is the new gap.",
)
em

# %% [markdown]
# ## Without the first half
#
# That the guarantee is lost needs an example. Take $q$ fixed, not the posterior: the bound can rise by
# exactly what the gap shrinks, and the likelihood then stays where it was.

# %%
fixed_q = claim(
    "bound.fixed-q",
    "With q fixed, the likelihood gains what the bound gains, less what the gap loses",
    Equation(r"\log p_{\theta'}(x) - \log p_{\theta}(x)", gain - (kl_old - kl_new)),
    given=[Eq(bound_new, bound_old + gain)],
    proof=lambda value: [
        equal(
            (
                elbo.value.xreplace(
                    {log_p_x_given_z: bound_new + kl_encoder_prior, kl_encoder_posterior: kl_new}
                )
            )
            - elbo.value.xreplace(
                {log_p_x_given_z: bound_old + kl_encoder_prior, kl_encoder_posterior: kl_old}
            ),
            value,
            "evidence after less evidence before",
        ),
        equal(value.xreplace({kl_old: gain + kl_new}), 0, "a gain that is all gap"),
    ],
    mutants=[
        mutant("what the bound gains", value=gain),
        mutant("gap added", value=gain + (kl_old - kl_new)),
        mutant("the new gap alone", value=gain + kl_new),
    ],
    uses=[elbo],
    sources=["D1:82", "D5:53", "D5:173"],
)
fixed_q

# %% [markdown]
# ## The model read forwards
#
# A model that is Gaussian from $x_t$ to $x_{t-1}$ need not be so the other way, and where it is, mean and
# variance are others. Take a linear mean $\mu_\theta = a\, x_t$ and $x_t \sim \mathcal{N}(0, I)$; Bayes' rule
# gives the law of $x_t$ given $x_{t-1}$.


# %%
def by_bayes_rule(mean: Expr, variance: Expr) -> list[Obligation]:
    joint = log_normal(x_prev, scale * x_t, sigma_t**2) + log_normal(x_t, 0 * x_t, Integer(1))
    evidence = gaussian_integral(joint, x_t, "reverse step times law of x_t")
    return [
        *evidence.obligations,
        equal(joint - evidence.log_value, log_normal(x_t, mean, variance), "Bayes' rule"),
    ]


read_forwards = claim(
    "bound.model-read-forwards",
    "A linear model, read forwards",
    Law(
        r"p_{\theta}(x_{t} \mid x_{t-1})",
        x_t,
        scale / (scale**2 + sigma_t**2) * x_prev,
        sigma_t**2 / (scale**2 + sigma_t**2),
    ),
    proof=by_bayes_rule,
    mutants=[
        mutant(
            "as if it were the reverse step",
            mean=scale * x_prev,
            variance=sigma_t**2,
            seen="D2 line 111, x_{t+1} for x_{t-1}",
        ),
        mutant("the same mean", mean=scale * x_prev),
        mutant("the same variance", variance=sigma_t**2),
    ],
    uses=[density, reverse_step],
    sources=["D2:111"],
    assumes=["Bayes' rule for densities"],
    remark=r"For $p_{\theta}(x_{t-1} \mid x_{t}) = \mathcal{N}(a x_{t}, \sigma_{t}^{2} I)$ and "
    r"$p_{\theta}(x_{t}) = \mathcal{N}(0, I)$.",
)
read_forwards

# %% [markdown]
# ## What this chapter assumed
#
# Bayes' rule and Fubini's theorem for densities that are positive; that means are linear and keep
# inequalities, and that the divergences are finite; induction over the natural numbers; the mean value
# theorem, for the tangent of the logarithm.
