"""`p_sample` adds noise in the last step too.

Algorithm 2 of the paper sets z = 0 at t = 1. Here noise of variance β_1 is added at every step, the last included, and
nothing is removed afterwards. With the linear schedule its deviation is 0.01 on [-1, 1], 1.3 grey levels of 255: too
little to see, and enough to raise a Fréchet distance, or to spoil a likelihood.
"""

# peer: labml-nn
# checks: last_step[sigma2]
import torch
from labml_nn.diffusion.ddpm import DenoiseDiffusion

process = DenoiseDiffusion(lambda x, t: torch.zeros_like(x), n_steps=1000, device=torch.device("cpu"))
torch.manual_seed(0)
x = torch.zeros(1, 1, 100, 100)
print(f"{process.p_sample(x, torch.tensor([0])).std():.3f}")
# 0.010
