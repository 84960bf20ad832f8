"""Dropout that is a function: which activations it drops follows from a key for each example.

A mask is computed from the example's key, the layer and the activation's place, by mixing bits. So it is the
same however a batch is cut up: among processes, among parts whose gradients are added up, on any device.
"""

import torch
from torch import Tensor, nn

BITS = 32
# Shifts and odd factors by which every bit of a word reaches every other: C. Wellons's "lowbias32".
SHIFTS = (16, 15, 16)
FACTORS = (0x7FEB352D, 0x846CA68B)
GOLDEN = 0x9E3779B9  # 2³² divided by the golden ratio: layers begin far apart


def signed(word: int) -> int:
    """Read a 32-bit word as PyTorch's int32 does, in two's complement."""
    word %= 2**BITS
    return word - 2**BITS if word >= 2 ** (BITS - 1) else word


def mix_(words: Tensor) -> Tensor:
    """Scramble int32 words in place, each by itself and one to one; returns them."""
    for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
        # PyTorch's shift repeats the sign; the paper's fills with zeros.
        words ^= (words >> shift) & (2 ** (BITS - shift) - 1)
        if factor != 1:
            words *= signed(factor)
    return words


def draw_keys(n: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Draw the keys of n examples: int32 of shape (n,), uniform over all words.

    Args:
        n: how many.
        generator: on the device, or None for PyTorch's own.
        device: where the keys are to lie.
    """
    low, high = -(2 ** (BITS - 1)), 2 ** (BITS - 1)
    return torch.randint(low, high, (n,), generator=generator, device=device, dtype=torch.int32)


class Dropout(nn.Module):
    r"""Set each activation to zero with probability p while training, and divide the others by 1 − p.

    $$y_{bi} = \frac{x_{bi}}{1-p} \, \mathbb{1}\{u_{bi} \ge p\}, \qquad
    u_{bi} = 2^{-32}\, m(k_b \oplus m(i + g\,\ell)),$$

    where m mixes the bits of a 32-bit word, $k_b$ is the key of example b, ℓ the layer and g a constant.
    p is met to 2⁻³².

    Args:
        p: probability in [0, 1).
        layer: different for every layer of a network, so that their masks are.
    """

    def __init__(self, p: float, layer: int = 0) -> None:
        super().__init__()
        self.p = p
        self.layer = layer

    def extra_repr(self) -> str:
        """Say what `repr` shows."""
        return f"p={self.p}, layer={self.layer}"

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map (B, ...) to the same shape, by int32 keys of shape (B,); None draws them from PyTorch's own."""
        if not self.training or self.p == 0:
            return x
        if keys is None:
            keys = draw_keys(len(x), None, x.device)
        one = x[:1]
        place = torch.arange(one.numel(), dtype=torch.int64, device=x.device) + GOLDEN * self.layer
        # In the memory layout of x, so that all that follows runs along memory.
        places = torch.empty_like(one, dtype=torch.int32).copy_(place.view_as(one))
        words = mix_(mix_(places) ^ keys.view(-1, *[1] * (x.ndim - 1)))
        kept = words >= int(self.p * 2**BITS) - 2 ** (BITS - 1)
        out: Tensor = x * kept.to(x.dtype) / (1 - self.p)
        return out
