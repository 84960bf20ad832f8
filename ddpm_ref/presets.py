"""The settings of a run, and the named sets of them that `--preset` chooses from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ddpm_ref import schedule
from ddpm_ref.data import Split, digits
from ddpm_ref.process import Variance, check_choices
from ddpm_ref.schedule import Schedule
from ddpm_ref.unet import UNetConfig


@dataclass(frozen=True)
class Config:
    """Everything that decides a run, apart from the device.

    The learning rate rises linearly over `warmup` updates and then stays. The average of the weights reaches
    back about `1 / (1 - ema_decay)` updates.

    Attributes:
        preset: name of the preset that this was made from; it also names the data.
        seed: of the first weights, the order of the data, t, the noise and the samples.
        T: diffusion steps, at least 2; β rises linearly.
        beta: first and last noise variance, each in (0, 1).
        variance: of the reverse steps, `fixed_large` (β_t) or `fixed_small` (β̃_t).
        unet: the network; it predicts ε.
        steps: updates, at least 1.
        batch_size: images for each update, at least 1.
        lr: learning rate of Adam after warm-up, positive.
        warmup: updates until the learning rate is reached, at least 0.
        clip_norm: largest global norm of the gradient, positive.
        ema_decay: decay of the exponential average of the weights, in [0, 1).
        samples: samples drawn for the evaluation, at least 2.

    Raises:
        ValueError: if a number is outside its domain.
    """

    preset: str
    seed: int = 0
    T: int = 1000
    beta: tuple[float, float] = (1e-4, 0.02)
    variance: Variance = "fixed_large"
    unet: UNetConfig = field(default_factory=UNetConfig)
    steps: int = 800_000
    batch_size: int = 128
    lr: float = 2e-4
    warmup: int = 5000
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    samples: int = 500

    def __post_init__(self) -> None:
        for name, least in (
            ("seed", 0),
            ("T", 2),
            ("steps", 1),
            ("batch_size", 1),
            ("warmup", 0),
            ("samples", 2),
        ):
            if (given := getattr(self, name)) < least:
                raise ValueError(f"{name} must be at least {least}; got {given}")
        for name in ("lr", "clip_norm"):
            if not 0 < (given := getattr(self, name)) < float("inf"):
                raise ValueError(f"{name} must be positive and finite; got {given}")
        if not all(0 < beta < 1 for beta in self.beta):
            raise ValueError(f"beta must be two numbers in (0, 1); got {self.beta}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1); got {self.ema_decay}")
        check_choices("eps", self.variance)

    def learning_rate(self, step: int) -> float:
        """Give the learning rate of the update after `step` updates; with a warm-up the first one has 0."""
        return self.lr * min(1.0, step / self.warmup) if self.warmup else self.lr

    def schedule(self) -> Schedule:
        """Build the noise schedule."""
        return schedule.linear(self.T, *self.beta)

    def data(self) -> Split:
        """Load the images."""
        return digits()

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
        if set(values) != names:
            different = sorted(set(values) ^ names)
            raise ValueError(
                f"a configuration must have exactly the settings of this version; {different} differ"
            )
        try:
            unet = UNetConfig(**_tuples(values["unet"]))
            return cls(**_tuples({**values, "unet": unet}))
        except TypeError as error:
            raise ValueError(f"a configuration must have values of the right types; {error}") from error


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the lists of JSON back into tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _linear(T: int) -> dict[str, Any]:
    """Give the paper's β for T steps instead of 1000: 1000/T times as large, so that ᾱ_T stays near 4e-5."""
    return {"T": T, "beta": (0.1 / T, 20 / T)}


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
        samples=100,
    ),
}


def resolve(preset: str, **overrides: Any) -> Config:
    """Look up a preset and replace the settings that are given and not None.

    Raises:
        ValueError: if the preset is unknown or a value is outside its domain.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset}")
    return replace(PRESETS[preset], **{k: v for k, v in overrides.items() if v is not None})
