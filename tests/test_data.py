"""The digits are real, exact, and split fairly; the stream deals every image once per epoch."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from ddpm_ref.data import batches, check_images, digits


def test_the_digits_are_all_of_scikit_learns_exactly() -> None:
    split = digits()
    images = torch.cat([split.train.images, split.held_out.images])
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == torch.float32
    grey = ((images + 1) * 8).flatten(1)
    expected, _ = load_digits(return_X_y=True)
    assert sorted(grey.tolist()) == sorted(expected.tolist())
    assert [images.min().item(), images.max().item()] == [-1, 1]


def test_the_split_is_stratified_and_always_the_same() -> None:
    one, two = digits(), digits()
    assert (len(one.train.images), len(one.held_out.images)) == (1297, 500)
    for part, same in zip(one, two, strict=True):
        assert torch.equal(part.images, same.images)
        assert len(part.images) == len(part.labels)
    of_all = torch.bincount(torch.cat([one.train.labels, one.held_out.labels])) / 1797
    of_held_out = torch.bincount(one.held_out.labels) / 500
    assert (of_all - of_held_out).abs().max() < 1 / 500


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 1, 8, 8), float("nan")), "got NaN in 128 of 128 values"),
        (torch.full((2, 1, 8, 8), 1.5), "got values from 1.5 to 1.5"),
        (torch.full((2, 1, 8, 8), -float("inf")), "got values from -inf"),
        (torch.zeros(2, 8, 8), "must be floating-point"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "must be floating-point"),
        (torch.zeros(0, 1, 8, 8), "not empty"),
    ],
)
def test_images_that_are_not_images_are_refused(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_images(images)


@given(n=st.integers(1, 20), batch_size=st.integers(1, 30), seed=st.integers(0, 100))
def test_every_epoch_is_a_permutation(n: int, batch_size: int, seed: int) -> None:
    stream = batches(torch.arange(n), batch_size, torch.Generator().manual_seed(seed))
    dealt = list(itertools.islice(stream, 3 * n))
    assert all(len(batch) == batch_size for batch in dealt)
    for epoch in torch.cat(dealt)[: 3 * n].reshape(3, n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_the_order_is_the_generators() -> None:
    def first(seed: int) -> torch.Tensor:
        return next(batches(torch.arange(1000), 100, torch.Generator().manual_seed(seed)))

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))


@pytest.mark.parametrize(("n", "batch_size", "name"), [(5, 0, "batch_size"), (0, 5, "images")])
def test_an_impossible_stream_is_refused_at_once(n: int, batch_size: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        batches(torch.zeros(n), batch_size, torch.Generator())
