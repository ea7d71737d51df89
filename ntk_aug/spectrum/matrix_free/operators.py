"""Matrices that are given by their products."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ntk_aug.aliases import Float64, Progress
from ntk_aug.errors import InputError

Product = Callable[[np.ndarray], np.ndarray]


@runtime_checkable
class LinearMap(Protocol):
    """J by its products: a `jacobian.JacobianOperator`, or a scipy operator."""

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
    """

    def __init__(self, operator: LinearMap):
        """Prepares the products."""
        self.side = min(operator.shape)
        self.by_columns = operator.shape[1] == self.side
        self._operator = operator

    def __call__(self, vector: Float64[np.ndarray, " side"]) -> Float64[np.ndarray, " side"]:
        """The product with a vector, in the precision of the operator."""
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


class CountedProducts:
    """A product that counts and reports its calls, and refuses results that are not finite.

    Attributes:
      count: calls so far.
    """

    def __init__(self, product: Product, expected: int, progress: Progress | None):
        """Reports ("products", count, the larger of count and the expected total)."""
        self.count = 0
        self._product, self._expected, self._progress = product, expected, progress

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """The product; raises InputError if it holds NaN or infinity."""
        image = self._product(vector)
        if not np.isfinite(image).all():
            raise InputError("a product with the kernel holds NaN or infinity")
        self.add_one()
        return image

    def add_one(self) -> None:
        """Counts and reports a product that was computed elsewhere."""
        self.count += 1
        self._report(max(self.count, self._expected))

    def expect(self, total: int) -> None:
        """Updates the expected total."""
        self._expected = total

    def finish(self) -> None:
        """Reports that no more products come."""
        if self.count < self._expected:
            self._report(self.count)

    def _report(self, total):
        if self._progress:
            self._progress("products", self.count, total)
