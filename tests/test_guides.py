"""What the hand-written pages say to run can be run, and what they show is what would be made now."""

import argparse
import doctest
import importlib
import json
import re
import shlex
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from ddpm_ref.presets import resolve
from ddpm_ref.sample import sampling_of
from derivations.proof import counts
from derivations.proof.deciding import select

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    if path.parent.name not in ("derivations", "documents")
)
GUIDES = sorted((DOCS / "guides").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"(?:python|torchrun)\b.*? -m (?P<module>(?:ddpm_ref|derivations)[\w.]*)(?P<rest>[^`]*)")


def blocks(path: Path, *languages: str) -> list[str]:
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [code for language, code in found if language in languages]


def commands(path: Path) -> list[str]:
    """The lines of a page's shell blocks, and what stands between backticks elsewhere."""
    text = path.read_text(encoding="utf-8")
    lines = "\n".join(blocks(path, "sh", "bash", "yaml")).replace("\\\n", " ").splitlines()
    return lines + re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))


CALLS = sorted(
    {
        (path.relative_to(ROOT).as_posix(), found["module"], found["rest"].partition("#")[0].strip())
        for path in PAGES
        for line in commands(path)
        if (found := MODULE.search(line))
    }
)


class Parsed(BaseException):
    """Raised in place of the work, once a command line is understood."""


@pytest.fixture
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        raise Parsed(parse(parser, *arguments))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)


def understood(module: str, arguments: list[str]) -> argparse.Namespace:
    """Parse as a command does, and check the choices that it checks after parsing."""
    name = (
        module
        if module.rpartition(".")[2] not in ("ddpm_ref", "derivations", "conformance", "vectors")
        else ""
    )
    main = importlib.import_module(name or f"{module}.__main__").main
    with pytest.raises(Parsed) as parsed:
        assert main(arguments) is None, f"{module} refused {arguments}"
    given: argparse.Namespace = parsed.value.args[0]
    if module == "ddpm_ref.train" and given.resume is None:
        others = ("resume", "dry_run", "out", "preset", "tensorboard", "device")
        resolve(given.preset or "digits", **{k: v for k, v in vars(given).items() if k not in others})
    if module in ("ddpm_ref.sample", "ddpm_ref.evaluate"):
        sampling_of(given)
    if module == "derivations" and given.only != ["ledger"]:
        select(given.only)
    return given


@pytest.mark.usefixtures("only_parsing")
@pytest.mark.parametrize(("page", "module", "rest"), CALLS)
def test_a_command_on_a_page_is_one_that_its_program_takes(page: str, module: str, rest: str) -> None:
    arguments = [word for word in shlex.split(rest) if "$" not in word and word not in ("...", "…")]
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            understood(module, arguments)
    elif arguments:
        understood(module, arguments)
    else:  # the name of a program, whose arguments are told elsewhere
        importlib.import_module(module)


@pytest.mark.usefixtures("only_parsing")
@pytest.mark.parametrize(
    "command",
    [
        "ddpm_ref.train --presets digits",
        "ddpm_ref.train --preset digit",
        "ddpm_ref.train --loss hybrid",
        "ddpm_ref.sample --run r --sampler dim",
        "derivations posterior.varience",
    ],
)
def test_a_command_that_is_wrong_would_be_found(command: str) -> None:
    module, _, rest = command.partition(" ")
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        understood(module, shlex.split(rest))


def test_programs_targets_and_files_on_pages_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    missing = set()
    for path in PAGES:
        for line in commands(path):
            program = line.partition("#")[0].strip()
            if (made := re.match(r"make ([a-z]+)", program)) and made[1] not in targets:
                missing.add(f"{path.name}: make {made[1]}")
            script = re.search(r"python ([\w./-]+\.py)\b", program)
            if script and not (ROOT / script[1]).is_file():
                missing.add(f"{path.name}: {script[1]}")
    assert missing == set()


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_the_examples_of_a_guide_run(path: Path) -> None:
    for code in blocks(path, "python"):
        exec(compile(code, path.name, "exec"), {})
    for session in blocks(path, "pycon"):
        example = doctest.DocTestParser().get_doctest(session, {}, path.name, str(path), 0)
        assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


# The pictures and the reference runs.


