"""gaussian, process, decoder: what the bindings ask in float64, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpm_ref import decoder, gaussian, process
from ddpm_ref.gaussian import Gaussian
from ddpm_ref.process import Prediction
from ddpm_ref.schedule import working_dtype
from tests.bindings.decoder import LEVELS
from tests.numerics.calls.schedules import large, value
from tests.numerics.measure import Number, exact, measured
from tests.oracle import CLAIMS, Case, magnitude, mp
from tests.test_decoder import log_mass

# -- densities and divergences -------------------------------------------------------------------------------


def of_claim(found: Tensor, claim: str, values: dict[str, Any]) -> Number:
    """A number, the claim's, and the sizes of the claim's terms."""
    expression = CLAIMS[claim].value
    return Number(found, value(claim, values), magnitude(expression, values))


@measured()
def log_density(case: Case) -> Iterator[Number]:
    variance = case.schedule.at("beta", case.t, case.x)
    found = gaussian.log_density(Gaussian(case.mu, variance), case.x)
    for i in range(len(case.t)):
        sigma = mp.sqrt(exact(variance[i]).item())
        yield of_claim(found[i], "gaussians.density", {**case.values(i), "sigma": sigma})


@measured(first=2)
def kl(case: Case) -> Iterator[Number]:
    variances = [case.schedule.at(name, case.t, case.x) for name in ("posterior_variance", "beta")]
    first, second = (Gaussian(m, v) for m, v in zip((case.mu_1, case.mu_2), variances, strict=True))
    found = gaussian.kl(first, second)
    for i in range(len(case.t)):
        sigmas = {f"sigma_{k + 1}": mp.sqrt(exact(v[i]).item()) for k, v in enumerate(variances)}
        yield of_claim(found[i], "parameterization.kl", {**case.values(i), **sigmas})


@measured()
def kl_of_far_apart_variances(case: Case) -> Iterator[Number]:
    """Variances from the smallest normal number to near the largest, and means on their scale."""
    info = torch.finfo(working_dtype(case.dtype))
    log_range = float(np.log(info.max)) - 2
    exponents = (case.x.double().tanh() * log_range, case.x_0.double().tanh() * log_range)
    first, second = (e.exp().clamp(min=info.smallest_normal).to(working_dtype(case.dtype)) for e in exponents)
    mean = case.mu_1.to(first.dtype) * second.sqrt()
    found = gaussian.kl(
        Gaussian(mean.reshape(-1, 1), first.reshape(-1, 1)),
        Gaussian(torch.zeros_like(mean).reshape(-1, 1), second.reshape(-1, 1)),
    )
    for k in range(len(found)):
        sigma_1, sigma_2 = (mp.sqrt(mp.mpf(float(v.reshape(-1)[k]))) for v in (first, second))
        values = {
            "sigma_1": sigma_1, "sigma_2": sigma_2, "d": mp.mpf(1),
            "mu_1": exact(mean.reshape(-1, 1)[k]), "mu_2": exact(torch.zeros(1)),
        }  # fmt: skip
        yield of_claim(found[k], "parameterization.kl", values)


@measured()
def log_excess(case: Case) -> Iterator[Number]:
    u = case.x.tanh().clamp(-0.99, 0.99).to(working_dtype(case.dtype))
    found = gaussian.log_excess(1 + u, u)
    for i in range(len(case.t)):
        for k, each in enumerate(u[i].reshape(-1).tolist()):
            none = exact(torch.zeros(1))
            values = {
                "sigma_1": mp.sqrt(1 + mp.mpf(each)), "sigma_2": mp.mpf(1), "d": mp.mpf(1),
                "mu_1": none, "mu_2": none,
            }  # fmt: skip
            true = 2 * value("parameterization.kl", values)
            yield Number(found[i].reshape(-1)[k], true, true)


@measured()
def sum_coordinates(case: Case) -> Iterator[Number]:
    wide = case.x.to(working_dtype(case.dtype))
    found = gaussian.sum_coordinates(wide, wide)
    for i in range(len(case.t)):
        yield Number(found[i], exact(wide[i]).sum(), np.abs(exact(wide[i])).sum())


# -- process -------------------------------------------------------------------------------------------------

NOISE_OF = {
    "x0": ("parameterization.eps-from-x0", "x_0"),
    "mu": ("parameterization.eps-from-mean", "mu_tilde"),
    "v": ("parameterization.eps-from-v", "v"),
}


@measured()
def noise_that_a_prediction_means(case: Case) -> Iterator[Number]:
    prediction: Prediction
    for prediction in ("x0", "mu", "v"):
        claim, vector = NOISE_OF[prediction]
        predicted: Tensor = getattr(case, vector)
        found = process.to_eps(case.schedule, predicted, case.x_t, case.t, prediction=prediction)
        for i in range(len(case.t)):
            yield of_claim(found[i], claim, case.values(i))


@measured(first=2)
def one_step(case: Case) -> Iterator[Number]:
    step = process.p_mean_variance(case.schedule, case.x_0, case.x_t, case.t, prediction="x0", clip=False)
    moved = step.sample(case.t, case.eps)
    for i in range(len(case.t)):
        mean = of_claim(step.mean[i], "posterior.mean", case.values(i))
        yield mean._replace(of="process.p_mean_variance")
        log_variance = mp.log(large(case.values(i)))
        found = step.log_variance[i].reshape(())
        yield Number(found, log_variance, abs(log_variance), of="process.p_mean_variance")
        values = {
            "mu": exact(step.mean[i]), "sigma": mp.sqrt(exact(step.variance[i]).item()),
            "eps": exact(case.eps[i]),
        }  # fmt: skip
        true = value("gaussians.reparameterization", values)
        size = np.abs(values["mu"]) + values["sigma"] * np.abs(values["eps"])
        yield Number(moved[i], true, size, of="process.ReverseStep.sample")


# -- the decoder ---------------------------------------------------------------------------------------------


@measured()
def logarithms_of_masses(case: Case) -> Iterator[Number]:
    """The unit is that of the value, or of one nat where the value is less."""
    levels = LEVELS[case.seed % (4 if case.dtype in (torch.float32, torch.float64) else 3)]
    top = levels - 1
    k = ((case.x_0.double() + 1) / 2 * top).round().clamp(0, top)
    x_0 = decoder.from_levels(k, levels).to(case.dtype)
    variance = case.schedule.at("beta", case.t, x_0).expand_as(x_0)
    for cdf, reach in (("exact", 40), ("tanh", 15)):
        off = (case.z.double() * 3).clamp(-reach, reach) * variance.double().sqrt()
        mean = (x_0.double() + off).to(variance.dtype)
        found = decoder.decoder_log_likelihood(
            Gaussian(mean.reshape(-1, 1), variance.reshape(-1, 1)), x_0.reshape(-1, 1), levels=levels,
            cdf=cdf,  # type: ignore[arg-type]
        )  # fmt: skip
        flat = [part.reshape(-1).tolist() for part in (mean, variance, k)]
        for n, (m, v, level) in enumerate(zip(*flat, strict=True)):
            true = log_mass(mp.mpf(m), mp.sqrt(mp.mpf(v)), int(level), levels, cdf, digits=450)  # type: ignore[arg-type]
            yield Number(found[n], true, max(abs(true), 1))
