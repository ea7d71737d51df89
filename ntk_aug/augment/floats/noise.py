"""Additive noise and linear maps: the perturbation models of the paper's theory.

Pixels are in [0, 1] and results are not clipped, because clipped noise is not additive. The noises
declare that they may leave [0, 1]. An augmentation by `apply_linear_map` has to do so itself:

    leaves_unit_range(lambda key, image: apply_linear_map(image, F))
"""

import jax
import jax.numpy as jnp

from ntk_aug.aliases import Array, Float, Image, KeyLike
from ntk_aug.augment.value_range import leaves_unit_range
from ntk_aug.checks import check_at_least, check_same_shape
from ntk_aug.randomness import as_key


@leaves_unit_range
def random_gaussian_noise(key: KeyLike, image: Image, deviation: float) -> Image:
    """Adds normal noise of standard deviation `deviation` to each value."""
    check_at_least(deviation, 0, "the deviation of the noise")
    return image + deviation * jax.random.normal(as_key(key), image.shape, image.dtype)


@leaves_unit_range
def random_noise_on_sphere(key: KeyLike, image: Image, radius: float) -> Image:
    """Adds noise uniform on the sphere ||x~ - x||_2 = radius, over all pixels."""
    check_at_least(radius, 0, "the radius of the noise")
    return image + radius * _direction(key, image)


@leaves_unit_range
def random_noise_in_ball(key: KeyLike, image: Image, radius: float) -> Image:
    """Adds noise uniform in the ball ||x~ - x||_2 <= radius, over all pixels.

    A uniform point of a ball in d dimensions is a uniform direction times radius * U^(1/d).
    """
    check_at_least(radius, 0, "the radius of the noise")
    direction_key, length_key = jax.random.split(as_key(key))
    direction = _direction(direction_key, image)
    length = radius * jax.random.uniform(length_key, (), image.dtype) ** (1 / image.size)
    return image + length * direction


def _direction(key, image):
    direction = jax.random.normal(as_key(key), image.shape, image.dtype)
    return direction / jnp.linalg.norm(direction.ravel())


def apply_linear_map(image: Image, F: Float[Array, "d d"]) -> Image:
    """Applies F [d, d] to the d = h w c values of the image, raveled in C order.

    This is the linear augmentation of the paper's Lemma B.4. Raises InputError if F is not d x d.
    """
    check_same_shape(F.shape, (image.size, image.size), "the linear map")
    product = jnp.matmul(F, jnp.asarray(image).ravel(), precision="highest")
    return product.reshape(image.shape)
