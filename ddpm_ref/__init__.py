"""Denoising diffusion probabilistic models, held to proved expressions.

The mathematics of the model, each file one concept: `schedule`, `gaussian`, `decoder`, `process`,
`objective`, `bound`, `coding`, `subsequence`, `score`, `sampler`, `langevin`. `t` is the paper's t, in 1..T,
and tables have T+1 entries with the clean image at index 0.

Public names are imported when first used, so that `ddpm_ref.conformance` needs no PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
