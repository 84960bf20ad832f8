"""Compute how the bound of the exact denoiser approaches the entropy of Gaussian images as T grows.

`python benchmarks/entropy_gap.py` writes `benchmarks/entropy_gap.json`; `docs/pictures/draw.py` draws it.
Nothing is drawn at random and nothing is trained: every number is a closed form of `ddpm_ref.exact`.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from record import keep

from ddpm_ref import exact
from ddpm_ref.arguments import Parser, new_file
from ddpm_ref.laws import GaussianLaw, gaussian_images
from ddpm_ref.reverse_law import reverse_law
from ddpm_ref.schedule import Schedule, linear

STEPS = (25, 50, 100, 200, 400, 800, 1600, 3200)
BITS = math.log(2)


def even(T: int) -> Schedule:
    """The paper's betas, scaled so that ᾱ_T hardly depends on T: the first two are nearly equal."""
    return linear(T, 0.1 / T, 20 / T)


def small_start(T: int) -> Schedule:
    """The same, but with a first beta that vanishes beside the second, as β̃_2 for β̃_1 presumes."""
    return linear(T, 10 / T**4, 20 / T)


def bits(nats: float, law: GaussianLaw) -> float:
    """Turn nats per image into bits per dimension."""
    return nats / (BITS * law.mean.numel())


def limit_of_rate(law: GaussianLaw) -> float:
    """Return `lim T · gap` for `small_start` and σ_t² = β_t, in bits per dimension.

    To leading order a step's excess is ¼ (V_t/β_t − 1)², and V_t/β_t − 1 tends to −β ᾱ (1 − s²)/v, so the
    limit is ¼ Σ ∫ (β(u) ᾱ(u) (1 − s²)/v(u))² du over the axes, with β(u) = 20u and ᾱ(u) = exp(−10u²).
    """
    u = torch.linspace(0, 1, 200_001, dtype=torch.float64).unsqueeze(1)
    alpha_bar = (-10 * u.square()).exp()
    v = alpha_bar * law.variances - (-10 * u.square()).expm1()
    integrand = (20 * u * alpha_bar * (1 - law.variances) / v).square().sum(1) / 4
    return bits(float(torch.trapezoid(integrand, u.squeeze(1))), law)


def measure(law: GaussianLaw) -> dict[str, Any]:
    """Compute the gaps of both schedules and of each variance, for every T."""
    curves: dict[str, Any] = {}
    for schedule in (even, small_start):
        for variance in ("fixed_large", "fixed_small", "true"):
            rows = []
            for T in STEPS:
                found = exact.bound(schedule(T), law, variance=variance)
                model = reverse_law(schedule(T), law, variance=variance, noise_at_1=True)
                rows.append(
                    {
                        "T": T,
                        "bound": bits(found.total, law),
                        "gap": bits(found.gap, law),
                        "prior": bits(found.prior_excess, law),
                        "first_step": bits(float(found.excess[1]), law),
                        "likelihood_gap": bits(model.divergence(0), law),
                    }
                )
            curves[f"{schedule.__name__}/{variance}"] = rows
    falling = curves["small_start/fixed_large"][-4:]
    return {
        "unit": "bits per dimension",
        "entropy": bits(law.entropy(), law),
        "curves": curves,
        "small_start/fixed_large": {
            "slope": slope([row["T"] for row in falling], [row["gap"] for row in falling]),
            "T_times_gap": falling[-1]["T"] * falling[-1]["gap"],
            "its_limit": limit_of_rate(law),
        },
    }


def slope(x: list[int], y: list[float]) -> float:
    """Fit log y = slope · log x + const by least squares."""
    log_x, log_y = (torch.tensor(values, dtype=torch.float64).log() for values in (x, y))
    centred = log_x - log_x.mean()
    return float((centred * log_y).sum() / centred.square().sum())


def main() -> int:
    """Compute and write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=new_file, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_or_exit()
    results = measure(gaussian_images())
    keep(given.out, results)
    print(json.dumps(results["small_start/fixed_large"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
