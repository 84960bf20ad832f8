"""Dropout that is a function: which activations it drops follows from a key for each example.

A mask is computed from the example's key, the layer and the activation's place, by mixing bits. So it is the
same however a batch is cut up: among processes, among parts whose gradients are added up, on any device.
"""

import torch
from torch import Tensor, nn

BITS = 32
GOLDEN = 0x9E3779B9  # 2³² divided by the golden ratio: the places of two layers lie far apart


def mix_(words: Tensor) -> Tensor:
    """Scramble int32 words in place, each by itself and one to one, and return them.

    Source: C. Wellons, hash-prospector, "lowbias32". Its shifts fill with zeros; PyTorch's repeat the sign.
    """
    words ^= (words >> 16) & 0xFFFF
    words *= 0x7FEB352D
    words ^= (words >> 15) & 0x1FFFF
    words *= 0x846CA68B - 2**BITS  # the same number modulo 2³², and one that int32 holds
    words ^= (words >> 16) & 0xFFFF
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
    u_{bi} = \tfrac12 + 2^{-32}\, m(k_b \oplus m(i + g\,\ell)),$$

    where m mixes the bits of a word, a number in $-2^{31} \dots 2^{31}-1$, $k_b$ is the key of example b, i
    the place of the activation in it, ℓ the layer and g a constant. p is met to 2⁻³².

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
        # A sum in 64 bits, cut to 32, and laid out in memory as x is.
        place = torch.arange(one.numel(), device=x.device) + GOLDEN * self.layer
        places = torch.empty_like(one, dtype=torch.int32).copy_(place.view_as(one))
        words = mix_(mix_(places) ^ keys.view(-1, *[1] * (x.ndim - 1)))
        kept = words >= int(self.p * 2**BITS) - 2 ** (BITS - 1)
        out: Tensor = x * kept.to(x.dtype) / (1 - self.p)
        return out
