"""Facility location of many small classes at once: each step selects one example in each class.

A class of 60 examples alone spends its time on NumPy's overhead, which classes side by side share.
The results are those of `facility_location`. Distances are kept in float64, so near ties need no
second look.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from ntk_aug.aliases import Float64, Int
from ntk_aug.coreset.facility.growing import TIE, located
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.coreset.subset import Subset

# Larger classes keep NumPy busy alone, with float32 distances, which are faster.
_MAX_CLASS_SIZE = 700
# Float64 distances kept at once (few enough for memory to be reused), and handled at once.
_CHUNK_ENTRIES = 2**22
_BLOCK_ENTRIES = 2**16
# Gains are recomputed when the sum of distances falls to this share, so that float64 rounding stays
# a thousandth of a tie.
_STALE = 1e-3


def classes_in_step(
    sizes: Int[np.ndarray, " classes"], *, memory_bytes: int
) -> list[Int[np.ndarray, " some"]]:
    """Numbers of classes to select from together: of similar size, within the memory budget.

    A class that is large, or above the budget, is alone; `facility_location` handles it.
    """
    entries = min(_CHUNK_ENTRIES, memory_bytes // 8)
    by_size = np.argsort(-sizes, kind="stable")
    parts = []
    while len(by_size):
        largest = int(sizes[by_size[0]])
        together = max(1, entries // largest**2) if largest <= _MAX_CLASS_SIZE else 1
        parts.append(by_size[:together])
        by_size = by_size[together:]
    return parts


def facility_location_in_lockstep(
    factors: GradientFactors,
    members: Sequence[Int[np.ndarray, " _"]],
    counts: Int[np.ndarray, " classes"],
    tolerances: Float64[np.ndarray, " classes"] | None = None,
) -> list[Subset]:
    """The result of `facility_location` for each of several classes, whose distances are all kept.

    `members` are positions of the examples of each class, at least one, and `counts` the examples
    to select. A class also stops once its estimate is at most its tolerance.
    """
    greedy = _Lockstep(factors, members)
    limits = counts.copy()
    estimates = np.empty((limits.max(), len(members)))
    for step in range(limits.max()):
        estimates[step] = greedy.step(step)
        if tolerances is not None:
            limits[(estimates[step] <= tolerances) & (limits > step)] = step + 1
        greedy.leave(limits == step + 1)
        if (limits <= step + 1).all():
            break
    selected = np.stack(greedy.selected)
    return [
        located(
            factors.take(own),
            selected[:limit, number],
            greedy.assignment[number, : len(own)],
            estimates[:limit, number],
            float(greedy.largest[number]),
        )
        for number, (own, limit) in enumerate(zip(members, limits, strict=True))
    ]


class _Lockstep:
    """The selections so far; arrays are [classes, m], padded to the largest size m.

    Padding is at distance 0 from the selection, so it never comes nearer and is never selected.
    """

    def __init__(self, factors: GradientFactors, members: Sequence[np.ndarray]) -> None:
        sizes = np.array([len(own) for own in members])
        c, m = len(members), sizes.max()
        filling = np.arange(m) >= sizes[:, None]
        places = np.zeros((c, m), np.int64)
        places[~filling] = np.concatenate(members)
        self._distances = factors.distances_within(places)
        if filling.any():
            self._distances[filling[:, :, None] | filling[:, None, :]] = 0
        self.largest = self._distances.max(axis=(1, 2))
        self.selected: list[np.ndarray] = []
        self.assignment = np.zeros((c, m), np.int64)
        # Before the first step all are farther from the selection than from each other.
        self._nearest = np.where(filling, 0, self.largest[:, None] * (1 + 2.0**-20))
        self._estimates = self._nearest.sum(axis=1)
        self._gains = self._estimates[:, None] - self._distances.sum(axis=1)
        self._gains[filling] = -np.inf
        self._fresh = self._estimates.copy()  # when gains were last computed anew

    def step(self, number: int) -> np.ndarray:
        """Selects one more in each class; returns their sums of distances to the nearest."""
        each = np.arange(len(self._gains))
        least = self._gains.max(axis=1) - TIE * self._estimates
        best = np.argmax(self._gains >= least[:, None], axis=1)
        self.selected.append(best)
        distances = self._distances[each, best]
        nearer = np.flatnonzero(distances < self._nearest)
        self._update_gains(nearer, distances.ravel()[nearer])
        self._nearest.ravel()[nearer] = distances.ravel()[nearer]
        self.assignment.ravel()[nearer] = number
        self._gains[each, best] = -np.inf
        self._estimates = self._nearest.sum(axis=1)
        for stale in np.flatnonzero(self._estimates < _STALE * self._fresh):
            self._compute_gains(stale)
        return self._estimates

    def leave(self, classes: np.ndarray) -> None:
        """Stops these classes: in them nothing comes nearer any more."""
        self._nearest[classes] = 0

    def _compute_gains(self, one):
        """Recomputes the gains of a class."""
        gains = np.maximum(self._nearest[one, :, None] - self._distances[one], 0).sum(axis=0)
        self._gains[one] = np.where(np.isneginf(self._gains[one]), -np.inf, gains)
        self._fresh[one] = self._estimates[one]

    def _update_gains(self, nearer, distances):
        """Like `IncrementalGreedy`, for the rows that came nearer in all classes.

        The rows of a class are adjacent; a sparse matrix of ones sums them.
        """
        m = self._gains.shape[1]
        rows = self._distances.reshape(-1, m)
        before = self._nearest.ravel()[nearer]
        size = max(1, _BLOCK_ENTRIES // m)
        for start in range(0, len(nearer), size):
            part = slice(start, start + size)
            low, high = distances[part, None], before[part, None]
            kept = np.clip(rows[nearer[part]], low, high)
            numbers = nearer[part] // m
            firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
            shape = (len(firsts), len(numbers))
            ends = np.append(firsts, len(numbers))
            ones = np.ones(len(numbers))
            summing = sparse.csr_array((ones, np.arange(len(numbers)), ends), shape=shape)
            self._gains[numbers[firsts]] += summing @ kept - summing @ high
