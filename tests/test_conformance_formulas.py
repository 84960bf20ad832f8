"""What the kit computes with: the claims' formulas, a schedule's symbols, and how far rounding takes them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ddpm_ref.conformance import formulas
from ddpm_ref.conformance.formulas import Formula, Mutant, book, elementwise, exact, mp
from ddpm_ref.conformance.rounding import deviation_bound, rounding_bound, through_the_image
from ddpm_ref.conformance.steps import EPS, MISREADINGS, Steps, column, spreads
from ddpm_ref.schedule import Schedule
from derivations.proof.symbols import VECTORS
from tests import oracle

BOOK = book()
few = settings(max_examples=20)  # of each operation
CHAPTERS = sorted({id.partition(".")[0] for id in BOOK.claims})


def _formulas(chapter: str) -> list[tuple[str, str, Formula]]:
    """List the formulas that the kit can evaluate, with the claim and the part."""
    return [
        (id, part, formula)
        for id, claim in BOOK.claims.items()
        for part, formula in claim.parts.items()
        if id.startswith(f"{chapter}.") and "inner(" not in formula.text
    ]


def _drawn(formula: Formula, shape: tuple[int, ...] = (1, 3)) -> dict[str, Any]:
    """Draw a value for every symbol, which float32 holds."""
    random = np.random.default_rng(len(formula.text))
    drawn: dict[str, Any] = {}
    for name in sorted(formula.symbols):
        vector = name in BOOK.vectors
        values = random.standard_normal(shape) if vector else random.uniform(0.1, 0.9)
        drawn[name] = exact(np.float32(values)) if vector else mp.mpf(float(np.float32(values)))
    return drawn


def _one(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first example of a batch, as the oracle takes it."""
    return {name: value[0] if np.ndim(value) else value for name, value in values.items()}


# -- formulas ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_formula_has_the_value_of_its_claim(chapter: str) -> None:
    for id, part, formula in _formulas(chapter):
        values = _drawn(formula)
        wanted = oracle.evaluate(oracle.CLAIMS[id].parts[part], _one(values))
        found = np.asarray(formula(values), dtype=object)
        assert np.all(np.abs(found - wanted) <= mp.mpf("1e-45") * np.abs(wanted)), id
        real = np.array([math.nan if mp.im(value) else float(value) for value in found.ravel()])
        size = np.ravel(formula.magnitude(values, frozenset()))  # where no data stands, the value's own
        assert np.allclose(size, np.abs(real), rtol=1e-12, equal_nan=True), id


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_rounding_is_relative_to_the_terms_in_which_data_stands(chapter: str) -> None:
    for id, part, formula in _formulas(chapter):
        values = _drawn(formula)
        terms = oracle.magnitude(oracle.CLAIMS[id].parts[part], _one(values))
        size = np.ravel(formula.magnitude(values, BOOK.vectors))
        names = re.findall(r"\w+", formula.text)
        if all(names.count(name) == 1 for name in formula.symbols & BOOK.vectors):
            assert np.allclose(size, np.asarray(terms, dtype=float), rtol=1e-12, equal_nan=True), id
        else:  # as it is printed, what belongs to one vector is spread over several terms
            assert np.all(size >= np.asarray(terms, dtype=float)), id


def test_a_size_without_bound_is_infinite() -> None:
    assert Formula("1/x").magnitude({"x": mp.mpf(0)}, frozenset()) == math.inf


def test_a_claim_has_its_title_and_a_mutant_says_where_it_was_seen() -> None:
    read = formulas.book.__wrapped__()
    assert read.vectors == {vector.name for vector in VECTORS}
    for id, claim in read.claims.items():
        source = oracle.CLAIMS[id]
        assert set(claim.parts) == set(source.parts)
        assert (claim.id, claim.title) == (id, source.title)
        for mutant, wrong in zip(claim.mutants, source.mutants, strict=True):
            assert mutant.name == wrong.name
            assert mutant.described == (f"{wrong.name} ({wrong.seen})" if wrong.seen else wrong.name)
            assert set(mutant.parts) == set(wrong.parts)
    assert Mutant("roots exchanged", "", {}).described == "roots exchanged"


