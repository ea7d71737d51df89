"""Command line for analyses: python -m analysis --help."""
