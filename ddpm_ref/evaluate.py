"""Measure a trained run by all that is known to measure it by: `python -m ddpm_ref.evaluate --run DIR`."""

import io
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict
from pathlib import Path

from ddpm_ref import distributed, pictures, plots
from ddpm_ref.arguments import Parser, fail, integer, path
from ddpm_ref.checkpoint import read_run, write_json
from ddpm_ref.cli import DEVICES, check_folder, choose_device, hold, new_folder
from ddpm_ref.coding import rate_distortion
from ddpm_ref.distributed import Sharded
from ddpm_ref.environment import environment
from ddpm_ref.measuring import EXTRACTORS, Measuring, Options
from ddpm_ref.network import for_sampling
from ddpm_ref.report import bound_table, coding_table, gap_table, score_words, truth_table, words
from ddpm_ref.sample import add_sampling, columns, sampling_of, trajectory

GRID = 100  # samples in samples.png


def evaluate(measuring: Measuring, run: Path, step: int, out: Path, command: Sequence[str]) -> int:
    """Measure a run and write everything into a folder that exists and is empty, `evaluation.json` last.

    Returns:
        The exit code: 0, 1 where a value was not finite, or 130 where it was interrupted.
    """
    config, options = measuring.config, measuring.options
    print(f"{run}: averaged weights of step {step}; {config.source}, T = {config.T}", flush=True)
    try:
        bounds = measuring.bounds()
        print(f"\n{bound_table(bounds)}", flush=True)
        L_0 = bounds["held out"].in_bits(float(bounds["held out"].L_0.mean()))
        coding = rate_distortion(bounds["held out"])
        unit = "the data's units" if config.levels is None else f"levels 0 to {config.levels - 1}"
        print(f"\n{coding_table(coding, unit, None if config.levels is None else L_0)}", flush=True)
        received = measuring.reconstructions()
        truth = measuring.truth(bounds["held out"])
        if truth is not None:
            print(f"\n{truth_table(truth)}", flush=True)
        gap = measuring.gaps()
        print(f"\n{gap_table(gap, bounds['held out'], finite=truth is None)}", flush=True)
        drawn = measuring.samples() if measuring.n else None
        distributed.leave()
        if distributed.rank():
            return 0
        quality = None
        if drawn is not None:
            samples, history = drawn
            quality = measuring.quality(samples)
            for paragraph in filter(None, (words(quality), score_words(quality))):
                print(f"\n{paragraph}", flush=True)
            shown = samples[:GRID]
            pictures.save(pictures.grid(shown, columns(len(shown))), out / "samples.png")
            pictures.save(trajectory(history), out / "reverse.png")
        measuring.stage = "writing"
        plots.bound_over_t(out / "bound.png", bounds)
        plots.rate_and_distortion(out / "rate-distortion.png", coding, unit)
        plots.loss_over_t(out / "loss-over-t.png", bounds, gap)
        pictures.save(pictures.strip(*received), out / "coding.png")
        write_json(
            out / "evaluation.json",
            {
                "run": str(run),
                "step": step,
                "options": asdict(options),
                "sampling": options.sampling.describe(config.T),
                "units": "bits per dimension, and mean squared errors per coordinate",
                "bound": {name: bound.to_dict() for name, bound in bounds.items()},
                "rate_distortion": {"unit": unit, "rows": [row._asdict() for row in coding]},
                "truth": None if truth is None else truth._asdict(),
                "gap": [{**each._asdict(), "loss": each.loss} for each in gap],
                "quality": None if quality is None else quality.to_dict(),
                "seconds": measuring.seconds,
                "environment": environment(measuring.device, command),
            },
        )
    except KeyboardInterrupt:
        if distributed.rank() == 0:
            stage = measuring.stage
            print(f"\nInterrupted while at: {stage}. {out} has no evaluation.json.", file=sys.stderr)
        return 130
    except FloatingPointError as error:
        return fail("evaluate", error, 1)
    print(f"\n{files(out, drawn is not None)}")
    return 0


def files(out: Path, sampled: bool) -> str:
    """List what an evaluation leaves, with samples or without."""
    return "\n".join(
        [
            f"In {out}:",
            "  evaluation.json        all of this, and every term of the bound",
            "  bound.png              the terms of the bound over t",
            "  rate-distortion.png    what a receiver has, for what has been sent",
            "  coding.png             held-out images as that receiver has them, by t",
            "  loss-over-t.png        the loss beside the least possible",
        ]
        + [
            "  samples.png            some of the samples",
            "  reverse.png            how a few of them came out of noise",
        ]
        * sampled
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(
        prog="python -m ddpm_ref.evaluate",
        description="Measure a trained run: bound, rate and distortion, gap to the best, samples.",
    )
    parser.add_argument("--run", type=path, required=True, help="folder that ddpm_ref.train wrote")
    parser.add_argument(
        "--n", type=integer(0), help="samples to draw and judge, 0 for none (default: the run's)"
    )
    parser.add_argument(
        "--images", type=integer(2), default=500, help="of each part, for the bound (default: 500)"
    )
    parser.add_argument("--steps", type=integer(1), help="steps the bound visits, 3..T (default: all T)")
    parser.add_argument("--cdf", default="exact", help="of the decoder: exact or tanh (default: exact)")
    parser.add_argument("--features", default="usual", help=f"{', '.join(EXTRACTORS)} (default: usual)")
    parser.add_argument("--seed", type=integer(0), default=0, help="of everything random (default: 0)")
    parser.add_argument("--out", type=path, help="new or empty folder (default: RUN/evaluation-SEED)")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    add_sampling(parser)
    with ExitStack() as held:
        try:
            given = parser.parse_args(arguments)
            options = Options(
                n=given.n,
                images=given.images,
                steps=given.steps,
                cdf=given.cdf,
                features=given.features,
                sampling=sampling_of(given),
                seed=given.seed,
            )
            device = distributed.local_device(choose_device(given.device))
            config, network, step = read_run(given.run, device)
            out: Path = given.out or new_folder(given.run / f"evaluation-{given.seed}")
            first = distributed.rank() == 0
            if first:
                check_folder(out)
            else:  # the first process speaks for all
                held.enter_context(redirect_stdout(io.StringIO()))
            model = Sharded(for_sampling(network, config, device, amp=given.amp, compile=given.compile))
            measuring = Measuring(config, model, options, device)
            if first:
                held.enter_context(hold(out, new=True))
            distributed.join(device)
        except (ValueError, ImportError, OSError) as error:
            return fail("evaluate", error)
        command = [parser.prog, *(sys.argv[1:] if arguments is None else arguments)]
        try:
            return evaluate(measuring, given.run, step, out, command)
        except OSError as error:
            return fail("evaluate", error, 1)
        except RuntimeError as error:
            return distributed.gone("evaluate", error)


if __name__ == "__main__":
    distributed.end(main())
