"""metrics, gap: estimates from features and laws, on few rows that are exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ddpm_ref import metrics
from ddpm_ref.gap import Gap
from tests.bindings import metrics as drawn
from tests.numerics.calls.schedules import value
from tests.numerics.measure import Number, measured, number
from tests.oracle import Case, mp

ROWS = 6


def features(case: Case, name: str) -> Any:
    """Features of one column, in the dtype of the case; NumPy has no bfloat16."""
    generator = torch.Generator().manual_seed(case.seed + len(name))
    rows = torch.randn(ROWS, 1, generator=generator, dtype=torch.float64)
    of = getattr(case, name).reshape(-1)[:1].double()  # on the scale of the case's numbers
    dtype = torch.float32 if case.dtype == torch.bfloat16 else case.dtype
    return ((rows + 1) * of).to(dtype).numpy()


def moments(rows: Any) -> tuple[Any, Any]:
    each = np.array([mp.mpf(float(row)) for row in rows.reshape(-1)], dtype=object)
    mean = each.sum() / len(each)
    return mean, ((each - mean) ** 2).sum() / (len(each) - 1)


@measured()
def fitted(case: Case) -> Iterator[Number]:
    first, second = features(case, "x_0"), features(case, "eps")
    (m, v), (n, w) = moments(first), moments(second)
    found = metrics.fit(first)
    yield Number(
        torch.from_numpy(found.mean), np.array([m]), np.abs(first.astype(float)).max(), of="metrics.fit"
    )
    size = np.abs(first.astype(float)).max()
    root = torch.from_numpy(np.abs(found.root))
    yield Number(root, np.array([[mp.sqrt(v)]]), size, of="metrics.fit")
    values = {
        "d": mp.mpf(1), "sigma_1": mp.sqrt(v), "sigma_2": mp.sqrt(w),
        "mu_1": np.array([m]), "mu_2": np.array([n]),
    }  # fmt: skip
    largest = max(np.abs(x.astype(float)).max() for x in (first, second))
    true, size = value("metrics.frechet-isotropic", values), mp.mpf(largest) ** 2
    distance = number(metrics.frechet_distance(first, second))
    yield Number(distance, true, size, of="metrics.frechet_distance")


@measured()
def taken_by_moments(case: Case) -> Iterator[Number]:
    for i in range(len(case.t)):
        root = drawn.roots(case, i, diagonal=False)[0]
        covariance = root @ root
        covariance = (covariance + covariance.T) / 2
        found = metrics.fit_moments(np.zeros(2), covariance).root
        squared = np.vectorize(mp.mpf, otypes=[object])(found)
        true = np.vectorize(mp.mpf, otypes=[object])(covariance)
        yield Number(torch.from_numpy(covariance), squared.T @ squared, np.abs(true).max())


@measured()
def score_of_classes(case: Case) -> Iterator[Number]:
    for i in range(len(case.t)):
        p = drawn.laws(case, i)
        share = mp.mpf(2) / drawn.FEW
        total = mp.mpf(0)
        for k in range(p.shape[1]):
            values = {
                "share": share, "share_rest": 1 - share,
                "p_i": mp.mpf(float(p[0, k])), "q_i": mp.mpf(float(p[-1, k])),
            }  # fmt: skip
            total += value("metrics.inception-score", values)
        yield Number(number(metrics.inception_score(p)), mp.exp(total), mp.exp(total))


@measured()
def shares(case: Case) -> Iterator[Number]:
    rng = np.random.default_rng(case.seed)
    labels = rng.integers(0, 3, 21)
    found = metrics.class_frequencies(labels, 3)
    counts = np.array([mp.mpf(int((labels == k).sum())) / 21 for k in range(3)], dtype=object)
    yield Number(torch.from_numpy(found), counts, counts, of="metrics.class_frequencies")
    other = rng.dirichlet([1, 1, 1])
    moved = sum(abs(mp.mpf(float(a)) - mp.mpf(float(b))) for a, b in zip(found, other, strict=True)) / 2
    yield Number(number(metrics.total_variation(found, other)), moved, 1, of="metrics.total_variation")


@measured()
def loss(case: Case) -> Iterator[Number]:
    gap = Gap(1, 0.1 * (1 + case.seed), 0.7, 0.0)
    true = mp.mpf(gap.least) + mp.mpf(gap.excess)
    yield Number(number(gap.loss), true, true)
