"""Spectra from products J v and J' u alone, when neither J nor its kernel can be formed."""
