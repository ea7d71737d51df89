"""Command line for training: python -m experiments --help."""
