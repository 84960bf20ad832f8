"""Measure rounding errors: `python checks/numerics.py` writes `checks/numerics.json` and its page.

Every public function of the mathematical modules against 50 digits, in every dtype, on extreme schedules and
data; it takes some minutes. With `--page` write the page anew from the numbers there are; with `--check`
write nothing and exit 1 where the page is not what they make.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

from pages import ROOT, settle

sys.path.insert(0, str(ROOT))  # for `tests`, which alone sees both the code and the claims

import torch

from ddpm_ref.environment import environment
from ddpm_ref.schedule import TABLES, cosine, linear
from tests.numerics.cases import DTYPES, KINDS, every, few, name_of
from tests.numerics.exceptions import NOT_MEASURED
from tests.numerics.measure import run

RESULTS = Path(__file__).with_suffix(".json")

GROUPS = (*KINDS, "subnormal")

HEAD = """\
---
title: Numbers
---

# How exact the numbers are

<!-- Made from checks/numerics.json by checks/numerics.py; edit that. -->

What is promised: each function below is off by at most its *bound* for a dtype, in units in the last place,
on the schedules below, with β from 1e-12 to 1 − 1e-12 and T from 1 to 10,000, that the dtype can hold. No
finite input gives nan, and none gives infinity unless the true value is beyond the dtype.
`tests/test_numerics.py` holds the code to that on a part of the cases; `python checks/numerics.py` measured
all of them.

{where}

## How it is measured

What a function returns is compared with the claim that it computes, evaluated from the exact betas and the
exact input at 120 digits or more. The *unit* is the gap after 1 of the dtype that comes back, times the size
of the terms that are added up: |a| + |b| for a + b, which is the value itself where nothing cancels. Half
precision is computed in float32 and rounded once; what is in nats stays in float32, so there the numbers are
float32's. A *bound* is one and a half times the worst that was measured, rounded up to two digits, and at
least one half, which a single rounding takes.

Some sizes are not those of the claim's terms:

- The logarithm of a mass is relative to itself, or to one nat where it is less. In a mixture's denoiser, what
  is weighted by such logarithms is relative to the largest exponent as well: that is what decides how sure
  the weights are. A data set's are squared distances, expanded: relative to ‖x‖² / (1 − ᾱ), as its docstring
  says.
- A divergence of two Gaussians whose variances nearly agree is the square of a small difference of rounded
  numbers, and is relative to its root as well.
- A walk (sampling, encoding, Langevin) is relative to the largest sum of its steps, since every state is
  rounded to the dtype.
- The logarithm of a variance that a sub-sequence makes is relative to itself, or to 1e-40 where it is less.

## The schedules and the data

{cases}

Data are standard normal; and, on one schedule of each kind, zeros, ±1, vectors that agree but for their last
digits, normal numbers times {scale}, divided by that, and subnormal ones.
*Subnormal* data have a column of their own and no bound: a result on the way that is subnormal has lost
digits, whatever comes after. They give no nan and no infinity.

## What a dtype cannot hold

- A table's entry that overflows or vanishes in the dtype is refused where it is gathered, naming the table
  and t. {refused} cases were, for that or because a walk left the dtype: it stops with an error as soon as a
  state is not finite.
- A single step (`q_sample`, `x0_from_eps`, `p_sample` …) does not look at its result, which would make an
  accelerator wait. A number beyond the dtype comes out as infinity of its sign, never as nan. In float16 that
  is 65504, which x̂_0 reaches near t = T, where √ᾱ is small: the loops keep it in float32 until it is
  clipped, and a conversion that is called by itself does not. Without clipping, x̂_0 must fit float32.
- **nan**: a function from tensors to tensors gives nan for nan, in that example and in no other, and never a
  number; for the same reason it does not refuse it. Settings (betas, weights, lengths of steps, laws, data
  sets) and what a loop starts from are refused at once, naming the argument; a loop whose model returns nan
  stops, naming t. Features and class probabilities are refused where they are read.
- A sum over coordinates must fit the dtype, also where a mean is asked for; so must 2πσ² in a density, and
  in float64 the squared distances of a denoiser, each over its variance.

## The bounds

The worst that was measured, and the bound.
"""

SECOND = """
## By kind of schedule

The worst over the dtypes, in the same units.
"""

LAST = """
## Not measured

