"""The plan of an epoch: which examples it trains on, in which version, and with which weight.

The loop, the record and whatever streams examples read the same plan. It is made on the host, of
numbers alone: no image is touched before it is known what for.
"""

import math
from typing import NamedTuple

import jax
import numpy as np

from ntk_aug.aliases import Float32, Int32, KeyArray
from ntk_aug.augment import WuAugmentation, build_augmentation
from ntk_aug.coreset import Subset, mean_one_weights
from ntk_aug.errors import InputError
from ntk_aug.training.config import MethodConfig, TrainingConfig

# One device call each; without jit there are a dozen.
fold_in, _split = jax.jit(jax.random.fold_in), jax.jit(jax.random.split)

PLAIN, WEAK = -2, -1
"""Versions of an example; k >= 0 is its k-th strong version."""


class EpochPlan(NamedTuple):
    """The images that an epoch trains on, one per row, before they are shuffled.

    Attributes:
      positions: position of each row's example in the data set.
      versions: PLAIN, WEAK, or the number of the strong version.
      weights: weight of each row in the loss.
      weak_epoch: epochs done when the weak versions were last drawn.
      strong_epoch: epochs done when the strong versions were last drawn.
      selection_epoch: epochs done at the last selection; None without one.
    """

    positions: Int32[np.ndarray, " m"]
    versions: Int32[np.ndarray, " m"]
    weights: Float32[np.ndarray, " m"]
    weak_epoch: int
    strong_epoch: int
    selection_epoch: int | None

    def __len__(self) -> int:  # type: ignore[override]  # rows, not fields
        return self.positions.shape[0]


class BatchSizes(NamedTuple):
    """The steps of an epoch.

    Attributes:
      full: number of steps of batch_size images.
      rest: images of a last, different step; 0 if there is none.
    """

    full: int
    rest: int

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.full + (self.rest > 0)


def plan_epoch(
    config: TrainingConfig,
    method: MethodConfig,
    num_examples: int,
    epoch: int,
    subset: Subset | None,
    *,
    subset_epoch: int = 0,
) -> EpochPlan:
    """Plans one epoch.

    Args:
      config: settings of the training.
      method: settings of selection and augmentation.
      num_examples: n, of the data set.
      epoch: epochs done so far.
      subset: the selected examples; None if nothing ever is selected.
      subset_epoch: epochs done when they were selected.

    Raises:
      InputError: an epoch on a subset of no example.
    """
    selected = np.empty(0, np.int64) if subset is None else subset.indices
    gamma = np.empty(0) if subset is None else np.asarray(subset.weights)
    on_subset = method.train_on == "subset"
    if on_subset and not len(selected):
        raise InputError(
            f"selector {method.selector!r} selected no example after {epoch} epochs, expected at "
            "least one to train on"
        )
    trained = selected if on_subset else np.arange(num_examples)
    unscaled = method.weights == "algorithm1"
    of_subset = gamma if unscaled else mean_one_weights(gamma)
    weights = of_subset if on_subset else np.ones(num_examples)
    strong_versions = versions_per_example(method)
    in_place = method.placement != "append" and strong_versions > 0
    if in_place:
        kept = ~np.isin(trained, selected)
        trained, weights = trained[kept], weights[kept]
    if unscaled:
        strong_weights = gamma / max(strong_versions, 1)
    elif in_place and on_subset:
        strong_weights = of_subset
    else:
        strong_weights = np.ones(len(selected))
    weak = PLAIN if config.weak == "identity" else WEAK
    positions = [trained, np.tile(selected, strong_versions)]
    versions = [np.full(len(trained), weak), np.repeat(np.arange(strong_versions), len(selected))]
    all_weights = [weights, np.tile(strong_weights, strong_versions)]
    return EpochPlan(
        np.concatenate(positions).astype(np.int32),
        np.concatenate(versions).astype(np.int32),
        np.concatenate(all_weights).astype(np.float32),
        epoch - epoch % config.weak_every,
        epoch - epoch % method.strong_every,
        None if subset is None else subset_epoch,
    )


def versions_per_example(method: MethodConfig) -> int:
    """Number of strong versions per selected example; the method of Wu et al. keeps several."""
    if not method.augments:
        return 0
    return method.draws * (method.keep if is_wu(method) else 1)


def is_wu(method: MethodConfig) -> bool:
    """Whether the strong augmentation is the whole method of Wu et al."""
    return method.augments and isinstance(build_augmentation(method.augment), WuAugmentation)


def shuffle(key: KeyArray, epoch: int, num_rows: int) -> Int32[np.ndarray, " m"]:
    """Draws the order of an epoch's rows, as `jax.random.permutation` does.

    Positions are sorted by random bits, repeatedly if 32 bits are likely to collide. The host sorts
    them, because XLA's sort takes 0.3 microseconds per row on a CPU, up to a tenth of an epoch of a
    small network.
    """
    key = fold_in(key, np.int32(epoch))
    order = np.arange(num_rows)
    for _ in range(math.ceil(3 * math.log(max(1, num_rows)) / math.log(2**32 - 1))):
        key, own = _split(key)
        bits = np.asarray(jax.random.bits(own, (num_rows,), "uint32")).astype(np.uint64)
        places = np.sort(bits << np.uint64(32) | np.arange(num_rows, dtype=np.uint64))
        order = order[places & np.uint64(2**32 - 1)]
    return order.astype(np.int32)


def batch_sizes(num_rows: int, batch_size: int) -> BatchSizes:
    """Divides the rows of an epoch into steps.

    A single remaining image joins the batch before it, because one image has no batch statistics.
    """
    full, rest = divmod(num_rows, batch_size)
    if rest == 1 and full:
        full, rest = full - 1, rest + batch_size
    return BatchSizes(full, rest)


def steps_per_epoch(num_rows: int, batch_size: int) -> int:
    """Number of steps of an epoch: see `batch_sizes`."""
    return batch_sizes(num_rows, batch_size).steps
