"""Questions whose answers are known, put to the machinery whenever the book is decided.

A proof is worth what its kernels refuse. So beside the claims each kernel is asked false statements, and true
ones that need a hypothesis, a dimension or a sign; some that only one of the two can prove, so that neither
can lean on the other; and some that neither can read. Then come claims that must fail, each for a reason
that is known. If any answer is another, `python -m derivations` says which and exits with 1, whatever the
claims' verdicts are: they came from the same machinery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sympy import Eq, Expr, Gt, Integer, Lt, PolynomialError, Rational, cos, exp, log, pi, sin, sqrt
from sympy.core.relational import Relational

from derivations.proof import normal_form, witness, z3_kernel
from derivations.proof.claims import Claim, Equation, Law, Mutant, Statement, mutant
from derivations.proof.obligations import Obligation, at_most, equal, less
from derivations.proof.symbols import (
    E,
    alpha_t,
    argument,
    beta_t,
    eps,
    excess,
    inner,
    mu,
    scale,
    sigma_1,
    sigma_2,
    sqnorm,
    x,
    z,
)

a, b = argument, scale  # two real numbers of which nothing is known
u, v = sigma_1, sigma_2  # two positive ones

NO_ANSWER = "no answer"  # the question is refused, with an error
BEYOND = 1 + cos(a) ** 2 + sin(a) ** 2  # 2, which neither kernel knows
BELOW_ONE = (Lt(u, 1, evaluate=False),)
COMPLEMENT = (Eq(beta_t, 1 - alpha_t),)


@dataclass(frozen=True)
class Question:
    """An obligation, what each kernel must say of it, and whether a point refutes it."""

    obligation: Obligation
    normal_form: str
    z3: str
    refuted: bool


def questions() -> list[Question]:
    """List the questions put to each kernel; the note says what a wrong answer shows."""
    proved = ("proved", "proved", False)
    false = ("not proved", "refuted", True)
    square_of_a_sum = sqrt(a**2 + 2 * a * b + b**2)
    at_every_point_tried = a * (a - 1) * (a + 2) * (a - 3) * (2 * a - 1)
    return [
        Question(equal(a + 1, a, "a false equation"), *false),
        Question(equal(a, a + Rational(1, 10**40), "false in the fortieth digit"), *false),
        Question(
            equal(at_every_point_tried, 0, "true at every point that is tried"),
            "not proved", "refuted", False,
        ),
        Question(equal((a + b) ** 2, a**2 + 2 * a * b + b**2, "a true equation"), *proved),
        Question(less(0, 1 - u, "false without its hypothesis"), *false),
        Question(less(0, 1 - u, "true with its hypothesis", given=BELOW_ONE), *proved),
        Question(equal(alpha_t + beta_t, 1, "false without its definition"), *false),
        Question(equal(alpha_t + beta_t, 1, "true with its definition", given=COMPLEMENT), *proved),
        Question(equal(alpha_t, beta_t, "false with its definition", given=COMPLEMENT), *false),
        Question(
            less(b, a, "true where its hypothesis holds, and nowhere else", given=(Gt(a, b),)),
            "not proved", "proved", False,
        ),
        Question(less(0, excess, "weak, and not strict"), *false),
        Question(at_most(0, excess, "weak"), *proved),
        Question(at_most(0, a, "of unknown sign"), *false),
        Question(equal((a + 1) / (b - 1), a / (b - 1), "equal denominators"), *false),
        Question(equal(square_of_a_sum, a + b, "a root of unknown sign"), *false),
        Question(equal(sqrt(1 + u), -sqrt(1 + u), "a root and its negative"), *false),
        Question(equal(E(sqnorm(eps)), 1, "true in one dimension"), *false),
        Question(equal(sqnorm(x) * mu, inner(x, mu) * x, "parallel in one dimension"), *false),
        Question(equal(log(u * v), log(u) + log(v), "a logarithm of a product"), *proved),
        Question(equal(log(u + v), log(u) + log(v), "a logarithm of a sum"), "not proved", "unknown", True),
        Question(equal(pi, Rational(22, 7), "a number that is nearly another"), *false),
        # Neither kernel can lean on the other: each of these is proved by one alone.
        Question(
            at_most(2 * u * v, u**2 + v**2, "needs z3"),
            "not proved", "proved", False,
        ),
        Question(
            equal(log(u) * (log(u) + log(v)), log(u) ** 2 + log(u) * log(v), "needs the normal form"),
            "proved", "unknown", False,
        ),
        # True, and beyond both: not proved is not refuted.
        Question(
            equal(BEYOND, 2, "true and beyond both kernels"),
            "not proved", "refuted", False,
        ),
        Question(equal(E(exp(z)), 1, "no polynomial"), NO_ANSWER, NO_ANSWER, False),
    ]  # fmt: skip


@dataclass(frozen=True)
class Doomed:
    """A claim that must fail, and the words that must say why."""

    claim: Claim
    because: str


def doomed() -> list[Doomed]:
    """List claims that must fail; none of them has been decided before."""
    truth, wrong = Integer(2), (mutant("another", value=3), mutant("twice and one", value=5))
    impossible = (Gt(a, 1, evaluate=False), Lt(a, 0, evaluate=False))
    return [
        Doomed(_about("false", Integer(3)), "refuted: "),
        Doomed(_about("undecided", BEYOND), "says not proved"),
        Doomed(_about("one kernel", log(u) * log(u * v), _expanded), "z3 says unknown"),
        Doomed(_about("the other kernel", truth, _by_a_square), "normal form says not proved"),
        Doomed(_about("no hypothesis", sqrt(1 - alpha_t), _squared), "is not shown to be nonnegative"),
        Doomed(_about("a zero below", 1 / a, _times_a), "is not shown to be nonzero"),
        Doomed(_about("no logarithm", log(a) - log(a**2) / 2 + 2), "is not shown to be positive"),
        Doomed(_about("impossible", truth, given=impossible), "vacuous"),
        Doomed(_about("no proof", truth, lambda value: []), "the proof is empty"),
        Doomed(_about("one mutant", truth, mutants=wrong[:1]), "2 are needed"),
        Doomed(
            _about("true mutant", truth, mutants=(*wrong, mutant("it", value=truth))), "'it': not refuted"
        ),
        Doomed(
            _about("undecided mutant", truth, mutants=(*wrong, mutant("it", value=BEYOND))),
            "'it': not refuted",
        ),
        Doomed(
            _about("no polynomial", truth, lambda value: [equal(E(exp(z)), value, "")]), "cannot be decided"
        ),
        Doomed(
            _claim(
                "unread",
                Law("p", x, mu, u),
                lambda mean, variance: [equal(mean, mu, "mean")],
                mutants=(mutant("twice", mean=2 * mu), mutant("noisy", mean=mu + u)),
            ),
            "does not depend on the variance",
        ),
    ]


def _claim(
    name: str,
    statement: Statement,
    proof: Callable[..., list[Obligation]],
    given: Sequence[Relational] = (),
    mutants: Sequence[Mutant] = (),
) -> Claim:
    """A claim that is in no book."""
    return Claim(f"canary.{name}", name, statement, tuple(given), proof, tuple(mutants))


def _is_two(value: Expr) -> list[Obligation]:
    return [equal(value, 2, "as stated")]


def _squared(value: Expr) -> list[Obligation]:
    return [equal(value**2, 1 - alpha_t, "squared")]


def _expanded(value: Expr) -> list[Obligation]:
    return [equal(value, log(u) ** 2 + log(u) * log(v), "written out")]


def _by_a_square(value: Expr) -> list[Obligation]:
    return [equal(value, 2, "as stated"), at_most(value * u * v, u**2 + v**2, "a square")]


def _times_a(value: Expr) -> list[Obligation]:
    return [equal(value * a, 1, "times a")]


def _about(
    name: str,
    value: Expr,
    proof: Callable[[Expr], list[Obligation]] = _is_two,
    given: Sequence[Relational] = (),
    mutants: Sequence[Mutant] | None = None,
) -> Claim:
    wrong = (mutant("twice and one", value=2 * value + 1), mutant("one more", value=value + 1))
    return _claim(name, Equation("y", value), proof, given, wrong if mutants is None else mutants)


def problems() -> Iterator[str]:
    """Put every question anew, and name each whose answer is not the known one."""
    for question in questions():
        asked = question.obligation
        for kernel, known in ((normal_form, question.normal_form), (z3_kernel, question.z3)):
            if (said := _answer(kernel.decide, asked)) != known:
                yield f"{asked.note}: {kernel.NAME} says {said}, and {known} is right"
        if (said := _answer(_refuted, asked)) not in (str(question.refuted), NO_ANSWER):
            yield f"{asked.note}: refuted at a point? {said}, and that is not right"
    for part, need, given, known in MEANINGS:
        if (said := z3_kernel.is_always(part, need, given)) != known:
            yield f"{part} is {need}: z3 says {said}, and {known} is right"
    if (said := z3_kernel.is_satisfiable((Gt(a, 1), Lt(a, 0)))) != "no":
        yield f"hypotheses that cannot hold together: z3 says {said}"
    for canary in doomed():
        result = canary.claim.result
        if result.verdict != "failed" or not any(canary.because in problem for problem in result.problems):
            yield f"{canary.claim.id} is {result.verdict}, and must fail: {canary.because}"
    if (sound := about_two()).verdict != "proved":
        yield f"{sound.id} is {sound.verdict}, and must be proved"


def about_two(value: int = 2) -> Claim:
    """Claim that a number is two."""
    return _about("two", Integer(value))


MEANINGS: tuple[tuple[Expr, str, tuple[Relational, ...], str], ...] = (
    (a, "nonzero", (), "refuted"),
    (a, "nonzero", (Gt(a, 0),), "proved"),
    (u - v, "nonzero", (), "refuted"),
    (excess, "positive", (), "refuted"),
    (1 - u, "nonnegative", (), "refuted"),
    (1 - u, "nonnegative", BELOW_ONE, "proved"),
)


def _answer(asked: Callable[[Obligation], str], obligation: Obligation) -> str:
    try:
        return asked(obligation)
    except (ValueError, TypeError, PolynomialError):
        return NO_ANSWER


def _refuted(obligation: Obligation) -> str:
    """Whether a point refutes it, and does when both sides are computed there once more."""
    found = witness.refute(obligation)
    return str(found is not None and witness.fails(found.left, found.relation, found.right))
