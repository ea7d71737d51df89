"""Greedy selection among random candidates, for classes too large to compare all pairs."""

import math

import numpy as np

from ntk_aug.aliases import KeyLike
from ntk_aug.coreset.facility.growing import GrowingSelection
from ntk_aug.coreset.facility.lazy import first_of_best
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.randomness import generator


class StochasticGreedy(GrowingSelection):
    """Each step takes the best of (n / k) log(1 / epsilon) newly drawn examples.

    The objective is at least 1 - 1/e - epsilon of the best of any k, in expectation. Gains of
    examples drawn before are computed lazily, as in `LazyGreedy`. Memory is a few rows of
    distances.

    Reference:
      Mirzasoleiman, Badanidiyuru, Karbasi, Vondrak, Krause: Lazier than lazy greedy, 2015.
    """

    def __init__(
        self, key: KeyLike, factors: GradientFactors, *, count: int, epsilon: float
    ) -> None:
        """Draws nothing yet; `count` is k, and `epsilon` is in (0, 1)."""
        super().__init__(factors, factors.diameter_bound())
        self._generator = generator(key)
        self._num_candidates = math.ceil(len(factors) / count * math.log(1 / epsilon))
        self._bounds = np.full(len(factors), np.inf)  # of gains; -inf once selected

    def step(self) -> float:
        """Selects one more; returns the sum of distances to the nearest selected ones."""
        left = np.flatnonzero(self._bounds > -np.inf)
        size = min(self._num_candidates, len(left))
        candidates = np.sort(self._generator.choice(left, size, replace=False))
        bounds = self._bounds[candidates]
        index = int(candidates[first_of_best(self, candidates, bounds)])
        self._bounds[candidates] = bounds
        self._bounds[index] = -np.inf
        return self.add(index, self.factors.distances(np.array([index]))[0])
