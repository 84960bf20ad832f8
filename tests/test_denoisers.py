"""Exact denoisers and the laws they are exact for: against gradients, quadrature and each other."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import ddpm_ref.denoisers as denoisers
from ddpm_ref import L_simple, ancestral, process
from ddpm_ref.data import digits
from ddpm_ref.denoisers import DatasetDenoiser, Denoiser, GaussianDenoiser, MixtureDenoiser
from ddpm_ref.laws import Estimate, GaussianLaw, MixtureLaw, gaussian_images, mixture_images
from ddpm_ref.schedule import cosine, linear

SCHEDULE = linear()
SHAPE = (1, 2, 3)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def full_covariance(seed: int = 1) -> Tensor:
    root = normal(6, 6, seed=seed) / 3
    return root @ root.T + 0.05 * torch.eye(6)


GAUSSIAN = GaussianLaw(normal(*SHAPE), full_covariance())
MIXTURE = MixtureLaw(
    torch.tensor([3.0, 2, 1]), normal(3, *SHAPE, seed=2), normal(3, *SHAPE, seed=3).square() + 0.02
)
IMAGES = normal(5, *SHAPE, seed=4)
ALL: dict[str, Denoiser] = {
    "Gaussian": GaussianDenoiser(SCHEDULE, GAUSSIAN),
    "mixture": MixtureDenoiser(SCHEDULE, MIXTURE),
    "data set": DatasetDenoiser(SCHEDULE, IMAGES),
}
FORMS = ("__call__", "x0_hat", "score", "log_density", "spread", "least_loss")
each_denoiser = pytest.mark.parametrize("denoiser", ALL.values(), ids=ALL)


def states(t: int, n: int = 8) -> Tensor:
    """Noised images of the data set, which lie where each of the laws has some mass."""
    x_0 = IMAGES[torch.arange(n) % len(IMAGES)]
    return process.q_sample(SCHEDULE, x_0, t, normal(n, *SHAPE, seed=t))


# -- one knowledge in many forms -----------------------------------------------------------------------------


@each_denoiser
@pytest.mark.parametrize("t", [1, 2, 50, 500, 1000])
def test_the_score_is_the_gradient_of_the_log_density(denoiser: Denoiser, t: int) -> None:
    x_t = states(t).requires_grad_()
    (gradient,) = torch.autograd.grad(denoiser.log_density(x_t, t).sum(), x_t)
    assert denoiser.score(x_t, t).detach() == pytest.approx(gradient, rel=1e-8, abs=1e-8)


@each_denoiser
@pytest.mark.parametrize("t", [1, 2, 50, 500, 1000])
def test_noise_and_image_are_those_of_one_state(denoiser: Denoiser, t: int) -> None:
    x_t = states(t)
    assert denoiser(x_t, t) == pytest.approx(
        process.eps_from_x0(SCHEDULE, x_t, t, denoiser.x0_hat(x_t, t)), abs=1e-11
    )


@each_denoiser
def test_what_is_left_of_the_image_is_the_slope_of_its_estimate(denoiser: Denoiser) -> None:
    """tr Cov(x_0 | x_t) = (1 − ᾱ_t)/√ᾱ_t · div x0_hat, Tweedie's second formula, here by differentiation."""
    t = 300
    x_t = states(t).requires_grad_()
    estimates = denoiser.x0_hat(x_t, t).reshape(8, 6)
    divergence = torch.zeros(8)
    for k in range(6):
        (slopes,) = torch.autograd.grad(estimates[:, k].sum(), x_t, retain_graph=True)
        divergence = divergence + slopes.reshape(8, 6)[:, k]
    factor = SCHEDULE.one_minus_alpha_bar[t] / SCHEDULE.sqrt_alpha_bar[t]
    assert denoiser.spread(x_t, t).detach() == pytest.approx(factor * divergence, rel=1e-10)


@each_denoiser
def test_one_t_for_all_is_that_t_for_each(denoiser: Denoiser) -> None:
    x_t = states(7)
    for method in FORMS:
        ask = getattr(denoiser, method)
        assert ask(x_t, 7) == pytest.approx(ask(x_t, torch.full((8,), 7)), rel=1e-13, abs=1e-13)
    mixed = torch.tensor([1, 7, 7, 1000, 1, 500, 7, 2])
    rows = [denoiser(x_t[i : i + 1], int(t)) for i, t in enumerate(mixed)]
    assert denoiser(x_t, mixed) == pytest.approx(torch.cat(rows), rel=1e-13, abs=1e-13)