@pytest.mark.parametrize(
    ("text", "symbols", "operations"),
    [
        ("x", {"x"}, 0),
        ("-x", {"x"}, 0),
        ("2*pi", set(), 1),
        ("sqrt(x*y) - 3", {"x", "y"}, 3),
        ("sqnorm(x - y)**2/(1 + z)", {"x", "y", "z"}, 5),
    ],
)
def test_a_formula_knows_its_symbols_and_how_often_it_rounds(
    text: str, symbols: set[str], operations: int
) -> None:
    formula = Formula(text)
    assert formula.symbols == symbols
    assert formula.operations == operations


@few
@given(st.lists(st.floats(allow_nan=False), min_size=6, max_size=6))
def test_floats_are_taken_for_the_numbers_they_are(values: list[float]) -> None:
    array = np.array(values).reshape(1, 2, 3)
    numbers = exact(array)
    assert numbers.shape == array.shape
    assert [float(number) for number in numbers.ravel()] == values
    assert exact(0.1) == mp.mpf(0.1) != mp.mpf("0.1")
    assert exact(np.float32(0.1)) == mp.mpf(float(np.float32(0.1)))


def test_a_function_of_numbers_is_taken_entry_by_entry() -> None:
    roots = elementwise(mp.sqrt)(exact([[1, 4], [9, 2]]))
    assert roots.tolist() == [[1, 2], [3, mp.sqrt(2)]]
    assert elementwise(lambda a, b: a - b, 2)(exact([5, 7]), exact([2])).tolist() == [3, 5]


