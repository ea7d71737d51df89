"""Mixup and CutMix: mix an image and its label with those of a partner.

The example's own key draws the partner from the whole training set, not from the batch, so the
partner does not depend on the batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ntk_aug.aliases import (
    Array,
    Float,
    FloatLike,
    Image,
    Images,
    Int,
    IntLike,
    KeyLike,
    Labels,
    Shaped,
)
from ntk_aug.augment.batches.per_example import example_key
from ntk_aug.augment.value_range import from_pixels
from ntk_aug.checks import check_labels, check_same_shape
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key

SoftLabel = Float[Array, " C"]
TrainImages = Shaped[Array, "N h w c"]
"""Floats in [0, 1], or uint8, which takes a quarter of the memory."""
TrainLabels = Int[Array, " N"]


class MixDraw(NamedTuple):
    """A draw of Mixup or CutMix.

    Attributes:
      partner: index of the partner in the training set.
      share: weight of the image itself and of its label in the mixture.
      window: (first row, end row, first column, end column) that CutMix pastes; Mixup does not use
        it.
    """

    partner: Int[Array, ""]
    share: Float[Array, ""]
    window: Int[Array, " 4"]


def mixup(image: Image, other: Float[Array, "H W k"], share: FloatLike) -> Image:
    """Computes share * image + (1 - share) * other (Zhang et al. 2018)."""
    check_same_shape(other.shape, image.shape, "the partner of Mixup")
    return share * image + (1 - share) * other


def cutmix(image: Image, other: Float[Array, "H W k"], window: Int[Array, " 4"]) -> Image:
    """Pastes the window of the other image (Yun et al. 2019)."""
    check_same_shape(other.shape, image.shape, "the partner of CutMix")
    height, width, _ = image.shape
    rows, columns = jnp.arange(height), jnp.arange(width)
    in_rows = (rows >= window[0]) & (rows < window[1])
    in_columns = (columns >= window[2]) & (columns < window[3])
    return jnp.where(in_rows[:, None, None] & in_columns[:, None], other, image)


def draw_mixup(
    key: KeyLike, num_examples: int, height: int, width: int, *, alpha: float = 1.0
) -> MixDraw:
    """Draws a partner and a share ~ Beta(alpha, alpha)."""
    _check_alpha(alpha)
    partner_key, share_key = jax.random.split(as_key(key))
    partner = jax.random.randint(partner_key, (), 0, num_examples)
    return MixDraw(partner, _draw_share(share_key, alpha), jnp.array([0, height, 0, width]))


def draw_cutmix(
    key: KeyLike,
    num_examples: int,
    height: int,
    width: int,
    *,
    alpha: float = 1.0,
    probability: float = 1.0,
) -> MixDraw:
    """Draws a partner and a window whose centre is uniform over the pixels.

    The window has sides int(side * sqrt(1 - share)) for a share ~ Beta(alpha, alpha) and is clipped
    to the image; the returned share is that of the area outside. With probability 1 - `probability`
    there is no mixing: the window is empty and the share 1.
    """
    _check_alpha(alpha)
    if not 0 <= probability <= 1:
        raise InputError(f"probability of mixing is {probability}, expected 0 to 1")
    partner_key, share_key, row_key, column_key, coin_key = jax.random.split(as_key(key), 5)
    partner = jax.random.randint(partner_key, (), 0, num_examples)
    cut = jnp.sqrt(1 - _draw_share(share_key, alpha))
    mixed = jax.random.uniform(coin_key, ()) < probability

    def extent(key, side):
        centre = jax.random.randint(key, (), 0, side)
        half = (side * cut).astype(jnp.int32) // 2
        start = jnp.clip(centre - half, 0, side)
        return start, jnp.where(mixed, jnp.clip(centre + half, 0, side), start)

    top, bottom = extent(row_key, height)
    left, right = extent(column_key, width)
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return MixDraw(partner, share, jnp.stack([top, bottom, left, right]))


def random_mixup(
    key: KeyLike,
    image: Image,
    label: IntLike,
    images: TrainImages,
    labels: TrainLabels,
    *,
    num_classes: int,
    alpha: float = 1.0,
) -> tuple[Image, SoftLabel]:
    """Mixes the image with a random training example; returns the image and its soft label.

    Raises:
      InputError: alpha is not positive, the image is not of floats, or shapes differ.
    """
    draw = draw_mixup(key, len(images), *image.shape[:2], alpha=alpha)
    partner, soft_label = _partner(draw, image, label, images, labels, num_classes)
    return mixup(image, partner, draw.share), soft_label


def random_cutmix(
    key: KeyLike,
    image: Image,
    label: IntLike,
    images: TrainImages,
    labels: TrainLabels,
    *,
    num_classes: int,
    alpha: float = 1.0,
    probability: float = 1.0,
) -> tuple[Image, SoftLabel]:
    """Pastes a window of a random training example; returns and raises as `random_mixup`.

    The published probability is 0.5 for CIFAR and 1 for ImageNet.
    """
    draw = draw_cutmix(key, len(images), *image.shape[:2], alpha=alpha, probability=probability)
    partner, soft_label = _partner(draw, image, label, images, labels, num_classes)
    return cutmix(image, partner, draw.window), soft_label


def mix_batch(
    mixing: Callable[..., tuple[Image, SoftLabel]],
    key: KeyLike,
    images: Images,
    labels: Labels,
    indices: Int[Array, " n"],
    *,
    train_images: TrainImages,
    train_labels: TrainLabels,
    num_classes: int,
    epoch: IntLike = 0,
    draw: IntLike = 0,
) -> tuple[Images, Float[Array, "n C"]]:
    """Mixes each image with its own partner, drawn from its `example_key`.

    Args:
      mixing: `random_mixup` or `random_cutmix`, or a `functools.partial` of one.
      key: random key of the whole run.
      images: floats in [0, 1], augmented or not.
      labels: labels of the images.
      indices: position of each image in its split.
      train_images: images to draw partners from.
      train_labels: labels of `train_images`.
      num_classes: C.
      epoch: epoch in which this augmentation was last redrawn.
      draw: number of the draw for the same example.

    Returns:
      The images, and soft labels that sum to 1.

    Raises:
      InputError: as for the mixing; a label is not in 0 .. C - 1, or there is not one label and one
        index per image.
    """
    indices = checked_indices(indices, images, labels, train_images, train_labels, num_classes)

    def mix_one(index, image, label):
        own = example_key(key, epoch, index, draw)
        return mixing(own, image, label, train_images, train_labels, num_classes=num_classes)

    return jax.vmap(mix_one)(indices, jnp.asarray(images), jnp.asarray(labels))


def checked_indices(indices, images, labels, train_images, train_labels, num_classes):
    """Checks the arguments of a batch: one index per image, and (outside jit) the labels."""
    indices = jnp.asarray(indices)
    check_same_shape(indices.shape, (len(images),), "the array of indices")
    for own, n in ((labels, len(images)), (train_labels, len(train_images))):
        if not isinstance(own, jax.core.Tracer):
            check_labels(own, n, num_classes)
    return indices


def _partner(draw, image, label, images, labels, num_classes):
    """The partner's image in floats, and the label of the mixture."""
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise InputError(f"the image has type {image.dtype}, expected floats from 0 to 1")
    other, other_label = jnp.asarray(images)[draw.partner], jnp.asarray(labels)[draw.partner]
    if other.dtype == jnp.uint8:
        other = from_pixels(other, image.dtype)
    one, two = jax.nn.one_hot(jnp.stack([jnp.asarray(label), other_label]), num_classes)
    return other, draw.share * one + (1 - draw.share) * two


def _draw_share(key, alpha):
    if alpha == 1:  # Beta(1, 1) is uniform, and much quicker to compile
        return jax.random.uniform(key, (), jnp.float32)
    return jax.random.beta(key, alpha, alpha, dtype=jnp.float32)


def _check_alpha(alpha):
    if not alpha > 0:
        raise InputError(f"alpha of the Beta distribution is {alpha}, expected more than 0")
