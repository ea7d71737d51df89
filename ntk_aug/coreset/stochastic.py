"""Greedy selection among random candidates: for classes that are too large to look at all pairs."""

import math

import numpy as np

from ntk_aug.aliases import KeyArray
from ntk_aug.coreset.lazy import gains_of
from ntk_aug.coreset.location import GrowingSelection
from ntk_aug.coreset.similarity import GradientFactors
from ntk_aug.coreset.subset import generator


class StochasticGreedy(GrowingSelection):
    """Each step takes the best of (n / k) log(1 / epsilon) examples, drawn anew.

    The objective is at least 1 - 1/e - epsilon of the best of any k, in expectation. In all, the
    distances of n log(1 / epsilon) examples to all are computed, and those of a few rows kept.

    Reference:
      Mirzasoleiman, Badanidiyuru, Karbasi, Vondrak, Krause: Lazier than lazy greedy, 2015.
    """

    def __init__(
        self, key: KeyArray, factors: GradientFactors, *, count: int, epsilon: float
    ) -> None:
        """Draws nothing yet.

        Args:
          key: of the candidates.
          factors: the gradients.
          count: k.
          epsilon: in (0, 1).
        """
        super().__init__(factors, factors.diameter_bound())
        self._generator = generator(key)
        self._num_candidates = math.ceil(len(factors) / count * math.log(1 / epsilon))
        self._left = np.ones(len(factors), bool)

    def step(self) -> float:
        """Selects one more, and returns the sum of distances to the nearest selected ones."""
        left = np.flatnonzero(self._left)
        size = min(self._num_candidates, len(left))
        candidates = np.sort(self._generator.choice(left, size, replace=False))
        index = int(candidates[np.argmax(gains_of(self, candidates))])
        self._left[index] = False
        return self.add(index, self.factors.distances(np.array([index]))[0])
