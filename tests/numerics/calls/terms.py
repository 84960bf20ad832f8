"""objective, bound, coding, score: losses, the bound and its terms, and what is read off it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ddpm_ref import bound, coding, objective, process, score
from ddpm_ref.schedule import working_dtype
from ddpm_ref.subset import Subset
from derivations.proof.symbols import x_0 as x_0_symbol
from tests.numerics.calls.schedules import coefficient, large, small, value
from tests.numerics.calls.single import of_claim
from tests.numerics.measure import Number, exact, measured, number, predicted_image
from tests.oracle import CLAIMS, Case, magnitude, mp, steps

# -- the terms of the bound ----------------------------------------------------------------------------------


def predicts(answer: Tensor) -> objective.Model:
    return lambda x_t, t: answer


def term(case: Case, i: int, t: int) -> tuple[Any, Any]:
    """`L_{t−1}` of a model that predicts the image `x_0_other`, with the larger of the fixed variances."""
    values = {**case.values(i), **steps(case.schedule, t)}
    values["x_t"] = value("forward.sample", values)  # cancels
    other = {**values, "x_0": values["x_0_other"]}
    sigma = mp.sqrt(large(values))
    if t == 1:
        density = {"x": values["x_0"], "mu": values["x_0_other"], "sigma": sigma, "d": values["d"]}
        return -value("gaussians.density", density), magnitude(CLAIMS["gaussians.density"].value, density)
    pair = {
        **values, "sigma_t": sigma, "beta_tilde_t": small(values),
        "mu_tilde": value("posterior.mean", values), "mu_theta": value("posterior.mean", other),
    }  # fmt: skip
    true = value("parameterization.L-t-1", pair)
    eps = mp.mpf(torch.finfo(working_dtype(case.dtype)).eps)
    # The variances are rounded, and where they nearly agree the term is the square of a small difference.
    return true, abs(true) + mp.sqrt(abs(true) * values["d"]) + eps * values["d"]


@measured(first=2)
def terms(case: Case) -> Iterator[Number]:
    x_0, other = case.x_0, case.x_0_other
    found = objective.L_t_minus_1(
        predicts(other), case.schedule, x_0, case.t, case.eps, prediction="x0", clip=False
    )
    x_t = process.q_sample(case.schedule, x_0, case.t, case.eps)
    step = process.p_mean_variance(case.schedule, other, x_t, case.t, prediction="x0", clip=False)
    again = objective.divergence(case.schedule, step, x_0, case.t)
    for i, t in enumerate(case.t.tolist()):
        for each, of in ((found[i], "L_t_minus_1"), (again[i], "divergence")):
            yield Number(each, *term(case, i, t), of=f"objective.{of}")


@measured(first=2)
def terms_with_the_posteriors_variance(case: Case) -> Iterator[Number]:
    """Only the means differ, so nothing else hides how exact their difference is."""
    x_0, other = case.x_0, case.x_0_other
    found = objective.L_t_minus_1(
        predicts(other), case.schedule, x_0, case.t, case.eps,
        prediction="x0", variance="fixed_small", clip=False,
    )  # fmt: skip
    for i in range(len(case.t)):
        values = case.values(i)
        values |= {"x_t": value("forward.sample", values), "beta_tilde_t": small(values)}
        pair = {
            **values, "sigma_t": mp.sqrt(values["beta_tilde_t"]), "mu_tilde": value("posterior.mean", values),
            "mu_theta": value("posterior.mean", {**values, "x_0": values["x_0_other"]}),
        }  # fmt: skip
        true = value("parameterization.L-t-1", pair)
        yield Number(found[i], true, abs(true) + mp.mpf(10) ** -60)


@measured()
def terms_in_bits(case: Case) -> Iterator[Number]:
    x_0, other = case.x_0, case.x_0_other
    found = objective.L_vlb(
        predicts(other), case.schedule, x_0, case.t, case.eps, prediction="x0", levels=None
    )
    for i, t in enumerate(case.t.tolist()):
        nats, size = term(case, i, t)
        bits = [
            case.schedule.T * value("decoder.bits-per-dim", {**case.values(i), "nats": each})
            for each in (nats, size)
        ]
        yield Number(found[i], *bits)


def square_error(case: Case, i: int, first: str, second: str) -> tuple[Any, Any]:
    """The mean square of a difference; its size is that of the parts."""
    values = case.values(i)
    true = value("parameterization.L-simple", {**values, "eps": values[first], "eps_theta": values[second]})
    return true, true


@measured(longest=1000)
def the_bound(case: Case) -> Iterator[Number]:
    x_0, other, eps = case.x_0, case.x_0_other, case.eps
    T = case.schedule.T
    found = list(
        bound.bound_terms(
            predicts(other), case.schedule, x_0, noise=lambda t: eps, prediction="x0", clip=False, levels=None
        )
    )
    whole = bound.bound(
        predicts(other), case.schedule, x_0, noise=lambda t: eps, prediction="x0", clip=False, levels=None
    )
    collected = bound.collect(found, case.schedule, x_0, levels=None)
    for i in range(1 if T > 10 else len(x_0)):
        prior = {**case.values(i), **steps(case.schedule, T)}
        first = value("bound.prior-term", prior)
        total, size = first, magnitude(CLAIMS["bound.prior-term"].value, prior)
        for each in found:
            true, terms = term(case, i, each.t)
            total, size = total + true, size + terms
            yield Number(each.nats[i], true, terms, of="bound.bound_terms")
            squares = square_error(case, i, "x_0", "x_0_other")
            yield Number(each.x0_error[i], *squares, of="bound.bound_terms")
        dtype = working_dtype(case.dtype)
        # float64, of terms in the working dtype
        for nats, of in ((whole.nats, "bound"), (collected.nats, "collect")):
            yield Number(nats[i].to(dtype), total, size, of=f"bound.{of}")


@measured(longest=10)
def errors_of_the_noise(case: Case) -> Iterator[Number]:
    for each in bound.bound_terms(
        predicts(case.eps_theta), case.schedule, case.x_0, noise=lambda t: case.eps, levels=None
    ):
        for i in range(len(case.t)):
            yield Number(each.eps_error[i], *square_error(case, i, "eps", "eps_theta"))


def tally(case: Case) -> bound.Bound:
    """The bound of three images, over four steps: numbers, whatever they mean."""
    generator = torch.Generator().manual_seed(case.seed)
    nats, L_T, L_0 = torch.randn(3, 3, generator=generator, dtype=torch.float64).exp()
    means = torch.randn(4, 3, generator=generator, dtype=torch.float64).exp()
    return bound.Bound(Subset.whole(4), 12, 256, L_T, L_0, nats, means, means.clone())


def in_bits(nats: Any, d: int) -> Any:
    return value("decoder.bits-per-dim", {"nats": nats, "d": mp.mpf(d)})


@measured()
def rates(case: Case) -> Iterator[Number]:
    found = tally(case)
    each, d = exact(found.nats), found.d
    mean = each.sum() / len(each)
    bits, one = in_bits(mean, d), in_bits(mp.mpf(0.7), d)
    yield Number(number(found.bits_per_dim), bits, bits, of="bound.Bound.bits_per_dim")
    yield Number(number(found.in_bits(0.7)), one, one, of="bound.Bound.in_bits")
    error = in_bits(mp.sqrt(((each - mean) ** 2).sum() / (len(each) - 1) / len(each)), d)
    yield Number(number(found.examples_error or 0.0), error, error, of="bound.Bound.examples_error")
    rows = coding.rate_distortion(found)
    terms, squares = exact(found.means[:, 0]), exact(found.means[:, 1])
    for row in rows:
        t = 4 - row.reverse_steps + 1
        rate = in_bits(exact(found.L_T).sum() / 3 + terms[t:].sum(), d)
        yield Number(number(row.rate), rate, rate, of="coding.rate_distortion")
        rmse = mp.sqrt(squares[t - 1]) * 255 / 2
        yield Number(number(row.rmse), rmse, rmse, of="coding.rate_distortion")


@measured()
def reconstruction(case: Case) -> Iterator[Number]:
    found = coding.reconstruct(
        predicts(case.eps_theta), case.schedule, case.x_0, case.t, case.eps, clip=False
    )
    x_t = process.q_sample(case.schedule, case.x_0, case.t, case.eps)  # what the network is shown
    for i in range(len(case.t)):
        values = {**case.values(i), "x_t": exact(x_t[i]), "eps": exact(case.eps_theta[i])}
        yield of_claim(found[i], "parameterization.x0-from-eps", values)


@measured(first=2)
def the_hybrid(case: Case) -> Iterator[Number]:
    """A model that says 0 for the variance: σ_t² is the geometric mean of the fixed ones."""
    x_0, eps, guess = (x.reshape(len(x), 1, -1) for x in (case.x_0, case.eps, case.eps_theta))
    answer = torch.cat([guess, torch.zeros_like(guess)], 1)
    found = objective.L_hybrid(
        predicts(answer), case.schedule, x_0, case.t, eps, levels=None, vlb_weight=0.25
    )
    x_t = process.q_sample(case.schedule, case.x_0, case.t, case.eps)  # what the network is shown
    for i in range(len(case.t)):
        values = {**case.values(i), "variance_output": mp.mpf(0)}
        values |= {"beta_tilde_t": small(values), "x_t": exact(x_t[i])}
        squared = mp.exp(value("parameterization.learned-variance", values))
        pair = {
            **values, "sigma_t": mp.sqrt(squared), "mu_tilde": value("posterior.mean", values),
            "mu_theta": value("parameterization.mean-from-eps", {**values, "eps": values["eps_theta"]}),
        }  # fmt: skip
        nats = value("parameterization.L-t-1", pair)
        T, image = case.schedule.T, predicted_image(values)
        bits = T * value("decoder.bits-per-dim", {**values, "nats": nats})
        true = value("parameterization.L-hybrid", {**values, "vlb": bits, "vlb_weight": mp.mpf(0.25)})
        # The image that x_t and the noise mean is rounded on its own scale before it is compared.
        root = mp.sqrt(values["alpha_bar_t"])
        size = ((np.abs(values["x_t"]) + np.abs(values["eps_theta"])) / root + np.abs(values["x_0"])) ** 2
        of_x0 = coefficient("posterior.mean", x_0_symbol, values)
        size = (size * of_x0**2 / squared).sum() + values["d"] * (1 + abs(mp.log(squared)))
        size = T * value("decoder.bits-per-dim", {**values, "nats": size})
        simple = value("parameterization.L-simple", values)
        yield Number(found[i], true, simple + size, image)


# -- denoising score matching --------------------------------------------------------------------------------


@measured(first=2)
def score_matching(case: Case) -> Iterator[Number]:
    """Rounding is relative to the squares of the score and of the noise, which may cancel."""
    found = {
        weighting: score.denoising_score_matching(
            predicts(case.s_theta), case.schedule, case.x_0, case.t, case.eps, weighting=weighting
        )
        for weighting in get_args(score.Weighting)
    }
    for i in range(len(case.t)):
        values = case.values(i)
        values["score_1"] = value("score.kernel", values)
        simple = value("score.eps-prediction", values)
        sigma2 = value("forward.marginal", values, "variance")
        size = ((mp.sqrt(sigma2) * np.abs(values["s_theta"]) + np.abs(values["eps"])) ** 2).sum()
        weighted = {
            "simple": mp.mpf(1),
            "objective": 1 / (2 * sigma2),
            "bound": value("score.bound-weight", {**values, "sigma_t": mp.sqrt(large(values))}) / sigma2,
        }
        for weighting, factor in weighted.items():
            yield Number(found[weighting][i], factor * simple, factor * size, size)
