"""Greedy selection that keeps all gains up to date, for distances that fit into memory."""

import numpy as np

from ntk_aug.coreset.facility.distance_rows import DistanceRows
from ntk_aug.coreset.facility.growing import TIE, GrowingSelection
from ntk_aug.coreset.gradient_factors import GradientFactors

# Bounds the error of a difference of gains, as a share of the sum of distances, if each distance is
# off by 1.5 * 2^-24.
_WINDOW = 2.0**-21
# Gains are recomputed when the sum of distances falls to this share, so that float64 rounding stays
# far below the window.
_STALE = 1e-5
# Near ties that are recomputed in float64, at most.
_NEAR_TIES = 32


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
