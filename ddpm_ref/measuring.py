"""What there is to measure of a trained run: its bound, its gap to the best, its samples."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar, get_args

import torch
from torch import Tensor

from ddpm_ref import exact
from ddpm_ref.bound import Bound, bound_terms, collect
from ddpm_ref.cli import Progress
from ddpm_ref.coding import reconstruct
from ddpm_ref.decoder import CDF
from ddpm_ref.denoisers import DatasetDenoiser, Denoiser, GaussianDenoiser, MixtureDenoiser
from ddpm_ref.features import Extractor, Inception, Pixels, TrainedClassifier
from ddpm_ref.gap import Gap, Truth, gaps
from ddpm_ref.laws import Estimate, GaussianLaw, MixtureLaw
from ddpm_ref.objective import Model
from ddpm_ref.presets import Config
from ddpm_ref.quality import Quality, check_number, judge, usual_extractor
from ddpm_ref.sample import Sampling, draw
from ddpm_ref.sampler import State
from ddpm_ref.subsequence import steps
from ddpm_ref.subset import Subset, stratified

BATCH = 250  # images whose bound is computed together
GAP_STEPS = 12
SENT, STATES = 8, 10  # images, and how often each is looked at, in a picture of what a receiver has
USUAL = 500  # samples, where the run's configuration has none
EXTRACTORS = ("usual", "classifier", "pixels", "inception")


@dataclass(frozen=True)
class Options:
    """What to measure, and how.

    Attributes:
        n: samples to draw and judge; none if 0, as many as the run's configuration says if None.
        images: training and held-out images, each, that the bound and the gap are measured on.
        steps: of the steps 1..T, those that the bound visits; all if None.
        cdf: the decoder's distribution function.
        features: what the samples are compared by.
        sampling: how they are drawn; its variance and clipping are the bound's as well.
        seed: of everything random.
    """

    n: int | None = None
    images: int = 500
    steps: int | None = None
    cdf: CDF = "exact"
    features: str = "usual"
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0

    def check(self, config: Config) -> None:
        """Refuse what does not go with a run.

        Raises:
            ValueError: if a choice is unknown, or a number of steps is not in 1..T.
        """
        for name, allowed in (("cdf", get_args(CDF)), ("features", EXTRACTORS)):
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value}")
        least = min(3, config.T)
        if self.steps is not None and not least <= self.steps <= config.T:
            raise ValueError(f"steps must be in {least}..T = {least}..{config.T}; got {self.steps}")
        self.sampling.check(config)

    def subset(self, config: Config) -> Subset:
        """Draw the steps that the bound visits."""
        generator = torch.Generator().manual_seed(self.seed)
        return stratified(config.T, config.T if self.steps is None else self.steps, generator)


class Measuring:
    """The measurements of one run, a method for each.

    Attributes:
        config: of the run.
        options: what to measure.
        device: where.
        n: samples to draw, if any.
        stage: what is under way, for a message.
        seconds: what each stage took.

    Raises:
        ValueError: if an option does not go with the run or its data.
        ImportError: if the features need what is not installed.
        FileNotFoundError: if they need weights that are not there.
    """

    def __init__(self, config: Config, model: Model, options: Options, device: torch.device) -> None:
        options.check(config)
        self.stage = "preparing"
        self.seconds: dict[str, float] = {}
        self.config, self.options = config, options
        self._model, self.device = model, device
        self._split, self._schedule = config.data(), config.schedule()
        self._law = config.law()
        train, held_out = (part.images[: options.images].to(device) for part in self._split)
        self._images = {"train": train, "held out": held_out}
        self._subset = options.subset(config)
        self.n = (config.samples or USUAL) if options.n is None else options.n
        if self.n:  # known now rather than when all the samples are drawn
            self._extractor = self._choose_extractor()
            name, describe = self._extractor
            width = describe(self._split.held_out.images[:2]).features.shape[1]
            check_number("n", self.n, name, width, self._split)
        self._variance = options.sampling.variance or config.variance
        self._clip = config.clip if options.sampling.clip is None else options.sampling.clip

    def bounds(self) -> dict[str, Bound]:
        """Compute the bound on training and on held-out images, at the same steps."""
        return {part: self.bound(part) for part in self._images}

    def bound(self, part: str) -> Bound:
        """Compute the bound on the images of one part, "train" or "held out"."""
        return self._bound(self._model, part, self._images[part])

    def reconstructions(self) -> tuple[list[Tensor], list[int | str]]:
        """Send a few held-out images as far as some t, all with the same noise, and see what is made of them.

        Returns:
            The estimates for t from T down to 1 and at the end the images themselves; and the t.
        """
        self.stage = "reconstructing"
        x_0 = self._images["held out"][:SENT]
        z = torch.randn(x_0.shape, generator=self._generator(), device=self.device)
        times = steps(self.config.T, min(STATES, self.config.T), "linspace")[::-1]
        found = [
            reconstruct(
                self._model,
                self._schedule,
                x_0,
                t,
                z,
                prediction=self.config.prediction,
                variance=self._variance,
                clip=self._clip,
            )
            for t in times
        ]
        return [*found, x_0], [*times, "image"]

    def gaps(self) -> list[Gap]:
        """Compare the loss with the least that any model can have on the training images."""
        wanted = steps(self.config.T, min(GAP_STEPS, self.config.T), "quadratic")
        times = sorted({min(self._subset.steps, key=lambda t: abs(t - near)) for near in wanted})
        with self._watch("gap to the ideal", len(times)) as bar:
            found = gaps(
                self._model,
                self._ideal(),
                self._schedule,
                self._images["train"],
                times,
                generator=self._generator(),
                prediction=self.config.prediction,
                variance=self._variance,
            )
            return list(_watched(found, bar))

    def truth(self, bound: Bound) -> Truth | None:
        """Compare the held-out bound with the entropy, where the law of the data is known."""
        if self._law is None:
            return None
        x_0 = self._images["held out"]
        best = self._bound(self._ideal_with_variance(), "exact denoiser", x_0)
        entropy = self._law.entropy()
        known = entropy if isinstance(entropy, Estimate) else Estimate(entropy, 0.0)
        closed = None
        if isinstance(self._law, GaussianLaw) and self._variance != "learned" and not self._clip:
            closed = exact.bound(self._schedule, self._law, variance=self._variance).gap
        return Truth.of(
            bound,
            best,
            known.value,
            self._law.log_density(x_0),
            closed,
            entropy_error=known.error,
        )

    def samples(self) -> tuple[Tensor, list[State]]:
        """Draw the samples, and keep all states of a few."""
        self.stage = "sampling"
        began = time.monotonic()
        drawn = draw(self._model, self.config, self.n, self._generator(), self.options.sampling)
        self.seconds[self.stage] = time.monotonic() - began
        return drawn

    def quality(self, samples: Tensor) -> Quality:
        """Judge the samples."""
        with self._watch("scoring", 1) as bar:
            found = judge(
                samples,
                self._split,
                extractor=self._extractor,
                seed=self.options.seed,
                bounded=self._law is None,
                clip=True,
            )
            bar.advance()
            return found

    def _bound(self, model: Model, name: str, images: Tensor) -> Bound:
        generator, levels = self._generator(), self.config.levels
        batches = torch.split(images, BATCH)
        parts = []
        with self._watch(f"bound, {name}", len(batches) * len(self._subset.steps)) as bar:
            for x_0 in batches:
                # An exact denoiser predicts the noise, whatever the network does.
                terms = bound_terms(
                    model,
                    self._schedule,
                    x_0,
                    generator=generator,
                    prediction=self.config.prediction if model is self._model else "eps",
                    variance=self._variance,
                    clip=self._clip,
                    levels=levels,
                    cdf=self.options.cdf,
                    subset=self._subset,
                )
                parts.append(
                    collect(_watched(terms, bar), self._schedule, x_0, levels=levels, subset=self._subset)
                )
        return Bound.join(parts)

    def _ideal(self) -> Denoiser:
        """The exact denoiser of the law that the training images come from; of a data set, the images."""
        if isinstance(self._law, GaussianLaw):
            return GaussianDenoiser(self._schedule, self._law)
        if isinstance(self._law, MixtureLaw):
            return MixtureDenoiser(self._schedule, self._law)
        return DatasetDenoiser(self._schedule, self._split.train.images.to(self.device))

    def _ideal_with_variance(self) -> Model:
        """The exact denoiser as a model; where the variance is learned, with the network's."""
        ideal, network = self._ideal(), self._model
        if self._variance != "learned":
            return ideal

        def model(x_t: Tensor, t: Tensor) -> Tensor:
            return torch.cat([ideal(x_t, t), network(x_t, t).chunk(2, dim=1)[1]], 1)

        return model

    def _choose_extractor(self) -> tuple[str, Extractor]:
        match self.options.features:
            case "classifier":
                return "classifier", TrainedClassifier(self._split.train)
            case "pixels":
                return "pixels", Pixels()
            case "inception":
                return "inception", Inception(device=self.device)
        return usual_extractor(self._split)

    def _generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self.options.seed)

    @contextmanager
    def _watch(self, stage: str, total: int) -> Iterator[Progress]:
        self.stage = stage
        began = time.monotonic()
        with Progress(stage, total) as bar:
            yield bar
        self.seconds[stage] = time.monotonic() - began


Each = TypeVar("Each")


def _watched(items: Iterable[Each], bar: Progress) -> Iterator[Each]:
    for item in items:
        yield item
        bar.advance()
