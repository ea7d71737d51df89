"""Augmentation of a batch with one key per example, independent of batch, order and device."""

import inspect

import jax
import jax.numpy as jnp

from ntk_aug.aliases import Array, Augmentation, Inputs, Int, IntLike, KeyArray, KeyLike
from ntk_aug.augment.composition import holds_policy
from ntk_aug.augment.value_range import check_unit_range
from ntk_aug.checks import check_same_shape
from ntk_aug.errors import InputError, UserCodeError
from ntk_aug.inputs import num_examples
from ntk_aug.randomness import as_key


def example_key(key: KeyLike, epoch: IntLike, index: IntLike, draw: IntLike = 0) -> KeyArray:
    """Folds (epoch of the last redraw, position of the example in its split, draw) into a key."""
    key = as_key(key)
    for number in (epoch, index, draw):
        key = jax.random.fold_in(key, number)
    return key


def augment_batch(
    augmentation: Augmentation,
    key: KeyLike,
    images: Inputs,
    indices: Int[Array, " n"],
    *,
    epoch: IntLike = 0,
    draw: IntLike = 0,
) -> Inputs:
    """Augments each image with its own `example_key`, inside or outside jit.

    Args:
      augmentation: acts on one image.
      key: random key of the whole run; an integer is a seed.
      images: floats in [0, 1], [n, h, w, c], or any batch of inputs with leading n that the
        augmentation takes.
      indices: position of each image in its split.
      epoch: epoch in which this augmentation was last redrawn.
      draw: number of the draw for the same example.

    Returns:
      Images of the same shape and dtype.

    Raises:
      InputError: the augmentation does not take (key, image), uses numpy on its arguments, or
        changes the shape; there is not one index per image; or (outside jit) a policy, which acts
        on uint8 pixels, is given values outside [0, 1].
    """
    indices, images = jnp.asarray(indices), jax.tree.map(jnp.asarray, images)
    check_same_shape(indices.shape, (num_examples(images),), "the array of indices")
    if holds_policy(augmentation):
        check_unit_range(images)
    _check_signature(augmentation)
    key = as_key(key)

    def augment_one(index, image):
        return augmentation(example_key(key, epoch, index, draw), image)

    try:
        augmented = jax.vmap(augment_one)(indices, images)
    except (jax.errors.JAXTypeError, UserCodeError) as error:
        cause = error.__cause__ if isinstance(error, UserCodeError) else error
        if not isinstance(cause, jax.errors.JAXTypeError):
            raise
        raise UserCodeError(
            f"the augmentation cannot be traced ({type(cause).__name__}): it runs inside jit and "
            "vmap, so use jax.numpy instead of numpy, and jnp.where instead of if",
            user_traceback=getattr(error, "user_traceback", ""),
        ) from cause
    structures = [jax.tree.structure(batch) for batch in (augmented, images)]
    if len(set(structures)) > 1:
        raise InputError(f"the augmented batch is {structures[0]}, expected {structures[1]}")
    for one, other in zip(jax.tree.leaves(augmented), jax.tree.leaves(images), strict=True):
        check_same_shape(one.shape, other.shape, "the augmented batch")
    return augmented


def _check_signature(augmentation):
    try:
        signature = inspect.signature(augmentation)
    except (TypeError, ValueError):  # not every callable has one
        return
    try:
        signature.bind(None, None)
    except TypeError:
        raise InputError(
            f"the augmentation takes {signature}, expected (key, image): a random key and one image"
        ) from None