@each_denoiser
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_narrow_dtype_costs_one_rounding(denoiser: Denoiser, dtype: torch.dtype) -> None:
    for t in (1, 3, 100, 1000):
        x_t = states(t).to(dtype)
        for method in FORMS:
            narrow, wide = (getattr(denoiser, method)(x, t) for x in (x_t, x_t.double()))
            assert narrow.dtype == (dtype if method in ("__call__", "x0_hat", "score") else torch.float32)
            assert torch.equal(narrow, wide.to(narrow.dtype))


@pytest.mark.parametrize("name", ["Gaussian", "mixture"])
def test_a_law_on_the_cpu_serves_images_on_another_device(name: str) -> None:
    """On a device that has shapes and no numbers, and refuses a tensor from elsewhere as any other does."""
    x_t = states(7).to("meta")
    for method in FORMS:
        for t in (7, torch.full((8,), 7)):
            assert getattr(ALL[name], method)(x_t, t).device == x_t.device


@each_denoiser
def test_no_predictor_has_a_smaller_loss(denoiser: Denoiser) -> None:
    """Its loss is the least that it names, within five standard errors; another predictor's is larger."""
    n, t = 50_000, 200
    law = {"Gaussian": GAUSSIAN.sample, "mixture": MIXTURE.sample, "data set": None}
    name = next(name for name, one in ALL.items() if one is denoiser)
    generator = torch.Generator().manual_seed(5)
    draw = law[name]
    x_0 = draw(n, generator, dtype=torch.float64) if draw else IMAGES[torch.arange(n) % len(IMAGES)]
    noise = normal(n, *SHAPE, seed=6)
    least = denoiser.least_loss(process.q_sample(SCHEDULE, x_0, t, noise), t)
    loss = L_simple(denoiser, SCHEDULE, x_0, t, noise)
    difference = Estimate.of(loss - least)
    assert abs(difference.value) < 5 * difference.error < 0.1 * float(least.mean())
    worse = L_simple(lambda x_t, t: 0.9 * denoiser(x_t, t), SCHEDULE, x_0, t, noise)
    assert worse.mean() > loss.mean()
    assert least.var() < loss.var()


# -- one law among others ------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [1, 40, 1000])
def test_a_full_covariance_is_a_diagonal_one_in_other_axes(t: int) -> None:
    rotation, _ = torch.linalg.qr(normal(6, 6, seed=7))
    variances = torch.linspace(0.01, 2, 6, dtype=torch.float64)
    mean = normal(6, seed=8)
    plain = GaussianDenoiser(SCHEDULE, GaussianLaw(mean, variances))
    turned = GaussianDenoiser(
        SCHEDULE, GaussianLaw(rotation @ mean, rotation @ variances.diag() @ rotation.T)
    )
    x_t = normal(4, 6, seed=9)
    for method in ("__call__", "x0_hat", "score"):
        straight, there = (getattr(one, method) for one in (plain, turned))
        assert there(x_t @ rotation.T, t) == pytest.approx(
            straight(x_t, t) @ rotation.T, abs=1e-11, rel=1e-10
        )
    for method in ("log_density", "spread"):
        straight, there = (getattr(one, method) for one in (plain, turned))
        assert there(x_t @ rotation.T, t) == pytest.approx(straight(x_t, t), rel=1e-10)


