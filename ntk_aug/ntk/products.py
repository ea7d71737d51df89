"""Products A B' of Jacobian rows, in float64 whatever the rows are.

XLA multiplies: on recent processors it is up to twice as fast as numpy's BLAS.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Float, Float64
from ntk_aug.jacobian.row_factors import RowFactors

# Columns converted to float64 at a time: enough for a fast product, little memory beside the rows.
_CHUNK = 8192
_CHUNK_BYTES, _LEAST_CHUNK = 512 * 2**20, 512
# Rows of a block of the result; a symmetric product computes only a triangle of blocks.
_SIDE = 320
_ALIGNMENT = 64

Product = tuple[np.ndarray, np.ndarray, np.ndarray]


def row_products(
    A: Float[np.ndarray, "N P"], B: Float[np.ndarray, "M P"]
) -> Float64[np.ndarray, "N M"]:
    """A B' of float32 or float64 rows, with products and sums in float64; cheaper if A is B."""
    total = np.zeros((len(A), len(B)))
    _add_row_products([(total, A, B)], lambda share: None)
    return total


def factor_products(A: RowFactors, B: RowFactors) -> Float64[np.ndarray, "N M"]:
    """A B' of rows in factors, with products and sums in float64; cheaper if A is B."""
    total = np.zeros((len(A.rows), len(B.rows)))
    add_products([(total, A, B)])
    return total


def add_products(
    products: Sequence[tuple[np.ndarray, RowFactors, RowFactors]],
    report: Callable[[float], None] = lambda share: None,
) -> None:
    """Adds A B' to `total` for each (total, A, B), in float64; reports the share that is done."""
    _add_row_products([(total, A.rows, B.rows) for total, A, B in products], report)
    for total, A, B in products:
        layers = zip(A.inputs, B.inputs, A.cotangents, B.cotangents, strict=True)
        for x, y, d, e in layers:
            # <x (x) d, y (x) e> = <x, y> <d, e>, where x and y are the same for all outputs.
            k = A.outputs_per_example
            for start in range(0, len(x), _SIDE):
                inputs = row_products(x[start : start + _SIDE], y)
                cotangents = row_products(d[start * k : (start + _SIDE) * k], e)
                block = total[start * k : (start + _SIDE) * k].reshape(
                    -1, k, len(y), B.outputs_per_example
                )
                block += inputs[:, None, :, None] * cotangents.reshape(block.shape)
        if A is B:
            mirror(total)


def _add_row_products(products: Sequence[Product], report: Callable[[float], None]) -> None:
    arrays = {id(array): array for _, *factors in products for array in factors}
    num_columns = products[0][1].shape[1]
    num_rows = sum(len(array) for array in arrays.values())
    width = min(max(num_columns, 1), max(_CHUNK_BYTES // (8 * num_rows), _LEAST_CHUNK), _CHUNK)
    # All products share the converted columns, in memory that is reused.
    converted = {key: _aligned_zeros(len(array), width) for key, array in arrays.items()}
    with jax.enable_x64(True):
        for start in range(0, num_columns, width):
            blocks = {}
            for key, array in arrays.items():
                chunk = array[:, start : start + width]
                converted[key][:, : chunk.shape[1]] = chunk
                converted[key][:, chunk.shape[1] :] = 0
                blocks[key] = _row_blocks(converted[key])
            for total, A, B in products:
                for a, left in blocks[id(A)]:
                    for b, right in blocks[id(B)]:
                        if A is not B or a.start <= b.start:
                            total[a, b] += np.asarray(_product(left, right))
            report(min(start + width, num_columns) / num_columns)
    for total, A, B in products:
        if A is B:
            mirror(total)


@jax.jit
def _product(A, B):
    return jnp.matmul(A, B.T, precision="highest")


def mirror(total: Float64[np.ndarray, "N N"]) -> None:
    """Copies the upper triangle to the lower one."""
    for start in range(0, len(total), _SIDE):
        block = total[start : start + _SIDE, start : start + _SIDE]
        block[...] = np.triu(block) + np.triu(block, 1).T
        total[start + _SIDE :, start : start + _SIDE] = total[
            start : start + _SIDE, start + _SIDE :
        ].T


def _row_blocks(buffer):
    """(rows, the same memory as a JAX array) for every block of rows."""
    spans = [
        slice(start, min(start + _SIDE, len(buffer))) for start in range(0, len(buffer), _SIDE)
    ]
    return [(rows, jax.dlpack.from_dlpack(buffer[rows])) for rows in spans]


def _aligned_zeros(rows, columns):
    """A float64 array at an address that XLA takes without a copy."""
    size = rows * columns
    memory = np.zeros(size + _ALIGNMENT // 8)
    offset = -memory.ctypes.data % _ALIGNMENT // 8
    return memory[offset : offset + size].reshape(rows, columns)
