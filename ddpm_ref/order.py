"""The order in which a run is dealt its data, with a state that a checkpoint can hold."""

from typing import Self

import torch
from torch import Tensor


class Order:
    """Deals out indices 0..n−1 without end, each epoch in a new random order.

    Batches are always full: one that meets the end of an epoch takes the rest from the next.

    Attributes:
        rest: indices dealt next, int64, on the device of the generator.

    Raises:
        ValueError: if `n` or `batch_size` is below 1.
    """

    def __init__(self, n: int, batch_size: int, generator: torch.Generator) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        if n < 1:
            raise ValueError(f"images must hold at least 1 image; got {n}")
        self.n, self.batch_size = n, batch_size
        self._generator = generator
        self.rest = torch.empty(0, dtype=torch.long, device=generator.device)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Tensor:
        """Deal a batch of indices, shape (batch_size,)."""
        while len(self.rest) < self.batch_size:
            epoch = torch.randperm(self.n, generator=self._generator, device=self._generator.device)
            self.rest = torch.cat([self.rest, epoch])
        dealt, self.rest = self.rest[: self.batch_size], self.rest[self.batch_size :]
        return dealt
