"""Files of tensors: damaged by chance, and made by somebody who knows the format and its checksum."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save

from ddpm_ref import sample, train
from ddpm_ref.checkpoint import read_tensors, write_tensors
from ddpm_ref.interop import diffusers
from tests.fuzz.boundary import Fuzz, asked, contents, kept, raises_only, refused
from tests.fuzz.strategies import changed, damaged
from tests.fuzz.test_fuzz_cli import drawn
from tests.tiny import quick

LAST = "checkpoints/step-00000006.safetensors"
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
DTYPES += [torch.complex64, torch.float8_e4m3fn, torch.int16]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sample, "draw", drawn)
    with quick():
        yield


def test_a_damaged_file_is_never_read(fuzz: Fuzz, trained: Path, tmp_path: Path) -> None:
    """The checksum covers all that is in it: what differs is refused."""
    content = (trained / "ema.safetensors").read_bytes()
    whole, facts = read_tensors(trained / "ema.safetensors")

    @given(damaged(content))
    def holds(data: bytes) -> None:
        (tmp_path / "a.safetensors").write_bytes(data)
        found = raises_only(ValueError, lambda: read_tensors(tmp_path / "a.safetensors"), ["a.safetensors"])
        if found is not None:  # a change within the header's blanks, or none
            assert found[1] == facts
            assert found[0].keys() == whole.keys()
            assert all(torch.equal(found[0][name], whole[name]) for name in whole)

    fuzz(holds, cost=0.5)


@st.composite
def headers(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file whose header, of JSON, says something else: places, shapes, types, sizes, facts."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = draw(changed(header)).encode("utf-8", "surrogatepass")
    size = draw(st.sampled_from([len(text), len(text), len(text), 0, 2**63, 2**64 - 1, 10**9, len(text) + 7]))
    return size.to_bytes(8, "little") + text + content[8 + length :]


def test_a_header_that_lies_is_refused(fuzz: Fuzz, trained: Path, tmp_path: Path) -> None:
    content = (trained / "ema.safetensors").read_bytes()

    @given(headers(content))
    def holds(data: bytes) -> None:
        (tmp_path / "a.safetensors").write_bytes(data)
        raises_only(ValueError, lambda: read_tensors(tmp_path / "a.safetensors"), ["a.safetensors"])

    fuzz(holds, cost=0.5)


@st.composite
def states(draw: st.DrawFn, tensors: dict[str, Any], facts: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Draw a state that differs in a tensor's dtype, shape, name or values, or in a fact."""
    tensors = dict(tensors)
    name = draw(st.sampled_from(sorted(tensors)))
    tensor = tensors[name]
    match draw(st.sampled_from(["facts", "facts", "dtype", "shape", "name", "gone", "value", "empty"])):
        case "facts":
            try:
                facts = json.loads(draw(changed(facts)))
            except (RecursionError, ValueError):
                facts = {}
        case "dtype":
            tensors[name] = tensor.to(draw(st.sampled_from(DTYPES)))
        case "shape":
            tensors[name] = tensor.flatten()[: draw(st.integers(0, 3))]
        case "name":
            tensors[draw(st.text(max_size=4).filter(lambda text: "\0" not in text))] = tensors.pop(name)
        case "gone":
            del tensors[name]
        case "value" if tensor.is_floating_point():
            worst = draw(st.sampled_from([float("nan"), float("inf"), 1e38]))
            tensors[name] = torch.full_like(tensor, worst)
        case "value":
            tensors[name] = torch.full_like(tensor, draw(st.sampled_from([0, 1, 255])))
        case "empty":
            tensors[name] = tensor.reshape(-1)[:0]
    return tensors, facts


@pytest.mark.parametrize("command", ["resume", pytest.param("sample", marks=pytest.mark.slow)])
def test_a_hostile_state_is_refused_or_used(fuzz: Fuzz, place: Path, trained: Path, command: str) -> None:
    """With a checksum that is right, as anybody can make it."""
    name = LAST if command == "resume" else "ema.safetensors"
    tensors, facts = read_tensors(trained / name)
    (place / "run" / "report.json").unlink()
    unfinished = contents(place / "run")

    @given(states(tensors, facts))
    def holds(state: tuple[dict[str, Any], Any]) -> None:
        write_tensors(place / "run" / name, *state)
        before = contents(place / "run")
        with kept(place / "thesis") as told:
            arguments = ["--resume", "run"] if command == "resume" else ["--run", "run", "--out", "new"]
            main = train.main if command == "resume" else sample.main
            answer = asked(main, [*arguments, "--device", "cpu"])
            told(was_refused := refused(answer, [name, "weights", "checkpoint", "device"]))
        if was_refused:
            assert contents(place / "run") == before
            assert not (place / "new").exists()
        shutil.rmtree(place / "run")
        shutil.rmtree(place / "new", ignore_errors=True)
        for file, content in unfinished.items():
            path = place / "run" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content) if isinstance(content, bytes) else path.mkdir(exist_ok=True)

    fuzz(holds, cost=4)


def test_a_pipelines_weights_are_read_or_refused(fuzz: Fuzz, place: Path, trained: Path) -> None:
    """Those have no checksum; only finite numbers in floating point, of the network's shapes, are let in."""
    assert diffusers.main(["export", str(trained), "--out", "there"]) == 0
    file = place / "there" / "unet" / diffusers.WEIGHTS
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}  # no mapping
    content = file.read_bytes()
    hostile = states(tensors, {}).map(lambda state: save(state[0]))

    @given(damaged(content) | headers(content) | hostile)
    def holds(data: bytes) -> None:
        file.write_bytes(data)
        with kept(place) as told:
            answer = asked(diffusers.main, ["import", "there", "--out", "new"])
            told(refused(answer, ["weights"]))

    fuzz(holds, cost=2)
