"""The pictures of the mathematics: each a function that draws on an empty figure, in the colours C0 to C3."""

import json
import math
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from torch import Tensor

from ddpm_ref import Schedule, cosine, exact, linear, q_sample
from ddpm_ref.data.scikit_learn import digits
from ddpm_ref.langevin import langevin
from ddpm_ref.laws import GaussianLaw, gaussian_images
from ddpm_ref.reverse_law import reverse_law

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

VARIANCES: dict[exact.StepVariance, str] = {
    "fixed_large": r"$\sigma_t^2 = \beta_t$",
    "fixed_small": r"$\sigma_t^2 = \tilde\beta_t$",
    "true": "that of the true reverse step",
}
DASHES: dict[exact.StepVariance, str] = {"fixed_large": "-", "fixed_small": ":"}


# -- what is drawn more than once ----------------------------------------------------------------------------


@cache
def schedules_of_1000() -> dict[str, Schedule]:
    """Give the two named schedules, with the paper's number of steps."""
    return {"linear": linear(), "cosine": cosine()}


@cache
def data() -> GaussianLaw:
    """Give Gaussian images, whose pixels are correlated."""
    return gaussian_images()


def count_steps(axes: Axes, steps: Collection[int]) -> None:
    """Label a logarithmic axis with the numbers of steps themselves."""
    axes.set_xticks(list(steps), [f"{T}" for T in steps], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("$T$")


def bits(nats: Tensor | float) -> list[float]:
    """Turn nats per image of `data` into bits per dimension."""
    return (
        (torch.as_tensor(nats, dtype=torch.float64) / (math.log(2) * data().mean.numel()))
        .reshape(-1)
        .tolist()
    )


def chosen(first: int, last: int, n: int = 120) -> list[int]:
    """Choose about n steps evenly on a logarithmic axis, and the last few, where cosine is cut."""
    return sorted({round(t) for t in np.geomspace(first, last, n)} | {*range(last - 5, last + 1)})


# -- the pictures --------------------------------------------------------------------------------------------


def schedules(figure: Figure) -> None:
    """Plot ᾱ_t and the signal-to-noise ratio against t."""
    share, ratio = figure.subplots(2, 1, sharex=True)
    for name, schedule in schedules_of_1000().items():
        t = list(range(1, schedule.T, 9))
        share.plot(t, schedule.alpha_bar[t], label=name)
        ratio.semilogy(t, schedule.snr[t])
    share.set(ylabel=r"signal left, $\bar\alpha_t$")
    ratio.set(xlabel="$t$", ylabel=r"signal to noise, $\bar\alpha_t/(1-\bar\alpha_t)$", ylim=(1e-6, 1e5))
    share.legend()


def forward(figure: Figure) -> None:
    """Show a digit at some t, noised by the same noise along both schedules."""
    images, labels = digits().held_out
    x_0 = images[labels == 0][:1].double()
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    times = (0, 50, 150, 300, 500, 750, 1000)
    every = figure.subplots(2, len(times))
    for top, row, (name, schedule) in zip((True, False), every, schedules_of_1000().items(), strict=True):
        for axes, t in zip(row, times, strict=True):
            image = q_sample(schedule, x_0, t, noise) if t else x_0
            levels = ((image[0, 0].clamp(-1, 1) + 1) * 8).round().int()  # the 17 levels of the digits
            for level in sorted(set(levels.flatten().tolist())):
                squares = [
                    Outline([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)], closed=True)
                    for y, x in (levels == level).nonzero().tolist()
                ]
                grey = f"{level / 16:.4f}"
                axes.add_patch(
                    PathPatch(Outline.make_compound_path(*squares), facecolor=grey, edgecolor=grey, lw=0.3)
                )
            axes.set(xlim=(0, 8), ylim=(8, 0), aspect="equal", xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set_visible(False)
            if top:
                axes.set_title(f"$t = {t}$", fontsize=9.5)
        row[0].set_ylabel(name)


def posterior(figure: Figure) -> None:
    """Plot the factors of the posterior's mean, and its variance beside β_t."""
    weights, ratio = figure.subplots(2, 1, sharex=True)
    for colour, (name, schedule) in zip(("C0", "C1"), schedules_of_1000().items(), strict=True):
        t = chosen(1, schedule.T)
        weights.semilogx(t, schedule.posterior_mean_coef_x0[t], colour, label=rf"of $x_0$, {name}")
        weights.semilogx(t, schedule.posterior_mean_coef_xt[t], colour, ls="--", label=rf"of $x_t$, {name}")
        ratio.semilogx(t, schedule.posterior_variance[t] / schedule.beta[t], colour)
    weights.set(ylabel=r"weight in $\tilde\mu_t$")
    weights.legend()
    ratio.set(xlabel="$t$", ylabel=r"$\tilde\beta_t / \beta_t$", ylim=(0, 1.05))


def loss_weights(figure: Figure) -> None:
    """Plot the weight that the bound gives to the squared error of the noise."""
    axes = figure.subplots()
    for colour, (name, schedule) in zip(("C0", "C1"), schedules_of_1000().items(), strict=True):
        t = chosen(1, schedule.T)
        for variance, dash in DASHES.items():
            weight = getattr(schedule, f"weight_{variance}")[t]
            axes.loglog(t, weight, colour, ls=dash, label=f"{name}, {VARIANCES[variance]}")
    axes.set(xlabel="$t$", ylabel=r"weight $\lambda_t$ of the squared error")
    axes.legend()


def bound(figure: Figure) -> None:
    """Plot the terms of the bound for Gaussian images and the exact denoiser."""
    axes = figure.subplots()
    for colour, (name, schedule) in zip(("C0", "C1"), schedules_of_1000().items(), strict=True):
        t = chosen(2, schedule.T)
        for variance, dash in DASHES.items():
            terms = exact.step_term(schedule, data(), variance=variance)[t]
            axes.loglog(t, bits(terms), colour, ls=dash, label=f"{name}, {VARIANCES[variance]}")
    axes.set(xlabel="$t$", ylabel="$L_{t-1}$, bits per dimension")
    axes.legend()


def rate_distortion(figure: Figure) -> None:
    """Plot the distortion of the best estimate against the rate, for two laws with pixels of one variance."""
    axes = figure.subplots()
    schedule = schedules_of_1000()["linear"]
    t = chosen(1, schedule.T)
    alike = GaussianLaw(data().mean, data().variances.mean())
    for law, label in ((data(), "neighbours alike"), (alike, "each pixel by itself: no code does better")):
        axes.plot(bits(exact.rate(schedule, law)[t]), exact.distortion(schedule, law)[t].sqrt(), label=label)
    axes.set(xlabel="rate, bits per dimension", ylabel="error of the estimate, RMSE", xlim=(0, 4), ylim=0)
    axes.legend()


def sampler_law(figure: Figure) -> None:
    """Plot how far the law of the samples is from that of the data, against T."""
    axes = figure.subplots()
    paths = {T: linear(T, 0.1 / T, 20 / T) for T in (25, 50, 100, 200, 400, 800)}
    for variance, label in VARIANCES.items():
        laws = [reverse_law(schedule, data(), variance=variance) for schedule in paths.values()]
        far = [bits(law.divergence(0)) for law in laws]
        axes.loglog(list(paths), far, "o-", label=label)
    axes.set(ylabel="divergence, bits per dimension")
    count_steps(axes, paths)
    axes.legend()


def langevin_bias(figure: Figure) -> None:
    """Plot the variance that a Langevin walk has after some steps against the length of a step."""
    axes = figure.subplots()
    lengths = np.linspace(0.03, 3.2, 120).tolist()
    reached = [variances_of_walk(length, 100) for length in lengths]
    for n in (3, 10, 100):
        axes.plot(lengths, [variances[n - 1] for variances in reached], label=f"after {n} steps")
    axes.axhline(1, color="C0", lw=0.6, ls=":")
    axes.set(
        xlabel=r"length of a step, $\gamma/\sigma^2$", ylabel=r"variance reached, in $\sigma^2$", ylim=(0, 4)
    )
    axes.legend()


def variances_of_walk(length: float, n: int) -> list[float]:
    """Give the variance of a walk from 0 towards N(0, 1) after 1 … n steps.

    The walk is linear in its noises. So each noise adds the square of what is left of one unit of it.
    """
    unit, nothing = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    walk = langevin(lambda x: -x, nothing, step_size=length, n=n, noise=lambda k: unit if k == 1 else nothing)
    left = torch.cat(list(walk)[1:])
    variances: list[float] = left.square().cumsum(0).tolist()
    return variances


def entropy_gap(figure: Figure) -> None:
    """Plot what the bound for Gaussian images exceeds their entropy by, against T."""
    axes = figure.subplots()
    curves = json.loads((BENCHMARKS / "entropy_gap.json").read_text(encoding="utf-8"))["curves"]
    for name, label in {
        "even/fixed_large": r"$\sigma_t^2 = \beta_t$, first betas alike",
        "small_start/fixed_large": r"$\sigma_t^2 = \beta_t$, small first $\beta$",
        "even/fixed_small": r"$\sigma_t^2 = \tilde\beta_t$, first betas alike",
    }.items():
        axes.loglog(*zip(*((row["T"], row["gap"]) for row in curves[name]), strict=True), "o-", label=label)
    axes.axhline((1 / math.log(2) - 1) / 2, color="grey", linestyle=":", linewidth=1)
    axes.set(ylabel="bound less entropy, bits per dimension", ylim=(1e-3, 10))
    count_steps(axes, [row["T"] for row in curves["even/true"]])
    axes.legend()


PICTURES: dict[str, tuple[Callable[[Figure], None], float]] = {
    "schedules": (schedules, 5.0),
    "forward": (forward, 1.75),
    "posterior": (posterior, 5.0),
    "loss-weights": (loss_weights, 3.3),
    "bound": (bound, 3.3),
    "rate-distortion": (rate_distortion, 3.3),
    "sampler-law": (sampler_law, 3.3),
    "langevin-bias": (langevin_bias, 3.3),
    "entropy-gap": (entropy_gap, 3.3),
}
"""By the name of their files: the function that draws, and the height in inches."""
