"""Change the mathematics one place at a time and see a test fail: `python checks/mutants.py [MODULE...]`.

Writes `checks/mutants.json` and the page `docs/checks/mutants.md`; `--check` only compares the page. Exits 1
where a mutant survives that `checks/survivors/` gives no reason for, or where a reason is out of date.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from forked import Job, Outcome, imported_anew, in_place
from mutants_page import RECORD, page
from mutation import Mutant, mutants
from pages import ROOT, settle
from survivors import ALIVE, Refused, key, objections, reasons

STATUS = {
    "failed": "killed", "import": "killed on import", "timeout": "timed out", "passed": "survived",
    "no test": "not reached", "strange": "strange",
}  # fmt: skip


def plan_of(root: Path) -> dict[str, Any]:
    """Read `checks/mutants.toml`: the tests of each module, those left out, and what to import beforehand."""
    return tomllib.loads((root / "checks" / "mutants.toml").read_text(encoding="utf-8"))


# -- running -------------------------------------------------------------------------------------------------


def path_of(module: str) -> str:
    """Return where a module's source is."""
    return module.replace(".", "/") + ".py"


class Baseline:
    """The tests on the modules as they are: they must pass, and how long each takes and what it reaches."""

    def __init__(self, plan: Mapping[str, Any], root: Path, modules: Sequence[str], at_once: int) -> None:
        self.tests, self.left_out, self.root = plan["modules"], tuple(plan.get("left_out", {})), root
        wanted = {(module.partition(".")[0], file): 0 for module in modules for file in self.tests[module]}
        jobs = [Job(package, None, [file], self.left_out) for package, file in wanted]
        self._found: dict[tuple[str, str], Outcome] = {}
        for job, outcome in imported_anew(jobs, root, at_once):
            if outcome.status != "passed":
                raise Refused(
                    f"{job.tests[0]} does not pass before anything is changed: {outcome.status} "
                    f"{outcome.test} {outcome.error}"
                )
            self._found[job.module, job.tests[0]] = outcome

    def __call__(self, module: str) -> tuple[dict[str, float], dict[int, set[str]]]:
        """Return the seconds of each test of a module, and for each of its lines the tests that run it."""
        seconds: dict[str, float] = {}
        reached: dict[int, set[str]] = {}
        for file in self.tests[module]:
            outcome = self._found[module.partition(".")[0], file]
            seconds |= outcome.seconds
            for line, tests in outcome.reached.get(module, {}).items():
                reached.setdefault(line, set()).update(tests)
        if not reached:
            raise Refused(f"{module}: its tests never import it")
        return seconds, reached


def job(
    mutant: Mutant, seconds: Mapping[str, float], reached: Mapping[int, set[str]], left_out: Sequence[str]
) -> Job | None:
    """Return how to run a mutant: on the tests that run the changed lines, the quick ones first.

    Lines that only run while the module or the tests are imported are tried with all tests.
    """
    first, last = mutant.lines
    found = set().union(*(reached.get(line, set()) for line in range(first, last + 1)))
    tests = found - {""} or (set(seconds) if found else set())
    if not tests:
        return None
    order = sorted(tests, key=lambda test: (seconds.get(test, 0.0), test))
    files = sorted({test.partition("::")[0] for test in order})
    return Job(mutant.module, mutant.code, files, left_out, order, seconds)


def attack(
    chosen: Sequence[Mutant],
    baseline: Baseline,
    module: str,
    at_once: int,
    log: Path | None,
    *,
    fresh: bool = False,
    quick: bool = False,
) -> dict[Mutant, str]:
    """Run mutants of a module and return how each of them ended."""
    seconds, reached = baseline(module)
    print(f"{module}: {len(seconds)} tests pass in {sum(seconds.values()):.1f} s", flush=True)
    results: dict[Mutant, str] = {}
    planned: list[Job] = []
    mutant_of: dict[str, Mutant] = {}
    for mutant in chosen:
        if (made := job(mutant, seconds, reached, baseline.left_out)) is None:
            results[mutant] = "not reached"
        else:
            planned.append(made)
            mutant_of[mutant.code] = mutant

    def enter(ran: Job, outcome: Outcome) -> None:
        mutant = mutant_of[str(ran.code)]
        results[mutant] = STATUS[outcome.status]
        if log is not None:
            row = {"module": module, "function": mutant.function, "change": mutant.change}
            row |= {"status": results[mutant], "test": outcome.test, "error": outcome.error}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    if planned and not fresh:
        source = (baseline.root / path_of(module)).read_text(encoding="utf-8")
        everything = sorted(
            {test for one in planned for test in one.order or ()}, key=lambda test: seconds[test]
        )
        unchanged = Job(module, source, baseline.tests[module], order=everything, seconds=seconds)
        for ran, outcome in in_place(
            [unchanged, *planned], source, baseline.tests[module], baseline.left_out, at_once
        ):
            if ran is unchanged:
                if outcome is None or outcome.status != "passed":
                    raise Refused(
                        f"{module}: the tests do not pass in a fork that changes nothing: {outcome}"
                    )
            # What survives may have been saved by a value from before the change; that is tried once more.
            elif outcome is not None and (quick or outcome.status != "passed"):
                enter(ran, outcome)
    for ran, outcome in imported_anew(
        [one for one in planned if mutant_of[str(one.code)] not in results], baseline.root, at_once
    ):
        enter(ran, outcome)
    return results


