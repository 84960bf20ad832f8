# %% [markdown]
# # Divergences
#
# Training compares two laws: that of the data and that of the model. This chapter proves what the usual
# comparisons say and what they do not: cross-entropy and the Kullback-Leibler divergence, why minimising
# either is maximum likelihood, the Jensen-Shannon divergence, and which of them is a distance (none). It ends
# with laws that do not overlap, where both divergences stop telling near from far, and with the remedy that
# diffusion models build on: noise.
#
# Logarithms are natural, so everything is in nats. A law on a finite alphabet gives the letter $i$ the
# probability $p_i > 0$; $0 \log 0$ counts as zero. Each quantity is a sum over letters, and what is proved
# of the summand holds for every alphabet, and for densities under the integral. To refute a wrong version one
# alphabet is enough, so each sum is also written out on two letters, of probabilities $p$ and $\bar p = 1 -
# p$.

# %%
from collections.abc import Sequence

from sympy import Add, Eq, Expr, Ge, Gt, Integer, Le, Lt, Rational, diff, exp, log

from derivations.gaussians import density, log_normal, mgf, moments
from derivations.parameterization import kl as gaussian_kl
from derivations.proof.certificates import gaussian_integral
from derivations.proof.claims import Equation, Holds, claim, mutant
from derivations.proof.inequalities import applied, combination, numbers, squares, tangent
from derivations.proof.obligations import Obligation, equal, less
from derivations.proof.symbols import (
    E,
    bound,
    d,
    distance,
    draws,
    heads,
    inner,
    kl_sum,
    letters,
    m_1,
    m_2,
    mu_1,
    mu_2,
    next_from_0,
    next_from_1,
    p,
    p_before,
    p_i,
    p_rest,
    p_second,
    p_sum,
    q,
    q_before,
    q_i,
    q_other,
    q_rest,
    q_second,
    q_second_rest,
    q_sum,
    radius,
    rate,
    share,
    shift,
    sigma,
    sigma_1,
    sigma_2,
    sqnorm,
    start_1,
    step_from_0,
    step_from_1,
    tails,
    tolerance,
    x,
    z,
)

LETTER = (p_i < 1, q_i < 1)
WITHIN = (p < 1, q < 1)
TWO_LETTERS = (*WITHIN, Eq(p_rest, 1 - p), Eq(q_rest, 1 - q))


def at(summand: Expr, first: object, second: object) -> Expr:
    """A letter's summand, for given probabilities under p and under q."""
    return summand.subs({p_i: first, q_i: second}, simultaneous=True)


def two_letters(summand: Expr) -> Expr:
    """The sum over an alphabet of two letters."""
    return at(summand, p, q).subs(q_other, q_second) + at(summand, p_rest, q_rest).subs(
        q_other, q_second_rest
    )


def written_out(total: Expr) -> Expr:
    """The same with 1 - p and 1 - q for the second letter."""
    return total.xreplace({p_rest: 1 - p, q_rest: 1 - q})


# %% [markdown]
# ## Probability and likelihood
#
# $P(x \mid \theta)$ has two arguments. With $\theta$ fixed it is a law of $x$: one of $n$ equally likely
# numbers has probability $1/n$, and all of them together have probability one.

# %%
probability = claim(
    "divergences.probability",
    "A probability: the law is fixed, the outcome varies",
    Equation(r"P(1 \mid n) = \dots = P(n \mid n)", 1 / letters),
    proof=lambda value: [equal(letters * value, 1, "n equal shares of one")],
    mutants=[
        mutant("one outcome too many", value=1 / (letters + 1)),
        mutant("certain", value=Integer(1)),
    ],
    sources=["D1:42", "D1:43"],
)
probability

# %% [markdown]
# With $x$ fixed it is a function of $\theta$, the likelihood, and nothing makes it sum to one. D1's own
# example: a 2 was seen; the numbers may have been 1 to 5, 1 to 10, or 4 to 50.

# %%
likelihood = claim(
    "divergences.likelihood",
    "A likelihood: the outcome is fixed, and the sum over laws is not one",
    Equation(r"L(1..5 \mid 2) + L(1..10 \mid 2) + L(4..50 \mid 2)", Rational(3, 10)),
    proof=lambda value: [
        equal(
            probability.value.subs(letters, 5) + probability.value.subs(letters, 10) + 0,
            value,
            "one fifth, one tenth, and a 2 is not among 4 to 50",
        )
    ],
    mutants=[
        mutant("a law of θ: the sum is one", value=Integer(1)),
        mutant("a 2 among 4 to 50", value=Rational(3, 10) + Rational(1, 47)),
    ],
    sources=["D1:41", "D1:44", "D1:45"],
    remark="A likelihood ranks laws. To be a law of θ it needs a prior and a normaliser, which is "
    "Bayes' rule.",
)
likelihood

# %% [markdown]
# A kind of law may be assumed and its parameter sought. For a coin that fell heads $h$ times and tails $k$
# times, the likelihood $s^h (1-s)^k$ is largest at the observed frequency: the logarithm rises up to there
# and falls from there on.

# %%
frequency_of_heads = heads / (heads + tails)


def log_likelihood(chance: Expr) -> Expr:
    """Of h heads and k tails."""
    return heads * log(chance) + tails * log(1 - chance)


coin = claim(
    "divergences.maximum-likelihood-coin",
    "The likelihood is largest at the observed frequency",
    Holds(Le(log_likelihood(share), log_likelihood(frequency_of_heads), evaluate=False)),
    given=[share < 1],
    proof=lambda relation: tangent(
        relation, share, at=frequency_of_heads, upper=1, name="log-likelihood", given=(share < 1,)
    ),
    mutants=[
        mutant(
            "one head and one tail imagined",
            relation=Le(
                log_likelihood(share), log_likelihood((heads + 1) / (heads + tails + 2)), evaluate=False
            ),
        ),
        mutant(
            "at one half", relation=Le(log_likelihood(share), log_likelihood(Rational(1, 2)), evaluate=False)
        ),
        mutant(
            "strictly smaller everywhere",
            relation=Lt(log_likelihood(share), log_likelihood(frequency_of_heads), evaluate=False),
        ),
    ],
    sources=["D1:46", "D1:82", "D5:173"],
    assumes=["mean value theorem"],
)
coin

