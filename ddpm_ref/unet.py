"""The U-Net of Ho et al. (2020, appendix B) at any size.

An encoder of residual blocks halves the resolution level by level, a middle joins two residual blocks by
attention, and a decoder goes back up and is given every activation of the encoder again (the skip
connections). Every residual block is told the time.

With the default [`UNetConfig`][ddpm_ref.unet.UNetConfig] this is the CIFAR-10 network: 35,746,307 parameters
in 328 tensors. Layers have the names that diffusers' `UNet2DModel` gives them, but for `resample.conv` (there
`downsamplers.0.conv`, `upsamplers.0.conv`) and `to_out` (there `to_out.0`).
"""

import itertools
import math
import reprlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own pages use)
from torch import Tensor, nn

from ddpm_ref.dropout import Dropout

MAX_GROUPS = 32  # of a group normalisation, at the paper's widths
EXPLICIT_PIXELS = 1024  # up to which a CPU holds all H·W × H·W weights of an attention at once
EPS = 1e-6  # of every group normalisation
LARGEST = {"image_size": 4096, "channels": 1024, "res_blocks": 64}  # no file asks for more than a machine has
WIDEST = 4096  # channels of features
ZERO_GAIN = 1e-5  # of the layers that the paper initialises "to zero": scale 1e-10 of the variance


