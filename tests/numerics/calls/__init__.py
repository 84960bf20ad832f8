"""The measurements that the bindings lack, a file for each part of the code; importing this enters all."""

from importlib import import_module
from pkgutil import iter_modules

LEFT_OUT = {
    "decoder.bin-mass": "takes the exponential, where an error of a logarithm becomes a relative one",
    "decoder.bin-mass_by_tanh": "the same",
    "decoder.tanh-tanh_argument": "a difference of logarithms",
    "score.mixture-mixture_score": "of float64 only, and without the size of the exponents",
    "score.optimal-eps-mixture_eps": "the same",
    "score.tweedie-mixture_x0_hat": "the same",
    "score.posterior-spread-mixture_spread": "the same",
    "score.mixture-surprise-mixture_surprise": "the same",
    "score.two-images-odds": "the same",
    "score.mixture-images_score": "the same",
    "score.optimal-eps-images_eps": "the same",
    "score.tweedie-images_x0_hat": "the same",
    "score.mixture-surprise-images_surprise": "the same",
    "parameterization.error-x0-mixture_spread_by_the_least_loss": "compares the code with itself",
    "parameterization.L-hybrid-L_hybrid": "takes a part of its truth from the code",
    "score.algorithm-2-ancestral_step_by_the_score": "two functions, each measured by itself",
    "score.bound-weight-bound_weight": "divides two losses",
    "score.tweedie-gaussian_x0_hat": "without the data's mean in its size",
    "sampling.gaussian-gap-gap_but_for_the_variances": "a square of a small difference is its own size",
    "sampling.gaussian-gap-gap_with_the_true_variances": "the same",
    "sampling.gaussian-prior-term-prior_term": "a schedule for each t: `totals` has one",
    "score.eps-prediction-simple": "a difference within the square is not in its size",
    "score.objective-objective": "the same",
    "posterior.log-variance-clipped-variance_of_the_last_reverse_step": "takes an exponential",
}
"""Bindings whose error is not that of the function they call."""

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
