"""The score `∇ log q(x_t)`: from the noise and back, Tweedie's formula, and denoising score matching.

A model that predicts the noise predicts a score, on another scale. Shapes, dtypes, errors and what becomes of
nan are those of `ddpm_ref.process`.

Source: Ho, Jain, Abbeel 2020, section 3.2; Song, Ermon 2019; Vincent 2011.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

from ddpm_ref.gaussian import check_same_shape, sum_coordinates
from ddpm_ref.objective import Model, predict, weight
from ddpm_ref.process import Prediction, Variance, check_choices, eps_from_x0, q_sample, to_eps, to_x0
from ddpm_ref.schedule import Schedule, working_dtype

__all__ = [
    "Score",
    "Weighting",
    "denoising_score_matching",
    "eps_from_score",
    "noise_level",
    "score_from_eps",
    "score_of",
    "x0_from_score",
]

Score = Callable[[Tensor, int | Tensor], Tensor]
"""`(x_t, t) -> ∇ log q(x_t)`, shaped like `x_t`; t is an int or an integer tensor of shape (B,), in 1..T."""

Weighting = Literal["simple", "objective", "bound"]
"""What a squared error of the score is multiplied by; `denoising_score_matching` says what each is."""


def score_from_eps(schedule: Schedule, eps: Tensor, t: int | Tensor) -> Tensor:
    """Return the score that noise means: `s = −eps / √(1 − ᾱ_t)`.

    For the noise in `x_t` it is the score of `q(x_t | x_0)`; for its mean given `x_t`, which the best network
    predicts, the score of `q(x_t)`.

    Claim: [score.kernel][]. Source: Ho et al. 2020, section 3.2.
    """
    schedule.check_t(t, eps)
    return (-eps / schedule.at("sqrt_one_minus_alpha_bar", t, eps)).to(eps.dtype)


def eps_from_score(schedule: Schedule, score: Tensor, t: int | Tensor) -> Tensor:
    """Return the noise that a score means: `eps = −√(1 − ᾱ_t) s`.

    In an ancestral step it gives `x_{t−1} = (x_t + β_t s)/√α_t + σ_t z`.

    Claims: [score.optimal-eps][], [score.algorithm-2][].
    """
    schedule.check_t(t, score)
    return (-schedule.at("sqrt_one_minus_alpha_bar", t, score) * score).to(score.dtype)


def x0_from_score(schedule: Schedule, x_t: Tensor, t: int | Tensor, score: Tensor) -> Tensor:
    """Return the mean of `x_0` given `x_t`, Tweedie's formula: `(x_t + (1 − ᾱ_t) s) / √ᾱ_t`.

    Claim: [score.tweedie][]. Source: Efron 2011.
    """
    schedule.check_t(t, x_t)
    check_same_shape("score", score, x_t)
    moved = x_t + schedule.at("one_minus_alpha_bar", t, x_t) * score
    return (moved / schedule.at("sqrt_alpha_bar", t, x_t)).to(x_t.dtype)


def noise_level(schedule: Schedule, t: int | Tensor, like: Tensor) -> Tensor:
    """Return the deviation of the noise when the image is not shrunk: `√((1 − ᾱ_t) / ᾱ_t)`.

    `x_t / √ᾱ_t` is `x_0` plus noise of this deviation, the σ of noise-conditional score networks and of EDM.
    On that scale the score is `√ᾱ_t` times the one of `x_t`.

    Claim: [score.noise-level][]. Source: Song et al. 2021, appendix B.

    Returns:
        Shape (B, 1, ..., 1), or (1, 1, ..., 1) where t is an int; float32 for half precision.
    """
    schedule.check_t(t, like)
    return schedule.at("sqrt_one_minus_alpha_bar", t, like) / schedule.at("sqrt_alpha_bar", t, like)


def score_of(
    model: Model,
    schedule: Schedule,
    *,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = False,
) -> Score:
    """Turn a model into a score.

    With `clip`, Tweedie's image is kept in [−1, 1]: the score is that of the noise between `x_t` and the
    clipped `x̂_0`, which a sampler that clips follows too.

    Claim: [score.kernel][].

    Args:
        model: any callable `(x_t, t) -> prediction`.
        schedule: the noise schedule that it was trained with.
        prediction: what it predicts.
        variance: "learned" if it returns twice the channels; of no effect otherwise.
        clip: whether to clip the predicted clean image to [−1, 1].

    Raises:
        ValueError: if `prediction` or `variance` is unknown; when called, if the model returns a wrong shape.
    """
    check_choices(prediction, variance)

    def score(x_t: Tensor, t: int | Tensor) -> Tensor:
        schedule.check_t(t, x_t)
        value = predict(model, x_t, t, variance=variance).prediction_value
        exact = x_t.to(working_dtype(x_t.dtype))
        if clip:
            x0_hat = to_x0(schedule, value, exact, t, prediction=prediction).clamp(-1, 1)
            eps = eps_from_x0(schedule, exact, t, x0_hat)
        else:
            eps = to_eps(schedule, value, exact, t, prediction=prediction)
        return score_from_eps(schedule, eps, t).to(x_t.dtype)

    return score


def denoising_score_matching(
    score: Model,
    schedule: Schedule,
    x_0: Tensor,
    t: int | Tensor,
    noise: Tensor,
    *,
    weighting: Weighting = "simple",
    variance: Variance = "fixed_large",
) -> Tensor:
    """Return the weighted squared error of a score network, summed over the coordinates, per example.

    The score is compared with that of `q(x_t | x_0)`, `g = −noise / √(1 − ᾱ_t)`, at `x_t = √ᾱ_t x_0 +
    √(1 − ᾱ_t) noise`. Its mean over `x_0` and the noise is smallest where the score is that of `q(x_t)`, and
    even there it is positive.

    - `"simple"`: `(1 − ᾱ_t) ‖s − g‖²`, which is the error of the noise: d times L_simple.
    - `"objective"`: `½ ‖s − g‖²`, that of noise-conditional score networks at deviation `√(1 − ᾱ_t)`.
    - `"bound"`: `β_t²/(2 σ_t² α_t) ‖s − g‖²`, in nats: `L_{t−1}`, but for what does not depend on the score.

    Claims: [score.eps-prediction][], [score.objective][], [score.bound-weight][]. Source: Song, Ermon 2019,
    equation 5; Ho et al. 2020, equation 12.

    Args:
        score: any callable `(x_t, t) -> score`, where t is an int64 tensor of shape (B,) in 1..T.
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).
        t: in 1..T; an int, or an integer tensor of shape (B,).
        noise: standard normal, shaped like `x_0`.
        weighting: what to multiply the squared error by.
        variance: the variance σ_t² in the weight "bound", one of the fixed ones.

    Returns:
        Shape (B,); float32 for half precision.

    Raises:
        ValueError: if shapes do not match, t is out of range, or `weighting` or `variance` is unknown.
        TypeError: if t is not integer or `x_0` not floating point.
    """
    if weighting not in get_args(Weighting):
        raise ValueError(f"weighting must be one of {', '.join(get_args(Weighting))}; got {weighting!r}")
    check_choices("eps", variance)
    x_t = q_sample(schedule, x_0, t, noise)
    estimate = predict(score, x_t, t).prediction_value.to(working_dtype(x_t.dtype))
    sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_t)
    squares = (sigma * estimate + noise).square()  # (1 − ᾱ_t)(s − g)², per coordinate
    if weighting == "objective":
        squares = squares / (2 * schedule.at("one_minus_alpha_bar", t, x_t))
    elif weighting == "bound":
        squares = weight(schedule, t, x_t, variance=variance) * squares
    return sum_coordinates(squares, squares)
