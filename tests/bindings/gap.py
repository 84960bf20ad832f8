"""gap: the loss, split into what no model can avoid and the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_ref import gap
from ddpm_ref.denoisers import Denoiser
from tests.oracle import Case, Values, holds, mp


class Known(Denoiser):
    """Answers what the case has drawn."""

    def __init__(self, case: Case) -> None:
        self._eps_star = case.eps_star

    def __call__(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        return self._eps_star.to(x_t.dtype)

    def least_loss(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        return torch.full((len(x_t),), 0.25, dtype=x_t.dtype)

    _eps = _x0_hat = _log_density = _spread = None  # type: ignore[assignment]


def spread(case: Case, i: int) -> Values:
    """The unavoidable loss, summed over the coordinates."""
    return {"eps_spread": mp.mpf(case.eps_star[i].numel()) / 4}


@holds("parameterization.projection", ulps=8, extra=spread)
def least_and_excess(case: Case) -> Tensor:
    least, excess = gap.split_loss(
        lambda x_t, t: case.eps_theta, Known(case), case.schedule, case.x_t, case.t
    )
    return (least + excess) * case.x_t[0].numel()
