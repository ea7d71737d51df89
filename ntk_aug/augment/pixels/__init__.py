"""Exact operations on whole pixel values, uint8 [h, w, c], that equal Pillow's."""