@dataclass(frozen=True)
class UNetConfig:
    """The size of a U-Net; the defaults are the paper's CIFAR-10 network.

    Attributes:
        image_size: height and width of the images, divisible by two for every level but the last.
        channels: colour channels of the images.
        width: feature channels at multiplier 1, a multiple of 4; also the size of the sinusoids of t.
        multipliers: feature channels of each level, in units of `width`; one entry for each level.
        attention_at: resolutions whose residual blocks are each followed by attention.
        res_blocks: residual blocks for each level of the encoder; the decoder has one more.
        dropout: probability of dropout inside each residual block while training.
        learned_variance: whether the output has twice the channels, the second half for the variance.

    Raises:
        ValueError: if a size is outside its domain.
        groups: of every group normalisation. None: the paper's 32, or fewer where a group would have less
            than the 4 channels that it has there.
    """

    image_size: int = 32
    channels: int = 3
    width: int = 128
    multipliers: tuple[int, ...] = (1, 2, 2, 2)
    attention_at: tuple[int, ...] = (16,)
    res_blocks: int = 2
    dropout: float = 0.1
    learned_variance: bool = False
    groups: int | None = None

    def __post_init__(self) -> None:
        if not self.multipliers or min(self.multipliers) < 1:
            raise ValueError(f"multipliers must be integers of at least 1; got {self.multipliers}")
        levels = len(self.multipliers)
        for name, most in LARGEST.items():
            if (given := getattr(self, name)) > most:
                raise ValueError(f"{name} must be at most {most}; got {reprlib.repr(given)}")
        if self.width * max(self.multipliers) > WIDEST:
            raise ValueError(
                f"width times the largest multiplier must be at most {WIDEST}; "
                f"got {reprlib.repr(self.width * max(self.multipliers))}"
            )
        if self.image_size < 1 or self.image_size % 2 ** (levels - 1):
            allowed = f"a multiple of {2 ** (levels - 1)} for {levels} levels"
            raise ValueError(f"image_size must be {allowed}; got {self.image_size}")
        if self.channels < 1:
            raise ValueError(f"channels must be at least 1; got {self.channels}")
        if self.width < 4 or self.width % 4:
            raise ValueError(f"width must be a positive multiple of 4; got {self.width}")
        if unknown := set(self.attention_at) - set(self.resolutions):
            allowed = f"among the resolutions {self.resolutions}"
            raise ValueError(f"attention_at must be {allowed}; got {sorted(unknown)}")
        if self.res_blocks < 1:
            raise ValueError(f"res_blocks must be at least 1; got {self.res_blocks}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1); got {self.dropout}")
        if self.groups is not None and (self.groups < 1 or self.width % self.groups):
            raise ValueError(f"groups must divide the width, {self.width}, or be None; got {self.groups}")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Height and width of the features at each level."""
        return tuple(self.image_size // 2**level for level in range(len(self.multipliers)))

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.channels * (2 if self.learned_variance else 1)


def time_embedding(t: Tensor, dim: int) -> Tensor:
    r"""Embed the network's time index t − 1 in sines and cosines.

    $$e_i = \sin(\omega_i (t-1)), \quad e_{h+i} = \cos(\omega_i (t-1)), \quad
    \omega_i = 10^{-4 i/(h-1)}, \quad i = 0 \dots h-1, \quad h = \mathrm{dim}/2.$$

    The paper's t is 1..T; the released networks were trained on the index 0..T−1. This is the one place where
    the former becomes the latter.

    Args:
        t: the paper's t, integers in 1.., of shape (B,).
        dim: an even number of at least 4.

    Returns:
        float64 (B, dim). In float32 the phase of a large t would be off by up to 6e-5.
    """
    if t.device.type == "mps":  # has no float64
        return time_embedding(t.cpu(), dim).float().to(t.device)
    half = dim // 2
    frequency = torch.arange(half, dtype=torch.float64, device=t.device) * (-math.log(10_000) / (half - 1))
    angle = (t - 1).double()[:, None] * frequency.exp()[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def group_norm(channels: int, groups: int | None = None) -> nn.GroupNorm:
    """Group normalisation with 32 groups, or fewer where a group would have less than the paper's 4 channels.

    A group of a single channel would subtract the time embedding again, which is constant over a channel.
    """
    return nn.GroupNorm(groups or math.gcd(MAX_GROUPS, channels // 4), channels, eps=EPS)


class TimeEmbedding(nn.Module):
    """Two dense layers on the sinusoidal embedding: t of shape (B,) to (B, 4 · dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.linear_1 = nn.Linear(dim, 4 * dim)
        self.linear_2 = nn.Linear(4 * dim, 4 * dim)

    def forward(self, t: Tensor) -> Tensor:
        """Embed t = 1..T."""
        e = time_embedding(t, self.dim).to(self.linear_1.weight.dtype)
        out: Tensor = self.linear_2(F.silu(self.linear_1(e)))
        return out


class ResBlock(nn.Module):
    """Normalise, swish, convolve, twice; the time is added in between, the input at the end."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        time_channels: int,
        dropout: Dropout,
        groups: int | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels, groups)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = group_norm(out_channels, groups)
        self.dropout = dropout
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = (
            nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        )

    def forward(self, x: Tensor, temb: Tensor, keys: Tensor | None) -> Tensor:
        """Map (B, in, H, W) and the swished time embedding (B, 4 · width) to (B, out, H, W).

        `keys` are those of dropout, (B,).
        """
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(temb)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h)), keys))
        out: Tensor = self.conv_shortcut(x) + h
        return out


def each_pixel(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply a dense layer to the channels of every pixel: a 1×1 convolution, which oneDNN does faster."""
    return F.conv2d(x, layer.weight[:, :, None, None], layer.bias)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    r"""Average the values of all pixels, $\mathrm{softmax}(q k^\top / \sqrt{C})\, v$; shapes (B, H·W, C)."""
    if q.device.type == "cpu" and q.shape[1] <= EXPLICIT_PIXELS:
        # The fused kernel for the CPU takes three times as long in bfloat16, and is no faster in float32.
        return torch.softmax(q @ k.mT * q.shape[2] ** -0.5, dim=-1) @ v
    return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]


class Attention(nn.Module):
    """Self-attention over the pixels, with a single head and scale channels^-½, added to its input."""

    def __init__(self, channels: int, groups: int | None = None) -> None:
        super().__init__()
        self.group_norm = group_norm(channels, groups)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        h: Tensor = self.group_norm(x)
        q, k, v = (each_pixel(h, layer).flatten(2).mT for layer in (self.to_q, self.to_k, self.to_v))
        h = attend(q, k, v).mT
        return x + each_pixel(h.reshape(x.shape), self.to_out)