def script(path: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend((DOCS / path).parent)
    return importlib.import_module(Path(path).stem)


@pytest.mark.slow
def test_the_pictures_are_what_would_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert script("pictures/draw.py", monkeypatch).main(["--check"]) == 0


def test_a_picture_that_differs_or_that_nothing_draws_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = script("pictures/draw.py", monkeypatch)
    wanted = {"pictures/langevin-bias": draw.PICTURES["langevin-bias"]}
    (tmp_path / "pictures").mkdir()
    for scheme in ("light", "dark"):
        text = (DOCS / "pictures" / f"langevin-bias.{scheme}.svg").read_text(encoding="utf-8")
        (tmp_path / "pictures" / f"langevin-bias.{scheme}.svg").write_text(text, encoding="utf-8")
    assert draw.stale(tmp_path, wanted) == {}
    (tmp_path / "pictures" / "langevin-bias.dark.svg").write_text(
        text.replace("fill", "file", 1), encoding="utf-8"
    )
    (tmp_path / "pictures" / "orphan.light.svg").write_text("<svg/>", encoding="utf-8")
    found = draw.stale(tmp_path, wanted)
    assert list(found) == ["pictures/langevin-bias.dark.svg", "pictures/orphan.light.svg"]
    assert found["pictures/orphan.light.svg"] == ""


@pytest.mark.parametrize("page", ["pictures/index.md", "runs/index.md"])
def test_every_picture_is_shown_light_and_dark_with_words_for_who_cannot_see_it(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]*)\]\(([\w./-]+)\.(light|dark)\.svg#only-(light|dark)\)", text)
    assert [entry for entry in shown if entry[2] != entry[3] or len(entry[0]) < 20] == []
    folder = (DOCS / page).parent
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.svg")}
    assert {f"{name}.{scheme}.svg" for _, name, scheme, _ in shown} == there


def test_the_page_of_runs_is_made_from_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert script("runs/write.py", monkeypatch).main(["--check"]) == 0


def test_a_run_that_is_not_finished_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}", encoding="utf-8")
    write = script("runs/write.py", monkeypatch)
    assert write.main(["--add", str(tmp_path / "run")], tmp_path / "kept") == 2
    assert "lacks environment.json, report.json, metrics.jsonl" in capsys.readouterr().err


def test_a_loss_is_thinned_to_means_of_all_its_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    write = script("runs/write.py", monkeypatch)
    losses = [float(k) for k in range(1, 2501)]
    thin = write.thinned(losses)
    assert thin["update"] == thin["loss"]  # the mean of updates a … b is their middle
    assert len(thin["loss"]) <= write.POINTS + 1
    assert write.thinned([3.0]) == {"update": [1.0], "loss": [3.0]}


def test_a_run_evaluated_without_samples_keeps_the_scores_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = script("runs/write.py", monkeypatch)
    run = shutil.copytree(DOCS / "runs" / "digits-0", tmp_path / "digits-0")
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    (run / "evaluation.json").write_text(json.dumps(evaluation | {"quality": None}), encoding="utf-8")
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert f"{report['quality']['n']} samples against" in "\n".join(write.section(run))


def test_what_is_kept_of_a_run_names_no_folder_of_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    write = script("runs/write.py", monkeypatch)
    said: dict[str, Any] = {"commit": None, "versions": {}, "device": "cpu", "cpus": 2, "threads": 2}
    assert write.public({**said, "command": ["--out", "/data/me/runs"], "platform": "my kernel"}) == said
    kept = [
        path for path in DOCS.glob("runs/*/*.json") if re.search(r'"/[a-z]', path.read_text(encoding="utf-8"))
    ]
    assert kept == []


@pytest.mark.usefixtures("only_parsing")
@pytest.mark.parametrize("path", sorted(DOCS.glob("runs/*/config.json")), ids=lambda path: path.parent.name)
def test_the_command_that_repeats_a_run_gives_its_configuration(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    options = script("runs/write.py", monkeypatch).options(config)
    given = vars(understood("ddpm_ref.train", shlex.split(options)))
    settings = {name: value for name, value in given.items() if name in config.keys() | {"dropout"}}
    again = json.loads(json.dumps(resolve(**settings).on(torch.device("cpu")).to_dict()))
    assert again == config


# The front page.


def test_the_front_page_counts_what_the_documents_say() -> None:
    home, errata = ((DOCS / name).read_text(encoding="utf-8") for name in ("index.md", "errata.md"))
    shown = {
        what: int(count.replace(",", "")) for count, what in re.findall(r"\*\*([\d,]+)\*\* ([\w ]+)\]", home)
    }
    slips = re.search(r"^(\d+) statements that do not hold", errata, re.MULTILINE)
    assert slips
    assert shown["slips found"] == int(slips[1])
    assert counts.filled(home, shown) == home


@pytest.mark.parametrize("page", ["", "<!-- counts: made by `make render` -->\n"])
def test_a_page_without_a_place_for_the_counts_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="one place for the counts; got 0"):
        counts.filled(page, dict.fromkeys("abcd", 1))


def test_the_entry_to_cite_says_what_the_citation_file_says() -> None:
    entry, file = ((path).read_text(encoding="utf-8") for path in (DOCS / "cite.md", ROOT / "CITATION.cff"))
    for field in ("version", "title", "license"):
        said = re.search(rf'^{field}: "?([^"\n]+)', file, re.MULTILINE)
        assert said
        assert re.search(rf"^  {field} *= {{{re.escape(said[1])}}}", entry, re.MULTILINE), field
