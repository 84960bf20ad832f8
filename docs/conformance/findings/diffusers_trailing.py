"""`timestep_spacing="trailing"` takes one step too many for 62 of the 1000 step counts.

The steps come from `np.arange(T, 0, -T / N)`. Where `T / N` is not a binary fraction, the sum of N such strides
may fall just short of T, and `arange` then yields one more value, near zero. Rounded, less one, it is -1.
`alphas_cumprod[-1]` is the last entry: the final call of the network is for the noisiest step, on an image that is
all but clean, and what it returns is the sample.

It happens for N = 61, 103, 121, 122, 201, 206, 217, 223 and 54 others, in DDPMScheduler and DDIMScheduler alike.
`round(i * T / N)` for i = N … 1, in integers, has the right count for every N.
"""

# peer: diffusers
# checks: timesteps[trailing]
from diffusers import DDPMScheduler

scheduler = DDPMScheduler(timestep_spacing="trailing")
scheduler.set_timesteps(61)
print(len(scheduler.timesteps), scheduler.timesteps[-1].item())

wrong = []
for N in range(1, 1001):
    scheduler.set_timesteps(N)
    if len(scheduler.timesteps) != N:
        wrong.append(N)
print(len(wrong))
# 62 -1
# 62
