"""`python -m analysis figures`: the paper's figures from recorded runs."""
