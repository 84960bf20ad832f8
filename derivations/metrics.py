# %% [markdown]
# # Metrics
#
# Two numbers are reported for generated images. The Fréchet inception distance fits a Gaussian to features
# of the data and one to features of the samples and compares the two; the inception score looks at the
# samples alone, through a classifier. This chapter derives both formulas from what they measure, gives exact
# values that an implementation can be checked against, and proves what the two numbers cannot see.

# %%
from sympy import Eq, Expr, Ge, Gt, Integer, Le, Matrix, Rational, log, sqrt

from derivations.divergences import (
    at,
    cross_entropy,
    entropy,
    entropy_bound,
    gibbs,
    js,
    kl,
    pointwise,
    surprise,
)
from derivations.gaussians import after_step, chain, moments, reparameterization
from derivations.gaussians import sums as sum_of_independent
from derivations.parameterization import kl as gaussian_kl
from derivations.proof.certificates import induction
from derivations.proof.claims import Equation, Holds, claim, mutant
from derivations.proof.inequalities import applied, combination, squares
from derivations.proof.obligations import Obligation, equal
from derivations.proof.symbols import (
    E,
    classes,
    correlation,
    d,
    eps,
    excess,
    m_1,
    m_2,
    mu_1,
    mu_2,
    p_i,
    q_i,
    r_11,
    r_12,
    r_22,
    root_det_1,
    root_det_2,
    s_11,
    s_12,
    s_22,
    samples,
    share,
    share_rest,
    shift,
    sigma_1,
    sigma_2,
    sqnorm,
    t,
    trace_1,
    trace_2,
    trace_12,
    z,
)

# %% [markdown]
# ## The Fréchet distance
#
# Draw $x$ from one law and $y$ from the other, together, so that they are as close as possible. The Fréchet
# (or 2-Wasserstein) distance is the root of the least mean squared distance. A coupling of two isotropic
# Gaussians gives the coordinates of $x$ and $y$ a correlation $\rho$:

# %%
first = mu_1 + sigma_1 * z
second = mu_2 + sigma_2 * (correlation * z + sqrt(1 - correlation**2) * eps)
first - second

# %%
coupling = claim(
    "metrics.coupling",
    "Mean squared distance of two coupled Gaussians",
    Equation(
        r"\mathbb{E}\left\lVert x - y \right\rVert^{2}",
        sqnorm(mu_1 - mu_2) + d * (sigma_1**2 + sigma_2**2 - 2 * correlation * sigma_1 * sigma_2),
    ),
    given=[correlation <= 1, Ge(correlation, -1)],
    proof=lambda value: [
        equal(E(sqnorm(first - second)), value, "second moment of the difference"),
        equal(E(sqnorm(second - mu_2)), d * sigma_2**2, "the second law has its own variance"),
    ],
    mutants=[
        mutant("as if independent", value=sqnorm(mu_1 - mu_2) + d * (sigma_1**2 + sigma_2**2)),
        mutant(
            "sign of the correlation",
            value=sqnorm(mu_1 - mu_2) + d * (sigma_1**2 + sigma_2**2 + 2 * correlation * sigma_1 * sigma_2),
        ),
        mutant(
            "correlation not doubled",
            value=sqnorm(mu_1 - mu_2) + d * (sigma_1**2 + sigma_2**2 - correlation * sigma_1 * sigma_2),
        ),
    ],
    uses=[moments, reparameterization],
    sources=["D4:27"],
)
coupling

# %% [markdown]
# No correlation exceeds one, so the least is reached at $\rho = 1$: the same noise, stretched twice. This
# holds for every coupling, Gaussian or not, since only second moments enter. Per coordinate:

# %%
optimal = claim(
    "metrics.optimal-coupling",
    "The same noise for both is the best coupling",
    Holds(
        Le(
            (sigma_1 - sigma_2) ** 2,
            sigma_1**2 + sigma_2**2 - 2 * correlation * sigma_1 * sigma_2,
            evaluate=False,
        )
    ),
    given=[Eq(correlation, 1 - excess)],
    mutants=[
        mutant(
            "independent draws are best",
            relation=Le(
                sigma_1**2 + sigma_2**2,
                sigma_1**2 + sigma_2**2 - 2 * correlation * sigma_1 * sigma_2,
                evaluate=False,
            ),
        ),
        mutant(
            "opposite noise is best",
            relation=Le(
                (sigma_1 + sigma_2) ** 2,
                sigma_1**2 + sigma_2**2 - 2 * correlation * sigma_1 * sigma_2,
                evaluate=False,
            ),
        ),
    ],
    uses=[coupling],
    sources=["D4:27"],
    assumes=["a correlation is at most one (Cauchy-Schwarz)"],
    remark="w is what the correlation lacks to one.",
)
optimal

