"""denoisers, laws: what a perfect network would answer, for Gaussians, mixtures of two, and two images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpm_ref.denoisers import DatasetDenoiser, Denoiser, GaussianDenoiser, MixtureDenoiser
from ddpm_ref.laws import GaussianLaw, MixtureLaw
from derivations.proof.symbols import linear_coefficients, x_t
from tests.oracle import CLAIMS, Case, Values, evaluate, exact, holds, mp

WEIGHTS = (0.75, 0.5)  # of a mixture; they need not add up to one


def deviations(case: Case) -> tuple[float, float]:
    """Two deviations of data that float64 holds exactly, with their squares; neither is one."""
    return (3 + 4 * (case.seed % 8)) / 16, (5 + 8 * (case.seed % 5)) / 32


def gaussian(case: Case, i: int) -> Values:
    """Each name that the chapters have for the data's spread."""
    s = mp.mpf(deviations(case)[0])
    return {"data_deviation": s, "data_spread": s, "data_variance": s**2}


def each(case: Case, made: Callable[[int], Denoiser], ask: Callable[[Denoiser, int], Tensor]) -> Tensor:
    """The law differs from example to example, so each has its own denoiser."""
    return torch.cat([ask(made(i), i) for i in range(len(case.t))])


# -- Gaussian data -------------------------------------------------------------------------------------------


def of_gaussian(case: Case, form: str = "isotropic") -> Callable[[int], Denoiser]:
    s2 = torch.tensor(deviations(case)[0], dtype=torch.float64).square()

    def made(i: int) -> Denoiser:
        mean = case.data_mean[i].double()
        covariance = {
            "isotropic": s2,
            "diagonal": s2.expand(mean.shape),
            "full": s2 * torch.eye(mean.numel()).double(),
        }[form]
        return GaussianDenoiser(case.schedule, GaussianLaw(mean, covariance))

    return made


def at(case: Case, method: str = "__call__", x: str = "x_t") -> Callable[[Denoiser, int], Tensor]:
    points: Tensor = getattr(case, x)
    return lambda denoiser, i: getattr(denoiser, method)(points[i : i + 1], case.t[i : i + 1])


@holds("sampling.gaussian-denoiser", extra=gaussian)
def gaussian_eps(case: Case) -> Tensor:
    return each(case, of_gaussian(case), at(case))


@holds("sampling.gaussian-denoiser", extra=gaussian)
def gaussian_eps_diagonal(case: Case) -> Tensor:
    return each(case, of_gaussian(case, "diagonal"), at(case))


@holds("sampling.gaussian-denoiser", extra=gaussian)
def gaussian_eps_full(case: Case) -> Tensor:
    return each(case, of_gaussian(case, "full"), at(case))


@holds("score.gaussian-data", extra=gaussian)
def gaussian_score(case: Case) -> Tensor:
    return each(case, of_gaussian(case), at(case, "score"))


def gaussian_score_at(case: Case, i: int) -> Values:
    values = {**case.values(i), **gaussian(case, i)}
    return {"score_q": evaluate(CLAIMS["score.gaussian-data"].value, values)}


@holds("score.tweedie", ulps=4, extra=gaussian_score_at)
def gaussian_x0_hat(case: Case) -> Tensor:
    return each(case, of_gaussian(case), at(case, "x0_hat"))


@holds("sampling.smallest-loss", ulps=4, extra=gaussian)
def gaussian_least_loss(case: Case) -> Tensor:
    return each(case, of_gaussian(case), at(case, "least_loss"))


@holds("coding.distortion", ulps=4, extra=gaussian)
def gaussian_spread(case: Case) -> Tensor:
    d = case.x_t[0].numel()
    return each(case, of_gaussian(case), lambda denoiser, i: at(case, "spread")(denoiser, i).double() / d).to(
        torch.promote_types(case.dtype, torch.float32)
    )


# -- components, by the claims -------------------------------------------------------------------------------


def component(case: Case, i: int, mean: str, deviation: float) -> dict[str, Any]:
    """A component of q(x_t) at x_t: its density, its score, and the image it would guess."""
    values = case.values(i)
    values |= {"data_mean": values[mean], "data_deviation": mp.mpf(deviation)}
    score = CLAIMS["score.gaussian-data"].value
    values["score_q"] = evaluate(score, values)
    variance = -1 / evaluate(linear_coefficients(score)[x_t], values)
    of_data = {**values, "x_0": values["data_mean"]}
    density = evaluate(
        CLAIMS["gaussians.density"].value,
        {
            "x": values["x_t"],
            "mu": evaluate(CLAIMS["forward.marginal"].parts["mean"], of_data),
            "sigma": mp.sqrt(variance),
            "d": values["d"],
        },
    )
    return {
        "density": mp.exp(density),
        "score": values["score_q"],
        "image": evaluate(CLAIMS["score.tweedie"].value, values),
        "spread": values["d"]
        * (
            evaluate(CLAIMS["coding.distortion"].value, {**values, "data_spread": mp.mpf(deviation)})
            if deviation
            else 0
        ),
    }


