"""A trainer killed by SIGKILL, at any moment, in one process or in one of two, goes on to the same bits."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.tiny import assert_same

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


class Killed(NamedTuple):
    """The folder that `tests.killing` worked in, and what it said."""

    folder: Path
    fifty: dict[str, Any]
    race: dict[str, Any]
    lost: dict[str, Any]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.killing", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return Killed(folder, **json.loads(done.stdout))


def test_the_kills_fell_everywhere(killed: Killed) -> None:
    kills = killed.fifty["kills"]
    assert [kill["code"] for kill in kills] == [-9] * 50
    fell = Counter(kill["phase"] for kill in kills)
    assert fell["start"] >= 5
    assert fell["training"] >= 8
    assert fell["checkpoint"] >= 8
    assert fell.keys() >= {"grid", "weights", "loss curve", "sampling", "report"}
    assert sum(kill["unfinished"] for kill in kills) >= 3  # a half-written file was there
    assert len({kill["step"] for kill in kills}) > 10


@pytest.mark.promise(
    "killed",
    "SIGKILL at any moment (starting, updating, writing a checkpoint, sampling): `--resume` goes on from the "
    "last checkpoint, and ends with the same bits of weights, average, optimiser and generators, no update "
    "missing from the log or in it twice",
)
def test_a_run_killed_at_fifty_moments_ends_as_one_that_was_not(killed: Killed) -> None:
    assert killed.fifty["codes"] == [0, 0]
    one, two = killed.folder / "whole", killed.folder / "killed"
    assert_same(one, two)
    for path in [*one.glob("grids/*.png"), one / "samples.png", one / "loss.png"]:
        assert (two / path.relative_to(one)).read_bytes() == path.read_bytes()
    left = {path.relative_to(two) for path in two.rglob("*")}
    assert left == {path.relative_to(one) for path in one.rglob("*")}


@pytest.mark.promise(
    "two runs into one folder", "of two that start at the same moment one runs, and one is refused"
)
def test_of_two_runs_that_start_together_one_is_refused(killed: Killed) -> None:
    assert killed.race["codes"] == [[0, 2]] * 3
    said = (killed.folder / "race.log").read_text()
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.startswith("ddpm_ref.train: ")]) == 3


LOST = "lost process"


@pytest.mark.promise(LOST, "the others end within seconds, in one line that says what is kept, exit code 1")
def test_a_process_whose_partner_is_killed_ends(killed: Killed) -> None:
    assert killed.lost["code"] == 1
    assert killed.lost["seconds"] < 20
    assert "Traceback" not in killed.lost["said"]
    (line,) = [line for line in killed.lost["said"].splitlines() if line.startswith("ddpm_ref.train")]
    assert "(process 0): another process is gone" in line
    assert f"keeps the state of step {killed.lost['kept']} of 12; go on with" in line


@pytest.mark.promise(
    LOST, "the last checkpoint is good: resumed with as many processes, the run ends with the same bits"
)
def test_a_run_that_lost_a_process_ends_as_one_that_did_not(killed: Killed) -> None:
    assert killed.lost["kept"] >= 3
    assert killed.lost["codes"] == [0, 0, 0, 0]
    assert_same(killed.folder / "together", killed.folder / "lost")