# %% [markdown]
# ## The Markov property
#
# A process is Markov if the next state, given the present one, does not depend on the states before. Build a
# law on three binary states as a chain: $\pi = P[s_1 = 1]$, then $a_{s_1} = P[s_2 = 1 \mid s_1]$, then
# $b_{s_2} = P[s_3 = 1 \mid s_2]$. Both conditional laws are quotients of sums of the joint law, and agree.


# %%
def joint(s_1: int, s_2: int, s_3: int) -> Expr:
    """P[s_1, s_2, s_3] of the chain."""
    chance_1 = start_1
    chance_2 = step_from_1 if s_1 else step_from_0
    chance_3 = next_from_1 if s_2 else next_from_0
    chances = zip((chance_1, chance_2, chance_3), (s_1, s_2, s_3), strict=True)
    product = Integer(1)
    for chance, state in chances:
        product *= chance if state else 1 - chance
    return product


def conditional(pairs: Sequence[tuple[int, int]]) -> Expr:
    """P[s_3 = 1 | (s_1, s_2) is among the pairs]."""
    return Add(*(joint(*pair, 1) for pair in pairs)) / Add(
        *(joint(*pair, last) for pair in pairs for last in (0, 1))
    )


def both_conditionals(value: Expr) -> list[Obligation]:
    return [
        equal(conditional([(1, 1)]), value, "given s_2 = 1 and s_1 = 1"),
        equal(conditional([(0, 1)]), value, "given s_2 = 1 and s_1 = 0"),
        equal(conditional([(0, 1), (1, 1)]), value, "given s_2 = 1 alone"),
    ]


arrives = start_1 * step_from_1 + (1 - start_1) * step_from_0

markov = claim(
    "divergences.markov",
    "The Markov property",
    Equation(r"P[s_{3} = 1 \mid s_{2} = 1] = P[s_{3} = 1 \mid s_{1}, s_{2} = 1]", next_from_1),
    given=[start_1 < 1, step_from_0 < 1, step_from_1 < 1, next_from_0 < 1, next_from_1 < 1],
    proof=both_conditionals,
    mutants=[
        mutant("no memory of the present either", value=arrives * next_from_1 + (1 - arrives) * next_from_0),
        mutant("the present exchanged", value=next_from_0),
        mutant("the step before", value=step_from_1),
    ],
    sources=["D1:50", "D1:51", "D2:27", "D3:43", "D3:46", "D3:49"],
    remark="'Memoryless' means: without memory of how the present state was reached. The present itself is "
    "remembered, and without the present the past does matter.",
)
markov

# %% [markdown]
# ## Entropy
#
# Cross-entropy is the mean of $-\log q$ under $p$. What the logarithm is for: if two letters are drawn
# independently, cross-entropies add.


# %%
def adds_up(value: Expr) -> list[Obligation]:
    return [
        equal(
            at(value, p_i * p_second, q_i * q_second),
            p_second * value + p_i * at(value, p_second, q_second),
            "a pair of independent letters: summed over both, they add",
        ),
        equal(letters * at(value, 1 / letters, 1 / letters), log(letters), "n equally likely letters"),
    ]


cross_entropy = claim(
    "divergences.cross-entropy",
    "Cross-entropy",
    Equation(r"H(p, q) = \sum_{i} h_{i}, \qquad h_{i}", -p_i * log(q_i)),
    definition=True,
    given=[*LETTER, p_second < 1, q_second < 1],
    proof=adds_up,
    mutants=[
        mutant("sign", value=p_i * log(q_i)),
        mutant("logarithm of the product", value=-log(p_i * q_i)),
        mutant("logarithm forgotten", value=-p_i * q_i),
        mutant("mean under the uniform law", value=-log(q_i)),
    ],
    sources=["D1:55", "D1:56"],
    remark="The first argument takes the mean. Usually p is the data and q the model.",
)
cross_entropy

# %%
entropy = claim(
    "divergences.entropy",
    "Entropy",
    Equation(r"H(p) = \sum_{i} h_{i}, \qquad h_{i}", -p_i * log(p_i)),
    given=TWO_LETTERS,
    proof=lambda value: [
        equal(
            two_letters(cross_entropy.value).xreplace({q: p, q_rest: p_rest}),
            two_letters(value),
            "H(p, p) on two letters",
        ),
        equal(at(cross_entropy.value, p_i, p_i), value, "letter by letter"),
    ],
    mutants=[
        mutant("sign", value=p_i * log(p_i)),
        mutant("not weighted", value=-log(p_i)),
        mutant("of the model", value=-q_i * log(q_i)),
    ],
    sources=["D1:57"],
    remark="It does not contain q: constant in the model's parameters, though not from one law p to another.",
)
entropy

# %% [markdown]
# $-\log s$ is positive for a share $s < 1$, and so is entropy.

# %%
surprise = claim(
    "divergences.surprise",
    "The surprise of a share is positive",
    Holds(Gt(-log(share), 0, evaluate=False)),
    given=[share < 1],
    proof=lambda relation: tangent(
        relation, share, at=Integer(1), sides="below", name="surprise", given=(share < 1,)
    ),
    mutants=[
        mutant("logarithm of a share is positive", relation=Gt(log(share), 0, evaluate=False)),
        mutant("above one", relation=Gt(-log(share), 1, evaluate=False)),
    ],
    assumes=["mean value theorem"],
    sources=["D1:57"],
)
surprise

# %% [markdown]
# ## The Kullback-Leibler divergence

# %%
kl = claim(
    "divergences.kl",
    "The Kullback-Leibler divergence",
    Equation(r"D_{\mathrm{KL}}(p \,\Vert\, q) = \sum_{i} k_{i}, \qquad k_{i}", p_i * log(p_i / q_i)),
    given=TWO_LETTERS,
    proof=lambda value: [
        equal(
            two_letters(value),
            two_letters(cross_entropy.value) - two_letters(entropy.value),
            "H(p, q) - H(p) on two letters",
        ),
        equal(value, cross_entropy.value - entropy.value, "letter by letter"),
    ],
    mutants=[
        mutant("arguments exchanged", value=q_i * log(q_i / p_i)),
        mutant("fraction inverted", value=p_i * log(q_i / p_i)),
        mutant("entropy added", value=-p_i * log(q_i) - p_i * log(p_i)),
        mutant("logarithm forgotten", value=p_i * p_i / q_i, seen="D2 line 124"),
    ],
    sources=["D1:58", "D2:124"],
)
kl

