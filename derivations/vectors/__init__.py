"""Conformance vectors: true values from the definitions, and the mistakes that each of them catches.

`python -m derivations.vectors` writes `ddpm_ref/conformance/vectors/`; with `--check` it compares.

`definitions` computes from what the words mean: steps composed one by one, joint Gaussians conditioned,
expectations of log-densities. It knows no closed form and no SymPy. The modules of `topics` choose inputs and
say, for each quantity, of which claims it is composed. `annotate` evaluates those: they must agree with the
definitions, and their mutants, one at a time, give the values that mistakes would have.
"""
