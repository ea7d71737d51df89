"""Command line for analyses: python -m analysis --help."""

from ntk_aug.compiler import hide_cache_messages

hide_cache_messages()  # before JAX is imported, as its compiler reads the setting then
