"""The settings of a run, and the named sets of them that `--preset` chooses from."""

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch

from ddpm_ref import schedule
from ddpm_ref.arguments import MOST
from ddpm_ref.data import Labelled, Split, load
from ddpm_ref.laws import GaussianLaw, MixtureLaw, gaussian_images, mixture_images
from ddpm_ref.process import Prediction, Variance, check_choices
from ddpm_ref.schedule import Schedule
from ddpm_ref.unet import UNetConfig

Loss = Literal["simple", "vlb", "hybrid"]
BetaSchedule = Literal["linear", "cosine"]
LAWS: Mapping[str, Callable[[int], GaussianLaw | MixtureLaw]] = {
    "gaussian": gaussian_images,
    "mixture": mixture_images,
}
LAW_IMAGES = (20_000, 2000)  # drawn from a law: to train on, and held out
LAW_SEED = 0
MOST_STEPS, MOST_IMAGES = 100_000, 2**20  # so that no file asks for more memory than a machine has


@dataclass(frozen=True)
class Config:
    """Everything that decides a run, apart from the device.

    The learning rate rises linearly over `warmup` updates and then stays. The average of the weights reaches
    back about `1 / (1 - ema_decay)` updates. Each row of the paper's table 2 is a choice of `prediction`,
    `loss` and `variance`.

    Attributes:
        preset: name of the preset that this was made from.
        source: the data: `gaussian` or `mixture`, drawn from a known law, or what
            [`load`][ddpm_ref.data.sources.load] takes.
        flips: whether half of the training images are mirrored, at random.
        seed: of the first weights, dropout, the order of the data, t, the noise and the samples.
        T: diffusion steps, 2 to 100,000.
        beta_schedule: how β rises: `linear` or `cosine`.
        beta: first and last noise variance of the linear schedule, each in (0, 1).
        prediction: what the network predicts: `eps`, `x0`, `mu` or `v`.
        loss: what training minimises: `simple` (mean squared error), `vlb` (the bound, in bits per
            dimension) or `hybrid`, which learns the variance beside L_simple.
        variance: of the reverse steps: `fixed_large` (β_t), `fixed_small` (β̃_t) or `learned`.
        clip: whether sampling clips the predicted clean image to [−1, 1].
        unet: the network; with a learned variance it gives twice the channels.
        steps: updates, at least 1.
        batch_size: images for each update, over all processes, 1 to 1,048,576.
        lr: learning rate of Adam after warm-up, positive.
        warmup: updates until the learning rate is reached, at least 0.
        clip_norm: largest global norm of the gradient, positive.
        ema_decay: decay of the exponential average of the weights, in [0, 1).
        accumulate: parts that a batch is cut into, to fit in memory, at least 1.
        amp: whether the network computes in bfloat16; weights and diffusion stay float32. None: as suits
            the device.
        channels_last: whether images lie in memory with their channels together. None: as suits the device.
        compile: whether `torch.compile` makes the training step. None: as suits the device.
        checkpoint_every: updates between checkpoints, at least 1.
        keep: checkpoints to keep beside the best, the latest ones, at least 1.
        sample_every: updates between grids of samples, or 0 for none.
        samples: samples drawn and scored at the end, or 0 for none.

    Raises:
        ValueError: if a setting is outside its domain, or two do not go together.
    """

    preset: str
    source: str = "digits"
    flips: bool = False
    seed: int = 0
    T: int = 1000
    beta_schedule: BetaSchedule = "linear"
    beta: tuple[float, float] = (1e-4, 0.02)
    prediction: Prediction = "eps"
    loss: Loss = "simple"
    variance: Variance = "fixed_large"
    clip: bool = True
    unet: UNetConfig = field(default_factory=UNetConfig)
    steps: int = 800_000
    batch_size: int = 128
    lr: float = 2e-4
    warmup: int = 5000
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    accumulate: int = 1
    amp: bool | None = None
    channels_last: bool | None = None
    compile: bool | None = None
    checkpoint_every: int = 5000
    keep: int = 2
    sample_every: int = 0
    samples: int = 500

    def __post_init__(self) -> None:
        for name, least, most in (
            ("seed", 0, MOST),
            ("T", 2, MOST_STEPS),
            ("steps", 1, MOST),
            ("batch_size", 1, MOST_IMAGES),
            ("warmup", 0, MOST),
            ("accumulate", 1, MOST),
            ("checkpoint_every", 1, MOST),
            ("keep", 1, MOST),
            ("sample_every", 0, MOST),
            ("samples", 0, MOST),
        ):
            if (given := getattr(self, name)) < least:
                raise ValueError(f"{name} must be at least {least}; got {given}")
            if given > most:
                raise ValueError(f"{name} must be at most {most}; got {reprlib.repr(given)}")
        for name in ("lr", "clip_norm"):
            if not 0 < (given := getattr(self, name)) < float("inf"):
                raise ValueError(f"{name} must be positive and finite; got {given}")
        if not all(0 < beta < 1 for beta in self.beta):
            raise ValueError(f"beta must be two numbers in (0, 1); got {self.beta}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1); got {self.ema_decay}")
        check_choices(self.prediction, self.variance)
        for name, choices in (("loss", get_args(Loss)), ("beta_schedule", get_args(BetaSchedule))):
            if (given := getattr(self, name)) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}; got {given!r}")
        learned = self.variance == "learned"
        if learned and self.loss == "simple":
            raise ValueError("loss must be vlb or hybrid where the variance is learned; got 'simple'")
        if self.loss == "hybrid" and not learned:
            raise ValueError(f"variance must be learned where the loss is hybrid; got {self.variance!r}")
        if self.unet.learned_variance != learned:
            raise ValueError(
                f"unet.learned_variance must be {learned} where variance is {self.variance!r}; "
                f"got {self.unet.learned_variance}"
            )
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size must be a multiple of accumulate = {self.accumulate}; got {self.batch_size}"
            )

    def learning_rate(self, step: int) -> float:
        """Give the learning rate of the update after `step` updates; with a warm-up the first one has 0."""
        return self.lr * min(1.0, step / self.warmup) if self.warmup else self.lr

    def schedule(self) -> Schedule:
        """Build the noise schedule."""
        if self.beta_schedule == "cosine":
            return schedule.cosine(self.T)
        return schedule.linear(self.T, *self.beta)

    @property
    def levels(self) -> int | None:
        """Values of a pixel, which the decoder's bins are made for; None for a known law, off any grid."""
        return None if self.source in LAWS else {"digits": 17}.get(self.source, 256)

    def law(self) -> GaussianLaw | MixtureLaw | None:
        """Give the law that the images are drawn from, where it is known."""
        make = LAWS.get(self.source)
        return None if make is None else make(self.unet.image_size)

    def data(self) -> Split:
        """Load the images, or draw them from their law, the same every time.

        Raises:
            ValueError: if the source is unknown, cannot be read, or has not images of the network's shape.
        """
        if (law := self.law()) is None:
            return load(self.source, self.unet.image_size, self.unet.channels)
        if self.unet.channels != 1:
            raise ValueError(f"channels must be 1, as {self.source} has; got {self.unet.channels}")
        generator = torch.Generator().manual_seed(LAW_SEED)
        parts = (law.sample(n, generator=generator, dtype=torch.float32) for n in LAW_IMAGES)
        return Split(*(Labelled(x, torch.zeros(len(x), dtype=torch.long)) for x in parts))

    def on(self, device: torch.device) -> "Config":
        """Decide the switches that were left open, as suits the device.

        bfloat16 and compilation are for CUDA. On the CPU channels lie together for networks of the paper's
        width; a narrow one gains nothing, and in bfloat16 PyTorch's normalisation is slow on them.
        """
        cuda = device.type == "cuda"
        suits: dict[str, Any] = {
            "amp": cuda and torch.cuda.is_bf16_supported(),
            "channels_last": cuda or (device.type == "cpu" and self.unet.width >= 128 and not self.amp),
            "compile": cuda,
        }
        return replace(self, **{name: yes for name, yes in suits.items() if getattr(self, name) is None})

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Build a configuration from what `to_dict` gave.

        Raises:
            ValueError: if a setting is missing or unknown, or a value is outside its domain.
        """
        names = {f.name for f in fields(cls)}
        if not isinstance(values, Mapping):
            raise ValueError(f"a configuration must be an object; got {reprlib.repr(values)}")
        if set(values) != names:
            different = reprlib.repr(sorted(set(values) ^ names))
            raise ValueError(
                f"a configuration must have exactly the settings of this version; {different} differ"
            )
        return cls(**typed(cls, {**values, "unet": UNetConfig(**typed(UNetConfig, values["unet"], "unet."))}))


WORDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    tuple: "a list of the right length",
}


def typed(kind: type, values: Any, prefix: str = "") -> dict[str, Any]:
    """Read values of JSON as a dataclass's fields: each of its type, lists as tuples, integers as numbers.

    Args:
        kind: the dataclass.
        values: by the names of its fields; what is not given stays away.
        prefix: of the names, for the error.

    Raises:
        ValueError: if there is no such field, or a value is of another type; it names the field.
    """
    hints = get_type_hints(kind)
    if not isinstance(values, Mapping):
        raise ValueError(f"{prefix.rstrip('.')} must be an object; got {reprlib.repr(values)}")
    if unknown := sorted(set(values) - hints.keys()):
        raise ValueError(f"{prefix}{unknown[0]} is not a setting")
    return {name: _typed(f"{prefix}{name}", hints[name], value) for name, value in values.items()}


def _typed(name: str, hint: Any, value: Any) -> Any:
    if get_origin(hint) is UnionType:
        if value is None:
            return None
        hint = get_args(hint)[0]
    if get_origin(hint) is tuple:
        each, *rest = get_args(hint)
        if isinstance(value, list | tuple) and (rest == [...] or len(value) == 1 + len(rest)):
            return tuple(_typed(f"each of {name}", each, entry) for entry in value)
    kind = {Literal: str}.get(get_origin(hint), get_origin(hint) or hint)
    try:
        if kind is float and type(value) is int:
            return float(value)
        if kind is str and isinstance(value, str):
            value.encode()  # no half of a surrogate pair, which nothing can print
        if type(value) is kind:
            return value
    except (OverflowError, UnicodeEncodeError):
        pass
    raise ValueError(f"{name} must be {WORDS[kind]}; got {reprlib.repr(value)}")


def _linear(T: int) -> dict[str, Any]:
    """Give the paper's β for T steps instead of 1000: 1000/T times as large, so that ᾱ_T stays near 4e-5."""
    return {"T": T, "beta": (0.1 / T, 20 / T)}