class Downsample(nn.Module):
    """A 3×3 convolution of stride 2, padded below and right only: TensorFlow's 'SAME' for even sizes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H/2, W/2)."""
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


def doubled(weight: Tensor) -> Tensor:
    r"""Make of a 3×3 convolution after doubling by nearest neighbours one transposed 4×4 kernel of stride 2.

    An input pixel stands for 2×2 equal ones, so that it reaches an output through the sum of up to four
    weights: $K_{rs} = \sum_{a, b \in \{0, 1\}} w_{2+a-r,\, 2+b-s}$, with w zero outside. That is 16 products
    for an input pixel instead of 36, and the doubled image is never made.

    Args:
        weight: (out, in, 3, 3).

    Returns:
        (in, out, 4, 4), for `conv_transpose2d` with stride 2 and padding 1.
    """
    w = F.pad(weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))
    rows = w[:, :, 1:] + w[:, :, :-1]
    return rows[:, :, :, 1:] + rows[:, :, :, :-1]


class Upsample(nn.Module):
    """Nearest neighbours, then a 3×3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        pixels = x.shape[0] * x.shape[2] * x.shape[3]
        if x.device.type == "cpu" and pixels >= 4 * x.shape[1]:  # fewer do not repay making the kernel
            return F.conv_transpose2d(x, doubled(self.conv.weight), self.conv.bias, stride=2, padding=1)
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Level(nn.Module):
    """The blocks at one resolution: residual blocks, attention after each if chosen, resampling."""

    def __init__(self, resnets: list[ResBlock], attentions: list[nn.Module], resample: nn.Module) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.attentions = nn.ModuleList(attentions)
        self.resample = resample


class DownLevel(Level):
    """One resolution of the encoder."""

    def forward(self, h: Tensor, temb: Tensor, keys: Tensor | None, skips: list[Tensor]) -> Tensor:
        """Append every activation to `skips` and return the last one."""
        for resnet, attention in zip(self.resnets, self.attentions, strict=True):
            h = attention(resnet(h, temb, keys))
            skips.append(h)
        if not isinstance(self.resample, nn.Identity):
            h = self.resample(h)
            skips.append(h)
        return h


class UpLevel(Level):
    """One resolution of the decoder."""

    def forward(self, h: Tensor, temb: Tensor, keys: Tensor | None, skips: list[Tensor]) -> Tensor:
        """Take back one activation of `skips` for each residual block, the latest first."""
        for resnet, attention in zip(self.resnets, self.attentions, strict=True):
            h = attention(resnet(torch.cat([h, skips.pop()], dim=1), temb, keys))
        out: Tensor = self.resample(h)
        return out


class Middle(nn.Module):
    """Residual block, attention, residual block at the lowest resolution."""

    def __init__(self, before: ResBlock, attention: Attention, after: ResBlock) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([before, after])
        self.attentions = nn.ModuleList([attention])

    def forward(self, x: Tensor, temb: Tensor, keys: Tensor | None) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = self.attentions[0](self.resnets[0](x, temb, keys))
        out: Tensor = self.resnets[1](x, temb, keys)
        return out


class UNet(nn.Module):
    """The paper's network: from x_t and t to a prediction (of ε, x_0, μ or v) of the shape of x_t.

    With `learned_variance` the output has twice the channels: the prediction, then the variance's part.

    Weights are Xavier-uniform and biases zero. The second convolution of every residual block, the output of
    every attention and the last convolution start 10⁵ times smaller, so that the output starts near zero.

    Source: Ho et al. 2020, appendix B, and the released code (hojonathanho/diffusion, models/unet.py).
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        time_channels = 4 * config.width
        widths = [config.width * m for m in config.multipliers]
        attends = [resolution in config.attention_at for resolution in config.resolutions]
        last = len(widths) - 1

        layers = itertools.count()

        def res_block(in_channels: int, out_channels: int) -> ResBlock:
            dropout = Dropout(config.dropout, next(layers))
            return ResBlock(in_channels, out_channels, time_channels, dropout, config.groups)

        def attentions(n: int, channels: int, attend: bool) -> list[nn.Module]:
            return [Attention(channels, config.groups) if attend else nn.Identity() for _ in range(n)]

        self.time_embedding = TimeEmbedding(config.width)
        self.conv_in = nn.Conv2d(config.channels, config.width, 3, padding=1)

        skips = [config.width]  # channels of every activation that the decoder is given again
        self.down_blocks = nn.ModuleList()
        for level, (width, attend) in enumerate(zip(widths, attends, strict=True)):
            inputs = [skips[-1]] + [width] * (config.res_blocks - 1)
            blocks = [res_block(c, width) for c in inputs]
            down = Downsample(width) if level < last else nn.Identity()
            self.down_blocks.append(DownLevel(blocks, attentions(len(blocks), width, attend), down))
            skips += [width] * (config.res_blocks + (level < last))

        channels = widths[-1]
        self.mid_block = Middle(
            res_block(channels, channels), Attention(channels, config.groups), res_block(channels, channels)
        )

        self.up_blocks = nn.ModuleList()
        for level, (width, attend) in reversed(list(enumerate(zip(widths, attends, strict=True)))):
            inputs = [c + skips.pop() for c in [channels] + [width] * config.res_blocks]
            blocks = [res_block(c, width) for c in inputs]
            up = Upsample(width) if level > 0 else nn.Identity()
            self.up_blocks.append(UpLevel(blocks, attentions(len(blocks), width, attend), up))
            channels = width

        self.conv_norm_out = group_norm(channels, config.groups)
        self.conv_out = nn.Conv2d(channels, config.out_channels, 3, padding=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew as the paper does, from PyTorch's global generator."""
        zero = {self.conv_out.weight}
        for module in self.modules():
            if isinstance(module, ResBlock):
                zero.add(module.conv2.weight)
            elif isinstance(module, Attention):
                zero.add(module.to_out.weight)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=ZERO_GAIN if module.weight in zero else 1.0)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, t: Tensor, keys: Tensor | None = None) -> Tensor:
        """Predict from the noisy images.

        Args:
            x: noisy images x_t, (B, channels, image_size, image_size).
            t: the paper's t in 1..T, integers of shape (B,).
            keys: int32 of shape (B,) that decide what dropout drops while training, as
                [`draw_keys`][ddpm_ref.dropout.draw_keys] draws them; None: every layer draws its own, from
                PyTorch's generator.

        Raises:
            ValueError: if a shape or dtype does not fit, or a t on the CPU is below 1.
        """
        c = self.config
        if x.shape[1:] != (c.channels, c.image_size, c.image_size):
            raise ValueError(
                f"x must be (B, {c.channels}, {c.image_size}, {c.image_size}); got {tuple(x.shape)}"
            )
        if t.shape != x.shape[:1] or t.is_floating_point():
            raise ValueError(f"t must be integers of shape ({x.shape[0]},); got {t.dtype} {tuple(t.shape)}")
        # Only on the CPU: reading t back from an accelerator would make every step wait for it.
        if t.device.type == "cpu" and t.numel() and int(t.min()) < 1:
            raise ValueError(f"t must be in 1..T; got {int(t.min())}")

        if keys is not None and (keys.shape != x.shape[:1] or keys.dtype != torch.int32):
            raise ValueError(
                f"keys must be int32 of shape ({x.shape[0]},); got {keys.dtype} {tuple(keys.shape)}"
            )

        temb = F.silu(self.time_embedding(t))
        h = self.conv_in(x)
        skips = [h]
        for level in self.down_blocks:
            h = level(h, temb, keys, skips)
        h = self.mid_block(h, temb, keys)
        for level in self.up_blocks:
            h = level(h, temb, keys, skips)
        out: Tensor = self.conv_out(F.silu(self.conv_norm_out(h)))
        return out
