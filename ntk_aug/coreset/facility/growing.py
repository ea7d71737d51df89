"""The state of a greedy selection for facility location, and its result."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from ntk_aug.aliases import Float64, Int
from ntk_aug.coreset.gradient_errors import error_of_checked
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.coreset.subset import Subset

TIE = 1e-12
"""Gains within this share of the sum of distances are ties, because of float64's rounding."""


def located(
    factors: GradientFactors,
    selected: Sequence[int] | Int[np.ndarray, " k"],
    assignment: Int[np.ndarray, " n"],
    estimates: Sequence[float] | Float64[np.ndarray, " k"],
    constant: float,
) -> Subset:
    """The result of a greedy selection, from the attributes of a `GrowingSelection`.

    `estimates` are the sums of distances to the nearest selected one, after each selection;
    `constant` is at least the largest distance.
    """
    n, k = len(factors), len(selected)
    indices = np.array(selected, np.int64)
    weights = np.bincount(assignment, minlength=k).astype(np.float64)
    return Subset(
        indices=indices,
        gains=np.append(n * constant, estimates[:-1]) - estimates,
        weights=weights,
        assignment=assignment,
        objective=float(n * constant - estimates[-1]),
        estimate=float(estimates[-1]),
        gradient_error=error_of_checked(factors, indices, weights),
        constant=constant,
    )


class GrowingSelection(ABC):
    """A selection while it grows, and the nearest selected one of each example.

    Attributes:
      factors: the gradients.
      largest: at least the largest distance; `nearest` before the first selection.
      selected: in the order of selection.
      assignment: for each example, the position in `selected` of its nearest one, the lowest on
        ties.
      nearest: the distance to that one, in float64.
    """

    def __init__(self, factors: GradientFactors, largest: float) -> None:
        self.factors = factors
        self.largest = largest
        self.selected: list[int] = []
        self.assignment = np.zeros(len(factors), np.int64)
        self.nearest = np.full(len(factors), largest)

    @abstractmethod
    def step(self) -> float:
        """Selects one more; returns the sum of distances to the nearest selected ones."""

    def add(self, index: int, distances: Float64[np.ndarray, " n"]) -> float:
        """Adds the example with these distances to all; returns the same as `step`."""
        nearer = distances < self.nearest
        if not self.selected:
            nearer[:] = True  # one may be at the largest distance
        self.assignment[nearer] = len(self.selected)
        self.nearest[nearer] = distances[nearer]
        self.selected.append(index)
        return float(self.nearest.sum())