def _known(law: str) -> Config:
    """Give the settings for data of a known law, which lie outside [−1, 1] too and on no grid."""
    return Config(
        preset=law,
        source=law,
        **_linear(200),
        clip=False,
        unet=UNetConfig(8, 1, width=32, multipliers=(1, 2), attention_at=(4,), dropout=0.0),
        steps=3000,
        batch_size=64,
        lr=1e-3,
        warmup=100,
        ema_decay=0.998,
        checkpoint_every=1000,
    )


PRESETS: Mapping[str, Config] = {
    "digits": Config(
        preset="digits",
        **_linear(200),
        unet=UNetConfig(8, 1, width=32, multipliers=(1, 2, 2), attention_at=(4,), dropout=0.0),
        steps=2500,
        batch_size=64,
        lr=1e-3,
        warmup=100,
        ema_decay=0.998,
        checkpoint_every=500,
    ),
    "smoke": Config(
        preset="smoke",
        **_linear(50),
        unet=UNetConfig(8, 1, width=8, multipliers=(1, 2), attention_at=(4,), res_blocks=1),
        steps=50,
        batch_size=32,
        lr=2e-3,
        warmup=5,
        ema_decay=0.9,
        checkpoint_every=20,
        samples=100,
    ),
    "cifar10": Config(  # the paper's; flips and a warm-up are in its code (hojonathanho/diffusion)
        preset="cifar10",
        source="cifar10:data/cifar-10-batches-bin",
        flips=True,
        sample_every=20_000,
    ),
    "patches": Config(
        preset="patches",
        source="patches",
        flips=True,
        steps=20_000,
        warmup=1000,
        ema_decay=0.999,
        checkpoint_every=1000,
        sample_every=2000,
    ),
    "gaussian": _known("gaussian"),
    "mixture": _known("mixture"),
}


def resolve(preset: str, **overrides: Any) -> Config:
    """Look up a preset and replace the settings that are given and not None.

    `dropout` is the network's. The network gives twice the channels where the variance is learned.

    Raises:
        ValueError: if the preset is unknown or a value is outside its domain.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset}")
    config = PRESETS[preset]
    given = {name: value for name, value in overrides.items() if value is not None}
    unet = replace(
        config.unet,
        dropout=given.pop("dropout", config.unet.dropout),
        learned_variance=given.get("variance", config.variance) == "learned",
    )
    return replace(config, unet=unet, **given)
