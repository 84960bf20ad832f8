"""What the two kernels may not be talked into: formulas that mean nothing, lose a sign or forget d."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import (
    Abs,
    Eq,
    Expr,
    Float,
    Function,
    Ge,
    Gt,
    I,
    Integer,
    Le,
    Lt,
    Ne,
    Rational,
    Symbol,
    cos,
    exp,
    expand,
    log,
    pi,
    sqrt,
)
from sympy.core.relational import Relational

from derivations.gaussians import log_normal
from derivations.proof import claims, normal_form, witness, z3_kernel
from derivations.proof.claims import mutant
from derivations.proof.dimension import by_coordinates, by_inner_products, coordinate, gram
from derivations.proof.obligations import Obligation, at_most, equal, holds, less, well_posed
from derivations.proof.symbols import (
    E,
    T,
    alpha_t,
    d,
    eps,
    excess,
    inner,
    mu,
    scalar,
    sigma,
    sqnorm,
    t,
    tex,
    x,
    z,
)
from tests.made_claims import a, b, problems, state, u, v


def outcomes(obligation: Obligation) -> set[str]:
    return {normal_form.decide(obligation), z3_kernel.decide(obligation)}


def proved(obligation: Obligation) -> bool:
    return outcomes(obligation) == {"proved"}


def refused(obligation: Obligation) -> bool:
    """Neither kernel proves it."""
    return "proved" not in outcomes(obligation)


@pytest.fixture(autouse=True)
def _a_book_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_registry", {})


# -- traps of the tree that both kernels read ----------------------------------------------------------------


@pytest.mark.parametrize("number", [Float("0.5"), Float(1) / 3])
def test_floating_point_numbers_are_turned_away(number: Expr) -> None:
    with pytest.raises(ValueError, match=r"half: .* floating-point"):
        equal(number * a, a / 2, "half")


@pytest.mark.parametrize("symbol", [Symbol("u"), Symbol("sigma"), Symbol("argument", positive=True)])
def test_a_symbol_is_declared_once_with_its_domain_or_turned_away(symbol: Symbol) -> None:
    with pytest.raises(ValueError, match=r"itself: .* not declared"):
        equal(symbol, symbol, "itself")
    with pytest.raises(ValueError, match=r"itself: .* not declared"):
        equal(a, a, "itself", given=(Gt(symbol, 0, evaluate=False),))


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        scalar("sigma", r"\sigma")


@pytest.mark.parametrize(
    "strange",
    [
        I * a,
        sqrt(Integer(-1)),
        Abs(a),
        a ** Rational(1, 3),
        u**t,
        exp(1),
        Function("f")(a),
        1 / (a - a),
    ],
    ids=str,
)
def test_what_some_kernel_cannot_read_is_turned_away(strange: Expr) -> None:
    with pytest.raises(ValueError, match="no kernel reads"):
        equal(strange, strange, "itself")


def test_a_hypothesis_that_sympy_has_already_decided_is_turned_away() -> None:
    with pytest.raises(TypeError, match="hypothesis"):
        equal(u, u, "itself", given=(u > 0,))


RELATIONS = [
    (Eq(a, u), equal(a, u, "note", given=(v < 1,)), "="),
    (Le(a, u), at_most(a, u, "note", given=(v < 1,)), r"\leq"),
    (Ge(u, a, evaluate=False), at_most(a, u, "note", given=(v < 1,)), r"\leq"),
    (Lt(a, u), less(a, u, "note", given=(v < 1,)), "<"),
    (Gt(u, a, evaluate=False), less(a, u, "note", given=(v < 1,)), "<"),
]


@pytest.mark.parametrize(("relation", "obligation", "sign"), RELATIONS, ids=str)
def test_a_relation_is_an_obligation_with_its_smaller_side_first(
    relation: Relational, obligation: Obligation, sign: str
) -> None:
    assert holds(relation, "note", given=(v < 1,)) == obligation
    assert (obligation.note, obligation.given) == ("note", (v < 1,))
    assert obligation.latex == f"{tex(a)} {sign} {tex(u)}"
    assert obligation._repr_latex_() == rf"$\displaystyle {obligation.latex}$"


def test_an_obligation_compares_in_one_of_three_ways() -> None:
    with pytest.raises(ValueError, match="relation must be"):
        Obligation(a, ">=", u, "note", ())
    with pytest.raises(TypeError, match="expected an equation or an inequality"):
        holds(Ne(a, u), "note")
    with pytest.raises(TypeError, match="a hypothesis is an equation or an inequality"):
        equal(a, u, "note", given=(Ne(a, u),))


def test_a_relation_that_sympy_has_already_decided_is_no_obligation() -> None:
    with pytest.raises(TypeError, match="expected an equation or an inequality"):
        holds(u > 0, "positive")


def test_a_claim_that_a_kernel_leaves_open_names_the_kernel() -> None:
    said = problems(state(proof=lambda value: [equal(value, 1 + cos(a), "as stated")]))
    assert "normal form says not proved" in said
    assert "z3 says refuted" in said


# -- division, roots and logarithms --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "part", "need"),
    [
        (1 / a, a, "nonzero"),
        (a / (u - v), u - v, "nonzero"),
        (1 / (2 - T), 2 - T, "nonzero"),
        (sqrt(a), a, "nonnegative"),
        (sqrt(u - v), u - v, "nonnegative"),
        (1 / sqrt(excess), excess, "nonzero"),
        (log(a), a, "positive"),
        (log(excess), excess, "positive"),
        (log(-u), -u, "positive"),
        (log(3 * a**2), 3 * a**2, "positive"),
        (sqrt(3 - pi, evaluate=False), 3 - pi, "nonnegative"),
    ],
    ids=str,
)
def test_a_formula_that_may_mean_nothing_is_not_proved(expression: Expr, part: Expr, need: str) -> None:
    assert (part, need) in well_posed(expression)
    assert f"{part} is not shown to be {need}" in problems(
        state(expression, lambda value: [equal(value, expression, "itself")])
    )


def test_hypotheses_may_give_a_formula_its_meaning() -> None:
    assert state(1 / a, lambda value: [equal(value * a, 1, "inverse")], (Gt(a, 0),)).verdict == "proved"


def test_what_the_statement_divides_by_counts_even_if_the_proof_cancels_it() -> None:
    stated = state(1 / a, lambda value: [equal(value * a, 1, "inverse")])
    assert stated.obligations()[0].left == 1  # nothing of the division is left
    assert "argument is not shown to be nonzero" in problems(stated)


def test_a_denominator_in_d_must_be_nonzero_for_every_d() -> None:
    assert "2 - d is not shown to be nonzero" in problems(
        state(
            a / (2 - d),
            lambda value: [equal(value * (2 - d), a, "times it")],
            mutants=(mutant("twice", value=2 * a / (2 - d)), mutant("half", value=a / (2 - d) / 2)),
        )
    )


def test_total_division_proves_nothing() -> None:
    # with z3's own division 1/0 is some number, the same each time
    assert z3_kernel.is_always(a, "nonzero", ()) == "refuted"
    assert z3_kernel.is_always(a, "nonzero", (Gt(a, 0),)) == "proved"
    assert refused(equal((a + 1) / (b - 1), a / (b - 1), "quotients"))


def test_the_root_of_a_square_is_no_number_of_unknown_sign() -> None:
    square = sqrt(a**2 + 2 * a * b + b**2)
    assert refused(equal(square, a + b, "root of a square"))
    assert proved(equal(square**4, (a + b) ** 4, "fourth power of the root"))


def test_a_root_is_not_its_negative() -> None:
    assert refused(equal(sqrt(u + v), -sqrt(u + v), "signs of a root"))
    assert refused(equal(sqrt(1 + u) * sqrt(1 + v), 1 + u * v, "product of roots"))


def test_logarithms_are_split_over_products_and_roots_and_nothing_else() -> None:
    assert proved(equal(log(u**2 - v**2), log(u - v) + log(u + v), "product", given=(v < u,)))
    assert proved(equal(log(sqrt(u + v)), log(u + v) / 2, "root"))
    assert refused(equal(log(u + v), log(u) + log(v), "sum"))
    assert refused(equal(a * log(u) + b * log(v), 0, "coefficients that are no multiples"))


def test_z3_does_not_call_refuted_what_it_cannot_see_through() -> None:
    nothing = b * (a + 1) - b * a - b  # zero, though SymPy does not see it
    assert z3_kernel.decide(equal(nothing * log(u), 0, "no logarithm at all")) == "unknown"
    assert z3_kernel.decide(equal(a * log(u), b * log(u), "other coefficients")) == "unknown"


def test_a_logarithm_of_a_root_of_a_quotient_keeps_the_denominator() -> None:
    root = sqrt((1 - a) / (1 - b))
    inside = (a < 1, b < 1)
    without = (1 - a) + 2 * root * (1 - b) + (1 - b)  # (1 + root)² times (1 - b)
    assert refused(equal(log((1 + root) ** 2), log(without), "without it", given=inside))
    assert (
        normal_form.decide(equal(log((1 + root) ** 2), log(without) - log(1 - b), "with it", given=inside))
        == "proved"
    )


def test_functions_of_other_arguments_are_other_numbers() -> None:
    assert refused(equal(cos(a), cos(b), "cosines"))
    assert refused(equal(exp(a), 1 + a, "exponential"))
    assert refused(equal(pi, Rational(22, 7), "pi"))


# -- dimension -----------------------------------------------------------------------------------------------


def test_what_holds_in_one_dimension_alone_is_not_proved() -> None:
    one = -log(2 * pi * sigma**2) / 2 - sqnorm(x - mu) / (2 * sigma**2)
    assert refused(equal(log_normal(x, mu, sigma**2), one, "normaliser of one dimension"))
    assert refused(equal(sqnorm(x) * mu, inner(x, mu) * x, "parallel, as all numbers are"))
    assert refused(equal(E(sqnorm(eps)), 1, "norm of the noise"))


@pytest.mark.parametrize(
    "formula",
    [
        d**2 - 3 * d + 2,
        (d - 1) * sqnorm(x) - (d - 1) * sqnorm(x + mu),
        sqnorm(x) * sqnorm(mu) - inner(x, mu) ** 2,
        sqnorm(x) / d,
        1 / (3 - d),
        log(d),
        sqrt(1 + sqnorm(x)),
        cos(d),
        E(sqnorm(z) ** 2),
        sqnorm(d * x),
        sqnorm(sqnorm(x) * mu),
        inner(E(z**2) * x, mu),
        sqnorm(inner(x, mu) * x),
    ],
    ids=str,
)
def test_two_dimensions_decide_only_what_is_linear_in_d_and_norms(formula: Expr) -> None:
    with pytest.raises(ValueError, match=r"^formula: .*(d = 1|scalar coefficients)"):
        equal(formula, 0, "formula")


@pytest.mark.parametrize(
    ("formula", "dimensions"),
    [
        (a + u, (1,)),
        (d, (1, 2)),
        (x, (1, 2)),
        (E(z**2), (1, 2)),
        (sqnorm(x - mu), (1, 2)),
        (inner(x, mu), (1, 2)),
        (sqnorm(Integer(0)), (1, 2)),  # a norm is read as one, whatever stands in it
        (inner(Integer(0), Integer(0)), (1, 2)),
        (E(Integer(1)), (1, 2)),
    ],
    ids=str,
)
def test_what_speaks_of_vectors_is_decided_in_one_dimension_and_in_two(
    formula: Expr, dimensions: tuple[int, ...]
) -> None:
    assert equal(formula, 0, "left").dimensions == equal(0, formula, "right").dimensions == dimensions


def test_two_dimensions_decide_no_inequality() -> None:
    for formula in (5 - 2 * d, sqnorm(x)):
        with pytest.raises(ValueError, match="d = 1"):
            at_most(0, formula, "not negative")


def test_hypotheses_speak_of_scalars() -> None:
    for hypothesis in (Eq(z, 2), Ge(d, 2), Eq(sqnorm(x), 1)):
        with pytest.raises(ValueError, match="vectors or d"):
            equal(E(z**2), 1, "second moment", given=(hypothesis,))


def test_a_formula_in_coordinates_has_every_coordinate_of_a_norm_and_the_first_of_a_bare_vector() -> None:
    x_1, x_2, mu_1, mu_2 = (coordinate(symbol, index) for symbol in (x, mu) for index in (1, 2))
    assert by_coordinates(sqnorm(x - a * mu), 2) == (x_1 - a * mu_1) ** 2 + (x_2 - a * mu_2) ** 2
    assert by_coordinates(inner(x, 2 * mu), 2) == 2 * x_1 * mu_1 + 2 * x_2 * mu_2
    assert by_coordinates(inner(x, mu), 1) == x_1 * mu_1
    for dimension in (1, 2):
        assert by_coordinates(a * x + d * mu, dimension) == a * x_1 + dimension * mu_1
    for index in (1, 2, 3):
        assert tex(coordinate(x, index)) == f"{{{tex(x)}}}_{{[{index}]}}"


@pytest.mark.parametrize("power", range(9))
def test_isserlis_and_stein_agree_on_every_moment(power: int) -> None:
    assert by_inner_products(E(z**power)) == by_coordinates(E(z**power), 1)
    assert by_inner_products(E(a * z**power * eps**4)) == by_coordinates(E(a * z**power * eps**4), 1)


polynomials_in_noise = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 4), st.integers(0, 4), st.sampled_from([a, u, Integer(1)])),
    min_size=1,
    max_size=4,
).map(lambda terms: sum((k * c * z**m * eps**n for k, m, n, c in terms), Integer(0)))


@given(polynomials_in_noise)
def test_isserlis_and_stein_agree_on_every_polynomial_in_a_coordinate(polynomial: Expr) -> None:
    assert expand(by_inner_products(E(polynomial)) - by_coordinates(E(polynomial), 1)) == 0


@given(*[st.integers(-3, 3)] * 4, st.sampled_from([1, 2]))
def test_isserlis_and_stein_agree_on_every_square_in_a_vector(
    i: int, j: int, k: int, n: int, dimension: int
) -> None:
    square = E(sqnorm(i * eps + j * z + k * u * mu) + n * inner(eps, mu + z + 2 * eps))
    written_out = by_inner_products(square).xreplace(
        {gram(mu, mu): by_coordinates(sqnorm(mu), dimension), d: Integer(dimension)}
    )
    assert expand(written_out - by_coordinates(square, dimension)) == 0


# -- identities and inequalities at random -------------------------------------------------------------------

atoms = st.sampled_from([a, b, u, v, excess]) | st.integers(-3, 3).map(Integer)
expressions = st.recursive(
    atoms,
    lambda inside: st.one_of(
        st.tuples(inside, inside).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inside, inside).map(lambda pair: pair[0] * pair[1]),
        inside.map(lambda e: e / (1 + u)),
        inside.map(lambda e: e * sqrt(1 + v)),
    ),
    max_leaves=4,
)
STEPS: dict[str, Callable[[Expr], Expr]] = {
    "a mean of itself": lambda e: (e * u + e * v) / (u + v),
    "difference of squares": lambda e: ((e + u) ** 2 - (e - u) ** 2) / (4 * u),
    "root conjugated": lambda e: e * (sqrt(1 + u) - 1) * (sqrt(1 + u) + 1) / u,
    "written out": lambda e: e.expand(),
}
rewritings = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=2)


@settings(max_examples=30)
@given(expressions, rewritings)
def test_an_expression_equals_every_rewriting_of_it(expression: Expr, steps: list[str]) -> None:
    rewritten = expression
    for step in steps:
        rewritten = STEPS[step](rewritten)
    assert proved(equal(expression, rewritten, "rewritten"))


@settings(max_examples=30)
@given(expressions, rewritings, st.sampled_from([Integer(1), -u, a * u, b - a, 1 / (1 + u)]))
def test_a_perturbed_rewriting_is_refuted_and_never_proved(
    expression: Expr, steps: list[str], error: Expr
) -> None:
    rewritten = expression + error
    for step in steps:
        rewritten = STEPS[step](rewritten)
    obligation = equal(expression, rewritten, "perturbed")
    assert refused(obligation)
    assert witness.refute(obligation) is not None


@settings(max_examples=40)
@given(expressions, expressions)
def test_the_kernels_and_exact_evaluation_agree_on_whether_two_expressions_are_equal(
    left: Expr, right: Expr
) -> None:
    obligation = equal(left, right, "any two")
    assert proved(obligation) == (witness.refute(obligation) is None)


terms = st.tuples(
    st.integers(-2, 4),
    st.sampled_from([Integer(1), alpha_t, u, excess, a**2, a, alpha_t * u, alpha_t * excess]),
)


@settings(max_examples=60)
@given(st.lists(terms, min_size=1, max_size=4), st.booleans())
def test_what_a_positivity_certificate_certifies_no_point_refutes(
    parts: list[tuple[int, Expr]], strict: bool
) -> None:
    polynomial = sum((k * term for k, term in parts), Integer(0))
    compare = less if strict else at_most
    obligation = compare(0, polynomial, "sign", given=(alpha_t < 1,))
    if "proved" in outcomes(obligation):
        assert witness.refute(obligation, tries=1000) is None


def test_positivity_certificates_see_the_ends_of_each_domain() -> None:
    assert proved(less(0, u, "positive"))
    assert refused(less(0, excess, "may be zero"))
    assert proved(at_most(0, excess, "not negative"))
    assert proved(less(0, 1 - alpha_t, "below one", given=(alpha_t < 1,)))
    assert refused(less(0, 1 - alpha_t, "at most one", given=(alpha_t <= 1,)))
    assert proved(at_most(0, 1 - alpha_t, "at most one", given=(alpha_t <= 1,)))
    assert refused(at_most(0, 1 - alpha_t, "unbounded"))
    assert proved(less(0, T, "a whole number"))
    assert proved(at_most(1, T, "a whole number"))
    assert refused(at_most(2, T, "a whole number"))
    assert refused(at_most(0, a, "of unknown sign"))
