"""Changes of colours of uint8 images [h, w, c] that equal Pillow's bit by bit.

Each operation is a pair of functions: one packs parameters (see `packing`), one applies them.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Int, PixelImage
from ntk_aug.augment.pixels.packing import Parameters, pack

_LEVELS = np.arange(256, dtype=np.int32)[:, None]

# --- Pointwise functions ------------------------------------------------------------------------


def solarize_parameters(threshold: float) -> np.ndarray:
    """Inverts values from the threshold on; 256 changes nothing."""
    return pack(math.ceil(threshold), 0, 255, 255)


def invert_parameters() -> np.ndarray:
    """Inverts all values, v to 255 - v."""
    return solarize_parameters(0)


def solarize_add_parameters(addend: float) -> np.ndarray:
    """Adds int(addend) to values below 128, up to 255."""
    return pack(128, int(addend), 0, 255)


def posterize_parameters(bits: float) -> np.ndarray:
    """Keeps the `bits` highest bits: 8 changes nothing, 0 is black (as in older Pillow)."""
    return pack(256, 0, 0, 256 - 2 ** (8 - int(bits)))


def apply_pointwise(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Solarize, SolarizeAdd, Invert and Posterize: (v < t ? min(255, v + a) : v ^ x) & m."""
    threshold, addend, flipped, mask = parameters[:4]
    value = image.astype(jnp.int32)
    result = jnp.where(value < threshold, jnp.minimum(value + addend, 255), value ^ flipped)
    return (result & mask).astype(jnp.uint8)


# --- Blends with a degenerate image -------------------------------------------------------------


def blend_parameters(factor: float) -> np.ndarray:
    """Packs a float32 factor: 0 gives the degenerate image, 1 the image, above 1 extrapolates."""
    return pack(int(np.float32(factor).view(np.int32)))


def blend(degenerate: Int[Array, "..."], image: PixelImage, parameters: Parameters) -> PixelImage:
    """Degenerate + factor (image - degenerate), clipped to 0 .. 255 and truncated.

    Pillow rounds the product to float32 before adding; a compiler may fuse the two, which changes
    pixels. So the factor is split into its 12 high bits and the rest: each product with the
    difference is exact, fused or not, and their sum is the rounded product.
    """
    factor, high = jax.lax.bitcast_convert_type(
        jnp.stack([parameters[0], parameters[0] & ~0xFFF]), jnp.float32
    )
    difference = (image.astype(jnp.int32) - degenerate).astype(jnp.float32)
    product = high * difference + (factor - high) * difference
    return jnp.clip(degenerate.astype(jnp.float32) + product, 0, 255).astype(jnp.uint8)


def luma(image: PixelImage) -> Int[Array, "h w"]:
    """Grey value of each pixel, int32: ITU-R 601-2 with 16 fractional bits, rounded."""
    value = jnp.asarray(image).astype(jnp.int32)
    if image.shape[-1] == 1:
        return value[..., 0]
    red, green, blue = value[..., 0], value[..., 1], value[..., 2]
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def apply_brightness(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Blends with black."""
    return blend(jnp.int32(0), image, parameters)


def apply_contrast(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Blends with the mean grey value of the image, rounded half up."""
    count = image.shape[0] * image.shape[1]
    total = luma(image).sum()  # below 2^31 up to 8 million pixels
    mean = total // count + (2 * (total % count) >= count)
    return blend(mean, image, parameters)


def apply_color(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Blends with the grey image; does not change an image of one channel."""
    if image.shape[-1] == 1:
        return image
    return blend(luma(image)[..., None], image, parameters)


def apply_sharpness(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Blends with the smoothed image."""
    return blend(_smooth(jnp.asarray(image)).astype(jnp.int32), image, parameters)


def _smooth(image):
    """Smooths by 1 1 1 / 1 5 1 / 1 1 1 over 13, rounded half up; keeps a border of one pixel."""
    height, width, channels = image.shape
    if min(height, width) < 3:
        return image
    # Rows have width * channels values, because an innermost axis of 3 would not be vectorised.
    flat = image.reshape(height, -1)
    value = flat.astype(jnp.int32)
    rows = value[:-2] + value[1:-1] + value[2:]
    inner = slice(channels, -channels)
    total = rows[:, : -2 * channels] + rows[:, inner] + rows[:, 2 * channels :]
    total += 4 * value[1:-1, inner]
    # (2 total + 13) // 26 by a multiplication, exact for all totals up to 13 * 255.
    smoothed = ((2 * total + 13) * 40330) >> 20
    return flat.at[1:-1, inner].set(smoothed.astype(jnp.uint8)).reshape(image.shape)


# --- Tables of 256 values per channel, computed from the image ----------------------------------


def apply_autocontrast(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Stretches each channel's range to 0 .. 255; does not change a channel of one value.

    Like Pillow it computes int(v s - lo s) with s = 255 / (hi - lo) in float64, whose rounding
    decides at integers (hi becomes 254 for some ranges). As in `blend`, the factor is split to be
    exact, fused or not.
    """
    del parameters
    channels = [image[..., channel] for channel in range(image.shape[-1])]  # faster to reduce
    low = jnp.stack([channel.min() for channel in channels]).astype(jnp.int32)
    high = jnp.stack([channel.max() for channel in channels]).astype(jnp.int32)

    def table():
        with jax.enable_x64(True):
            scale = 255 / jnp.maximum(high - low, 1).astype(jnp.float64)
            bits = jax.lax.bitcast_convert_type(scale, jnp.int64) & ~jnp.int64(2**26 - 1)
            scale_high = jax.lax.bitcast_convert_type(bits, jnp.float64)
            scale_low = scale - scale_high
            level, offset = jnp.asarray(_LEVELS, jnp.float64), low.astype(jnp.float64)
            stretched = level * scale_high + level * scale_low
            stretched = stretched - (offset * scale_high + offset * scale_low)
            return jnp.clip(stretched, 0, 255).astype(jnp.uint8)

    return _look_up(high > low, table, image)


def apply_equalize(image: PixelImage, parameters: Parameters) -> PixelImage:
    """Flattens each channel's histogram with integer arithmetic.

    The step is 1/255 of the pixels below the brightest value, rounded down; a channel with step 0
    does not change.
    """
    del parameters
    count = image.shape[0] * image.shape[1]
    counts = jnp.zeros(256 * image.shape[-1], jnp.int32)
    counts = counts.at[_places(image)].add(1, mode="promise_in_bounds").reshape(256, -1)
    last = jnp.max(jnp.where(counts > 0, _LEVELS, 0), axis=0)
    step = (count - jnp.take_along_axis(counts, last[None], axis=0)[0]) // 255

    def table():
        below = jnp.cumsum(counts, axis=0) - counts
        return jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255).astype(jnp.uint8)

    return _look_up(step > 0, table, image)


def _places(image):
    """Position of each value in a flat table [256, c]."""
    channels = image.shape[-1]
    return image.astype(jnp.int32) * channels + jnp.arange(channels, dtype=jnp.int32)


def _look_up(changed, table, image):
    """Maps the image by table() [256, c] in the changed channels.

    The conditional materialises the table; otherwise it would be fused into the gather and computed
    again for every pixel.
    """
    levels = jnp.asarray(_LEVELS, jnp.uint8)
    chosen = jax.lax.cond(
        changed.any(),
        lambda: jnp.where(changed, table(), levels),
        lambda: jnp.where(changed, levels, levels),  # same shape and sharding as the other branch
    )
    return chosen.reshape(-1).at[_places(image)].get(mode="promise_in_bounds")
