"""Draw more samples from a trained run: `python -m ddpm_ref.sample --run DIR`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any, get_args

import torch
from PIL import Image

from ddpm_ref import distributed, pictures
from ddpm_ref.arguments import Parser, fail, integer, path
from ddpm_ref.checkpoint import read_run, write_json
from ddpm_ref.cli import DEVICES, Progress, choose_device, hold, new_folder
from ddpm_ref.distributed import Sharded
from ddpm_ref.environment import environment
from ddpm_ref.latents import interpolate
from ddpm_ref.network import for_sampling
from ddpm_ref.objective import Model
from ddpm_ref.presets import Config
from ddpm_ref.process import Variance
from ddpm_ref.sampler import State
from ddpm_ref.sampler import sample as states
from ddpm_ref.subsequence import Spacing, Subsequence, steps

BATCH = 500  # images that go through the reverse process together
FRAMES = 40
SHOWN = 64  # images in the animation
STRIP_ROWS, STRIP_COLUMNS = 8, 11
WEIGHTS = [k / 10 for k in range(11)]  # of the second image, in an interpolation


@dataclass(frozen=True)
class Sampling:
    """How to go from noise to images: what is None is as the run's configuration says.

    Attributes:
        eta: None for the ancestral sampler; else DDIM's, 0 for no noise at all.
        steps: how many steps to take; all T if None.
        spacing: how these are spread over 1..T.
        variance: of the ancestral sampler's steps.
        clip: whether to clip the predicted clean image.
    """

    eta: float | None = None
    steps: int | None = None
    spacing: Spacing = "trailing"
    variance: Variance | None = None
    clip: bool | None = None

    def check(self, config: Config) -> None:
        """Refuse what does not go with a run.

        Raises:
            ValueError: if the number of steps is not in 1..T, `eta` is too large for them, or the variance is
                not one that the network gives.
        """
        if self.steps is not None and self.steps > config.T:
            raise ValueError(f"sampling_steps must be in 1..T = 1..{config.T}; got {self.steps}")
        Subsequence(config.schedule(), self.taken(config.T), eta=1.0 if self.eta is None else self.eta)
        if self.variance is not None and (self.variance == "learned") != (config.variance == "learned"):
            raise ValueError(
                f"variance must be what the network was trained with, {config.variance}; got {self.variance}"
            )

    def taken(self, start: int) -> tuple[int, ...]:
        """Give the steps to take from `start` down."""
        return steps(start, self.steps or start, self.spacing)

    def choices(self, config: Config) -> dict[str, Any]:
        """Give what the sampler's functions are to be called with, apart from the steps."""
        return {
            "eta": self.eta,
            "prediction": config.prediction,
            "variance": self.variance or config.variance,
            "clip": config.clip if self.clip is None else self.clip,
        }

    def describe(self, start: int) -> str:
        """Say in a few words how it goes down from `start`."""
        name = "ancestral" if self.eta is None else f"DDIM with η = {self.eta:g}"
        return f"{name}, {min(self.steps or start, start)} steps"


def reverse(
    model: Model, config: Config, n: int, generator: torch.Generator, sampling: Sampling | None = None
) -> Iterator[State]:
    """Run the reverse process for n images, batch by batch, and yield all states of each batch.

    Args:
        model: the network, in evaluation mode, on the device of `generator`.
        config: of the run that trained it.
        n: images in all.
        generator: source of x_T and of the noise.
        sampling: how; as the configuration says if not given.
    """
    how, size = sampling or Sampling(), config.unet.image_size
    schedule = config.schedule()
    for start in range(0, n, BATCH):
        shape = (min(BATCH, n - start), config.unet.channels, size, size)
        x_T = torch.randn(shape, generator=generator, device=generator.device)
        yield from states(
            model, schedule, x_T, steps=how.taken(config.T), generator=generator, **how.choices(config)
        )


