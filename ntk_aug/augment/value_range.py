"""The range of pixels: floats in [0, 1] or uint8, and augmentations that may leave [0, 1]."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ntk_aug.aliases import Array, Image, PixelImage, Shaped
from ntk_aug.errors import InputError

CHANNELS = (1, 3)


def image_size(image: Shaped[Array, "..."]) -> tuple[int, int]:
    """Returns (h, w); raises InputError unless the image is [h, w, c]."""
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
    """Raises InputError if a value is outside [0, 1]; does nothing for a traced image."""
    if isinstance(image, jax.core.Tracer):
        return
    image = np.asarray(image)  # inside jit, jnp.asarray would trace a constant
    if not ((image >= 0) & (image <= 1)).all():
        raise InputError(
            f"the image ranges from {image.min():g} to {image.max():g}, expected 0 to 1, because "
            "the augmentation acts on uint8 pixels"
        )


def to_pixels(image: Image) -> PixelImage:
    """Converts floats in [0, 1] to uint8 by round(255 x), the inverse of division by 255.

    Raises:
      InputError: the image is not floats [h, w, c] with 1 or 3 channels, or has a value outside
        [0, 1]. Inside jit and vmap such values are clipped instead.
    """
    check_channels(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise InputError(f"the image has type {image.dtype}, expected floats from 0 to 1")
    check_unit_range(image)
    return jnp.clip(jnp.round(jnp.asarray(image) * 255), 0, 255).astype(jnp.uint8)


def from_pixels(image: PixelImage, dtype: DTypeLike) -> Image:
    """Converts uint8 to floats in [0, 1]."""
    return jnp.asarray(image).astype(dtype) / 255


_F = TypeVar("_F", bound=Callable)


def leaves_unit_range(augmentation: _F) -> _F:
    """Declares that the images of an augmentation may leave [0, 1]; can be used as a decorator.

    Additive noise and linear maps do, and the theory needs them unclipped. A spectrum study refuses
    any other augmentation whose images leave [0, 1], because the usual reason is a wrong scale.

    Returns:
      The augmentation with an attribute `leaves_unit_range`, or a `functools.partial` of it if it
      takes no attributes.
    """
    declared: Any = augmentation
    try:
        declared.leaves_unit_range = True
    except AttributeError:  # a frozen dataclass, a method
        declared = partial(augmentation)
        declared.leaves_unit_range = True
    return declared


def may_leave_unit_range(augmentation: Callable) -> bool:
    """Whether the augmentation, or the function it is a partial of, declared `leaves_unit_range`.

    Any true attribute of that name counts, such as a field of a user's class.
    """
    if getattr(augmentation, "leaves_unit_range", False):
        return True
    return isinstance(augmentation, partial) and may_leave_unit_range(augmentation.func)
