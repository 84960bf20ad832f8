"""Progressive lossy coding: how much of an image each nat of the bound buys.

Sent in the order `L_T, L_{T−1}, …, L_1, L_0`, the terms of the bound are a message. A receiver who has heard
`L_T + … + L_t` of it holds `x_t`, and estimates the image by the `x0_hat` of the next reverse step.

Source: Ho, Jain, Abbeel 2020, section 4.3, algorithms 3 and 4.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.bound import Bound
from ddpm_ref.objective import Model, predict
from ddpm_ref.process import Prediction, Variance, q_sample, to_x0
from ddpm_ref.schedule import Schedule

__all__ = ["CodingRow", "rate_distortion", "reconstruct"]


class CodingRow(NamedTuple):
    """What a receiver has who holds x_t: a row of the paper's table of progressive coding."""

    reverse_steps: int  # T − t + 1: calls of the model up to the estimate
    rate: float  # bits per dimension received so far
    rmse: float  # of x0_hat, in pixel values 0 … levels − 1; without a grid, in the data's own units


def rate_distortion(bound: Bound) -> list[CodingRow]:
    """Read rate against distortion off a bound, from the first reverse step to the last.

    `rate = (L_T + L_{T−1} + … + L_t) / (d log 2)` and `rmse = √(mean ‖x_0 − x0_hat(x_t)‖² / d)`, the means
    over the examples. `L_0`, which brings the distortion to 0, is part of no rate. With a subset of the steps
    there is a row for each of them, and the terms between count as their strata's means. Of a whole bound,
    `rows[T // 10 - 1 :: T // 10]` are the rows of the paper's table.

    Claims: [coding.rate-distortion][], [coding.distortion][]. Source: Ho et al. 2020, section 4.3.
    """
    unit = 1.0 if bound.levels is None else (bound.levels - 1) / 2
    L_T = float(bound.L_T.mean())
    above = bound.subset.sums_above(bound.means[:, 0].tolist())
    rows = zip(bound.subset.steps, above, bound.means[:, 1].tolist(), strict=True)
    return [
        CodingRow(bound.subset.T - t + 1, bound.in_bits(L_T + rest), unit * sqrt(mean_square))
        for t, rest, mean_square in rows
    ][::-1]


def reconstruct(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    t: int | Tensor,
    noise: Tensor,
    *,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
) -> Tensor:
    """Send an image as far as step t and return what the receiver then makes of it.

    `x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) noise`, and the clean image that the prediction at `x_t` implies. The same
    noise at every t gives pictures that belong together.

    Claims: [forward.sample][], [parameterization.x0-from-eps][]. Source: Ho et al. 2020, equation 15.

    Args:
        model: any callable `(x_t, t) -> prediction`.
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).
        t: in 1..T; an int, or an integer tensor of shape (B,).
        noise: standard normal, shaped like `x_0`.
        prediction: what the model predicts.
        variance: "learned" if the model returns twice the channels; of no effect otherwise.
        clip: whether to clip the result to [−1, 1].

    Returns:
        Shaped like `x_0`.

    Raises:
        ValueError: if shapes do not match, t is out of range, or `prediction` or `variance` is unknown.
        TypeError: if t is not integer or `x_0` not floating point.
    """
    with torch.no_grad():
        x_t = q_sample(schedule, x_0, t, noise)
        value = predict(model, x_t, t, variance=variance).prediction_value
        x0_hat = to_x0(schedule, value, x_t, t, prediction=prediction)
        return x0_hat.clamp(-1, 1) if clip else x0_hat
