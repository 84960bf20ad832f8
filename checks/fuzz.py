"""Give every boundary what nobody should give it: `python checks/fuzz.py [NAME ...] [--examples N]`.

Runs `tests/fuzz/`, each file in a process of its own, with a large budget and other examples every time.
Writes what hypothesis observed as `checks/fuzz.json`, and the page `docs/checks/fuzz.md`; exits 1 where an
example failed. With `--check` it only compares the page.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pages import ROOT, settle

from ddpm_ref.arguments import Parser, integer

RECORD = ROOT / "checks" / "fuzz.json"
FILES = {  # tests/fuzz/test_fuzz_NAME.py, and what it is about
    "cli": "command lines",
    "config": "configurations, run folders, a launcher's variables",
    "checkpoints": "checkpoints and weights",
    "images": "pictures, CIFAR-10, data sets of the hub",
    "vectors": "vectors, peers' results, kept runs, pages",
    "adapters": "adapters, the pytest plugin",
}
KEPT = 12  # kinds of a refusal that are recorded of each property
SHOWN = 4  # and those that the page shows

INTRODUCTION = """\
---
title: Fuzzing
---

# Fuzzing

<!-- Made from checks/fuzz.json by checks/fuzz.py; edit that. -->

What is promised at every boundary, from the command line to an adapter of one's own:

- Bad input is refused in one line, which names the argument or the file, with an exit code that is not 0 (2
  for a wrong question; 1 for a page that is not up to date, or a disk that is full). No traceback and no
  warning reaches anybody. A reader that is called as a library raises the error that it documents, and no
  other.
- What is refused leaves every folder as it was. What is accepted changes no file that was there, except one
  that it was asked to write.
- One input of a few kilobytes takes at most {seconds:g} seconds of the processor, and raises the most memory
  that the process has taken by less than {bytes}, whatever sizes it claims to have.

Hypothesis draws the input, and something quick stands for the work behind a boundary: training, sampling,
proofs, measuring. Command lines come from the command's own list of arguments, each given in full or cut
short, once, twice or not at all, with values that it takes, numbers that are none (`nan`, `1e400`, `-0`, five
thousand digits), no text at all, ends of lines, null bytes and halves of characters, and paths of files,
folders, links in a circle and full devices. In JSON a part has another type or value, is missing, or lies
deeper than a parser goes. Files are cut off, flipped in a bit, or spliced; and some are hostile: tensors with
a right checksum and wrong contents, pictures that claim to be gigabytes, pickles that call functions, modules
that end the process that imports them.

`python checks/fuzz.py` runs `tests/fuzz/` with {examples} examples of each property, more of those that are
quick and fewer of those that take long, and writes this page. A few examples are in the default tests, more
in the slow ones; both draw the same ones every time.

{where}

"""


def run(name: str, examples: int, seed: int | None) -> dict[str, Any]:
    """Run one file of tests, and count what hypothesis observed."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", str(ROOT / "tests" / "fuzz" / f"test_fuzz_{name}.py")]
        command += ["-m", "", "-p", "no:cacheprovider", "--tb=short", "--hypothesis-profile=explore"]
        command += ["--examples", str(examples), f"--junitxml={report}", f"--basetemp={scratch}/pytest"]
        command += [] if seed is None else [f"--hypothesis-seed={seed}"]
        observed = {
            "HYPOTHESIS_EXPERIMENTAL_OBSERVABILITY": "1",
            "HYPOTHESIS_EXPERIMENTAL_OBSERVABILITY_NOCOVER": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(Path(scratch) / "hypothesis"),
        }
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **observed})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        lines = [
            json.loads(line)
            for file in Path(scratch).glob("hypothesis/observed/*_testcases.jsonl")
            for line in file.read_text(encoding="utf-8").splitlines()
        ]
        suite = next(ElementTree.parse(report).iter("testsuite")).attrib if report.is_file() else {}
        unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
        return {
            "exit": process.returncode,
            "tests": int(suite.get("tests", 0)),
            "failed": int(suite.get("failures", 0)) + int(suite.get("errors", 0)),
            "seconds": round(time.monotonic() - began, 1),
            "peak_memory_mb": round(used.ru_maxrss * unit / 1e6),
            "properties": properties(lines),
        }