def draw(
    model: Model, config: Config, n: int, generator: torch.Generator, sampling: Sampling | None = None
) -> tuple[torch.Tensor, list[State]]:
    """Draw n samples and show progress.

    Returns:
        The samples, (n, C, H, W), and all states of the first few of them for pictures, on the CPU.
    """
    samples: list[torch.Tensor] = []
    history: list[State] = []
    batches = -(-n // BATCH)
    with Progress("sampling", batches * ((sampling and sampling.steps) or config.T)) as bar:
        for t, x, x0_hat in reverse(model, config, n, generator, sampling):
            if not samples:
                history.append(State(t, x[:SHOWN].cpu(), None if x0_hat is None else x0_hat[:SHOWN].cpu()))
            if t == 0:
                samples.append(x.cpu())
            if x0_hat is not None:
                bar.advance()
    return torch.cat(samples), history


def held_out_pairs(config: Config, pairs: int, t: int) -> torch.Tensor:
    """Load the held-out images to interpolate between at t: those of the first sides, and of the second.

    Raises:
        ValueError: if t is not in 1..T, the data cannot be loaded, or there are not so many pairs.
    """
    if not 1 <= t <= config.T:
        raise ValueError(f"interpolate must be in 1..T = 1..{config.T}; got {t}")
    images = config.data().held_out.images
    if not 1 <= pairs <= len(images) // 2:
        raise ValueError(f"n must be in 1..{len(images) // 2}, pairs of the held-out images; got {pairs}")
    return torch.stack([images[:pairs], images[pairs : 2 * pairs]])


def between(
    model: Model, config: Config, images: torch.Tensor, t: int, generator: torch.Generator, sampling: Sampling
) -> Image.Image:
    """Interpolate between the pairs of `held_out_pairs`, which meet at t: a row for each, between its two."""
    first, second = images.to(generator.device)
    noise = torch.randn(first.shape, generator=generator, device=generator.device)
    taken = replace(sampling, steps=min(sampling.steps or t, t)).taken(t)
    with Progress("interpolating", len(taken)) as bar:
        for state in interpolate(
            model, config.schedule(), first, second, t, noise, WEIGHTS,
            steps=taken, generator=generator, **sampling.choices(config),
        ):  # fmt: skip
            if state.x0_hat is not None:
                bar.advance()
    columns = torch.stack([first, *state.x, second]).cpu()
    return pictures.grid(columns.transpose(0, 1).flatten(0, 1), len(columns), height=56)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how to sample."""
    parser.add_argument("--sampler", default="ancestral", help="ancestral or ddim (default: ancestral)")
    parser.add_argument("--sampling-steps", type=integer(1), help="steps to take, 1..T (default: T)")
    parser.add_argument(
        "--spacing", default="trailing", help=f"of these: {', '.join(get_args(Spacing))} (default: trailing)"
    )
    parser.add_argument("--eta", type=float, help="noise of ddim: 0 none, 1 as DDPM (default: 0)")
    parser.add_argument("--variance", help="fixed_large or fixed_small (default: the run's)")
    parser.add_argument("--no-clip", action="store_true", help="do not clip the predicted image to [-1, 1]")
    parser.add_argument("--amp", action="store_true", help="compute the network in bfloat16")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="use torch.compile (default: on CUDA)"
    )


def sampling_of(given: argparse.Namespace) -> Sampling:
    """Read the arguments that say how to sample.

    Raises:
        ValueError: if one is unknown, or two do not go together.
    """
    choices: dict[str, Any] = {
        "sampler": ("ancestral", "ddim"),
        "spacing": get_args(Spacing),
        "variance": (None, *get_args(Variance)),
    }
    for name, allowed in choices.items():
        if (value := getattr(given, name)) not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(filter(None, allowed))}; got {value}")
    ddim = given.sampler == "ddim"
    if given.eta is not None and not ddim:
        raise ValueError("eta must go with the sampler ddim; got it with ancestral")
    return Sampling(
        eta=(given.eta or 0.0) if ddim else None,
        steps=given.sampling_steps,
        spacing=given.spacing,
        variance=given.variance,
        clip=False if given.no_clip else None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(prog="python -m ddpm_ref.sample", description="Draw samples from a trained run.")
    parser.add_argument("--run", type=path, required=True, help="folder that ddpm_ref.train wrote")
    parser.add_argument("--n", type=integer(1), default=64, help="how many samples (default: 64)")
    parser.add_argument("--seed", type=integer(0), default=1, help="of the noise (default: 1)")
    parser.add_argument("--out", type=path, help="new or empty folder (default: RUN/samples-SEED)")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument(
        "--interpolate", type=integer(1), help="instead: between pairs of held-out images, noised to this t"
    )
    add_sampling(parser)
    with ExitStack() as held:
        try:
            given = parser.parse_args(arguments)
            sampling = sampling_of(given)
            first = distributed.rank() == 0
            device = distributed.local_device(choose_device(given.device))
            config, network, step = read_run(given.run, device)
            sampling.check(config)
            images = None
            if given.interpolate is not None:
                images = held_out_pairs(config, min(given.n, STRIP_ROWS), given.interpolate)
            out: Path = given.out or new_folder(given.run / f"samples-{given.seed}")
            if first:
                held.enter_context(hold(out, new=True))
            distributed.join(device)
        except (ValueError, OSError) as error:
            return fail("sample", error)
        model = Sharded(for_sampling(network, config, device, amp=given.amp, compile=given.compile))
        generator = torch.Generator(device).manual_seed(given.seed)
        command = [parser.prog, *(sys.argv[1:] if arguments is None else arguments)]
        walk = sampling.describe(given.interpolate or config.T)
        how = f"averaged weights of step {step}, {walk}{', in bfloat16' if given.amp else ''}"
        try:
            if images is None:
                samples, history = draw(model, config, given.n, generator, sampling)
            else:
                picture = between(model, config, images, given.interpolate, generator, sampling)
            distributed.leave()
            if not first:
                return 0
            if images is None:
                said = f"{given.n} samples from {given.run},\n{how}:\n{write(out, samples, history)}"
            else:
                pictures.save(picture, out / "interpolation.png")
                said = (
                    f"{images.shape[1]} pairs of held-out images, each interpolated where "
                    f"t = {given.interpolate},\n"
                    f"from {given.run}, {how}:\n  {out / 'interpolation.png'}"
                )
            settings = {
                "run": str(given.run),
                "step": step,
                "n": given.n if images is None else images.shape[1],
                "seed": given.seed,
                "interpolate": given.interpolate,
                "amp": given.amp,
                "sampling": walk,
                "options": asdict(sampling),
                "environment": environment(device, command),
            }
            write_json(out / "sampling.json", settings)
            print(f"{said}\n  {out / 'sampling.json'}   how that was done")
        except KeyboardInterrupt:
            if first:
                print(f"\nInterrupted; {out} has not all of its pictures.", file=sys.stderr)
            return 130
        except (FloatingPointError, OSError) as error:
            return fail("sample", error, 1)
        except RuntimeError as error:
            return distributed.gone("sample", error)
    return 0


def write(out: Path, samples: torch.Tensor, history: Sequence[State]) -> str:
    """Write the samples, and how they came about, as pictures into a folder; return a list of these.

    Args:
        out: the folder.
        samples: (n, C, H, W).
        history: all states of the first few of them.
    """
    shown = min(len(samples), SHOWN)
    pictures.save(pictures.grid(samples, columns(len(samples))), out / "samples.png")
    frames = [pictures.grid(state.x, columns(shown)) for state in evenly(history, FRAMES)]
    pictures.animate(out / "reverse.gif", frames)
    pictures.save(trajectory(history), out / "reverse.png")
    return (
        f"  {out / 'samples.png'}   the samples\n"
        f"  {out / 'reverse.gif'}   how the first {shown} came out of noise, t = {history[0].t} to 0\n"
        f"  {out / 'reverse.png'}   the same for the first {min(shown, STRIP_ROWS)}, as a strip"
    )


def trajectory(history: Sequence[State]) -> Image.Image:
    """Show a few states of a few images as a strip."""
    few = evenly(history, STRIP_COLUMNS)
    return pictures.strip([state.x[:STRIP_ROWS] for state in few], [state.t for state in few])


def columns(n: int) -> int:
    """Give the columns that make a grid of n images nearly square."""
    return max(1, round(sqrt(n)))


def evenly(states: Sequence[State], wanted: int) -> list[State]:
    """Choose at most `wanted` of the states, evenly, the first and the last among them."""
    return [states[i] for i in sorted({round(k * (len(states) - 1) / (wanted - 1)) for k in range(wanted)})]


if __name__ == "__main__":
    distributed.end(main())
