"""`python -m derivations.vectors`: write the conformance vectors, or check them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import flint

from derivations.proof.arguments import Parser
from derivations.vectors.annotate import annotated
from derivations.vectors.balls import PRECISION_BITS
from derivations.vectors.named import CONFIGS, betas

FOLDER = Path(__file__).resolve().parents[2] / "ddpm_ref" / "conformance" / "vectors"
FORMAT = "ddpm-ref vectors 1"
SCHEMA = "vectors.schema.json"
CHECKSUMS = "SHA256SUMS"
TOPICS = (
    "schedules",
    "tables",
    "forward",
    "posterior",
    "conversions",
    "variances",
    "weights",
    "divergences",
    "decoder",
    "bound",
    "steps",
    "laws",
)


def file(name: str) -> str:
    """Make the text of one topic's file."""
    with flint.ctx.workprec(PRECISION_BITS):
        topic = import_module(f"derivations.vectors.topics.{name}").topic()
        top = {"format": FORMAT, "topic": topic.name, "about": topic.about}
        schedules = {
            schedule: {
                "config": {key: value for key, value in config.items() if key != "betas"},
                "betas": list(betas(schedule)),
            }
            for schedule, config in CONFIGS.items()
        }
        vectors = [annotated(vector) for vector in topic.vectors]
    lines = [f"{_json(key)}: {_json(value)}" for key, value in top.items()]
    if name == "schedules":
        lines.append('"schedules": {\n' + ",\n".join(_members(schedules)) + "\n}")
    lines.append('"vectors": [\n' + ",\n".join(map(_vector, vectors)) + "\n]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _members(values: dict[str, Any]) -> Iterator[str]:
    yield from (f"{_json(key)}: {_json(value)}" for key, value in values.items())


def _vector(vector: dict[str, Any]) -> str:
    """Print a vector with a line for each of its keys, and for each mutant."""
    members = list(_members({**vector, "mutants": []}))[:-1]
    mutants = ",\n".join(f"   {_json(wrong)}" for wrong in vector["mutants"])
    members.append(f'"mutants": [\n{mutants}]' if mutants else '"mutants": []')
    return " {" + ",\n  ".join(members) + "}"


def files(names: Sequence[str] = TOPICS) -> dict[str, str]:
    """Make the files of some topics."""
    return {f"{name}.json": file(name) for name in names}


def checksums(made: dict[str, str]) -> str:
    """Make the file of checksums, as `sha256sum -c` reads it."""
    contents = {
        **{name: text.encode() for name, text in made.items()},
        SCHEMA: (FOLDER / SCHEMA).read_bytes(),
    }
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; return 1 where a file is stale or a claim does not give the truth."""
    parser = Parser(
        prog="python -m derivations.vectors",
        description="Write ddpm_ref/conformance/vectors/ from the definitions and the claims' mutants.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    options = parser.parse_args(arguments)
    try:
        made = files()
        made[CHECKSUMS] = checksums(made)
    except (ArithmeticError, OSError) as error:
        print(f"python -m derivations.vectors: {error}", file=sys.stderr)
        return 1
    there = {
        path.name: path.read_bytes() for path in FOLDER.iterdir() if path.name != SCHEMA and path.is_file()
    }
    fresh = {name: text.encode() for name, text in made.items()}
    stale = sorted(name for name in fresh.keys() | there.keys() if fresh.get(name) != there.get(name))
    if options.check:
        for name in stale:
            print(f"Stale: {FOLDER.name}/{name}", file=sys.stderr)
        if stale:
            print("Run `make vectors` and commit what it writes.", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        if name in made:
            (FOLDER / name).write_text(made[name], encoding="utf-8", newline="\n")
        else:
            (FOLDER / name).unlink()
        print(f"{FOLDER.name}/{name} {'written' if name in made else 'removed'}")
    if not stale:
        print("Every file is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
