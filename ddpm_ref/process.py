"""The forward process q, its posterior, the four things a network can predict, and one reverse step of p.

For noise eps ~ N(0, I) and t in 1..T,

    x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) eps
    mu  = the mean of q(x_{t−1} | x_t, x_0)
    v   = √ᾱ_t eps − √(1 − ᾱ_t) x_0

so that, given x_t, any one of x_0, eps, mu and v determines the others.

Everywhere, images have shape (B, ...) with any number of further dimensions, and t is an int or an integer
tensor of shape (B,), in 1..T. Images come back in the dtype they came in, rounded once: half precision is
computed in float32. The mean and variance of a distribution, and everything in nats, stay in that working
dtype. Every function raises `ValueError` where shapes do not match or t is out of range, and `TypeError`
where t is not integer or an image not floating point.

No function here looks at its numbers, which would make an accelerator wait: nan in an image gives nan in that
image, and what the dtype cannot hold gives infinity. The loops that call them stop at either.

Source: Ho, Jain, Abbeel 2020, sections 2 and 3; for v, Salimans, Ho 2022.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ddpm_ref.gaussian import Gaussian
from ddpm_ref.schedule import Schedule, working_dtype

__all__ = [
    "Prediction",
    "ReverseStep",
    "Variance",
    "check_choices",
    "eps_from_mu",
    "eps_from_v",
    "eps_from_x0",
    "learned_log_variance",
    "mu_from_eps",
    "mu_from_x0",
    "p_mean_variance",
    "p_sample",
    "q_mean_variance",
    "q_posterior",
    "q_sample",
    "target",
    "to_eps",
    "to_x0",
    "v_from_eps",
    "v_from_x0",
    "x0_from_eps",
    "x0_from_mu",
    "x0_from_v",
]

Prediction = Literal["eps", "x0", "mu", "v"]
"""What a network predicts."""

Variance = Literal["fixed_large", "fixed_small", "learned"]
"""The variance of `p(x_{t−1} | x_t)`: `β_t` or `β̃_t`, both with `β̃_2` at t = 1, or learned between them."""


# -- the forward process -------------------------------------------------------------------------------------


def q_sample(schedule: Schedule, x_0: Tensor, t: int | Tensor, noise: Tensor) -> Tensor:
    """Diffuse a clean image to step t: `x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) noise`.

    Claim: [forward.sample][]. Source: Ho et al. 2020, equation 4.
    """
    _check(schedule, t, x_0=x_0, noise=noise)
    signal = schedule.at("sqrt_alpha_bar", t, x_0)
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_0)
    return (signal * x_0 + sigma * noise).to(x_0.dtype)


def q_mean_variance(schedule: Schedule, x_0: Tensor, t: int | Tensor) -> Gaussian:
    """Return the law of `x_t` given `x_0`: mean `√ᾱ_t x_0`, variance `1 − ᾱ_t`.

    Claim: [forward.marginal][]. Source: Ho et al. 2020, equation 4.
    """
    _check(schedule, t, x_0=x_0)
    return Gaussian(schedule.at("sqrt_alpha_bar", t, x_0) * x_0, schedule.at("one_minus_alpha_bar", t, x_0))


def q_posterior(schedule: Schedule, x_0: Tensor, x_t: Tensor, t: int | Tensor) -> Gaussian:
    """Return the law of `x_{t−1}` given `x_t` and `x_0`.

    Mean `√ᾱ_{t−1} β_t/(1 − ᾱ_t) x_0 + √α_t (1 − ᾱ_{t−1})/(1 − ᾱ_t) x_t`, variance
    `β_t (1 − ᾱ_{t−1})/(1 − ᾱ_t)`. At t = 1 it is the point `x_0`: the variance is 0.

    Claims: [posterior.mean][], [posterior.variance][], [posterior.law][], [posterior.first-step][]. Source:
    Ho et al. 2020, equations 6 and 7.
    """
    _check(schedule, t, x_0=x_0, x_t=x_t)
    mean = (
        schedule.at("posterior_mean_coef_x0", t, x_t) * x_0
        + schedule.at("posterior_mean_coef_xt", t, x_t) * x_t
    )
    return Gaussian(mean, schedule.at("posterior_variance", t, x_t))


# -- eps and x_0 ---------------------------------------------------------------------------------------------


def x0_from_eps(schedule: Schedule, x_t: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """Return the clean image that noise `eps` leaves: `x_0 = (x_t − √(1 − ᾱ_t) eps) / √ᾱ_t`.

    Claim: [parameterization.x0-from-eps][]. Source: Ho et al. 2020, equation 15.
    """
    _check(schedule, t, x_t=x_t, eps=eps)
    signal = schedule.at("sqrt_alpha_bar", t, x_t)
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_t)
    return ((x_t - sigma * eps) / signal).to(x_t.dtype)


def eps_from_x0(schedule: Schedule, x_t: Tensor, t: int | Tensor, x_0: Tensor) -> Tensor:
    """Return the noise between `x_0` and `x_t`: `eps = (x_t − √ᾱ_t x_0) / √(1 − ᾱ_t)`.

    Claim: [parameterization.eps-from-x0][].
    """
    _check(schedule, t, x_t=x_t, x_0=x_0)
    signal = schedule.at("sqrt_alpha_bar", t, x_t)
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_t)
    return ((x_t - signal * x_0) / sigma).to(x_t.dtype)


# -- mu, the posterior mean ----------------------------------------------------------------------------------


def mu_from_x0(schedule: Schedule, x_t: Tensor, t: int | Tensor, x_0: Tensor) -> Tensor:
    """Return the mean of [q_posterior][ddpm_ref.process.q_posterior], which is `x_0` at t = 1.

    Claim: [posterior.mean][]. Source: Ho et al. 2020, equation 7.
    """
    return q_posterior(schedule, x_0, x_t, t).mean.to(x_t.dtype)


def x0_from_mu(schedule: Schedule, x_t: Tensor, t: int | Tensor, mu: Tensor) -> Tensor:
    """Solve the posterior mean for the clean image.

    `x_0 = ((1 − ᾱ_t) mu − √α_t (1 − ᾱ_{t−1}) x_t) / (√ᾱ_{t−1} β_t)`.

    Claim: [parameterization.x0-from-mean][].
    """
    _check(schedule, t, x_t=x_t, mu=mu)
    of_x0 = schedule.at("posterior_mean_coef_x0", t, x_t)
    of_xt = schedule.at("posterior_mean_coef_xt", t, x_t)
    return ((mu - of_xt * x_t) / of_x0).to(x_t.dtype)


def mu_from_eps(schedule: Schedule, x_t: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """Return the posterior mean that noise `eps` implies: `mu = (x_t − β_t/√(1 − ᾱ_t) eps) / √α_t`.

    Claim: [parameterization.mean-from-eps][]. Source: Ho et al. 2020, equation 11.
    """
    _check(schedule, t, x_t=x_t, eps=eps)
    of_eps = schedule.at("mean_coef_eps", t, x_t)
    return ((x_t - of_eps * eps) / schedule.at("sqrt_alpha", t, x_t)).to(x_t.dtype)


def eps_from_mu(schedule: Schedule, x_t: Tensor, t: int | Tensor, mu: Tensor) -> Tensor:
    """Return the noise that a posterior mean implies: `eps = (x_t − √α_t mu) √(1 − ᾱ_t) / β_t`.

    Claim: [parameterization.eps-from-mean][].
    """
    _check(schedule, t, x_t=x_t, mu=mu)
    of_eps = schedule.at("mean_coef_eps", t, x_t)
    return ((x_t - schedule.at("sqrt_alpha", t, x_t) * mu) / of_eps).to(x_t.dtype)


# -- v -------------------------------------------------------------------------------------------------------


def v_from_x0(schedule: Schedule, x_t: Tensor, t: int | Tensor, x_0: Tensor) -> Tensor:
    """Return v, given the clean image: `v = (√ᾱ_t x_t − x_0) / √(1 − ᾱ_t)`.

    Claim: [parameterization.v-from-x0][].
    """
    _check(schedule, t, x_t=x_t, x_0=x_0)
    signal = schedule.at("sqrt_alpha_bar", t, x_t)
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_t)
    return ((signal * x_t - x_0) / sigma).to(x_t.dtype)


def v_from_eps(schedule: Schedule, x_t: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """Return v, given the noise: `v = (eps − √(1 − ᾱ_t) x_t) / √ᾱ_t`.

    Claim: [parameterization.v-from-eps][].
    """
    _check(schedule, t, x_t=x_t, eps=eps)
    signal = schedule.at("sqrt_alpha_bar", t, x_t)
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_t)
    return ((eps - sigma * x_t) / signal).to(x_t.dtype)


def x0_from_v(schedule: Schedule, x_t: Tensor, t: int | Tensor, v: Tensor) -> Tensor:
    """Return the clean image that v implies: `x_0 = √ᾱ_t x_t − √(1 − ᾱ_t) v`.

    Claim: [parameterization.x0-from-v][]. Source: Salimans, Ho 2022, appendix D.
    """
    _check(schedule, t, x_t=x_t, v=v)
    signal = schedule.at("sqrt_alpha_bar", t, x_t)
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_t)
    return (signal * x_t - sigma * v).to(x_t.dtype)


def eps_from_v(schedule: Schedule, x_t: Tensor, t: int | Tensor, v: Tensor) -> Tensor:
    """Return the noise that v implies: `eps = √(1 − ᾱ_t) x_t + √ᾱ_t v`.

    Claim: [parameterization.eps-from-v][]. Source: Salimans, Ho 2022, appendix D.
    """
    _check(schedule, t, x_t=x_t, v=v)
    signal = schedule.at("sqrt_alpha_bar", t, x_t)
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_t)
    return (sigma * x_t + signal * v).to(x_t.dtype)


# -- by name -------------------------------------------------------------------------------------------------


def target(
    schedule: Schedule,
    x_0: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    noise: Tensor,
    *,
    prediction: Prediction = "eps",
) -> Tensor:
    """Return what the network should have predicted, where `x_t` was made from `x_0` and `noise`.

    For v it is the definition, `√ᾱ_t noise − √(1 − ᾱ_t) x_0`. Claim: [parameterization.v][].

    Raises:
        ValueError: also if `prediction` is unknown.
    """
    _check(schedule, t, x_0=x_0, x_t=x_t, noise=noise)
    match prediction:
        case "eps":
            return noise
        case "x0":
            return x_0
        case "mu":
            return mu_from_x0(schedule, x_t, t, x_0)
        case "v":
            signal = schedule.at("sqrt_alpha_bar", t, x_0)
            sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_0)
            return (signal * noise - sigma * x_0).to(x_0.dtype)
        case _:
            raise _unknown("prediction", prediction, Prediction)


def to_x0(
    schedule: Schedule,
    prediction_value: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    *,
    prediction: Prediction = "eps",
) -> Tensor:
    """Return the clean image that a prediction implies.

    Raises:
        ValueError: also if `prediction` is unknown.
    """
    _check(schedule, t, x_t=x_t, prediction_value=prediction_value)
    match prediction:
        case "eps":
            return x0_from_eps(schedule, x_t, t, prediction_value)
        case "x0":
            return prediction_value.to(x_t.dtype)
        case "mu":
            return x0_from_mu(schedule, x_t, t, prediction_value)
        case "v":
            return x0_from_v(schedule, x_t, t, prediction_value)
        case _:
            raise _unknown("prediction", prediction, Prediction)


def to_eps(
    schedule: Schedule,
    prediction_value: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    *,
    prediction: Prediction = "eps",
) -> Tensor:
    """Return the noise that a prediction implies.

    Raises:
        ValueError: also if `prediction` is unknown.
    """
    _check(schedule, t, x_t=x_t, prediction_value=prediction_value)
    match prediction:
        case "eps":
            return prediction_value.to(x_t.dtype)
        case "x0":
            return eps_from_x0(schedule, x_t, t, prediction_value)
        case "mu":
            return eps_from_mu(schedule, x_t, t, prediction_value)
        case "v":
            return eps_from_v(schedule, x_t, t, prediction_value)
        case _:
            raise _unknown("prediction", prediction, Prediction)


# -- the reverse process -------------------------------------------------------------------------------------


class ReverseStep(NamedTuple):
    """The law `p(x_{t−1} | x_t)`, and the clean image it aims at."""

    mean: Tensor  # (B, ...)
    variance: Tensor  # (B, ...) if learned; else (B, 1, ..., 1), or (1, 1, ..., 1) where t is an int
    log_variance: Tensor  # natural logarithm, shaped like variance
    x0_hat: Tensor  # (B, ...), clipped if asked for

    def sample(self, t: int | Tensor, noise: Tensor | None) -> Tensor:
        """Return `mean + σ_t noise`, and the mean alone wherever t = 1.

        `noise` may be None if t = 1 everywhere.

        Claim: [sampling.ancestral-step][].

        Raises:
            ValueError: if `noise` is missing or does not have the shape of the mean.
        """
        last = t == 1  # bool, or (B,)
        if noise is None:
            if not bool(torch.as_tensor(last).all()):
                raise ValueError("noise must be given unless t = 1; got None")
            return self.mean
        if noise.shape != self.mean.shape:
            raise ValueError(f"noise must have shape {tuple(self.mean.shape)}; got {tuple(noise.shape)}")
        if isinstance(last, bool):
            return self.mean if last else self.mean + self.variance.sqrt() * noise
        return torch.where(
            last.to(self.mean.device).reshape(-1, *(1,) * (self.mean.dim() - 1)),
            self.mean,
            self.mean + self.variance.sqrt() * noise,
        )


def p_mean_variance(
    schedule: Schedule,
    prediction_value: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    *,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    variance_value: Tensor | None = None,
    clip: bool = True,
) -> ReverseStep:
    """Return the law `p(x_{t−1} | x_t)` that a network's prediction defines.

    The prediction is turned into `x0_hat`; with `clip` that is clipped to [−1, 1], *before* the mean is
    computed; the mean is the posterior mean for `x0_hat`. The variance is fixed, and at t = 1 both choices
    hold `β̃_2`; or it is learned, and [learned_log_variance][ddpm_ref.process.learned_log_variance] reads it
    from `variance_value`.

    Claims: [posterior.mean][], [posterior.log-variance-clipped][]. Source: Ho et al. 2020, section 3.2.

    Raises:
        ValueError: also if `prediction` or `variance` is unknown, or `variance_value` is missing where the
            variance is learned, or given where it is fixed.
    """
    check_choices(prediction, variance)
    if (variance_value is None) == (variance == "learned"):
        given = "None" if variance_value is None else "a tensor"
        raise ValueError(
            "variance_value must be given if variance is 'learned', and only then; "
            f"got {given} with {variance!r}"
        )
    schedule.check_t(t, x_t)
    x_t = x_t.to(working_dtype(x_t.dtype))
    x0_hat = to_x0(schedule, prediction_value, x_t, t, prediction=prediction)
    if clip:
        x0_hat = x0_hat.clamp(-1, 1)
    mean = q_posterior(schedule, x0_hat, x_t, t).mean
    if variance_value is not None:
        log_variance = learned_log_variance(schedule, variance_value.to(x_t.dtype), t)
        return ReverseStep(mean, log_variance.exp(), log_variance, x0_hat)
    return ReverseStep(
        mean=mean,
        variance=schedule.at(f"variance_{variance}", t, x_t),
        log_variance=schedule.at(f"log_variance_{variance}", t, x_t),
        x0_hat=x0_hat,
    )


def learned_log_variance(schedule: Schedule, variance_value: Tensor, t: int | Tensor) -> Tensor:
    """Return the logarithm of the variance that a network places between `β̃_t` and `β_t`.

    `log σ_t² = v log β_t + (1 − v) log β̃_t` with `v = (variance_value + 1)/2`: 1 means `β_t`, −1 means
    `β̃_t`, and a value outside [−1, 1] a variance outside the two. At t = 1 `β̃_2` stands for `β̃_1`, which is
    0 and has no logarithm, while `β_1` stays (where T = 1, both are `β_1`).

    Claim: [parameterization.learned-variance][]. Source: Nichol, Dhariwal 2021, equation 15.

    Args:
        schedule: the noise schedule.
        variance_value: shape (B, ...), any real number per coordinate.
        t: in 1..T; an int, or an integer tensor of shape (B,).

    Returns:
        Shaped like `variance_value`; float32 for half precision.
    """
    _check(schedule, t, variance_value=variance_value)
    output = variance_value.to(working_dtype(variance_value.dtype))
    high = schedule.at("log_beta", t, output)
    low = schedule.at("log_variance_fixed_small", t, output)
    return (1 + output) / 2 * high + (1 - output) / 2 * low


def p_sample(
    schedule: Schedule,
    prediction_value: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    noise: Tensor | None,
    *,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    variance_value: Tensor | None = None,
    clip: bool = True,
) -> Tensor:
    """Take one ancestral step: `x_{t−1} = mean + σ_t noise`, without the noise where t = 1.

    Claims: [sampling.ancestral-step][], [sampling.last-step][]. Source: Ho et al. 2020, algorithm 2.

    Raises:
        ValueError: also if `prediction` or `variance` is unknown, `variance_value` does not go with
            `variance`, or `noise` is None although t > 1.
    """
    step = p_mean_variance(
        schedule,
        prediction_value,
        x_t,
        t,
        prediction=prediction,
        variance=variance,
        variance_value=variance_value,
        clip=clip,
    )
    return step.sample(t, noise).to(x_t.dtype)


# -- checks --------------------------------------------------------------------------------------------------


def check_choices(prediction: str, variance: str) -> None:
    """Raise `ValueError` unless both are names that `p_mean_variance` knows."""
    if prediction not in get_args(Prediction):
        raise _unknown("prediction", prediction, Prediction)
    if variance not in get_args(Variance):
        raise _unknown("variance", variance, Variance)


def _unknown(argument: str, given: object, choices: object) -> ValueError:
    return ValueError(f"{argument} must be one of {', '.join(get_args(choices))}; got {given!r}")


def _check(schedule: Schedule, t: int | Tensor, **images: Tensor) -> None:
    first, like = next(iter(images.items()))
    for name, image in images.items():
        if not image.is_floating_point():
            raise TypeError(f"{name} must be floating point; got {image.dtype}")
        if image.shape != like.shape:
            raise ValueError(
                f"{name} must have the shape of {first}, {tuple(like.shape)}; got {tuple(image.shape)}"
            )
    schedule.check_t(t, like)
