"""Every formula of the book as plain text, for programs that have no SymPy.

`python -m derivations.proof.export` writes `ddpm_ref/conformance/formulas.json`; with `--check` it only
compares, and says if that file is stale. A formula is text in the syntax that most languages share: names,
integers, `+ - * / **`, and the functions `sqrt log exp cos`, `sqnorm(u)` for ‖u‖² and `inner(u, v)`.
Inequalities are left out, because code does not compute them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sympy import sstr
from sympy.core.relational import Relational

from derivations.proof.arguments import Parser
from derivations.proof.claims import Claim, Parts, every_claim
from derivations.proof.symbols import VECTORS

FILE = Path(__file__).resolve().parents[2] / "ddpm_ref" / "conformance" / "formulas.json"


def _texts(parts: Parts) -> dict[str, str]:
    return {name: sstr(part) for name, part in parts.items()}


def _entry(claim: Claim) -> dict[str, Any]:
    return {
        "title": claim.title,
        "parts": _texts(claim.statement.parts),
        "mutants": [
            {"name": wrong.name, "seen": wrong.seen, "parts": _texts(wrong.parts)} for wrong in claim.mutants
        ],
    }


def book() -> str:
    """Return the file's text."""
    claims = {
        id: _entry(claim)
        for id, claim in every_claim().items()
        if not any(isinstance(part, Relational) for part in claim.statement.parts.values())
    }
    written = {
        "about": "Made from the claims by python -m derivations.proof.export; edit those.",
        "vectors": sorted(vector.name for vector in VECTORS),
        "claims": claims,
    }
    return json.dumps(written, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or compare it; return 1 if it is stale."""
    parser = Parser(prog="python -m derivations.proof.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the file, and write nothing")
    options = parser.parse_args(arguments)
    text = book()
    if not options.check:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_bytes() != text.encode():
        print(f"{FILE.name} is stale: run python -m derivations.proof.export", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
