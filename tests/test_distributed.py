"""Two processes on one batch do what one does, to round-off; and none is left waiting for another."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from ddpm_ref import distributed
from ddpm_ref.checkpoint import Checkpoints, read_tensors
from ddpm_ref.data import digits
from ddpm_ref.distributed import Sharded
from ddpm_ref.presets import Config, resolve
from ddpm_ref.sampler import ancestral
from ddpm_ref.trainer import Trainer
from ddpm_ref.watch import Signals

CPU = torch.device("cpu")
TINY = resolve("smoke", dropout=0.3, flips=True, batch_size=12, steps=3)
ROUND_OFF = 1e-5  # relative; the same sums in another order: float32's 6e-8, grown by the depth


def awake(trainer: Trainer) -> Trainer:
    """Move all weights, so that no layer's gradient is as good as zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return trainer


def flat_gradient(config: Config) -> Tensor:
    trainer = awake(Trainer(config, digits().train.images, CPU))
    loss, _ = trainer._gradient()
    grads = [p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]
    return torch.cat([loss.reshape(1), *grads])


def samples(config: Config) -> Tensor:
    trainer = awake(Trainer(config, digits().train.images, CPU))
    generator = torch.Generator().manual_seed(2)
    x_T = torch.randn(5, 1, 8, 8, generator=generator)  # not a multiple of the processes
    model = Sharded(trainer.model.eval())
    *_, last = ancestral(model, config.schedule(), x_T, generator=generator)
    return last.x


def held_out(config: Config) -> float:
    trainer = awake(Trainer(config, digits().train.images, CPU))
    trainer.ema.load_state_dict(trainer.model.state_dict())
    return trainer.held_out_loss(digits().held_out.images[:7])


