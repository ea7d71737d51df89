"""Facility location on per-example gradients, by exact greedy selection."""

import numpy as np

from ntk_aug.aliases import Progress
from ntk_aug.checks import InputError, check_at_least, check_count
from ntk_aug.coreset.location import TIE, FacilityLocation, located
from ntk_aug.coreset.similarity import DistanceRows, GradientFactors, Gradients, as_factors

DEFAULT_MEMORY_BYTES = 2 * 2**30

# Largest error of the difference of two gains, relative to the sum of distances that they are
# parts of, when each distance is rounded to float32 (2^-24): a gain is a sum of differences.
_WINDOW = 2.0**-22
# Near ties that are computed again in float64, at most.
_NEAR_TIES = 32


def facility_location(
    gradients: Gradients,
    *,
    count: int | None = None,
    tolerance: float | None = None,
    constant: float | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    progress: Progress | None = None,
) -> FacilityLocation:
    """Selects greedily the examples whose gradients are near those of all.

    Each step takes the example that raises F(S) = sum_i max_{j in S} (constant - ||g_i - g_j||)
    most, so that F(S) is at least 1 - 1/e of the best of any k. All gains are kept up to date: a
    step changes them only by the examples that came nearer to S. Distances are kept in float32;
    gains that float32 cannot tell apart are computed again in float64, and of those that are equal
    even then (to 1e-12 of the sum of distances) the lowest index wins.

    Args:
      gradients: [n, P], or factors of them; or proxies of gradients.
      count: stop at k examples.
      tolerance: stop once the estimate sum_i min_{j in S} ||g_i - g_j|| is at most this. Of both
        rules, the first that holds; at least one is needed.
      constant: at least the largest distance; None takes that. The order does not depend on it.
      memory_bytes: budget of the distances, 4 n^2 bytes. Above it they are computed again for the
        examples that came nearer, in blocks of 2^19 entries (at least one row).
      progress: called with ("facility location", selected, k), k = n where no count is given.

    Raises:
      InputError: no stopping rule, a count or tolerance out of range, gradients that are not
        finite, a constant below the largest distance.

    References:
      Nemhauser, Wolsey, Fisher: An analysis of approximations for maximizing submodular set
      functions, 1978 (the bound). Mirzasoleiman, Bilmes, Leskovec: Coresets for data-efficient
      training of machine learning models, 2020 (the objective on gradients).
    """
    factors = as_factors(gradients)
    n = len(factors)
    if count is None and tolerance is None:
        raise InputError("neither count nor tolerance is given, expected a rule to stop by")
    limit = n if count is None else check_count(count, n, "count (examples to select)")
    if tolerance is not None:
        check_at_least(tolerance, 0, "tolerance")
    check_at_least(memory_bytes, 1, "memory_bytes")
    rows = DistanceRows(factors, memory_bytes)
    greedy = _Greedy(factors, rows)
    if constant is None:
        constant = rows.largest
    elif not constant >= rows.largest * (1 - TIE):
        raise InputError(
            f"constant is {constant}, expected at least the largest distance, {rows.largest:.6g}"
        )
    estimates: list[float] = []
    while len(estimates) < limit:
        estimates.append(greedy.step())
        if progress is not None:
            progress("facility location", len(estimates), limit)
        if tolerance is not None and estimates[-1] <= tolerance:
            break
    return located(factors, greedy.selected, greedy.assignment, estimates, float(constant))


class _Greedy:
    """The selection so far, the nearest selected one of each example, and the gains of all.

    Everything that the result says is float64's. Float32 is used for the gains alone, which say
    who could be next.
    """

    def __init__(self, factors: GradientFactors, rows: DistanceRows) -> None:
        n = len(factors)
        self._factors, self._rows = factors, rows
        self.selected: list[int] = []
        self.assignment = np.zeros(n, np.int64)
        # Before the first step all are farther from the selection than any two from each other.
        self._nearest = np.full(n, rows.largest * (1 + 2.0**-20))
        self._rounded = self._nearest.astype(np.float32)
        self._gains = self._rounded.sum(dtype=np.float64) - rows.sums

    def step(self) -> float:
        """Selects one more, and returns the sum of distances to the nearest selected ones."""
        index, distances = self._best()
        nearer = distances < self._nearest
        self.assignment[nearer] = len(self.selected)
        self._nearest[nearer] = distances[nearer]
        self.selected.append(index)
        self._update_gains(distances.astype(np.float32))
        self._gains[index] = -np.inf
        return float(self._nearest.sum())

    def _best(self):
        """The index of the largest gain, and its distances to all."""
        sum_of_distances = self._nearest.sum()
        least = self._gains.max() - _WINDOW * sum_of_distances
        candidates = np.flatnonzero(self._gains >= least)
        if len(candidates) > _NEAR_TIES:
            largest_first = np.argsort(-self._gains[candidates], kind="stable")
            candidates = np.sort(candidates[largest_first[:_NEAR_TIES]])
        distances = self._factors.distances(candidates)
        gains = np.maximum(self._nearest - distances, 0).sum(axis=1)
        first = int(np.argmax(gains >= gains.max() - TIE * sum_of_distances))
        return int(candidates[first]), distances[first]

    def _update_gains(self, distances):
        """Takes from each gain what the examples that came nearer no longer give.

        Of such an example i, whose distance falls from d to d', candidate j gave max(d - D_ij, 0)
        and gives max(d' - D_ij, 0): the difference is d - clip(D_ij, d', d). Sums are float64's,
        so that errors do not add up from step to step.
        """
        nearer = np.flatnonzero(distances < self._rounded)
        self._gains -= self._rounded[nearer].sum(dtype=np.float64)
        for part, block in self._rows.blocks(nearer):
            low, high = distances[part, None], self._rounded[part, None]
            self._gains += np.clip(block, low, high, out=block).sum(axis=0, dtype=np.float64)
        self._rounded[nearer] = distances[nearer]
