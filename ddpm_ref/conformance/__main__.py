"""`python -m ddpm_ref.conformance IMPLEMENTATION`: check it, print a table, write JSON and JUnit XML."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from ddpm_ref.arguments import Parser, fail, new_file, positive
from ddpm_ref.conformance.protocol import BUILT_IN
from ddpm_ref.conformance.report import junit, summary, table, to_json
from ddpm_ref.conformance.runner import TIMEOUT, Worker

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if all that is offered passes, 1 if not, 2 if the question is wrong."""
    parser = Parser(
        prog="python -m ddpm_ref.conformance",
        description="Hold an implementation of DDPM to the proved formulas.",
        epilog=f"IMPLEMENTATION is one of {', '.join(BUILT_IN)}, or package.module:Class.",
    )
    parser.add_argument("implementation", metavar="IMPLEMENTATION", help="which adapter")
    parser.add_argument("--only", default="", metavar="TEXT", help="checks whose name holds this")
    parser.add_argument(
        "--timeout", type=positive, default=TIMEOUT, metavar="SECONDS", help="for one check (%(default)g)"
    )
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write every result")
    parser.add_argument(
        "--summary", type=new_file, metavar="FILE", help="write what docs/conformance/results holds"
    )
    parser.add_argument("--junit", type=new_file, metavar="FILE", help="write them as JUnit XML")
    parser.add_argument("--note", default="", help="a sentence to keep in the JSON")
    try:
        options = parser.parse_args(arguments)
        worker = Worker(options.implementation, options.only)
        try:
            if not worker.tasks:
                raise ValueError(f"--only must be in some check's name; none holds {options.only!r}")
            results = []
            for result in worker.results(options.timeout):
                results.append(result)
                if sys.stderr.isatty():
                    print(f"\r{len(results):5} {result.check:<40}", end="", file=sys.stderr)
        finally:
            worker.stop()
        name, version, note = worker.about
        print(table(f"{name} {version}".strip(), results))
        note = options.note or note
        document = to_json(name, version, results, **({"note": note} if note else {}))
        for file, made in ((options.json, document), (options.summary, summary(document))):
            if file:
                file.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if options.junit:
            options.junit.write_text(junit(name, results) + "\n", encoding="utf-8")
    except ValueError as error:
        return fail("conformance", error)
    except OSError as error:
        return fail("conformance", error, 1)
    except KeyboardInterrupt:
        print("\nInterrupted; nothing was written.", file=sys.stderr)
        return 130
    return int(any(result.outcome in ("failed", "broken", "inexact") for result in results))


if __name__ == "__main__":
    sys.exit(main())