# %%
frechet = claim(
    "metrics.frechet-isotropic",
    "Fréchet distance between isotropic Gaussians",
    Equation(r"d_{F}^{2}", sqnorm(mu_1 - mu_2) + d * (sigma_1 - sigma_2) ** 2),
    proof=lambda value: [
        equal(coupling.value.subs(correlation, 1), value, "the best coupling"),
        equal(
            value,
            value.subs({mu_1: mu_2, mu_2: mu_1, sigma_1: sigma_2, sigma_2: sigma_1}, simultaneous=True),
            "symmetric",
        ),
        equal(value.subs({mu_1: mu_2, sigma_1: sigma_2}), 0, "zero between equal laws"),
    ],
    mutants=[
        mutant("variances for deviations", value=sqnorm(mu_1 - mu_2) + d * (sigma_1**2 - sigma_2**2) ** 2),
        mutant("difference of variances", value=sqnorm(mu_1 - mu_2) + d * (sigma_1**2 - sigma_2**2)),
        mutant("cross term forgotten", value=sqnorm(mu_1 - mu_2) + d * (sigma_1**2 + sigma_2**2)),
        mutant("dimension forgotten", value=sqnorm(mu_1 - mu_2) + (sigma_1 - sigma_2) ** 2),
        mutant("a divergence", value=gaussian_kl.value),
    ],
    uses=[optimal],
    sources=["D4:25", "D4:27"],
    implemented_by=["ddpm_ref.metrics.frechet"],
    remark="Coordinates may have different deviations: with equal eigenvectors the squares add up "
    "one by one. "
    "In (μ, √d σ) it is the squared Euclidean distance, so its root is a distance.",
)
frechet

# %%
zero = claim(
    "metrics.frechet-zero",
    "Zero between equal Gaussians only",
    Holds(Ge((m_1 - m_2) ** 2 + (sigma_1 - sigma_2) ** 2, 0, evaluate=False)),
    proof=lambda relation: squares(
        relation,
        [(Integer(1), m_1 - m_2), (Integer(1), sigma_1 - sigma_2)],
        name="one coordinate",
    ),
    mutants=[
        mutant(
            "positive always", relation=Gt((m_1 - m_2) ** 2 + (sigma_1 - sigma_2) ** 2, 0, evaluate=False)
        ),
        mutant(
            "with the difference of variances",
            relation=Ge((m_1 - m_2) ** 2 + sigma_1**2 - sigma_2**2, 0, evaluate=False),
        ),
    ],
    uses=[frechet],
    sources=["D4:27"],
    remark="A sum of squares is zero only if each is: equal means and equal deviations, in every coordinate.",
)
zero

# %% [markdown]
# ## Covariances that do not commute
#
# In general the variances contribute $\operatorname{tr}\big(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1^{1/2} \Sigma_2
# \Sigma_1^{1/2})^{1/2}\big)$. The root of a matrix is where implementations go wrong. For two features it can
# be done without one. Any covariance $A$ is the square of its own root $R$, and the trace of $R$ follows from
# trace and determinant of $A$.

# %%
R = Matrix([[r_11, r_12], [r_12, r_22]])
S = Matrix([[s_11, s_12], [s_12, s_22]])
R * R

# %%
FIRST = (Eq(trace_1, r_11**2 + 2 * r_12**2 + r_22**2), Eq(root_det_1, r_11 * r_22 - r_12**2))
SECOND = (Eq(trace_2, s_11**2 + 2 * s_12**2 + s_22**2), Eq(root_det_2, s_11 * s_22 - s_12**2))

