"""The proofs: one literate script per chapter, decided by `python -m derivations`."""

# The reading order; every list of chapters is made from this one.
CHAPTERS = (
    "divergences",
    "gaussians",
    "forward",
    "posterior",
    "parameterization",
    "bound",
    "decoder",
    "sampling",
    "score",
    "continuous",
    "coding",
    "metrics",
)
