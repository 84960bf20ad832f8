"""Langevin dynamics: a walk that climbs the score and is shaken, at one noise level or down all of them.

A step of length γ is `x + (γ/2) s(x) + √γ z`. For a Gaussian target of variance σ² everything is known: the
walk settles if γ < 4σ², at the variance `σ²/(1 − γ/4σ²)`, which is too wide by about a quarter of γ.

Source: Song, Ermon 2019; Song et al. 2021, section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_ref.finite import check_finite
from ddpm_ref.gaussian import check_same_shape
from ddpm_ref.noise import Noise, noise_source
from ddpm_ref.sampler import State
from ddpm_ref.schedule import Schedule, working_dtype
from ddpm_ref.score import Score, x0_from_score
from ddpm_ref.subsequence import Subsequence

__all__ = ["LangevinCorrector", "annealed_langevin", "langevin", "langevin_step"]

LARGEST_RATIO = 4  # there the walk ceases to contract for data of one image: score.langevin-contracts


def langevin_step(x: Tensor, score: Tensor, step_size: float | Tensor, noise: Tensor) -> Tensor:
    """Take one Langevin step: `x + (γ/2) score + √γ noise`.

    Claim: [score.langevin-step][]. Source: Song, Ermon 2019, equation 4.

    Args:
        x: where the walk is, shape (B, ...).
        score: of the target at `x`, same shape.
        step_size: γ, positive; a tensor broadcasts to the shape of `x`.
        noise: standard normal, shaped like `x`.

    Returns:
        Shaped like `x`, in its dtype; half precision is computed in float32.

    Raises:
        ValueError: if shapes do not match, or `step_size` is not positive and finite; a tensor is looked at
            on the CPU only.
    """
    check_same_shape("score", score, x)
    check_same_shape("noise", noise, x)
    exact = x.to(working_dtype(x.dtype))
    if not isinstance(step_size, Tensor):
        _check_positive("step_size", step_size)
    elif step_size.device.type == "cpu" and not bool(((step_size > 0) & step_size.isfinite()).all()):
        raise ValueError(f"step_size must be positive and finite; got {step_size.min():.6g}")
    gamma = torch.as_tensor(step_size, dtype=exact.dtype, device=exact.device)
    # A number times a tensor is rounded to the tensor's dtype, so these must be wide too.
    score, noise = score.to(exact.dtype), noise.to(exact.dtype)
    return (exact + gamma / 2 * score + gamma.sqrt() * noise).to(x.dtype)


def langevin(
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    step_size: float,
    n: int,
    noise: Noise | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Walk n Langevin steps towards one density, without a Metropolis correction, and yield n+1 states.

    For a Gaussian target the law of every state is known, and the one that is approached; it is not the
    target.

    Claims: [score.langevin-law][], [score.langevin-bias][].

    Args:
        score: `x -> ∇ log p(x)`, shaped like x.
        x: where to begin, shape (B, ...).
        step_size: γ, positive; below four times the smallest variance of the target, else the walk explodes.
        n: how many steps, at least 0.
        noise: `z_k = noise(k)` for step k = 1 … n, shaped like `x`; drawn from `generator` if not given.
        generator: where the noise comes from; PyTorch's default if not given.

    Raises:
        ValueError: at once, if x is not finite, `step_size` is not positive and finite, n is negative, or
            both `noise` and `generator` are given; during the walk, if `score` or `noise` returns a wrong
            shape.
        FloatingPointError: at the step after which the walk is no longer finite.
    """
    check_finite("x", x)
    _check_positive("step_size", step_size)
    _check_count("n", n, least=0)
    drawn = noise_source(noise, generator, x)

    def walk(x: Tensor) -> Iterator[Tensor]:
        yield x
        for k in range(1, n + 1):
            with torch.no_grad():
                x = langevin_step(x, score(x), step_size, drawn(k))
            if not bool(x.isfinite().all()):
                raise FloatingPointError(
                    f"the walk must stay finite; got nan or infinity after step {k} of {n}: "
                    f"the score is not finite, or step_size = {step_size} is too long"
                )
            yield x

    return walk(x)


