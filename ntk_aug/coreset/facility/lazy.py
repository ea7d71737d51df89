"""Greedy selection that computes a gain only where it could be the largest: without a matrix."""

import numpy as np

from ntk_aug.aliases import Float64, Int
from ntk_aug.coreset.facility.growing import TIE, GrowingSelection
from ntk_aug.coreset.gradient_factors import GradientFactors

# Gains that are computed at once: a product of matrices is faster than its rows one by one.
_BATCH = 8


class LazyGreedy(GrowingSelection):
    """Gains never increase, so that what a gain was is a bound of what it is.

    Each step computes the gains with the largest bounds until no other bound reaches the best. All
    is in float64; memory is that of a few rows of distances. Of gains that are equal (to 1e-12 of
    the sum of distances) the lowest index wins.

    Reference:
      Minoux: Accelerated greedy algorithms for maximizing submodular set functions, 1978.
    """

    def __init__(
        self, factors: GradientFactors, candidates: Int[np.ndarray, " m"] | None = None
    ) -> None:
        """Computes the first gains.

        Args:
          factors: the gradients.
          candidates: the examples that can be selected, in increasing order; None: all.
        """
        self._candidates = np.arange(len(factors)) if candidates is None else candidates
        sums, largest = np.empty(len(self._candidates)), 0.0
        for part, distances in factors.distance_blocks(self._candidates):
            sums[part] = distances.sum(axis=1)
            largest = max(largest, float(distances.max()))
        if candidates is not None:  # others may be farther from each other
            largest = factors.diameter_bound()
        super().__init__(factors, largest)
        self._bounds = len(factors) * largest - sums

    def step(self) -> float:
        """Selects one more, and returns the sum of distances to the nearest selected ones."""
        position = first_of_best(self, self._candidates, self._bounds)
        self._bounds[position] = -np.inf
        index = int(self._candidates[position])
        return self.add(index, self.factors.distances(self._candidates[[position]])[0])


def first_of_best(
    selection: GrowingSelection,
    candidates: Int[np.ndarray, " m"],
    bounds: Float64[np.ndarray, " m"],
) -> int:
    """The position of the candidate with the largest gain, the first of those that are equal.

    Args:
      selection: so far.
      candidates: some examples, in increasing order.
      bounds: of the gain of each, infinite where nothing is known, and -infinite where it is
        selected; what is computed is written into it.
    """
    left = bounds > -np.inf
    sum_of_distances = selection.nearest.sum()
    if sum_of_distances == 0:  # all gains are zero
        return int(np.argmax(left))
    slack, best, num_computed = TIE * sum_of_distances, -np.inf, 0
    stale = bounds.copy()
    while True:
        # The more were in vain so far, the more will be needed.
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
    """What each candidate would add to the objective: sum_i max(nearest_i - D_ij, 0)."""
    gains = np.empty(len(candidates))
    for part, distances in selection.factors.distance_blocks(candidates):
        np.subtract(selection.nearest, distances, out=distances)
        gains[part] = np.maximum(distances, 0, out=distances).sum(axis=1)
    return gains


def _largest(values, count):
    """Places of the largest values, in no order; none of -infinity."""
    if len(values) > count:
        places = np.argpartition(values, len(values) - count)[-count:]
    else:
        places = np.arange(len(values))
    return places[values[places] > -np.inf]
