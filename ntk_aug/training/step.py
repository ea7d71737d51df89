"""An epoch of training: permutation, gather, augmentation and steps, compiled; evaluation."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ntk_aug.aliases import Augmentation, Inputs, IntLike, KeyArray, Params
from ntk_aug.augment import augment_batch
from ntk_aug.data import unit_range
from ntk_aug.inputs import num_examples, take_examples
from ntk_aug.losses import per_example_loss
from ntk_aug.models import Network

_cross_entropy = per_example_loss("cross-entropy")


class TrainState(NamedTuple):
    """What an epoch carries to the next.

    Attributes:
      params: trained parameters.
      state: what is updated but not trained, such as batch statistics.
      opt_state: of the optimiser.
      epoch: epochs done, an int32 scalar.
    """

    params: Params
    state: Any
    opt_state: optax.OptState
    epoch: jax.Array


class Keys(NamedTuple):
    """Separate keys, so that one kind of randomness can be changed while the others are kept."""

    init: KeyArray
    order: KeyArray
    augmentation: KeyArray
    dropout: KeyArray

    @classmethod
    def of_seed(cls, seed: int) -> "Keys":
        """The four keys of a run's seed."""
        return cls(*jax.random.split(jax.random.key(seed), 4))


class MetricSums(NamedTuple):
    """Sums over images, to be divided once at the end; the last partial batch counts in full.

    For training they are of what each image had when its own batch was processed.

    Attributes:
      loss: of the cross-entropies.
      hits: number of images whose largest logit is that of their class.
      num_images: of images.
    """

    loss: jax.Array
    hits: jax.Array
    num_images: IntLike

    def means(self) -> tuple[float, float]:
        """Mean loss, and accuracy in [0, 1]."""
        num_images = float(self.num_images)
        return float(self.loss) / num_images, float(self.hits) / num_images


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """How many steps see every example once; the last may have fewer than batch_size."""
    return -(-num_examples // batch_size)


def epoch_program(
    network: Network,
    optimizer: optax.GradientTransformation,
    augmentation: Augmentation | None,
    preprocess: Callable[[Inputs], Inputs],
    keys: Keys,
    batch_size: int,
    *,
    scan: bool | None = None,
) -> Callable[..., tuple[TrainState, MetricSums]]:
    """Builds the function (train_state, images, labels, indices) -> (train_state, sums).

    Images are a whole data set on the device, uint8 or floats in [0, 1], or examples of another
    kind as a `data.Dataset` has them. The last step takes the images that are left and no others,
    because a batch's statistics are those of all its images.

    Args:
      network: to be trained.
      optimizer: of its parameters.
      augmentation: of single images, redrawn in every epoch; None for examples of another kind.
      preprocess: from a batch of images in [0, 1] to the network's inputs.
      keys: of the run.
      batch_size: images per step.
      scan: compile the whole epoch as one program, with a scan over its steps; otherwise one step,
        which is called for each batch. None: a scan unless JAX runs on the CPU, where XLA does not
        recognise the weight gradients of convolutions inside a loop (a ResNet20 takes 70 times
        longer). Both give the same up to rounding.
    """

    def step(carry, epoch, number, positions, images, labels, indices):
        params, state, opt_state, sums = carry
        key = jax.random.fold_in(jax.random.fold_in(keys.dropout, epoch), number)
        batch = unit_range(take_examples(images, positions))
        if augmentation is not None:
            batch = augment_batch(
                augmentation, keys.augmentation, batch, indices[positions], epoch=epoch
            )
        targets = labels[positions]

        def mean_loss(params):
            logits, new_state = network.apply(params, state, preprocess(batch), True, key)
            losses = _cross_entropy(logits, targets)
            return jnp.mean(losses), (logits, new_state)

        (loss, (logits, state)), gradient = jax.value_and_grad(mean_loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        sums = MetricSums(
            sums.loss + loss * len(targets),
            sums.hits + jnp.sum(jnp.argmax(logits, axis=-1) == targets),
            sums.num_images + len(targets),
        )
        return optax.apply_updates(params, updates), state, opt_state, sums

    def epoch_of_steps(run_step, run_full_steps, train_state, *arrays):
        n, epoch = num_examples(arrays[0]), train_state.epoch
        size = min(batch_size, n)
        full_steps = n // size
        order = jax.random.permutation(jax.random.fold_in(keys.order, epoch), n)
        batches = order[: full_steps * size].reshape(full_steps, size)
        zero = MetricSums(jnp.zeros(()), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
        carry = run_full_steps((*train_state[:3], zero), epoch, batches, *arrays)
        if full_steps * size < n:
            carry = run_step(carry, epoch, full_steps, order[full_steps * size :], *arrays)
        *trained, sums = carry
        return TrainState(*trained, epoch + 1), sums

    def scan_full_steps(carry, epoch, batches, *arrays):
        return jax.lax.scan(
            lambda carry, batch: (step(carry, epoch, *batch, *arrays), None),
            carry,
            (jnp.arange(len(batches)), batches),
        )[0]

    compiled_step = jax.jit(step)

    def call_full_steps(carry, epoch, batches, *arrays):
        for number, positions in enumerate(batches):
            carry = compiled_step(carry, epoch, number, positions, *arrays)
        return carry

    if scan is None:
        scan = jax.default_backend() != "cpu"
    if scan:
        return jax.jit(partial(epoch_of_steps, step, scan_full_steps))
    return partial(epoch_of_steps, compiled_step, call_full_steps)


def evaluation_program(
    apply: Callable[..., Any], preprocess: Callable[[Inputs], Inputs], batch_size: int = 500
) -> Callable[..., MetricSums]:
    """Builds the jitted function (variables, images, labels) -> sums, in evaluation mode.

    Args:
      apply: (variables, network inputs) -> logits.
      preprocess: from images in [0, 1] to network inputs.
      batch_size: images at once.
    """

    @jax.jit
    def evaluate(variables, images, labels):
        n = num_examples(images)
        size = min(batch_size, n)
        positions = jnp.resize(jnp.arange(n), (steps_per_epoch(n, size), size))
        counted = jnp.arange(positions.size).reshape(positions.shape) < n

        def batch_sums(batch):
            members, counted = batch
            logits = apply(variables, preprocess(unit_range(take_examples(images, members))))
            losses = _cross_entropy(logits, labels[members])
            hits = jnp.argmax(logits, axis=-1) == labels[members]
            return jnp.sum(losses * counted), jnp.sum(hits * counted)

        losses, hits = jax.lax.map(batch_sums, (positions, counted))
        return MetricSums(jnp.sum(losses), jnp.sum(hits), n)

    return evaluate
