"""The machinery of the proofs: symbols, obligations, two kernels, certificates, witnesses and claims."""
