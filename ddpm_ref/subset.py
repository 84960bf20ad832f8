"""Steps that stand for all of 1..T: a stratified sample, for a bound at a fraction of its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

__all__ = ["Subset", "stratified"]


@dataclass(frozen=True)
class Subset:
    """A division of 1..T into strata, and the steps drawn in each.

    Attributes:
        strata: the first and the last step of each, in increasing order, together 1..T.
        drawn: the steps drawn in each stratum, in increasing order: one or two, or one if there is only one.

    Raises:
        ValueError: if the strata leave a gap or overlap, or a stratum has no step of its own.
    """

    strata: tuple[tuple[int, int], ...]
    drawn: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        follows = 1
        for (first, last), steps in zip(self.strata, self.drawn, strict=True):
            inside = steps and first <= steps[0] and steps[-1] <= last
            if first != follows or not inside or list(steps) != sorted(set(steps)):
                raise ValueError(
                    "strata must follow one another from t = 1, with increasing steps of their own; "
                    f"got {steps} in {first}..{last}"
                )
            if len(steps) < min(2, last - first + 1):
                raise ValueError(f"a stratum must have two steps, or all; got {steps} in {first}..{last}")
            follows = last + 1

    @classmethod
    def whole(cls, T: int) -> Subset:
        """Every step, each a stratum."""
        return cls(tuple((t, t) for t in range(1, T + 1)), tuple((t,) for t in range(1, T + 1)))

    @property
    def T(self) -> int:
        """The last step of the last stratum."""
        return self.strata[-1][1]

    @property
    def is_whole(self) -> bool:
        """Whether every step is there."""
        return len(self.steps) == self.T

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """All steps drawn, in increasing order."""
        return tuple(t for steps in self.drawn for t in steps)

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """How many steps each of `steps` stands for: its stratum's size over the number drawn there."""
        return tuple(
            (last - first + 1) / len(steps)
            for (first, last), steps in zip(self.strata, self.drawn, strict=True)
            for _ in steps
        )

    def variance_of_sum(self, values: Sequence[float]) -> float:
        """Estimate the variance of `Σ weight · value` over draws of the subset, from this draw.

        `Σ n² (1 − m/n) s²/m` over the strata, with n steps, m drawn, and s² the sample variance of their
        values; unbiased for simple random sampling without replacement within each stratum.

        Source: Cochran 1977, Sampling Techniques, sections 2.6 and 5.4.

        Args:
            values: one for each of `steps`.
        """
        total, rest = 0.0, list(values)
        for (first, last), steps in zip(self.strata, self.drawn, strict=True):
            here, rest = rest[: len(steps)], rest[len(steps) :]
            n, m = last - first + 1, len(here)
            if m < n:
                mean = sum(here) / m
                total += n * (n - m) / m * sum((value - mean) ** 2 for value in here) / (m - 1)
        return total

    def sums_above(self, values: Sequence[float]) -> list[float]:
        """Estimate, for each of `steps`, the sum of the values at all larger t.

        Each step counts as the mean of its stratum, so it is the sum itself where every step was drawn.

        Args:
            values: one for each of `steps`.
        """
        sums: list[float] = []
        above, rest = 0.0, list(values)
        for (first, last), steps in zip(reversed(self.strata), reversed(self.drawn), strict=True):
            here, rest = rest[-len(steps) :], rest[: -len(steps)]
            mean = sum(here) / len(here)
            sums += [above + (last - t) * mean for t in reversed(steps)]
            above += (last - first + 1) * mean
        return sums[::-1]


def stratified(T: int, count: int, generator: torch.Generator | None = None) -> Subset:
    """Draw `count` of the steps 1..T, so that every term of the bound is as likely as its stratum says.

    Step 1, whose term is the decoder's, is always there, and step 2 if `count` is even. The others are drawn
    in pairs, uniformly and without replacement, from strata that grow geometrically: the terms of small t are
    the largest and differ most.

    Args:
        T: the number of steps.
        count: how many to draw, in 3..T, or 1..T if all are; T itself gives every step.
        generator: where the draws come from, on the CPU; PyTorch's default if not given.

    Raises:
        ValueError: if `count` is out of range.
    """
    if type(count) is not int or not min(3, T) <= count <= T:
        raise ValueError(f"count must be an integer in {min(3, T)}..T = {min(3, T)}..{T}; got {count!r}")
    if count == T:
        return Subset.whole(T)
    alone = 2 - count % 2
    strata = [(t, t) for t in range(1, alone + 1)]
    drawn: list[tuple[int, ...]] = [(t,) for t in range(1, alone + 1)]
    pairs = (count - alone) // 2
    first = alone + 1
    for k in range(1, pairs + 1):
        geometric = round((alone + 1) * ((T + 1) / (alone + 1)) ** (k / pairs))
        after = max(geometric, first + 2)  # two for every stratum to come are left: the powers are convex
        chosen = torch.randperm(after - first, generator=generator)[:2].sort().values + first
        strata.append((first, after - 1))
        drawn.append(tuple(chosen.tolist()))
        first = after
    return Subset(tuple(strata), tuple(drawn))
