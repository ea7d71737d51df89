"""`python -m analysis theory`: the statements of the paper, as numbers."""