# %% [markdown]
# Everything about its sign comes from one line, the tangent to the logarithm: as a function of $q_i$, $p_i
# \log (p_i / q_i) - p_i + q_i$ falls up to $q_i = p_i$, is zero there, and rises.

# %%
pointwise = claim(
    "divergences.pointwise",
    "Below the tangent, letter by letter",
    Holds(Ge(p_i * log(p_i / q_i), p_i - q_i, evaluate=False)),
    proof=lambda relation: tangent(relation, q_i, at=p_i, name="summand"),
    mutants=[
        mutant("every summand is positive", relation=Ge(p_i * log(p_i / q_i), 0, evaluate=False)),
        mutant("difference exchanged", relation=Ge(p_i * log(p_i / q_i), q_i - p_i, evaluate=False)),
        mutant("strict", relation=Gt(p_i * log(p_i / q_i), p_i - q_i, evaluate=False)),
    ],
    assumes=["mean value theorem"],
    sources=["D1:64"],
    remark="Equality at p_i = q_i only. A single summand may be negative; their sum may not.",
)
pointwise

# %% [markdown]
# Summed over letters, by induction: no partial sum is below the difference of the masses so far. At the end
# both masses are one, and the divergence is not negative. It is zero only if every letter has equality.

# %%
MASSES = (*LETTER, Eq(p_sum, p_before + p_i), Eq(q_sum, q_before + q_i), p_sum <= 1, q_sum <= 1)


def letter_by_letter(relation: Ge) -> list[Obligation]:
    before = relation.rhs.xreplace({p_sum: p_before, q_sum: q_before})
    step = relation.func(before + kl.value, relation.rhs, evaluate=False)
    start = relation.rhs.subs({p_sum: 0, q_sum: 0})
    return [
        equal(relation.lhs, kl_sum, "what is bounded"),
        equal(start, 0, "no letter yet: both sides are zero"),
        *combination(
            step, [(Integer(1), applied(pointwise, {p_i: p_i}))], name="one more letter", given=MASSES
        ),
        equal(relation.rhs.subs({p_sum: 1, q_sum: 1}), 0, "all letters: both masses are one"),
    ]


gibbs = claim(
    "divergences.kl-any-alphabet",
    "Not negative, on any alphabet",
    Holds(Ge(kl_sum, p_sum - q_sum, evaluate=False)),
    given=MASSES,
    proof=letter_by_letter,
    mutants=[
        mutant("difference exchanged", relation=Ge(kl_sum, q_sum - p_sum, evaluate=False)),
        mutant("twice the difference", relation=Ge(kl_sum, 2 * (p_sum - q_sum), evaluate=False)),
        mutant("never positive", relation=Le(kl_sum, p_sum - q_sum, evaluate=False)),
    ],
    sources=["D1:64", "D2:83", "D3:181"],
    assumes=["induction over the letters; a sum of terms that are not negative vanishes only if each does"],
    remark="The same line under an integral gives it for densities.",
)
gibbs

# %%
kl_two_letters = written_out(two_letters(kl.value))
kl_two_letters

# %%
not_negative = claim(
    "divergences.kl-not-negative",
    "Not negative, and zero at p = q only",
    Holds(Ge(kl_two_letters, 0, evaluate=False)),
    given=WITHIN,
    proof=lambda relation: tangent(relation, q, at=p, upper=1, name="divergence", given=WITHIN),
    mutants=[
        mutant(
            "always positive",
            relation=Gt(kl_two_letters, 0, evaluate=False),
            seen="D3 line 181, 'a positive value'",
        ),
        mutant("never positive", relation=Le(kl_two_letters, 0, evaluate=False)),
        mutant("at least the difference", relation=Ge(kl_two_letters, p - q, evaluate=False)),
    ],
    uses=[kl, gibbs],
    sources=["D1:64", "D2:83", "D3:181"],
    assumes=["mean value theorem"],
    remark="Two letters, so that the wrong versions have a point where they fail. The sign of the slope is "
    "strict on both sides, hence the case of equality.",
)
not_negative

# %% [markdown]
# The largest entropy is that of the uniform law: $p_i$ against $q_i = 1/n$, summed over $n$ letters, gives
# $H(p) \leq \log n$.

# %%
entropy_bound = claim(
    "divergences.entropy-bound",
    "At most log n, letter by letter",
    Holds(Le(-p_i * log(p_i), p_i * log(letters) - p_i + 1 / letters, evaluate=False)),
    proof=lambda relation: combination(
        relation, [(Integer(1), applied(pointwise, {q_i: 1 / letters}))], name="against the uniform law"
    ),
    mutants=[
        mutant(
            "each summand at most its share of log n",
            relation=Le(-p_i * log(p_i), p_i * log(letters), evaluate=False),
        ),
        mutant(
            "at most (log n)/n each",
            relation=Le(-p_i * log(p_i), log(letters) / letters, evaluate=False),
        ),
        mutant(
            "at most half of log n",
            relation=Le(-p_i * log(p_i), p_i * log(letters) / 2 - p_i + 1 / letters, evaluate=False),
        ),
    ],
    sources=["D1:57"],
    remark="Over n letters the right-hand sides sum to log n - 1 + 1.",
)
entropy_bound

# %% [markdown]
# ## Not a distance
#
# D1 writes $D_{KL}(p \Vert q) \neq D_{KL}(q \Vert p)$. Said of all pairs that is false: with two letters, and
# $q$ the exchange of $p$, both are equal. Said of the function it is right, and one pair shows it.


# %%
def between(first: Rational, second: Rational) -> Expr:
    """The divergence between two laws on two letters."""
    return kl_two_letters.xreplace({p: first, q: second})


HALF, QUARTER, THREE_QUARTERS = Rational(1, 2), Rational(1, 4), Rational(3, 4)

asymmetric = claim(
    "divergences.kl-asymmetric",
    "The order of the arguments matters",
    Equation(
        r"D_{\mathrm{KL}}\left((\tfrac12, \tfrac12) \,\Vert\, (\tfrac14, \tfrac34)\right)"
        r" - D_{\mathrm{KL}}\left((\tfrac14, \tfrac34) \,\Vert\, (\tfrac12, \tfrac12)\right)",
        log(Rational(256, 243)) / 4,
    ),
    proof=lambda value: [
        equal(between(HALF, QUARTER) - between(QUARTER, HALF), value, "both divergences written out"),
        less(1, exp(4 * value), "not the logarithm of one"),
    ],
    mutants=[
        mutant("symmetric", value=Integer(0)),
        mutant("the other way round", value=-log(Rational(256, 243)) / 4),
    ],
    uses=[kl],
    sources=["D1:65"],
)
asymmetric

