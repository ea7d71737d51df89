"""Policies as augmentations, which can describe what they do under a key."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from ntk_aug.aliases import Array, Float, Image, KeyLike
from ntk_aug.augment.policies.policy import Policy
from ntk_aug.augment.policies.sampling import PolicyDraw, apply_policy, describe_draw, draw_policy
from ntk_aug.augment.value_range import from_pixels, to_pixels
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key


@runtime_checkable
class Drawing(Protocol):
    """An augmentation that makes all its random draws in one function."""

    def draw(self, key: KeyLike, height: int, width: int) -> Any:
        """Draws everything that a call with this key needs, for an image of this size."""


@functools.lru_cache(maxsize=16)
def compiled_draw(augmentation: Drawing, height: int, width: int):
    """Compiles an augmentation's draw to a function of the key that returns NumPy arrays."""
    draw = jax.jit(lambda key: augmentation.draw(key, height, width))
    return lambda key: jax.device_get(draw(key))


@dataclass(frozen=True)
class PolicyAugmentation:
    """A policy as augmentation(key, image) -> image, for floats in [0, 1] rounded to uint8.

    Attributes:
      policy: the policy to draw from.
    """

    policy: Policy

    def __str__(self):
        """The policy's table."""
        return str(self.policy)

    def __call__(self, key: KeyLike, image: Image) -> Image:
        """Augments an image."""
        draw = self.draw(key, *image.shape[:2])
        return from_pixels(apply_policy(to_pixels(image), self.policy, draw), image.dtype)

    def draw(self, key: KeyLike, height: int, width: int) -> PolicyDraw:
        """Draws what a call with this key applies to an image of this size."""
        return draw_policy(key, self.policy, height, width)

    def describe(self, key: KeyLike, height: int, width: int) -> str:
        """Describes a call with this key."""
        draw = compiled_draw(self, height, width)(as_key(key))
        return ", ".join(describe_draw(self.policy, draw, height, width)) or "nothing"


class AugMixDraw(NamedTuple):
    """A draw of AugMix: the steps of all chains in order, the chains' weights, and their share."""

    steps: PolicyDraw
    weights: Float[Array, " width"]
    share: Float[Array, ""]


@dataclass(frozen=True)
class AugMixAugmentation:
    """AugMix (Hendrycks et al. 2020): (1 - m) x + m sum_i w_i chain_i(x).

    w ~ Dirichlet(1, ..., 1) and m ~ Beta(1, 1) are uniform. Each chain applies 1 to `depth`
    operations to uint8 pixels; the mixture is of floats.

    Attributes:
      policy: draws the operations, in width * depth rounds of one step.
      width: number of chains.
      depth: largest number of operations per chain.
    """

    policy: Policy
    width: int = 3
    depth: int = 3

    def __post_init__(self):
        if self.policy.num_steps != self.width * self.depth or self.width < 1:
            raise InputError(
                f"the policy of AugMix has {self.policy.num_steps} steps, expected width * depth = "
                f"{self.width * self.depth}"
            )

    def __str__(self):
        """The policy's table, and the chains that its draws form."""
        chains = f"{self.width} chains of the first 1 to {self.depth} of {self.depth} draws each"
        return f"{self.policy}\nmixed with the image itself: {chains}"

    def __call__(self, key: KeyLike, image: Image) -> Image:
        """Augments an image."""
        draw = self.draw(key, *image.shape[:2])
        pixels = to_pixels(image)

        def chain(steps):
            return from_pixels(apply_policy(pixels, self.policy, steps), image.dtype)

        steps = jax.tree.map(lambda x: x.reshape(self.width, self.depth, *x.shape[1:]), draw.steps)
        chains = jax.vmap(chain)(steps)
        mixed = (draw.weights[:, None, None, None] * chains).sum(axis=0)
        clean = from_pixels(pixels, image.dtype)
        return ((1 - draw.share) * clean + draw.share * mixed).astype(image.dtype)

    def draw(self, key: KeyLike, height: int, width: int) -> AugMixDraw:
        """Draws what a call with this key applies to an image of this size."""
        steps_key, depth_key, weights_key, share_key = jax.random.split(as_key(key), 4)
        steps = draw_policy(steps_key, self.policy, height, width)
        depths = jax.random.randint(depth_key, (self.width, 1), 1, self.depth + 1)
        within = (jnp.arange(self.depth) < depths).ravel()
        weights = jax.random.exponential(weights_key, (self.width,), jnp.float32)
        return AugMixDraw(
            steps._replace(applied=steps.applied & within),
            weights / weights.sum(),
            jax.random.uniform(share_key, (), jnp.float32),
        )

    def describe(self, key: KeyLike, height: int, width: int) -> str:
        """Describes a call with this key."""
        draw = compiled_draw(self, height, width)(as_key(key))
        terms = [f"{1 - draw.share:.2f} itself"]
        for number, weight in enumerate(draw.weights):
            part = slice(number * self.depth, (number + 1) * self.depth)
            steps = jax.tree.map(lambda x, part=part: x[part], draw.steps)
            told = ", ".join(describe_draw(self.policy, steps, height, width))
            terms.append(f"{draw.share * weight:.2f} [{told}]")
        return " + ".join(terms)
