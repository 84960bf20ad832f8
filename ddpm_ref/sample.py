"""Draw more samples from a trained run: `python -m ddpm_ref.sample --run DIR`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ddpm_ref import pictures
from ddpm_ref.checkpoint import read_run
from ddpm_ref.cli import DEVICES, Parser, Progress, choose_device, fail, integer, make_folder
from ddpm_ref.presets import Config
from ddpm_ref.sampler import State, ancestral
from ddpm_ref.unet import UNet

BATCH = 500  # images that go through the reverse process together
FRAMES = 40
SHOWN = 64  # images in the animation
STRIP_ROWS, STRIP_COLUMNS = 8, 11


def reverse(model: UNet, config: Config, n: int, generator: torch.Generator) -> Iterator[State]:
    """Run the reverse process for n images, batch by batch, and yield the T+1 states of each batch.

    Args:
        model: the network, in evaluation mode, on the device of `generator`.
        config: of the run that trained it.
        n: images in all.
        generator: source of x_T and of the noise.
    """
    schedule, size = config.schedule(), config.unet.image_size
    for start in range(0, n, BATCH):
        shape = (min(BATCH, n - start), config.unet.channels, size, size)
        x_T = torch.randn(shape, generator=generator, device=generator.device)
        yield from ancestral(model, schedule, x_T, generator=generator, variance=config.variance)


def draw(model: UNet, config: Config, n: int, generator: torch.Generator) -> tuple[torch.Tensor, list[State]]:
    """Draw n samples and show progress.

    Returns:
        The samples, (n, C, H, W), and all states of the first few of them for pictures, on the CPU.
    """
    samples: list[torch.Tensor] = []
    history: list[State] = []
    batches = -(-n // BATCH)
    with Progress("sampling", batches * config.T) as bar:
        for t, x, x0_hat in reverse(model, config, n, generator):
            if not samples:
                history.append(State(t, x[:SHOWN].cpu(), None if x0_hat is None else x0_hat[:SHOWN].cpu()))
            if t == 0:
                samples.append(x.cpu())
            if t < config.T:
                bar.advance()
    return torch.cat(samples), history


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(prog="python -m ddpm_ref.sample", description="Draw samples from a trained run.")
    parser.add_argument("--run", type=Path, required=True, help="folder that ddpm_ref.train wrote")
    parser.add_argument("--n", type=integer(1), default=64, help="how many samples (default: 64)")
    parser.add_argument("--seed", type=integer(0), default=1, help="of the noise (default: 1)")
    parser.add_argument("--out", type=Path, help="new or empty folder (default: RUN/samples-SEED)")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    try:
        given = parser.parse_args(arguments)
        device = choose_device(given.device)
        config, model, step = read_run(given.run, device)
        out: Path = given.out or given.run / f"samples-{given.seed}"
        make_folder(out)
    except (ValueError, OSError) as error:
        return fail("sample", error)

    try:
        generator = torch.Generator(device).manual_seed(given.seed)
        samples, history = draw(model, config, given.n, generator)
    except KeyboardInterrupt:
        print(f"\nInterrupted; {out} is left empty.", file=sys.stderr)
        return 130
    shown = min(given.n, SHOWN)
    columns = max(1, round(shown**0.5))
    every = [history[i] for i in _evenly(len(history), FRAMES)]
    few = [history[i] for i in _evenly(len(history), STRIP_COLUMNS)]
    pictures.grid(samples, max(columns, round(given.n**0.5))).save(out / "samples.png")
    pictures.animate(out / "reverse.gif", [pictures.grid(state.x, columns, 32) for state in every])
    pictures.strip([state.x[:STRIP_ROWS] for state in few], [state.t for state in few]).save(
        out / "reverse.png"
    )
    print(
        f"{given.n} samples from {given.run}, averaged weights of step {step}:\n"
        f"  {out / 'samples.png'}   the samples\n"
        f"  {out / 'reverse.gif'}   how the first {shown} came out of noise, t = {config.T} to 0\n"
        f"  {out / 'reverse.png'}   the same for the first {min(shown, STRIP_ROWS)}, as a strip"
    )
    return 0


def _evenly(n: int, wanted: int) -> list[int]:
    """Choose at most `wanted` of the indices 0..n−1, evenly, the first and the last among them."""
    return sorted({round(i * (n - 1) / (wanted - 1)) for i in range(wanted)})


if __name__ == "__main__":
    sys.exit(main())
