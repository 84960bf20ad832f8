"""`variance_type="learned"` takes the root of what the network returns.

`_get_variance` returns the network's output as it is, and `step` takes its root: nan wherever it is negative. In
improved-diffusion, where this type comes from, the output is the logarithm of the variance. A network whose last
layer is positive would do as it stands; nothing says that one is needed.
"""

# peer: monai
# checks: step[learned]
import torch
from monai.networks.schedulers import DDPMScheduler

x = torch.zeros(1, 1, 8, 8)
scheduler = DDPMScheduler(variance_type="learned")
state, _ = scheduler.step(torch.cat([x, x - 1], dim=1), 999, x)
print(state.isnan().all().item())
# True
