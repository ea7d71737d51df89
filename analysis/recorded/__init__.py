"""Recorded runs: reading, grouping by settings, and what is measured from them."""
