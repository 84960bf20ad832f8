"""Mistakes in a schedule and its tables: `ddpm_ref.schedule`."""

from __future__ import annotations

from tests.mistakes.mistake import Mistake

SCHEDULE = "ddpm_ref.schedule"
POSTERIOR = "return self._betas[t] * self._one_minus_alpha_bars[t - 1] / self._one_minus_alpha_bars[t]"
CORE = "tests/test_core.py::test_code_computes_the_claim"

RESCALED = """\
    roots = [_mp.mpf(1)]
    for beta in betas:
        roots.append(roots[-1] * _mp.sqrt(1 - beta))
    rest = roots[-1] * (1 - 2.0**-24)
    roots[1:] = [(root - rest) * roots[1] / (roots[1] - rest) for root in roots[1:]]
    betas = [1 - (after / before) ** 2 for before, after in zip(roots, roots[1:], strict=False)]
    config = """

TABLES = (
    Mistake(
        "alpha-bar-prev-padded-on-the-wrong-side",
        "The list of ᾱ_{t−1} is filled up at its end instead of its start, so that every step looks ahead.",
        ("lucidrains/denoising-diffusion-pytorch#18",),
        SCHEDULE,
        (
            (POSTERIOR, POSTERIOR.replace("[t - 1]", "[(t + 1) % (self.T + 1)]")),
            (
                "_mp.sqrt(self._alpha_bars[t - 1]) * self._betas[t]",
                "_mp.sqrt(self._alpha_bars[(t + 1) % (self.T + 1)]) * self._betas[t]",
            ),
            (
                "_mp.sqrt(self._alphas[t]) * self._one_minus_alpha_bars[t - 1]",
                "_mp.sqrt(self._alphas[t]) * self._one_minus_alpha_bars[(t + 1) % (self.T + 1)]",
            ),
        ),
        (
            f"{CORE}[posterior.variance-posterior_variance]",
            f"{CORE}[posterior.mean-posterior_mean]",
            "tests/test_schedule.py::test_the_papers_schedule_has_the_papers_figures",
        ),
    ),
    Mistake(
        "posterior-variance-divided-by-alpha",
        "The posterior's variance is (1 − ᾱ_{t−1})/α_t; it stood so for eleven months.",
        ("labmlai/annotated_deep_learning_paper_implementations",),
        SCHEDULE,
        ((POSTERIOR, "return self._one_minus_alpha_bars[t - 1] / self._alphas[t]"),),
        (
            f"{CORE}[posterior.variance-posterior_variance_table]",
            f"{CORE}[posterior.variance-posterior_variance]",
        ),
    ),
    Mistake(
        "posterior-variance-divided-by-one-steps-noise",
        "The posterior's variance is divided by 1 − α_t where 1 − ᾱ_t belongs.",
        ("varun-ml/diffusion-models-tutorial#1",),
        SCHEDULE,
        ((POSTERIOR, "return self._betas[t] * self._one_minus_alpha_bars[t - 1] / (1 - self._alphas[t])"),),
        (
            f"{CORE}[posterior.variance-posterior_variance_table]",
            f"{CORE}[posterior.law-law_variance]",
        ),
    ),
    Mistake(
        "beta-1-at-the-last-step",
        "The larger variance is β_1 at t = 1, where the paper's figures were made with β̃_2.",
        ("openai/improved-diffusion#45", "openai/guided-diffusion#69"),
        SCHEDULE,
        (("return self._betas[t] if t > 1 else self._variance_at_1()", "return self._betas[t]"),),
        (
            f"{CORE}[posterior.log-variance-clipped-fixed_large_at_1]",
            "tests/test_schedule.py::test_the_papers_schedule_has_the_papers_figures",
            "tests/test_decoder.py::test_the_papers_last_term_follows_from_its_last_variance",
        ),
    ),
    Mistake(
        "variance-zero-at-the-last-step",
        "The variance at t = 1 is β̃_1, which is 0 and has no logarithm.",
        ("openai/improved-diffusion#45", "openai/guided-diffusion#69"),
        SCHEDULE,
        (
            (
                "return self._posterior_variance(2) if self.T > 1 else self._betas[1]",
                "return self._posterior_variance(1)",
            ),
        ),
        (
            "tests/test_schedule.py::test_index_zero_is_the_clean_image",
            f"{CORE}[posterior.log-variance-clipped-fixed_small_at_1]",
        ),
    ),
    Mistake(
        "log-variance-that-is-no-log",
        "A table of log-variances holds the variances.",
        ("tqch/ddpm-torch#9",),
        SCHEDULE,
        (("_mp.log(self._fixed_large(t))", "self._fixed_large(t)"),),
        (
            "tests/test_schedule.py::test_roots_and_logarithms_belong_to_their_tables"
            "[log_variance_fixed_large-variance_fixed_large]",
            f"{CORE}[posterior.log-variance-clipped-variance_of_the_last_reverse_step]",
        ),
        stands_for="There it was q(x_t | x_0)'s, and in the prior's term; the next but one is that term.",
    ),
    Mistake(
        "tables-multiplied-in-float32",
        "ᾱ is a product in float32 and 1 − ᾱ a difference of nearly equal numbers: off by 1.7e-4 at t = 1.",
        ("huggingface/diffusers",),
        SCHEDULE,
        (
            (
                "products.append(products[-1] * alpha)",
                "last, one = (torch.tensor(float(value)) for value in (products[-1], alpha))\n"
                "            products.append(_mp.mpf(float(last * one)))",
            ),
            (
                "sums.append(sums[-1] + self._alpha_bars[t - 1] * self._betas[t])",
                "sums.append(_mp.mpf(float(1 - torch.tensor(float(self._alpha_bars[t])))))",
            ),
        ),
        (
            f"{CORE}[forward.alpha-bar-alpha_bar]",
            f"{CORE}[forward.marginal-marginal_variance]",
            "tests/test_schedule.py::test_one_minus_alpha_bar_keeps_its_digits_however_small_the_betas",
        ),
    ),
    Mistake(
        "tables-rounded-to-float32",
        "The tables are computed in float64 and kept in float32: off by up to 5.8e-8.",
        ("lucidrains/denoising-diffusion-pytorch",),
        SCHEDULE,
        (
            (
                'return torch.tensor(entries, dtype=torch.float64, device="cpu")',
                'return torch.tensor(entries, dtype=torch.float32, device="cpu").double()',
            ),
        ),
        (
            f"{CORE}[forward.alpha-bar-alpha_bar]",
            f"{CORE}[posterior.variance-posterior_variance_table]",
        ),
    ),
    Mistake(
        "computed-in-half-precision",
        "In float16 and bfloat16 the coefficients are rounded before they are used.",
        ("huggingface/diffusers", "Project-MONAI/MONAI"),
        SCHEDULE,
        (("return torch.promote_types(dtype, torch.float32)", "return dtype"),),
        (
            f"{CORE}[forward.sample-q_sample]",
            "tests/test_schedule.py::test_gathering_takes_one_entry_for_each_example",
        ),
    ),
    Mistake(
        "alpha-bar-of-minus-one-wraps-round",
        "A step of −1 is not refused, and ᾱ[−1] is ᾱ_T: an image that is all but clean counts as noise.",
        ("huggingface/diffusers",),
        SCHEDULE,
        (
            (
                "        if lowest < first or highest > self.T:\n",
                "        if highest > self.T:\n",
            ),
            ("table.index_select(0, t.to(like.device, torch.long)).reshape(", "table[t.long()].reshape("),
        ),
        ("tests/test_bad_input.py::test_t_outside_1_to_T_is_refused[q_sample--1]",),
    ),
    Mistake(
        "cosine-last-step-not-cut",
        "The cosine schedule's last β is not cut at 0.999, and its step leaves nothing of the image.",
        ("openai/guided-diffusion#42",),
        SCHEDULE,
        (
            (
                "min(float(1 - f[t] / f[t - 1]), float(max_beta))",
                "min(float(1 - f[t] / f[t - 1]), 1 - 2.0**-53)",
            ),
        ),
        ("tests/test_schedule.py::test_the_cosine_schedule_is_capped",),
        stands_for="Without any cut β_T is 1, which `Schedule` refuses; the edit stops short of that.",
    ),
    Mistake(
        "rescaled-to-zero-terminal-snr",
        "The betas are rescaled until x_T holds no signal, for a network that was trained with the paper's.",
        ("huggingface/diffusers#3851", "huggingface/diffusers#5103"),
        SCHEDULE,
        (('    config = {"name": "linear"', RESCALED + '{"name": "linear"'),),
        (
            f"{CORE}[forward.linear-schedule-linear]",
            "tests/test_schedule.py::test_the_papers_schedule_has_the_papers_figures",
        ),
        stands_for="The reference has no such option; the edit makes its linear schedule one.",
    ),
)
