"""Affine maps of uint8 images [h, w, c] with interpolation, in float64 as in Pillow.

float64 is enabled for these computations only, whatever the type of the surrounding floats.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import PixelImage
from ntk_aug.augment.pixels.packing import Matrix, Parameters, pack, unpack_fill


def interpolated_parameters(matrix: Matrix, height: int, width: int, fill: int) -> np.ndarray:
    """Packs the six float64 of the matrix, each as two integers, and the fill value."""
    del height, width
    return pack(*np.asarray(matrix, np.float64).view(np.int32).tolist(), fill)


def apply_bilinear(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Interpolates between pixel centres with the edge repeated, and truncates.

    Pixels whose source point is outside [0, w) x [0, h) get the fill value.
    """

    def along(values, fraction):
        return values[0] + exact_product(values[1] - values[0], fraction)

    return _interpolate(image, parameters, along, offsets=(0, 1))


def apply_bicubic(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Interpolates by cubics (a = -1) through 4 x 4 pixels, clips and truncates.

    Where the exact value is an integer, the last bit decides whether truncation lowers it: about 1
    pixel in 10^5 of a shear differs from Pillow by one level.
    """

    def along(values, d):
        v1, v2, v3, v4 = values
        inner = (2 * (v1 - v2) + v3 - v4) + d * (-v1 + v2 - v3 + v4)
        return v2 + d * ((-v1 + v3) + d * inner)

    return _interpolate(image, parameters, along, offsets=(-1, 0, 1, 2))


def _interpolate(image, parameters, along, offsets):
    """Interpolates by along(values at the offsets, fraction), first in x, then in y."""
    image, parameters = jnp.asarray(image), jnp.asarray(parameters)
    height, width, channels = image.shape
    with jax.enable_x64(True):
        a, b, c, d, e, f = jax.lax.bitcast_convert_type(parameters[:12].reshape(6, 2), jnp.float64)
        x = jnp.arange(width, dtype=jnp.float64) + 0.5
        y = (jnp.arange(height, dtype=jnp.float64) + 0.5)[:, None]
        source_x = exact_product(x, a) + exact_product(y, b) + c
        source_y = exact_product(x, d) + exact_product(y, e) + f
        inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
        column, dx = floor_and_fraction(source_x - 0.5)
        row, dy = floor_and_fraction(source_y - 0.5)
        columns = [jnp.clip(column + offset, 0, width - 1) for offset in offsets]
        rows = [jnp.clip(row + offset, 0, height - 1) for offset in offsets]
        by_row = [
            along([image[here, there].astype(jnp.float64) for there in columns], dx[..., None])
            for here in rows
        ]
        result = jnp.clip(along(by_row, dy[..., None]), 0, 255).astype(jnp.uint8)
    return jnp.where(inside[..., None], result, unpack_fill(parameters[12], channels))


def floor_and_fraction(position: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Splits positions into the integer below, int32, and the rest."""
    whole = jnp.floor(position)
    return whole.astype(jnp.int32), position - whole


def exact_product(small, value):
    """Small * value, rounded once even if the compiler fuses it with a following addition.

    `small` has at most 17 bits, so its products with the high and low bits of `value` are exact.
    """
    bits = jax.lax.bitcast_convert_type(value, jnp.int64) & ~jnp.int64(2**17 - 1)
    high = jax.lax.bitcast_convert_type(bits, jnp.float64)
    return small * high + small * (value - high)
