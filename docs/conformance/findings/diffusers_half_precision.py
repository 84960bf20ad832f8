"""In bfloat16 and float16, `add_noise` and `get_velocity` subtract from one after rounding.

Both cast ᾱ to the images' dtype and then form `(1 - ᾱ) ** 0.5`. Near one, bfloat16 has steps of 1/256 and float16 of
1/2048: with the default schedule, 1 - ᾱ is zero for the first 10 steps in bfloat16 and for the first 2 in float16, and its
root is off by more than a hundredth for 62 and 16 steps. Where it is zero no noise is added, while the network is told
that there is some.

A network that is trained on bfloat16 images, rather than under autocast, learns the small t from the wrong pairs.
Computing both roots in float32 and casting them keeps every step, at no cost.
"""

# peer: diffusers
# checks: q_sample, velocity
import torch
from diffusers import DDPMScheduler

scheduler = DDPMScheduler()
t = torch.arange(1000)
for dtype in (torch.bfloat16, torch.float16):
    zero, one = torch.zeros(1000, 1, dtype=dtype), torch.ones(1000, 1, dtype=dtype)
    found = scheduler.add_noise(zero, one, t).float().flatten()
    wanted = (1 - scheduler.alphas_cumprod) ** 0.5
    off = (found / wanted - 1).abs()
    print(dtype, (found == 0).sum().item(), (off > 0.01).sum().item())
# torch.bfloat16 10 62
# torch.float16 2 16