def two(
    case: Case, i: int, first: dict[str, Any], second: dict[str, Any], weights: tuple[float, float]
) -> Values:
    """The symbols of the claims on mixtures, for two components."""
    w, rho = (mp.mpf(weight) / sum(map(mp.mpf, weights)) for weight in weights)
    joined = {"density_q": w * first["density"], "density_p": second["density"], "rho": rho}
    (bayes,) = CLAIMS["score.mixture-surprise"].given
    share = evaluate(bayes.rhs, joined)
    scores = {"score_q": first["score"], "score_1": second["score"]}
    return {**joined, **scores, "posterior_share": share, "i": i}


def score_of_two(values: Values) -> Values:
    return {"score_q": evaluate(CLAIMS["score.mixture"].value, values)}


def spread_of_two(values: Values, first: dict[str, Any], second: dict[str, Any]) -> Values:
    return {
        "rho": values["posterior_share"],
        "eps_spread_1": first["spread"],
        "eps_spread_2": second["spread"],
        "mu_1": first["image"],
        "mu_2": second["image"],
    }


# -- a mixture of two ----------------------------------------------------------------------------------------
# In float64: a posterior weight is as exact as the exponents it comes from, a few hundred or thousand nats.

EXPONENTS = 2**14


def law_of_two(case: Case, i: int) -> MixtureLaw:
    means = torch.stack([case.data_mean[i], case.x_0[i]]).double()
    variances = torch.tensor(deviations(case), dtype=torch.float64).square()
    return MixtureLaw(torch.tensor(WEIGHTS), means, variances)


def mixture(case: Case, method: str = "__call__") -> Tensor:
    def ask(denoiser: Denoiser, i: int) -> Tensor:
        found: Tensor = getattr(denoiser, method)(case.x_t[i : i + 1].double(), case.t[i : i + 1])
        return found

    return each(case, lambda i: MixtureDenoiser(case.schedule, law_of_two(case, i)), ask)


def parts(case: Case, i: int) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = deviations(case)
    return component(case, i, "data_mean", first), component(case, i, "x_0", second)


def mixed(case: Case, i: int) -> Values:
    return two(case, i, *parts(case, i), WEIGHTS)


@holds("score.mixture", ulps=EXPONENTS, extra=mixed)
def mixture_score(case: Case) -> Tensor:
    return mixture(case, "score")


@holds("score.optimal-eps", ulps=EXPONENTS, extra=lambda case, i: score_of_two(mixed(case, i)))
def mixture_eps(case: Case) -> Tensor:
    return mixture(case)


@holds("score.tweedie", ulps=EXPONENTS, extra=lambda case, i: score_of_two(mixed(case, i)))
def mixture_x0_hat(case: Case) -> Tensor:
    return mixture(case, "x0_hat")


@holds(
    "score.posterior-spread",
    ulps=EXPONENTS,
    extra=lambda case, i: spread_of_two(mixed(case, i), *parts(case, i)),
)
def mixture_spread(case: Case) -> Tensor:
    return mixture(case, "spread")


def error_of_the_noise(case: Case, i: int) -> Values:
    """Two noises whose squared distance is the least loss."""
    squared = exact(mixture(case, "least_loss"))[i] * case.x_t[i].numel()
    return {"eps": np.array([mp.sqrt(squared)]), "eps_theta": np.array([mp.mpf(0)])}


@holds("parameterization.error-x0", ulps=8, extra=error_of_the_noise)
def mixture_spread_by_the_least_loss(case: Case) -> Tensor:
    return mixture(case, "spread")


@holds("score.mixture-surprise", ulps=EXPONENTS, extra=mixed)
def mixture_surprise(case: Case) -> Tensor:
    return -mixture(case, "log_density")


# -- two images ----------------------------------------------------------------------------------------------


def two_images(case: Case, method: str = "__call__") -> Tensor:
    def made(i: int) -> Denoiser:
        return DatasetDenoiser(case.schedule, torch.stack([case.x_0[i], case.x_0_other[i]]).double())

    def ask(denoiser: Denoiser, i: int) -> Tensor:
        found: Tensor = getattr(denoiser, method)(case.x_t[i : i + 1].double(), case.t[i : i + 1])
        return found

    return each(case, made, ask)


def images(case: Case, i: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return component(case, i, "x_0", 0.0), component(case, i, "x_0_other", 0.0)


def imaged(case: Case, i: int) -> Values:
    return two(case, i, *images(case, i), (0.5, 0.5))


@holds("score.two-images", ulps=EXPONENTS)
def odds(case: Case) -> Tensor:
    found = two_images(case, "log_posterior")
    return found[:, 1] - found[:, 0]


@holds("score.mixture", ulps=EXPONENTS, extra=imaged)
def images_score(case: Case) -> Tensor:
    return two_images(case, "score")


@holds("score.optimal-eps", ulps=EXPONENTS, extra=lambda case, i: score_of_two(imaged(case, i)))
def images_eps(case: Case) -> Tensor:
    return two_images(case)


@holds("score.tweedie", ulps=EXPONENTS, extra=lambda case, i: score_of_two(imaged(case, i)))
def images_x0_hat(case: Case) -> Tensor:
    return two_images(case, "x0_hat")


@holds("score.mixture-surprise", ulps=EXPONENTS, extra=imaged)
def images_surprise(case: Case) -> Tensor:
    return -two_images(case, "log_density")