# %%
there = kl_two_letters.xreplace({q: 1 - p})
back = written_out(two_letters(at(kl.value, q_i, p_i))).xreplace({q: 1 - p})

exchanged = claim(
    "divergences.kl-sometimes-symmetric",
    "Yet some different laws have equal divergences both ways",
    Equation(
        r"D_{\mathrm{KL}}\left((p, 1 - p) \,\Vert\, (1 - p, p)\right)"
        r" - D_{\mathrm{KL}}\left((1 - p, p) \,\Vert\, (p, 1 - p)\right)",
        Integer(0),
    ),
    given=[p < 1],
    proof=lambda value: [equal(there - back, value, "letters exchanged")],
    mutants=[
        mutant("of opposite sign", value=2 * there),
        mutant("the second is zero", value=there),
    ],
    uses=[kl],
    sources=["D1:65"],
    remark="So ≠ in D1 is to be read as 'not equal in general'.",
)
exchanged

# %%
triangle = claim(
    "divergences.kl-triangle",
    "The detour may be shorter",
    Holds(
        Gt(
            between(QUARTER, THREE_QUARTERS),
            between(QUARTER, HALF) + between(HALF, THREE_QUARTERS),
            evaluate=False,
        )
    ),
    proof=lambda relation: [
        *numbers(relation, name="divergences"),
        equal(
            between(QUARTER, THREE_QUARTERS),
            2 * (between(QUARTER, HALF) + between(HALF, THREE_QUARTERS)),
            "twice as long",
        ),
    ],
    mutants=[
        mutant(
            "the triangle inequality",
            relation=Le(
                between(QUARTER, THREE_QUARTERS),
                between(QUARTER, HALF) + between(HALF, THREE_QUARTERS),
                evaluate=False,
            ),
        ),
        mutant(
            "more than twice",
            relation=Gt(
                between(QUARTER, THREE_QUARTERS),
                2 * (between(QUARTER, HALF) + between(HALF, THREE_QUARTERS)),
                evaluate=False,
            ),
        ),
    ],
    uses=[kl],
    sources=["D1:65"],
    assumes=["the logarithm increases"],
    remark="On the left the divergence of (1/4, 3/4) from (3/4, 1/4); on the right the two by way of "
    "(1/2, 1/2), exactly half as much.",
)
triangle

# %% [markdown]
# ## Maximum likelihood
#
# The law of the data is unknown, but samples of it are at hand. If $x_n \sim p$, the average of $-\log
# q(x_n) + \log p(x_n)$ has the divergence as its mean, whatever the number of samples. D1 does not say what
# the $x_n$ are drawn from; drawn from the model they would estimate something else.


# %%
def mean_of_draws(value: Expr) -> list[Obligation]:
    one_draw = p_i * (-log(q_i) + log(p_i))
    return [
        equal(two_letters(one_draw), two_letters(value), "mean of one draw, on two letters"),
        equal(one_draw, value, "letter by letter"),
    ]


monte_carlo = claim(
    "divergences.monte-carlo",
    "The estimate has the divergence as its mean",
    Equation(
        r"\mathbb{E}_{x_{n} \sim p}\left[\frac{1}{N} \sum_{n=1}^{N} \left(-\log q(x_{n} \mid \theta)"
        r" + \log p(x_{n})\right)\right] = \sum_{i} k_{i}, \qquad k_{i}",
        p_i * log(p_i / q_i),
    ),
    given=TWO_LETTERS,
    proof=mean_of_draws,
    mutants=[
        mutant("samples of the model", value=q_i * log(p_i / q_i)),
        mutant("the sum stops before log p: a cross-entropy", value=-p_i * log(q_i)),
        mutant("not divided by N", value=draws * p_i * log(p_i / q_i)),
        mutant("signs exchanged", value=p_i * log(q_i / p_i)),
    ],
    uses=[kl],
    sources=["D1:60"],
    assumes=["linearity of the mean: an average of N draws has the mean of one draw"],
    remark="An average is close to its mean for many samples (law of large numbers); it may be negative.",
)
monte_carlo

# %% [markdown]
# Between two models the entropy of the data cancels, so does $\log p(x_n)$ in the estimate, and what is left
# is a difference of cross-entropies: of mean negative log-likelihoods. The three minimisations are one.

# %%
maximum_likelihood = claim(
    "divergences.maximum-likelihood",
    "Divergence, cross-entropy and likelihood rank models alike",
    Equation(
        r"D_{\mathrm{KL}}(p \,\Vert\, q) - D_{\mathrm{KL}}(p \,\Vert\, q') = \sum_{i} c_{i}, \qquad c_{i}",
        -p_i * log(q_i) + p_i * log(q_other),
    ),
    given=[*TWO_LETTERS, q_second < 1, Eq(q_second_rest, 1 - q_second)],
    proof=lambda value: [
        equal(
            two_letters(kl.value - kl.value.xreplace({q_i: q_other})),
            two_letters(value),
            "difference of divergences on two letters",
        ),
        equal(kl.value - kl.value.xreplace({q_i: q_other}), value, "letter by letter"),
        equal(
            cross_entropy.value - cross_entropy.value.xreplace({q_i: q_other}),
            value,
            "difference of cross-entropies",
        ),
        equal(diff(value, q_i), diff(kl.value, q_i), "the same slope in the model"),
        equal(value.xreplace({q_other: p_i}), kl.value, "the best conceivable model is the data's law"),
    ],
    mutants=[
        mutant("log p kept", value=-p_i * log(q_i) + p_i * log(p_i)),
        mutant("mean under each model", value=-q_i * log(q_i) + q_other * log(q_other)),
        mutant("likelihood minimised", value=p_i * log(q_i) - p_i * log(q_other)),
    ],
    sources=["D1:59", "D1:61", "D1:82"],
    remark="With p the frequencies of a sample, the cross-entropy is the average of -log q(x_n) itself.",
)
maximum_likelihood

