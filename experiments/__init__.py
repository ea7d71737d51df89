"""Command line for training: python -m experiments --help."""

from ntk_aug.compiler import hide_cache_messages

hide_cache_messages()  # before JAX is imported, as its compiler reads the setting then
