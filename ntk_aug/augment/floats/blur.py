"""Gaussian blur of float images [h, w, c]."""

import jax
import jax.numpy as jnp

from ntk_aug.aliases import FloatLike, Image, KeyLike
from ntk_aug.augment.floats.cropping import pad
from ntk_aug.augment.value_range import image_size
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key


def gaussian_blur(image: Image, sigma: FloatLike, *, size: int = 5) -> Image:
    """Convolves with a normalised Gaussian, as torchvision's GaussianBlur on floats.

    The border is reflected without repeating the edge. `sigma` is the standard deviation in pixels;
    `size` is the side of the kernel, odd and at most twice the image's side minus 1. Raises
    InputError if sigma is not positive, or size is even or too large for the image.
    """
    if isinstance(sigma, int | float) and not sigma > 0:
        raise InputError(f"sigma is {sigma} pixels, expected above 0")
    if size < 1 or size % 2 == 0:
        raise InputError(f"the size of the blur is {size}, expected an odd number of pixels")
    image = jnp.asarray(image)
    height, width = image_size(image)
    places = jnp.arange(size, dtype=image.dtype) - size // 2
    weights = jnp.exp(-0.5 * (places / sigma) ** 2)
    weights /= weights.sum()
    padded = pad(image, size // 2, mode="reflect")
    rows = jnp.stack([padded[i : i + height] for i in range(size)])
    blurred = jnp.tensordot(weights, rows, 1, precision="highest")
    columns = jnp.stack([blurred[:, i : i + width] for i in range(size)])
    return jnp.tensordot(weights, columns, 1, precision="highest")


def random_gaussian_blur(
    key: KeyLike, image: Image, *, sigma: tuple[float, float] = (0.1, 2.0), size: int = 5
) -> Image:
    """Blurs with a standard deviation uniform in the range `sigma`, in pixels.

    Raises:
      InputError: the range is empty or not positive.
    """
    low, high = sigma
    if not 0 < low <= high:
        raise InputError(f"sigma is {low} to {high} pixels, expected 0 < low <= high")
    drawn = jax.random.uniform(as_key(key), (), image.dtype, minval=low, maxval=high)
    return gaussian_blur(image, drawn, size=size)