root_trace = claim(
    "metrics.trace-of-root",
    "Trace of the root of a 2 × 2 covariance",
    Equation(r"\left( \operatorname{tr} \Sigma_{1}^{1/2} \right)^{2}", trace_1 + 2 * root_det_1),
    given=FIRST,
    proof=lambda value: [
        equal(R.trace() ** 2, value, "trace of the root, squared"),
        equal((R * R).trace(), trace_1, "trace of the covariance"),
        equal((R * R).det(), root_det_1**2, "determinant of the covariance"),
    ],
    mutants=[
        mutant("the trace alone: root taken entry by entry", value=trace_1),
        mutant("determinant not doubled", value=trace_1 + root_det_1),
        mutant("determinant for its root", value=trace_1 + 2 * root_det_1**2),
        mutant("sign", value=trace_1 - 2 * root_det_1),
    ],
    sources=["D4:27"],
    implemented_by=["ddpm_ref.metrics.sqrt_psd", "ddpm_ref.metrics.cross_term"],
    assumes=["a positive definite matrix has one positive definite root"],
    remark="With the eigenvalues a², b² of the covariance: (a + b)² = a² + b² + 2ab.",
)
root_trace

# %% [markdown]
# $\Sigma_1^{1/2} \Sigma_2 \Sigma_1^{1/2}$ has the trace of $\Sigma_1 \Sigma_2$ and the product of the
# determinants, so no root of a matrix is left. The result is symmetric in the two laws, which the formula
# with its roots does not show.

# %%
BOTH = (*FIRST, *SECOND, Eq(trace_12, (R * R * S * S).trace().expand()))


def without_roots(value: Expr) -> list[Obligation]:
    inside = R * S * S * R
    return [
        equal(
            root_trace.value.xreplace({trace_1: inside.trace(), root_det_1: root_det_1 * root_det_2}),
            value,
            "trace and determinant of the product",
        ),
        equal(inside.det(), (R.det() * S.det()) ** 2, "its determinant"),
        equal((S * R * R * S).trace(), inside.trace(), "the same with the laws exchanged"),
    ]


cross_term = claim(
    "metrics.cross-term",
    "The cross term without the root of a matrix",
    Equation(
        r"\left( \operatorname{tr} \left(\Sigma_{1}^{1/2} \Sigma_{2} \Sigma_{1}^{1/2}\right)^{1/2}"
        r" \right)^{2}",
        trace_12 + 2 * root_det_1 * root_det_2,
    ),
    given=BOTH,
    proof=without_roots,
    mutants=[
        mutant("determinants forgotten", value=trace_12),
        mutant("product of the roots' traces", value=trace_1 * trace_2),
        mutant("determinants for their roots", value=trace_12 + 2 * (root_det_1 * root_det_2) ** 2),
        mutant("root of the trace", value=(r_11 * s_11 + 2 * r_12 * s_12 + r_22 * s_22) ** 2),
    ],
    sources=["D4:27"],
    implemented_by=["ddpm_ref.metrics.cross_term"],
    remark="The last wrong version is (tr Σ_1^½ Σ_2^½)²: right only if the covariances commute.",
)
cross_term

# %% [markdown]
# The distance is a sum of squares here too. Choose the basis in which $\Sigma_1$ is diagonal. Turning $S$ by
# the angle whose cosine and sine are in the ratio of $\operatorname{tr} RS$ to $(RS)_{12} - (RS)_{21}$ makes
# $\lVert R - S Q \rVert^2$, the sum of squared entries, equal to the formula. It vanishes only if $R = S Q$,
# and then $\Sigma_1 = S Q Q^\top S = \Sigma_2$.

# %%
DIAGONAL = (
    Eq(trace_1, r_11**2 + r_22**2),
    Eq(root_det_1, r_11 * r_22),
    *SECOND,
    Eq(trace_12, r_11**2 * (s_11**2 + s_12**2) + r_22**2 * (s_12**2 + s_22**2)),
)


def sum_of_squared_entries(value: Expr) -> list[Obligation]:
    root = sqrt(cross_term.value)
    diagonal = Matrix([[r_11, 0], [0, r_22]])
    product = diagonal * S
    cosine, sine = product.trace() / root, (product[0, 1] - product[1, 0]) / root
    turned = diagonal - S * Matrix([[cosine, -sine], [sine, cosine]])
    return [
        equal(trace_1 + trace_2 - 2 * root, value, "traces, and twice the cross term"),
        equal(sum(entry**2 for entry in turned), value, "squared entries of R - SQ"),
        equal(cosine**2 + sine**2, 1, "Q is a rotation"),
        equal((diagonal * diagonal * S * S).trace(), trace_12, "trace of the product"),
    ]


