"""Parameters of an operation: a few integers, computed on the host in float64.

A grid of magnitudes is then a table of integers, indexed on the device. Pixels are exact inside
jit, vmap and scan, where the compiler chooses the type of floats and fuses products and sums.
"""

import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Int, IntLike, UInt8
from ntk_aug.errors import InputError

PARAMETER_COUNT = 13
"""Number of integers per operation; unused ones are 0."""

Parameters = Int[Array, str(PARAMETER_COUNT)]

Fill = int | tuple[int, ...]
"""A grey value 0 .. 255 for all channels, or one value per channel."""

Matrix = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): output point (x, y) takes input point (a x + b y + c, d x + e y + f)."""


def pack(*numbers: int) -> Int[np.ndarray, str(PARAMETER_COUNT)]:
    """Packs the integers that an operation reads, in its order, as int32."""
    packed = np.zeros(PARAMETER_COUNT, np.int32)
    packed[: len(numbers)] = numbers
    return packed


def pack_fill(fill: Fill) -> int:
    """Packs a colour into one integer.

    Raises InputError if there are more than three values, or a value is not an integer in 0 .. 255.
    """
    values = fill if isinstance(fill, tuple) else (fill, fill, fill)
    if not 1 <= len(values) <= 3 or not all(value in range(256) for value in values):
        raise InputError(f"the fill value is {fill}, expected 0 to 255, or one per channel")
    return sum(int(value) << (8 * channel) for channel, value in enumerate(values))


def unpack_fill(fill: IntLike, channels: int) -> UInt8[Array, " c"]:
    """Unpacks a colour of `pack_fill`."""
    return ((fill >> (8 * jnp.arange(channels, dtype=jnp.int32))) & 255).astype(jnp.uint8)
