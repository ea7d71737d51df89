"""Facility location: one objective, and the greedy algorithms that maximise it."""
