"""decoder: the scale, the masses of the bins, the approximation by tanh, bits per dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpm_ref import decoder
from ddpm_ref.gaussian import Gaussian
from derivations.decoder import lower_standardised, upper_standardised
from tests.oracle import CLAIMS, Case, Values, evaluate, exact, holds, mp

LEVELS = (2, 3, 17, 257)  # grids without rounding, so that the edges are exact


def levels(case: Case) -> int:
    """How many values a pixel has in this case."""
    return LEVELS[case.seed % len(LEVELS)]


def pixels(case: Case) -> Tensor:
    """Pixel values, the two ends of the scale among them."""
    top = levels(case) - 1
    return ((case.x_0.double() + 1) / 2 * top).round().clamp(0, top)


def scale(case: Case, i: int) -> Values:
    return {"level": exact(pixels(case)[i]), "brightest": mp.mpf(levels(case) - 1)}


def law(case: Case) -> Gaussian:
    """A last step that has the pixel within its reach, a coordinate at a time: shape (B · n, 1)."""
    variance = case.schedule.beta[case.t].reshape(-1, *(1,) * len(case.shape)).expand(case.x_0.shape)
    mean = decoder.from_levels(pixels(case), levels(case)) + variance.sqrt() * case.z.double()
    return Gaussian(mean.reshape(-1, 1), variance.reshape(-1, 1))


def standardised(case: Case, i: int) -> Values:
    p = law(case)
    shape = (len(case.t), *case.shape)
    return {
        **scale(case, i),
        "pixel_mean": exact(p.mean.reshape(shape)[i]),
        "sigma": np.vectorize(mp.sqrt, otypes=[object])(exact(p.variance.reshape(shape)[i])),
    }


def at_the_edges(cdf: Callable[[Any], Any]) -> Callable[[Case, int], Values]:
    """The distribution function at both edges of each bin, which are infinite at the ends of the scale."""
    of_each = np.vectorize(cdf, otypes=[object])

    def values(case: Case, i: int) -> Values:
        here = standardised(case, i)
        above, below = (evaluate(edge, here) for edge in (upper_standardised, lower_standardised))
        return {
            "cdf_t": np.where(here["level"] == here["brightest"], mp.mpf(1), of_each(above)),
            "cdf_prev": np.where(here["level"] == 0, mp.mpf(0), of_each(below)),
        }

    return values


def by_tanh(u: Any) -> Any:
    """The approximation at u: the complement of what it is at -u."""
    g = evaluate(CLAIMS["decoder.tanh"].value, {"standardised": -u})
    return evaluate(CLAIMS["decoder.tanh-complement"].value, {"odds": mp.exp(2 * g)})


@holds("decoder.scaling", ulps=0.5, extra=scale)
def from_levels(case: Case) -> Tensor:
    return decoder.from_levels(pixels(case), levels(case))


def masses(case: Case, cdf: decoder.CDF) -> Tensor:
    x_0 = decoder.from_levels(pixels(case), levels(case)).reshape(-1, 1)
    found = decoder.decoder_log_likelihood(law(case), x_0, levels=levels(case), cdf=cdf)
    return found.exp().reshape(len(case.t), *case.shape)


# Masses down to e^-30 or so: their logarithms' errors become relative ones, and so do the edges'.
@holds("decoder.bin", ulps=256, extra=at_the_edges(mp.ncdf))
def mass(case: Case) -> Tensor:
    return masses(case, "exact")


@holds("decoder.bin", ulps=256, extra=at_the_edges(by_tanh))
def mass_by_tanh(case: Case) -> Tensor:
    return masses(case, "tanh")


def away_from_zero(case: Case) -> Tensor:
    return case.x.double() + case.x.double().sign()


@holds("decoder.tanh", ulps=16, extra=lambda case, i: {"standardised": exact(away_from_zero(case)[i])})
def tanh_argument(case: Case) -> Tensor:
    """Half the log-odds of two values that meet at 0."""
    p = Gaussian(-away_from_zero(case).reshape(-1, 1), torch.ones(1, 1, dtype=torch.float64))
    lower, upper = (
        decoder.decoder_log_likelihood(p, torch.full_like(p.mean, end), levels=2, cdf="tanh")
        for end in (-1, 1)
    )
    return ((lower - upper) / 2).reshape(len(case.t), *case.shape)


@holds("decoder.bits-per-dim", extra=lambda case, i: {"nats": exact(case.x[i])})
def bits_per_dim(case: Case) -> Tensor:
    return decoder.bits_per_dim(case.x, case.x[0].numel())
