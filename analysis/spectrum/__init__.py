"""`python -m analysis spectrum`: spectra of plain and of augmented images."""
