"""Policies: tables of operations, magnitudes of their levels, and augmentations made of them."""
