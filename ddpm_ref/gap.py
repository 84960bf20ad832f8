"""How far a model is from the best there could be: its loss at each t, and what of it is avoidable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import hypot, isfinite, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.bound import Bound
from ddpm_ref.denoisers import Denoiser
from ddpm_ref.finite import check_finite
from ddpm_ref.noise import Noise, noise_source
from ddpm_ref.objective import Model, predict
from ddpm_ref.process import Prediction, Variance, q_sample, to_eps
from ddpm_ref.schedule import Schedule, working_dtype

__all__ = ["Gap", "Parts", "Truth", "gaps", "split_loss"]

BATCH = 500  # images at a time


class Parts(NamedTuple):
    """L_simple given `x_t`, in its two parts; each has shape (B,)."""

    least: Tensor  # what no model can avoid
    excess: Tensor  # what this one could


def split_loss(
    model: Model,
    ideal: Denoiser,
    schedule: Schedule,
    x_t: Tensor,
    t: int | Tensor,
    *,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
) -> Parts:
    """Split the mean loss given `x_t` into what no model can avoid and what this one could.

    `E[‖eps − eps_hat‖² | x_t] / d = least + excess` with `excess = ‖E[eps | x_t] − eps_hat‖² / d`, which is
    never negative, and needs no difference of two losses.

    Claim: [parameterization.projection][].

    Args:
        model: the network.
        ideal: knows `E[eps | x_t]`, for the law that the images come from.
        schedule: the noise schedule.
        x_t: noisy images, shape (B, ...).
        t: in 1..T; an int, or an integer tensor of shape (B,).
        prediction: what the model predicts; the loss is that of the noise all the same.
        variance: of its reverse steps, which says whether the network also gives a variance.

    Returns:
        Shape (B,) each; float32 for half precision.

    Raises:
        ValueError: if shapes do not match, t is out of range, or a choice is unknown.
        TypeError: if t is not integer or `x_t` not floating point.
    """
    value = predict(model, x_t, t, variance=variance).prediction_value
    wide = x_t.to(working_dtype(x_t.dtype))  # half precision has too few digits to average squares in
    error = to_eps(schedule, value, wide, t, prediction=prediction) - ideal(wide, t)
    return Parts(ideal.least_loss(wide, t), error.square().unsqueeze(-1).flatten(1).mean(1))


class Gap(NamedTuple):
    """The loss at one t, in its two parts: mean squared errors of the noise, per coordinate."""

    t: int
    least: float  # of any model
    excess: float  # of this model over that
    excess_error: float  # its standard error, over images and noise

    @property
    def loss(self) -> float:
        """The model's loss: the sum of both."""
        return self.least + self.excess


def gaps(
    model: Model,
    ideal: Denoiser,
    schedule: Schedule,
    x_0: Tensor,
    times: Sequence[int],
    *,
    noise: Noise | None = None,
    generator: torch.Generator | None = None,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
) -> Iterator[Gap]:
    """Yield the gap at each of some steps, averaged over images and noise.

    The ideal denoiser of a finite set knows every image by heart, and a sampler that used it would return
    them: a model that generalises is meant to have an excess.

    Args:
        model: the network.
        ideal: the exact denoiser of the law that the images come from.
        schedule: the noise schedule.
        x_0: at least two images, drawn from that law; of a data set's, some of its own. Shape (N, ...).
        times: the steps, each in 1..T.
        noise: `noise(t)`, shaped like `x_0`; drawn from `generator` if not given.
        generator: where the noise comes from; PyTorch's default if not given.
        prediction: what the model predicts.
        variance: of its reverse steps, which says whether the network also gives a variance.

    Raises:
        ValueError: if there are fewer than two images, one is not finite, a step is out of range, or a choice
            is unknown.
        FloatingPointError: if a loss is not finite, naming t.
    """
    if len(x_0) < 2:
        raise ValueError(f"x_0 must hold at least 2 images; got {len(x_0)}")
    check_finite("x_0", x_0)
    source = noise_source(noise, generator, x_0)
    for t in times:
        schedule.check_t(t, x_0)
        # The context must not span a yield: it would then hold in the caller's code too.
        with torch.no_grad():
            x_t = q_sample(schedule, x_0, t, source(t))
            parts = [
                split_loss(model, ideal, schedule, part, t, prediction=prediction, variance=variance)
                for part in torch.split(x_t, BATCH)
            ]
        least, excess = (torch.cat(each).double() for each in zip(*parts, strict=True))
        gap = Gap(t, float(least.mean()), float(excess.mean()), float(excess.std()) / sqrt(len(excess)))
        if not all(map(isfinite, gap)):
            raise FloatingPointError(f"losses must be finite; got nan or infinity at t = {t}")
        yield gap


class Truth(NamedTuple):
    """A bound beside the entropy of the data, in bits per dimension, where their law is known.

    `gap` is the mean of `bound + log q(x_0)` over the images. Its expectation is that of bound − entropy, and
    the spread of `log q(x_0)` is not in it. Errors are standard errors.
    """

    entropy: float
    entropy_error: float  # 0 where the entropy is a closed form
    bound: float
    bound_error: float
    gap: float
    gap_error: float
    avoidable: float  # the gap less the exact denoiser's, image by image with the same noise
    avoidable_error: float
    least: float  # the exact denoiser's gap
    least_error: float
    exact_gap: float | None  # the same in closed form, where there is one

    @classmethod
    def of(
        cls,
        bound: Bound,
        best: Bound,
        entropy: float,
        log_density: Tensor,
        exact_gap: float | None = None,
        *,
        entropy_error: float = 0.0,
    ) -> Truth:
        """Compare a model's bound and the exact denoiser's with the entropy.

        Args:
            bound: the model's, of at least two images.
            best: the exact denoiser's, of the same images with the same noise and the same variance of steps.
            entropy: of the law, in nats.
            log_density: of the images, in nats, (N,).
            exact_gap: the exact denoiser's bound less the entropy, in nats, where it is known.
            entropy_error: standard error of the entropy, in nats, where it is an estimate.
        """

        def mean_error(nats: Tensor, terms: Tensor) -> tuple[float, float]:
            skipped = bound.subset.variance_of_sum(terms.tolist())
            error = hypot(float(nats.std()) / sqrt(len(nats)), sqrt(skipped))
            return bound.in_bits(float(nats.mean())), bound.in_bits(error)

        surprise = -log_density.to(bound.nats)
        return cls(
            bound.in_bits(entropy),
            bound.in_bits(entropy_error),
            *mean_error(bound.nats, bound.means[:, 0]),
            *mean_error(bound.nats - surprise, bound.means[:, 0]),
            *mean_error(bound.nats - best.nats, bound.means[:, 0] - best.means[:, 0]),
            *mean_error(best.nats - surprise, best.means[:, 0]),
            None if exact_gap is None else bound.in_bits(exact_gap),
        )
