"""What the commands print while they work."""

import pytest

from ddpm_ref import cli


def test_the_time_left_is_judged_from_the_latest_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("ddpm_ref.cli.time.monotonic", lambda: clock[0])
    with cli.Progress("working", 1000) as bar:
        for step in range(500):
            clock[0] += 9.0 if step < 300 else 0.5  # slow at first, and then no more
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines[2] == "working 300/1000, 6300 s left"  # 700 steps of 9 s
    assert lines[4] == "working 500/1000, 250 s left"  # 500 steps of 0.5 s


def test_a_clock_that_goes_backwards_leaves_no_negative_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter(range(100, 0, -1))
    monkeypatch.setattr("ddpm_ref.cli.time.monotonic", lambda: float(next(times)))
    with cli.Progress("working", 10, done=5) as bar:
        bar.advance()
    assert capsys.readouterr().err == "working 6/10, 0 s left\n"
