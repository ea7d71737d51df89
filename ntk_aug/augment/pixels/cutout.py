"""Cutout on uint8 images [h, w, c]: a square of one colour at a random position."""

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import IntLike, KeyArray, PixelImage
from ntk_aug.augment.pixels.packing import Parameters, pack, unpack_fill
from ntk_aug.checks import check_choice

CUTOUT_RULES = ("clipped", "shifted")


def cutout_parameters(length: int, *, rule: str = "clipped", fill: int = 0) -> np.ndarray:
    """Packs the parameters of a square; `place_cutout` draws its centre.

    Rule "clipped", after DeVries and Taylor, takes rows [y - length // 2, y + length // 2), clipped
    to the image, for y uniform over the pixels, and columns likewise. "shifted", after Wu et al.
    (2020), takes length + 1 rows from int(max(0, y - length / 2)), for a real y in (1, h].
    """
    check_choice(rule, CUTOUT_RULES, "rule of Cutout")
    return pack(length, CUTOUT_RULES.index(rule), fill)


def place_cutout(key: KeyArray, parameters: Parameters, height: int, width: int) -> Parameters:
    """Draws the centre (row, column; 16 fractional bits) and writes it into the parameters."""
    parameters = jnp.asarray(parameters)
    row_key, column_key = jax.random.split(key)
    centre = [
        _draw_centre(key, side, parameters[1])
        for key, side in ((row_key, height), (column_key, width))
    ]
    return parameters.at[3:5].set(jnp.stack(centre))


def _draw_centre(key: KeyArray, side: int, rule: IntLike) -> jax.Array:
    whole = jax.random.randint(key, (), 0, side) << 16
    # Only one of the two is used, so they may share a key; JAX's key checker needs the clone.
    real = jax.random.randint(jax.random.clone(key), (), 65536, (side << 16) + 1)
    return jnp.where(rule == 0, whole, real).astype(jnp.int32)


def apply_cutout(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Paints the square."""
    length, rule, fill, *centre = jnp.asarray(parameters)[:5]

    def inside(middle, side):
        clipped = (middle >> 16) - length // 2
        shifted = jnp.maximum(2 * middle - (length << 16), 0) >> 17  # doubled: half pixels count
        start = jnp.where(rule == 0, clipped, shifted)
        stop = jnp.where(rule == 0, (middle >> 16) + length // 2, shifted + length + 1)
        place = jnp.arange(side, dtype=jnp.int32)
        return (place >= start) & (place < stop)

    height, width, channels = image.shape
    hole = inside(centre[0], height)[:, None, None] & inside(centre[1], width)[:, None]
    return jnp.where(hole, unpack_fill(fill, channels), image)
