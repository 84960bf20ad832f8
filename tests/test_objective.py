"""The bound's terms: what the code returns is the claim's divergence of the two laws that it compares."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref import objective, process
from ddpm_ref.decoder import CDF, decoder_log_likelihood, from_levels
from ddpm_ref.gaussian import Gaussian
from ddpm_ref.process import Prediction, Variance
from ddpm_ref.schedule import linear
from tests.oracle import CLAIMS, Case, cases, evaluate, exact, mp


def always(answer: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A model that predicts the same whatever it sees."""
    return answer


@pytest.mark.holds("parameterization.L-t-1", "parameterization.learned-variance")
@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small", "learned"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
@given(case=cases(first=2))
def test_a_term_is_the_divergence_of_posterior_and_reverse_step(
    prediction: Prediction, variance: Variance, case: Case
) -> None:
    x_0, eps, predicted = (x.double().reshape(len(x), 1, -1) for x in (case.x_0, case.eps, case.eps_theta))
    # One output for all coordinates of an example: the claim's σ is one number.
    output = torch.linspace(-1.5, 1.5, len(x_0), dtype=torch.float64).reshape(-1, 1, 1).expand_as(x_0)
    x_t = process.q_sample(case.schedule, x_0, case.t, eps)
    answer = torch.cat([predicted, output], 1) if variance == "learned" else predicted
    found = objective.L_t_minus_1(
        lambda x, t: answer,
        case.schedule,
        x_0,
        case.t,
        eps,
        prediction=prediction,
        variance=variance,
        clip=False,
    )
    means = {
        "eps": process.mu_from_eps(case.schedule, x_t, case.t, predicted),
        "x0": process.mu_from_x0(case.schedule, x_t, case.t, predicted),
        "mu": predicted,
        "v": process.mu_from_x0(
            case.schedule, x_t, case.t, process.x0_from_v(case.schedule, x_t, case.t, predicted)
        ),
    }
    posterior = process.q_posterior(case.schedule, x_0, x_t, case.t)
    for i in range(len(case.t)):
        values = case.values(i)
        values["beta_tilde_t"] = evaluate(CLAIMS["posterior.variance"].value, values)
        values["variance_output"] = mp.mpf(float(output[i, 0, 0]))
        squared = {
            "fixed_large": values["beta_t"],
            "fixed_small": values["beta_tilde_t"],
            "learned": mp.exp(evaluate(CLAIMS["parameterization.learned-variance"].value, values)),
        }[variance]
        values["sigma_t"] = mp.sqrt(squared)
        values["mu_tilde"], values["mu_theta"] = exact(posterior.mean[i]), exact(means[prediction][i])
        truth = evaluate(CLAIMS["parameterization.L-t-1"].value, values)
        # the two means are rounded before their difference is squared
        size = np.abs(values["mu_tilde"]) + np.abs(values["mu_theta"]) + np.abs(exact(x_t[i]))
        rounding = 2.0**-52 * (np.sum(size**2) / squared + values["d"])
        assert abs(exact(found[i]) - truth) <= 64 * rounding


@given(case=cases(first=2), variance=st.sampled_from(["fixed_large", "fixed_small"]))
def test_the_weight_turns_the_simple_objective_into_the_bounds_term(case: Case, variance: Variance) -> None:
    """L_{t-1} at two predictions differs by d λ_t times the difference of L_simple: no constant is left."""
    x_0, eps = case.x_0.double(), case.eps.double()
    terms, losses = [], []
    for guess in (case.eps_theta.double(), 2 * case.eps_theta.double()):
        model = partial(always, guess)
        terms.append(
            objective.L_t_minus_1(model, case.schedule, x_0, case.t, eps, variance=variance, clip=False)
        )
        losses.append(objective.L_simple(model, case.schedule, x_0, case.t, eps))
    factor = objective.weight(case.schedule, case.t, losses[0], variance=variance)
    d = x_0[0].numel()
    difference = d * factor * (losses[1] - losses[0])
    size = float((d * factor * (losses[0] + losses[1] + 1)).max())
    torch.testing.assert_close(terms[1] - terms[0], difference, rtol=1e-6, atol=1e-6 * size)


@given(case=cases(first=2))
def test_a_network_that_predicts_the_noise_pays_only_the_constant(case: Case) -> None:
    """With the posterior's own variance the constant is zero, so the term is."""
    x_0, eps = case.x_0.double(), case.eps.double()
    found = objective.L_t_minus_1(
        lambda x, t: eps, case.schedule, x_0, case.t, eps, variance="fixed_small", clip=False
    )
    scale = 1 / case.schedule.variance_fixed_small[case.t]
    assert (found <= 1e-24 * scale * x_0[0].numel() * 1e3 + 1e-12).all()


