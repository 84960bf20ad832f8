r"""Conformance vectors: inputs and true values, for an implementation in any language.

`ddpm_ref/conformance/vectors/` holds one JSON file per topic, `vectors.schema.json` that describes them, and
`SHA256SUMS`. This module reads them and needs nothing but NumPy. A file looks like this:

```text
{"format": "ddpm-ref vectors 1",
 "topic": "posterior",
 "about": "what is in here",
 "vectors": [
  {"id": "posterior/mean/linear-1000",
   "quantity": "q_posterior.mean",              what is computed, by the name it has in ddpm_ref
   "claims": ["posterior.mean", …],             the proved expressions that it is composed of
   "schedule": "linear-1000",                   absent where none is meant
   "settings": {"variance": "fixed_small"},     inputs that all rows share; absent where there are none
   "t": [1, 2, 500, 1000],                      one per row, the paper's t; absent where none is meant
   "inputs": {"x_0": [[0.5, -1], …], …},        one entry per row; absent where there are none
   "value": [["9.9e-1", …], …],                 one entry per row
   "scale": [["1.5", …], …],                    shaped like value; absent where it is |value|
   "mutants": [{"claim": "posterior.mean", "name": "roots exchanged", "seen": "a public thread, or empty",
                "value": [null, ["1.1", …], …]}]}]}
```

The file `schedules.json` has one key more, before its vectors: every schedule that any file names.

```text
 "schedules": {"linear-1000": {"config": {"name": "linear", …}, "betas": [beta_1, …, beta_T]}, …},
```

**Inputs** are JSON numbers, and mean the float64 nearest to what is written, as JSON parsers read them. Those
of images, states and noises are exact in float32, bfloat16 and float16 too.

**Values** are decimal strings: the truth for exactly these inputs, correctly rounded to 40 significant
digits, zeros at the end left off. So the error is at most half a unit in the 40th digit, which is below
`5e-40 · |value|`, and `"0"` is exactly zero.

**Scale** is what rounding errors are relative to where terms cancel: the sum of the terms' sizes, or what a
relative error before them costs. It has 10 digits.

A **mutant** is a mistake, real or plausible: its value, to 20 digits, is what an implementation that makes it
returns for the row. It is null in rows that do not show the mistake: it changes no entry by more than
`2^-44 · scale`, or is undefined there. A mutant that no row shows is left out.

Rows are independent of each other: run them one by one, or as a batch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FOLDER", "FORMAT", "Mutant", "Schedule", "Vector", "VectorsError", "error", "load", "topics"]

FOLDER = Path(__file__).parent / "vectors"
FORMAT = "ddpm-ref vectors 1"
CHECKSUMS = "SHA256SUMS"
SCHEMA = "vectors.schema.json"
SCHEDULES = "schedules"
DECIMAL = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,60})?(e-?[0-9]{1,5})?")

Exact = npt.NDArray[np.object_]  # of fractions


class VectorsError(ValueError):
    """A file that is missing, altered, or not what this module reads."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """The schedule that a vector's rows use.

    Attributes:
        name: as in the files.
        config: how it is made: its `name` is `linear`, with `T`, `beta_1` and `beta_T`; or `cosine`, with
            `T`, `s` and `max_beta`; or `betas`, with nothing.
        betas: beta_1 … beta_T, float64, shape (T,): `betas[t - 1]` is beta_t.
    """

    name: str
    config: Mapping[str, Any]
    betas: npt.NDArray[np.float64]

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.betas)


@dataclass(frozen=True, eq=False)
class Mutant:
    """A mistake, and what it would make of a vector's rows.

    Attributes:
        claim: the claim that it gets wrong.
        name: what was confused.
        seen: where it was met in public, or empty.
        truth: as `Vector.truth`, with nan in rows that the mistake does not change.
    """

    claim: str
    name: str
    seen: str
    truth: Exact


@dataclass(frozen=True, eq=False)
class Vector:
    """Rows of one quantity: inputs, and the true values.

    Attributes:
        id: permanent.
        quantity: what is computed, by the name it has in `ddpm_ref`.
        claims: the ids of the claims that it tests.
        schedule: the schedule, or None.
        t: the paper's t of each row, int64, shape (B,); or None.
        inputs: float64, each of shape (B, ...).
        settings: inputs that all rows share.
        truth: the values as fractions, shape (B, ...).
        scale: what rounding errors are relative to, as fractions, shaped like `truth`.
        mutants: the mistakes that the rows catch.
    """

    id: str
    quantity: str
    claims: tuple[str, ...]
    schedule: Schedule | None
    t: npt.NDArray[np.int64] | None
    inputs: Mapping[str, npt.NDArray[np.float64]]
    settings: Mapping[str, Any]
    truth: Exact
    scale: Exact
    mutants: tuple[Mutant, ...]

    @property
    def value(self) -> npt.NDArray[np.float64]:
        """The float64 nearest to the truth."""
        return self.truth.astype(np.float64)

    def error(self, found: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return each entry's error relative to `scale`; see [error][ddpm_ref.conformance.vectors.error]."""
        return error(found, self.truth, self.scale)


