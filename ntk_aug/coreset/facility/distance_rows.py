"""Distances from every example to every other one, in float32, kept or recomputed."""

import math
from collections.abc import Iterator

import numpy as np

from ntk_aug.aliases import Float, Int
from ntk_aug.coreset.gradient_factors import GradientFactors, row_blocks


class DistanceRows:
    """Rows of scaled distances in float32, kept if the budget allows it, and otherwise recomputed.

    Attributes:
      scale: the power of two that keeps distances within float32's range.
      largest: the largest distance, unscaled, in float64.
      sums: the sum of each example's scaled distances to all, in float64.
    """

    def __init__(self, gradients: GradientFactors, memory_bytes: float) -> None:
        """Computes all rows once, and keeps their 4 n^2 bytes if they fit the budget."""
        n = len(gradients)
        largest_norm = np.sqrt(gradients.squared_norms.max())
        self.scale = float(np.ldexp(1.0, -int(np.frexp(largest_norm)[1])))
        self._scaled = GradientFactors(gradients.outer * self.scale, gradients.inner)
        self._kept = np.empty((n, n), np.float32) if 4 * n * n <= memory_bytes else None
        largest_square, self.sums = 0.0, np.empty(n)
        for rows, squares in self._scaled.square_blocks(np.arange(n)):
            largest_square = max(largest_square, float(squares.max()))
            rounded = _float32_roots(squares)
            self.sums[rows] = rounded.sum(axis=1, dtype=np.float64)
            if self._kept is not None:
                self._kept[rows] = rounded
        self.largest = math.sqrt(largest_square) / self.scale

    def blocks(
        self, positions: Int[np.ndarray, " m"]
    ) -> Iterator[tuple[Int[np.ndarray, " b"], Float[np.ndarray, "b n"]]]:
        """Yields some of the positions and their rows, which the caller may overwrite."""
        if self._kept is None:
            for part, squares in self._scaled.square_blocks(positions):
                yield positions[part], _float32_roots(squares)
        else:
            for part in row_blocks(len(positions), len(self._kept)):
                yield positions[part], self._kept[positions[part]]


def _float32_roots(squares):
    """Roots within 1.5 times float32's unit roundoff, 2^-24."""
    rounded = squares.astype(np.float32)
    return np.sqrt(rounded, out=rounded)
