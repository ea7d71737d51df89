"""The training loop: epochs, evaluation, and a record of the run in one folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Augmentation, Params, Progress
from ntk_aug.augment import build_augmentation
from ntk_aug.checks import InputError, check_same_shape
from ntk_aug.data import Dataset, normalize
from ntk_aug.inputs import as_example_shapes
from ntk_aug.losses import per_example_loss
from ntk_aug.models import Network, as_view, check_logits, logits_program, network_takes
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


def initial_state(network: Network, image_shape: Any, config: TrainingConfig) -> TrainState:
    """The state before the first epoch; depends on the shape of the images, not on their values.

    Args:
      network: to be initialised.
      image_shape: (h, w, c), or shape and type of one example of another kind, as
        `data.Dataset.example` gives it.
      config: gives the seed.

    Raises:
      InputError: the network does not take such examples.
    """
    example = zero_examples(image_shape, 1)
    with network_takes(example):
        params, state = network.init(Keys.of_seed(config.seed).init, example)
    opt_state = build_optimizer(config, steps_per_epoch=1).init(params)
    return TrainState(params, state, opt_state, jnp.zeros((), jnp.int32))


def zero_examples(example: Any, n: int) -> Any:
    """A batch of n examples that are all zeros.

    Args:
      example: (h, w, c), or shape and type of one example.
      n: how many.
    """
    shapes = as_example_shapes(example, "float32")
    return jax.tree.map(lambda leaf: jnp.zeros((n, *leaf.shape), leaf.dtype), shapes)


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
        an augmentation of examples that are no images, or a loss that is not finite (which epoch
        and steps are named).
    """
    steps = steps_per_epoch(len(train_set), config.batch_size)
    augmentation = check_augmentation(train_set, config.augmentation)
    train_state = initial_state(network, train_set.example, config)
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
        augmentation,
        preprocess,
        Keys.of_seed(config.seed),
        config.batch_size,
    )
    evaluate = evaluation_program(
        lambda variables, inputs: network.apply(*variables, inputs, False, None)[0], preprocess
    )
    arrays = jax.tree.map(jnp.asarray, [train_set.images, train_set.labels, train_set.indices])
    test_arrays = test_set and jax.tree.map(jnp.asarray, [test_set.images, test_set.labels])
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
    image = zero_examples(train_set.example, 1)
    logits = jax.eval_shape(
        lambda: network.apply(train_state.params, train_state.state, image, False, None)[0]
    )
    check_logits(logits, 1)
    check_same_shape(logits.shape, (1, train_set.num_classes), "the network's output for one image")


def check_augmentation(dataset: Dataset, spec: str) -> Augmentation | None:
    """The augmentation of a data set: of images what `spec` names, otherwise none.

    Raises:
      InputError: an augmentation other than "identity" of examples that are no images.
    """
    augmentation = build_augmentation(spec)
    if dataset.are_images:
        return augmentation
    if spec != "identity":
        shapes = jax.tree.map(lambda leaf: ("n", *leaf.shape), dataset.example)
        raise InputError(
            f"augmentation {spec!r} is of images [n, h, w, c], and {dataset.name} holds "
            f"{str(shapes).replace(chr(39), '')}: only 'identity' fits"
        )
    return None


def evaluate_view(view: Any, dataset: Dataset) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in [0, 1] of a network in evaluation mode on a data set.

    Args:
      view: a `ModelView`, or what `models.as_view` takes.
      dataset: any.
    """
    view = as_view(view)
    evaluate = logits_program(view.apply_fn, mean=dataset.mean, std=dataset.std)
    logits = evaluate(view.params, dataset.images)
    losses = np.asarray(per_example_loss("cross-entropy")(logits, dataset.labels), np.float64)
    return float(losses.mean()), float((logits.argmax(axis=1) == dataset.labels).mean())
