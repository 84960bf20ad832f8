"""The U-Net has the paper's size, structure and start, at any size."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own pages use)
from torch import nn

from ddpm_ref.dropout import Dropout
from ddpm_ref.unet import (
    Attention,
    ResBlock,
    UNet,
    UNetConfig,
    Upsample,
    attend,
    doubled,
    group_norm,
    time_embedding,
)

SMALL = UNetConfig(8, 1, width=8, multipliers=(1, 2), attention_at=(4,), dropout=0.0)


def noisy_batch(config: UNetConfig, n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, config.channels, config.image_size, config.image_size, generator=generator)
    return x, torch.randint(1, 1001, (n,), generator=generator)


def awake(config: UNetConfig) -> UNet:
    """A network whose zero layers were given weights, so that every path contributes."""
    torch.manual_seed(0)
    model = UNet(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def test_the_cifar10_network_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        model = UNet(UNetConfig())
    parameters = list(model.parameters())
    assert (sum(p.numel() for p in parameters), len(parameters)) == (35_746_307, 328)
    modules = list(model.modules())
    blocks = [m for m in modules if isinstance(m, ResBlock)]
    assert len(blocks) == 22
    assert sum(isinstance(m, Attention) for m in modules) == 6
    assert sum(isinstance(block.conv_shortcut, nn.Conv2d) for block in blocks) == 13
    assert {m.num_groups for m in modules if isinstance(m, nn.GroupNorm)} == {32}
    assert {m.eps for m in modules if isinstance(m, nn.GroupNorm)} == {1e-6}
    assert {m.p for m in modules if isinstance(m, Dropout)} == {0.1}


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        UNetConfig(8, 1, width=4, multipliers=(1,), attention_at=(8,)),
        UNetConfig(16, 3, width=8, multipliers=(1, 1, 2), attention_at=(16, 4), res_blocks=1),
        UNetConfig(12, 2, width=12, multipliers=(2, 1), attention_at=()),
    ],
)
def test_the_output_has_the_shape_of_the_input(config: UNetConfig) -> None:
    x, t = noisy_batch(config)
    assert UNet(config)(x, t).shape == x.shape


def test_the_network_starts_as_nearly_zero() -> None:
    x, t = noisy_batch(SMALL)
    out = UNet(SMALL)(x, t)
    assert 0 < out.abs().max() < 1e-3


def test_every_parameter_has_a_gradient() -> None:
    x, t = noisy_batch(SMALL)
    model = awake(SMALL)
    model(x, t).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith(
            "to_k.bias"
        ):  # it adds the same to every logit of a query, which softmax ignores
            assert parameter.grad.abs().max() > 1e-6, name


def test_images_of_a_batch_do_not_meet() -> None:
    x, t = noisy_batch(SMALL, n=4)
    model = awake(SMALL).double()
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        torch.testing.assert_close(model(x[order].double(), t[order]), model(x.double(), t)[order])


def test_the_output_depends_on_t_and_on_every_pixel() -> None:
    model = awake(SMALL)
    x, t = noisy_batch(SMALL, n=1)
    with torch.no_grad():
        assert (model(x, t) - model(x, t % 1000 + 1)).abs().max() > 1e-4
    x.requires_grad_()
    model(x, t)[0, 0, 0, 0].backward()
    assert x.grad is not None
    assert (x.grad.abs() > 0).all()


def test_the_time_is_not_normalised_away_at_any_width() -> None:
    """A group of one channel would subtract a time embedding, which is constant over the channel."""
    for channels in (4, 8, 12, 32, 64, 96, 128, 192, 256, 384, 512):
        norm = group_norm(channels)
        assert channels // norm.num_groups >= 4
        assert norm.num_groups <= 32


def test_groups_that_are_given_hold_everywhere() -> None:
    model = UNet(UNetConfig(8, 1, width=16, multipliers=(1, 3), attention_at=(4,), groups=2))
    assert {m.num_groups for m in model.modules() if isinstance(m, nn.GroupNorm)} == {2}


def test_a_learned_variance_doubles_the_output() -> None:
    config = UNetConfig(8, 3, width=8, multipliers=(1,), attention_at=(), learned_variance=True)
    x, t = noisy_batch(config)
    assert UNet(config)(x, t).shape == (3, 6, 8, 8)


# -- what is done for speed is the same to round-off ---------------------------------------------------------


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (4, 4)])
def test_one_transposed_kernel_doubles_and_convolves(size: tuple[int, int]) -> None:
    x, weight, bias = random(2, 3, *size), random(5, 3, 3, 3), random(5)
    expected = F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, bias, padding=1)
    got = F.conv_transpose2d(x, doubled(weight), bias, stride=2, padding=1)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("batch", [1, 2, 8])  # 16, 32 and 128 pixels against 4 · 8 channels
def test_upsampling_does_not_depend_on_the_way_it_is_computed(batch: int) -> None:
    up, x = Upsample(8).double(), random(batch, 8, 4, 4)
    expected = up.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    torch.testing.assert_close(up(x), expected, rtol=0, atol=1e-13)


def test_attention_does_not_depend_on_the_way_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = random(3, 2, 9, 4)
    explicit = attend(q, k, v)
    monkeypatch.setattr("ddpm_ref.unet.EXPLICIT_PIXELS", 0)
    torch.testing.assert_close(attend(q, k, v), explicit, rtol=0, atol=1e-14)
    assert (explicit - v).abs().max() > 0.1


@pytest.mark.parametrize("attention_at", [(), (8, 4)])
def test_the_layout_in_memory_does_not_change_the_result(attention_at: tuple[int, ...]) -> None:
    config = UNetConfig(8, 3, width=16, multipliers=(1, 2), attention_at=attention_at, dropout=0.0)
    x, t = noisy_batch(config, n=8)
    model = awake(config).double()
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        model.to(memory_format=layout)  # type: ignore[call-overload]
        model.zero_grad()
        out = model(x.double(), t)
        out.square().sum().backward()
        results.append([out.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    largest = max(
        float(gradient.abs().max()) for gradient in results[0]
    )  # a sum of terms of this size may cancel
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13 * largest)


def test_bfloat16_changes_the_result_by_its_own_rounding() -> None:
    x, t = noisy_batch(SMALL, n=8)
    model = awake(SMALL)
    with torch.no_grad():
        exact = model(x, t)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(x, t)
    error = float((rounded - exact).norm() / exact.norm())
    assert 2**-12 < error < 2**-4, "eight bits, through some twenty layers"


# -- time ----------------------------------------------------------------------------------------------------


def test_a_time_embedding_begins_at_zero_and_its_frequencies_span_four_decades() -> None:
    e = time_embedding(torch.tensor([1, 2]), 128)
    assert e.dtype == torch.float64
    assert e[0].tolist() == [0.0] * 64 + [1.0] * 64
    assert e[1, 0].item() == math.sin(1)
    assert e[1, 64].item() == math.cos(1)
    assert e[1, 63].item() == pytest.approx(math.sin(1e-4), rel=1e-12)


@pytest.mark.parametrize("dim", [4, 32, 128])
def test_every_t_has_its_own_embedding(dim: int) -> None:
    e = time_embedding(torch.arange(1, 1001), dim).float()
    nearest = torch.cdist(e, e) + torch.eye(1000)
    assert nearest.min() > 1e-4


# -- borders and bad input -----------------------------------------------------------------------------------


def test_downsampling_pads_below_and_right_only() -> None:
    """Where each output pixel looks: 3×3 inputs from its own even corner on."""
    model = UNet(SMALL)
    down = model.get_submodule("down_blocks.0.resample")
    x = torch.zeros(1, 8, 8, 8, requires_grad=True)
    down(x)[0, 0, 1, 1].backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0).nonzero()
    assert seen.min(0).values.tolist() == [2, 2]
    assert seen.max(0).values.tolist() == [4, 4]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": 9}, "image_size must be a multiple of 8 for 4 levels; got 9"),
        ({"image_size": 0}, "image_size must be"),
        ({"channels": 0}, "channels must be at least 1; got 0"),
        ({"width": 6}, "width must be a positive multiple of 4; got 6"),
        ({"multipliers": ()}, "multipliers must be"),
        ({"multipliers": (1, 0)}, "multipliers must be"),
        ({"attention_at": (7,)}, r"attention_at must be among the resolutions .* got \[7\]"),
        ({"res_blocks": 0}, "res_blocks must be at least 1; got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0"),
        ({"groups": 3}, "groups must divide the width, 128, or be None; got 3"),
        ({"groups": 0}, "groups must divide the width"),
    ],
)
def test_a_size_outside_its_domain_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNetConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (torch.zeros(2, 3, 8, 8), torch.ones(2, dtype=torch.long), "x must be"),
        (torch.zeros(2, 1, 8, 4), torch.ones(2, dtype=torch.long), "x must be"),
        (torch.zeros(2, 1, 8, 8), torch.ones(3, dtype=torch.long), r"t must be integers of shape \(2,\)"),
        (torch.zeros(2, 1, 8, 8), torch.ones(2), "t must be integers"),
        (torch.zeros(2, 1, 8, 8), torch.tensor([1, 0]), "t must be in 1..T; got 0"),
    ],
)
def test_a_wrong_input_is_refused(x: torch.Tensor, t: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNet(SMALL)(x, t)


@pytest.mark.parametrize(
    "keys", [torch.zeros(3, dtype=torch.int32), torch.zeros(2, dtype=torch.int64), torch.zeros(2)], ids=str
)
def test_keys_that_do_not_fit_are_refused(keys: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"keys must be int32 of shape \(2,\); got torch"):
        UNet(SMALL)(torch.zeros(2, 1, 8, 8), torch.ones(2, dtype=torch.long), keys)
