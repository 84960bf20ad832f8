"""The command lines: options that there are, in full or cut short, with right values, wrong and absurd."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref import measuring
from ddpm_ref.conformance import vectors
from ddpm_ref.features import Pixels
from ddpm_ref.presets import Config
from ddpm_ref.sampler import State
from tests.fuzz.boundary import Fuzz, asked, kept, refused
from tests.fuzz.strategies import arguments, names_of, parser_of
from tests.tiny import small_split

ROOT = Path(__file__).resolve().parents[2]

Patch = Callable[[pytest.MonkeyPatch, ModuleType], None]


class Command(NamedTuple):
    """A command, values that it takes, and what stands for its work."""

    module: str
    good: Mapping[str, Sequence[str]]
    work: Patch
    allowed: tuple[str, ...] = ()  # what else a refusal may name
    cost: float = 1


def load(name: str) -> ModuleType:
    """Import a module, or a program that is none of a package."""
    if "/" not in name:
        return importlib.import_module(name)
    path = ROOT / name
    sys.path.insert(0, str(path.parent))
    try:
        spec = importlib.util.spec_from_file_location(f"program_{path.parent.name}_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def main_of(module: ModuleType, own: Path) -> Callable[[list[str]], int | None]:
    """Give a program's main, which takes its arguments from the process where it takes none.

    Args:
        module: the program.
        own: the folder that it writes into if nothing else is said.
    """
    if module.main.__code__.co_argcount == 2:
        return lambda given: module.main(given, own)

    def main(given: list[str]) -> int | None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [f"{module.__name__}.py", *given])
            patch.setattr(module, "__file__", str(own / "program.py"))
            code: int | None = module.main()
            return code

    return main if module.main.__code__.co_argcount == 0 else module.main


# -- what stands for the work --------------------------------------------------------------------------------


def train(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    patch.setattr(Config, "data", lambda self: small_split())
    patch.setattr(module, "check_number", lambda *_: None)
    patch.setattr(module, "summary_writer", lambda: None)
    patch.setattr(module, "train", lambda run: 0)


def drawn(model: object, config: Config, n: int, *_: object) -> tuple[torch.Tensor, list[State]]:
    x = torch.zeros(min(n, 3), 1, 8, 8)
    return x, [State(1, x, None), State(0, x, x)]


def sample(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    patch.setattr(Config, "data", lambda self: small_split())
    patch.setattr(module, "draw", drawn)


def evaluate(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    patch.setattr(Config, "data", lambda self: small_split())
    patch.setattr(module, "evaluate", lambda *_: 0)
    few_images(patch)


def few_images(patch: pytest.MonkeyPatch) -> None:
    """Let thirty images be enough to judge samples by."""
    patch.setattr(measuring, "check_number", lambda *_: None)
    patch.setattr(measuring, "usual_extractor", lambda split: ("pixels", Pixels()))


def conformance(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """The adapter is imported here, and answers nothing; `test_fuzz_adapters.py` asks real ones."""
    from ddpm_ref.conformance import measure, protocol

    class Worker:
        lost = ""

        def __init__(self, adapter: str, only: str) -> None:
            protocol.place(adapter)
            self.about = (protocol.load(adapter).__name__, "", "")
            self.tasks = [("q_sample", "forward.sample", "linear")] if only in "q_sample" else []

        def results(self, timeout: float) -> Any:
            return iter([measure.Result(*task, "passed") for task in self.tasks])

        def stop(self) -> None: ...

    patch.setattr(module, "Worker", Worker)


def nothing(*names: str, result: Any = None) -> Patch:
    """Put a function that does nothing in the place of some of a module's."""

    def work(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
        for name in names:
            patch.setattr(module, name, lambda *_, **__: result)

    return work


def text(page: str) -> str:
    """Read a page that is made, so that what writes it leaves it as it was."""
    return (ROOT / page).read_text(encoding="utf-8")


def derivations(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    patch.setattr(module, "ledger", lambda file: 0)
    patch.setattr(module, "decide", lambda *_: [])


def benchmark(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """What measures gives nothing, and what would draw it draws nothing."""
    results: dict[str, Any] = {"small_start/fixed_large": {}}
    for name in (
        "measure",
        "quality",
        "growth",
        "ratio",
        "compare",
        "by_turns",
        "memory",
        "training",
        "sampling",
    ):
        if hasattr(module, name):
            patch.setattr(module, name, lambda *_, **__: dict(results, exponent=1.0))
    for name in ("draw", "flops", "peak_memory", "peak_here", "describe"):
        if hasattr(module, name):
            patch.setattr(module, name, lambda *_: 0.0)
    patch.setattr(torch, "set_num_threads", lambda n: None)
    # Without --out a program writes beside itself, where the measured numbers are.
    patch.setattr(module, "__file__", str(Path(tempfile.mkdtemp()) / "program.py"))
    if hasattr(module, "environment"):
        keys = ("commit", "versions", "platform", "cpus", "threads", "device")
        patch.setattr(module, "environment", lambda *_: {**dict.fromkeys(keys), "versions": {}})


RUNS = {"run": ["run"], "out": ["new", "empty", "new/one"], "device": ["cpu", "auto"]}
SAMPLING = {
    "sampler": ["ancestral", "ddim"],
    "spacing": ["trailing", "linspace", "stride", "quadratic"],
    "eta": ["0", "1", "0.5"],
    "variance": ["fixed_large", "fixed_small"],
    "sampling_steps": ["1", "5", "50"],
}
COMMANDS = {
    "train": Command(
        "ddpm_ref.train",
        RUNS
        | {
            "preset": ["smoke", "digits"],
            "source": ["digits", "gaussian", "folder:thesis", "cifar10:empty", "hf:nothing"],
            "resume": ["run", "run/checkpoints/step-00000006.safetensors"],
            "steps": ["9", "1"],
        },
        train,
        ("--resume", "unet.", "run", "report.json"),
    ),
    "sample": Command(
        "ddpm_ref.sample",
        RUNS | SAMPLING | {"n": ["1", "3"], "interpolate": ["1", "50"]},
        sample,
        cost=3,
    ),
    "evaluate": Command(
        "ddpm_ref.evaluate",
        RUNS | SAMPLING | {"n": ["20"], "features": ["pixels"], "cdf": ["exact", "tanh"], "steps": ["5"]},
        evaluate,
        ("held-out images", "torch-fidelity"),
        cost=3,
    ),
    "conformance": Command(
        "ddpm_ref.conformance.__main__",
        {
            "implementation": ["original", "reference", "json:Nothing", "json:dumps", "nothing:No"],
            "only": ["q", "none"],
            **{key: ["new.json", "file.txt", "/dev/full"] for key in ("json", "summary", "junit")},
        },
        conformance,
        ("adapter", "No space left"),
    ),
    "matrix": Command("ddpm_ref.conformance.matrix", {"folder": ["thesis"]}, nothing(), ("results",)),
    "interop": Command(
        "ddpm_ref.interop.diffusers",
        {"run": ["run"], "folder": ["empty", "run"], "out": ["new"]},
        nothing(),
        ("weights", "setting", "groups", "run"),
        cost=3,
    ),
    "derivations": Command(
        "derivations.__main__",
        {"only": ["ledger", "posterior", "posterior.mean"], "json": ["new.json", "/dev/full"]},
        derivations,
        ("chapter", "ledger", "No space left"),
    ),
    "render": Command("derivations.proof.render", {}, nothing("pages", "written", "stale", result={})),
    "export": Command(
        "derivations.proof.export", {}, nothing("book", result=text("ddpm_ref/conformance/formulas.json"))
    ),
    "site": Command(
        "derivations.proof.site", {"site_dir": ["new", "empty"]}, nothing("build", result=0), ("site-dir",)
    ),
    "vectors": Command("derivations.vectors.__main__", {}, nothing("files", result={})),
    "runs": Command(
        "docs/runs/write.py",
        {"add": ["run", "empty"]},
        nothing("add", "page", result=text("docs/runs/index.md")),
        ("run",),
    ),
    "pictures": Command("docs/pictures/draw.py", {}, nothing("stale", result={})),
    "benchmarks": Command("benchmarks/page.py", {}, nothing("make", result=text("docs/benchmarks.md"))),
    "benchmarks: bound": Command("benchmarks/bound.py", {"out": ["new", "/dev/full"]}, benchmark),
    "benchmarks: commands": Command("benchmarks/commands.py", {"out": ["new"]}, benchmark),
    "benchmarks: gap": Command("benchmarks/entropy_gap.py", {"out": ["new"]}, benchmark),
}


def named(line: Sequence[str]) -> list[str]:
    """List the files that a command line may have asked to be written."""
    return [Path(argument.rpartition("=")[2]).as_posix() for argument in line]


QUICK = ("train", "sample", "conformance")  # in the default run


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_a_command_line_is_understood_or_refused(name: str, fuzz: Fuzz, place: Path) -> None:
    command = COMMANDS[name]
    module = load(command.module)
    main = main_of(module, place / "own")
    parser = parser_of(main)
    (place / "own").mkdir()
    if hasattr(module, "FOLDER"):
        shutil.copy(vectors.FOLDER / vectors.SCHEMA, place / "own")
    names = {*names_of(parser), *command.allowed}

    @given(st.data())
    def holds(data: st.DataObject) -> None:
        line = data.draw(arguments(parser, command.good))
        with pytest.MonkeyPatch.context() as patch, kept(place, named(line)) as told:
            for name in ("FILE", "FOLDER", "PAGE", "DOCS"):
                if isinstance(getattr(module, name, None), Path):
                    patch.setattr(module, name, place / "own" / ("" if name == "FOLDER" else "page"))
            command.work(patch, module)
            told(refused(asked(main, line), names, (2, 1)))

    fuzz(holds, command.cost)
