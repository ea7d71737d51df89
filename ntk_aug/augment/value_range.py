"""The range of pixel values: floats in [0, 1], whole values 0 .. 255, and who may leave [0, 1]."""

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


_F = TypeVar("_F", bound=Callable)


def leaves_unit_range(augmentation: _F) -> _F:
    """Declares that the images of an augmentation may leave [0, 1]; also as a decorator.

    Additive noise and linear maps do, and theory needs them unclipped. A spectrum study refuses
    any other augmentation whose images leave [0, 1], since a wrong scale is the usual reason.

    Returns:
      The augmentation with an attribute `leaves_unit_range`, or, if it takes no attributes, a
      `functools.partial` of it.
    """
    declared: Any = augmentation
    try:
        declared.leaves_unit_range = True
    except AttributeError:  # a frozen dataclass, a method
        declared = partial(augmentation)
        declared.leaves_unit_range = True
    return declared


def may_leave_unit_range(augmentation: Callable) -> bool:
    """Whether `leaves_unit_range` was declared of the augmentation, or of what it is a partial of.

    An attribute of that name that is true counts as well, such as a field of the user's own class.
    """
    if getattr(augmentation, "leaves_unit_range", False):
        return True
    return isinstance(augmentation, partial) and may_leave_unit_range(augmentation.func)
