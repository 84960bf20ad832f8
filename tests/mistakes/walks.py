"""Mistakes in diffusing and sampling: `ddpm_ref.process`, `ddpm_ref.sampler`, `ddpm_ref.subsequence`."""

from __future__ import annotations

from tests.mistakes.mistake import Mistake

PROCESS, SAMPLER, SUBSEQUENCE = "ddpm_ref.process", "ddpm_ref.sampler", "ddpm_ref.subsequence"
CORE = "tests/test_core.py::test_code_computes_the_claim"
WALK = "tests/test_sampler.py::"
EVERY_COUNT = "tests/test_subsequence.py::test_every_count_gives_that_many_increasing_steps_up_to_T"
STRETCH = "for s, t in pairwise((0, *self.steps)):"
CHOSEN = "return tuple(map(formulas[spacing], range(1, N + 1)))"
STRIDE = "T - (N - i) * (T // N)"

CLIPPED = """\
    if clip:
        x0_hat = x0_hat.clamp(-1, 1)
    mean = q_posterior(schedule, x0_hat, x_t, t).mean
"""
CLIPPED_IN_A_WALK = """\
        if clip:
            x0_hat = x0_hat.clamp(-1, 1)
        if eta is not None:
            law = q_posterior(walk, x0_hat, exact, i)
"""
STALE = """\
        unclipped = x0_hat
        if clip:
            x0_hat = x0_hat.clamp(-1, 1)
        if eta is not None:
            law = q_posterior(walk, unclipped, exact, i)
            signal = walk.at("sqrt_alpha_bar", i - 1, exact)
            law = law._replace(mean=law.mean + signal * (x0_hat - unclipped))
"""

