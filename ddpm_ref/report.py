"""What a run and an evaluation print: tables of 80 columns that say what their numbers mean."""

from collections.abc import Mapping, Sequence
from math import hypot

from ddpm_ref.bound import Bound
from ddpm_ref.coding import CodingRow
from ddpm_ref.gap import Gap, Truth
from ddpm_ref.quality import Quality, Score

ROWS = 10  # of the rate–distortion table, at most


def bound_table(bounds: Mapping[str, Bound]) -> str:
    """Set the parts of some bounds side by side, in bits per dimension."""
    every = [bound.to_dict() for bound in bounds.values()]
    first = next(iter(bounds.values()))
    images = ", ".join(str(len(bound.nats)) for bound in bounds.values())
    visited = "all" if first.subset.is_whole else f"{len(first.subset.steps)} of the"
    rows = [
        ("L_T", "what x_T tells of the image", "L_T"),
        ("L_1 … L_{T-1}", "the reverse steps", "L_1_to_L_T_minus_1"),
        ("L_0", "the decoder, to whole values", "L_0"),
    ]
    question = "How many bits does a pixel cost? At most this, in bits per dimension:"
    if first.levels is None:
        rows[2] = ("L_0", "the last step, as a density", "L_0")
        question = "What is minus an image's log-density? At most this, in bits per dimension:"
    totals = [
        f"{values['bits_per_dim']:.3f} ± {_error(bound):.3f}"
        for values, bound in zip(every, bounds.values(), strict=True)
    ]
    lines = [
        question,
        "",
        f"  {'':44}" + "".join(f"{name:>16}" for name in bounds),
        *(
            f"  {symbol:<15}{meaning:<29}" + "".join(f"{_number(values[key]):>16}" for values in every)
            for symbol, meaning, key in rows
        ),
        f"  {'the bound':44}" + "".join(f"{total:>16}" for total in totals),
        "",
        f"  {first.subset.T} steps, {visited} visited; {images} images, one noise a step.",
        "  ± is the standard error.",
    ]
    return "\n".join(line.rstrip() for line in lines)


def coding_table(rows: Sequence[CodingRow], unit: str, L_0: float | None) -> str:
    """Show a few rows of a rate–distortion curve, as the paper's table does.

    Args:
        rows: of the curve.
        unit: of the distortion.
        L_0: what it costs to send the rest, in bits per dimension; None for data without a grid.
    """
    few = [rows[round((k + 1) * len(rows) / min(ROWS, len(rows))) - 1] for k in range(min(ROWS, len(rows)))]
    lines = [
        "What does a receiver have who stops listening? Held-out images:",
        "",
        f"  reverse steps   rate, bits/dim   distortion (RMSE, {unit})",
        *(f"  {row.reverse_steps:>13}{row.rate:>17.5f}{row.rmse:>13.3f}" for row in few),
    ]
    if L_0 is not None:
        lines += ["", f"  {L_0:.5f} bits/dim more, L_0, bring the distortion to 0."]
    return "\n".join(lines)


def gap_table(gaps: Sequence[Gap], held_out: Bound, *, finite: bool) -> str:
    """Set the loss at some t beside the least that is possible.

    Args:
        gaps: on the training images.
        held_out: on others.
        finite: whether the exact denoiser is that of a finite set, rather than of a law.
    """
    unseen = dict(zip(held_out.subset.steps, held_out.means[:, 2].tolist(), strict=True))
    lines = [
        "How far from the best? The mean squared error of the noise, by t:",
        "",
        f"  {'t':>6}{'least':>12}{'this model':>14}{'avoidable part':>24}{'held out':>14}",
        *(
            f"  {gap.t:>6}{gap.least:>12.4f}{gap.loss:>14.4f}{gap.excess:>15.4f} ± {gap.excess_error:.4f}"
            f"{unseen[gap.t]:>14.4f}"
            for gap in gaps
        ),
        "",
    ]
    if finite:
        lines += [
            "  Least: of any model on the training images, by the exact denoiser of their",
            "  set. That has memorised them, so a model that generalises stays above it.",
        ]
    else:
        lines += ["  Least: of any model on the training images, by their law's exact denoiser."]
    lines += ["  ± is the standard error."]
    return "\n".join(lines)


def truth_table(truth: Truth) -> str:
    """Set the bound beside the entropy of a known law."""
    rows = [
        ("entropy of the data", truth.entropy, truth.entropy_error if truth.entropy_error >= 5e-5 else None),
        ("the bound", truth.bound, truth.bound_error),
        ("their gap, image by image", truth.gap, truth.gap_error),
        ("of that, what better predictions could avoid", truth.avoidable, truth.avoidable_error),
        ("and what the steps and their variance cost", truth.least, truth.least_error),
    ]
    if truth.exact_gap is not None:
        rows.append(("  which in closed form is", truth.exact_gap, None))
    lines = [
        "How far from the truth? The law of these data is known. Held-out images, in",
        "bits per dimension:",
        "",
        *(
            f"  {name:48}{value:>10.4f}" + ("" if error is None else f" ± {error:.4f}")
            for name, value, error in rows
        ),
        "",
        "  ± is the standard error. Image by image: the bound of each against its own",
        "  log-density, whose spread is so left out; in the mean it is bound − entropy.",
    ]
    return "\n".join(lines)