def error(found: npt.ArrayLike, truth: Exact, scale: Exact) -> npt.NDArray[np.float64]:
    """Return `|found − truth| / scale`, entry by entry, computed exactly and rounded once.

    Args:
        found: real numbers, shaped like `truth`; float64 holds those of every smaller dtype.
        truth: fractions; nan where there is none, which gives infinity.
        scale: fractions, not negative, shaped like `truth`; where it is 0 the error is 0 or infinite.

    Returns:
        Shaped like `truth`; infinite where `found` is not finite.

    Raises:
        ValueError: if the shapes differ.
    """
    numbers = np.asarray(found, dtype=np.float64)
    if numbers.shape != truth.shape:
        raise ValueError(f"found must have the shape of the truth, {truth.shape}; got {numbers.shape}")
    return np.asarray(np.frompyfunc(_error, 3, 1)(numbers, truth, scale), dtype=np.float64)


def _error(found: float, truth: Fraction | float, scale: Fraction) -> float:
    if not np.isfinite(found) or isinstance(truth, float):
        return np.inf
    difference = abs(Fraction(float(found)) - truth)
    if difference == 0:
        return 0.0
    try:
        return float(difference / scale)
    except (ZeroDivisionError, OverflowError):
        return np.inf


# -- reading -------------------------------------------------------------------------------------------------


def topics(folder: Path = FOLDER) -> tuple[str, ...]:
    """Return the names that `load` takes, in the order of the checksums.

    Raises:
        VectorsError: if the checksums cannot be read.
    """
    return tuple(name.removesuffix(".json") for name in _checksums(folder) if name != SCHEMA)


@cache
def load(topic: str, folder: Path = FOLDER) -> tuple[Vector, ...]:
    """Read the vectors of one topic.

    Args:
        topic: one of `topics()`.
        folder: where the files are; the ones that came with this package if not given.

    Raises:
        VectorsError: if there is no such topic, its checksum differs, or the file is not of the format above.
    """
    name = f"{topic}.json"
    read = _read(topic, folder)
    schedules = _schedules(folder)
    try:
        given = _is(read["vectors"], list, "vectors")
        return tuple(_vector(vector, f"vectors[{i}]", schedules) for i, vector in enumerate(given))
    except ValueError as problem:
        raise VectorsError(f"{name}: {problem}") from problem


@cache
def _schedules(folder: Path) -> dict[str, Schedule]:
    try:
        given = _is(_read(SCHEDULES, folder).get("schedules"), dict, "schedules")
        return {name: _schedule(name, schedule) for name, schedule in given.items()}
    except VectorsError:
        raise
    except ValueError as problem:
        raise VectorsError(f"{SCHEDULES}.json: {problem}") from problem


def _read(topic: str, folder: Path) -> dict[str, Any]:
    """Return what a file holds, its checksum and its outermost keys checked."""
    sums = _checksums(folder)
    name = f"{topic}.json"
    if name not in sums or name == SCHEMA:
        raise VectorsError(f"topic must be one of {', '.join(topics(folder))}; got {topic!r}")
    try:
        content = (folder / name).read_bytes()
    except OSError as problem:
        raise VectorsError(f"{folder / name}: cannot be read; {problem.strerror}") from problem
    found = hashlib.sha256(content).hexdigest()
    if found != sums[name]:
        raise VectorsError(f"{name}: its SHA-256 must be {sums[name]}; got {found}: the file was altered")
    try:
        read = _object(
            _json(content), "the file", "format", "topic", "about", "vectors", optional=("schedules",)
        )
        if read["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}; got {read['format']!r}")
        if read["topic"] != topic:
            raise ValueError(f"topic must be {topic!r}; got {read['topic']!r}")
    except ValueError as problem:
        raise VectorsError(f"{name}: {problem}") from problem
    return read


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError as problem:
        raise ValueError("nested too deep") from problem


def _checksums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="ascii").splitlines()
        return {name: digest for digest, name in (line.split("  ") for line in lines)}
    except OSError as problem:
        raise VectorsError(f"{folder / CHECKSUMS}: cannot be read; {problem.strerror}") from problem
    except ValueError as problem:
        raise VectorsError(
            f"{folder / CHECKSUMS}: each line must be a digest, two spaces and a name"
        ) from problem


def _schedule(name: str, read: Any) -> Schedule:
    given = _object(read, f"schedules.{name}", "config", "betas")
    betas = _numbers(given["betas"], f"schedules.{name}.betas")
    if betas.ndim != 1 or not ((betas > 0) & (betas < 1)).all():
        raise ValueError(f"schedules.{name}.betas must be a list of numbers in (0, 1)")
    return Schedule(name, _is(given["config"], dict, f"schedules.{name}.config"), betas)


