"""The variational bound, term by term.

    L = L_T + L_{T−1} + … + L_1 + L_0

`L_T` compares the end of the forward process with the prior, `L_{t−1}` one reverse step with the posterior,
and `L_0` is the decoder's. One pass over t gives them all, and with them how far off the model was at every
t, from which [coding][ddpm_ref.coding] reads the rate–distortion curve. Everything here is in nats per
example unless it says bits per dimension.

Source: Ho, Jain, Abbeel 2020, sections 2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ddpm_ref.decoder import CDF, bits_per_dim, check_decoder, check_levels, decoder_log_likelihood
from ddpm_ref.finite import FirstBad
from ddpm_ref.gaussian import Gaussian, log_excess, sum_coordinates
from ddpm_ref.noise import Noise, noise_source
from ddpm_ref.objective import Model, divergence, predict
from ddpm_ref.process import Prediction, Variance, check_choices, p_mean_variance, q_sample, to_eps
from ddpm_ref.schedule import Schedule
from ddpm_ref.subset import Subset

__all__ = ["Bound", "Term", "bound", "bound_terms", "collect", "prior_term"]


def prior_term(schedule: Schedule, x_0: Tensor) -> Tensor:
    """Return `L_T = KL(q(x_T | x_0) ‖ N(0, I))`, in nats per example.

    `½ [ᾱ_T ‖x_0‖² − d (ᾱ_T + log(1 − ᾱ_T))]`, accurate to rounding however small `ᾱ_T` is.

    Claim: [bound.prior-term][]. Source: Ho et al. 2020, section 3.1.

    Args:
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).

    Returns:
        Shape (B,); float32 for half precision.

    Raises:
        TypeError: if `x_0` is not floating point.
    """
    alpha_bar = schedule.at("alpha_bar", schedule.T, x_0)
    variance = schedule.at("one_minus_alpha_bar", schedule.T, x_0)
    left = schedule.at("sqrt_alpha_bar", schedule.T, x_0) * x_0
    return 0.5 * sum_coordinates(left.square() + log_excess(variance, -alpha_bar), x_0)


class Term(NamedTuple):
    """One term of the bound, and how far off the model was there; all from one call of the model."""

    t: int  # in 1..T
    nats: Tensor  # (B,), L_{t−1}: the decoder's where t = 1, else a divergence
    x0_error: Tensor  # (B,), ‖x_0 − x0_hat‖² / d
    eps_error: Tensor  # (B,), ‖eps − eps_hat‖² / d; x0_hat may be clipped, eps_hat is not
    x0_hat: Tensor  # (B, ...), the receiver's estimate of the image, given x_t


def bound_terms(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    *,
    noise: Noise | None = None,
    generator: torch.Generator | None = None,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
    levels: int | None = 256,
    cdf: CDF = "exact",
    subset: Subset | None = None,
) -> Iterator[Term]:
    """Yield the terms `L_{T−1} … L_0` for a batch of images, one call of the model each.

    Each is a sample of its mean over `x_t`, made with one noise. Memory does not grow with T.

    Claims: [bound.terms][], [parameterization.L-t-1][], [decoder.bin][]. Source: Ho et al. 2020, equation 5.

    Args:
        model: any callable `(x_t, t) -> prediction`, where t is an int64 tensor of shape (B,) in 1..T.
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).
        noise: `noise(t)`, shaped like `x_0`, makes `x_t`; drawn from `generator` if not given.
        generator: where the noise comes from; PyTorch's default if not given.
        prediction: what the model predicts.
        variance: the variance σ_t² of a reverse step.
        clip: whether to clip the predicted clean image to [−1, 1], as the paper's evaluation does.
        levels: how many values a pixel has, or None for data without a grid: then `L_0` is a density's.
        cdf: the decoder's distribution function.
        subset: the steps to visit; all if not given.

    Raises:
        ValueError: at once, if both `noise` and `generator` are given, `x_0` is empty, not finite or off the
            grid of `levels`, a step of `subset` is above T, or a choice is unknown; during the loop, if the
            model or `noise` returns a wrong shape.
        TypeError: at once, if `x_0` is not floating point.
        FloatingPointError: if a prediction or a term is not finite, naming t; raised at that step on the CPU,
            and before the last term on other devices, which are not made to wait.
    """
    schedule.check_t(schedule.T, x_0)
    check_choices(prediction, variance)
    check_decoder(levels, cdf)
    noise = noise_source(noise, generator, x_0)
    if not x_0.numel() or not bool(x_0.isfinite().all()):
        raise ValueError(f"x_0 must be finite and hold at least one image; got shape {tuple(x_0.shape)}")
    if levels is not None:
        check_levels(x_0, levels)
    subset = subset or Subset.whole(schedule.T)
    if subset.T != schedule.T:
        raise ValueError(f"subset must be one of 1..T = 1..{schedule.T}; got one of 1..{subset.T}")

    def terms() -> Iterator[Term]:
        predictions, nats = FirstBad(x_0.device), FirstBad(x_0.device)
        for t in reversed(subset.steps):
            # The context must not span a yield: it would then hold in the caller's code too.
            with torch.no_grad():
                z = noise(t)
                x_t = q_sample(schedule, x_0, t, z)
                output = predict(model, x_t, t, variance=variance)
                predictions.see(t, *output)  # clipping would hide an infinite one
                predictions.stop("the model's prediction", last=t == 1)
                step = p_mean_variance(
                    schedule,
                    output.prediction_value,
                    x_t,
                    t,
                    prediction=prediction,
                    variance=variance,
                    variance_value=output.variance_value,
                    clip=clip,
                )
                if t == 1:
                    p = Gaussian(step.mean, step.variance)
                    value = -decoder_log_likelihood(p, x_0, levels=levels, cdf=cdf)
                else:
                    value = divergence(schedule, step, x_0, t)
                nats.see(t, value)
                nats.stop("the bound's term L_{t-1}", last=t == 1)
                wide = x_t.to(step.mean.dtype)
                eps_hat = to_eps(schedule, output.prediction_value, wide, t, prediction=prediction)
                errors = (_mean_square(x_0 - step.x0_hat), _mean_square(z - eps_hat))
            yield Term(t, value, *errors, step.x0_hat.to(x_0.dtype))

    return terms()


def _mean_square(error: Tensor) -> Tensor:
    return error.square().unsqueeze(-1).flatten(1).mean(1)


@dataclass(frozen=True, eq=False)
class Bound:
    """The bound of a set of images: per example, and per t as means over the examples.

    Attributes:
        subset: the steps that were visited, all of 1..T if it is exact.
        d: coordinates of an image.
        levels: values of a pixel, or None for data without a grid.
        L_T: nats, shape (N,).
        L_0: nats, shape (N,).
        nats: the bound itself, shape (N,): L_T, and every visited term as often as the steps it stands for.
        means: shape (K, 3), a row for each visited t in increasing order: the means over the examples of
            L_{t−1} in nats, of the mean squared error of x0_hat, and of that of the noise.
        deviations: shape (K, 3), the standard deviations between examples; nan where N = 1.
    """

    subset: Subset
    d: int
    levels: int | None
    L_T: Tensor
    L_0: Tensor
    nats: Tensor
    means: Tensor
    deviations: Tensor

    @property
    def bits_per_dim(self) -> float:
        """The mean bound, in bits per dimension; without a grid it is a density's and may be negative."""
        return self.in_bits(float(self.nats.mean()))

    @property
    def examples_error(self) -> float | None:
        """Standard error of `bits_per_dim` from having N examples and one noise each; None where N = 1."""
        if len(self.nats) < 2:
            return None
        return self.in_bits(float(self.nats.std()) / sqrt(len(self.nats)))

    @property
    def subset_error(self) -> float:
        """Standard error of `bits_per_dim` from not having visited every t; 0 where all were.

        It is estimated from the two steps of each stratum, in which their noise counts as well.
        """
        return self.in_bits(sqrt(self.subset.variance_of_sum(self.means[:, 0].tolist())))

    def in_bits(self, nats: float) -> float:
        """Turn nats per example into bits per dimension."""
        return float(bits_per_dim(torch.tensor(nats, dtype=torch.float64), self.d))

    @classmethod
    def join(cls, bounds: Iterable[Bound]) -> Bound:
        """Put the bounds of several batches together.

        Raises:
            ValueError: if there is none, or they differ in steps, size or levels.
        """
        first, *others = bounds
        for other in others:
            if (other.subset, other.d, other.levels) != (first.subset, first.d, first.levels):
                raise ValueError("bounds must have the same subset, d and levels to be joined")
        parts = [first, *others]
        counts = torch.tensor([len(part.nats) for part in parts], dtype=torch.float64)
        N = float(counts.sum())
        share = (counts / N).reshape(-1, 1, 1).to(first.means)
        each = torch.stack([part.means for part in parts])
        means = (share * each).sum(0)
        # Squares about the joint mean: those within each batch, where there are any, and those between.
        within = torch.stack([part.deviations.nan_to_num(0) ** 2 for part in parts])
        free = ((counts - 1) / N).reshape(-1, 1, 1).to(first.means)
        squares = (free * within + share * (each - means) ** 2).sum(0)
        deviations = (squares * N / (N - 1)).sqrt()  # 0/0, nan, where N = 1
        return cls(
            subset=first.subset,
            d=first.d,
            levels=first.levels,
            L_T=torch.cat([part.L_T for part in parts]),
            L_0=torch.cat([part.L_0 for part in parts]),
            nats=torch.cat([part.nats for part in parts]),
            means=means,
            deviations=deviations,
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the numbers as plain values, for JSON: bits per dimension, and mean squared errors."""
        L_T, L_0 = (self.in_bits(float(x.mean())) for x in (self.L_T, self.L_0))
        units = torch.tensor([self.in_bits(1.0), 1.0, 1.0], dtype=self.means.dtype)
        means = (self.means.cpu() * units).T.tolist()
        errors = (self.deviations.cpu() * units / sqrt(len(self.nats))).T.tolist()
        per_t: dict[str, Any] = {"t": list(self.subset.steps)}
        for name, mean, error in zip(("bits_per_dim", "x0_mse", "eps_mse"), means, errors, strict=True):
            per_t[name], per_t[f"{name}_error"] = mean, error if len(self.nats) > 1 else None
        return {
            "bits_per_dim": self.bits_per_dim,
            "examples_error": self.examples_error,
            "subset_error": self.subset_error,
            "examples": len(self.nats),
            "exact_in_t": self.subset.is_whole,
            "L_T": L_T,
            "L_1_to_L_T_minus_1": self.bits_per_dim - L_T - L_0,
            "L_0": L_0,
            "per_t": per_t,
        }


def collect(
    terms: Iterable[Term],
    schedule: Schedule,
    x_0: Tensor,
    *,
    levels: int | None = 256,
    subset: Subset | None = None,
) -> Bound:
    """Add the terms of a batch up as they come, keeping numbers and no images.

    Raises:
        ValueError: if the terms are not those of the subset, from the last step down.
    """
    subset = subset or Subset.whole(schedule.T)
    L_T = prior_term(schedule, x_0)
    # A thousand terms are added: float64, where the device has it.
    wide = torch.float32 if x_0.device.type == "mps" else torch.float64
    L_T = L_T.to(wide)
    nats, L_0 = L_T.clone(), torch.zeros_like(L_T)
    means = L_T.new_empty(len(subset.steps), 3)
    deviations = L_T.new_full((len(subset.steps), 3), torch.nan)
    row = len(subset.steps)
    for term in terms:
        row -= 1
        if row < 0 or term.t != subset.steps[row]:
            raise ValueError(
                f"terms must be those of the subset's steps, from the last down; got t = {term.t}"
            )
        values = torch.stack([term.nats, term.x0_error, term.eps_error], 1).to(wide)
        nats.add_(values[:, 0], alpha=subset.weights[row])
        if len(x_0) > 1:
            deviations[row], means[row] = torch.std_mean(values, 0)
        else:
            means[row] = values[0]
        if term.t == 1:
            L_0 = values[:, 0]
    if row:
        raise ValueError(f"terms must be those of the subset's steps; {row} of them are missing")
    return Bound(subset, x_0.shape[1:].numel(), levels, L_T, L_0, nats, means, deviations)


def bound(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    *,
    noise: Noise | None = None,
    generator: torch.Generator | None = None,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
    levels: int | None = 256,
    cdf: CDF = "exact",
    subset: Subset | None = None,
) -> Bound:
    """Return the variational bound of a batch of images, with everything that one pass over t tells.

    `L_T + Σ_t L_{t−1}`, by [bound_terms][ddpm_ref.bound.bound_terms] and [collect][ddpm_ref.bound.collect];
    the arguments, and what is raised, are those of the first. Join the bounds of many batches with
    [Bound.join][ddpm_ref.bound.Bound.join]: with a subset, the same one for all.

    Claims: [bound.terms][], [bound.prior-term][]. Source: Ho et al. 2020, equation 5.
    """
    terms = bound_terms(
        model,
        schedule,
        x_0,
        noise=noise,
        generator=generator,
        prediction=prediction,
        variance=variance,
        clip=clip,
        levels=levels,
        cdf=cdf,
        subset=subset,
    )
    return collect(terms, schedule, x_0, levels=levels, subset=subset)
