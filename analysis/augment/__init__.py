"""`python -m analysis augment`: a contact sheet of augmented images."""
