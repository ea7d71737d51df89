"""Selection of augmented candidates by the network's loss, as in Wu et al. (2020)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Images, Int, IntLike, KeyLike, Labels, PixelImages
from ntk_aug.augment.batches.mixing import TrainLabels, checked_indices
from ntk_aug.augment.batches.per_example import example_key
from ntk_aug.augment.policies.wu import TrainPixels, WuAugmentation
from ntk_aug.checks import check_at_least, check_choice, check_count, check_same_shape
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key

SELECTIONS = ("proportional", "largest")

PerExampleLoss = Callable[[Images, Float[Array, "n C"]], Float[Array, " n"]]
"""per_example_loss(images in [0, 1], soft labels) -> losses of the network in evaluation mode."""


def select_candidates(
    key: KeyLike, losses: Float[Array, " K"], keep: int, *, selection: str = "proportional"
) -> Int[Array, " keep"]:
    """Returns the indices of the candidates of an example to keep.

    Selection "proportional" draws with replacement in proportion to the loss (uniformly if all are
    0), as the published code does; "largest" takes the largest losses, as the published text says.
    Raises InputError if the selection is unknown, there are too few candidates, or (outside jit) a
    loss is negative or not finite.
    """
    if not isinstance(losses, jax.core.Tracer):
        known = np.asarray(losses)
        if not (np.isfinite(known) & (known >= 0)).all():
            raise InputError(f"losses are {known}, expected finite values of at least 0")
    losses = jnp.asarray(losses)
    _check_selection(keep, len(losses), selection)
    if selection == "largest":
        return jax.lax.top_k(losses, keep)[1]
    logits = jnp.where((losses > 0).any(), jnp.log(losses), jnp.zeros_like(losses))
    return jax.random.categorical(as_key(key), logits, shape=(keep,)).astype(jnp.int32)


def _check_selection(keep, num_candidates, selection):
    check_choice(selection, SELECTIONS, "selection of candidates")
    if selection == "largest":
        check_count(keep, num_candidates, "candidates to keep")
    check_at_least(keep, 1, "candidates to keep")


def augment_by_loss(
    augmentation: WuAugmentation,
    key: KeyLike,
    images: PixelImages,
    labels: Labels,
    indices: Int[Array, " n"],
    *,
    per_example_loss: PerExampleLoss,
    train_images: TrainPixels,
    train_labels: TrainLabels,
    num_classes: int,
    num_candidates: int = 4,
    keep: int = 1,
    selection: str = "proportional",
    epoch: IntLike = 0,
    draw: IntLike = 0,
) -> tuple[Float[Array, "n keep h w c"], Float[Array, "n keep C"]]:
    """Draws candidates of each example and keeps some of them by their loss.

    All draws come from the example's own `example_key`. n * num_candidates images are in memory.

    Args:
      augmentation: draws one candidate.
      key: random key of the whole run.
      images: uint8.
      labels: labels of the images.
      indices: position of each image in its split.
      per_example_loss: must not change the network (batch statistics).
      train_images: images to draw partners of Mixup from.
      train_labels: labels of `train_images`.
      num_classes: C.
      num_candidates: K.
      keep: number of candidates to keep per example.
      selection: see `select_candidates`.
      epoch: epoch in which this augmentation was last redrawn.
      draw: number of the draw for the same example.

    Returns:
      Images in [0, 1], and soft labels that sum to 1.

    Raises:
      InputError: as for `select_candidates`; there are no candidates, images are not uint8, there
        is not one index per image, a label is not in 0 .. C - 1, or the loss does not return one
        number per image.
    """
    check_at_least(num_candidates, 1, "number of candidates")
    _check_selection(keep, num_candidates, selection)
    for what, pixels in (("images", images), ("train_images", train_images)):
        if pixels.dtype != np.uint8:
            raise InputError(f"{what} have type {pixels.dtype}, expected uint8")
    indices = checked_indices(indices, images, labels, train_images, train_labels, num_classes)
    size = images.shape[1:3]

    def candidates_of(index, image, label):
        own = example_key(key, epoch, index, draw)

        def candidate(number):
            own_key = jax.random.fold_in(own, number)
            drawn = augmentation.draw_candidate(own_key, len(train_images), *size)
            return augmentation.apply_candidate(
                image, label, drawn, train_images, train_labels, num_classes=num_classes
            )

        return jax.vmap(candidate)(jnp.arange(num_candidates))

    arrays = (indices, jnp.asarray(images), jnp.asarray(labels))
    candidates, soft = jax.vmap(candidates_of)(*arrays)
    n = len(candidates)
    candidates = candidates.astype(jnp.float32) / 255
    flat = (x.reshape(n * num_candidates, *x.shape[2:]) for x in (candidates, soft))
    losses = per_example_loss(*flat)
    check_same_shape(losses.shape, (n * num_candidates,), "the result of per_example_loss")
    losses = losses.reshape(n, num_candidates)

    def kept_of(index, losses, images, soft):
        # The number after the last candidate's is that of the selection.
        own = jax.random.fold_in(example_key(key, epoch, index, draw), num_candidates)
        chosen = select_candidates(own, losses, keep, selection=selection)
        return images[chosen], soft[chosen]

    return jax.vmap(kept_of)(arrays[0], losses, candidates, soft)