WALKS = (
    Mistake(
        "variance-for-deviation-in-the-forward-process",
        "The noise of x_t is multiplied by 1 − ᾱ_t and not by its root.",
        (
            "labmlai/annotated_deep_learning_paper_implementations#152",
            "Ryota-Kawamura/How-Diffusion-Models-Work#1",
        ),
        PROCESS,
        (
            (
                'sigma = schedule.at("sqrt_one_minus_alpha_bar", t, x_0)\n    return',
                'sigma = schedule.at("one_minus_alpha_bar", t, x_0)\n    return',
            ),
        ),
        (f"{CORE}[forward.sample-q_sample]",),
    ),
    Mistake(
        "variance-for-deviation-in-a-reverse-step",
        "The noise of a reverse step is multiplied by σ² and not by σ.",
        (
            "labmlai/annotated_deep_learning_paper_implementations#152",
            "Ryota-Kawamura/How-Diffusion-Models-Work#1",
        ),
        PROCESS,
        (
            (
                "self.mean if last else self.mean + self.variance.sqrt() * noise",
                "self.mean if last else self.mean + self.variance * noise",
            ),
            (
                "            self.mean + self.variance.sqrt() * noise,\n",
                "            self.mean + self.variance * noise,\n",
            ),
        ),
        (
            f"{CORE}[sampling.ancestral-step-p_sample]",
            f"{WALK}test_a_learned_variance_lies_between_the_stretchs_two",
        ),
    ),
    Mistake(
        "noise-in-the-last-step",
        "The step from t = 1 draws noise too, and the image keeps it.",
        ("labmlai/annotated_deep_learning_paper_implementations",),
        PROCESS,
        (("last = t == 1  # bool, or (B,)", "last = t == 0"),),
        (f"{CORE}[sampling.last-step-last_step]",),
    ),
    Mistake(
        "noise-at-the-end-of-a-walk",
        "The sampling loop asks for noise in its last step as well.",
        ("labmlai/annotated_deep_learning_paper_implementations",),
        SAMPLER,
        (("law.mean if i == 1 or walk.eta == 0 else", "law.mean if walk.eta == 0 else"),),
        (
            f"{WALK}test_states_run_from_T_to_the_image_and_noise_is_asked_for_at_T_to_2",
            f"{WALK}test_the_model_is_asked_at_the_whole_schedules_t_and_noise_for_all_but_the_last_step",
        ),
    ),
    Mistake(
        "x0-not-clipped",
        "The predicted image is not clipped to [−1, 1], and the mean of the step runs away.",
        ("hojonathanho/diffusion#5", "lucidrains/denoising-diffusion-pytorch#47"),
        PROCESS,
        ((CLIPPED, "    mean = q_posterior(schedule, x0_hat, x_t, t).mean\n"),),
        (f"{WALK}test_clipping_acts_on_the_image_before_the_mean",),
    ),
    Mistake(
        "x0-clipped-after-the-mean",
        "The predicted image is clipped when the mean has been computed, so that clipping changes nothing.",
        ("w86763777/pytorch-ddpm",),
        PROCESS,
        (
            (
                CLIPPED,
                "    mean = q_posterior(schedule, x0_hat, x_t, t).mean\n"
                "    if clip:\n        x0_hat = x0_hat.clamp(-1, 1)\n",
            ),
        ),
        (f"{WALK}test_clipping_acts_on_the_image_before_the_mean",),
    ),
    Mistake(
        "ddim-with-the-noise-of-the-unclipped-image",
        "DDIM clips the image and goes on with the noise that belongs to the unclipped one.",
        ("lucidrains/denoising-diffusion-pytorch#84",),
        SAMPLER,
        ((CLIPPED_IN_A_WALK, STALE),),
        (f"{WALK}test_ddim_follows_the_clipped_image",),
    ),
    Mistake(
        "root-of-a-log-variance",
        "The deviation of a fixed variance is the root of its logarithm: every sample is nan.",
        ("huggingface/diffusers#14569",),
        PROCESS,
        (
            (
                'variance=schedule.at(f"variance_{variance}", t, x_t)',
                'variance=schedule.at(f"log_variance_{variance}", t, x_t)',
            ),
        ),
        (f"{CORE}[sampling.ancestral-step-p_sample]", f"{CORE}[sampling.ancestral-step-p_sample_small]"),
    ),
    Mistake(
        "root-of-a-learned-log-variance",
        "The deviation of a learned variance is the root of its logarithm: every sample is nan.",
        ("huggingface/diffusers#14569",),
        PROCESS,
        (
            (
                "ReverseStep(mean, log_variance.exp(), log_variance, x0_hat)",
                "ReverseStep(mean, log_variance, log_variance, x0_hat)",
            ),
        ),
        (
            f"{CORE}[sampling.ancestral-step-p_sample_learned]",
            f"{WALK}test_a_learned_variance_lies_between_the_stretchs_two",
        ),
        ends_in=("FloatingPointError",),
    ),
    Mistake(
        "learned-range-without-logarithms",
        "The learned variance lies between β̃ and β themselves, and is then read as a logarithm.",
        ("huggingface/diffusers#2090", "huggingface/diffusers#3006"),
        PROCESS,
        (
            ('schedule.at("log_beta", t, output)', 'schedule.at("beta", t, output)'),
            (
                'schedule.at("log_variance_fixed_small", t, output)',
                'schedule.at("variance_fixed_small", t, output)',
            ),
        ),
        (
            f"{CORE}[parameterization.learned-variance-learned_log_variance]",
            f"{WALK}test_a_learned_variance_lies_between_the_stretchs_two",
        ),
    ),
    Mistake(
        "one-step-back-where-steps-are-skipped",
        "Where steps are skipped, a step leads from t to t − 1 and the network is then asked about another.",
        ("huggingface/diffusers#2076",),
        SUBSEQUENCE,
        ((STRETCH, "for s, t in ((t - 1, t) for t in self.steps):"),),
        (
            f"{CORE}[sampling.stretch-posterior-stretch_variance]",
            f"{CORE}[forward.composition-stretch_beta]",
        ),
    ),
    Mistake(
        "one-stride-back-whichever-step-comes-next",
        "Where steps are skipped, a step leads to t − ⌊T/N⌋, whichever the next step is.",
        ("huggingface/diffusers#9261", "huggingface/diffusers#11347"),
        SUBSEQUENCE,
        (
            (
                STRETCH,
                "for s, t in ((max(t - self.whole.T // len(self.steps), 0), t) for t in self.steps):",
            ),
        ),
        (
            f"{CORE}[sampling.stretch-posterior-stretch_variance]",
            f"{CORE}[sampling.ddim-step-ddim_step]",
        ),
    ),
    Mistake(
        "more-steps-than-asked-for",
        "Strides of ⌊T/N⌋ through all of 1..T: 56 steps where 53 of 1000 were asked for.",
        ("huggingface/diffusers#1835",),
        SUBSEQUENCE,
        ((CHOSEN, f"return tuple(range(T, 0, -(T // N)))[::-1] if spacing == 'stride' else {CHOSEN[7:]}"),),
        (f"{EVERY_COUNT}[10-stride]",),
    ),
    Mistake(
        "trailing-steps-in-floating-point",
        "Steps are counted down by T/N in floating point: one too many for 62 of 1000 counts, and it is 0.",
        ("huggingface/diffusers",),
        SUBSEQUENCE,
        (
            (
                CHOSEN,
                "import numpy\n\n"
                "    down = numpy.arange(T, 0, -T / N).round().astype(int)[::-1].tolist()\n"
                f"    return tuple(down) if spacing == 'trailing' else {CHOSEN[7:]}",
            ),
        ),
        (f"{EVERY_COUNT}[100-trailing]",),
    ),
    Mistake(
        "a-step-past-the-end",
        "An offset of one is added to steps that may reach T already: T + 1, for which there is no entry.",
        ("huggingface/diffusers#10003",),
        SUBSEQUENCE,
        ((STRIDE, f"1 + {STRIDE}"),),
        (f"{EVERY_COUNT}[10-stride]", "tests/test_subsequence.py::test_all_steps_are_all_steps[stride]"),
    ),
    Mistake(
        "first-step-before-the-end",
        "Sampling begins with pure noise at T − ⌊T/N⌋ or earlier, where there is a signal still.",
        ("huggingface/diffusers#12588", "huggingface/diffusers#2585"),
        SUBSEQUENCE,
        ((STRIDE, "1 + (i - 1) * (T // N)"),),
        (f"{EVERY_COUNT}[10-stride]",),
    ),
)
