"""What the kit says: a table for people, JSON and JUnit XML for machines."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, get_args
from xml.etree import ElementTree

from ddpm_ref.conformance.measure import Outcome, Result

__all__ = ["ORDER", "by_check", "junit", "summary", "table", "to_json", "worst"]

ORDER: tuple[str, ...] = ("broken", "failed", "inexact", "passed", "not offered")
"""The outcomes, the worst first."""

assert set(ORDER) == set(get_args(Outcome))
WIDTH = 80


def by_check(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group results by the check, in the order in which they came."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.check, []).append(result)
    return found


def worst(results: Sequence[Result]) -> Result:
    """Return the worst result: by outcome, then by how many times the error exceeds what is allowed."""
    return max(results, key=lambda r: (-ORDER.index(r.outcome), (r.ulps or 0) / (r.allowed or 1)))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 1000 else f"{value:.0e}"


def table(title: str, results: Sequence[Result]) -> str:
    """Lay results out in 80 columns: a line for each check, and below it what went wrong."""
    lines = [
        title,
        "",
        f"{'check':<36}{'outcome':<13}{'error':>9}{'best':>7}{'allowed':>9}",
        f"{'':<36}{'':<13}{'units in the last place':>25}",
        "-" * WIDTH,
    ]
    for name, group in by_check(results).items():
        found = worst(group)
        numbers = f"{_number(found.ulps):>9}{_number(found.best):>7}{_number(found.allowed):>9}"
        lines.append(
            f"{name[:35]:<36}{found.outcome:<13}{numbers if found.ulps is not None else ''}".rstrip()
        )
        if found.outcome in ("broken", "failed", "inexact"):
            lines += _explained(group)
    counts = [
        f"{n} {o}"
        for o in reversed(ORDER)
        if (n := sum(worst(g).outcome == o for g in by_check(results).values()))
    ]
    return "\n".join([*lines, "-" * WIDTH, f"{', '.join(counts)}; {len(results)} cases", ""])


def _explained(group: Sequence[Result]) -> list[str]:
    lines: list[str] = []
    told: set[str] = set()
    for outcome in ORDER[:3]:
        for result in group:
            if result.outcome != outcome or result.diagnosis in told:
                continue
            told.add(result.diagnosis)
            alike = [r for r in group if r.diagnosis == result.diagnosis and r.outcome == outcome]
            shown = worst(alike)
            values = f": {shown.found} for {shown.wanted}" if shown.found else ""
            cases = f"{len(alike)} cases, such as " if len(alike) > 1 else ""
            words = [shown.diagnosis, f"{cases}{shown.case}" + (f", {shown.at}" if shown.at else "") + values]
            for text in words:
                lines += textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return lines


def to_json(name: str, version: str, results: Sequence[Result], **notes: str) -> dict[str, Any]:
    """Return the results with what they were got with."""
    versions = {"python": platform.python_version()}
    for package in ("ddpm-ref", "numpy", "torch", "mpmath"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "format": "ddpm-ref conformance 1",
        "implementation": name,
        "version": version,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions,
        **notes,
        "results": [result.to_json() for result in results],
    }


def summary(document: dict[str, Any]) -> dict[str, Any]:
    """Keep of a document what a page needs: of every check, one case for each thing there is to say.

    Args:
        document: as `to_json` returns it.
    """
    results = [Result(**entry) for entry in document["results"]]
    found = []
    for name, group in by_check(results).items():
        kinds = sorted({(r.outcome, r.diagnosis) for r in group}, key=lambda k: (ORDER.index(k[0]), k[1]))
        for outcome, diagnosis in kinds:
            alike = [r for r in group if (r.outcome, r.diagnosis) == (outcome, diagnosis)]
            kept = worst(alike).to_json()
            for field in ("detail", "seconds"):
                kept.pop(field)
            rounded = {k: float(f"{v:.3g}") if isinstance(v, float) else v for k, v in kept.items()}
            found.append({**rounded, "check": name, "cases": len(alike)})
    return {**document, "format": "ddpm-ref conformance summary 1", "results": found}


def junit(name: str, results: Sequence[Result]) -> str:
    """Return JUnit XML: one test case for each check and case."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"ddpm-ref conformance: {name}",
        tests=str(len(results)),
        failures=str(sum(r.outcome in ("failed", "inexact") for r in results)),
        errors=str(sum(r.outcome == "broken" for r in results)),
        skipped=str(sum(r.outcome == "not offered" for r in results)),
    )
    for result in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{name}.{result.check}",
            name=result.case,
            time=f"{result.seconds:.3f}",
        )
        tags = {"failed": "failure", "inexact": "failure", "broken": "error", "not offered": "skipped"}
        if result.outcome in tags:
            found = ElementTree.SubElement(case, tags[result.outcome], message=result.diagnosis)
            found.text = result.detail or f"{result.at}: {result.found} for {result.wanted}"
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
