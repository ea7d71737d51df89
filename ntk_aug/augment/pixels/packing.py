"""What an operation takes besides the image: a few integers, computed on the host in double.

A whole grid of magnitudes is thereby a table of integers that is indexed on the device, and
pixels are exact inside jit, vmap and scan, where the type of floats and the fusing of
multiplications and additions are the compiler's choice.
"""

import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Int, IntLike, UInt8
from ntk_aug.errors import InputError

PARAMETER_COUNT = 13
"""Integers that every operation takes; what it does not need is 0."""

Parameters = Int[Array, str(PARAMETER_COUNT)]

Fill = int | tuple[int, ...]
"""A grey value 0 .. 255 for all channels, or one value for each."""

Matrix = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): the output point (x, y) shows the input's (a x + b y + c, d x + e y + f)."""


def pack(*numbers: int) -> Int[np.ndarray, str(PARAMETER_COUNT)]:
    """Parameters from the whole numbers that an operation reads, in its order: int32."""
    packed = np.zeros(PARAMETER_COUNT, np.int32)
    packed[: len(numbers)] = numbers
    return packed


def pack_fill(fill: Fill) -> int:
    """One integer from a colour.

    Raises:
      InputError: more than three values, or one that is not a whole number of 0 .. 255.
    """
    values = fill if isinstance(fill, tuple) else (fill, fill, fill)
    if not 1 <= len(values) <= 3 or not all(value in range(256) for value in values):
        raise InputError(f"the fill value is {fill}, expected 0 to 255, or one such to a channel")
    return sum(int(value) << (8 * channel) for channel, value in enumerate(values))


def unpack_fill(fill: IntLike, channels: int) -> UInt8[Array, " c"]:
    """The colour that `pack_fill` packed."""
    return ((fill >> (8 * jnp.arange(channels, dtype=jnp.int32))) & 255).astype(jnp.uint8)
