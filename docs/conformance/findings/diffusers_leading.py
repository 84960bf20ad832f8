"""`timestep_spacing="leading"`, the default, does not start at the last step; with `steps_offset=1` it may start after it.

The steps are multiples of ⌊T/N⌋ from 0 up, so the first of them is T - ⌊T/N⌋ or less: 1000 - 20 = 980 for N = 50, and
0 for N = 1. Sampling begins with pure noise, and the network takes it for an image at that step, with a signal that
is not there. Lin et al. 2023 (arXiv:2305.08891, table 2) compare the spacings; "trailing" starts at T.
"linspace" does for every N but 1.

With `steps_offset=1`, as many pipelines set it, N = T gives the step 1000, for which there is no entry: an
IndexError, in the first step.
"""

# peer: diffusers
# checks: first_step[leading], first_step[linspace], first_step[leading, steps_offset = 1], timesteps[leading, steps_offset = 1]
import torch
from diffusers import DDPMScheduler

scheduler = DDPMScheduler(steps_offset=1)
for N in (1, 50, 1000):
    scheduler.set_timesteps(N)
    print(N, scheduler.timesteps[0].item())
try:
    scheduler.step(torch.zeros(1, 1, 1, 1), 1000, torch.zeros(1, 1, 1, 1))
except IndexError as error:
    print(error)
# 1 1
# 50 981
# 1000 1000
# index 1000 is out of bounds for dimension 0 with size 1000
