"""Whole batches: a key for each example, mixing of two examples, and choice among candidates."""