| module | | why |
|---|---|---|
"""


def measure() -> dict[str, Any]:
    """Measure everything."""
    torch.set_num_threads(1)
    began = process_time()
    errors = run(every(), progress=lambda name: print(name, file=sys.stderr))
    for key, worst in run(few()).items():  # the cases of the tests
        errors[key] = max(errors.get(key, worst), worst, key=lambda each: each.ulps)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    where: dict[str, tuple[float, str]] = {}
    for (function, dtype, group), worst in errors.items():
        rows.setdefault(function, {}).setdefault(dtype, {})[group] = float(f"{worst.ulps:.3g}")
        if group in KINDS:
            where[function] = max(where.get(function, (-1.0, "")), (worst.ulps, worst.case))
    here = environment(torch.device("cpu"), ["python", "checks/numerics.py"])
    return {
        "date": date.today().isoformat(),
        "environment": {name: here[name] for name in ("commit", "versions", "device", "cpus")},
        "seconds of the processor": round(process_time() - began),
        "answers": sum(worst.cases for worst in errors.values()),
        "refused": sum(worst.refused for worst in errors.values()),
        "tables of T = 10000, seconds of the processor": {
            build.__name__: round(seconds_of(build), 2) for build in (linear, cosine)
        },
        "bounds": {function: bounds(rows[function]) for function in sorted(rows)},
        "worst": dict(sorted(rows.items())),
        "where": {function: where[function][1] for function in sorted(rows)},
    }


def seconds_of(build: Any) -> float:
    """Time a schedule of 10,000 steps with all its tables."""
    began = process_time()
    schedule = build(10_000)
    for name in TABLES:
        getattr(schedule, name)
    return process_time() - began


def bounds(row: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return what is promised of a function in each dtype: 1.5 times its worst, rounded up, at least 1/2."""
    found = {}
    for dtype in row:
        promised = 1.5 * largest(row, (dtype,))
        if not math.isnan(promised):
            unit = 10.0 ** (math.floor(math.log10(promised or 1)) - 1)
            found[dtype] = max(float(f"{math.ceil(promised / unit) * unit:.2g}"), 0.5)
    return found


def largest(
    row: Mapping[str, Mapping[str, float]],
    dtypes: tuple[str, ...] = tuple(map(name_of, DTYPES)),
    groups: tuple[str, ...] = tuple(KINDS),
) -> float:
    """Return the largest error of some dtypes and groups, all but subnormal data if not given."""
    found = [row[dtype][group] for dtype in dtypes for group in groups if group in row.get(dtype, {})]
    return max(found, default=math.nan)


def page(found: Mapping[str, Any]) -> str:
    """Make the page."""
    here = found["environment"]
    versions = ", ".join(f"{name} {here['versions'][name]}" for name in ("python", "torch", "numpy"))
    commit = here["commit"]
    seconds = found["tables of T = 10000, seconds of the processor"]
    where = (
        f"Measured on {found['date']}: {versions}; {here['device']};\ncommit `{commit['id'][:12]}`"
        f"{' and uncommitted changes' if commit['dirty'] else ''}; {found['answers']:,} answers of "
        f"{len(found['bounds'])} functions, {found['seconds of the processor']} seconds of the processor.\n"
        f"The tables of 10,000 steps take "
        + " and ".join(f"{value:g} s (`{name}`)" for name, value in seconds.items())
        + "."
    )
    cases = "| kind | schedules |\n|---|---|\n" + "".join(
        f"| {kind} | {'; '.join(names)} |\n" for kind, names in KINDS.items()
    )
    text = HEAD.format(
        where=where, cases=cases.rstrip(), scale="1e30 (1e3 in float16)", refused=f"{found['refused']:,}"
    )
    dtypes = tuple(map(name_of, DTYPES))
    text += "".join(f"{line}\n" for line in by_dtype(found, dtypes))
    text += SECOND + "".join(f"{line}\n" for line in by_group(found))
    return (
        text
        + LAST
        + "".join(f"| {in_module(name)} | {why} |\n" for name, why in sorted(NOT_MEASURED.items()))
    )


def by_dtype(found: Mapping[str, Any], dtypes: tuple[str, ...]) -> Iterator[str]:
    """Write a table for each module, a row for each function: its bound, and its worst in every dtype."""
    module = ""
    for name, row in found["worst"].items():
        if name.split(".")[0] != module:
            module = name.split(".")[0]
            yield f"\n### {module}\n\n| | {' | '.join(dtypes)} | worst on |"
            yield f"|---|{'--:|' * len(dtypes)}---|"
        bounds, where = found["bounds"][name], found["where"][name].rpartition(": ")[2]
        cells = [
            f"{shown(largest(row, (dtype,)))} ≤ {bounds[dtype]:g}" if dtype in bounds else ""
            for dtype in dtypes
        ]
        yield f"| `{name.partition('.')[2]}` | {' | '.join(cells)} | {where} |"


def by_group(found: Mapping[str, Any]) -> Iterator[str]:
    """Write a row for each function: its worst for every kind of schedule, and on subnormal data."""
    yield f"\n| module | | {' | '.join(GROUPS)} |\n|---|---|{'--:|' * len(GROUPS)}"
    for name, row in found["worst"].items():
        cells = [shown(largest(row, groups=(group,))) for group in GROUPS]
        yield f"| {in_module(name)} | {' | '.join(cells)} |"


def in_module(name: str) -> str:
    """Write two cells: the module, and the name there."""
    module, _, rest = name.partition(".")
    return f"{module} | `{rest}`"


def shown(ulps: float) -> str:
    """Write an error to two digits."""
    return "" if math.isnan(ulps) else f"{ulps:.2g}" if ulps < 1e4 else f"{ulps:.0e}"


def main() -> int:
    """Measure and write the page, or say whether it is what it should be."""
    if not {"--check", "--page"} & set(sys.argv[1:]):
        RESULTS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    return settle("numerics", page(json.loads(RESULTS.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    sys.exit(main())
