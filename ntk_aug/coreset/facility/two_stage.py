"""Greedy selection in two stages, for classes whose distances do not fit into memory."""

import math

import numpy as np

from ntk_aug.aliases import Int, KeyLike, Progress
from ntk_aug.coreset.facility.growing import GrowingSelection
from ntk_aug.coreset.facility.incremental import IncrementalGreedy
from ntk_aug.coreset.facility.lazy import LazyGreedy
from ntk_aug.coreset.gradient_errors import error_estimate
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.randomness import generator


def two_stage_greedy(
    key: KeyLike,
    factors: GradientFactors,
    count: int,
    tolerance: float | None,
    memory_bytes: int,
    progress: Progress | None,
) -> GrowingSelection:
    """A selection in two stages, to be taken step by step; arguments as `facility_location`.

    The examples are divided at random into parts whose distances fit the budget. k examples are
    selected greedily from each part, then k of these for all examples. If the k of a part have a
    smaller estimate over all examples, they are taken instead.

    Reference:
      Mirzasoleiman, Karbasi, Sarkar, Krause: Distributed submodular maximization: identifying
      representative elements in massive data, 2013. Wei, Iyer, Bilmes: Fast multi-stage submodular
      maximization, 2014.
    """
    n = len(factors)
    num_parts = math.ceil(n / max(1, math.isqrt(memory_bytes // 4)))
    parts = np.array_split(generator(key).permutation(n), num_parts)
    candidates = []
    for number, part in enumerate(parts):
        candidates.append(part[_selected(factors.take(part), count, memory_bytes)])
        if progress is not None:
            progress("parts", number + 1, num_parts)
    merged = LazyGreedy(factors, np.sort(np.concatenate(candidates)))
    estimate = np.inf
    while len(merged.selected) < count and (tolerance is None or estimate > tolerance):
        estimate = merged.step()
        if progress is not None:
            progress("merging", len(merged.selected), count)
    best = np.array(merged.selected)
    if tolerance is None or estimate > tolerance:
        for own in candidates:
            of_part = error_estimate(factors, own)
            if len(own) == count and of_part < estimate:
                best, estimate = own, of_part
    return _InOrder(factors, merged.largest, best)


def _selected(factors, count, memory_bytes):
    """The selection of one part, whose distances are freed before the next part."""
    greedy = IncrementalGreedy(factors, memory_bytes)
    for _ in range(min(count, len(factors))):
        greedy.step()
    return greedy.selected


class _InOrder(GrowingSelection):
    """Selects given examples in their order."""

    def __init__(
        self, factors: GradientFactors, largest: float, order: Int[np.ndarray, " k"]
    ) -> None:
        super().__init__(factors, largest)
        self._order = order

    def step(self) -> float:
        """Selects the next; returns the sum of distances to the nearest selected ones."""
        place = len(self.selected)
        distances = self.factors.distances(self._order[place : place + 1])[0]
        return self.add(int(self._order[place]), distances)
