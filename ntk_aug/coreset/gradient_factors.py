"""Per-example gradients in factors, with inner products and distances in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Int
from ntk_aug.checks import check_finite_rows
from ntk_aug.errors import InputError

# Float64 entries in a block of distances: a megabyte, which fits the cache.
_BLOCK_ENTRIES = 2**17
# Fewer rows make products of matrices slow.
_MIN_BLOCK_ROWS = 8
_MAX_LENGTH = 1e150


@dataclass(frozen=True)
class GradientFactors:
    """Per-example gradients g_i = outer_i (x) inner_i, or outer_i alone, never multiplied out.

    Inner products factor: <g_i, g_j> = <outer_i, outer_j> <inner_i, inner_j>.

    Attributes:
      outer: [n, a], in float64 like all results.
      inner: [n, b], or None if gradients are the rows of `outer`.
    """

    outer: Float64[np.ndarray, "n a"]
    inner: Float64[np.ndarray, "n b"] | None = None

    def __len__(self) -> int:
        return len(self.outer)

    def take(self, positions: Int[np.ndarray, " m"]) -> "GradientFactors":
        """The gradients of some examples, in the order given."""
        inner = None if self.inner is None else self.inner[positions]
        part = GradientFactors(self.outer[positions], inner)
        vars(part)["is_checked"] = self.is_checked
        return part

    @cached_property
    def is_checked(self) -> bool:
        """Whether `as_factors` has checked these gradients, or the ones they are part of."""
        return False

    def combination(self, weights: Float[np.ndarray, " n"]) -> Float64[np.ndarray, "..."]:
        """sum_i weights_i g_i, as an array [a], or [a, b] with two factors."""
        if self.inner is None:
            return weights @ self.outer
        return (self.outer * weights[:, None]).T @ self.inner

    @cached_property
    def squared_norms(self) -> Float64[np.ndarray, " n"]:
        """||g_i||^2."""
        norms = np.einsum("ij,ij->i", self.outer, self.outer)
        if self.inner is not None:
            norms *= np.einsum("ij,ij->i", self.inner, self.inner)
        return norms

    def inner_products(
        self, positions: int | Int[np.ndarray, " m"]
    ) -> Float64[np.ndarray, " n"] | Float64[np.ndarray, "m n"]:
        """<g_i, g_j> for i at the position or positions, and all j."""
        products = self.outer[positions] @ self.outer.T
        if self.inner is not None:
            products *= self.inner[positions] @ self.inner.T
        return products

    def along(self, direction: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, " n"]:
        """<g_i, direction> for all i; the direction has the shape of `combination`."""
        if self.inner is None:
            return self.outer @ direction
        return np.einsum("ij,ij->i", self.outer @ direction, self.inner)

    def distances(self, positions: Int[np.ndarray, " m"] | slice) -> Float64[np.ndarray, "m n"]:
        """||g_i - g_j|| in float64, for i at the positions and all j."""
        squares = self.squared_distances(positions)
        return np.sqrt(squares, out=squares)

    def squared_distances(
        self, positions: Int[np.ndarray, " m"] | slice
    ) -> Float64[np.ndarray, "m n"]:
        """||g_i - g_j||^2 in float64, for i at the positions and all j.

        From ||g_i||^2 + ||g_j||^2 - 2 <g_i, g_j>, whose rounding error is about float64's epsilon
        times ||g_i||^2. Values within it become zero, so duplicates are at distance zero.
        """
        squares = self._left[positions] @ self._right
        if self.inner is not None:
            squares *= self.inner[positions] @ self.inner.T
            squares += self.squared_norms[positions, None]
            squares += self.squared_norms
        return np.multiply(squares, squares > self.noise[positions, None], out=squares)

    def distance_blocks(
        self, positions: Int[np.ndarray, " m"]
    ) -> Iterator[tuple[slice, Float64[np.ndarray, "b n"]]]:
        """Yields (slice of the positions, their distances to all), some rows at a time."""
        for part, squares in self.square_blocks(positions):
            yield part, np.sqrt(squares, out=squares)

    def square_blocks(
        self, positions: Int[np.ndarray, " m"]
    ) -> Iterator[tuple[slice, Float64[np.ndarray, "b n"]]]:
        """Like `distance_blocks`, with squared distances."""
        for part in row_blocks(len(positions), len(self)):
            yield part, self.squared_distances(positions[part])

    def distances_within(
        self, groups: Int[np.ndarray, "groups m"]
    ) -> Float64[np.ndarray, "groups m m"]:
        """Distances between the gradients at the positions in each row."""
        num_groups, m = groups.shape
        distances = np.empty((num_groups, m, m))
        for part in row_blocks(num_groups, m * m, 1):
            own, squares = groups[part], distances[part]
            outer = self.outer[own]
            np.matmul(outer, outer.transpose(0, 2, 1), out=squares)
            if self.inner is not None:
                inner = self.inner[own]
                squares *= inner @ inner.transpose(0, 2, 1)
            squared_norms = self.squared_norms[own]
            squares *= -2
            squares += squared_norms[:, :, None]
            squares += squared_norms[:, None, :]
            np.multiply(squares, squares > self.noise[own][:, :, None], out=squares)
            np.sqrt(squares, out=squares)
        return distances

    def diameter_bound(self) -> float:
        """An upper bound on the largest distance: twice the largest from the mean."""
        mean = self.combination(np.full(len(self), 1 / len(self)))
        squares = self.squared_norms - 2 * self.along(mean) + np.vdot(mean, mean)
        return 2 * float(np.sqrt(max(squares.max(), 0)))

    @cached_property
    def noise(self) -> Float64[np.ndarray, " n"]:
        """The squared distance that cannot be distinguished from zero."""
        length = self.outer.shape[1] + (0 if self.inner is None else self.inner.shape[1])
        return 32 * np.sqrt(length) * np.finfo(np.float64).eps * self.squared_norms

    @cached_property
    def _left(self):
        """`_left @ _right` is -2 <g_i, g_j>, plus both squared norms for a single factor."""
        if self.inner is not None:
            return -2 * self.outer
        ones = np.ones((len(self), 1))
        return np.hstack([-2 * self.outer, self.squared_norms[:, None], ones])

    @cached_property
    def _right(self):
        if self.inner is not None:
            return self.outer.T
        ones = np.ones((len(self), 1))
        return np.ascontiguousarray(np.hstack([self.outer, ones, self.squared_norms[:, None]]).T)


Gradients = Float[Array, "n P"] | GradientFactors


def as_factors(gradients: Gradients) -> GradientFactors:
    """Gradients, as rows of an array or as factors, checked and in float64.

    Raises:
      InputError: no gradients, not [n, P], or one that is not finite or longer than 1e150.
    """
    if isinstance(gradients, GradientFactors) and gradients.is_checked:
        return gradients
    if not isinstance(gradients, GradientFactors):
        rows = np.ascontiguousarray(gradients, np.float64)
        if rows.ndim != 2:
            raise InputError(f"gradients have shape {rows.shape}, expected [n, P]")
        gradients = GradientFactors(rows)
    if len(gradients) == 0:
        raise InputError("there are no gradients to select from")
    for factor in (gradients.outer, gradients.inner):
        if factor is not None:
            check_finite_rows(factor, "gradients")
    with np.errstate(over="ignore", invalid="ignore"):
        fits = gradients.squared_norms <= _MAX_LENGTH**2
    if not fits.all():
        raise InputError(
            f"the gradient of example {int(np.argmin(fits))} is longer than {_MAX_LENGTH:g}: sums "
            "of its square overflow float64"
        )
    vars(gradients)["is_checked"] = True
    return gradients


def row_blocks(num_rows: int, n: int, at_least: int = _MIN_BLOCK_ROWS) -> Iterator[slice]:
    """Slices of consecutive rows of n entries, within the size of a block."""
    size = max(at_least, _BLOCK_ENTRIES // n)
    return (slice(start, start + size) for start in range(0, num_rows, size))
