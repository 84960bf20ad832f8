"""With fewer steps than T, DDPMScheduler moves the state by one step only, and DDIMScheduler by ⌊T/N⌋.

`set_timesteps` spaces the steps like linspace. `DDPMScheduler.step` goes from t to t - 1 whichever step comes next, so
after N < T steps the state has lost the noise of N steps only, and the last call, at t = 0, reads it as if it were
nearly clean. `DDIMScheduler.step` goes to t - ⌊T/N⌋, which is not where the next step begins, and can be far from it.

Both are right for N = T. The step that comes next is in `self.timesteps`.
"""

# peer: monai
# checks: stretch[linspace], ddim_step[linspace, eta = 0], ddim_step[linspace, eta = 0.5], ddim_step[linspace, eta = 1]
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler

noise = torch.ones(1, 1, 1, 1)
ddim = DDIMScheduler(clip_sample=False)
ddim.set_timesteps(3)
x = (1 - ddim.alphas_cumprod[999]) ** 0.5 * noise  # a grey image, noised
state, _ = ddim.step(noise, 999, x)
print(ddim.timesteps.tolist(), (1 - state.square() - ddim.alphas_cumprod).abs().argmin().item())

ddpm = DDPMScheduler(clip_sample=False)
ddpm.set_timesteps(3)
before, _ = ddpm.step(noise, 999, x, generator=torch.Generator().manual_seed(0))
ddpm.set_timesteps(1000)
after, _ = ddpm.step(noise, 999, x, generator=torch.Generator().manual_seed(0))
print(torch.equal(before, after))
# [999, 500, 0] 666
# True
