"""Rows of the Jacobian in the form that products of rows need."""

from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float64


class RowFactors(NamedTuple):
    """Rows of J of n images, with the columns of dense layers' kernels in factors.

    Arrays are numpy's, or JAX's where rows are kept on devices.

    Attributes:
      rows: [n * k, ...], the columns of all other parameters.
      inputs: for each such layer x, [n, inputs].
      cotangents: for each such layer d, [n * k, outputs]: in the columns of its kernel, row
        i * k + c of J is the outer product of x[i] and d[i * k + c].
      outputs_per_example: k.
    """

    rows: Any
    inputs: tuple[Any, ...]
    cotangents: tuple[Any, ...]
    outputs_per_example: int

    def part(self, start: int, stop: int) -> "RowFactors":
        """Those of the images start to stop - 1, as views."""
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
