"""Resizing of uint8 images [h, w, c] as in Pillow 13, bilinear with antialiasing.

The weights are Pillow's 22-bit integers, computed in float64. The resized box of the image may be
known only on the device.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Int, KeyLike, PixelImage, UInt8
from ntk_aug.augment.pixels.interpolation import exact_product
from ntk_aug.augment.value_range import check_pixels, image_size
from ntk_aug.checks import check_at_least
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key

_BITS = 22

Resized = UInt8[Array, "H W c"]

Box = Int[Array, "4"]
"""(row, column, height, width) in pixels."""


def resize(image: PixelImage, height: int, width: int) -> Resized:
    """Resizes the image as Image.resize((width, height), BILINEAR).

    Raises InputError if a side is below 1.
    """
    rows, columns = image_size(image)
    return crop_and_resize(image, np.asarray([0, 0, rows, columns]), height, width)


def resize_short_side(image: PixelImage, side: int) -> Resized:
    """Resizes the short side to `side` and the long one to side * long / short, rounded down."""
    rows, columns = image_size(image)
    long = side * max(rows, columns) // min(rows, columns)
    return resize(image, *((side, long) if rows <= columns else (long, side)))


def crop_and_resize(image: PixelImage, box: Box, height: int, width: int) -> Resized:
    """Resizes a box of the image as Image.crop, then Image.resize((width, height), BILINEAR).

    Both passes round to integers, so their order matters. As in Pillow 13, columns come first,
    unless height < h and h - height > 2 (w - width), so that the first pass shrinks the image more.
    Raises InputError if a side is below 1, or the image is not uint8 [h, w, 1 or 3].
    """
    check_pixels(image)
    check_at_least(min(height, width), 1, "a side of the resized image")
    image, box = jnp.asarray(image), jnp.asarray(box, jnp.int32)
    top, left, rows, columns = box

    def resize_rows(pixels):
        return _resize_rows(pixels, top, rows, height)

    def resize_columns(pixels):
        turned = _resize_rows(jnp.swapaxes(pixels, 0, 1), left, columns, width)
        return jnp.swapaxes(turned, 0, 1)

    return jax.lax.cond(
        (height < rows) & (rows - height > 2 * (columns - width)),
        lambda: resize_columns(resize_rows(image)),
        lambda: resize_rows(resize_columns(image)),
    )


def _resize_rows(pixels, start, length, out_length):
    """Resizes rows start .. start + length to out_length rows of uint8."""
    first, weights = _weights(length, out_length, longest=pixels.shape[0])

    def add_tap(tap, total):
        row = jnp.clip(start + first + tap, 0, pixels.shape[0] - 1)
        return total + weights[tap][:, None, None] * pixels[row].astype(jnp.int32)

    total = jnp.full((out_length, *pixels.shape[1:]), 1 << (_BITS - 1), jnp.int32)
    total = jax.lax.fori_loop(0, len(weights), add_tap, total)
    return jnp.clip(total >> _BITS, 0, 255).astype(jnp.uint8)


def _weights(length, out_length, longest):
    """First source row of each output row [out], and integer weights from it on [taps, out].

    `longest` is an upper bound of the length, and so bounds the number of taps.
    """
    taps = math.ceil(max(longest / out_length, 1)) * 2 + 1
    with jax.enable_x64(True):
        scale = length.astype(jnp.float64) / out_length
        support = jnp.maximum(scale, 1)
        centre = exact_product(jnp.arange(out_length, dtype=jnp.float64) + 0.5, scale)
        first = jnp.maximum((centre - support + 0.5).astype(jnp.int32), 0)
        stop = jnp.minimum((centre + support + 0.5).astype(jnp.int32), length)
        source = first + jnp.arange(taps, dtype=jnp.int32)[:, None]
        distance = jnp.abs((source.astype(jnp.float64) - centre + 0.5) * (1 / support))
        weight = jnp.where(source < stop, jnp.maximum(1 - distance, 0), 0)
        weight = weight / weight.sum(axis=0)
        return first, (weight * 2**_BITS + 0.5).astype(jnp.int32)


def random_resized_crop(
    key: KeyLike,
    image: PixelImage,
    height: int,
    width: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Resized:
    """Resizes a box of random area, ratio (width / height) and position to height x width."""
    box = draw_resized_crop(key, *image.shape[:2], area=area, ratio=ratio)
    return crop_and_resize(image, box, height, width)


def draw_resized_crop(
    key: KeyLike,
    rows: int,
    columns: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """Draws the box of `random_resized_crop` as torchvision's RandomResizedCrop does.

    Of ten boxes with a uniform share of the image's area, a log-uniform ratio and a uniform
    position, it is the first that fits, or else the largest central box within `ratio`. Raises
    InputError if a range is empty or not positive, or an area is above 1.
    """
    for low, high, what in ((*area, "area"), (*ratio, "ratio")):
        if not 0 < low <= high or (what == "area" and high > 1):
            raise InputError(
                f"the range of the {what} is {low} to {high}, expected 0 < low <= high"
            )
    area_key, ratio_key, row_key, column_key = jax.random.split(as_key(key), 4)
    tries = (10,)
    shares = jax.random.uniform(area_key, tries, jnp.float32, minval=area[0], maxval=area[1])
    areas = rows * columns * shares
    low, high = map(math.log, ratio)
    ratios = jnp.exp(jax.random.uniform(ratio_key, tries, jnp.float32, minval=low, maxval=high))
    widths = jnp.round(jnp.sqrt(areas * ratios)).astype(jnp.int32)
    heights = jnp.round(jnp.sqrt(areas / ratios)).astype(jnp.int32)
    fits = (widths > 0) & (widths <= columns) & (heights > 0) & (heights <= rows)
    top = jax.random.randint(row_key, tries, 0, jnp.maximum(rows - heights, 0) + 1)
    left = jax.random.randint(column_key, tries, 0, jnp.maximum(columns - widths, 0) + 1)
    boxes = jnp.stack([top, left, heights, widths], axis=1)
    central = jnp.asarray(_central_box(rows, columns, ratio), jnp.int32)
    return jnp.where(fits.any(), boxes[jnp.argmax(fits)], central)


def _central_box(rows, columns, ratio):
    height, width = rows, columns
    if columns / rows < ratio[0]:
        height = round(columns / ratio[0])
    elif columns / rows > ratio[1]:
        width = round(rows * ratio[1])
    return (rows - height) // 2, (columns - width) // 2, height, width
