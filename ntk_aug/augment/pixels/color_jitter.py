"""Color jitter: random changes of brightness, contrast and saturation."""

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Image, Int, KeyLike, PixelImage
from ntk_aug.augment.pixels.operations import apply_operation
from ntk_aug.augment.pixels.packing import PARAMETER_COUNT
from ntk_aug.augment.value_range import from_pixels, to_pixels
from ntk_aug.checks import check_at_least
from ntk_aug.randomness import as_key

JITTERED = ("Brightness", "Contrast", "Color")


def color_jitter(
    image: PixelImage, factors: Float[Array, "3"], order: Int[Array, "3"]
) -> PixelImage:
    """Changes brightness, contrast and saturation in the given order, a permutation of 0, 1, 2.

    A factor of 1 changes nothing.
    """
    order = jnp.asarray(order)
    # As color.blend_parameters, but on the device.
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

    The order of the three changes is random.

    Raises:
      InputError: a strength is negative, or the image is not in [0, 1].
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
