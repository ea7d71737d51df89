"""The training loop: epochs, evaluation, and a record of the run in one folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Params, Progress
from ntk_aug.augment import build_augmentation
from ntk_aug.checks import InputError, check_same_shape
from ntk_aug.data import Dataset, normalize
from ntk_aug.losses import per_example_loss
from ntk_aug.models import ModelView, Network, logits_program
from ntk_aug.records import StrPath
from ntk_aug.training.config import TrainingConfig
from ntk_aug.training.optimizer import build_optimizer
from ntk_aug.training.run_folder import EpochRecord, RunFolder
from ntk_aug.training.step import (
    Keys,
    TrainState,
    epoch_program,
    evaluation_program,
    steps_per_epoch,
)


class TrainedNetwork(NamedTuple):
    """The end of a run.

    Attributes:
      params: trained parameters.
      state: batch statistics and the like.
      history: one record per epoch.
    """

    params: Params
    state: Any
    history: list[EpochRecord]


def initial_state(
    network: Network, image_shape: tuple[int, int, int], config: TrainingConfig
) -> TrainState:
    """The state before the first epoch; depends on the shape of the images, not on their values."""
    params, state = network.init(Keys.of_seed(config.seed).init, jnp.zeros((1, *image_shape)))
    opt_state = build_optimizer(config, steps_per_epoch=1).init(params)
    return TrainState(params, state, opt_state, jnp.zeros((), jnp.int32))


def train(
    network: Network,
    train_set: Dataset,
    config: TrainingConfig,
    *,
    test_set: Dataset | None = None,
    folder: StrPath | None = None,
    description: Mapping[str, Any] | None = None,
    keep_epochs: Sequence[int] = (),
    progress: Progress | None = None,
) -> TrainedNetwork:
    """Trains a network on a data set that fits on the device.

    Args:
      network: to be initialised from the seed and trained.
      train_set: images, labels, normalisation.
      config: of the run.
      test_set: evaluated after every epoch, in evaluation mode.
      folder: where the run is recorded, and resumed from its last checkpoint if it is the same run.
      description: what config.json says of the run besides, such as model and data by name; part
        of what makes it the same run.
      keep_epochs: epochs after which a checkpoint is kept, besides the last.
      progress: called with ("training", epochs done, epochs).

    Returns:
      The trained network with its history.

    Raises:
      InputError: a folder that holds another run, a network whose outputs are not one per class,
        or a loss that is not finite (which epoch and steps are named).
    """
    steps = steps_per_epoch(len(train_set), config.batch_size)
    train_state = initial_state(network, train_set.image_shape, config)
    _check_outputs(network, train_state, train_set)
    history: list[EpochRecord] = []
    run = None
    if folder is not None:
        run = RunFolder.open(folder, description or {}, train_set, config)
        train_state, history = run.resume(train_state, config.epochs)
        if not history and 0 in (config.epochs, *keep_epochs):
            run.save(train_state, history)
    if progress:
        progress("training", len(history), config.epochs)

    preprocess = partial(normalize, mean=train_set.mean, std=train_set.std)
    run_epoch = epoch_program(
        network,
        build_optimizer(config, steps),
        build_augmentation(config.augmentation),
        preprocess,
        Keys.of_seed(config.seed),
        config.batch_size,
    )
    evaluate = evaluation_program(
        lambda variables, inputs: network.apply(*variables, inputs, False, None)[0], preprocess
    )
    arrays = [jnp.asarray(a) for a in (train_set.images, train_set.labels, train_set.indices)]
    test_arrays = test_set and [jnp.asarray(a) for a in (test_set.images, test_set.labels)]
    for epoch in range(len(history) + 1, config.epochs + 1):
        train_state, sums = run_epoch(train_state, *arrays)
        train_loss, train_accuracy = sums.means()
        if not np.isfinite(train_loss):
            raise InputError(
                f"the training loss of epoch {epoch} (steps {(epoch - 1) * steps + 1} to "
                f"{epoch * steps}) is not finite: try a learning rate below {config.learning_rate}"
            )
        test: tuple[float | None, float | None] = (None, None)
        if test_arrays:
            test = evaluate((train_state.params, train_state.state), *test_arrays).means()
        record = EpochRecord(epoch, train_loss, train_accuracy, *test)
        history.append(record)
        if run is not None and epoch in (config.epochs, *keep_epochs):
            run.save(train_state, history)
        if progress:
            progress("training", epoch, config.epochs)
    return TrainedNetwork(train_state.params, train_state.state, history)


def _check_outputs(network: Network, train_state: TrainState, train_set: Dataset) -> None:
    image = jnp.zeros((1, *train_set.image_shape))
    logits = jax.eval_shape(
        lambda: network.apply(train_state.params, train_state.state, image, False, None)[0]
    )
    check_same_shape(logits.shape, (1, train_set.num_classes), "the network's output for one image")


def evaluate_view(view: ModelView, dataset: Dataset) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in [0, 1] of a network in evaluation mode on a data set."""
    evaluate = logits_program(view.apply_fn, mean=dataset.mean, std=dataset.std)
    logits = evaluate(view.params, dataset.images)
    losses = np.asarray(per_example_loss("cross-entropy")(logits, dataset.labels), np.float64)
    return float(losses.mean()), float((logits.argmax(axis=1) == dataset.labels).mean())
