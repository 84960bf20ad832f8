"""The files of vectors, one module for each; none of them knows SymPy."""
