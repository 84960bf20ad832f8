"""Extractors describe images, and the comparison ranks what it must rank."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ddpm_ref.data import Labelled, Split, digits
from ddpm_ref.features import Described, Inception, Pixels, TrainedClassifier
from ddpm_ref.quality import check_number, fitted_gaussian, judge, usual_extractor, usual_width
from ddpm_ref.report import verdict, words


@pytest.fixture(scope="module")
def split() -> Split:
    return digits()


@pytest.fixture(scope="module")
def classifier(split: Split) -> TrainedClassifier:
    return TrainedClassifier(split.train)


# -- extractors ----------------------------------------------------------------------------------------------


def test_the_classifier_is_always_the_same_and_knows_digits_it_never_saw(
    split: Split, classifier: TrainedClassifier
) -> None:
    one, two = classifier(split.held_out.images), TrainedClassifier(split.train)(split.held_out.images)
    np.testing.assert_array_equal(one.features, two.features)
    assert one.features.shape == (500, 32)
    assert one.probabilities is not None
    assert np.mean(one.probabilities.argmax(axis=1) == split.held_out.labels.numpy()) > 0.97


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(5, 1, 4, 4), r"images must be \(n, 1, 8, 8\), .* got \(5, 1, 4, 4\): train one on such"),
        (torch.zeros(5, 3, 8, 8), "as the classifier was trained"),
        (torch.full((5, 1, 8, 8), float("nan")), "got NaN"),
    ],
)
def test_the_classifier_refuses_images_of_another_kind(
    classifier: TrainedClassifier, images: Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(images)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 2, 2], [1, 1, 2, 2], [0, 1]])
def test_labels_that_are_no_classes_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"labels must name a class 0\.\.K−1 for each image"):
        TrainedClassifier(Labelled(torch.zeros(4, 1, 8, 8), torch.tensor(labels)))


def test_pixels_are_averaged_over_tiles_where_there_are_too_many() -> None:
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    described = Pixels(8)(images)
    assert described.features.shape == (2, 3 * 8 * 8)
    assert described.probabilities is None
    assert described.features[1, 0] == pytest.approx(float(images[1, 0, :2, :2].mean()))
    np.testing.assert_array_equal(Pixels(8)(images[..., :5, :5]).features, images[..., :5, :5].flatten(1))
    with pytest.raises(ValueError, match="side must be at least 1; got 0"):
        Pixels(0)


class Network(torch.nn.Module):
    """Stands in for the library's network: the same arguments and answers, without its weights."""

    def __init__(self, name: str, features: list[str], feature_extractor_weights_path: str) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2048)
        assert features == ["2048", "logits_unbiased"]
        self.linear.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=False))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert images.dtype == torch.uint8
        assert images.shape[1] == 3
        pooled = self.linear(images.float().mean(dim=(2, 3)))
        return pooled, pooled[:, :1008]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend that torch-fidelity is installed; give the path of its weights."""
    module: Any = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.URL_INCEPTION_V3 = "https://somewhere/weights.pth"
    module.FeatureExtractorInceptionV3 = Network
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = Path(torch.hub.get_dir()) / "checkpoints" / "weights.pth"
    path.parent.mkdir(parents=True)
    torch.save(torch.nn.Linear(3, 2048).state_dict(), path)
    return path


def test_inception_describes_grey_and_coloured_images_in_batches(library: Path) -> None:
    images = torch.rand(5, 1, 8, 8) * 2 - 1
    described = Inception(batch=2)(images)
    assert described.features.shape == (5, 2048)
    assert described.probabilities is not None
    assert described.probabilities.shape == (5, 1008)
    np.testing.assert_allclose(described.probabilities.sum(axis=1), 1)
    whole = Inception(library)(images.expand(-1, 3, -1, -1))
    np.testing.assert_allclose(
        whole.features, described.features, rtol=1e-5, atol=1e-4
    )  # of float32, near 100
    layer = torch.load(library, weights_only=True)
    for value, grey in ((-1, 0), (0.2, 153), (1, 255)):
        features = Inception()(torch.full((1, 1, 8, 8), float(value))).features[0]
        expected = layer["weight"].sum(dim=1) * grey + layer["bias"]
        np.testing.assert_allclose(features, expected, atol=1e-3)
    with pytest.raises(ValueError, match="1 or 3 channels for Inception; got 2"):
        Inception()(torch.zeros(5, 2, 8, 8))


def test_inception_says_what_is_missing(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"must hold the weights of https://somewhere/weights\.pth; "):
        Inception()
    torch.save({"weight": torch.zeros(1)}, library)
    with pytest.raises(ValueError, match="must hold the weights"):
        Inception()
    library.unlink()
    with pytest.raises(FileNotFoundError, match=r"must be at .*weights.pth; download them from https"):
        Inception()
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ImportError, match=r"need torch-fidelity and .* 'ddpm-ref\[inception\]'"):
        Inception()


def test_a_poisoned_file_of_weights_is_not_unpickled(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return print, ("unpickled",)

    torch.save(Evil(), library)
    with pytest.raises(ValueError, match="must hold the weights"):
        Inception()
    assert "unpickled" not in capsys.readouterr().out


# -- the comparison ------------------------------------------------------------------------------------------


def test_a_fitted_gaussian_has_the_pixels_mean_and_covariance(split: Split) -> None:
    images = split.train.images / 8  # far from the clipping at ±1
    drawn = fitted_gaussian(images, 20_000, np.random.default_rng(0)).flatten(1).double()
    x = images.flatten(1).double()
    # Five standard errors of each mean; false alarm about 64 · 6e-7.
    assert ((drawn.mean(0) - x.mean(0)).abs() <= 5 * x.std(0) / 20_000**0.5 + 1e-9).all()
    scale = float(x.std(0).max()) ** 2
    assert (drawn.T.cov() - x.T.cov()).abs().max() < 5 * scale * (2 / 20_000) ** 0.5


def test_real_digits_beat_a_gaussian_which_beats_noise(split: Split, classifier: TrainedClassifier) -> None:
    def scored(samples: Tensor) -> Any:
        return judge(samples, split, extractor=("classifier", classifier), draws=3, resamples=20)

    real = scored(split.train.images[:300])
    random = scored(torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert real.floor == random.floor
    assert real.baseline == random.baseline
    assert real.model.frechet < 2 * real.floor.frechet < real.baseline.frechet < random.model.frechet
    assert real.model.imbalance < random.model.imbalance
    assert real.model.inception > real.baseline.inception > random.model.inception
    assert sum(real.model.per_class) == pytest.approx(1)
    assert set(real.intervals) == {"frechet", "inception", "imbalance"}
    for metric, (low, high) in real.intervals.items():
        assert low <= getattr(real.model, metric) <= high
    assert "close to real images" in verdict(real)
    assert "no better than a Gaussian" in verdict(random)
    assert max(map(len, words(random).splitlines())) <= 80


def test_the_floor_and_the_baseline_have_as_many_images_as_the_model() -> None:
    """The distance of estimated moments is biased, the more the fewer images: only equal sets compare."""
    images = torch.rand(60, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen: list[int] = []

    def describe(images: Tensor) -> Described:
        seen.append(len(images))
        return Pixels()(images)

    parts = Split(*(Labelled(images[:n], torch.zeros(n, dtype=torch.long)) for n in (60, 30)))
    judge(images[:20], parts, extractor=("pixels", describe), draws=2, resamples=2)
    assert seen == [30, 20, 20, 20, 20, 20]  # held out, model, twice the floor, twice the baseline


def test_without_classes_the_distance_is_left(split: Split) -> None:
    quality = judge(split.train.images[:100], split, extractor=("pixels", Pixels()), draws=2, resamples=5)
    assert quality.model.inception is None
    assert quality.model.per_class is None
    assert quality.accuracy is None
    assert set(quality.intervals) == {"frechet"}
    assert "through their pixels" in words(quality)
    assert "class" not in words(quality)


def test_classes_of_another_kind_are_not_compared_with_the_labels(split: Split) -> None:
    def describe(images: Tensor) -> Described:
        x = Pixels(2)(images).features
        return Described(x, np.abs(x) / np.abs(x).sum(axis=1, keepdims=True))

    quality = judge(split.train.images[:100], split, extractor=("own", describe), draws=2, resamples=5)
    assert quality.model.inception is not None
    assert quality.model.imbalance is None
    assert "through the own's features" in words(quality)


def test_small_labelled_images_get_a_classifier_others_their_pixels(split: Split) -> None:
    blank = torch.zeros(1297, dtype=torch.long)
    assert usual_extractor(split)[0] == "classifier"
    assert usual_extractor(Split(Labelled(split.train.images, blank), split.held_out))[0] == "pixels"
    large = Labelled(torch.zeros(20, 3, 32, 32), torch.arange(20) % 2)
    assert usual_extractor(Split(large, large))[0] == "pixels"
    for images in (split, Split(Labelled(split.train.images, blank), split.held_out), Split(large, large)):
        name, describe = usual_extractor(images)
        assert usual_width(images) == (name, describe(images.train.images[:2]).features.shape[1])


def test_sets_too_small_for_the_features_are_refused_before_any_sample_is_drawn(split: Split) -> None:
    check_number("n", 33, "classifier", 32, split)
    few = Split(split.train, Labelled(split.held_out.images[:32], split.held_out.labels[:32]))
    with pytest.raises(ValueError, match=r"held-out images must be at least 33 .* got 32: take more"):
        check_number("n", 33, "classifier", 32, few)


def test_samples_that_leave_the_range_are_judged_as_a_picture_of_them_and_that_is_said(split: Split) -> None:
    inside = split.train.images[:100]
    samples = torch.where(inside == 1, 1.5, inside)
    few: dict[str, Any] = {"extractor": ("pixels", Pixels()), "draws": 2, "resamples": 5}
    whole, moved = judge(inside, split, clip=True, **few), judge(samples, split, clip=True, **few)
    assert moved.model == whole.model
    assert (whole.outside, moved.outside) == (0, float((inside == 1).double().mean()))
    assert f"{moved.outside:.2%} of the samples' values lay outside [−1, 1]" in words(moved)
    assert "outside" not in words(whole)
    with pytest.raises(ValueError, match="got NaN"):
        judge(samples * float("nan"), split, clip=True, **few)


def test_where_a_gaussian_is_as_good_as_real_images_the_model_is_still_judged(split: Split) -> None:
    real = judge(split.train.images[:100], split, extractor=("pixels", Pixels()), draws=2, resamples=5)
    as_good = replace(real, baseline=real.floor, model=replace(real.floor, frechet=40 * real.floor.frechet))
    assert "the model's distance is 40 times theirs" in verdict(as_good)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(5, 1, 4, 4), "samples must be"),
        (torch.zeros(1, 1, 8, 8), "samples must be 2..1297 images; got 1"),
        (torch.zeros(2000, 1, 8, 8), "got 2000"),
        (torch.full((50, 1, 8, 8), float("nan")), "got NaN"),
        (torch.full((50, 1, 8, 8), 2.0), r"must be in \[-1, 1\]"),
        (torch.zeros(64, 1, 8, 8), "the samples' features must have more rows .* take at least 65 images"),
    ],
)
def test_samples_that_cannot_be_judged_are_refused(split: Split, samples: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(samples, split, extractor=("pixels", Pixels()))
