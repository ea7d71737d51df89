"""Operations on pixels that draw their own magnitude: from floats in [0, 1] to the same."""

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Image, Int, KeyLike, PixelImage
from ntk_aug.augment.operations import (
    OPERATIONS,
    apply_operation,
    operation_parameters,
    place_operation,
)
from ntk_aug.augment.parameters import PARAMETER_COUNT, Fill
from ntk_aug.augment.pixels import from_pixels, to_pixels
from ntk_aug.checks import InputError, as_key, check_at_least, check_choice

JITTERED = ("Brightness", "Contrast", "Color")


def random_operation(
    key: KeyLike,
    image: Image,
    name: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    levels: int = 1001,
    fill: Fill = 0,
) -> Image:
    """Applies a named operation with a uniform magnitude, and at a place of its own if it has one.

    The magnitude is one of `levels` equally spaced ones, whose parameters the host computes in
    double: with the same draw, the pixels are those of Pillow.

    Args:
      key: one for each image.
      image: floats in [0, 1], 1 or 3 channels; rounded to 0 .. 255.
      name: in OPERATIONS.
      minimum: smallest magnitude, in the operation's unit; its own smallest by default.
      maximum: largest magnitude.
      levels: number of magnitudes.
      fill: value of the pixels that come from outside.

    Raises:
      InputError: an unknown name, a magnitude out of range, or an image that is not in [0, 1].
    """
    operation = OPERATIONS[check_choice(name, OPERATIONS, "operation")]
    check_at_least(levels, 1, "the number of levels")
    low = operation.minimum if minimum is None else minimum
    high = operation.maximum if maximum is None else maximum
    if not low <= high:
        raise InputError(f"magnitudes of {name} are {low:g} to {high:g}, expected low <= high")
    pixels = to_pixels(image)
    height, width, _ = pixels.shape
    table = operation_parameters(name, np.linspace(low, high, levels), height, width, fill=fill)
    level_key, place_key = jax.random.split(as_key(key))
    drawn = jnp.asarray(table)[jax.random.randint(level_key, (), 0, levels)]
    parameters = place_operation(place_key, 0, drawn, height, width, operations=(name,))
    changed = apply_operation(pixels, 0, parameters, operations=(name,))
    return from_pixels(changed, image.dtype)


def color_jitter(
    image: PixelImage, factors: Float[Array, "3"], order: Int[Array, "3"]
) -> PixelImage:
    """Changes brightness, contrast and saturation by `factors`, one after the other.

    Args:
      image: uint8, 1 or 3 channels.
      factors: of JITTERED, float32; 1 changes nothing.
      order: a permutation of 0, 1, 2, places in JITTERED.
    """
    order = jnp.asarray(order)
    # As in color.blend_parameters, here on the device.
    bits = jax.lax.bitcast_convert_type(jnp.asarray(factors, jnp.float32), jnp.int32)
    for step in range(len(JITTERED)):
        parameters = jnp.zeros(PARAMETER_COUNT, jnp.int32).at[0].set(bits[order[step]])
        image = apply_operation(image, order[step], parameters, operations=JITTERED)
    return image


def random_color_jitter(
    key: KeyLike,
    image: Image,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> Image:
    """Torchvision's ColorJitter without hue: factors uniform in [max(0, 1 - s), 1 + s].

    The three changes come in a random order.

    Raises:
      InputError: a negative strength, or an image that is not in [0, 1].
    """
    strengths = np.asarray([brightness, contrast, saturation], np.float32)
    for strength in (brightness, contrast, saturation):
        check_at_least(strength, 0, "the strength of the jitter")
    factor_key, order_key = jax.random.split(as_key(key))
    share = jax.random.uniform(factor_key, strengths.shape, jnp.float32)
    low = np.maximum(0, 1 - strengths)
    factors = low + share * (1 + strengths - low)
    order = jax.random.permutation(order_key, len(JITTERED))
    return from_pixels(color_jitter(to_pixels(image), factors, order), image.dtype)
