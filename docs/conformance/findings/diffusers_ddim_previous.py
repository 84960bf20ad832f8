"""DDIMScheduler steps to t - ⌊T/N⌋, whichever step comes next.

`step` takes `timestep - num_train_timesteps // num_inference_steps` for the step before. That is the next one for
`timestep_spacing="leading"`. For "linspace" and "trailing" it is another one wherever the strides differ: the
state is moved to one noise level, and the network is asked about another.

The fewer the steps, the more it matters: with linspace and N = 3 the state lands at 666 and the network is told
499. Where N divides T, "trailing" is right. `self.timesteps` holds the step that comes next; DDPMScheduler
already looks there. With "leading" and `steps_offset=1` the last step is 1, and for N > T/2 it leads to 0 and not to the
image: the samples keep the noise of one step.
"""

# peer: diffusers
# checks: ddim_step[leading, steps_offset = 1, eta = 0], ddim_step[leading, steps_offset = 1, eta = 0.5], ddim_step[leading, steps_offset = 1, eta = 1], ddim_step[linspace, eta = 0], ddim_step[linspace, eta = 0.5], ddim_step[linspace, eta = 1], ddim_step[trailing, eta = 0], ddim_step[trailing, eta = 0.5], ddim_step[trailing, eta = 1]
import torch
from diffusers import DDIMScheduler

scheduler = DDIMScheduler(timestep_spacing="linspace", clip_sample=False)
scheduler.set_timesteps(3)
noise = torch.ones(1, 1, 1, 1)
x = (1 - scheduler.alphas_cumprod[999]) ** 0.5 * noise  # a grey image, noised
state = scheduler.step(noise, 999, x).prev_sample
reached = (1 - state.square() - scheduler.alphas_cumprod).abs().argmin()  # where 1 - ᾱ is its variance
print(scheduler.timesteps.tolist(), reached.item())
# [999, 500, 0] 666
