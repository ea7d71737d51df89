"""Between images of floats in [0, 1] and those of whole values 0 .. 255, on which policies act."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ntk_aug.aliases import Array, Image, PixelImage, Shaped
from ntk_aug.checks import InputError

CHANNELS = (1, 3)


def image_size(image: Shaped[Array, "..."]) -> tuple[int, int]:
    """(h, w); raises InputError for anything but one image [h, w, c]."""
    if jnp.ndim(image) != 3:
        raise InputError(
            f"the image has shape {jnp.shape(image)}, expected [height, width, channels]"
        )
    return image.shape[0], image.shape[1]


def check_channels(image: Shaped[Array, "..."]) -> None:
    """Raises InputError unless the image is [h, w, c] with 1 or 3 channels."""
    if jnp.ndim(image) != 3 or image.shape[2] not in CHANNELS:
        raise InputError(
            f"the image has shape {jnp.shape(image)}, expected [height, width, 1 or 3 channels]"
        )


def check_pixels(image: Shaped[Array, "..."]) -> None:
    """Raises InputError unless the image is uint8 [h, w, c] with 1 or 3 channels."""
    check_channels(image)
    if image.dtype != jnp.uint8:
        raise InputError(f"the image has type {image.dtype}, expected uint8: see `to_pixels`")


def check_unit_range(image: Shaped[Array, "..."]) -> None:
    """Raises InputError if a value is outside [0, 1]; a traced image is not seen."""
    if isinstance(image, jax.core.Tracer):
        return
    image = np.asarray(image)  # a constant is known inside of jit, too, but only to NumPy
    if not ((image >= 0) & (image <= 1)).all():
        raise InputError(
            f"the image ranges from {image.min():g} to {image.max():g}, expected 0 to 1, since the "
            "augmentation acts on whole pixel values"
        )


def to_pixels(image: Image) -> PixelImage:
    """round(255 x), the inverse of division by 255.

    Raises:
      InputError: not floats [h, w, c] of 1 or 3 channels, or a value outside [0, 1] (which can be
        seen outside of jit and vmap only; inside it is clipped).
    """
    check_channels(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise InputError(f"the image has type {image.dtype}, expected floats from 0 to 1")
    check_unit_range(image)
    return jnp.clip(jnp.round(jnp.asarray(image) * 255), 0, 255).astype(jnp.uint8)


def from_pixels(image: PixelImage, dtype: DTypeLike) -> Image:
    """Whole values 0 .. 255 as floats in [0, 1]."""
    return jnp.asarray(image).astype(dtype) / 255
