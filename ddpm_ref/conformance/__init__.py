"""The conformance kit: hold any implementation of DDPM to the proved mathematics."""
