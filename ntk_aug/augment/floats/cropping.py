"""Cropping and padding of images [h, w, c] of any type."""

import jax
import jax.numpy as jnp

from ntk_aug.aliases import AnyImage, Array, Int, KeyLike, Shaped
from ntk_aug.augment.value_range import image_size
from ntk_aug.checks import check_at_least, check_choice
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key

PADDINGS = {"zero": "constant", "reflect": "reflect"}
"""Paddings and their names in NumPy; "reflect" does not repeat the edge."""

Window = Shaped[Array, "H W c"]
"""An image of another size than its source."""


def crop(image: AnyImage, offset: Int[Array, " 2"], height: int, width: int) -> Window:
    """Cuts the window of height x width whose top left pixel is at `offset` (row, column).

    Raises InputError if the window is larger than the image.
    """
    _check_window(image, height, width)
    return jax.lax.dynamic_slice(
        jnp.asarray(image), (offset[0], offset[1], 0), (height, width, image.shape[2])
    )


def random_crop(key: KeyLike, image: AnyImage, height: int, width: int) -> Window:
    """Cuts a window of height x width at a uniform position.

    Raises InputError if the window is larger than the image.
    """
    rows, columns = _check_window(image, height, width)
    limits = jnp.asarray([rows - height + 1, columns - width + 1])
    return crop(image, jax.random.randint(as_key(key), (2,), 0, limits), height, width)


def _check_window(image, height, width):
    rows, columns = image_size(image)
    if not (1 <= height <= rows and 1 <= width <= columns):
        raise InputError(f"the crop is {height} x {width}, expected 1 x 1 to {rows} x {columns}")
    return rows, columns


def pad(image: AnyImage, padding: int, *, mode: str = "zero") -> Window:
    """Adds `padding` pixels on all sides: zeros, or the image reflected at its outermost pixels.

    Raises InputError if padding is negative, the mode unknown, or the image too small to reflect.
    """
    check_choice(mode, PADDINGS, "mode of padding")
    most = min(image_size(image)) - 1
    check_at_least(padding, 0, "padding")
    if mode == "reflect" and padding > most:
        raise InputError(f"padding is {padding}, expected at most {most} to mirror the image")
    return jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode=PADDINGS[mode])


def crop_padded(
    image: AnyImage, offset: Int[Array, " 2"], padding: int, *, mode: str = "zero"
) -> AnyImage:
    """Pads on all sides and cuts a window of the original size.

    `offset` is the (row, column) of the window in the padded image, each in 0 .. 2 * padding; for
    the rest see `pad`.
    """
    return crop(pad(image, padding, mode=mode), offset, *image.shape[:2])


def random_crop_padded(
    key: KeyLike, image: AnyImage, padding: int, *, mode: str = "zero"
) -> AnyImage:
    """Shifts by up to `padding` pixels: pads and cuts a window at a uniform position."""
    return crop_padded(image, draw_crop_offset(key, padding), padding, mode=mode)


def draw_crop_offset(key: KeyLike, padding: int) -> Int[Array, "2"]:
    """Draws the offset of `random_crop_padded`; raises InputError if padding is negative."""
    check_at_least(padding, 0, "padding")
    return jax.random.randint(as_key(key), (2,), 0, 2 * padding + 1)
