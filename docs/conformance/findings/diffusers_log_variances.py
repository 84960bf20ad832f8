"""`variance_type="fixed_large_log"` and `"learned"` give nan.

`_get_variance` returns log β_t for the first, and the network's output as it is for the second, and `step` takes
the root of either. A logarithm of a variance below one is negative, and so is half of what an untrained network
returns. For "learned", as improved-diffusion defined it, the output is the logarithm of the variance.

Every sample is lost, at the first step, and the loss of a model does not show it. "fixed_small_log" and
"learned_range" are exponentiated in `step` and are right.
"""

# peer: diffusers
# checks: step[fixed_large_log], step[learned], law[fixed_large_log]
import torch
from diffusers import DDPMScheduler

x = torch.zeros(1, 3, 8, 8)
for variance_type, output in (("fixed_large_log", x), ("learned", torch.cat([x, x - 1], dim=1))):
    scheduler = DDPMScheduler(variance_type=variance_type)
    print(variance_type, scheduler.step(output, 999, x).prev_sample.isnan().all().item())
# fixed_large_log True
# learned True
