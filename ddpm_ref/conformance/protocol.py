"""What the kit asks of an implementation: an adapter, every function of which is optional.

An adapter is a class. Subclass [Adapter][ddpm_ref.conformance.protocol.Adapter] and override what your
implementation computes; what you leave out is reported as not offered. The kit makes one adapter for every
schedule, dtype and device, and calls it with NumPy arrays, so an implementation in any framework can be held.

Conventions: `t` is the paper's t, in 1..T, an int64 array of shape (B,); where your code counts from 0,
subtract one. Images have shape (B, C, H, W). Arrays come in the dtype asked for, except that bfloat16, which
NumPy does not have, comes as float32 arrays of values that bfloat16 holds. Return float arrays: they are read
as the exact numbers they are. Do not change your arguments.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

__all__ = [
    "BUILT_IN",
    "Adapter",
    "Array",
    "NotOffered",
    "VarianceKind",
    "described",
    "load",
    "make",
    "place",
    "printable",
    "words",
]

Array = np.ndarray[Any, np.dtype[Any]]

VarianceKind = Literal["fixed_large", "fixed_small", "learned", "log"]
"""`β_t`; `β̃_t`; between them, from a value in [−1, 1]; or the exponential of the value."""

BUILT_IN = {
    "reference": "ddpm_ref.conformance.adapters.reference:Reference",
    "diffusers": "ddpm_ref.conformance.adapters.diffusers:Diffusers",
    "denoising-diffusion-pytorch": "ddpm_ref.conformance.adapters.lucidrains:Lucidrains",
    "monai": "ddpm_ref.conformance.adapters.monai:Monai",
    "labml-nn": "ddpm_ref.conformance.adapters.labml:Labml",
    "original": "ddpm_ref.conformance.adapters.original:Original",
}
"""The adapters that come with the kit, by the name that the command takes."""

PACKAGES = {
    "reference": "ddpm-ref",
    "diffusers": "'ddpm-ref[peers]'",
    "denoising-diffusion-pytorch": "denoising-diffusion-pytorch",
    "monai": "monai",
    "labml-nn": "labml-nn",
}
"""What to install for them."""


class NotOffered(Exception):  # noqa: N818 - an answer, and no error
    """Raised by an adapter for what its implementation does not compute."""


class Adapter:
    """An implementation under test, for one schedule, dtype and device.

    Attributes:
        name: of the implementation, for the report.
        version: of the implementation.
        note: a sentence to keep beside the results, if there is something to say of how they were got.
        dtypes: what images and tables may be asked for in.
        devices: where.
        variances: the implementation's own name of each variance, and what it means.
        spacings: the implementation's own names of the ways to choose N of T steps.
        etas: whether `ddim_step` takes noise, for `eta > 0`.
    """

    name: str = "unnamed"
    version: str = ""
    note: str = ""
    dtypes: tuple[str, ...] = ("float64", "float32")
    devices: tuple[str, ...] = ("cpu",)
    variances: ClassVar[Mapping[str, VarianceKind]] = {}
    spacings: tuple[str, ...] = ()
    etas: tuple[float, ...] = (0.0, 0.5, 1.0)

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        """Take the schedule: `betas[t - 1]` is β_t, float64.

        They are exact in float32 unless `dtype` is float64.

        Raises:
            NotOffered: if the implementation cannot take this schedule, dtype or device.
        """
        raise NotOffered("an adapter must say how it takes a schedule")

    # -- tables, shape (B,) ----------------------------------------------------------------------------------

    @staticmethod
    def betas(schedule: str, T: int) -> Array:
        """Return the betas of `linear` (1e-4 to 0.02) or `cosine` (s = 0.008, at most 0.999).

        Shape (T,), β_1 first.
        """
        raise NotOffered

    @staticmethod
    def alpha_bar_of(schedule: str, T: int) -> Array:
        """Return the ᾱ that the implementation keeps for its own schedule of that name, shape (T,)."""
        raise NotOffered

    def alpha_bar(self, t: Array) -> Array:
        """ᾱ_t."""
        raise NotOffered

    def one_minus_alpha_bar(self, t: Array) -> Array:
        """1 − ᾱ_t."""
        raise NotOffered

    def snr(self, t: Array) -> Array:
        """ᾱ_t / (1 − ᾱ_t)."""
        raise NotOffered

    def posterior_variance(self, t: Array) -> Array:
        """β̃_t."""
        raise NotOffered

    def reverse_variance(self, t: Array, variance: str) -> Array:
        """The variance of p(x_{t−1} | x_t) for t ≥ 2; `variance` is one of the keys of `variances`."""
        raise NotOffered

    def variance_at_1(self) -> Array:
        """The variance that the likelihood's last term uses, shape (1,); β̃_2 in the original."""
        raise NotOffered

    # -- images, shape (B, C, H, W) --------------------------------------------------------------------------

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        """x_t from x_0 and noise."""
        raise NotOffered

    def q_posterior(self, x_0: Array, x_t: Array, t: Array) -> Array:
        """The mean of q(x_{t−1} | x_t, x_0)."""
        raise NotOffered

    def x0_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        """x_0 from x_t and the noise in it."""
        raise NotOffered

    def eps_from_x0(self, x_t: Array, t: Array, x_0: Array) -> Array:
        """The noise in x_t from x_0."""
        raise NotOffered

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        """The posterior's mean from the noise in x_t, not clipped."""
        raise NotOffered

    def velocity(self, x_0: Array, t: Array, noise: Array) -> Array:
        """v, from x_0 and noise."""
        raise NotOffered

    def x0_from_v(self, x_t: Array, t: Array, v: Array) -> Array:
        """x_0 from x_t and v."""
        raise NotOffered

    def eps_from_v(self, x_t: Array, t: Array, v: Array) -> Array:
        """The noise in x_t from v."""
        raise NotOffered

    # -- the reverse process ---------------------------------------------------------------------------------

    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        """The mean of p(x_{t−1} | x_t) with the predicted image clipped to [−1, 1]."""
        raise NotOffered

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        """x_{t−1} from x_t, the predicted noise, and fresh noise; not clipped.

        `variance` is one of the keys of `variances`; `value` is what the network says of the variance, shaped
        like x_t, for the kinds `learned` and `log`.
        """
        raise NotOffered

    def timesteps(self, N: int, spacing: str) -> list[int]:
        """The N steps that a sampler takes, as the paper's t, in the order in which they are taken."""
        raise NotOffered

    def stretch_mean(self, x_t: Array, t: int, eps: Array, N: int, spacing: str) -> Array:
        """The mean of the ancestral step from t to the next of the N steps, or to 0; not clipped."""
        raise NotOffered

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        """The DDIM step from t to the next of the N steps, or to 0; not clipped."""
        raise NotOffered

    def ddim_step_to(self, x_t: Array, t: int, s: int, eps: Array, noise: Array, eta: float) -> Array:
        """The DDIM step from t to any earlier s, 0 among them; for code that takes any steps it is given."""
        raise NotOffered("it takes its own spacings only, and none of them has these steps")

    # -- numbers for each example, shape (B,), in nats -------------------------------------------------------

    def kl(self, mean_1: Array, log_variance_1: Array, mean_2: Array, log_variance_2: Array) -> Array:
        """The divergence of the first normal law from the second, summed over coordinates."""
        raise NotOffered

    def decoder_log_likelihood(self, x_0: Array, mean: Array, log_variance: Array) -> Array:
        """The log-likelihood of x_0, on the grid of 256 values, summed over coordinates."""
        raise NotOffered

    def prior_term(self, x_0: Array) -> Array:
        """L_T, the divergence of q(x_T | x_0) from the standard normal law."""
        raise NotOffered

    def L_t_minus_1(self, x_0: Array, t: Array, noise: Array, eps: Array, variance: str) -> Array:
        """The bound's term for t ≥ 2, given what the network predicts, not clipped."""
        raise NotOffered

    def L_simple(self, noise: Array, eps: Array) -> Array:
        """The squared error of the predicted noise, averaged over coordinates."""
        raise NotOffered


