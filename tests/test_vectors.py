"""The conformance vectors: what they are made of, that they are true, what they catch, how they are read."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import flint
import jsonschema
import numpy as np
import pytest
import torch

from ddpm_ref.conformance import vectors as kit
from ddpm_ref.conformance.vectors import VectorsError, load, topics
from ddpm_ref.schedule import SCHEDULES, TABLES, Schedule
from derivations.vectors import __main__ as command
from derivations.vectors import annotate
from derivations.vectors.annotate import CAUGHT, annotated
from derivations.vectors.balls import PRECISION_BITS, decimal, exact
from derivations.vectors.vector import Read
from derivations.vectors.vector import Vector as Made
from tests.oracle import CLAIMS, evaluate, mp

ROOT = Path(__file__).resolve().parents[1]
ALL = [vector for topic in topics() for vector in load(topic)]
IDS = [vector.id for vector in ALL]


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    with flint.ctx.workprec(PRECISION_BITS):
        yield


# -- what they are made of -----------------------------------------------------------------------------------


def test_the_definitions_know_no_sympy_and_no_claim() -> None:
    modules = [f"derivations.vectors.topics.{name}" for name in command.TOPICS]
    script = (
        "import sys; from importlib import import_module\n"
        f"for name in {modules}: import_module(name)\n"
        "sys.exit(', '.join(sorted({'sympy', 'derivations.proof.claims'} & sys.modules.keys())) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["decoder", "divergences"])
def test_a_file_is_what_the_command_writes(name: str) -> None:
    assert (command.FOLDER / f"{name}.json").read_text(encoding="utf-8") == command.file(name)


SLOW, QUICK = {"tables", "laws", "schedules", "steps"}, {"forward", "posterior"}
TRIED = [
    name for name in topics() if name not in ("tables", "laws")
]  # a walk gone wrong may explode, and takes minutes


@pytest.mark.slow
def test_every_file_is_what_the_command_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"]) == 0, capsys.readouterr().err


def test_an_altered_file_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"decoder.json": command.file("decoder")}
    monkeypatch.setattr(command, "files", lambda: dict(made))
    shutil.copy(command.FOLDER / command.SCHEMA, tmp_path)
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    assert command.main([]) == 0
    assert command.main(["--check"]) == 0
    (tmp_path / "decoder.json").write_text("{}", encoding="utf-8")
    (tmp_path / "left over.json").write_text("{}", encoding="utf-8")
    assert command.main(["--check"]) == 1
    assert re.findall(r"/(.*\.json)", capsys.readouterr().err) == ["decoder.json", "left over.json"]


@pytest.mark.parametrize("name", topics())
def test_a_file_is_of_the_schema(name: str) -> None:
    schema = json.loads((kit.FOLDER / kit.SCHEMA).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads((kit.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(content)
    content["vectors"][0]["value"][0] = "1.50"  # a zero at the end
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(content)


def test_ids_are_unique_and_name_their_file() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(vector.id.startswith(f"{topic}/") for topic in topics() for vector in load(topic))


FLOAT64 = {"variance", "variance_p", "variance_q", "s", "d", "level", "nats"}


@pytest.mark.parametrize("name", topics())
def test_images_states_and_noises_are_exact_in_every_dtype(name: str) -> None:
    for vector in load(name):
        for column in (torch.from_numpy(x) for key, x in vector.inputs.items() if key not in FLOAT64):
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                assert (column.to(dtype).double() == column).all(), (vector.id, dtype)


# -- that they are true --------------------------------------------------------------------------------------


def made(name: str) -> Sequence[Made]:
    vectors: Sequence[Made] = import_module(f"derivations.vectors.topics.{name}").topic().vectors
    return vectors


def by_the_oracle(wrongly: str = "", wrong: Mapping[str, Any] | None = None) -> Read:
    """Evaluate claims as the property tests do: mpmath, 50 digits."""

    def read(claim: str, symbols: Mapping[str, Any], part: str = "value") -> Any:
        values = {name: np.frompyfunc(to_mpf, 1, 1)(value) for name, value in symbols.items()}
        parts = {**CLAIMS[claim].parts, **(wrong or {} if claim == wrongly else {})}
        try:
            return np.frompyfunc(to_ball, 1, 1)(evaluate(parts[part], values))
        except ZeroDivisionError:
            return flint.arb.nan()

    return read


def to_mpf(ball: flint.arb) -> Any:
    if not ball.is_finite():
        return mp.nan
    mantissa, exponent = ball.mid().man_exp()
    return mp.ldexp(mp.mpf(int(mantissa)), int(exponent))


def to_ball(number: Any) -> flint.arb:
    if not mp.isfinite(number) or mp.im(number):  # a mutant without noise, or with too much
        return flint.arb.nan()
    sign, mantissa, exponent, _ = mp.mpf(number)._mpf_
    return flint.arb((-1) ** sign * int(mantissa)) * flint.arb(2) ** int(exponent)


# Fifty digits, less those that cancel: 12 in 1 − ᾱ where the betas are tiny. The absolute bound is for
# divergences of nearly equal variances, whose terms are of order one.
RELATIVE, ABSOLUTE = 1e-35, 1e-45


def off(found: Any, truth: Any, scale: Any, relative: float = RELATIVE) -> list[flint.arb]:
    """The entries of a row that are not the truth."""
    return [
        a
        for a, b, size in np.broadcast(found, truth, scale)
        if not abs(a - exact(b)) <= exact(max(Fraction(relative) * size, Fraction(ABSOLUTE)))
    ]


@pytest.mark.parametrize("name", [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW)) for x in topics()])
def test_values_are_the_claims_as_the_property_tests_evaluate_them(name: str) -> None:
    for stated, vector in zip(made(name), load(name), strict=True):
        assert stated.id == vector.id
        rows = zip(stated.claimed(by_the_oracle()), vector.truth, vector.scale, strict=True)
        assert [wrong for row in rows for wrong in off(*row)] == [], vector.id


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x not in QUICK)) for x in TRIED]
)
def test_a_mutants_values_are_its_expressions(name: str) -> None:
    for stated, vector in zip(made(name), load(name), strict=True):
        for wrong in vector.mutants:
            (mutant,) = (m for m in CLAIMS[wrong.claim].mutants if m.name == wrong.name)
            assert mutant.seen == wrong.seen
            rows = zip(stated.claimed(by_the_oracle(wrong.claim, mutant.parts)), wrong.truth, strict=True)
            printed = [(found, truth) for found, truth in rows if isinstance(np.ravel(truth)[0], Fraction)]
            assert printed, (vector.id, wrong.name)
            assert [x for found, truth in printed for x in off(found, truth, abs(truth), 1e-19)] == []


@pytest.mark.parametrize("name", ["schedules", "posterior", "variances", "weights", "tables"])
def test_the_references_tables_are_the_doubles_nearest_to_the_values(name: str) -> None:
    compared = 0
    for vector in load(name):
        if vector.schedule and vector.quantity in TABLES:
            table = getattr(made_again(vector.schedule), vector.quantity)
            assert table[torch.from_numpy(vector.t)].numpy().tolist() == vector.value.tolist(), vector.id
            compared += 1
    assert compared


@cache
def made_again(schedule: kit.Schedule) -> Schedule:
    arguments = {k: v for k, v in schedule.config.items() if k != "name"} or {
        "betas": schedule.betas.tolist()
    }
    found = SCHEDULES[schedule.config["name"]](**arguments)
    assert found.betas == tuple(schedule.betas), schedule.name
    return found


# -- what they catch -----------------------------------------------------------------------------------------

NOT_A_NUMBER = {
    ("decoder.bin", "edges exchanged"): "a likelihood is the logarithm of a mass, which it makes negative"
}


def test_every_mutant_of_every_claim_is_caught() -> None:
    named = {(claim, wrong.name) for v in ALL for claim in v.claims for wrong in CLAIMS[claim].mutants}
    caught = {(wrong.claim, wrong.name) for vector in ALL for wrong in vector.mutants}
    assert named - caught == NOT_A_NUMBER.keys()


def test_a_mutant_is_listed_only_where_it_shows() -> None:
    for vector in ALL:
        for wrong in vector.mutants:
            shown = np.array([isinstance(np.ravel(row)[0], Fraction) for row in wrong.truth])
            assert shown.any()
            for found, truth, scale in zip(
                *(x[shown] for x in (wrong.truth, vector.truth, vector.scale)), strict=True
            ):
                apart = np.ravel(abs(found - truth)) - Fraction(CAUGHT) * np.ravel(scale)
                assert (apart > 0).any(), (vector.id, wrong.name)


# -- the command refuses -------------------------------------------------------------------------------------


def test_a_definition_that_the_claims_do_not_give_is_not_written() -> None:
    (vector,) = (v for v in made("posterior") if v.id == "posterior/variance/uneven")
    almost = [*vector.truth[:-1], vector.truth[-1] * (1 + flint.arb(2) ** -290)]
    with pytest.raises(ArithmeticError, match=r"posterior/variance/uneven, row 5: the definitions give"):
        annotated(replace(vector, truth=almost))
    wide = [vector.truth[0], *(truth + flint.arb(0, 1e-80) for truth in vector.truth[1:])]
    with pytest.raises(ArithmeticError, match=r"posterior/variance/uneven, row 1: the definitions give"):
        annotated(replace(vector, claimed=lambda read: wide))
    with pytest.raises(ArithmeticError, match=r"6 rows claimed, 5 defined"):
        annotated(replace(vector, truth=vector.truth[:-1]))


def test_a_mutant_in_the_place_of_a_claim_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = CLAIMS["posterior.variance"].mutants[-1].name
    wrongly = annotate.read("posterior.variance", wrong)
    monkeypatch.setattr(annotate, "read", lambda *_: wrongly)
    with pytest.raises(ArithmeticError, match="the claims"):
        annotated(next(v for v in made("posterior") if v.claims == ["posterior.variance"]))


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        (Fraction(1, 3), 5, "3.3333e-1"),
        (Fraction(-2, 3), 5, "-6.6667e-1"),
        (Fraction(12345, 1), 3, "1.23e4"),
        (Fraction(1, 2), 40, "5e-1"),
        (Fraction(99999, 1), 3, "1e5"),
        (Fraction(0), 40, "0"),
        (Fraction(7), 40, "7"),
        (Fraction(0.1), 20, "1.0000000000000000555e-1"),
    ],
)
def test_a_decimal_is_correctly_rounded(number: Fraction, digits: int, text: str) -> None:
    assert decimal(exact(number), digits) == text


def test_a_ball_that_is_too_wide_is_not_printed() -> None:
    third = flint.arb(1) / 3
    for wide in (third + flint.arb(0, 1e-30), flint.arb(0, 1e-300)):
        with pytest.raises(ArithmeticError, match="need a tighter ball"):
            decimal(wide)
    with pytest.raises(ArithmeticError, match="must be finite"):
        decimal(third / 0)


# -- reading -------------------------------------------------------------------------------------------------


def rewritten(folder: Path, change: Callable[[Any], object], name: str = "decoder.json") -> Path:
    """Copy the vectors, change one file, and put its checksum right."""
    shutil.copytree(kit.FOLDER, folder, dirs_exist_ok=True)
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    change(content)
    before = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    after = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    sums = folder / kit.CHECKSUMS
    sums.write_text(sums.read_text(encoding="ascii").replace(before, after), encoding="ascii")
    return folder


CHANGES: dict[str, Callable[[Any], object]] = {
    "format must be 'ddpm-ref vectors 1'; got 'ddpm-ref vectors 2'": lambda x: x.update(
        format="ddpm-ref vectors 2"
    ),
    "topic must be 'decoder'; got 'bound'": lambda x: x.update(topic="bound"),
    "the file must have format, topic, about, vectors; about missing": lambda x: x.pop("about"),
    "the file must not have comment": lambda x: x.update(comment=""),
    "vectors must be a JSON list; got dict": lambda x: x.update(vectors={}),
    "vectors[0] must have id, quantity, claims, value, mutants; value missing": lambda x: x["vectors"][0].pop(
        "value"
    ),
    "value must be decimal strings": lambda x: x["vectors"][0]["value"].__setitem__(0, "one"),
    "value must be decimal strings, in rows of equal length": lambda x: x["vectors"][0].update(
        value=["1", ["2", "3"]]
    ),
    "mean must have as many rows as value, 5; got 4": lambda x: x["vectors"][0]["inputs"]["mean"].pop(),
    "inputs.mean must be numbers": lambda x: x["vectors"][0]["inputs"]["mean"].__setitem__(0, "a"),
    "scale must have the shape of value, (5,); got (4,)": lambda x: x["vectors"][0]["scale"].pop(),
    "mutants[0].value must have as many rows as the truth, 5; got 4": lambda x: x["vectors"][0]["mutants"][0][
        "value"
    ].pop(),
    "schedule must be one of linear-1000": lambda x: x["vectors"][0].update(schedule="none"),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_file_of_another_shape_is_refused(message: str, tmp_path: Path) -> None:
    with pytest.raises(VectorsError, match=re.escape(message)):
        load("decoder", rewritten(tmp_path, CHANGES[message]))


def test_a_schedule_whose_betas_are_no_probabilities_is_refused(tmp_path: Path) -> None:
    folder = rewritten(
        tmp_path, lambda x: x["schedules"]["uneven"]["betas"].__setitem__(0, 1.0), "schedules.json"
    )
    with pytest.raises(VectorsError, match=r"schedules\.uneven\.betas must be a list of numbers in \(0, 1\)"):
        load("decoder", folder)


def test_an_altered_a_missing_and_an_unknown_file_are_refused(tmp_path: Path) -> None:
    shutil.copytree(kit.FOLDER, tmp_path, dirs_exist_ok=True)
    with pytest.raises(VectorsError, match=r"topic must be one of schedules, .*; got 'vectors\.schema'"):
        load("vectors.schema", tmp_path)
    text = (tmp_path / "bound.json").read_text(encoding="utf-8")
    (tmp_path / "bound.json").write_text(text.replace("0.5", "0.25", 1), encoding="utf-8")
    with pytest.raises(VectorsError, match=r"bound\.json: its SHA-256 must be .*: the file was altered"):
        load("bound", tmp_path)
    (tmp_path / "laws.json").unlink()
    with pytest.raises(VectorsError, match=r"laws\.json: cannot be read"):
        load("laws", tmp_path)
    (tmp_path / kit.CHECKSUMS).write_text("nothing\n", encoding="ascii")
    with pytest.raises(VectorsError, match="each line must be a digest, two spaces and a name"):
        topics(tmp_path)
    (tmp_path / kit.CHECKSUMS).unlink()
    with pytest.raises(VectorsError, match="SHA256SUMS: cannot be read"):
        topics(tmp_path)


def test_an_error_is_relative_to_the_scale_and_exact() -> None:
    truth = np.array(
        [Fraction(1, 3), Fraction(0), Fraction(0), Fraction(1), Fraction(1), np.nan], dtype=object
    )
    scale = np.array(
        [Fraction(2), Fraction(0), Fraction(0), Fraction(1), Fraction(1), Fraction(1)], dtype=object
    )
    found = kit.error([1 / 3, 0.0, 1e-300, np.nan, -np.inf, 1.0], truth, scale)
    assert found[0] == float(abs(Fraction(1 / 3) - Fraction(1, 3)) / 2) != 0
    assert found[1:].tolist() == [0, np.inf, np.inf, np.inf, np.inf]
    with pytest.raises(ValueError, match=r"shape of the truth, \(6,\); got \(2,\)"):
        kit.error([1.0, 2.0], truth, scale)


# -- the page ------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "conformance" / "vectors.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def test_the_page_lists_every_file() -> None:
    assert re.findall(r"^\| `(\w+)\.json`", PAGE, re.MULTILINE) == list(topics())


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_javascript_on_the_page_prints_what_the_page_says(tmp_path: Path) -> None:
    def printed(script: str) -> str:
        (tmp_path / "reader.mjs").write_text(script, encoding="utf-8")
        command = ["node", str(tmp_path / "reader.mjs"), str(kit.FOLDER)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    said = PAGE.partition("It prints\n\n```text\n")[2].partition("```")[0]
    assert printed(block("js")) == said
    assert "10 of 10 rows are wrong" in said
    right = printed(block("js").replace("kept(betas, t + 1)", "kept(betas, t - 1)"))
    assert re.findall(r"(\d+) of", right) == ["0", "0"]


def test_the_python_on_the_page_runs() -> None:
    script = block("python")
    exec(script, {})
    with pytest.raises(AssertionError):
        exec(script.replace("(1 - kept) ** 0.5", "(1 - kept)"), {})