@given(case=cases(), prediction=st.sampled_from(["eps", "x0", "mu", "v"]))
def test_a_network_that_predicts_the_target_has_no_loss(case: Case, prediction: Prediction) -> None:
    x_t = process.q_sample(case.schedule, case.x_0, case.t, case.eps)
    target = process.target(case.schedule, case.x_0, x_t, case.t, case.eps, prediction=prediction)
    loss = objective.L_simple(
        lambda x, t: target, case.schedule, case.x_0, case.t, case.eps, prediction=prediction
    )
    assert (loss == 0).all()


@given(case=cases(), integer=st.sampled_from([None, torch.uint8, torch.int32, torch.int64]))
def test_the_network_sees_the_noised_image_and_the_papers_t(case: Case, integer: torch.dtype | None) -> None:
    """As int64 for each example, whether t was given as one int for all or in whatever dtype."""
    given_t = int(case.t[0]) if integer is None else case.t.to(integer)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def model(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append((x_t, t))
        return torch.zeros_like(x_t)

    objective.L_simple(model, case.schedule, case.x_0, given_t, case.eps)
    ((x_t, t),) = seen
    assert t.dtype == torch.int64
    assert torch.equal(t, case.t if integer else case.t[:1].expand(len(case.t)))
    assert torch.equal(x_t, process.q_sample(case.schedule, case.x_0, given_t, case.eps))


# -- the bound as a loss -------------------------------------------------------------------------------------

T = 6
SCHEDULE = linear(T, 0.02, 0.3)


def batch(levels: int = 17) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images on a grid, a step for each that covers 1..T, and noise."""
    generator = torch.Generator().manual_seed(1)
    k = torch.randint(levels, (T, 2, 3), generator=generator).double()
    noise = torch.randn(k.shape, generator=generator, dtype=torch.float64)
    return from_levels(k, levels), torch.arange(1, T + 1), noise


class Affine(torch.nn.Module):
    """A network with two weights for what it predicts and, if asked, two for the variance."""

    def __init__(self, variance: Variance) -> None:
        super().__init__()
        self.prediction = torch.nn.Parameter(torch.tensor([0.3, 0.1], dtype=torch.float64))
        self.variance = torch.nn.Parameter(torch.tensor([0.2, -0.4], dtype=torch.float64))
        self.learned = variance == "learned"

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        parts = [self.prediction[0] * x_t + self.prediction[1]]
        if self.learned:
            parts.append(self.variance[0] * x_t + self.variance[1])
        return torch.cat(parts, 1)


@pytest.mark.holds("bound.terms", "decoder.bits-per-dim")
@pytest.mark.parametrize(("levels", "cdf"), [(17, "exact"), (17, "tanh"), (None, "exact")])
@pytest.mark.parametrize("variance", ["fixed_large", "learned"])
def test_the_vlb_is_T_times_one_term_in_bits_per_dimension(
    variance: Variance, levels: int | None, cdf: CDF
) -> None:
    x_0, t, noise = batch()
    model = Affine(variance)
    found = objective.L_vlb(model, SCHEDULE, x_0, t, noise, variance=variance, levels=levels, cdf=cdf)
    if variance == "fixed_large":
        assert found.equal(objective.L_vlb(model, SCHEDULE, x_0, t, noise, levels=levels, cdf=cdf))
    for i in range(T):
        one = (SCHEDULE, x_0[i : i + 1], int(t[i]), noise[i : i + 1])
        if t[i] > 1:
            nats = objective.L_t_minus_1(model, *one, variance=variance, clip=False)
        else:
            x_t = process.q_sample(*one)
            output = objective.predict(model, x_t, 1, variance=variance)
            step = process.p_mean_variance(
                SCHEDULE,
                output.prediction_value,
                x_t,
                1,
                variance=variance,
                variance_value=output.variance_value,
                clip=False,
            )
            decoder = Gaussian(step.mean, step.variance)
            nats = -decoder_log_likelihood(decoder, one[1], levels=levels, cdf=cdf)
        values = {"nats": exact(nats.detach())[0], "d": mp.mpf(x_0[0].numel())}
        truth = T * evaluate(CLAIMS["decoder.bits-per-dim"].value, values)
        assert abs(exact(found[i].detach().reshape(1))[0] - truth) <= 1e-13 * abs(truth)


ROWS: list[tuple[Prediction, Variance, objective.Model]] = [
    (prediction, variance, Affine(variance))
    for prediction in ("eps", "x0", "mu", "v")
    for variance in ("fixed_large", "fixed_small", "learned")
]


@pytest.mark.parametrize(("prediction", "variance", "model"), ROWS)
def test_the_vlb_has_the_gradient_that_differences_say(
    prediction: Prediction, variance: Variance, model: Affine
) -> None:
    """At every t at once, t = 1 among them, where the divergence that is not used must not leak."""
    x_0, t, noise = batch()
    weights = (model.prediction, model.variance) if variance == "learned" else (model.prediction,)

    def loss(*given: torch.Tensor) -> torch.Tensor:
        named = dict(zip(("prediction", "variance"), given, strict=False))
        return objective.L_vlb(
            lambda x_t, t: torch.func.functional_call(model, named, (x_t, t)),
            SCHEDULE,
            x_0,
            t,
            noise,
            prediction=prediction,
            variance=variance,
            levels=17,
        )

    assert loss(*weights).isfinite().all()
    torch.autograd.gradcheck(loss, weights, rtol=1e-4)


def gradients(loss: torch.Tensor, model: Affine) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss.sum(), (model.prediction, model.variance))


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_the_hybrid_trains_the_prediction_on_one_part_and_the_variance_on_the_other(
    prediction: Prediction,
) -> None:
    x_0, t, noise = batch()
    model = Affine("learned")
    hybrid = gradients(
        objective.L_hybrid(model, SCHEDULE, x_0, t, noise, prediction=prediction, levels=17), model
    )
    simple = gradients(
        objective.L_simple(
            lambda x, t: model(x, t).chunk(2, 1)[0], SCHEDULE, x_0, t, noise, prediction=prediction
        ),
        model,
    )
    vlb = gradients(
        objective.L_vlb(model, SCHEDULE, x_0, t, noise, prediction=prediction, variance="learned", levels=17),
        model,
    )
    torch.testing.assert_close(hybrid[0], simple[0])
    torch.testing.assert_close(hybrid[1], 0.001 * vlb[1])
    assert (simple[1] == 0).all()
    assert (vlb[0] != 0).all()  # so that it had something to stop


def test_float32_keeps_the_digits_of_small_terms() -> None:
    """The term at t = 1000 of the paper's schedule: two means that agree in their first four digits."""
    schedule = linear()
    generator = torch.Generator().manual_seed(0)
    x_0 = from_levels(torch.randint(256, (8, 3, 8, 8), generator=generator).float())
    noise = torch.randn(x_0.shape, generator=generator)
    found, truth = (
        objective.L_t_minus_1(
            lambda x, t: torch.zeros_like(x), schedule, x_0.to(dtype), 1000, noise.to(dtype),
            prediction="x0", variance="fixed_small",
        )
        for dtype in (torch.float32, torch.float64)
    )  # fmt: skip
    torch.testing.assert_close(found.double(), truth, rtol=2e-6, atol=0)


# -- what is meant where nothing is said, and what is refused ------------------------------------------------

DEFAULTS: list[tuple[Callable[..., torch.Tensor], dict[str, tuple[object, object]]]] = [
    (objective.L_simple, {"prediction": ("eps", "v")}),
    (
        objective.L_vlb,
        {
            "prediction": ("eps", "x0"),
            "variance": ("fixed_large", "fixed_small"),
            "clip": (False, True),
            "levels": (256, 16),  # 2/15 is 17 times 2/255, so its grid is part of the other
            "cdf": ("exact", "tanh"),
        },
    ),
    (
        objective.L_t_minus_1,
        {
            "prediction": ("eps", "x0"),
            "variance": ("fixed_large", "fixed_small"),
            "clip": (True, False),
        },
    ),
    (
        objective.L_hybrid,
        {"prediction": ("eps", "x0"), "levels": (256, 16), "cdf": ("exact", "tanh"), "vlb_weight": (1e-3, 1)},
    ),
]
EACH_DEFAULT = [
    pytest.param(loss, name, usual, other, id=f"{loss.__name__}-{name}")
    for loss, arguments in DEFAULTS
    for name, (usual, other) in arguments.items()
]


@pytest.mark.parametrize(("loss", "name", "usual", "other"), EACH_DEFAULT)
def test_an_argument_that_is_not_given_has_its_usual_value(
    loss: Callable[..., torch.Tensor], name: str, usual: object, other: object
) -> None:
    x_0, t, noise = batch(16)
    model = Affine("learned" if loss is objective.L_hybrid else "fixed_large")
    first = int(loss is objective.L_t_minus_1)  # which is not for t = 1
    given = (model, SCHEDULE, x_0[first:], t[first:], 3 * noise[first:])
    assert loss(*given).equal(loss(*given, **{name: usual}))
    assert not loss(*given).allclose(loss(*given, **{name: other}), rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "wrong", "message"),
    [
        (objective.L_simple, {"prediction": "noise"}, "prediction must be one of .*; got 'noise'"),
        (objective.L_vlb, {"prediction": "noise"}, "prediction must be one of .*; got 'noise'"),
        (objective.L_vlb, {"variance": "small"}, "variance must be one of .*; got 'small'"),
        (objective.L_vlb, {"levels": 1}, "levels must be an integer, at least 2, or None; got 1"),
        (objective.L_vlb, {"levels": None, "cdf": "erf"}, "cdf must be one of exact, tanh; got 'erf'"),
        (objective.L_t_minus_1, {"prediction": "noise"}, "prediction must be one of .*; got 'noise'"),
        (objective.L_t_minus_1, {"variance": "small"}, "variance must be one of .*; got 'small'"),
        (objective.L_hybrid, {"prediction": "noise"}, "prediction must be one of .*; got 'noise'"),
        (objective.L_hybrid, {"levels": 1}, "levels must be an integer, at least 2, or None; got 1"),
        (objective.L_hybrid, {"levels": None, "cdf": "erf"}, "cdf must be one of exact, tanh; got 'erf'"),
    ],
)
def test_a_loss_that_does_not_exist_is_refused_before_the_network_is_asked(
    loss: Callable[..., torch.Tensor], wrong: dict[str, object], message: str
) -> None:
    def asked(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        assert loss is objective.L_simple
        return x_t

    x_0, t, noise = batch()
    with pytest.raises(ValueError, match=message):
        loss(asked, SCHEDULE, x_0[1:], t[1:], noise[1:], **wrong)


@pytest.mark.parametrize("t", [0, T + 1, torch.tensor([0, 3]), torch.tensor([3, T + 1])])
def test_a_weight_belongs_to_a_step(t: int | torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"t must be in 1\.\.T"):
        objective.weight(SCHEDULE, t, torch.zeros(2))
    with pytest.raises(ValueError, match=r"variance must be one of .*; got 'small'"):
        objective.weight(SCHEDULE, 1, torch.zeros(2), variance="small")  # type: ignore[arg-type]


def test_steps_on_the_cpu_go_with_images_on_another_device() -> None:
    """On a device that has shapes and no numbers, and refuses a tensor from elsewhere as any other does."""
    x_0 = torch.zeros(T, 2, 3, device="meta")
    model = Affine("learned").to(x_0.device)

    def told(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        assert t.device == x_t.device
        return model(x_t, t)  # type: ignore[no-any-return]

    for t in (1, torch.arange(1, T + 1)):
        for loss in (objective.L_hybrid, partial(objective.L_vlb, variance="learned")):
            assert loss(told, SCHEDULE, x_0, t, x_0).device == x_0.device


@pytest.mark.parametrize(
    ("variance", "channels", "message"),
    [
        ("fixed_large", 4, "the shape of x_t"),
        ("learned", 2, "twice the channels of x_t"),
    ],
)
def test_an_answer_with_other_channels_is_refused(variance: Variance, channels: int, message: str) -> None:
    x_t = torch.zeros(3, 2, 4)
    with pytest.raises(ValueError, match=message):
        objective.predict(lambda x, t: torch.zeros(3, channels, 4), x_t, 1, variance=variance)


def test_a_variance_cannot_be_learned_without_channels() -> None:
    with pytest.raises(ValueError, match="x_t must have channels"):
        objective.predict(lambda x, t: x, torch.zeros(3), 1, variance="learned")
    with pytest.raises(ValueError, match="variance must be fixed"):
        objective.weight(SCHEDULE, 1, torch.zeros(3), variance="learned")


@given(case=cases(first=2, left_out=1))
def test_a_learned_step_adds_its_noise_except_at_t_1(case: Case) -> None:
    """One batch holds t = 1 beside other steps, and a variance for each coordinate."""
    t = case.t.clone()
    t[0] = 1
    x_t, eps, z = (x.double().reshape(len(t), 1, -1) for x in (case.x_t, case.eps, case.z))
    step = process.p_mean_variance(
        case.schedule, eps, x_t, t, variance="learned", variance_value=z, clip=False
    )
    found = step.sample(t, z)
    assert torch.equal(found[0], step.mean[0])
    assert (found[1:] != step.mean[1:]).all()


def test_a_learned_variance_is_read_from_the_last_half_of_the_channels() -> None:
    answer = torch.arange(12.0).reshape(2, 6)
    output = objective.predict(lambda x, t: answer, torch.zeros(2, 3), 1, variance="learned")
    assert output.variance_value is not None
    assert output.prediction_value.equal(answer[:, :3])
    assert output.variance_value.equal(answer[:, 3:])


def test_the_first_step_has_no_divergence_from_the_posterior() -> None:
    x_0, t, noise = batch()
    assert 1 in t
    for first in (1, t):
        with pytest.raises(ValueError, match=r"t must be in 2\.\.T"):
            objective.L_t_minus_1(Affine("fixed_large"), SCHEDULE, x_0, first, noise)