def properties(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Count the examples of every property: how many, and how they ended."""
    found: dict[str, dict[str, Any]] = {}
    kinds: dict[str, Counter[str]] = {}
    for line in lines:
        if line["type"] != "test_case" or line["status"] == "gave_up":
            continue
        name = re.sub(r"\[\d+-?|\]$", lambda cut: "[" if cut[0].endswith("-") else "", line["property"])
        name = name.rpartition("::")[2] + ("]" if "[" in name else "")
        row = found.setdefault(name, {"examples": 0, "failed": 0, "seconds": 0.0})
        row["examples"] += 1
        row["failed"] += line["status"] == "failed"
        row["seconds"] += sum(line["timing"].values())
        ended = kinds.setdefault(name, Counter())
        if line["status"] == "passed":
            ended[str(line["features"].get("exit", "accepted"))] += 1
    for name, row in found.items():
        accepted = kinds[name].pop("accepted", 0)
        row |= {"accepted": accepted, "kinds": len(kinds[name]), "seconds": round(row["seconds"], 2)}
        row["refused"] = dict(kinds[name].most_common(KEPT))
    return found


def page(record: Mapping[str, Any]) -> str:
    """Make the page."""
    here = record["environment"]
    commit = here["commit"]
    at = f"commit `{commit['id'][:12]}`{' and changes' if commit['dirty'] else ''}, " if commit else ""
    versions = ", ".join(
        f"{name} {here['versions'][name]}" for name in ("python", "torch", "numpy", "hypothesis", "pillow")
    )
    text = INTRODUCTION.format(
        seconds=record["limits"]["seconds"],
        bytes=f"{record['limits']['bytes'] / 2**30:g} GiB",
        examples=f"{record['examples']:,}",
        where=f"The numbers below are of {record['date']}: {at}{here['cpus']} "
        f"processors shared with other work; {versions}.",
    )
    text += table(
        "boundary|properties|examples|accepted|refused|failed|ms each|peak memory, MB",
        (
            (f"[{FILES[name]}](#{name})", *numbers(entry), str(entry["peak_memory_mb"]))
            for name, entry in record["boundaries"].items()
        ),
    )
    text += (
        "\n*Accepted* is input that is right, by luck or because nothing that matters was changed.\n"
        "Milliseconds include drawing the input and comparing the folders. Peak memory is that of\n"
        "the process with all its imports.\n"
    )
    for name, entry in record["boundaries"].items():
        text += f"\n## {FILES[name][0].upper()}{FILES[name][1:]} {{ #{name} }}\n\n"
        text += f"`tests/fuzz/test_fuzz_{name}.py`: {entry['tests']} tests, {entry['failed']} failed.\n\n"
        text += table(
            "property|examples|accepted|refused|kinds|failed|the most frequent refusals",
            (
                (
                    sentence(title),
                    *map(str, (row["examples"], row["accepted"], refusals(row), row["kinds"], row["failed"])),
                    "; ".join(f"{kind(what)} ({n})" for what, n in list(row["refused"].items())[:SHOWN]),
                )
                for title, row in entry["properties"].items()
            ),
        )
    return text


def numbers(entry: Mapping[str, Any]) -> Iterator[str]:
    """Add up a file's properties."""
    rows = list(entry["properties"].values())
    examples = sum(row["examples"] for row in rows)
    yield str(len(rows))
    yield f"{examples:,}"
    yield f"{sum(row['accepted'] for row in rows):,}"
    yield f"{sum(map(refusals, rows)):,}"
    yield str(sum(row["failed"] for row in rows))
    yield f"{1000 * sum(row['seconds'] for row in rows) / max(1, examples):.0f}"


def refusals(row: Mapping[str, Any]) -> int:
    """Count the examples that were refused."""
    return int(row["examples"] - row["accepted"] - row["failed"])


def sentence(name: str) -> str:
    """Write a test's name as the sentence that it is."""
    words, _, parameter = name.rstrip("]").removeprefix("test_").partition("[")
    return words.replace("_", " ") + (f": `{parameter}`" if parameter else "")


def kind(text: str) -> str:
    """Quote the kind of a refusal within a table."""
    return f"`{text}`".replace("|", "\\|")


def table(header: str, rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [header.split("|"), ["---"] * (header.count("|") + 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Run the tests and write the page, or say whether it is what it should be."""
    parser = Parser(description=__doc__, allow_abbrev=False)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(FILES)} (default: all)")
    parser.add_argument("--examples", type=integer(1), default=1000, metavar="N", help="of each property")
    parser.add_argument("--seed", type=integer(0), help="of hypothesis (default: another every time)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    given = parser.parse_or_exit()
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"boundaries": {}}
    if given.check:
        return settle("fuzz", page(record))
    if unknown := [name for name in given.only if name not in FILES]:
        parser.exit(2, f"{parser.prog}: NAME must be one of {', '.join(FILES)}; got {unknown[0]}\n")
    import torch  # not where a page is compared, which takes no time

    from ddpm_ref.environment import environment

    sys.path.insert(0, str(ROOT))
    from tests.fuzz import boundary

    for name in given.only or FILES:
        record["boundaries"][name] = run(name, given.examples, given.seed)
    where = environment(torch.device("cpu"), sys.argv)
    where = {key: where[key] for key in ("commit", "versions", "cpus", "device")}
    where["versions"]["hypothesis"] = metadata.version("hypothesis")
    record |= {
        "date": datetime.now(UTC).date().isoformat(),
        "examples": given.examples,
        "limits": {"seconds": boundary.SECONDS, "bytes": boundary.BYTES},
        "environment": where,
        "boundaries": {name: record["boundaries"][name] for name in FILES if name in record["boundaries"]},
    }
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    settle("fuzz", page(record))
    return int(any(entry["exit"] for entry in record["boundaries"].values()))


if __name__ == "__main__":
    sys.exit(main())
