"""What dropout drops is a function of an image's key, the layer and the place, and looks like chance."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ddpm_ref.dropout import Dropout, draw_keys, mix_
from ddpm_ref.unet import UNet, UNetConfig

CPU = torch.device("cpu")
WORDS = st.integers(-(2**31), 2**31 - 1)
SHAPE = (16, 16, 16)
SIGMAS = 5  # of the statistics below, with fixed keys: none is a coincidence of one run in a million


def keys_of(n: int, seed: int = 0) -> Tensor:
    return draw_keys(n, torch.Generator().manual_seed(seed), CPU)


def masks(p: float, keys: Tensor, layer: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Say of each activation whether it is kept: (B, ...), of zeros and ones."""
    kept: Tensor = Dropout(p, layer)(torch.ones(len(keys), *shape), keys) != 0
    return kept.double()


def unsigned(word: int) -> int:
    return word % 2**32


def mixed(word: int) -> int:
    """Mix one word as its author wrote it, in Python's integers."""
    word ^= word >> 16
    word = word * 0x7FEB352D % 2**32
    word ^= word >> 15
    word = word * 0x846CA68B % 2**32
    return word ^ word >> 16


def unmixed(word: int) -> int:
    """Go back: a shift of at least 16 undoes itself, one of 15 after twice, and odd factors have inverses."""
    word ^= word >> 16
    word = word * pow(0x846CA68B, -1, 2**32) % 2**32
    word ^= word >> 15 ^ word >> 30
    word = word * pow(0x7FEB352D, -1, 2**32) % 2**32
    return word ^ word >> 16


@given(words=st.lists(WORDS, min_size=1, max_size=40))
def test_words_are_mixed_one_to_one(words: list[int]) -> None:
    result = mix_(torch.tensor(words, dtype=torch.int32)).tolist()
    assert [unsigned(word) for word in result] == [mixed(unsigned(word)) for word in words]
    assert [unmixed(unsigned(word)) for word in result] == [unsigned(word) for word in words]


@given(key=WORDS, layer=st.integers(0, 1000), at=st.integers(0, 23))
def test_an_activation_is_kept_where_its_word_is_at_least_p(key: int, layer: int, at: int) -> None:
    """The formula of the docstring, in Python's integers; at its own word an activation is just kept."""
    place = (at + 0x9E3779B9 * layer) % 2**32
    word = (mixed(unsigned(key) ^ mixed(place)) + 2**31) % 2**32  # u in units of 2⁻³²
    for least, expected in ((word, True), (word + 1, False)):
        if least < 2**32:
            kept = masks(least / 2**32, torch.tensor([key], dtype=torch.int32), layer, (2, 3, 4))
            assert bool(kept.flatten()[at]) is expected


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_kept_are_divided_by_the_chance_to_be_kept(dtype: torch.dtype) -> None:
    p = 0.1
    dropout = Dropout(p)
    x = torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    y = dropout(x, keys_of(8))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    kept = y != 0
    assert torch.equal(kept, masks(p, keys_of(8)).bool())  # the same in every precision
    assert torch.equal(y[kept], (x / (1 - p))[kept])
    assert torch.equal(gradient[kept], torch.ones_like(x)[kept] / (1 - p))
    assert not gradient[~kept].any()
    assert torch.equal(dropout.eval()(x, keys_of(8)), x)


@given(p=st.floats(0, 1, exclude_max=True))
def test_a_share_p_is_dropped(p: float) -> None:
    kept = masks(p, keys_of(32))
    assert abs(float(kept.mean()) - (1 - p)) <= SIGMAS * (p * (1 - p) / kept.numel()) ** 0.5 + 2**-32


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_masks_of_two_images_or_two_layers_are_as_good_as_independent(p: float) -> None:
    keys = keys_of(8)
    keys = torch.cat([keys, keys[:1] + 1, keys[:1] ^ 1, keys[:1] ^ -(2**31), torch.tensor([0, 1]).int()])
    drawn = [mask.flatten() - (1 - p) for layer in range(3) for mask in masks(p, keys, layer)]
    scale = p * (1 - p) * drawn[0].numel() ** 0.5
    for one, other in combinations(drawn, 2):
        assert abs(float(one @ other)) < SIGMAS * scale


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_neighbours_are_dropped_as_good_as_independently(dim: int) -> None:
    p = 0.3
    centred = masks(p, keys_of(64)) - (1 - p)
    for step in (1, 2, 4, 8):
        here, there = (centred.narrow(dim, at, SHAPE[0] - step) for at in (0, step))
        assert abs(float((here * there).sum())) < SIGMAS * p * (1 - p) * here.numel() ** 0.5


@given(cut=st.integers(1, 8), layer=st.integers(0, 100))
def test_a_mask_does_not_depend_on_how_the_batch_is_cut(cut: int, layer: int) -> None:
    keys = keys_of(8)
    whole = masks(0.5, keys, layer)
    assert torch.equal(torch.cat([masks(0.5, part, layer) for part in keys.chunk(cut)]), whole)
    assert not torch.equal(masks(0.5, keys, layer + 1), whole)


def test_a_mask_does_not_depend_on_the_memory_layout() -> None:
    x = torch.randn(4, 3, 8, 8)
    laid_out = x.to(memory_format=torch.channels_last)
    result = Dropout(0.5)(laid_out, keys_of(4))
    assert torch.equal(result, Dropout(0.5)(x, keys_of(4)))
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_keys_that_are_not_given_are_drawn_anew_every_time() -> None:
    x = torch.ones(2, *SHAPE)
    one, other = Dropout(0.5)(x), Dropout(0.5)(x)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    torch.manual_seed(3)
    first = Dropout(0.5)(x)
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.5)(x), first)


def test_keys_are_uniform_over_all_words() -> None:
    keys = keys_of(200_000).double() / 2**32 + 0.5
    share = torch.histc(keys, 16, 0, 1) / len(keys)
    assert float((share - 1 / 16).abs().max()) < SIGMAS * (1 / 16 / len(keys)) ** 0.5
    assert 0 <= keys.min() < 1e-4 < 1 - 1e-4 < keys.max() < 1


def test_a_network_drops_by_the_keys_it_is_given_and_only_in_training() -> None:
    unet = UNet(UNetConfig(8, 1, width=8, multipliers=(1, 2), attention_at=(4,), dropout=0.4))
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 2, 3])
    answer = unet(x, t, keys_of(3))
    assert torch.equal(unet(x, t, keys_of(3)), answer)
    assert not torch.allclose(unet(x, t, keys_of(3, seed=1)), answer, atol=1e-3)
    torch.testing.assert_close(unet(x[1:], t[1:], keys_of(3)[1:]), answer[1:])
    assert not torch.allclose(unet(x, t), answer, atol=1e-3)
    assert torch.equal(unet.eval()(x, t, keys_of(3)), unet(x, t))


def test_every_layer_of_a_network_drops_others() -> None:
    layers = [m.layer for m in UNet(UNetConfig(width=8)).modules() if isinstance(m, Dropout)]
    assert len(layers) == len(set(layers)) == 22
