"""Rotations and flips of float images [h, w, c].

Each random operation draws the parameters of a deterministic one.
"""

import jax
import jax.numpy as jnp

from ntk_aug.aliases import AnyImage, FloatLike, Image, KeyLike
from ntk_aug.augment.pixels.interpolation import floor_and_fraction
from ntk_aug.augment.value_range import image_size
from ntk_aug.checks import check_choice
from ntk_aug.randomness import as_key

INTERPOLATIONS = ("nearest", "bilinear")


def rotate(image: Image, degrees: FloatLike, *, interpolation: str = "bilinear") -> Image:
    """Rotates counter-clockwise about the centre of the image, as Pillow's rotate does.

    Pixels whose source point is outside [0, w) x [0, h) are 0. Otherwise "nearest" takes the pixel
    that contains the point, and "bilinear" interpolates between pixel centres with the edge
    repeated, which blurs.
    """
    check_choice(interpolation, INTERPOLATIONS, "interpolation")
    image = jnp.asarray(image)
    height, width = image_size(image)
    angle = jnp.deg2rad(jnp.asarray(degrees, image.dtype))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    # The inverse rotation maps centres of output pixels, relative to the image's centre, to source
    # points (y grows downwards).
    y, x = jnp.meshgrid(
        jnp.arange(height) + 0.5 - height / 2, jnp.arange(width) + 0.5 - width / 2, indexing="ij"
    )
    source_x = cos * x - sin * y + width / 2
    source_y = sin * x + cos * y + height / 2
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)

    def pixel(row, column):
        return image[jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)]

    if interpolation == "nearest":
        rotated = pixel(*(jnp.floor(s).astype(jnp.int32) for s in (source_y, source_x)))
    else:
        x0, dx = floor_and_fraction(source_x - 0.5)
        y0, dy = floor_and_fraction(source_y - 0.5)
        dx, dy = dx[..., None], dy[..., None]
        top = pixel(y0, x0) * (1 - dx) + pixel(y0, x0 + 1) * dx
        bottom = pixel(y0 + 1, x0) * (1 - dx) + pixel(y0 + 1, x0 + 1) * dx
        rotated = top * (1 - dy) + bottom * dy
    return jnp.where(inside[..., None], rotated, 0)


def random_rotate(
    key: KeyLike, image: Image, max_degrees: float, *, interpolation: str = "bilinear"
) -> Image:
    """Rotates by an angle uniform in [-max_degrees, max_degrees)."""
    degrees = jax.random.uniform(
        as_key(key), (), image.dtype, minval=-max_degrees, maxval=max_degrees
    )
    return rotate(image, degrees, interpolation=interpolation)


def flip_horizontal(image: AnyImage) -> AnyImage:
    """Mirrors left and right."""
    return image[:, ::-1]


def random_flip_horizontal(key: KeyLike, image: AnyImage) -> AnyImage:
    """Mirrors left and right with probability 1/2."""
    return jnp.where(jax.random.bernoulli(as_key(key)), flip_horizontal(image), image)
