"""Mistakes in what is said of a model: the bound, bits, distances, and whose weights are judged."""

from __future__ import annotations

from tests.mistakes.mistake import Mistake

CORE = "tests/test_core.py::test_code_computes_the_claim"

SCORES = (
    Mistake(
        "no-bins-at-the-edges",
        "The first and the last pixel value have bins like the others, and the tails' mass is lost.",
        ("openai/improved-diffusion#89", "lucidrains/denoising-diffusion-pytorch#271"),
        "ddpm_ref.decoder",
        (
            (
                "torch.where(lowest | highest, open_ended, torch.where(narrow, of_narrow, of_wide))",
                "torch.where(narrow, of_narrow, of_wide)",
            ),
        ),
        ("tests/test_decoder.py::test_the_masses_sum_to_one[17-exact]", f"{CORE}[decoder.bin-mass]"),
    ),
    Mistake(
        "bins-of-two-256ths",
        "Bytes from −1 to 1 lie 2/255 apart, and their bins are 2/256 wide.",
        ("yang-song/score_sde_pytorch#51",),
        "ddpm_ref.decoder",
        (("half_width = (1 / ((levels - 1) * sigma))", "half_width = (1 / (levels * sigma))"),),
        ("tests/test_decoder.py::test_the_masses_sum_to_one[17-exact]", f"{CORE}[decoder.bin-mass]"),
        stands_for="There the pixels are spread over bins of 2/256, and the width is right.",
    ),
    Mistake(
        "seven-bits-too-many",
        "Seven bits are added, for a density's change of scale, to what is a probability of pixel values.",
        ("yang-song/score_sde_pytorch#51",),
        "ddpm_ref.decoder",
        (("return nats / (d * math.log(2))", "return nats / (d * math.log(2)) + 7"),),
        (
            f"{CORE}[decoder.bits-per-dim-bits_per_dim]",
            "tests/test_bound.py::test_the_papers_prior_term_is_1e_5_bits",
        ),
        stands_for="There the offset belongs to a density; here there is none that it could be wrong for.",
    ),
    Mistake(
        "log-variance-that-is-no-log-in-the-priors-term",
        "The prior's term takes 1 − ᾱ_T for its logarithm.",
        ("tqch/ddpm-torch#9",),
        "ddpm_ref.bound",
        (("+ log_excess(variance, -alpha_bar)", "- alpha_bar - variance"),),
        (
            f"{CORE}[bound.prior-term-prior_term]",
            "tests/test_bound.py::test_the_papers_prior_term_is_1e_5_bits",
        ),
    ),
    Mistake(
        "a-bound-that-cannot-be-computed",
        "The path to the likelihood was never run, and ends in a TypeError.",
        ("tqch/ddpm-torch",),
        "ddpm_ref.bound",
        (
            (
                "(p, x_0, levels=levels, cdf=cdf)",
                "(p, levels=levels, cdf=cdf)",
            ),
        ),
        ("tests/test_bound.py::test_a_term_holds_the_errors_of_the_same_call",),
        ends_in=("TypeError",),
    ),
    Mistake(
        "signal-left-at-the-end",
        "Fewer steps with the paper's β: x_T is far from pure noise, where sampling begins.",
        ("huggingface/diffusers#3851", "huggingface/diffusers#5103"),
        "ddpm_ref.presets",
        (('return {"T": T, "beta": (0.1 / T, 20 / T)}', 'return {"T": T, "beta": (1e-4, 0.02)}'),),
        ("tests/test_train.py::test_presets_keep_the_papers_noise_at_the_last_step",),
    ),
    Mistake(
        "sampled-from-the-raw-weights",
        "Samples come from the weights of the last update, not from their average: FID 12 and not 3.2.",
        ("pesser/pytorch_diffusion#3",),
        "ddpm_ref.checkpoint",
        (('folder / "ema.safetensors", ""', 'folder / "model.safetensors", ""'),),
        ("tests/test_sample.py::test_a_run_is_sampled_from_its_averaged_weights",),
    ),
    Mistake(
        "fid-on-too-few-samples",
        "A distance is computed from fewer samples than features, and compared with one of many.",
        ("crowsonkb/k-diffusion#51",),
        "ddpm_ref.metrics",
        (("    if n <= d:\n", "    if n < 1:\n"),),
        (
            "tests/test_metrics.py::test_features_without_a_distance_are_refused"
            "[a0-b0-a must have more rows than columns.* at least 4 images]",
        ),
    ),
    Mistake(
        "fid-of-sets-of-another-size",
        "The distance of real images, to compare with, is that of a larger set than the model's.",
        ("crowsonkb/k-diffusion#51",),
        "ddpm_ref.quality",
        (("rng.permutation(len(train.images))[:n]", "rng.permutation(len(train.images))"),),
        ("tests/test_quality.py::test_the_floor_and_the_baseline_have_as_many_images_as_the_model",),
    ),
    Mistake(
        "bias-of-few-samples-forgotten",
        "The distance of estimated means counts as unbiased, however few samples they come from.",
        ("crowsonkb/k-diffusion#51",),
        "ddpm_ref.metrics",
        (
            (
                "float(sum(np.square(x.root).sum() / x.n for x in (a, b)))",
                "0.0",
            ),
        ),
        (f"{CORE}[metrics.fid-bias-distance_of_estimated_means]",),
    ),
)