general = claim(
    "metrics.frechet-2x2",
    "Fréchet distance for two features, any covariances",
    Equation(
        r"\operatorname{tr}\left(\Sigma_{1} + \Sigma_{2} - 2 \left(\Sigma_{1}^{1/2} \Sigma_{2}"
        r" \Sigma_{1}^{1/2}\right)^{1/2}\right)",
        trace_1 + trace_2 - 2 * sqrt(trace_12 + 2 * root_det_1 * root_det_2),
    ),
    given=DIAGONAL,
    proof=sum_of_squared_entries,
    mutants=[
        mutant(
            "cross term not doubled", value=trace_1 + trace_2 - sqrt(trace_12 + 2 * root_det_1 * root_det_2)
        ),
        mutant("determinants forgotten", value=trace_1 + trace_2 - 2 * sqrt(trace_12)),
        mutant("root forgotten", value=trace_1 + trace_2 - 2 * (trace_12 + 2 * root_det_1 * root_det_2)),
        mutant(
            "as if they commuted: tr (Σ_1^½ - Σ_2^½)²",
            value=trace_1 + trace_2 - 2 * (r_11 * s_11 + r_22 * s_22),
        ),
    ],
    sources=["D4:27"],
    implemented_by=["ddpm_ref.metrics.frechet"],
    assumes=["trace and determinant do not depend on the basis"],
    remark="Add ‖μ_1 - μ_2‖². That it is the least mean squared distance for covariances that do not commute "
    "is a theorem (Dowson and Landau 1982) that is not proved here.",
)
general

# %% [markdown]
# ## What the Fréchet inception distance is not
#
# It is $d_F^2$, the square. A distance is never longer than the detour; a square may be.


# %%
def moved(first_times: int, second_times: int) -> Expr:
    """d_F² between two laws of equal variance, moved so many times by b."""
    return frechet.value.xreplace(
        {mu_1: mu_1 + first_times * shift, mu_2: mu_1 + second_times * shift, sigma_2: sigma_1}
    )


fid_triangle = claim(
    "metrics.fid-triangle",
    "The square is no distance",
    Equation(
        r"d_{F}^{2}(\mu, \mu + 2b) - d_{F}^{2}(\mu, \mu + b) - d_{F}^{2}(\mu + b, \mu + 2b)",
        2 * sqnorm(shift),
    ),
    proof=lambda value: [
        equal(
            moved(0, 2) - moved(0, 1) - moved(1, 2),
            value,
            "three laws of equal variance on a line",
        )
    ],
    mutants=[
        mutant("additive, as a distance along a line", value=Integer(0)),
        mutant("the detour is longer", value=-2 * sqnorm(shift)),
    ],
    sources=["D4:27"],
    remark="The direct way exceeds the detour by 2‖b‖² > 0. The root of the FID is a distance "
    "between Gaussians.",
)

fid_triangle

# %% [markdown]
# It compares means and covariances, and nothing else. A fair coin with the values $\pm 1$ and a standard
# normal have the same mean and the same variance, hence distance zero; yet one takes two values, the other
# all.

# %%
COIN = (Integer(1), Integer(-1))


def coin_moment(order: int) -> Expr:
    """Moment of a fair coin with the values 1 and -1."""
    return sum((face**order for face in COIN), Integer(0)) / 2


blind = claim(
    "metrics.fid-blind",
    "Distance zero, and different laws",
    Equation(r"\mathbb{E}\, z^{4} - \mathbb{E}_{\pm 1}\, x^{4}", Integer(2)),
    proof=lambda value: [
        equal(coin_moment(1), E(z), "equal means"),
        equal(coin_moment(2), E(z**2), "equal variances"),
        equal(frechet.value.xreplace({mu_1: mu_2, sigma_1: sigma_2}), 0, "hence distance zero"),
        equal(E(z**4) - coin_moment(4), value, "different fourth moments"),
    ],
    mutants=[
        mutant("equal laws", value=Integer(0)),
        mutant("the normal's fourth moment is one", value=Integer(-1)),
    ],
    uses=[moments],
    sources=["D4:27"],
    remark="So FID = 0 does not say that two feature distributions are equal. D4 also says 'two images': a "
    "distribution belongs to a set of images; one image has no covariance.",
)
blind

