"""A run's JSON, a pipeline's JSON, a launcher's variables: of other types, missing, too many, damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ddpm_ref import evaluate, sample, train
from ddpm_ref.checkpoint import read_config
from ddpm_ref.interop import diffusers
from ddpm_ref.launch import LAUNCHED
from ddpm_ref.presets import PRESETS, Config
from tests.fuzz.boundary import Fuzz, asked, contents, kept, raises_only, refused
from tests.fuzz.strategies import NUMBERS, TEXTS, changed, damaged
from tests.fuzz.test_fuzz_cli import drawn, few_images
from tests.tiny import TINY, quick


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sample, "draw", drawn)
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: 0)
    few_images(monkeypatch)
    with quick():
        yield


NAMES = ["config.json", "run must be", "--steps"]


def test_a_configuration_is_read_or_refused(fuzz: Fuzz, tmp_path: Path) -> None:
    """What is read has every setting of its type: a further write and read gives the same."""

    @given(st.sampled_from(sorted(PRESETS)).flatmap(lambda name: changed(PRESETS[name].to_dict())))
    def holds(text: str) -> None:
        (tmp_path / "config.json").write_text(text)
        config = raises_only(ValueError, lambda: read_config(tmp_path), ["config.json"])
        if config is not None:
            assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
            pairs = zip(vars(config).values(), vars(TINY).values(), strict=True)
            assert [x for x, y in pairs if y is not None and type(x) is not type(y)] == []

    fuzz(holds, cost=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sample", "evaluate", "export", "resume"])
def test_a_run_with_another_configuration_is_used_or_refused(
    fuzz: Fuzz, place: Path, trained: Path, command: str
) -> None:
    """Each command that reads a run, with its weights and checkpoints as they were."""
    values = json.loads((trained / "config.json").read_text())

    @given(changed(values))
    def holds(text: str) -> None:
        run = place / "run"
        (run / "config.json").write_text(text)
        before = contents(place)
        with kept(place) as told:
            match command:
                case "sample":
                    answer = asked(sample.main, ["--run", "run", "--out", "new", "--device", "cpu"])
                case "evaluate":
                    answer = asked(evaluate.main, ["--run", "run", "--out", "new", "--device", "cpu"])
                case "export":
                    answer = asked(diffusers.main, ["export", "run", "--out", "new"])
                case _:
                    answer = asked(train.main, ["--resume", "run", "--device", "cpu", "--dry-run"])
            told(
                refused(
                    answer, [*NAMES, "weights", "n must be", "held-out", "labels", "groups", "prediction"]
                )
            )
        assert contents(place) == before

    fuzz(holds, cost=2)


@pytest.mark.parametrize("name", ["metrics.jsonl", "report.json", "environment.json"])
def test_a_run_goes_on_or_says_what_is_damaged(fuzz: Fuzz, place: Path, trained: Path, name: str) -> None:
    """Resumed for good: to the end of the run, without an update left to do."""
    shutil.rmtree(place / "run")
    shutil.copytree(trained, place / "run")
    content = (trained / name).read_bytes()
    (place / "run" / "report.json").unlink()  # the run is not finished

    @given(damaged(content))
    def holds(data: bytes) -> None:
        (place / "run" / name).write_bytes(data)
        if name != "report.json":
            (place / "run" / "report.json").unlink(missing_ok=True)
        with kept(place / "thesis") as told:
            before = contents(place / "run")
            answer = asked(train.main, ["--resume", "run", "--device", "cpu", "--steps", "6"])
            told(was_refused := refused(answer, [name, "--steps"]))
            if was_refused:
                assert contents(place / "run") == before
            else:
                shutil.rmtree(place / "run")
                shutil.copytree(trained, place / "run")

    fuzz(holds, cost=4)


FILES = ("unet/config.json", "scheduler/scheduler_config.json")


@pytest.fixture(scope="module")
def pipeline(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pipeline") / "there"
    assert diffusers.main(["export", str(trained), "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("name", [FILES[0], pytest.param(FILES[1], marks=pytest.mark.slow)])
def test_a_pipeline_is_imported_or_refused(fuzz: Fuzz, place: Path, pipeline: Path, name: str) -> None:
    values = json.loads((pipeline / name).read_text())
    shutil.copytree(pipeline, place / "there")

    @given(changed(values))
    def holds(text: str) -> None:
        (place / "there" / name).write_text(text)
        with kept(place) as told:
            answer = asked(diffusers.main, ["import", "there", "--out", "new"])
            told(refused(answer, ["config.json", "weights", "out_channels"]))

    fuzz(holds, cost=2)


def test_a_launchers_variables_are_understood_or_refused(
    fuzz: Fuzz, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes and more would meet; nobody meets here."""
    variables = st.sampled_from(["0", "1", "2", *NUMBERS, *TEXTS]).filter(
        lambda text: "\0" not in text and len(text) < 1000
    )

    @given(st.fixed_dictionaries(dict.fromkeys(LAUNCHED, variables)))
    def holds(environment: dict[str, str]) -> None:
        with pytest.MonkeyPatch.context() as patch, kept(place) as told:
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(train, "train", lambda run: 0)
            patch.setattr(train, "check_number", lambda *_: None)
            answer = asked(train.main, ["--preset", "smoke", "--out", "new", "--device", "cpu"])
            event("world", environment["WORLD_SIZE"][:4])
            told(refused(answer, [*LAUNCHED, "batch_size", "processes"]))

    fuzz(holds, cost=0.5)
