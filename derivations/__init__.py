"""The proofs: one literate script per chapter, decided by `python -m derivations`."""

# The reading order; every list of chapters is made from this one.
CHAPTERS = (
    "gaussians",
    "forward",
    "posterior",
    "parameterization",
    "divergences",
    "bound",
    "decoder",
    "sampling",
    "score",
    "continuous",
    "coding",
    "metrics",
)
