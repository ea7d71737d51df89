"""Policies: tables of operations, what their levels mean, and augmentations that draw from them."""