# %% [markdown]
# ## Too few samples
#
# The mean of $n$ independent features is off by a noise of variance $\sigma^2 / n$ per coordinate. Squared,
# that does not cancel: the first term of the estimate is too large on average, by the dimension times the
# variances over $n$. With 2048 features the dimension weighs.

# %%
sum_variance = t * sigma_1**2


def of_means(value: Expr) -> list[Obligation]:
    estimated = (mu_1 + sigma_1 / sqrt(samples) * z) - (mu_2 + sigma_2 / sqrt(samples) * eps)
    return [
        *induction(
            sum_variance,
            lambda previous: after_step(0, previous, 1, sigma_1**2)[1],
            start={t: 0},
            first=0,
            previous={t: t - 1},
            name="variance of a sum of t draws",
        ),
        equal(sum_variance.subs(t, samples) / samples**2, (sigma_1 / sqrt(samples)) ** 2, "of their mean"),
        equal(E(sqnorm(estimated)), value, "squared distance of two means"),
    ]


bias = claim(
    "metrics.fid-bias",
    "The distance of estimated means is too large",
    Equation(
        r"\mathbb{E}\left\lVert \bar{x} - \bar{y} \right\rVert^{2}",
        sqnorm(mu_1 - mu_2) + d * (sigma_1**2 + sigma_2**2) / samples,
    ),
    proof=of_means,
    mutants=[
        mutant("unbiased", value=sqnorm(mu_1 - mu_2), seen="FID on too few samples: k-diffusion#51"),
        mutant("dimension forgotten", value=sqnorm(mu_1 - mu_2) + (sigma_1**2 + sigma_2**2) / samples),
        mutant(
            "vanishes with the square of n",
            value=sqnorm(mu_1 - mu_2) + d * (sigma_1**2 + sigma_2**2) / samples**2,
        ),
        mutant("deviations for variances", value=sqnorm(mu_1 - mu_2) + d * (sigma_1 + sigma_2) / samples),
    ],
    uses=[chain, sum_of_independent, moments],
    sources=["D4:27"],
    implemented_by=["ddpm_ref.metrics.mean_bias"],
    assumes=["draws are independent; only second moments matter, so the features need not be Gaussian"],
    remark="n samples on each side, of isotropic features. Two sets from one law have FID > 0. The "
    "covariance term "
    "has a bias of its own, which is not computed here.",
)
bias

# %% [markdown]
# ## The inception score
#
# A classifier gives each image $x$ a law $p(y \mid x)$ over $K$ classes. The score is the exponential of the
# mean divergence of these from their mixture $p(y)$: high if single images are clear and together they are
# diverse. For two images, of weights $s$ and $\bar s = 1 - s$, with $p$ and $q$ as their laws:

# %%
WEIGHTS = (p_i < 1, q_i < 1, share < 1, Eq(share_rest, 1 - share))
marginal = share * p_i + share_rest * q_i
score_summand = share * p_i * log(p_i / marginal) + share_rest * q_i * log(q_i / marginal)


def is_mutual_information(value: Expr) -> list[Obligation]:
    even = value.xreplace({share: Rational(1, 2), share_rest: Rational(1, 2)})
    return [
        equal(
            value,
            share * (at(cross_entropy.value, p_i, marginal) - entropy.value)
            + share_rest * (at(cross_entropy.value, q_i, marginal) - at(entropy.value, q_i, q_i)),
            "entropy of the mixture less the mean entropy",
        ),
        equal(even, js.value, "two images of equal weight: Jensen-Shannon"),
    ]


inception_score = claim(
    "metrics.inception-score",
    "The inception score",
    Equation(r"\log \mathrm{IS} = \sum_{i} a_{i}, \qquad a_{i}", score_summand),
    definition=True,
    given=WEIGHTS,
    proof=is_mutual_information,
    mutants=[
        mutant("mixture first", value=marginal * log(marginal / p_i)),
        mutant("not averaged over the images", value=score_summand / share),
        mutant(
            "entropy of the mixture alone",
            value=-share * p_i * log(marginal) - share_rest * q_i * log(marginal),
        ),
    ],
    sources=["D4:21", "D4:23"],
    implemented_by=["ddpm_ref.metrics.class_information", "ddpm_ref.metrics.inception_score"],
    remark="The mutual information of image and class: H(y) - H(y | x). The same with a sum over any "
    "number of images.",
)
inception_score