@pytest.mark.parametrize("t", [1, 40, 1000])
def test_a_mixture_of_one_is_a_gaussian_and_one_split_in_three_is_itself(t: int) -> None:
    mean, variances = normal(*SHAPE, seed=10), normal(*SHAPE, seed=11).square() + 0.1
    one = GaussianDenoiser(SCHEDULE, GaussianLaw(mean, variances))
    for weights in ([2.0], [1.0, 3, 0.5]):
        K = len(weights)
        law = MixtureLaw(torch.tensor(weights), mean.expand(K, *SHAPE), variances.expand(K, *SHAPE))
        mixture = MixtureDenoiser(SCHEDULE, law)
        for method in ("__call__", "x0_hat", "score", "log_density", "spread"):
            ours, theirs = (getattr(d, method)(states(t), t) for d in (mixture, one))
            assert ours == pytest.approx(theirs, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("t", [30, 400])
def test_a_data_set_is_a_mixture_of_narrow_gaussians(t: int) -> None:
    narrow = MixtureLaw(torch.ones(5), IMAGES, torch.tensor(1e-12, dtype=torch.float64))
    mixture, dataset = MixtureDenoiser(SCHEDULE, narrow), ALL["data set"]
    for method in ("__call__", "x0_hat", "log_density", "spread", "log_posterior"):
        ours, theirs = (getattr(d, method)(states(t), t) for d in (dataset, mixture))
        assert ours == pytest.approx(theirs, rel=1e-7, abs=1e-9)


def test_a_data_set_of_numbers_is_one_of_images_with_one_pixel() -> None:
    numbers, x_t = normal(5), normal(8, seed=1)
    flat, deep = (DatasetDenoiser(SCHEDULE, images) for images in (numbers, numbers.reshape(5, 1, 1)))
    for one in (flat, deep):
        assert one.schedule is SCHEDULE
        assert len(one) == 5
    for method in FORMS:
        ours, theirs = (getattr(flat, method)(x_t, 7), getattr(deep, method)(x_t.reshape(8, 1, 1), 7))
        assert ours.shape == (8,)
        assert torch.equal(ours, theirs.reshape(8))
    assert torch.equal(flat.log_posterior(x_t, 7), deep.log_posterior(x_t.reshape(8, 1, 1), 7))


@pytest.mark.parametrize("entries", [1, 13])  # one image or state at a time, then two
def test_a_data_set_in_pieces_is_the_data_set(monkeypatch: pytest.MonkeyPatch, entries: int) -> None:
    x_t, t = states(20), torch.tensor([1, 2, 20, 300, 1000, 5, 6, 7])
    methods = ("__call__", "x0_hat", "log_density", "spread", "log_posterior")
    whole = [getattr(DatasetDenoiser(SCHEDULE, IMAGES), method)(x_t, t) for method in methods]
    monkeypatch.setattr(denoisers, "_ENTRIES", entries)
    pieces = DatasetDenoiser(SCHEDULE, IMAGES)
    for method, value in zip(methods, whole, strict=True):
        assert getattr(pieces, method)(x_t, t) == pytest.approx(value, rel=1e-12, abs=1e-12)


# -- where the softmax is nearly one-hot ---------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [linear(), cosine(), linear(1000, 1e-8, 0.02)], ids=repr)
def test_on_real_digits_every_t_is_finite_and_the_first_finds_the_image(schedule: Any) -> None:
    images = digits().train.images
    denoiser = DatasetDenoiser(schedule, images)
    x_0 = images[:3]
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    for t in (1, 2, 10, 100, 500, 900, schedule.T):
        x_t = process.q_sample(schedule, x_0, t, noise)
        log_posterior = denoiser.log_posterior(x_t, t)
        assert log_posterior.logsumexp(1) == pytest.approx(torch.zeros(3), abs=1e-12)
        for method in ("__call__", "x0_hat", "score", "log_density", "spread"):
            assert getattr(denoiser, method)(x_t, t).isfinite().all()
        if t <= 10:
            assert torch.equal(log_posterior.argmax(1), torch.arange(3))
            assert torch.equal(denoiser.x0_hat(x_t, t), x_0)
            assert (denoiser.spread(x_t, t) < 1e-9).all()


@each_denoiser
def test_a_state_where_every_density_underflows_has_an_answer(denoiser: Denoiser) -> None:
    far = torch.full((1, *SHAPE), 1e4, dtype=torch.float64)
    for t in (1, 1000):
        assert denoiser.log_density(far, t) < -1e6
        for method in ("__call__", "x0_hat", "score", "spread"):
            assert getattr(denoiser, method)(far, t).isfinite().all()


def test_squared_distances_keep_their_digits_at_the_first_step() -> None:
    images = digits().train.images[:50].double()
    denoiser = DatasetDenoiser(SCHEDULE, images)
    x_t = process.q_sample(SCHEDULE, images[:4], 1, normal(4, 1, 8, 8))
    distances = (x_t.unsqueeze(1) - SCHEDULE.sqrt_alpha_bar[1] * images).square().sum((2, 3, 4))
    direct = (-distances / (2 * SCHEDULE.one_minus_alpha_bar[1])).log_softmax(1)
    assert denoiser.log_posterior(x_t, 1) == pytest.approx(direct, abs=1e-8)


def test_the_ideal_denoiser_samples_its_own_data_set() -> None:
    schedule = linear(100, 1e-3, 0.2)
    denoiser = DatasetDenoiser(schedule, IMAGES)
    *_, last = ancestral(denoiser, schedule, normal(20, *SHAPE, seed=12), clip=False)
    distance = torch.cdist(last.x.reshape(20, 6), IMAGES.reshape(5, 6)).min(1)
    assert (distance.values < 0.02).all()
    assert len(set(distance.indices.tolist())) > 1


# -- laws ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [GAUSSIAN, gaussian_images(4)], ids=["random", "images"])
def test_gaussian_samples_have_the_laws_moments(law: GaussianLaw) -> None:
    n, d = 20_000, law.mean.numel()
    x = law.sample(n, torch.Generator().manual_seed(0), dtype=torch.float64).reshape(n, d)
    covariance = law.from_axes(law.variances.sqrt().diag() if law.axes is not None else law.variances.diag())
    truth = covariance.T @ covariance
    assert x.mean(0) == pytest.approx(law.mean.reshape(d), abs=6 * float(truth.diag().max() / n) ** 0.5)
    assert x.T.cov() == pytest.approx(truth, abs=8 * float(truth.diag().max()) / math.sqrt(n))


@pytest.mark.parametrize(
    "law",
    [GAUSSIAN, MIXTURE, gaussian_images(4), mixture_images(4)],
    ids=["Gaussian", "mixture", "Gaussian images", "mixture images"],
)
def test_the_entropy_is_minus_the_mean_log_density(law: GaussianLaw | MixtureLaw) -> None:
    x = law.sample(20_000, torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = Estimate.of(-law.log_density(x))
    entropy = law.entropy() if isinstance(law, MixtureLaw) else Estimate(law.entropy(), 0.0)
    assert abs(entropy.value - drawn.value) < 5 * math.hypot(entropy.error, drawn.error)
    assert entropy.error < drawn.error / 5


def test_the_entropy_of_overlapping_components_is_the_integral() -> None:
    law = MixtureLaw(torch.tensor([0.7, 0.3]), torch.tensor([[0.0], [1.0]]), torch.tensor([0.25, 1.0]))

    x = torch.linspace(-12, 14, 2601, dtype=torch.float64)  # smooth and gone at both ends: exact to rounding
    log_p = law.log_density(x.unsqueeze(1))
    truth = float(torch.trapezoid(-log_p.exp() * log_p, x))
    assert float(torch.trapezoid(log_p.exp(), x)) == pytest.approx(1, abs=1e-12)
    found = law.entropy(50_000)
    assert 0 < found.error < 0.002
    assert abs(found.value - truth) < 5 * found.error


@each_denoiser
def test_the_density_of_the_state_has_mass_one(denoiser: Denoiser) -> None:
    """By importance sampling from a wide normal: its mean weight is one, within five standard errors."""
    t, n = 700, 20_000
    wide = GaussianLaw(torch.zeros(SHAPE), torch.tensor(1.5))
    x = wide.sample(n, torch.Generator().manual_seed(2), dtype=torch.float64)
    mass = Estimate.of((denoiser.log_density(x, t) - wide.log_density(x)).exp())
    assert abs(mass.value - 1) < 5 * mass.error < 0.2


STANDARD = {
    "Gaussian": GaussianLaw(torch.zeros(SHAPE), torch.ones(())),
    "mixture": MixtureLaw(torch.ones(1), torch.zeros(1, *SHAPE), torch.ones(())),
}


@pytest.mark.parametrize("law", STANDARD.values(), ids=STANDARD)
def test_samples_come_from_the_generator_in_the_dtype_asked_for(law: GaussianLaw | MixtureLaw) -> None:
    def drawn(seed: int, **dtype: torch.dtype) -> Tensor:
        return law.sample(4, torch.Generator().manual_seed(seed), **dtype)

    assert drawn(0).dtype == torch.float32
    assert drawn(0).equal(drawn(0))
    assert not drawn(0).equal(drawn(1))
    wide = drawn(0, dtype=torch.float64)
    assert wide.float().equal(drawn(0))
    assert not wide.equal(wide.float().double())  # all its digits are drawn
    assert law.log_density(drawn(0)).dtype == torch.float32
    assert law.log_density(wide).dtype == torch.float64


@pytest.mark.parametrize("law", [GAUSSIAN, MIXTURE], ids=["Gaussian", "mixture"])
def test_a_density_is_computed_where_the_images_are(law: GaussianLaw | MixtureLaw) -> None:
    """Here on a device without numbers, where nothing can be read either."""
    x = torch.empty(2, *SHAPE, device="meta")
    assert law.log_density(x).is_meta
    if isinstance(law, GaussianLaw):
        assert law.from_axes(law.along_axes(x.reshape(2, -1).double())).is_meta


@pytest.mark.parametrize("shape", [(4,), SHAPE], ids=str)
def test_one_variance_for_all_is_the_same_for_each(shape: tuple[int, ...]) -> None:
    means, x = normal(3, *shape, seed=13), normal(5, *shape, seed=14)
    each = torch.tensor([0.25, 1.0, 4.0])
    for few, all_of_them in (
        (each[0], each[0].expand(3, *shape)),
        (each, each.reshape(3, *(1,) * len(shape)).expand(3, *shape)),
    ):
        ours, theirs = (MixtureLaw(torch.ones(3), means, v) for v in (few, all_of_them))
        assert ours.log_density(x).equal(theirs.log_density(x))


def test_an_entropy_that_is_asked_for_again_is_the_same() -> None:
    found = MIXTURE.entropy()
    assert found == MIXTURE.entropy() == MIXTURE.entropy(20_000, torch.Generator().manual_seed(0))
    assert found != MIXTURE.entropy(generator=torch.Generator().manual_seed(1))
    assert abs(MIXTURE.entropy(2).value - found.value) < math.log(3)  # what is drawn is between 0 and that


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_covariance_is_symmetric_or_not_at_every_scale(scale: float) -> None:
    given = scale * torch.tensor([[1.0, 0.5], [0.5, 1]], dtype=torch.float64)
    rounded = given.clone()
    rounded[0, 1] *= 1 + 2**-23  # as float32 may leave it
    assert GaussianLaw(torch.zeros(2), rounded).variances == pytest.approx(
        GaussianLaw(torch.zeros(2), given).variances, rel=1e-6
    )
    given[0, 1] *= 1 + 5e-6
    with pytest.raises(ValueError, match="covariance must be symmetric"):
        GaussianLaw(torch.zeros(2), given)


def test_the_gaussian_images_are_as_described() -> None:
    law = gaussian_images()
    assert law.mean.shape == (1, 8, 8)
    assert law.mean.dtype == law.covariance.dtype == torch.float64
    assert law.mean[0].diag().tolist() == pytest.approx(torch.linspace(-0.25, 0.25, 8).tolist(), rel=1e-6)
    assert float(law.mean[0, 7, 7]) == 0.25
    assert law.mean[0].equal(law.mean[0].T)
    assert law.mean.diff(dim=1) == pytest.approx(torch.full((1, 7, 8), 0.25 / 7))
    covariance = law.covariance.reshape(8, 8, 8, 8)
    for i, j in ((0, 1), (1, 0), (0, 7), (3, 4), (7, 7)):  # from the pixel in the corner
        true = 0.35**2 * math.exp(-math.hypot(i, j) / 2)
        assert float(covariance[0, 0, i, j]) == pytest.approx(true, rel=1e-14)
        assert covariance[7 - i, 7 - j, 7, 7] == covariance[0, 0, i, j]


def test_the_mixture_of_images_is_as_described() -> None:
    law = mixture_images()
    assert law.log_weights.exp().tolist() == pytest.approx([0.5, 0.3, 0.2], rel=1e-15)
    assert law.variances.sqrt().tolist() == pytest.approx([0.1, 0.2, 0.3], rel=1e-15)
    assert law.means.shape == (3, 1, 8, 8)
    columns, rows, board = law.means[:, 0]
    assert columns[0].tolist() == 2 * [-0.5, -0.5, 0.5, 0.5]
    assert (columns == columns[0]).all()
    assert rows.equal(columns.T)
    assert board.equal(-2 * rows * columns)


def test_the_law_at_time_zero_is_that_of_the_state_without_noise() -> None:
    schedule = linear(1, 1e-9)
    x = GAUSSIAN.sample(4, torch.Generator().manual_seed(3), dtype=torch.float64)
    assert GaussianDenoiser(schedule, GAUSSIAN).log_density(x, 1) == pytest.approx(
        GAUSSIAN.log_density(x), abs=1e-5
    )
    assert MixtureDenoiser(schedule, MIXTURE).log_density(x, 1) == pytest.approx(
        MIXTURE.log_density(x), abs=1e-5
    )


# -- refusals ------------------------------------------------------------------------------------------------

ONE = torch.ones(())
BAD = [
    (
        lambda: GaussianLaw(torch.zeros(3), torch.ones(2)),
        r"covariance must have shape \(\), \(3,\) or \(3, 3\)",
    ),
    (lambda: GaussianLaw(torch.zeros(3), -ONE), "covariance must be positive; its smallest variance is -1"),
    (lambda: GaussianLaw(torch.zeros(3), 0 * ONE), "covariance must be positive; its smallest variance is 0"),
    (lambda: GaussianLaw(torch.zeros(3), ONE * math.nan), "mean and covariance must be finite"),
    (lambda: GaussianLaw(torch.full((3,), math.nan), ONE), "mean and covariance must be finite"),
    (lambda: GaussianLaw(torch.zeros(2), torch.tensor([[1.0, 2], [2, 1]])), "covariance must be positive"),
    (lambda: GaussianLaw(torch.zeros(2), torch.tensor([[1.0, 0], [0.5, 1]])), "covariance must be symmetric"),
    (lambda: MixtureLaw(torch.ones(2), torch.zeros(3, 4), ONE), r"weights must have shape \(K,\)"),
    (lambda: MixtureLaw(torch.ones(0), torch.zeros(0, 4), ONE), r"weights must have shape \(K,\)"),
    (lambda: MixtureLaw(torch.ones(1), torch.zeros(()), ONE), r"weights must have shape \(K,\)"),
    (lambda: MixtureLaw(torch.ones(3), torch.zeros(3, 4), torch.ones(4)), "variances must have shape"),
    (
        lambda: MixtureLaw(torch.tensor([1.0, 0]), torch.zeros(2, 4), ONE),
        "weights must be positive and finite",
    ),
    (lambda: MixtureLaw(torch.ones(2), torch.zeros(2, 4), 0 * ONE), "variances must be positive and finite"),
    (lambda: MixtureLaw(torch.ones(1), torch.full((1, 4), math.inf), ONE), "means must be finite"),
    (lambda: MIXTURE.entropy(1), "draws must be at least 2; got 1"),
    (lambda: GAUSSIAN.log_density(torch.zeros(2, 3)), r"images must have shape \(B, 1, 2, 3\); got \(2, 3\)"),
    (lambda: GaussianLaw(ONE, ONE).log_density(ONE), r"images must have shape \(B\); got \(\)"),
    (lambda: DatasetDenoiser(SCHEDULE, torch.zeros(0, 3)), "images must be finite and at least one"),
    (lambda: DatasetDenoiser(SCHEDULE, torch.zeros(())), r"at least one; got shape \(\)"),
    (
        lambda: DatasetDenoiser(SCHEDULE, torch.full((2, 3), math.nan)),
        "images must be finite and at least one",
    ),
    (
        lambda: ALL["Gaussian"](torch.zeros(2, 1, 3, 2), 1),
        r"images must have shape \(B, 1, 2, 3\); got \(2, 1, 3, 2\)",
    ),
    (lambda: ALL["mixture"](torch.zeros(2, *SHAPE), 0), r"t must be in 1\.\.T"),
    (lambda: ALL["data set"](torch.zeros(2, *SHAPE), torch.tensor([1])), "t must be an int or have shape"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_images_must_be_floating_point() -> None:
    whole = torch.zeros(2, *SHAPE, dtype=torch.uint8)
    for call in (lambda: DatasetDenoiser(SCHEDULE, whole), lambda: ALL["Gaussian"](whole, 1)):
        with pytest.raises(TypeError, match=r"images must be floating point; got torch\.uint8"):
            call()
