"""Values of symbols that follow from others: variances, means, a pixel's bin; and what rounds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpm_ref.conformance.cases import Case
from ddpm_ref.conformance.check import Extra, Values, formula
from ddpm_ref.conformance.formulas import Formula, elementwise, mp
from ddpm_ref.conformance.protocol import VarianceKind
from ddpm_ref.conformance.steps import EPS

_exp = elementwise(mp.exp)
VARIANCE: Mapping[VarianceKind, str] = {
    "fixed_large": "sampling.variance-for-normal-data",
    "fixed_small": "posterior.variance",
    "learned": "parameterization.learned-variance",
}


def variance_of(kind: VarianceKind, values: Values, wrong: Formula | None = None) -> Any:
    """Return σ_t² of a kind of variance, at t ≥ 2; `wrong` evaluates another formula in its place."""
    if kind == "log":
        return _exp(values["share"])
    chosen = wrong or formula(VARIANCE[kind])
    if kind == "learned":
        smallest = formula("posterior.variance")(values)
        return _exp(chosen({**values, "variance_output": values["share"], "beta_tilde_t": smallest}))
    return chosen(values)


_sqrt = elementwise(mp.sqrt)


def deviation(kind: VarianceKind) -> Extra:
    """Give σ_t of a kind of variance."""
    return lambda case, values: {"sigma_t": _sqrt(variance_of(kind, values))}


def clip(images: Any) -> Any:
    """Clip images to [−1, 1]."""
    return np.minimum(np.maximum(images, -1), 1)


def clipped(case: Case, values: Values) -> Values:
    """Give x_0 as it is predicted from the noise, clipped."""
    return {"x_0": clip(formula("parameterization.x0-from-eps")(values))}


def kept_as_logarithm(case: Case, values: Values) -> Any:
    """Return the size that rounding is relative to where a variance is kept as its logarithm."""
    # The exponential multiplies an error by the size of the logarithm.
    sizes = (values["beta_t"], formula("posterior.variance")(values))
    return max(sizes, key=np.max) * np.abs(elementwise(mp.log)(sizes[1]))


def floored(case: Case, values: Values) -> Any:
    """Return the size with which a floor under a variance of zero passes."""
    # Zero has no logarithm. Code that puts a floor far below every variance in its place is not at fault.
    return 1e-12 / EPS[case.dtype]


def two_laws(case: Case, values: Values) -> Values:
    """Give both deviations of a divergence."""
    return {f"sigma_{i}": _exp(values[f"log_variance_{i}"][..., :1] / 2) for i in (1, 2)}


def step_laws(kind: VarianceKind) -> Extra:
    """Give what L_{t−1} is made of, for a kind of variance."""

    def extra(case: Case, values: Values) -> Values:
        x_t = {**values, "x_t": formula("forward.sample")(values)}
        return {
            "x_t": x_t["x_t"],
            "mu_tilde": formula("posterior.mean")(x_t),
            "mu_theta": formula("parameterization.mean-from-eps")({**x_t, "eps": values["eps_theta"]}),
            "beta_tilde_t": formula("posterior.variance")(values),
            "sigma_t": _sqrt(variance_of(kind, values)),
        }

    return extra


def means_rounded(case: Case, values: Values) -> Any:
    """Return the size that rounding is relative to where two means are subtracted."""
    # Both means are rounded before they are subtracted, by an amount relative to their own size.
    size = np.abs(values["mu_tilde"]) + np.abs(values["mu_theta"]) + np.abs(values["x_t"])
    product = size * np.abs(values["mu_tilde"] - values["mu_theta"])
    return np.sum(product, axis=(1, 2, 3), keepdims=True) / values["sigma_t"] ** 2


def pixel_bin(case: Case, values: Values) -> Values:
    """Give Φ at both edges of each pixel's bin, and how steep it is there."""
    edges = formula("decoder.edges")
    level = elementwise(lambda x: mp.mpf(round((x + 1) * 255 / 2)))(values["x_0"])
    known = {"brightest": mp.mpf(255)}
    deviation = _exp(values["log_variance_1"] / 2)
    mean = values["nearby"] if "nearby" in values else values["mu_1"]
    upper = (edges({**known, "level": level}) - mean) / deviation
    lower = (edges({**known, "level": level - 1}) - mean) / deviation
    upper = np.where(level == 255, mp.inf, upper)
    lower = np.where(level == 0, -mp.inf, lower)
    # Φ(b) − Φ(a) = Φ(−a) − Φ(−b): on the side where nothing cancels.
    above = lower > 0
    cdf = elementwise(mp.ncdf)
    return {
        "upper": upper,
        "lower": lower,
        "steepness": 2 * (1 + np.minimum(np.abs(upper), np.abs(lower))) / deviation,
        "cdf_t": cdf(np.where(above, -lower, upper)),
        "cdf_prev": cdf(np.where(above, -upper, lower)),
    }


def log_likelihood(mass: Any) -> Any:
    """Sum the logarithms of the masses of an image."""
    return np.sum(elementwise(mp.log)(mass), axis=(1, 2, 3), keepdims=True)


def by_tanh(case: Case, values: Values) -> Any:
    """Return the log-likelihood as the original code approximates it."""
    tanh = elementwise(mp.tanh)
    above, below = (
        (1 + tanh(formula("decoder.tanh")({"standardised": values[e]}))) / 2 for e in ("upper", "lower")
    )
    return log_likelihood(np.maximum(above - below, mp.mpf("1e-12")))


TANH = (("Φ by a tanh, and no mass below 1e-12, as in hojonathanho/diffusion", by_tanh),)


def edges_rounded(case: Case, values: Values) -> Any:
    """Return the size that rounding is relative to in a log-likelihood."""
    # An edge that is rounded before it is divided by σ moves the logarithm as the density is steep.
    sizes = np.abs(elementwise(mp.log)(formula("decoder.bin")(values))) + values["steepness"]
    return np.sum(sizes, axis=(1, 2, 3), keepdims=True)