# %% [markdown]
# ## Jensen-Shannon
#
# D1 offers, as a distance, the JSD, 'the average of the two divergences'. After $D_{KL}(p \Vert q)$ and
# $D_{KL}(q \Vert p)$, one line earlier, that reads as their average, which is Jeffreys' divergence (halved).
# The Jensen-Shannon divergence averages two others: those of $p$ and of $q$ from their mixture $(p + q)/2$.


# %%
def from_mixture(first: Expr, second: Expr) -> Expr:
    """Half a letter's summand in the divergence of the first law from the mixture."""
    return first * log(2 * first / (first + second)) / 2


js_summand = from_mixture(p_i, q_i) + from_mixture(q_i, p_i)
jeffreys_summand = (p_i * log(p_i / q_i) + q_i * log(q_i / p_i)) / 2
mixture = (p_i + q_i) / 2


def is_the_gain_of_mixing(value: Expr) -> list[Obligation]:
    """H(m) less the mean entropy; H(m) is the mean of H(p, m) and H(q, m)."""
    of_mixture = (at(cross_entropy.value, p_i, mixture) + at(cross_entropy.value, q_i, mixture)) / 2
    gain = of_mixture - (entropy.value + entropy.value.xreplace({p_i: q_i})) / 2
    return [
        equal(two_letters(value), two_letters(gain), "H(m) - (H(p) + H(q)) / 2 on two letters"),
        equal(value, gain, "letter by letter"),
        equal(value, at(value, q_i, p_i), "symmetric"),
        equal(value.xreplace({q_i: p_i}), 0, "zero between equal laws"),
    ]


js = claim(
    "divergences.jensen-shannon",
    "The Jensen-Shannon divergence",
    Equation(r"\mathrm{JS}(p, q) = \sum_{i} j_{i}, \qquad j_{i}", js_summand),
    given=TWO_LETTERS,
    proof=is_the_gain_of_mixing,
    mutants=[
        mutant(
            "the average of the two divergences: Jeffreys",
            value=jeffreys_summand,
            seen="D1 line 66, as its context reads",
        ),
        mutant("the sum for the average", value=2 * js_summand),
        mutant(
            "divergences of the mixture from p and q",
            value=kl.value.subs({p_i: mixture, q_i: p_i}, simultaneous=True),
        ),
    ],
    sources=["D1:66"],
    remark="D1's line is right if 'the two divergences' are those from the mixture.",
)
js

# %%
jeffreys = claim(
    "divergences.jeffreys",
    "The average of the two divergences is Jeffreys' divergence",
    Equation(
        r"\tfrac12 D_{\mathrm{KL}}(p \,\Vert\, q) + \tfrac12 D_{\mathrm{KL}}(q \,\Vert\, p)"
        r" = \sum_{i} a_{i}, \qquad a_{i}",
        p_i * log(p_i / q_i) / 2 - q_i * log(p_i / q_i) / 2,
    ),
    given=TWO_LETTERS,
    proof=lambda value: [
        equal(
            two_letters(value),
            two_letters(kl.value + at(kl.value, q_i, p_i)) / 2,
            "both divergences on two letters",
        ),
        equal(value, (kl.value + at(kl.value, q_i, p_i)) / 2, "letter by letter"),
    ],
    mutants=[
        mutant("called Jensen-Shannon", value=js_summand, seen="D1 line 66, as its context reads"),
        mutant("not averaged", value=p_i * log(p_i / q_i) - q_i * log(p_i / q_i)),
        mutant("one of them", value=p_i * log(p_i / q_i)),
    ],
    sources=["D1:66"],
    remark="Symmetric too, but not bounded.",
)
jeffreys


# %%
def far_apart(summand: Expr) -> Expr:
    """The sum for the laws (4/5, 1/5) and (1/5, 4/5)."""
    return written_out(two_letters(summand)).xreplace({p: Rational(4, 5), q: Rational(1, 5)})


jeffreys_large = claim(
    "divergences.jeffreys-exceeds-log-2",
    "Jeffreys' divergence passes the bound of Jensen-Shannon's",
    Holds(
        Gt(
            far_apart(jeffreys_summand),
            log(2),
            evaluate=False,
        )
    ),
    proof=lambda relation: numbers(relation, name="(4/5, 1/5) and (1/5, 4/5)"),
    mutants=[
        mutant(
            "bounded alike",
            relation=Le(
                far_apart(jeffreys_summand),
                log(2),
                evaluate=False,
            ),
        ),
        mutant(
            "Jensen-Shannon passes it",
            relation=Gt(
                far_apart(js_summand),
                log(2),
                evaluate=False,
            ),
        ),
    ],
    uses=[jeffreys, js],
    sources=["D1:66"],
    assumes=["the logarithm increases"],
    remark="On the left Jeffreys' divergence between (4/5, 1/5) and (1/5, 4/5). As the laws part it passes "
    "any bound, as its first half does.",
)
jeffreys_large

# %% [markdown]
# The bounds hold letter by letter. From below, the tangent twice: $p_i - m_i$ and $q_i - m_i$ cancel. From
# above, $p_i / (p_i + q_i)$ is a share of one.

# %%
js_lower = claim(
    "divergences.js-not-negative",
    "Jensen-Shannon is not negative",
    Holds(Ge(js_summand, 0, evaluate=False)),
    given=LETTER,
    proof=lambda relation: combination(
        relation,
        [
            (HALF, applied(pointwise, {p_i: p_i, q_i: mixture})),
            (HALF, applied(pointwise, {p_i: q_i, q_i: mixture})),
        ],
        name="twice the tangent",
        given=LETTER,
    ),
    mutants=[
        mutant("at least half the difference", relation=Ge(js_summand, (p_i - q_i) / 2, evaluate=False)),
        mutant("one half alone", relation=Ge(from_mixture(p_i, q_i), 0, evaluate=False)),
        mutant("at least Jeffreys'", relation=Ge(js_summand, jeffreys_summand, evaluate=False)),
    ],
    uses=[js],
    sources=["D1:66"],
    remark="Zero only where p_i = q_i, as the tangent is.",
)
js_lower

# %%
shares = (p_i / (p_i + q_i), q_i / (p_i + q_i))

most = p_i * log(2) / 2 + q_i * log(2) / 2

