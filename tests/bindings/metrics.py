"""metrics: the Fréchet distance between given Gaussians, its bias, and the inception score.

Roots of covariances are drawn as numbers; what else a claim speaks of (traces, determinants) comes from its
own hypotheses. The laws are kept apart: where they nearly agree, the inputs' rounding exceeds the value.
"""

from __future__ import annotations

import numpy as np
import torch
from sympy import Symbol
from torch import Tensor

from ddpm_ref import metrics
from ddpm_ref.metrics import Array, Fit
from tests.oracle import CLAIMS, Case, Values, evaluate, holds, mp

FEW = 7  # images on each side, where a claim counts them


def deviations(case: Case, i: int) -> Values:
    """One deviation below one, from the schedule; the other two."""
    return {
        "sigma_1": mp.mpf(float(case.schedule.beta[case.t[i]])),
        "sigma_2": mp.mpf(2),
        "samples": mp.mpf(FEW),
    }


def isotropic(case: Case, i: int) -> tuple[Fit, Fit]:
    """Two isotropic Gaussians with these deviations."""
    values = deviations(case, i)
    pairs = ((case.mu_1, "sigma_1"), (case.mu_2, "sigma_2"))
    means = [mu[i].double().numpy().reshape(-1) for mu, _ in pairs]
    roots = [float(values[name]) * np.eye(means[0].size) for _, name in pairs]
    first, second = (Fit(mean, root, FEW) for mean, root in zip(means, roots, strict=True))
    return first, second


def for_each(case: Case, numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64).reshape(len(case.t), *[1 for _ in case.shape])


@holds("metrics.frechet-isotropic", ulps=16, extra=deviations)
def frechet_isotropic(case: Case) -> Tensor:
    return for_each(case, [metrics.frechet(*isotropic(case, i)) for i in range(len(case.t))])


@holds("metrics.fid-bias", ulps=8, extra=deviations)
def distance_of_estimated_means(case: Case) -> Tensor:
    pairs = [isotropic(case, i) for i in range(len(case.t))]
    truth = [float(np.square(a.mean - b.mean).sum()) for a, b in pairs]
    return for_each(case, [of + metrics.mean_bias(*pair) for of, pair in zip(truth, pairs, strict=True)])


# -- two features, any covariances ---------------------------------------------------------------------------


def roots(case: Case, i: int, diagonal: bool) -> tuple[Array, Array]:
    """Two positive definite matrices, the roots of two covariances; the second is the larger."""
    rng = np.random.default_rng((case.seed, i))
    (r_11, r_22, s_11, s_22), (r_12, s_12) = rng.uniform(0.5, 1, 4), rng.uniform(-0.5, 0.5, 2)
    off = 0.0 if diagonal else r_12
    return np.array([[r_11, off], [off, r_22]]), np.array([[s_11 + 1, s_12], [s_12, s_22 + 1]])


def from_hypotheses(claim: str, diagonal: bool, case: Case, i: int) -> Values:
    """The roots' entries, and the symbols that the claim's hypotheses define by them."""
    first, second = roots(case, i, diagonal)
    entries = {
        f"{name}_{j}{k}": mp.mpf(float(root[int(j) - 1, int(k) - 1]))
        for name, root in (("r", first), ("s", second))
        for j, k in ("11", "12", "22")
    }
    defined = [(equation.lhs, equation.rhs) for equation in CLAIMS[claim].given]
    assert all(isinstance(symbol, Symbol) for symbol, _ in defined)
    return {**entries, **{symbol.name: evaluate(value, entries) for symbol, value in defined}}


def centred(root: Array) -> Fit:
    return Fit(np.zeros(2), root, FEW)


@holds(
    "metrics.frechet-2x2",
    ulps=48,
    extra=lambda case, i: from_hypotheses("metrics.frechet-2x2", True, case, i),
)
def frechet_of_two_features(case: Case) -> Tensor:
    pairs = [roots(case, i, diagonal=True) for i in range(len(case.t))]
    return for_each(case, [metrics.frechet(centred(r), centred(s)) for r, s in pairs])


@holds(
    "metrics.frechet-2x2",
    ulps=48,
    extra=lambda case, i: from_hypotheses("metrics.frechet-2x2", True, case, i),
)
def frechet_of_two_features_from_their_covariances(case: Case) -> Tensor:
    pairs = [roots(case, i, diagonal=True) for i in range(len(case.t))]
    fits = [[metrics.fit_moments(np.zeros(2), root @ root) for root in pair] for pair in pairs]
    return for_each(case, [metrics.frechet(a, b) for a, b in fits])


@holds(
    "metrics.cross-term",
    ulps=16,
    extra=lambda case, i: from_hypotheses("metrics.cross-term", False, case, i),
)
def cross_term_squared(case: Case) -> Tensor:
    pairs = [roots(case, i, diagonal=False) for i in range(len(case.t))]
    return for_each(case, [metrics.cross_term(centred(r), centred(s)) ** 2 for r, s in pairs])


@holds(
    "metrics.trace-of-root",
    ulps=16,
    extra=lambda case, i: from_hypotheses("metrics.trace-of-root", False, case, i),
)
def trace_of_root_squared(case: Case) -> Tensor:
    firsts = [roots(case, i, diagonal=False)[0] for i in range(len(case.t))]
    return for_each(case, [np.trace(metrics.sqrt_psd(root @ root)) ** 2 for root in firsts])


@holds(
    "metrics.trace-of-root",
    ulps=16,
    extra=lambda case, i: from_hypotheses("metrics.trace-of-root", False, case, i),
)
def trace_of_root_as_a_cross_term(case: Case) -> Tensor:
    firsts = [roots(case, i, diagonal=False)[0] for i in range(len(case.t))]
    return for_each(case, [metrics.cross_term(centred(r), centred(np.eye(2))) ** 2 for r in firsts])


# -- the inception score -------------------------------------------------------------------------------------


def laws(case: Case, i: int) -> Array:
    """What a classifier of three classes says of FEW images: two look like class 0, the rest not."""
    rng = np.random.default_rng((case.seed, i))
    first, second = (
        [p, (1 - p) / 4, (1 - p) * 3 / 4] for p in (rng.uniform(0.6, 0.99), rng.uniform(0.01, 0.3))
    )
    return np.array([first] * 2 + [second] * (FEW - 2))


def two_kinds_of_images(case: Case, i: int) -> Values:
    """The share of the first two images, and what both laws give to the first class."""
    p = laws(case, i)
    share = mp.mpf(2) / FEW
    return {
        "share": share,
        "share_rest": 1 - share,
        "p_i": mp.mpf(float(p[0, 0])),
        "q_i": mp.mpf(float(p[-1, 0])),
    }


@holds("metrics.inception-score", ulps=64, extra=two_kinds_of_images)
def class_information(case: Case) -> Tensor:
    return for_each(case, [metrics.class_information(laws(case, i))[0] for i in range(len(case.t))])
