"""Spectra from products J v and J' u alone, where neither J nor its kernel can be formed."""
