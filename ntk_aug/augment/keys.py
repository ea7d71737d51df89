"""The key of one augmentation of one example, whatever its batch, order, device or restart."""

import jax
import jax.numpy as jnp

from ntk_aug.aliases import Array, Augmentation, Images, Int, IntLike, KeyArray
from ntk_aug.augment.pixels import check_unit_range
from ntk_aug.augment.policy_augmentation import Drawing
from ntk_aug.checks import check_same_shape


def example_key(key: KeyArray, epoch: IntLike, index: IntLike, draw: IntLike = 0) -> KeyArray:
    """Folds (epoch of the last redraw, place of the example in its split, draw) into the key."""
    for number in (epoch, index, draw):
        key = jax.random.fold_in(key, number)
    return key


def augment_batch(
    augmentation: Augmentation,
    key: KeyArray,
    images: Images,
    indices: Int[Array, " n"],
    *,
    epoch: IntLike = 0,
    draw: IntLike = 0,
) -> Images:
    """Augments each image with its own `example_key`; can be called inside and outside of jit.

    Args:
      augmentation: acts on one image.
      key: of the whole run.
      images: floats in [0, 1], [n, h, w, c].
      indices: place of each image in its split.
      epoch: epoch in which this augmentation was last redrawn.
      draw: which of several draws for the same example.

    Returns:
      Images of the same shape and dtype.

    Raises:
      InputError: an augmentation that changes the shape, not one index to an image, or (outside
        of jit) values outside [0, 1] for a policy, which acts on whole values.
    """
    indices, images = jnp.asarray(indices), jnp.asarray(images)
    check_same_shape(indices.shape, images.shape[:1], "the array of indices")
    if isinstance(augmentation, Drawing):
        check_unit_range(images)

    def augment_one(index, image):
        return augmentation(example_key(key, epoch, index, draw), image)

    augmented = jax.vmap(augment_one)(indices, images)
    check_same_shape(augmented.shape, images.shape, "the augmented batch")
    return augmented