# %%
score_lower = claim(
    "metrics.inception-score-at-least-one",
    "At least one",
    Holds(Ge(score_summand, 0, evaluate=False)),
    given=WEIGHTS,
    proof=lambda relation: combination(
        relation,
        [
            (share, applied(pointwise, {p_i: p_i, q_i: marginal})),
            (share_rest, applied(pointwise, {p_i: q_i, q_i: marginal})),
        ],
        name="each image against the mixture",
        given=WEIGHTS,
    ),
    mutants=[
        mutant("one image alone", relation=Ge(share * p_i * log(p_i / marginal), 0, evaluate=False)),
        mutant(
            "at least the first image's share",
            relation=Ge(score_summand, share * (p_i - q_i), evaluate=False),
        ),
    ],
    uses=[inception_score, gibbs],
    sources=["D4:23"],
    remark="Class by class: log IS ≥ 0. It is one only if all images have the same law over classes.",
)
score_lower

# %% [markdown]
# It is at most the number of classes. Class by class, with $p$ for $p(y \mid x)$ and $q$ for $p(y)$:
# averaged over images the right-hand side is $q \log K + 1/K - q$, and over the $K$ classes that sums to
# $\log K$.

# %%
score_upper = claim(
    "metrics.inception-score-at-most-classes",
    "At most the number of classes",
    Holds(
        Le(
            p_i * log(p_i / q_i),
            p_i * (log(classes) + 1 / (classes * q_i) - 1),
            evaluate=False,
        )
    ),
    given=[p_i < 1],
    proof=lambda relation: combination(
        relation,
        [
            (p_i, applied(surprise, {share: p_i})),
            (p_i / q_i, applied(pointwise, {p_i: q_i, q_i: 1 / classes})),
        ],
        name="certainty, and the mixture against the uniform law",
        given=[p_i < 1],
    ),
    mutants=[
        mutant(
            "each summand at most p log K",
            relation=Le(p_i * log(p_i / q_i), p_i * log(classes), evaluate=False),
        ),
        mutant(
            "one subtracted twice",
            relation=Le(p_i * log(p_i / q_i), p_i * (log(classes) + 1 / (classes * q_i) - 2), evaluate=False),
        ),
        mutant(
            "at least",
            relation=Ge(p_i * log(p_i / q_i), p_i * (log(classes) + 1 / (classes * q_i) - 1), evaluate=False),
        ),
    ],
    uses=[inception_score, entropy_bound],
    sources=["D4:23"],
    assumes=["averaging over images and summing over classes keep an inequality"],
    remark="A certain classifier, p = 1, is the next claim.",
)
score_upper

# %% [markdown]
# The bound is reached by a generator that knows $K$ images, one for each class, all of them certain. It shows
# no variety within a class, and may have copied every one of them: the score compares with no data.

# %%
score_best = claim(
    "metrics.inception-score-best",
    "K images reach the maximum",
    Equation(r"\text{one certain image of each class: } \quad \log \mathrm{IS}", log(classes)),
    proof=lambda value: [
        equal(
            classes * (1 / classes) * at(kl.value, 1, 1 / classes),
            value,
            "K images of weight 1/K, each a certain class against the uniform mixture",
        )
    ],
    mutants=[
        mutant("no variety, no score", value=Integer(0)),
        mutant("divided by the number of images", value=log(classes) / classes),
    ],
    uses=[inception_score],
    sources=["D4:23"],
    assumes=["0 log 0 = 0"],
    remark="'Measures diversity and quality' holds between classes only: diversity within a class "
    "does not enter, "
    "and quality only as far as the classifier's certainty shows it.",
)
score_best

# %% [markdown]
# ## What this chapter assumed
#
# Cauchy-Schwarz, that a positive definite matrix has one positive definite root, the independence of samples.
# That the general formula is the least mean squared distance for covariances that do not commute is cited,
# not proved.
