"""Rows of the Jacobian in the form that products of rows need: dense layers in factors."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Array, Float64


class RowFactors(NamedTuple):
    """Rows of J of n images, with the columns of dense layers' kernels in factors.

    Arrays are numpy's, or JAX's if the rows are kept on devices.

    Attributes:
      rows: [n * k, ...], the columns of all other parameters.
      inputs: for each such layer x, [n, inputs].
      cotangents: for each such layer d, [n * k, outputs]. Row i * k + c of J is the outer product
        of x[i] and d[i * k + c] in the columns of the layer's kernel.
      outputs_per_example: k.
    """

    rows: Any
    inputs: tuple[Any, ...]
    cotangents: tuple[Any, ...]
    outputs_per_example: int

    def part(self, start: int, stop: int) -> "RowFactors":
        """The rows of images start to stop - 1, as views."""
        rows = slice(start * self.outputs_per_example, stop * self.outputs_per_example)
        return self._replace(
            rows=self.rows[rows],
            inputs=tuple(x[start:stop] for x in self.inputs),
            cotangents=tuple(d[rows] for d in self.cotangents),
        )

    def squared_norms(self) -> Float64[np.ndarray, " N"]:
        """The squared Euclidean norm of each row of J, summed in float64."""
        total = np.einsum("ij,ij->i", self.rows, self.rows, dtype=np.float64)
        for x, d in zip(self.inputs, self.cotangents, strict=True):
            inputs, cotangents = (np.einsum("ij,ij->i", a, a, dtype=np.float64) for a in (x, d))
            total += np.repeat(inputs, self.outputs_per_example) * cotangents
        return total


class FactorLayout:
    """How the pieces that a program computes, each [images * r, size], make up `RowFactors`.

    The pieces are the columns of each parameter that is not in factors, r = k; then the inputs of
    those that are, r = 1; then their cotangents, r = k.
    """

    def __init__(
        self,
        names: Sequence[str],
        in_factors: Sequence[str],
        shapes: Sequence[tuple[int, int]],
        outputs_per_example: int,
        dtype: str,
    ):
        """Takes the paths of all parameters, of those in factors, and (r, size) of each piece."""
        self._names, self._in_factors, self._dtype = names, in_factors, dtype
        self._num_rest = len(names) - len(in_factors)
        self._sizes = [size for _, size in shapes[: self._num_rest]]
        self._factor_shapes = shapes[self._num_rest :]
        self._k = outputs_per_example

    def empty(self, n: int) -> RowFactors:
        """Memory for the rows of n images."""
        rows = np.empty((n * self._k, sum(self._sizes)), self._dtype)
        return self._of(rows, [np.empty((n * r, s), self._dtype) for r, s in self._factor_shapes])

    def joined(self, pieces: Sequence[Array], concatenate: Callable[..., Array]) -> RowFactors:
        """The rows from their pieces; `concatenate` is that of numpy or JAX."""
        rest, factors = pieces[: self._num_rest], pieces[self._num_rest :]
        rows = concatenate(rest, axis=1) if rest else factors[-1][:, :0]
        return self._of(rows, factors)

    def pieces(self, factors: RowFactors) -> list[np.ndarray]:
        """The pieces as views of the rows."""
        return [*columns_of(factors.rows, self._sizes), *factors.inputs, *factors.cotangents]

    def by_parameter(self, factors: RowFactors) -> dict[str, RowFactors]:
        """From each parameter's path to its columns of these rows, as views."""
        rest = iter(columns_of(factors.rows, self._sizes))
        in_factors = zip(factors.inputs, factors.cotangents, strict=True)
        found = {}
        for name in self._names:
            if name in self._in_factors:
                x, d = next(in_factors)
                found[name] = RowFactors(factors.rows[:, :0], (x,), (d,), self._k)
            else:
                found[name] = RowFactors(next(rest), (), (), self._k)
        return found

    def _of(self, rows, factors):
        half = len(self._in_factors)
        return RowFactors(rows, tuple(factors[:half]), tuple(factors[half:]), self._k)


def columns_of(matrix: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Views of consecutive columns, so many in each."""
    return [matrix[:, slice(*span)] for span in pairwise(np.cumsum([0, *sizes]))]