def test_the_squared_norm_is_one_number_for_each_example() -> None:
    u = exact(np.arange(12.0).reshape(2, 1, 2, 3))
    found = Formula("sqnorm(u)")({"u": u})
    assert found.shape == (2, 1, 1, 1)
    assert found.ravel().tolist() == [sum(k * k for k in range(6)), sum(k * k for k in range(6, 12))]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"claims": {}}',
        '{"vectors": []}',
        '{"vectors": [], "claims": []}',
        '{"vectors": [], "claims": {"a.b": {"title": "", "parts": {}}}}',
        '{"vectors": [], "claims": {"a.b": {"title": "", "parts": {}, "mutants": [1]}}}',
    ],
)
def test_a_file_that_is_no_book_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formulas, "FILE", tmp_path / "some.json")
    (tmp_path / "some.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"some\.json is not a book of formulas"):
        formulas.book.__wrapped__()


# -- a schedule's symbols ------------------------------------------------------------------------------------

SCHEDULES = st.lists(oracle.BETAS, min_size=1, max_size=6)
NUMBERS = ("t", "T", "beta_t", "alpha_t", "alpha_bar_t", "alpha_bar_prev", "alpha_next", "alpha_bar_next")


@given(SCHEDULES)
def test_the_symbols_of_a_schedule_are_composed_of_its_betas(betas: list[float]) -> None:
    T = len(betas)
    found = Steps(np.array(betas)).at(range(1, T + 1))
    for t in range(1, T + 1):
        for name, wanted in oracle.steps(Schedule.from_betas(betas), t).items():
            value = found[name] if name == "T" else found[name][t - 1, 0, 0, 0]
            assert abs(value - wanted) <= mp.mpf("1e-45") * abs(wanted), name
    assert set(found) == {*NUMBERS, "alpha_bar_s"}
    assert all(found[name].shape == (T, 1, 1, 1) for name in found if name != "T")
    assert np.all(found["alpha_bar_s"] == found["alpha_bar_prev"])


@given(SCHEDULES, st.data())
def test_a_step_may_be_followed_by_any_earlier_one(betas: list[float], data: st.DataObject) -> None:
    steps = Steps(np.array(betas))
    t = data.draw(st.integers(1, len(betas)))
    s = data.draw(st.integers(0, t - 1))
    bar = steps.at([t], [s])["alpha_bar_s"].item()
    assert bar == (steps.at([s])["alpha_bar_t"].item() if s else 1)


def test_where_there_is_no_step_there_is_no_number() -> None:
    steps = Steps(np.array([0.1, 0.2]))
    before, last, beyond = (steps.at([t]) for t in (0, 2, 3))
    assert steps.T == 2
    for name in ("beta_t", "alpha_t", "alpha_bar_t"):
        assert mp.isnan(before[name].item())
        assert mp.isnan(beyond[name].item())
        assert mp.isfinite(last[name].item())
    for name in ("alpha_next", "alpha_bar_next"):
        assert mp.isnan(last[name].item())
        assert mp.isnan(beyond[name].item())
    assert before["alpha_bar_prev"].item() == 1
    assert before["alpha_bar_next"].item() == steps.at([1])["alpha_bar_t"].item()
    assert beyond["alpha_bar_prev"].item() == last["alpha_bar_t"].item()


def test_the_gap_after_one_is_the_dtypes() -> None:
    assert {name: torch.finfo(getattr(torch, name)).eps for name in EPS} == EPS
    assert set(EPS) == {"float64", "float32", "float16", "bfloat16"}


@pytest.mark.parametrize("dtype", EPS)
def test_a_symbol_is_off_by_what_is_rounded_on_the_way_to_it(dtype: str) -> None:
    """One rounding where it is kept, and two for each factor, in float32 at least."""
    steps, t = Steps(np.linspace(0.01, 0.3, 9)), np.arange(1, 10)
    symbols = steps.at(t, np.maximum(t - 3, 0))
    off = spreads(symbols, t, dtype)
    product = min(EPS[dtype], EPS["float32"])
    assert set(off) == set(symbols) - {"t", "T"}
    factors = {"alpha_bar_t": t, "alpha_bar_prev": t - 1, "alpha_bar_s": t, "alpha_bar_next": t + 1}
    for name, moved in off.items():
        size = symbols[name].astype(float).ravel()
        wanted = (EPS[dtype] + product * factors.get(name, np.ones(9))) * np.where(size == 1, 0, size)
        assert moved.shape == (9, 1, 1, 1)
        assert np.allclose(moved.ravel(), wanted, rtol=1e-12, atol=0, equal_nan=True), name
    assert off["alpha_bar_prev"][0] == 0  # ᾱ_0 = 1, exactly
    assert not spreads({"zero": column([mp.mpf(0)])}, [1], dtype)["zero"].any()


@given(SCHEDULES)
def test_tables_in_float32_are_off_by_no_more(betas: list[float]) -> None:
    kept, t = np.array(betas, dtype=np.float32), np.arange(1, len(betas) + 1)
    symbols = Steps(kept.astype(np.float64)).at(t)
    bar = np.cumprod(1 - kept)
    off = spreads(symbols, t, "float32")
    tables = {"alpha_t": 1 - kept, "alpha_bar_t": bar, "alpha_bar_prev": np.append(np.float32(1), bar[:-1])}
    for name, found in tables.items():
        error = np.abs(exact(found) - symbols[name].ravel()).astype(float)
        assert np.all(error <= off[name].ravel()), name


# What code gets where ᾱ_{t−1} should be, from the array bar = [ᾱ_1 … ᾱ_T].
PADDED: dict[str, Callable[[Any], Any]] = {
    "": lambda bar: np.append(1, bar[:-1]),
    "ᾱ_{t-1} is ᾱ_{t+1}: padded": lambda bar: np.append(bar[1:], mp.nan),
    "ᾱ_0 is ᾱ_1": lambda bar: np.append(bar[:1], bar[:-1]),
    "ᾱ_0 is ᾱ_T": lambda bar: bar[np.arange(len(bar)) - 1],
    "ᾱ_0 is 0": lambda bar: np.append(0, bar[:-1]),
    "ᾱ_{t-1} is ᾱ_t": lambda bar: bar,
    "ᾱ_{t-1} is ᾱ_t, and 1 at t = T": lambda bar: np.append(bar[:-1], 1),
    "ᾱ_{t-1} is ᾱ_{t+1}, and 1 at t = T": lambda bar: np.append(bar[1:], 1),
    "ᾱ_{t-1} is ᾱ_{t+1}, and 0 at t = T": lambda bar: np.append(bar[1:], 0),
}
SEVEN = Steps(np.linspace(0.01, 0.3, 7))


def _misread(words: str, t: Any, s: Any, N: Any = 0) -> tuple[dict[str, Any], set[str]]:
    """Read a schedule as the misreading that begins with these words; say also what then differs."""
    misreading = next(m for m in MISREADINGS if m.name.startswith(words))
    wrong, right = misreading.symbols(SEVEN, t, s, N), SEVEN.at(t, s)
    same = {name: (wrong[name] == right[name]) | (right[name] != right[name]) for name in right}
    return wrong, {name for name in right if not np.all(same[name])}


def _bar() -> Any:
    return SEVEN.at(range(1, 8))["alpha_bar_t"].ravel()


def test_a_table_that_is_padded_wrongly_is_read_as_code_reads_it() -> None:
    t = np.arange(1, 8)
    for words, padded in PADDED.items():
        wrong, changed = _misread(words, t, t - 1)
        pairs = zip(wrong["alpha_bar_prev"].ravel(), padded(_bar()), strict=True)
        assert all(a == b or (mp.isnan(a) and mp.isnan(b)) for a, b in pairs), words
        if words.endswith(": padded"):
            assert changed == {"alpha_bar_prev"}
        elif words:
            assert changed == {"alpha_bar_prev", "alpha_bar_s"}
            assert np.all(wrong["alpha_bar_s"] == wrong["alpha_bar_prev"])


@pytest.mark.parametrize(("words", "first"), [("ᾱ_0 is ᾱ_1", 0), ("ᾱ_0 is ᾱ_T", -1)])
def test_what_is_before_the_first_step_is_where_every_sampler_ends(words: str, first: int) -> None:
    t, s, bar = np.array([1, 4, 7]), np.array([0, 0, 4]), _bar()
    wrong, changed = _misread(words, t, s)
    assert wrong["alpha_bar_s"].ravel().tolist() == [bar[first], bar[first], bar[3]]
    assert wrong["alpha_bar_prev"].ravel().tolist() == [bar[first], bar[2], bar[5]]
    assert changed == {"alpha_bar_prev", "alpha_bar_s"}


@pytest.mark.parametrize(("words", "by"), [("t is read as t - 1", -1), ("t is read as t + 1", 1)])
def test_an_index_base_that_is_off_by_one_moves_every_symbol(words: str, by: int) -> None:
    t, s = np.array([2, 4, 5]), np.array([1, 1, 3])
    wrong, changed = _misread(words, t, s)
    moved = SEVEN.at(t + by, s + by)
    assert all(np.all(wrong[name] == moved[name]) for name in moved)
    assert changed == set(moved) - {"T"}


AFTER = {
    "": [0, 2, 3, 1],
    "the step before t is taken to be t - 1": [0, 3, 5, 6],
    "the step before t is taken to be t - ⌊T/N⌋, whichever": [0, 1, 4, 0],
    "the step before t is taken to be t - ⌊T/N⌋, and ᾱ_0 to be ᾱ_1": [1, 1, 4, 1],
}


def test_where_steps_are_skipped_another_step_is_taken_for_the_next() -> None:
    t, s, N = np.array([1, 4, 6, 7]), np.array([0, 2, 3, 1]), np.array([2, 2, 3, 1])
    bar = np.append(1, _bar())
    for words, after in AFTER.items():
        wrong, changed = _misread(words, t, s, N)
        assert wrong["alpha_bar_s"].ravel().tolist() == bar[after].tolist(), words
        assert changed == ({"alpha_bar_s"} if words else set())


# -- rounding ------------------------------------------------------------------------------------------------

# One operation each, and how many times the largest error the bound on it may be, where errors are small.
OPERATIONS = {
    "x + y": 1.0,
    "x - y": 1.0,
    "x*y": 1.0,
    "x/y": 1.0,
    "x**2": 1.0,
    "x**3": 1.0,
    "x**(-2)": 1.0,
    "sqrt(x)": 2.0,
    "log(x)": 1.0,
    "exp(x)": 1.0,
    "cos(x)": 1.2,
    "-x": 1.0,
}
POSITIVE = st.floats(1e-3, 4)
OFF = st.floats(1e-9, 1) | st.just(0.0)


def _corners(text: str, x: float, y: float, dx: float, dy: float) -> float:
    """Return the largest error of an operation whose arguments are off by as much as they may be."""
    formula = Formula(text)
    right = formula({"x": mp.mpf(x), "y": mp.mpf(y)})
    moved = (
        formula({"x": max(mp.mpf(x) + i * mp.mpf(dx), mp.mpf(0)), "y": mp.mpf(y) + j * mp.mpf(dy)})
        for i, j in product((-1, 0, 1), repeat=2)
        if text != "log(x)" or x + i * dx > 0
    )
    return float(max(abs(value - right) for value in moved))


def _bounded(text: str, x: float, y: float, dx: float, dy: float, eps: float = 0.0) -> float:
    numbers = {"x": mp.mpf(x), "y": mp.mpf(y)}
    return float(rounding_bound(Formula(text), numbers, {"x": dx, "y": dy}, eps))


@pytest.mark.parametrize("text", OPERATIONS)
@few
@given(x=POSITIVE, y=POSITIVE, dx=OFF, dy=OFF)
@example(x=0.25, y=1.0, dx=0.1, dy=0.0)
@example(x=1.0, y=1.0, dx=0.4, dy=0.0)
@example(x=1e-3, y=0.5, dx=1.0, dy=0.4)
def test_no_error_exceeds_the_bound(text: str, x: float, y: float, dx: float, dy: float) -> None:
    bound = _bounded(text, x, y, dx, dy)
    if (text == "x/y" and dy >= y) or (text == "x**(-2)" and dx >= x) or (text == "log(x)" and dx >= x):
        assert bound == math.inf
        return
    assert _corners(text, x, y, dx, dy) <= bound * (1 + 1e-12)


@pytest.mark.parametrize("text", OPERATIONS)
@few
@given(x=st.floats(1, 2), y=st.floats(0.1, 2), dx=st.floats(1e-3, 1e-2), dy=st.floats(0, 1e-3))
def test_the_bound_is_not_much_more_than_the_error(
    text: str, x: float, y: float, dx: float, dy: float
) -> None:
    assert _bounded(text, x, y, dx, dy) <= OPERATIONS[text] * 1.05 * _corners(text, x, y, dx, dy)
    assert _bounded(text, x, y, 0, 0) == 0


@given(x=st.floats(0.1, 2), share=st.floats(0.01, 4))
def test_large_errors_are_not_bounded_by_much_more_either(x: float, share: float) -> None:
    root = _corners("sqrt(x)", x, 1, share * x, 0)
    assert root <= _bounded("sqrt(x)", x, 1, share * x, 0) * (1 + 1e-12) <= 2 * root * (1 + 1e-9)
    if share < 0.99:
        logarithm = _corners("log(x)", x, 1, share * x, 0)
        assert _bounded("log(x)", x, 1, share * x, 0) == pytest.approx(logarithm, rel=1e-9)


def test_where_rounding_may_lead_to_zero() -> None:
    assert _bounded("sqrt(x)", 0, 1, 0.25, 0) == 0.5
    assert _bounded("sqrt(x)", -1, 1, 4, 0) == 2  # a variance, say, that was rounded below zero
    assert _bounded("sqrt(x)", 0, 1, 0, 0) == 0
    assert _bounded("x/y", 1, 0.5, 0, 0.5) == math.inf
    assert _bounded("x/y", 0, 0.5, 0, 0.5) == math.inf


@pytest.mark.parametrize("text", OPERATIONS)
@few
@given(x=POSITIVE, y=POSITIVE)
def test_an_operation_rounds_once(text: str, x: float, y: float) -> None:
    size = abs(float(Formula(text)({"x": mp.mpf(x), "y": mp.mpf(y)})))
    once = 0 if text == "-x" else 2.0**-10 * size
    assert _bounded(text, x, y, 0, 0, 2.0**-10) == pytest.approx(once, rel=1e-9)
    more = _bounded(text, x, y, x / 9, y / 9, 2.0**-10) - _bounded(text, x, y, x / 9, y / 9)
    assert more == pytest.approx(once, rel=1e-6)


def test_a_constant_is_exact_and_pi_is_not() -> None:
    assert rounding_bound(Formula("3"), {}, {}, 0.5) == 0
    assert rounding_bound(Formula("pi"), {}, {}, 0.5) == math.pi / 2


@pytest.mark.parametrize("examples", [1, 3])
def test_a_squared_norm_is_bounded_for_each_example(examples: int) -> None:
    u = np.random.default_rng(0).standard_normal((examples, 2, 1, 2))
    off = np.linspace(0.001, 0.6, u.size).reshape(u.shape)
    found = rounding_bound(Formula("sqnorm(u)"), {"u": exact(u)}, {"u": off}, 0.0)
    worst = np.sum((np.abs(u) + off) ** 2 - u**2, axis=(1, 2, 3), keepdims=True)
    assert found.shape == (examples, 1, 1, 1)
    assert np.allclose(found, worst, rtol=1e-12)
    rounded = rounding_bound(Formula("sqnorm(u)"), {"u": exact(u)}, {}, 2.0**-10)
    assert np.allclose(rounded, 4 * 2.0**-10 * np.sum(u**2, axis=(1, 2, 3), keepdims=True))  # for each term


FLOAT32: dict[str, Any] = {
    "sqrt": np.sqrt,
    "log": np.log,
    "exp": np.exp,
    "cos": np.cos,
    "pi": np.float32(np.pi),
    "sqnorm": lambda u: np.sum(u * u, axis=(1, 2, 3), keepdims=True),
}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_float32_gives_is_within_the_bound(chapter: str) -> None:
    for id, _, formula in _formulas(chapter):
        values = _drawn(formula, (2, 1, 1, 3))
        truth = np.asarray(formula(values), dtype=object)
        if any(mp.im(number) for number in truth.ravel()):
            continue
        arrays = {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}
        found = np.asarray(eval(formula.text, {**FLOAT32, **arrays}))
        off = np.asarray(np.abs(exact(found) - truth), dtype=float)
        bound = rounding_bound(formula, values, {}, EPS["float32"])
        assert np.all(off <= bound), id
        assert np.all(bound <= 1e-3 * formula.magnitude(values, BOOK.vectors)), id


def test_a_root_of_a_variance_is_bounded_as_a_formulas_root_is() -> None:
    variance, off = np.array([0.0, 0.25, 1.0]), np.array([0.1, 0.2, 0.01])
    wanted = rounding_bound(Formula("sqrt(v)"), {"v": variance}, {"v": off}, 2.0**-10)
    found = deviation_bound(exact(variance), off, 2.0**-10)
    assert found.dtype == np.float64
    assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize("dtype", EPS)
def test_a_mean_by_way_of_the_image_rounds_as_one_formula(dtype: str) -> None:
    t = np.arange(1, 8)
    random = np.random.default_rng(1)
    symbols = SEVEN.at(t)
    images = {name: exact(random.standard_normal((7, 1, 1, 2))) for name in ("x_t", "eps", "x_0")}
    image, mean = (
        BOOK.claims[id].parts["value"].text for id in ("parameterization.x0-from-eps", "posterior.mean")
    )
    whole = Formula(re.sub(r"\bx_0\b", f"({image})", mean))
    values, off = {**symbols, **images}, spreads(symbols, t, dtype)
    wanted = rounding_bound(whole, values, off, EPS[dtype])
    assert np.allclose(through_the_image(values, off, EPS[dtype]), wanted, rtol=1e-12)
    assert np.all(wanted[1:] > 0)