js_upper = claim(
    "divergences.js-below-log-2",
    "Jensen-Shannon is below log 2 where both laws are positive",
    Holds(Lt(js_summand, most, evaluate=False)),
    given=LETTER,
    proof=lambda relation: combination(
        relation,
        [
            (p_i / 2, applied(surprise, {share: shares[0]})),
            (q_i / 2, applied(surprise, {share: shares[1]})),
        ],
        name="surprises of two shares",
        given=LETTER,
    ),
    mutants=[
        mutant("half the bound", relation=Lt(js_summand, most / 2, evaluate=False)),
        mutant("Jeffreys' bounded so", relation=Lt(jeffreys_summand, most, evaluate=False)),
        mutant("above the bound", relation=Gt(js_summand, most, evaluate=False)),
    ],
    uses=[js],
    sources=["D1:66", "D5:17"],
    remark="The mixture's masses sum to one, so JS < log 2 as soon as one letter has both p_i and "
    "q_i positive.",
)
js_upper


# %%
def js_between(first: Rational, second: Rational) -> Expr:
    """The Jensen-Shannon divergence between two laws on two letters."""
    return written_out(two_letters(js_summand)).xreplace({p: first, q: second})


js_triangle = claim(
    "divergences.js-triangle",
    "Jensen-Shannon is no distance either",
    Holds(
        Gt(
            js_between(QUARTER, THREE_QUARTERS),
            js_between(QUARTER, HALF) + js_between(HALF, THREE_QUARTERS),
            evaluate=False,
        )
    ),
    proof=lambda relation: numbers(relation, name="Jensen-Shannon divergences"),
    mutants=[
        mutant(
            "the triangle inequality",
            relation=Le(
                js_between(QUARTER, THREE_QUARTERS),
                js_between(QUARTER, HALF) + js_between(HALF, THREE_QUARTERS),
                evaluate=False,
            ),
            seen="D1 line 66, JSD as a notion of distance",
        ),
        mutant(
            "more than twice",
            relation=Gt(
                js_between(QUARTER, THREE_QUARTERS),
                2 * (js_between(QUARTER, HALF) + js_between(HALF, THREE_QUARTERS)),
                evaluate=False,
            ),
        ),
    ],
    uses=[js],
    sources=["D1:66"],
    assumes=["the logarithm increases"],
    remark="Laws as above: the direct way on the left, the way by (1/2, 1/2) on the right. "
    "Its square root is a distance (Endres and Schindelin 2003); that theorem is not proved here, and "
    "nothing here uses it.",
)
js_triangle

# %% [markdown]
# ## Laws that do not overlap
#
# Let $q$ give the letter that $p$ always shows the probability $\delta$. As $\delta$ falls the divergence
# passes every bound: it is $M$ at $\delta = e^{-M}$, and it grows as $\delta$ falls. At $\delta = 0$ it is
# infinite.

# %%
disjoint_kl = claim(
    "divergences.disjoint-kl",
    "Without overlap the divergence is infinite",
    Equation(
        r"D_{\mathrm{KL}}\left((1, 0) \,\Vert\, (\delta, 1 - \delta)\right)",
        log(1 / tolerance),
    ),
    given=[tolerance < 1],
    proof=lambda value: [
        equal(at(kl.value, 1, tolerance), value, "the one letter that p shows"),
        equal(value.subs(tolerance, exp(-bound)), bound, "any M is reached"),
        less(diff(value, tolerance), 0, "and passed"),
    ],
    mutants=[
        mutant("from the mixture: bounded", value=log(2 / (1 + tolerance))),
        mutant("the overlap's share", value=1 - tolerance),
        mutant("sign", value=log(tolerance)),
    ],
    sources=["D5:7", "D5:15"],
    assumes=["0 log 0 = 0; the mean value theorem"],
)
disjoint_kl

# %% [markdown]
# The Jensen-Shannon divergence of two laws that share no letter is $\log 2$, whatever the laws: a letter
# that only $p$ has contributes $\frac12 p_i \log 2$, one that only $q$ has $\frac12 q_i \log 2$. Near or far
# makes no difference, so there is no slope along which one law could move towards the other.

# %%
disjoint_js = claim(
    "divergences.disjoint-js",
    "Without overlap Jensen-Shannon is log 2, near or far",
    Equation(r"\text{for disjoint supports: } \quad \mathrm{JS}(p, q)", log(2)),
    given=LETTER,
    proof=lambda value: [
        equal(
            from_mixture(p_i, Integer(0)) + from_mixture(q_i, Integer(0)),
            p_i / 2 * value + q_i / 2 * value,
            "a letter of p alone and one of q alone",
        )
    ],
    mutants=[
        mutant("one: logarithms to base two taken for natural ones", value=Integer(1)),
        mutant("not averaged", value=2 * log(2)),
        mutant("zero", value=Integer(0)),
    ],
    uses=[js],
    sources=["D5:7", "D5:15"],
    assumes=["0 log 0 = 0"],
    remark="Summed over all letters: (1/2 + 1/2) log 2. It does not contain the distance, so its "
    "derivative is zero.",
)
disjoint_js

# %% [markdown]
# With some overlap there is a slope. Two uniform laws on intervals of length one, $\Delta < 1$ apart: what
# only one of them covers has length $\Delta$, on either side.

# %%
partial_overlap = claim(
    "divergences.js-partial-overlap",
    "With some overlap it tells near from far",
    Equation(
        r"\mathrm{JS}\left(\mathcal{U}[0, 1],\, \mathcal{U}[\Delta, 1 + \Delta]\right)", distance * log(2)
    ),
    given=[distance < 1],
    proof=lambda value: [
        equal(
            2 * distance * from_mixture(Integer(1), Integer(0)) + (1 - distance) * at(js.value, 1, 1),
            value,
            "two ends of one law alone, and the overlap",
        ),
        equal(diff(value, distance), disjoint_js.value, "the slope, all the way to no overlap"),
    ],
    mutants=[
        mutant("log 2 at any distance", value=log(2), seen="D5 line 15 holds without overlap only"),
        mutant("one end only", value=distance * log(2) / 2),
        mutant("squared distance", value=distance**2 * log(2)),
    ],
    sources=["D5:7", "D5:13"],
    assumes=["the integral of a constant is its value times the length"],
    remark="The Kullback-Leibler divergence is infinite here too, for any Δ > 0: some overlap is not "
    "enough for "
    "it, p must vanish wherever q does.",
)
partial_overlap

