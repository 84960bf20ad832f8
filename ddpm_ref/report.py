"""What a run prints at its end: how good the samples are, in words."""

from ddpm_ref.metrics import Evaluation, Score


def words(evaluation: Evaluation) -> str:
    """Set the samples beside the floor and the baseline, and say what the numbers mean."""
    e = evaluation
    rows = [
        ("real digits (the floor)", e.floor),
        ("this model", e.model),
        ("a fitted Gaussian (the baseline)", e.baseline),
    ]
    counts = [round(share * e.n) for share in e.model.per_class]
    table = [
        f"How good are the samples? {e.n} of them against {e.held_out_images} real digits that the",
        f"model never saw, through a classifier that names {e.accuracy:.1%} of those rightly:",
        "",
        f"  {'':34}{'Fréchet distance':>18}{'class imbalance':>20}",
        *(f"  {name:34}{_spread(s):>18}{_percent(s):>20}" for name, s in rows),
        "",
        "  Fréchet distance: how far the set as a whole lies from the real digits.",
        "  Class imbalance: the share of the set that would have to change its digit",
        "  for every digit to be as common as among the real ones.",
        f"  Less is better. Sets are equally large; ± is the deviation over {e.resamples} draws.",
        "",
        "  digit    " + "".join(f"{k:>6}" for k in range(len(counts))),
        "  samples  " + "".join(f"{count:>6}" for count in counts),
        "",
        verdict(evaluation),
    ]
    return "\n".join(line.rstrip() for line in table)


def verdict(evaluation: Evaluation) -> str:
    """Say in a sentence where the model lies between the floor and the baseline."""
    floor, model, baseline = (s.frechet for s in (evaluation.floor, evaluation.model, evaluation.baseline))
    if baseline <= floor:
        return f"With {evaluation.n} images the floor cannot be told from the baseline: draw more."
    place = (model - floor) / (baseline - floor)
    if place >= 1:
        meaning = "no better than a Gaussian; train longer"
    elif place >= 0.5:
        meaning = "better than a Gaussian, but nearer to it than to real digits; train longer"
    elif place >= 0.1:
        meaning = "nearer to real digits than to a Gaussian; more steps would help"
    else:
        meaning = "close to real digits"
    return f"Where 0 is real digits and 1 the Gaussian, the model is at {place:.2f}:\n{meaning}."


def _spread(score: Score) -> str:
    return f"{score.frechet:.2f}" + (f" ± {score.frechet_sd:.2f}" if score.frechet_sd else " " * 7)


def _percent(score: Score) -> str:
    spread = f" ± {100 * score.imbalance_sd:.1f}" if score.imbalance_sd else " " * 6
    return f"{100 * score.imbalance:.1f} %{spread}"
