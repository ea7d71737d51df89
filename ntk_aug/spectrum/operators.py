"""Matrices that are known by their products only."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ntk_aug.aliases import Float64, Progress


@runtime_checkable
class LinearMap(Protocol):
    """J by its products: a `jacobian.JacobianOperator`, or an operator of scipy."""

    shape: tuple[int, ...]
    dtype: Any

    def matvec(self, vector: np.ndarray) -> np.ndarray:
        """J v."""

    def rmatvec(self, vector: np.ndarray) -> np.ndarray:
        """J' u."""


class GramProducts:
    """J' J or J J', whichever is smaller, by products; both have the eigenvalues sigma_i^2.

    Attributes:
      side: min(N, P).
      by_columns: whether it is J' J.
      count: products so far.
    """

    def __init__(self, operator: LinearMap, progress: Callable[[int], None]):
        """Prepares the products; `progress` is called with the count after each."""
        self.side = min(operator.shape)
        self.by_columns = operator.shape[1] == self.side
        self.count = 0
        self._operator, self._progress = operator, progress

    def __call__(self, vector: Float64[np.ndarray, " side"]) -> Float64[np.ndarray, " side"]:
        """The product with a vector, in the precision of the operator."""
        self.count += 1
        self._progress(self.count)
        return self.back(self.there(vector))

    def there(self, vector: np.ndarray) -> Float64[np.ndarray, " other"]:
        """To the larger side: J v, or J' u."""
        operator = self._operator
        product = operator.matvec if self.by_columns else operator.rmatvec
        return np.asarray(product(np.asarray(vector, operator.dtype)), np.float64)

    def back(self, vector: np.ndarray) -> Float64[np.ndarray, " side"]:
        """From the larger side: J' u, or J v."""
        operator = self._operator
        product = operator.rmatvec if self.by_columns else operator.matvec
        return np.asarray(product(np.asarray(vector, operator.dtype)), np.float64)


def count_progress(progress: Progress | None, expected: int) -> Callable[[int], None]:
    """Reports a count of products as ("products", count, an estimate of all)."""
    if progress is None:
        return lambda count: None
    return lambda count: progress("products", count, max(count, expected))