def recorded(root: Path) -> dict[str, Any]:
    """Read the results so far."""
    file = root / RECORD
    found: dict[str, Any] = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"modules": {}}
    )
    return found


def alive(root: Path, module: str, made: Sequence[Mutant]) -> list[Mutant]:
    """Return the mutants of a module that survived when it was run."""
    row = recorded(root)["modules"].get(module)
    if row is None or row["source"] != fingerprint(root, module):
        raise Refused(f"{module} was not run, or has changed since; run it without --survivors")
    found = {tuple(survivor) for survivor in row["survivors"]}
    return [mutant for mutant in made if key(mutant) in found]


def fingerprint(root: Path, module: str) -> str:
    """Return what tells one version of a module's source from another."""
    return hashlib.sha256((root / path_of(module)).read_bytes()).hexdigest()[:12]


def record(
    root: Path,
    module: str,
    made: Sequence[Mutant],
    results: Mapping[Mutant, str],
    seconds: float,
    seed: str,
    again: bool,
) -> None:
    """Enter a module's results; those of the survivors alone beside the others of before."""
    found = recorded(root)
    commit = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    counts = Counter(results.values())
    run, first = len(results), sum(counts[status] for status in ALIVE)
    if again:
        before = found["modules"][module]
        first = before["first"]
        counts += Counter({status: n for status, n in before["counts"].items() if status not in ALIVE})
        run, seed, seconds = before["run"], before["seed"], before["seconds"] + seconds
    found["modules"][module] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit,
        "mutmut": metadata.version("mutmut"),
        "python": sys.version.split()[0],
        "mutants": len(made),
        "source": fingerprint(root, module),
        "run": run,
        "seed": seed if run < len(made) else None,
        "seconds": round(seconds),
        "first": first,
        "counts": {status: counts[status] for status in sorted(counts)},
        "survivors": [list(key(m)) for m in made if results.get(m) in ALIVE],
    }
    found["modules"] = dict(sorted(found["modules"].items()))
    (root / RECORD).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# -- the program ---------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="all of checks/mutants.toml if none")
    parser.add_argument("--sample", type=int, metavar="N", help="run N mutants of each module")
    parser.add_argument("--draw", type=int, metavar="N", help="run N of the modules")
    parser.add_argument("--seed", default="0", help="of the sample and the draw")
    parser.add_argument("--survivors", action="store_true", help="run those again that survived last time")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at once")
    parser.add_argument("--fresh", action="store_true", help="import the module anew for every mutant")
    parser.add_argument("--quick", action="store_true", help="try a survivor once, not anew as well")
    parser.add_argument("--log", type=Path, help="a file for one line of JSON for each mutant")
    parser.add_argument("--forget", action="store_true", help="write neither the record nor the page")
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    root = given.root.resolve()
    try:
        return settle("mutants", page(root, plan_of(root)), root) if given.check else work(given, root)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1


def work(given: argparse.Namespace, root: Path) -> int:
    """Run the mutants, enter the results and say what is wrong."""
    plan = plan_of(root)
    for name in given.modules:
        if name not in plan["modules"]:
            raise Refused(f"MODULE must be one of {', '.join(plan['modules'])}; got {name}")
    known = reasons(root)
    asked = list(given.modules or plan["modules"])
    if given.draw is not None:
        asked = random.Random(given.seed).sample(asked, min(given.draw, len(asked)))
    os.chdir(root)
    os.environ["OMP_NUM_THREADS"] = "1"  # a process with more threads is not forked safely
    sys.path.insert(0, str(root))
    for name in plan.get("preload", []):
        with suppress(ImportError):
            import_module(name)
    wrong = []
    baseline = Baseline(plan, root, asked, given.jobs)
    for module in asked:
        started = time.monotonic()
        made = list(mutants(module, (root / path_of(module)).read_text(encoding="utf-8")))
        chosen = made
        if given.survivors:
            chosen = alive(root, module, made)
        elif given.sample is not None and given.sample < len(made):
            chosen = random.Random(f"{given.seed} {module}").sample(made, given.sample)
        results = attack(
            chosen, baseline, module, given.jobs, given.log, fresh=given.fresh, quick=given.quick
        )
        seconds = time.monotonic() - started
        ended = dict(Counter(results.values()))
        print(f"  {len(chosen)} of {len(made)} mutants in {seconds:.0f} s: {ended}", flush=True)
        wrong += objections(known, made, results, [module])
        if not given.forget:
            record(root, module, made, results, seconds, given.seed, given.survivors)
    if not given.forget:
        settle("mutants", page(root, plan), root)
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