@dataclass(frozen=True)
class LangevinCorrector:
    """Langevin steps within one noise level: to use between a sampler's steps, or by themselves.

    Each of the n steps has the length `γ_t = ratio (1 − ᾱ_t)`: `x_t + (γ_t/2) s(x_t) + √γ_t z`. That is the
    rule of Song and Ermon, a length in proportion to the level's variance, on the scale of `x_t`.

    Claim: [score.annealed-step][]. Source: Song, Ermon 2019, algorithm 1; Song et al. 2021, algorithm 5,
    whose r = 0.16 comes to a ratio of `4 r² ≈ 0.1` where the score is as long as that of pure noise.

    Attributes:
        ratio: in (0, 4). The noise that is left is too wide by up to about ratio/4 of its variance.
        n: how many steps, at least 1.
        noise: `z = noise(t, k)` for step k = 1 … n at level t; drawn from `generator` if not given.
        generator: where the noise comes from; PyTorch's default if not given.

    Raises:
        ValueError: if `ratio` or n is out of range, or both `noise` and `generator` are given.
    """

    ratio: float = 0.1
    n: int = 1
    noise: Callable[[int, int], Tensor] | None = None
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if not 0 < self.ratio < LARGEST_RATIO:
            raise ValueError(
                f"ratio must be in (0, {LARGEST_RATIO}), beyond which the walk explodes; got {self.ratio}"
            )
        _check_count("n", self.n, least=1)
        if self.noise is not None and self.generator is not None:
            raise ValueError("noise and generator must not both be given")

    def __call__(self, score: Score, schedule: Schedule, x_t: Tensor, t: int) -> Tensor:
        """Return `x_t` after n steps at level t, in 1..T."""
        return self.walk(score, schedule, x_t, t)[0]

    def walk(self, score: Score, schedule: Schedule, x_t: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Return `x_t` after n steps, and the clean image that the last of them aimed at."""
        schedule.check_t(t, x_t)
        length = self.ratio * schedule.at("one_minus_alpha_bar", t, x_t)
        for k in range(1, self.n + 1):
            before, slope = x_t, score(x_t, t)
            noise = self.noise
            z = noise_source(noise and (lambda k: noise(t, k)), self.generator, x_t)(k)  # noqa: B023
            x_t = langevin_step(x_t, slope, length, z)
        return x_t, x0_from_score(schedule, before, t, slope)


def annealed_langevin(
    score: Score,
    schedule: Schedule,
    x_T: Tensor,
    *,
    steps: Sequence[int] | None = None,
    corrector: LangevinCorrector | None = None,
) -> Iterator[State]:
    """Sample by Langevin dynamics alone, from the largest noise level down.

    At each level t the corrector's steps are taken. Then `x_s = √(ᾱ_s/ᾱ_t) x_t` goes over to the next level
    s: the image stays what it is, and so, for the moment, does the noise.

    Yields N+1 states: one for each t in `steps`, from the last to the first, after its Langevin steps; then
    t = 0, the last of them on the image's scale. Its x is as noisy as the first of the steps; its `x0_hat` is
    Tweedie's image.

    Claims: [score.annealed-step][], [score.noise-level][]. Source: Song, Ermon 2019, algorithm 1.

    Args:
        score: `(x_t, t) -> ∇ log q(x_t)`; [score_of][ddpm_ref.score.score_of] makes one of a model.
        schedule: the noise schedule, whose levels are walked through.
        x_T: where to begin, standard normal, shape (B, ...).
        steps: the levels, strictly increasing; all if not given.
        corrector: the length and the number of the steps, and their noise; `LangevinCorrector(n=10)` if not
            given.

    Raises:
        ValueError: at once, if `x_T` is not finite, or `steps` not increasing or out of range; during the
            walk, if `score` or the noise has a wrong shape.
        TypeError: at once, if `x_T` is not floating point, or `steps` not a sequence of integers.
        FloatingPointError: at the level after which the walk is no longer finite.
    """
    schedule.check_t(schedule.T, x_T)
    check_finite("x_T", x_T)
    within = corrector or LangevinCorrector(n=10)
    levels = Subsequence(schedule, range(1, schedule.T + 1) if steps is None else steps)

    def walk(x: Tensor) -> Iterator[State]:
        for i in range(levels.T, 0, -1):
            t = levels.at_step(i)
            with torch.no_grad():
                x, x0_hat = within.walk(score, schedule, x, t)
                if not bool(x.isfinite().all()):
                    raise FloatingPointError(f"the walk must stay finite; got nan or infinity at t = {t}")
            yield State(t, x, x0_hat)
            x = (x / levels.at("sqrt_alpha", i, x)).to(x.dtype)
        yield State(0, x, x0_hat)

    return walk(x_T)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite; got {value}")


def _check_count(name: str, value: int, *, least: int) -> None:
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be an integer, at least {least}; got {value!r}")