# %% [markdown]
# ## Gaussians
#
# In one dimension the divergence between Gaussians is as D2 prints it, if its $\bar\beta$ are deviations. The
# integral printed before it lacks the logarithm, and is something else.


# %%
def log_density(point: Expr, mean: Expr, deviation: Expr) -> Expr:
    """The logarithm of a one-dimensional Gaussian density, without the 2π that cancels."""
    return -log(deviation) - (point - mean) ** 2 / (2 * deviation**2)


sample = m_1 + sigma_1 * z
log_quotient = log_density(sample, m_1, sigma_1) - log_density(sample, m_2, sigma_2)
kl_line = log(sigma_2 / sigma_1) + (sigma_1**2 + (m_1 - m_2) ** 2) / (2 * sigma_2**2) - HALF

gaussian_line = claim(
    "divergences.gaussian-kl-1d",
    "Divergence between Gaussians on the line",
    Equation(
        r"D_{\mathrm{KL}}\left(\mathcal{N}(m_{1}, \sigma_{1}^{2}) \,\Vert\, \mathcal{N}(m_{2},"
        r" \sigma_{2}^{2})\right)",
        kl_line,
    ),
    proof=lambda value: [
        equal(E(log_quotient), value, "mean of the difference of log-densities"),
        equal(
            d * value.xreplace({m_1: Integer(0), m_2: Integer(0)}) + sqnorm(mu_1 - mu_2) / (2 * sigma_2**2),
            gaussian_kl.value,
            "d such coordinates",
        ),
    ],
    mutants=[
        mutant(
            "variances for deviations",
            value=log(sigma_2**2 / sigma_1**2) + (sigma_1**4 + (m_1 - m_2) ** 2) / (2 * sigma_2**4) - HALF,
            seen="D2 line 124, if its β are variances as in line 12",
        ),
        mutant(
            "logarithm inverted",
            value=log(sigma_1 / sigma_2) + (sigma_1**2 + (m_1 - m_2) ** 2) / (2 * sigma_2**2) - HALF,
        ),
        mutant(
            "one half forgotten",
            value=log(sigma_2 / sigma_1) + (sigma_1**2 + (m_1 - m_2) ** 2) / (2 * sigma_2**2),
        ),
        mutant(
            "divided by the first variance",
            value=log(sigma_2 / sigma_1) + (sigma_2**2 + (m_1 - m_2) ** 2) / (2 * sigma_1**2) - HALF,
        ),
    ],
    uses=[moments],
    sources=["D2:124"],
)
gaussian_line

# %%
without_log = claim(
    "divergences.without-the-logarithm",
    "The integral without its logarithm",
    Equation(
        r"\text{for } g = \mathcal{N}(\mu_{1}, \sigma^{2} I),\; P = \mathcal{N}(\mu_{2}, \sigma^{2} I): \quad"
        r" \log \int g(x)\, \frac{g(x)}{P(x)}\, dx",
        sqnorm(mu_1 - mu_2) / sigma**2,
    ),
    proof=lambda value: [
        *(
            integral := gaussian_integral(
                2 * log_normal(x, mu_1, sigma**2) - log_normal(x, mu_2, sigma**2), x, "squared over the other"
            )
        ).obligations,
        equal(integral.log_value, value, "logarithm of the integral"),
        equal(
            value,
            2 * gaussian_kl.value.xreplace({sigma_1: sigma, sigma_2: sigma}),
            "twice the divergence, and in the exponent",
        ),
    ],
    mutants=[
        mutant(
            "the divergence",
            value=sqnorm(mu_1 - mu_2) / (2 * sigma**2),
            seen="D2 line 124, even if the logarithm is put before the integral",
        ),
        mutant("zero between any two", value=Integer(0)),
    ],
    uses=[density],
    sources=["D2:124"],
    remark="Between equal laws the printed integral is one, where the divergence is zero: 1 + χ², not KL.",
)
without_log

# %% [markdown]
# It is not negative: as a function of $\sigma_1$ it falls up to $\sigma_2$ and rises from there, and at
# $\sigma_2$ only the squared distance is left. So it is zero for equal means and variances only.

# %%
gaussian_not_negative = claim(
    "divergences.gaussian-kl-not-negative",
    "Between Gaussians: not negative, zero for equal laws only",
    Holds(Ge(kl_line, (m_1 - m_2) ** 2 / (2 * sigma_2**2), evaluate=False)),
    proof=lambda relation: tangent(relation, sigma_1, at=sigma_2, name="divergence"),
    mutants=[
        mutant("strict", relation=Gt(kl_line, (m_1 - m_2) ** 2 / (2 * sigma_2**2), evaluate=False)),
        mutant(
            "distance over the first variance",
            relation=Ge(kl_line, (m_1 - m_2) ** 2 / (2 * sigma_1**2), evaluate=False),
        ),
        mutant("distance not halved", relation=Ge(kl_line, (m_1 - m_2) ** 2 / sigma_2**2, evaluate=False)),
    ],
    uses=[gaussian_line],
    sources=["D1:64", "D2:124"],
    assumes=["mean value theorem"],
    remark="Equality for σ_1 = σ_2 only, and the bound is zero for m_1 = m_2 only. Coordinates add.",
)
gaussian_not_negative

# %%
gaussian_asymmetric = claim(
    "divergences.gaussian-kl-asymmetric",
    "Between Gaussians: which way matters, unless the variances agree",
    Equation(
        r"D_{\mathrm{KL}}(\mathcal{N}_{1} \,\Vert\, \mathcal{N}_{2})"
        r" - D_{\mathrm{KL}}(\mathcal{N}_{2} \,\Vert\, \mathcal{N}_{1})",
        d * (log(sigma_2**2 / sigma_1**2) + (sigma_1**2 / sigma_2**2 - sigma_2**2 / sigma_1**2) / 2)
        + sqnorm(mu_1 - mu_2) * (1 / sigma_2**2 - 1 / sigma_1**2) / 2,
    ),
    proof=lambda value: [
        equal(
            gaussian_kl.value
            - gaussian_kl.value.subs(
                {mu_1: mu_2, mu_2: mu_1, sigma_1: sigma_2, sigma_2: sigma_1}, simultaneous=True
            ),
            value,
            "one way minus the other",
        ),
        equal(value.xreplace({sigma_1: sigma, sigma_2: sigma}), 0, "symmetric for equal variances"),
    ],
    mutants=[
        mutant("symmetric", value=Integer(0)),
        mutant("distances only", value=sqnorm(mu_1 - mu_2) * (1 / sigma_2**2 - 1 / sigma_1**2) / 2),
    ],
    sources=["D1:65"],
)
gaussian_asymmetric

