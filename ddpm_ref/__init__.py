"""Denoising diffusion probabilistic models, held to proved expressions.

The mathematics of the model, each file one concept: `schedule`, `gaussian`, `process`, `objective`,
`sampler`. `t` is the paper's t, in 1..T, and tables have T+1 entries with the clean image at index 0.
"""

from ddpm_ref.gaussian import Gaussian, kl, log_density
from ddpm_ref.objective import L_simple, L_t_minus_1, Model, weight
from ddpm_ref.process import (
    Prediction,
    ReverseStep,
    Variance,
    eps_from_mu,
    eps_from_v,
    eps_from_x0,
    mu_from_eps,
    mu_from_x0,
    p_mean_variance,
    p_sample,
    q_mean_variance,
    q_posterior,
    q_sample,
    target,
    to_x0,
    v_from_eps,
    v_from_x0,
    x0_from_eps,
    x0_from_mu,
    x0_from_v,
)
from ddpm_ref.sampler import State, ancestral
from ddpm_ref.schedule import SCHEDULES, Schedule, cosine, linear

__all__ = [
    "SCHEDULES",
    "Gaussian",
    "L_simple",
    "L_t_minus_1",
    "Model",
    "Prediction",
    "ReverseStep",
    "Schedule",
    "State",
    "Variance",
    "ancestral",
    "cosine",
    "eps_from_mu",
    "eps_from_v",
    "eps_from_x0",
    "kl",
    "linear",
    "log_density",
    "mu_from_eps",
    "mu_from_x0",
    "p_mean_variance",
    "p_sample",
    "q_mean_variance",
    "q_posterior",
    "q_sample",
    "target",
    "to_x0",
    "v_from_eps",
    "v_from_x0",
    "weight",
    "x0_from_eps",
    "x0_from_mu",
    "x0_from_v",
]