def score_words(quality: Quality) -> str:
    """Give the inception score beside floor and baseline; empty where there is none."""
    floor, model, baseline = (score.inception for score in (quality.floor, quality.model, quality.baseline))
    if floor is None or model is None or baseline is None:
        return ""
    low, high = quality.intervals["inception"]
    return (
        f"Inception score, where more is better: {model:.2f} ({low:.2f} to {high:.2f} by bootstrap);\n"
        f"of real images {floor:.2f}, of a fitted Gaussian {baseline:.2f}."
    )


def _number(value: float) -> str:
    """Print four decimals, or a power of ten where these would show nothing."""
    return f"{value:.1e}" if 0 < abs(value) < 5e-4 else f"{value:.4f}"


def _error(bound: Bound) -> float:
    """The standard error of a bound, over images and steps, in bits per dimension."""
    return hypot(bound.examples_error or 0.0, bound.subset_error)


def words(quality: Quality) -> str:
    """Set the samples beside the floor and the baseline, and say what the numbers mean, in 80 columns."""
    q = quality
    rows = [
        ("real images (the floor)", q.floor),
        ("this model", q.model),
        ("a fitted Gaussian (the baseline)", q.baseline),
    ]
    low, high = q.intervals["frechet"]
    classes = q.model.per_class is not None
    through = "their pixels" if q.features == "pixels" else f"the {q.features}'s features"
    if q.accuracy is not None:
        through = f"a classifier that names {q.accuracy:.1%} of those rightly"
    table = [
        f"How good are the samples? {q.n} of them against {q.held_out_images} real images that the",
        f"model never saw, through {through}:",
        "",
        f"  {'':34}{'Fréchet distance':>18}{'class imbalance' if classes else '':>20}",
        *(f"  {name:34}{_spread(s, s is q.model):>18}{_percent(s, s is q.model):>20}" for name, s in rows),
        "",
        "  Fréchet distance: how far the set as a whole lies from the real images.",
    ]
    if classes:
        table += [
            "  Class imbalance: the share of the set that would have to change its class",
            "  for every class to be as common as among the real ones.",
        ]
    table += [
        f"  Less is better. Sets are equally large; ± is the deviation over {q.draws} draws.",
        f"  The model's distance by bootstrap, 95 %: {low:.2f} to {high:.2f}.",
    ]
    if q.outside:
        table += [
            f"  {q.outside:.2%} of the samples' values lay outside [−1, 1], the range of images,",
            "  and count as its nearest end.",
        ]
    if q.model.per_class is not None and len(q.model.per_class) <= 10:
        counts = [round(share * q.n) for share in q.model.per_class]
        table += [
            "",
            "  class    " + "".join(f"{k:>6}" for k in range(len(counts))),
            "  samples  " + "".join(f"{count:>6}" for count in counts),
        ]
    return "\n".join(line.rstrip() for line in [*table, "", verdict(quality)])


def verdict(quality: Quality) -> str:
    """Say in a sentence where the model lies between the floor and the baseline."""
    floor, model, baseline = (s.frechet for s in (quality.floor, quality.model, quality.baseline))
    if baseline <= floor + quality.floor.frechet_sd:
        return (
            f"With {quality.n} images a fitted Gaussian is as close to real images as real ones are;\n"
            f"the model's distance is {model / floor:.3g} times theirs."
        )
    place = (model - floor) / (baseline - floor)
    if place >= 1:
        meaning = "no better than a Gaussian; train longer"
    elif place >= 0.5:
        meaning = "better than a Gaussian, but nearer to it than to real images; train longer"
    elif place >= 0.1:
        meaning = "nearer to real images than to a Gaussian; more steps would help"
    else:
        meaning = "close to real images"
    return f"Where 0 is real images and 1 the Gaussian, the model is at {place:.2f}:\n{meaning}."


def _spread(score: Score, alone: bool) -> str:
    return f"{score.frechet:.2f}" + (" " * 7 if alone else f" ± {score.frechet_sd:.2f}")


def _percent(score: Score, alone: bool) -> str:
    if score.imbalance is None or score.imbalance_sd is None:
        return ""
    return f"{100 * score.imbalance:.1f} %" + (" " * 6 if alone else f" ± {100 * score.imbalance_sd:.1f}")
