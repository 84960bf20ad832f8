"""The tests; each reads as a statement about the mathematics or about what a person meets."""
