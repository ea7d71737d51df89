"""Additive noise of bounded size: the perturbation model of the paper's theory."""

import jax
import jax.numpy as jnp

from ntk_aug.aliases import Image, KeyArray


def random_noise_in_ball(key: KeyArray, image: Image, radius: float) -> Image:
    """Adds noise uniform in the Euclidean ball: ||x~ - x||_2 <= radius, over all pixels.

    In units of pixels in [0, 1]; the result is not clipped, since clipping is no addition.
    A uniform point of the ball in d dimensions is a uniform direction times radius * U^(1/d).
    """
    direction_key, length_key = jax.random.split(key)
    direction = jax.random.normal(direction_key, image.shape, image.dtype)
    direction /= jnp.linalg.norm(direction.ravel())
    length = radius * jax.random.uniform(length_key, (), image.dtype) ** (1 / image.size)
    return image + length * direction
