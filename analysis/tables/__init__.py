"""`python -m analysis tables`: the paper's tables from recorded runs."""
