"""laws, denoisers, exact, reverse_law: what is known of Gaussians, of mixtures of two, and of two images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ddpm_ref import exact, reverse_law
from ddpm_ref.denoisers import DatasetDenoiser, Denoiser, MixtureDenoiser
from ddpm_ref.exact import StepVariance
from ddpm_ref.laws import Estimate, GaussianLaw
from derivations.proof.symbols import x_t
from tests.bindings import denoisers as two
from tests.numerics.calls.schedules import coefficient, value
from tests.numerics.measure import Number, measured, number
from tests.numerics.measure import exact as exactly
from tests.oracle import CLAIMS, Case, magnitude, mp, steps

OF_GAUSSIAN, OF_MIXTURE = "laws.GaussianLaw", "laws.MixtureLaw"

# -- laws ----------------------------------------------------------------------------------------------------


def density(x: Any, mean: Any, deviation: Any) -> tuple[Any, Any]:
    """The log-density of a Gaussian, and the sizes of its terms."""
    values = {"x": x, "mu": mean, "sigma": deviation, "d": mp.mpf(len(x.reshape(-1)))}
    return value("gaussians.density", values), magnitude(CLAIMS["gaussians.density"].value, values)


@measured()
def gaussian_law(case: Case) -> Iterator[Number]:
    s = two.deviations(case)[0]
    for i in range(len(case.t)):
        mean = case.data_mean[i].double()
        law = GaussianLaw(mean, torch.tensor(s, dtype=torch.float64).square())
        true, size = density(exactly(case.x[i]), exactly(mean), mp.mpf(s))
        yield Number(law.log_density(case.x[i : i + 1])[0], true, size, of=f"{OF_GAUSSIAN}.log_density")
        d = mp.mpf(mean.numel())
        entropy = value("parameterization.entropy", {"d": d, "sigma": mp.mpf(s)})
        yield Number(number(law.entropy()), entropy, entropy + d, of=f"{OF_GAUSSIAN}.entropy")


@measured()
def mixture_law(case: Case) -> Iterator[Number]:
    for i in range(len(case.t)):
        law, x = two.law_of_two(case, i), exactly(case.x[i])
        means, deviations = (case.data_mean[i], case.x_0[i]), two.deviations(case)
        parts = [density(x, exactly(m), mp.mpf(s)) for m, s in zip(means, deviations, strict=True)]
        shares = [mp.mpf(w) / sum(map(mp.mpf, two.WEIGHTS)) for w in two.WEIGHTS]
        log_weights, joint = law.log_weights, law.joint(case.x[i : i + 1])[0]
        size = max(size for _, size in parts) + 1
        for k in range(2):
            log_share = mp.log(shares[k])
            yield Number(log_weights[k], log_share, abs(log_share), of=f"{OF_MIXTURE}.log_weights")
            true, terms = log_share + parts[k][0], abs(log_share) + parts[k][1]
            yield Number(joint[k], true, terms, of=f"{OF_MIXTURE}.joint")
        first, second = ({"density": mp.exp(log), "score": mp.mpf(0)} for log, _ in parts)
        values = two.two(case, i, first, second, two.WEIGHTS)
        true = -value("score.mixture-surprise", values)
        yield Number(law.log_density(case.x[i : i + 1])[0], true, size, of=f"{OF_MIXTURE}.log_density")


@measured()
def mean_of_draws(case: Case) -> Iterator[Number]:
    found = Estimate.of(case.x.reshape(-1).repeat(2))
    draws = exactly(case.x.reshape(-1).repeat(2))
    mean = draws.sum() / len(draws)
    error = mp.sqrt(((draws - mean) ** 2).sum() / (len(draws) - 1) / len(draws))
    size = abs(draws).max()
    yield Number(number(found.value), mean, size)
    yield Number(number(found.error), error, size)


# -- denoisers -----------------------------------------------------------------------------------------------


@measured()
def gaussian_log_density(case: Case) -> Iterator[Number]:
    found = two.each(case, two.of_gaussian(case), two.at(case, "log_density"))
    for i in range(len(case.t)):
        values = {**case.values(i), **two.gaussian(case, i)}
        variance = -1 / coefficient("score.gaussian-data", x_t, values)
        mean = value("forward.marginal", {**values, "x_0": values["data_mean"]}, "mean")
        yield Number(found[i], *density(exactly(case.x_t[i]), mean, mp.sqrt(variance)))


@measured()
def gaussian_images(case: Case) -> Iterator[Number]:
    found = two.each(case, two.of_gaussian(case), two.at(case, "x0_hat"))
    for i in range(len(case.t)):
        values = {**case.values(i), **two.gaussian_score_at(case, i)}
        true, size = value("score.tweedie", values), magnitude(CLAIMS["score.tweedie"].value, values)
        yield Number(found[i], true, size + abs(values["data_mean"]))


def exponents(case: Case, i: int, images: bool) -> Any:
    """How large the logarithms are that are exponentiated: a weight is as exact as they are."""
    values = case.values(i)
    if images:  # squares are expanded: ‖x_t‖², and those of both images
        sigma = mp.sqrt(value("forward.marginal", values, "variance"))
        none = 0 * values["x_t"]
        seen = [
            value("forward.marginal", {**values, "x_0": values[name]}, "mean")
            for name in ("x_0", "x_0_other")
        ]
        return 1 + sum(density(x, none, sigma)[1] for x in (values["x_t"], *seen))
    return 1 + sum(abs(mp.log(part["density"])) for part in two.parts(case, i))


def answers(case: Case, made: Callable[[int], Denoiser], images: bool) -> Iterator[Number]:
    """All that a denoiser of two components says, in the dtype of the case."""
    of_two, parts = (two.imaged, two.images) if images else (two.mixed, two.parts)
    deviations = (0.0, 0.0) if images else two.deviations(case)
    of_one = CLAIMS["score.gaussian-data"].value
    found = {
        name: two.each(case, made, two.at(case, name))
        for name in ("__call__", "score", "x0_hat", "spread", "least_loss", "log_density", "log_posterior")
    }
    for i in range(len(case.t)):
        values = {**case.values(i), **of_two(case, i)}
        first, second = parts(case, i)
        values |= two.score_of_two(values)
        condition = exponents(case, i, images)
        score = value("score.mixture", {**values, **of_two(case, i)})
        sigma2 = value("forward.marginal", values, "variance")
        root = mp.sqrt(value("forward.alpha-bar", values))
        # Rounding is relative to the images and scores of the components, and to how sure the weights are.
        means = zip(("x_0", "x_0_other") if images else ("data_mean", "x_0"), deviations, strict=True)
        scores = condition * sum(
            magnitude(of_one, {**values, "data_mean": values[mean], "data_deviation": mp.mpf(s)})
            for mean, s in means
        )
        if images:  # x_t less its mean is taken of the averaged image
            scores = (
                scores + (abs(values["x_t"]) + root * (abs(first["image"]) + abs(second["image"]))) / sigma2
            )
        image = (abs(first["image"]) + abs(second["image"])) * condition
        eps, sizes = value("score.optimal-eps", values), scores * mp.sqrt(sigma2)
        image = image + sigma2 * scores / root * (not images)
        spread = value(
            "score.posterior-spread", {**values, **two.spread_of_two(of_two(case, i), first, second)}
        )
        size = ((abs(first["image"]) + abs(second["image"])) ** 2).sum() * condition
        size += first["spread"] + second["spread"]
        lost = size * 2.0**-52  # what rounding may make of it, in float64
        snr = value("forward.snr", values) / values["d"]
        log_share = mp.log(values["posterior_share"])
        of = "denoisers.DatasetDenoiser" if images else "denoisers.MixtureDenoiser"
        yield Number(found["score"][i], score, scores, of=f"{of}.score")
        yield Number(found["__call__"][i], eps, sizes, of=f"{of}.__call__")
        yield Number(found["x0_hat"][i], value("score.tweedie", values), image, of=f"{of}.x0_hat")
        yield Number(found["spread"][i], spread, size, lost, of=f"{of}.spread")
        yield Number(found["least_loss"][i], spread * snr, size * snr, lost * snr, of=f"{of}.least_loss")
        surprise = value("score.mixture-surprise", values)
        yield Number(found["log_density"][i], -surprise, condition, of=f"{of}.log_density")
        yield Number(found["log_posterior"][i, 1], log_share, condition, of=f"{of}.log_posterior")


@measured(longest=1000)
def mixture_of_two(case: Case) -> Iterator[Number]:
    yield from answers(case, lambda i: MixtureDenoiser(case.schedule, two.law_of_two(case, i)), False)


@measured(longest=1000)
def two_images(case: Case) -> Iterator[Number]:
    def made(i: int) -> Denoiser:
        return DatasetDenoiser(case.schedule, torch.stack([case.x_0[i], case.x_0_other[i]]))

    yield from answers(case, made, True)


# -- closed forms --------------------------------------------------------------------------------------------


def one(case: Case) -> tuple[GaussianLaw, dict[str, Any]]:
    """A law of one coordinate, and the symbols for it; the mean is a number that float64 holds."""
    s, mean = two.deviations(case)[0], 0.375
    law = GaussianLaw(torch.tensor([mean]).double(), torch.tensor(s, dtype=torch.float64).square())
    names = two.gaussian(case, 0)
    return law, {**names, "d": mp.mpf(1), "data_mean": exactly(law.mean)}


def shaken(true: Any) -> Any:
    """The size of what is the square of a difference of rounded numbers, where it is small."""
    return abs(true) + mp.sqrt(abs(true)) + mp.mpf(2) ** -52


VARIANCES: tuple[StepVariance, ...] = ("fixed_large", "fixed_small", "true")
TERMS = {"step_term": "sampling.gaussian-term", "step_excess": "sampling.gaussian-excess"}


def sigma(case: Case, variance: StepVariance, t: int, values: dict[str, Any]) -> Any:
    if variance == "true":
        return mp.sqrt(value("parameterization.reverse-variance", values))
    return mp.sqrt(mp.mpf(float(getattr(case.schedule, f"variance_{variance}")[t])))


@measured(first=2)
def closed_terms(case: Case) -> Iterator[Number]:
    law, names = one(case)
    for variance in VARIANCES:
        term = exact.step_term(case.schedule, law, variance=variance)
        excess = exact.step_excess(case.schedule, law, variance=variance)
        last = exact.last_term(case.schedule, law, variance=variance)
        given = exact.step_variance(case.schedule, law, variance)
        for t in case.t.tolist():
            values = {**steps(case.schedule, t), **names}
            values["sigma_t"] = sigma(case, variance, t, values)
            for found, (of, claim) in zip((term, excess), TERMS.items(), strict=True):
                true = value(claim, values)
                yield Number(found[t], true, shaken(true), of=f"exact.{of}")
            squared = values["sigma_t"] ** 2
            yield Number(given[t, 0], squared, squared, of="exact.step_variance")
        values = {**steps(case.schedule, 1), **names}
        values["sigma_t"] = sigma(case, variance, 1, values)
        true = value("sampling.gaussian-last-term", values)
        yield Number(number(last), true, abs(true) + 1, of="exact.last_term")


@measured()
def variance_of_the_state(case: Case) -> Iterator[Number]:
    law, names = one(case)
    found = exact.state_variance(case.schedule, law)
    for t in case.t.tolist():
        true = -1 / coefficient("score.gaussian-data", x_t, {**steps(case.schedule, t), **names})
        yield Number(found[t, 0], true, true)


@measured(longest=1000)
def totals(case: Case) -> Iterator[Number]:
    """The whole bound, and its gap, with the larger of the fixed variances."""
    law, names = one(case)
    found = exact.bound(case.schedule, law)
    end = {**steps(case.schedule, case.schedule.T), **names}
    total = size = value("sampling.gaussian-prior-term", end)
    gap = value("sampling.gaussian-gap", end)
    for t in range(1, case.schedule.T + 1):
        values = {**steps(case.schedule, t), **names}
        values["sigma_t"] = sigma(case, "fixed_large", t, values)
        of = "sampling.gaussian-last-term" if t == 1 else "sampling.gaussian-term"
        true = value(of, values)
        total, size = total + true, size + shaken(true)
        gap = gap + value("sampling.gaussian-excess", values)
    prior = value("sampling.gaussian-prior-term", end)
    for term, of in ((exact.prior_term(case.schedule, law), "prior_term"), (found.L_T, "bound")):
        yield Number(number(term), prior, shaken(prior), of=f"exact.{of}")
    yield Number(number(found.total), total, size + 1, of="exact.ExactBound.total")
    yield Number(number(found.gap), gap, shaken(gap), of="exact.ExactBound.gap")


@measured(longest=1000)
def law_of_the_sampler(case: Case) -> Iterator[Number]:
    law, names = one(case)
    law_name = "reverse_law.ReverseLaw"
    found = reverse_law.reverse_law(case.schedule, law, noise_at_1=True)
    mean, variance, largest = 0 * names["data_mean"], mp.mpf(1), abs(names["data_mean"])
    for t in range(case.schedule.T, 0, -1):
        values = {**steps(case.schedule, t), **names, "mu_1": mean, "sigma_1": mp.sqrt(variance)}
        values["sigma_t"] = sigma(case, "fixed_large", t, values)
        mean = value("sampling.reverse-law", values, "mean")
        variance = value("sampling.reverse-law", values, "variance")
        yield Number(found.mean(t - 1), mean, largest, of=f"{law_name}.mean")
        covariance = found.covariance(t - 1).reshape(())
        yield Number(covariance, variance, variance, of=f"{law_name}.covariance")
        both = torch.stack([found.means[t - 1, 0], found.variances[t - 1, 0]])
        pair = np.array([mean.item(), variance])
        yield Number(both, pair, np.array([largest.item(), variance]), of="reverse_law.reverse_law")
    s = names["data_deviation"]
    ends = {
        "d": mp.mpf(1),
        "mu_1": names["data_mean"],
        "mu_2": mean,
        "sigma_1": s,
        "sigma_2": mp.sqrt(variance),
    }
    true = value("parameterization.kl", ends)
    yield Number(number(found.divergence(0)), true, shaken(true), of=f"{law_name}.divergence")
