"""Greedy selection that keeps all gains up to date, for distances that fit into memory."""

import math
from collections.abc import Iterator

import numpy as np

from ntk_aug.aliases import Float, Int
from ntk_aug.coreset.facility.growing import TIE, GrowingSelection
from ntk_aug.coreset.gradient_factors import GradientFactors, row_blocks

# Bounds the error of a difference of gains, as a share of the sum of distances, if each distance is
# off by 1.5 * 2^-24.
_WINDOW = 2.0**-21
# Gains are recomputed when the sum of distances falls to this share, so that float64 rounding stays
# far below the window.
_STALE = 1e-5
# Near ties that are recomputed in float64, at most.
_NEAR_TIES = 32


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


class IncrementalGreedy(GrowingSelection):
    """Each step updates the gains by the examples that came nearer.

    Gains use float32 distances and only suggest candidates; all results are float64.
    """

    def __init__(self, factors: GradientFactors, memory_bytes: int) -> None:
        """Computes all distances; keeps them if their 4 n^2 bytes are within the budget."""
        self._rows = DistanceRows(factors, memory_bytes)
        super().__init__(factors, self._rows.largest)
        # Before the first step all are farther from the selection than from each other.
        farthest = self.largest * (1 + 2.0**-20) * self._rows.scale
        self._rounded = np.full(len(factors), farthest, np.float32)
        self._fresh = self._rounded.sum(dtype=np.float64)  # when gains were last computed anew
        self._gains = self._fresh - self._rows.sums

    def step(self) -> float:
        """Selects one more; returns the sum of distances to the nearest selected ones."""
        index, distances = self._best()
        estimate = self.add(index, distances)
        self._update_gains((distances * self._rows.scale).astype(np.float32))
        self._gains[index] = -np.inf
        if estimate * self._rows.scale < _STALE * self._fresh:
            self._compute_gains()
        return estimate

    def _best(self):
        """The index with the largest gain, and its distances to all."""
        sum_of_distances = self.nearest.sum()
        least = self._gains.max() - _WINDOW * sum_of_distances * self._rows.scale
        candidates = np.flatnonzero(self._gains >= least)
        if len(candidates) > _NEAR_TIES:
            largest_first = np.argsort(-self._gains[candidates], kind="stable")
            candidates = np.sort(candidates[largest_first[:_NEAR_TIES]])
        distances = self.factors.distances(candidates)
        if len(candidates) == 1:
            return int(candidates[0]), distances[0]
        gains = np.maximum(self.nearest - distances, 0).sum(axis=1)
        first = int(np.argmax(gains >= gains.max() - TIE * sum_of_distances))
        return int(candidates[first]), distances[first]

    def _compute_gains(self):
        """Recomputes all gains, to remove the rounding of earlier updates."""
        self._fresh = self._rounded.sum(dtype=np.float64)
        self._gains[np.isfinite(self._gains)] = 0
        for part, block in self._rows.blocks(np.flatnonzero(self._rounded)):
            np.subtract(self._rounded[part, None], block, out=block)
            self._gains += np.maximum(block, 0, out=block).sum(axis=0, dtype=np.float64)

    def _update_gains(self, distances):
        """Subtracts from each gain the loss by the examples that came nearer.

        If the distance of such an example i falls from d to d', its part of the gain of j falls
        from max(d - D_ij, 0) to max(d' - D_ij, 0): by d - clip(D_ij, d', d). Sums are float64, so
        errors do not accumulate.
        """
        nearer = np.flatnonzero(distances < self._rounded)
        self._gains -= self._rounded[nearer].sum(dtype=np.float64)
        for part, block in self._rows.blocks(nearer):
            low, high = distances[part, None], self._rounded[part, None]
            self._gains += np.clip(block, low, high, out=block).sum(axis=0, dtype=np.float64)
        self._rounded[nearer] = distances[nearer]


def _float32_roots(squares):
    """Roots within 1.5 times float32's unit roundoff, 2^-24."""
    rounded = squares.astype(np.float32)
    return np.sqrt(rounded, out=rounded)