def words(error: BaseException) -> str:
    """Return what an error says, in one line that can be printed; nothing, if it cannot say it."""
    try:
        return " ".join(printable(str(error)).split())
    except Exception:  # an implementation's own class of errors may be wrong as well
        return ""


def described(error: BaseException) -> str:
    """Return the kind of an error and what it says."""
    return f"{type(error).__name__}: {words(error)}"


def printable(text: str) -> str:
    """Replace what no file or terminal takes: half of a surrogate pair, and control characters."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def make(kind: type[Adapter], betas: Array, dtype: str, device: str) -> Adapter:
    """Make an adapter, and see that it has not stored something under the name of one of its functions.

    Raises:
        TypeError: if it has; and whatever the adapter raises.
    """
    adapter = kind(betas, dtype, device)
    for name, value in getattr(adapter, "__dict__", {}).items():
        if callable(getattr(Adapter, name, None)) and not callable(value):
            raise TypeError(
                f"self.{name} must be the protocol's function of that name; got {type(value).__name__}: "
                f"store it as self._{name}"
            )
    return adapter


def place(name: str) -> tuple[str, str]:
    """Say in which module an adapter is, and what it is called there, without importing it.

    Raises:
        ValueError: if it is none that comes with the kit, and not of the form `package.module:Class`.
    """
    module, _, attribute = BUILT_IN.get(name, name).partition(":")
    if not attribute or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(
            f"adapter must be one of {', '.join(BUILT_IN)}, or package.module:Class; got {name!r}"
        )
    return module, attribute


def load(name: str) -> type[Adapter]:
    """Find an adapter: one that comes with the kit, or `package.module:Class`.

    Raises:
        ValueError: if there is none of that name, or what it needs is not installed.
    """
    module, attribute = place(name)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the implementation raises when it is imported
        if isinstance(error, AttributeError) and error.obj is sys.modules.get(module):
            raise ValueError(f"adapter {name}: {module} has no {attribute}") from error
        if name in PACKAGES and isinstance(error, ModuleNotFoundError):
            raise ValueError(
                f"adapter {name} needs {error.name}, which is not here: pip install {PACKAGES[name]}"
            ) from error
        raise ValueError(f"adapter {name} cannot be imported: {described(error)}") from error
    if not isinstance(found, type):
        raise ValueError(f"adapter {name} must be a class; got {type(found).__name__}")
    return found