# %% [markdown]
# ## Noise
#
# Add Gaussian noise to two point masses, and they become two Gaussians of equal variance. The infinite
# divergence becomes a squared distance: it tells near from far, at any distance.

# %%
noised = claim(
    "divergences.noise-repairs",
    "Two noised points",
    Equation(
        r"D_{\mathrm{KL}}\left(\mathcal{N}(\mu_{1}, \sigma^{2} I) \,\Vert\, \mathcal{N}(\mu_{2},"
        r" \sigma^{2} I)\right)",
        sqnorm(mu_1 - mu_2) / (2 * sigma**2),
    ),
    proof=lambda value: [
        equal(gaussian_kl.value.xreplace({sigma_1: sigma, sigma_2: sigma}), value, "equal variances")
    ],
    mutants=[
        mutant("log 2 at any distance, as Jensen-Shannon's without noise", value=log(2)),
        mutant("not halved", value=sqnorm(mu_1 - mu_2) / sigma**2),
        mutant("deviation for variance", value=sqnorm(mu_1 - mu_2) / (2 * sigma)),
    ],
    sources=["D5:9", "D5:17"],
    remark="The less noise, the larger; without noise, infinite.",
)
noised

# %%
gradient = claim(
    "divergences.noise-gradient",
    "The gradient points from one to the other",
    Equation(
        r"D_{\mathrm{KL}}(\mu_{1} + b) - D_{\mathrm{KL}}(\mu_{1})",
        inner((mu_1 - mu_2) / sigma**2, shift) + sqnorm(shift) / (2 * sigma**2),
    ),
    proof=lambda value: [
        equal(
            noised.value.xreplace({mu_1: mu_1 + shift}) - noised.value,
            value,
            "the first mean moved by b",
        )
    ],
    mutants=[
        mutant("no gradient", value=sqnorm(shift) / (2 * sigma**2)),
        mutant(
            "gradient's sign", value=inner((mu_2 - mu_1) / sigma**2, shift) + sqnorm(shift) / (2 * sigma**2)
        ),
        mutant(
            "deviation for variance",
            value=inner((mu_1 - mu_2) / sigma, shift) + sqnorm(shift) / (2 * sigma**2),
        ),
    ],
    sources=["D5:9", "D5:17", "D5:19"],
    remark="The linear part is the gradient, (μ_1 - μ_2)/σ²: zero only where the points agree, and "
    "larger the "
    "less noise is left.",
)
gradient

# %% [markdown]
# D5 calls the noise 'long-tailed'. What the argument needs is that the density is positive everywhere, and a
# Gaussian's is. Long, or heavy, tails in the usual sense it has not: they would be heavier than every
# exponential, and a Gaussian's are lighter than every exponential.

# %%
tail = claim(
    "divergences.gaussian-tail",
    "A Gaussian's tail is lighter than every exponential",
    Holds(Le(-(radius**2) / (2 * sigma**2), rate**2 * sigma**2 / 2 - rate * radius, evaluate=False)),
    proof=lambda relation: squares(
        relation, [(1 / (2 * sigma**2), radius - rate * sigma**2)], name="completed square"
    ),
    mutants=[
        mutant(
            "heavier than some exponential: a long tail",
            relation=Ge(-(radius**2) / (2 * sigma**2), -rate * radius, evaluate=False),
            seen="D5 lines 9 and 21, 'long tail'",
        ),
        mutant(
            "from the centre on", relation=Le(-(radius**2) / (2 * sigma**2), -rate * radius, evaluate=False)
        ),
    ],
    uses=[mgf],
    sources=["D5:9", "D5:21"],
    remark="At distance r: log-density up to a constant, against an exponential of rate λ, for every "
    "λ. Hence also "
    "the finite moment generating function, which a long tail excludes.",
)
tail

# %% [markdown]
# ## Mode collapse
#
# D5 says that modes are lost because densities do not overlap. Lack of overlap is one reason. But a model may
# lose a mode although everything overlaps, if it minimises the divergence in the other order. Data with two
# modes and a valley, $p = (16, 1, 16)/33$; two models, one that covers, $(1, 1, 1)/3$, and one that
# collapsed, $(10, 1, 1)/12$. No probability is zero anywhere.


# %%
def over(first: Sequence[Rational], second: Sequence[Rational]) -> Expr:
    """The divergence between two laws on an alphabet."""
    return Add(*(at(kl.value, a, b) for a, b in zip(first, second, strict=True)))


two_modes = [Rational(16, 33), Rational(1, 33), Rational(16, 33)]
covering = [Rational(1, 3)] * 3
collapsed = [Rational(10, 12), Rational(1, 12), Rational(1, 12)]

mode_seeking = claim(
    "divergences.mode-seeking",
    "A mode may be lost although everything overlaps",
    Holds(Lt(over(collapsed, two_modes), over(covering, two_modes), evaluate=False)),
    proof=lambda relation: numbers(relation, name="model first"),
    mutants=[
        mutant(
            "with overlap the covering model is closer",
            relation=Lt(over(covering, two_modes), over(collapsed, two_modes), evaluate=False),
            seen="D5 line 21, 'mode collapse arises where densities do not overlap'",
        ),
        mutant(
            "data first: collapsed is closer",
            relation=Lt(over(two_modes, collapsed), over(two_modes, covering), evaluate=False),
        ),
    ],
    uses=[kl],
    sources=["D5:21"],
    assumes=["the logarithm increases"],
    remark="The collapsed model on the left, the covering one on the right. With the data first, as in "
    "maximum likelihood, the covering model is the closer one. What a GAN's training does is not decided by "
    "a divergence alone.",
)
mode_seeking

# %% [markdown]
# ## What this chapter assumed
#
# The mean value theorem, that the logarithm increases, induction over the letters of an alphabet, the
# linearity of the mean, and the convention $0 \log 0 = 0$. That the square root of the Jensen-Shannon
# divergence is a distance is mentioned, not proved.
