"""Affine maps of uint8 images [h, w, c] that equal Pillow's Image.transform and Image.rotate.

The host computes the matrices in float64. The device finds source pixels with integers alone, so
the result does not depend on the compiler's rounding.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import PixelImage
from ntk_aug.augment.pixels.interpolation import (
    apply_bicubic,
    apply_bilinear,
    interpolated_parameters,
)
from ntk_aug.augment.pixels.packing import Matrix, Parameters, pack, unpack_fill
from ntk_aug.errors import InputError

_NEVER = 2**15
"""A column or row outside every image."""


def rotate_matrix(degrees: float, height: int, width: int) -> Matrix:
    """Rotates counter-clockwise about the centre; exact at multiples of 90 degrees, as Pillow."""
    degrees = degrees % 360.0
    if degrees == 0:
        return (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    if degrees == 180:
        return (-1.0, 0.0, width, 0.0, -1.0, height)
    if height == width and degrees == 90:
        return (0.0, -1.0, width, 1.0, 0.0, 0.0)
    if height == width and degrees == 270:
        return (0.0, 1.0, 0.0, -1.0, 0.0, height)
    angle = -math.radians(degrees)
    a, b = round(math.cos(angle), 15), round(math.sin(angle), 15)
    d, e = round(-math.sin(angle), 15), round(math.cos(angle), 15)
    x, y = -width / 2, -height / 2
    return (a, b, a * x + b * y + width / 2, d, e, d * x + e * y + height / 2)


MATRICES = {
    "Rotate": rotate_matrix,
    "ShearX": lambda factor, height, width: (1.0, factor, 0.0, 0.0, 1.0, 0.0),
    "ShearY": lambda factor, height, width: (1.0, 0.0, 0.0, factor, 1.0, 0.0),
    "TranslateX": lambda pixels, height, width: (1.0, 0.0, pixels, 0.0, 1.0, 0.0),
    "TranslateY": lambda pixels, height, width: (1.0, 0.0, 0.0, 0.0, 1.0, pixels),
}
"""Matrix of each map from its magnitude and the image's size; shears keep the top left corner."""


def nearest_parameters(matrix: Matrix, height: int, width: int, fill: int) -> np.ndarray:
    """Packs the parameters of `apply_nearest`, on the host.

    Shears and rotations take the matrix in 16.16 fixed point, rounded to nearest. For translations
    Pillow adds 1 to a float64 from column to column, so the shift is an integer, and may be one
    more from some column on (the switch), where rounding carries the sum over an integer. Raises
    InputError if a source point is 32,768 pixels or more away, where Pillow changes its arithmetic.
    """
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (0, width) for y in (0, height)]
    reach = max(max(abs(a * x + b * y + c), abs(d * x + e * y + f)) for x, y in corners)
    if not reach < 2**15:
        raise InputError(f"the affine map reaches {reach:.6g} pixels, expected less than 32768")
    if b == 0 and d == 0 and a == 1 and e == 1:
        shift_x, switch_x = _shift(c, width)
        shift_y, switch_y = _shift(f, height)
        return pack(0, 0, shift_x, 0, 0, shift_y, switch_x, switch_y, fill)
    numbers = (a, b, c + a / 2 + b / 2, d, e, f + d / 2 + e / 2)
    fixed = [math.floor(number * 65536 + 0.5) for number in numbers]
    return pack(*fixed, -1, -1, fill)


def _shift(pixels: float, side: int) -> tuple[int, int]:
    """Returns the shift of a translation, and the column from which it is one more."""
    places = np.add.accumulate(np.r_[pixels + 0.5, np.ones(side - 1)])  # sequentially, as in Pillow
    shifts = np.floor(places).astype(int) - np.arange(side)
    return int(shifts[0]), int(np.argmax(shifts != shifts[0])) or _NEVER


def apply_nearest(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Takes the pixel that contains the source point, or the fill value outside the image."""
    image, parameters = jnp.asarray(image), jnp.asarray(parameters)
    height, width, channels = image.shape
    a, b, c, d, e, f, switch_x, switch_y, fill = parameters[:9]
    x = jnp.arange(width, dtype=jnp.int32)
    y = jnp.arange(height, dtype=jnp.int32)[:, None]

    def place(column, row):
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        return jnp.where(inside, row * width + column, -1)

    def translated():
        return place(c + x + (x >= switch_x), f + y + (y >= switch_y))

    def transformed():
        return place((c + a * x + b * y) >> 16, (f + d * x + e * y) >> 16)

    # The conditional also materialises the positions; otherwise they would be fused into the gather
    # and computed again for every channel.
    source = jax.lax.cond(switch_x >= 0, translated, transformed)
    pixels = image.reshape(-1, channels).at[jnp.maximum(source, 0)].get(mode="promise_in_bounds")
    return jnp.where((source >= 0)[..., None], pixels, unpack_fill(fill, channels))


RESAMPLING = {
    "nearest": (nearest_parameters, apply_nearest),
    "bilinear": (interpolated_parameters, apply_bilinear),
    "bicubic": (interpolated_parameters, apply_bicubic),
}
"""By name: (function that packs parameters of a matrix, function that applies them)."""
