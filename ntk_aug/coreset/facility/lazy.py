"""Greedy selection that computes only gains that could be the largest, without a matrix."""

import numpy as np

from ntk_aug.aliases import Float64, Int
from ntk_aug.coreset.facility.growing import TIE, GrowingSelection
from ntk_aug.coreset.gradient_factors import GradientFactors

# Gains computed at once, by one product of matrices.
_BATCH = 8


class LazyGreedy(GrowingSelection):
    """Gains never increase, so an old gain is an upper bound.

    Each step computes the gains with the largest bounds until no other bound reaches the best. All
    is in float64; memory is a few rows of distances. Among equal gains (to 1e-12 of the sum of
    distances) the lowest index wins.

    Reference:
      Minoux: Accelerated greedy algorithms for maximizing submodular set functions, 1978.
    """

    def __init__(
        self, factors: GradientFactors, candidates: Int[np.ndarray, " m"] | None = None
    ) -> None:
        """Computes the first gains of the candidates, given in increasing order; None takes all."""
        self._candidates = np.arange(len(factors)) if candidates is None else candidates
        sums, largest = np.empty(len(self._candidates)), 0.0
        for part, distances in factors.distance_blocks(self._candidates):
            sums[part] = distances.sum(axis=1)
            largest = max(largest, float(distances.max()))
        if candidates is not None:  # other examples may be farther apart
            largest = factors.diameter_bound()
        super().__init__(factors, largest)
        self._bounds = len(factors) * largest - sums

    def step(self) -> float:
        """Selects one more; returns the sum of distances to the nearest selected ones."""
        position = first_of_best(self, self._candidates, self._bounds)
        self._bounds[position] = -np.inf
        index = int(self._candidates[position])
        return self.add(index, self.factors.distances(self._candidates[[position]])[0])


def first_of_best(
    selection: GrowingSelection,
    candidates: Int[np.ndarray, " m"],
    bounds: Float64[np.ndarray, " m"],
) -> int:
    """The position of the candidate with the largest gain, the first of equal ones.

    Candidates are in increasing order. `bounds` of their gains are infinite if unknown and
    -infinite if selected; computed gains are written into it.
    """
    left = bounds > -np.inf
    sum_of_distances = selection.nearest.sum()
    if sum_of_distances == 0:  # all gains are zero
        return int(np.argmax(left))
    slack, best, num_computed = TIE * sum_of_distances, -np.inf, 0
    stale = bounds.copy()
    while True:
        # The more were computed in vain, the more will be needed.
        top = _largest(stale, max(_BATCH, num_computed // 4))
        top = top[stale[top] >= best - slack]
        if not len(top):
            return int(np.argmax((stale == -np.inf) & left & (bounds >= best - slack)))
        gains = gains_of(selection, candidates[top])
        bounds[top], stale[top] = gains, -np.inf
        best = max(best, float(gains.max()))
        num_computed += len(top)


def gains_of(
    selection: GrowingSelection, candidates: Int[np.ndarray, " m"]
) -> Float64[np.ndarray, " m"]:
    """The gain of each candidate: sum_i max(nearest_i - D_ij, 0)."""
    gains = np.empty(len(candidates))
    for part, distances in selection.factors.distance_blocks(candidates):
        np.subtract(selection.nearest, distances, out=distances)
        gains[part] = np.maximum(distances, 0, out=distances).sum(axis=1)
    return gains


def _largest(values, count):
    """Positions of the largest values, in no order; none of -infinity."""
    places = np.arange(len(values))
    if len(values) > count:
        places = np.argpartition(values, len(values) - count)[-count:]
    return places[values[places] > -np.inf]
