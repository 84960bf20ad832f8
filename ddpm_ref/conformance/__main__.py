"""`python -m ddpm_ref.conformance IMPLEMENTATION`: check it, print a table, write JSON and JUnit XML."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ddpm_ref.conformance.protocol import BUILT_IN, load
from ddpm_ref.conformance.report import junit, summary, table, to_json
from ddpm_ref.conformance.runner import TIMEOUT, run

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ValueError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if all that is offered passes, 1 if not, 2 if the question is wrong."""
    parser = _Parser(
        prog="python -m ddpm_ref.conformance",
        description="Hold an implementation of DDPM to the proved formulas.",
        epilog=f"IMPLEMENTATION is one of {', '.join(BUILT_IN)}, or package.module:Class.",
    )
    parser.add_argument("implementation", metavar="IMPLEMENTATION", help="which adapter")
    parser.add_argument("--only", default="", metavar="TEXT", help="checks whose name holds this")
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help="for one check (%(default)g)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result")
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="write what docs/conformance/results holds"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write them as JUnit XML")
    parser.add_argument("--note", default="", help="a sentence to keep in the JSON")
    try:
        options = parser.parse_args(arguments)
        if not 0 < options.timeout < float("inf"):
            raise ValueError(f"--timeout must be positive; got {options.timeout:g}")
        for file in (options.json, options.summary, options.junit):
            if file and not file.resolve().parent.is_dir():
                raise ValueError(f"{file} cannot be written: there is no folder {file.parent}")
        kind = load(options.implementation)
        results = []
        for result in run(options.implementation, only=options.only, timeout=options.timeout):
            results.append(result)
            if sys.stderr.isatty():
                print(f"\r{len(results):5} {result.check:<40}", end="", file=sys.stderr)
        if not results:
            raise ValueError(f"no check's name holds {options.only!r}")
    except ValueError as error:
        print(f"ddpm_ref.conformance: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    name, version = getattr(kind, "name", kind.__name__), getattr(kind, "version", "")
    print(table(f"{name} {version}".strip(), results))
    note = options.note or getattr(kind, "note", "")
    document = to_json(name, version, results, **({"note": note} if note else {}))
    for file, made in ((options.json, document), (options.summary, summary(document))):
        if file:
            file.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.junit:
        options.junit.write_text(junit(name, results) + "\n", encoding="utf-8")
    return int(any(result.outcome in ("failed", "broken", "inexact") for result in results))


if __name__ == "__main__":
    sys.exit(main())
