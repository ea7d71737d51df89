"""Measurements: `python -m benchmarks.NAME`, from a checkout. Never run as tests."""