def _vector(read: Any, where: str, schedules: Mapping[str, Schedule]) -> Vector:
    given = _object(
        read, where, "id", "quantity", "claims", "value", "mutants",
        optional=("schedule", "settings", "t", "inputs", "scale"),
    )  # fmt: skip
    where = f"{where} ({given['id']})"
    schedule = given.get("schedule")
    if schedule is not None and _is(schedule, str, f"{where}.schedule") not in schedules:
        raise ValueError(f"{where}: schedule must be one of {', '.join(schedules)}; got {schedule!r}")
    truth = _fractions(given["value"], f"{where}.value")
    scale = _fractions(given["scale"], f"{where}.scale") if "scale" in given else np.abs(truth)
    if scale.shape != truth.shape:
        raise ValueError(f"{where}.scale must have the shape of value, {truth.shape}; got {scale.shape}")
    if (scale < 0).any():
        raise ValueError(f"{where}.scale must not be negative")
    rows = len(truth)
    claims = _is(given["claims"], list, f"{where}.claims")
    t = None if "t" not in given else _steps(given["t"], f"{where}.t", schedules.get(str(schedule)))
    inputs = {
        name: _numbers(column, f"{where}.inputs.{name}")
        for name, column in _is(given.get("inputs", {}), dict, f"{where}.inputs").items()
    }
    for name, column in {**inputs, **({} if t is None else {"t": t})}.items():
        if len(column) != rows:
            raise ValueError(f"{where}.{name} must have as many rows as value, {rows}; got {len(column)}")
    return Vector(
        id=_is(given["id"], str, f"{where}.id"),
        quantity=_is(given["quantity"], str, f"{where}.quantity"),
        claims=tuple(_is(claim, str, f"{where}.claims") for claim in claims),
        schedule=None if schedule is None else schedules[schedule],
        t=t,
        inputs=inputs,
        settings=_is(given.get("settings", {}), dict, f"{where}.settings"),
        truth=truth,
        scale=scale,
        mutants=tuple(
            _mutant(wrong, f"{where}.mutants[{i}]", truth)
            for i, wrong in enumerate(_is(given["mutants"], list, f"{where}.mutants"))
        ),
    )


def _mutant(read: Any, where: str, like: Exact) -> Mutant:
    given = _object(read, where, "claim", "name", "seen", "value")
    rows = _is(given["value"], list, f"{where}.value")
    if len(rows) != len(like):
        raise ValueError(f"{where}.value must have as many rows as the truth, {len(like)}; got {len(rows)}")
    truth = np.full(like.shape, np.nan, dtype=object)
    for i, row in enumerate(rows):
        if row is not None:
            wrong = _fractions([row], f"{where}.value[{i}]")[0]
            if np.shape(wrong) != truth.shape[1:]:
                raise ValueError(f"{where}.value[{i}] must have the shape of the truth's row")
            truth[i] = wrong
    claim, name, seen = (_is(given[key], str, f"{where}.{key}") for key in ("claim", "name", "seen"))
    return Mutant(claim, name, seen, truth)


def _object(read: Any, where: str, *required: str, optional: Sequence[str] = ()) -> dict[str, Any]:
    given: dict[str, Any] = _is(read, dict, where)
    if missing := [key for key in required if key not in given]:
        raise ValueError(f"{where} must have {', '.join(required)}; {', '.join(missing)} missing")
    if unknown := given.keys() - {*required, *optional}:
        raise ValueError(f"{where} must not have {', '.join(sorted(unknown))}")
    return given


def _is(read: Any, kind: type, where: str) -> Any:
    if not isinstance(read, kind):
        raise ValueError(f"{where} must be a JSON {kind.__name__}; got {type(read).__name__}")
    return read


def _numbers(read: Any, where: str) -> npt.NDArray[np.float64]:
    try:
        given = np.array(_is(read, list, where), dtype=object)
        if not all(type(entry) in (int, float) for entry in given.flat):
            raise TypeError
        numbers = given.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as problem:
        raise ValueError(f"{where} must be numbers, in rows of equal length") from problem
    if not np.isfinite(numbers).all():
        raise ValueError(f"{where} must be finite")
    return numbers


def _steps(read: Any, where: str, schedule: Schedule | None) -> npt.NDArray[np.int64]:
    numbers = _numbers(read, where)
    last = np.inf if schedule is None else schedule.T
    if numbers.ndim != 1 or not ((numbers >= 0) & (numbers <= last) & (numbers % 1 == 0)).all():
        raise ValueError(f"{where} must be a list of integers in 0..{last}")
    return numbers.astype(np.int64)


def _fractions(read: Any, where: str) -> Exact:
    try:
        text = np.array(_is(read, list, where), dtype=object)
    except ValueError as problem:
        raise ValueError(f"{where} must be decimal strings, in rows of equal length") from problem
    for entry in text.flat:
        if not isinstance(entry, str):
            raise ValueError(f"{where} must be decimal strings, in rows of equal length")
        if not DECIMAL.fullmatch(entry):  # Fraction takes more, and 1e999999999 takes all memory
            raise ValueError(f"{where} must be decimal strings; got {entry[:40]!r}")
    return np.array(np.frompyfunc(Fraction, 1, 1)(text), dtype=object)
