"""The decoder's normal law is a tanh, with a floor of 1e-12 under each mass.

For means near the pixel, as a trained network's are, the tanh moves the log-likelihood by less than 3e-4 bits per
dimension. Far off, the floor takes over: no pixel costs more than 12 ln 10 = 27.6 nats, and in float32 the difference of
two probabilities near one is all rounding. A bad model then looks better than it is; a good one does not notice.

This is the choice of the released code, from which the paper's figures come, and not an oversight: a comparison
with those figures should make it too (`cdf="tanh"` here, which has no floor).
"""

# peer: hojonathanho/diffusion, formulas
# checks: decoder_log_likelihood, decoder_log_likelihood, far off
import numpy as np

from ddpm_ref.conformance.adapters.original import Original

process = Original(np.linspace(1e-4, 0.02, 1000), "float32", "cpu")
pixel, mean = np.zeros((2, 1, 1, 1), np.float32) - 0.2, np.array([-0.19, 1.0], np.float32).reshape(2, 1, 1, 1)
log_variance = np.full((2, 1, 1, 1), np.log(0.02**2), np.float32)
print(process.decoder_log_likelihood(pixel, mean, log_variance).round(2))
# [ -1.99 -27.63]
