"""In bfloat16 and float16, `add_noise` and `get_velocity` subtract from one after rounding.

Both cast ᾱ to the images' dtype and then form `(1 - ᾱ) ** 0.5`, which is zero for the first 10 steps of the linear
schedule in bfloat16 and for the first 2 in float16: no noise is added there, while the network is told that there is
some. The cast table also replaces the scheduler's own, so that what the scheduler computes afterwards, in any
dtype, is computed from rounded ᾱ.

It matters where images are bfloat16 themselves, not under autocast. Both roots in float32, cast, keep every step.
"""

# peer: monai
# checks: q_sample, velocity
import torch
from monai.networks.schedulers import DDPMScheduler

scheduler = DDPMScheduler()
t = torch.arange(1000)
zero, one = torch.zeros(1000, 1, dtype=torch.bfloat16), torch.ones(1000, 1, dtype=torch.bfloat16)
print((scheduler.add_noise(zero, one, t) == 0).sum().item(), scheduler.alphas_cumprod.dtype)
# 10 torch.bfloat16
