"""1 - ᾱ_t is formed in float32, where it loses digits near t = 1.

ᾱ is a product in float32, and 1 - ᾱ_t a difference of nearly equal numbers: 1 - ᾱ_1 is off by 1.7e-4 of its size, and
the posterior variance, which divides two such differences, by up to 3.9e-4. Half the digits that float32 has are
lost at t = 1, and the loss fades as 1/(1 - ᾱ_t).

It is far below what a sample shows, and matters where one implementation is compared with another, or a likelihood
is computed. Products and differences in float64, rounded to float32 once, are right to the last digit, as in
hojonathanho/diffusion and in denoising-diffusion-pytorch.
"""

# peer: diffusers
# checks: alpha_bar, alpha_bar_of[linear], alpha_bar_of[cosine], one_minus_alpha_bar, posterior_variance, q_posterior, x0_from_eps, x0_from_v, mu_from_eps, clipped_mean
import torch
from diffusers import DDPMScheduler

scheduler = DDPMScheduler()
exact = torch.cumprod(1 - scheduler.betas.double(), 0)
off = (1 - scheduler.alphas_cumprod).double() / (1 - exact) - 1
print(f"{off.abs().max():.1e}", off.abs().argmax().item())
# 1.7e-04 0
