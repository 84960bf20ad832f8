"""Densities and divergences: variances that broadcast, half precision, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ddpm_ref.gaussian import Gaussian, kl, log_density
from tests.oracle import CLAIMS, evaluate, exact, mp

BOTH = pytest.mark.parametrize(
    "measure",
    [lambda p, q: log_density(p, q.mean), kl, lambda p, q: kl(q, p)],
    ids=["log_density", "kl", "kl from the other side"],
)
Measure = Callable[[Gaussian, Gaussian], Tensor]


def drawn(seed: int, dtype: torch.dtype = torch.float64) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, root = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    return Gaussian(mean.to(dtype), (0.1 + root.square()).to(dtype))


@BOTH
@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 1), (1, 4, 5), (3, 1, 1)])
def test_a_variance_that_broadcasts_is_every_coordinates(measure: Measure, shape: tuple[int, ...]) -> None:
    p, q = drawn(0), drawn(1)
    variance = p.variance.flatten()[: torch.Size(shape).numel()].reshape(shape)
    found = measure(Gaussian(p.mean, variance), q)
    truth = measure(Gaussian(p.mean, variance.expand_as(p.mean).clone()), q)
    assert found.shape == (3,)
    torch.testing.assert_close(found, truth, rtol=1e-14, atol=1e-14)


@BOTH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(measure: Measure, dtype: torch.dtype) -> None:
    p, q = drawn(0, dtype), drawn(1, dtype)
    found = measure(p, q)
    truth = measure(Gaussian(*(x.float() for x in p)), Gaussian(*(x.float() for x in q)))
    assert found.dtype == torch.float32
    assert found.equal(truth)


@BOTH
def test_what_does_not_fit_is_refused(measure: Measure) -> None:
    p, q = drawn(0), drawn(1)
    for variance in (p.variance[None], p.variance[..., :2], p.variance[:2]):
        with pytest.raises(ValueError, match="variance must broadcast to the mean's shape"):
            measure(Gaussian(p.mean, variance), q)
    with pytest.raises(ValueError, match="must have shape"):
        measure(p, Gaussian(q.mean[:2], q.variance[:2]))


@pytest.mark.parametrize(("of_p", "of_q"), [(1e-200, 1e90), (1e-200, 1e150), (1e-30, 1e290), (1e-300, 1e300)])
def test_a_divergence_outlives_the_quotient_of_its_variances(of_p: float, of_q: float) -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    found = kl(Gaussian(zero, zero + of_p), Gaussian(zero, zero + of_q))
    values = {"sigma_1": mp.sqrt(mp.mpf(of_p)), "sigma_2": mp.sqrt(mp.mpf(of_q)), "d": mp.mpf(1)}
    values |= {name: exact(zero[0]) for name in ("mu_1", "mu_2")}
    truth = evaluate(CLAIMS["parameterization.kl"].value, values)
    assert abs(exact(found)[0] - truth) <= 1e-14 * truth