def launched_as(rank: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.join(CPU)


def work(rank: int, port: int, folder: Path) -> None:
    """Be one of two processes, and leave what came out."""
    launched_as(rank, port)
    found = {
        "gradient": flat_gradient(TINY),
        "in parts": flat_gradient(replace(TINY, accumulate=3)),
        "samples": samples(TINY),
        "held out": torch.tensor(held_out(TINY)),
    }
    trainer = Trainer(TINY, digits().train.images, CPU)
    trainer.stop = rank == 1
    found["steps"] = torch.tensor([update.step for update in trainer.updates()])
    found["weights"] = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    torch.save(found, folder / f"{rank}.pt")
    distributed.leave()


def leave_and_look(rank: int, port: int, folder: Path) -> None:
    """Be one of two processes that train, part, and list the threads that are left of the exchange."""
    launched_as(rank, port)
    trainer = Trainer(TINY, digits().train.images, CPU)
    next(trainer.updates())
    trainer.held_out_loss(digits().held_out.images[:7])
    during = gloo_threads()
    trainer.part()
    distributed.leave()
    (folder / f"{rank}.json").write_text(json.dumps([during, gloo_threads()]))


def gloo_threads() -> list[str]:
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if name.startswith("pt_gloo")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("pair")
    spawn(work, (free_port(), folder), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the names of threads are Linux's")
def test_no_thread_of_the_exchange_is_left_when_processes_have_parted(tmp_path: Path) -> None:
    """Threads that outlive it end under Python's lock, which they wait for: one run in a dozen hung so."""
    spawn(leave_and_look, (free_port(), tmp_path), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in range(2):
        during, after = json.loads((tmp_path / f"{rank}.json").read_text())
        assert during
        assert after == []


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient", "in parts"])
def test_two_processes_have_the_gradient_of_one(pair: list[dict[str, Tensor]], name: str) -> None:
    one = flat_gradient(TINY)
    assert torch.equal(pair[0][name], pair[1][name])
    assert distance(pair[0][name], one) < ROUND_OFF
    assert distance(flat_gradient(replace(TINY, seed=1)), one) > 0.1  # another batch has quite another


@pytest.mark.slow
def test_two_processes_draw_the_samples_of_one(pair: list[dict[str, Tensor]]) -> None:
    assert torch.equal(pair[0]["samples"], pair[1]["samples"])
    assert distance(pair[0]["samples"], samples(TINY)) < ROUND_OFF


@pytest.mark.slow
def test_two_processes_evaluate_as_one(pair: list[dict[str, Tensor]]) -> None:
    assert pair[0]["held out"] == pair[1]["held out"] == pytest.approx(held_out(TINY), rel=ROUND_OFF)


@pytest.mark.slow
def test_a_wish_to_stop_in_one_process_stops_all(pair: list[dict[str, Tensor]]) -> None:
    assert [process["steps"].tolist() for process in pair] == [[1], [1]]


@pytest.mark.slow
def test_processes_share_weights(pair: list[dict[str, Tensor]]) -> None:
    assert torch.equal(pair[0]["weights"], pair[1]["weights"])


def launched(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    for name, value in zip(distributed.LAUNCHED, (rank, world, rank, "127.0.0.1", 1), strict=True):
        monkeypatch.setenv(name, str(value))


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")  # as some schedulers set for their own use
    assert (distributed.world(), distributed.rank()) == (1, 0)
    assert distributed.share(5) == slice(0, 5)


def test_every_thing_is_shared_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (0, 1, 7, 12):
        shared: list[int] = []
        for rank in range(3):
            launched(monkeypatch, rank, 3)
            shared += range(n)[distributed.share(n)]
        assert shared == list(range(n))


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 0, 5)
    with pytest.raises(ValueError, match="multiple of 10, 5 processes times 2 parts; got 12"):
        Trainer(replace(TINY, accumulate=2), digits().train.images, CPU)


def test_a_device_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 1, 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert distributed.local_device(CPU) == CPU
    with pytest.raises(ValueError, match="here are 1, and this is number 1"):
        distributed.local_device(torch.device("cuda"))
    with pytest.raises(ValueError, match="must be cpu or cuda for several processes; got mps"):
        distributed.local_device(torch.device("mps"))


@pytest.mark.promise(
    "signal", "a signal that `torchrun` hands on, and its processes had already, counts once"
)
def test_a_signal_that_a_launcher_repeats_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 0, 2)
    asked: list[bool] = []
    with Signals(lambda: asked.append(True)) as signals:
        signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            pytest.fail("it counted twice")
    assert signals.code == 130
    assert len(asked) == 1


def test_alone_a_sharded_model_is_the_model() -> None:
    model = nn.Bilinear(3, 1, 2)
    x, t = torch.randn(4, 3), torch.randn(4, 1)
    assert torch.equal(Sharded(model)(x, t), model(x, t))


# -- the command ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    command = [sys.executable, "-m", "ddpm_ref.train", "--preset", "smoke", "--steps", "3", "--samples", "0"]
    subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
    return out


def launcher() -> list[str]:
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return [*launch, "--master-port", str(free_port())]


def torchrun(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*launcher(), *command],
        capture_output=True, text=True, check=False, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def by_itself(m: str, _: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, m, *command], capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_torchrun_trains_and_resumes_as_one_process_does(tmp_path: Path) -> None:
    settings = ["--preset", "smoke", "--batch-size", "12", "--dropout", "0.3", "--samples", "0"]
    one, two = tmp_path / "one", tmp_path / "two"
    train = [sys.executable, "-m", "ddpm_ref.train", *settings, "--steps", "6", "--out", str(one)]
    subprocess.run(train, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    first = torchrun("-m", "ddpm_ref.train", *settings, "--steps", "3", "--out", str(two))
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("Training on 1297 images") == 1
    again = torchrun("-m", "ddpm_ref.train", "--resume", str(two), "--steps", "6")
    assert again.returncode == 0, again.stderr
    texts = [(run / "metrics.jsonl").read_text() for run in (one, two)]
    logs = [[json.loads(line) for line in text.splitlines()] for text in texts]
    for line, other in zip(*logs, strict=True):
        assert other["step"] == line["step"]
        assert [other["loss"], other["grad_norm"]] == pytest.approx(
            [line["loss"], line["grad_norm"]], rel=1e-4
        )
    tensors = [read_tensors(saved.path)[0] for run in (one, two) if (saved := Checkpoints(run).latest)]
    for name in ("order", "generator"):
        assert torch.equal(tensors[0][name], tensors[1][name])


def pixels(picture: Path) -> Tensor:
    with Image.open(picture) as image:
        return torch.from_numpy(np.array(image.convert("L"))).double()


@pytest.mark.slow
@pytest.mark.parametrize("interpolate", [(), ("--interpolate", "30")], ids=["samples", "interpolation"])
def test_two_processes_sample_as_one(run: Path, tmp_path: Path, interpolate: tuple[str, ...]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    command = ["-m", "--", "ddpm_ref.sample", "--run", str(run), "--n", "7", *interpolate]
    command += ["--sampling-steps", "5"]
    alone = by_itself(*command, "--out", str(one))
    together = torchrun(*command, "--out", str(two))
    assert together.returncode == 0, together.stderr
    assert together.stdout.replace(str(two), str(one)) == alone.stdout  # and not twice
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    for picture in one.glob("*.png"):
        assert (pixels(two / picture.name) - pixels(picture)).abs().max() <= 1  # of 255: a half rounded up


@pytest.mark.slow
def test_two_processes_evaluate_a_run_as_one(run: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    command = ["-m", "--", "ddpm_ref.evaluate", "--run", str(run), "--n", "80", "--images", "5"]
    command += ["--steps", "4", "--features", "pixels", "--sampling-steps", "4"]
    alone = by_itself(*command, "--out", str(one))
    together = torchrun(*command, "--out", str(two))
    assert together.returncode == 0, together.stderr
    assert len(together.stdout.splitlines()) == len(alone.stdout.splitlines())
    found = [json.loads((out / "evaluation.json").read_text()) for out in (one, two)]
    for name in ("bound", "rate_distortion", "gap"):
        mine, theirs = (flat(each[name]) for each in found)
        assert theirs == pytest.approx(mine, rel=1e-4, abs=1e-6)


def flat(value: Any) -> list[float]:
    """Give all numbers of a JSON value, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for each in value for number in flat(each)]
    return [float(value)] if isinstance(value, int | float) else []


@pytest.mark.slow
def test_an_error_in_one_process_ends_all(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import os, sys
            from ddpm_ref import train, trainer
            if os.environ["RANK"] == "1":
                def broken(*args, **kwargs):
                    raise RuntimeError("only here")
                trainer.L_simple = broken
            sys.exit(train.main(sys.argv[1:]))
        """)
    )
    began = time.monotonic()
    result = torchrun(str(script), "--preset", "smoke", "--samples", "0", "--out", str(tmp_path / "run"))
    assert result.returncode != 0
    assert "only here" in result.stderr
    assert time.monotonic() - began < 120


@contextmanager
def launched_together(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Start two processes in a session of their own, and leave none of them behind."""
    with subprocess.Popen(
        [*launcher(), *command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def second_of(pid: int) -> int:
    """Find the second process that a launcher started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (second,) = [p for p in children if b"\0RANK=1\0" in Path(f"/proc/{p}/environ").read_bytes()]
    return int(second)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the process as Linux shows it")
@pytest.mark.promise(
    "lost process", "while sampling, a process that is interrupted ends the others too, and none aborts"
)
@pytest.mark.parametrize("_again", range(4))  # an abort came about every other time
def test_a_process_that_is_interrupted_while_sampling_ends_the_other_in_order(
    run: Path, tmp_path: Path, _again: int
) -> None:
    out = tmp_path / "out"
    sampling = ["-m", "--", "ddpm_ref.sample", "--run", str(run), "--n", "20000", "--out", str(out)]
    with launched_together(*sampling) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("sampling"):
            assert process.poll() is None
        os.kill(second_of(process.pid), signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert "terminate called" not in said
    assert "SIGABRT" not in said
    assert re.search(r"exitcode +: (130|1) ", said)
    assert [path.name for path in out.iterdir() if path.name != ".lock"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(
            signal.SIGINT,
            marks=pytest.mark.promise(
                "signal",
                "under `torchrun` too, Ctrl-C ends all processes after the same update, which is kept",
            ),
        ),
        pytest.param(
            signal.SIGTERM,
            marks=pytest.mark.promise(
                "signal", "under `torchrun` too, SIGTERM, which it hands on, does the same"
            ),
        ),
        pytest.param(
            signal.SIGKILL,
            marks=[
                pytest.mark.promise("lost process", "`torchrun` ends, and the last checkpoint is good"),
                pytest.mark.skipif(sys.platform != "linux", reason="finds the process as Linux shows it"),
            ],
        ),
    ],
)
def test_torchrun_ends_and_keeps_a_state(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    settings = ["--preset", "smoke", "--samples", "0", "--steps", "100000", "--device", "cpu"]
    every = "2" if number == signal.SIGKILL else "100000"
    command = ["-m", "ddpm_ref.train", *settings, "--checkpoint-every", every, "--out", str(out)]
    with launched_together(*command) as process:
        log, began = out / "metrics.jsonl", time.monotonic()
        while not log.exists() or log.read_bytes().count(b"\n") < 5:
            assert process.poll() is None
            assert time.monotonic() - began < 120
            time.sleep(0.01)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            os.kill(second_of(process.pid) if number == signal.SIGKILL else process.pid, number)
        began = time.monotonic()
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert time.monotonic() - began < 25  # torchrun itself kills after 30
    latest = Checkpoints(out).latest
    assert latest is not None
    read_tensors(latest.path)
    done = log.read_bytes().count(b"\n")
    assert latest.step == done if number != signal.SIGKILL else done - 3 < latest.step <= done
    assert f"keeps the state of step {latest.step} of 100000; go on with" in said
