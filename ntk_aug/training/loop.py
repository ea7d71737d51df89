"""Training of a network by Algorithm 1, or without selection, recorded in one folder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ntk_aug import coreset
from ntk_aug.aliases import Array, Float, Progress
from ntk_aug.data import Dataset
from ntk_aug.models import Network
from ntk_aug.records import StrPath, fingerprint
from ntk_aug.training.config import MethodConfig, TrainingConfig
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.resume import Checkpointer
from ntk_aug.training.run import RunProgram, TrainedNetwork
from ntk_aug.training.run_folder import RunFolder, run_configuration

SECONDS_BETWEEN_CHECKPOINTS = 60.0


def train(
    network: Network,
    train_set: Dataset,
    config: TrainingConfig,
    *,
    method: MethodConfig | None = None,
    test_set: Dataset | None = None,
    soft_labels: Float[Array, "n C"] | None = None,
    selection: coreset.Subset | None = None,
    folder: StrPath | None = None,
    description: Mapping[str, Any] | None = None,
    keep_epochs: Sequence[int] = (),
    seconds_between_checkpoints: float = SECONDS_BETWEEN_CHECKPOINTS,
    compiled_epoch: bool | None = None,
    progress: Progress | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> TrainedNetwork:
    """Trains a network on a data set that fits on the device, by Algorithm 1 or without selection.

    Every `reselect_every` epochs the network's gradients in evaluation mode select a subset. Its
    strong versions are drawn every `strong_every` epochs. Each epoch is weighted SGD on the rows of
    `plan_epoch`.

    Args:
      network: network to initialise from the seed and train.
      train_set: training set.
      config: settings of the training.
      method: settings of selection and augmentation; defaults to neither.
      test_set: evaluated in evaluation mode, every `eval_every` epochs and after the last.
      soft_labels: targets of the training that replace the labels; selection by class still uses
        the labels.
      selection: a weighted subset of `train_set`, for selector "given".
      folder: folder of the run's record; the same run resumes from its last checkpoint.
      description: further entries of config.json, such as the model's name; a run with another
        description is another run.
      keep_epochs: epochs after which a checkpoint is kept, besides the last.
      seconds_between_checkpoints: time after which the next epoch's end writes a checkpoint.
      compiled_epoch: whether all full steps of an epoch are one program; see `EpochProgram` for the
        default.
      progress: called with ("training", steps done, total), and with the stages of selection and
        augmentation.
      on_epoch: called with the record of each epoch.

    Returns:
      The trained network with its history.

    Raises:
      InputError: the folder holds another run or cannot be written, the network does not return one
        logit per class, examples to augment are not images, the budget cannot be met, or the soft
        labels or the subset do not fit.
      DivergenceError: the loss is not finite.

    Reference:
      Liu, Mirzasoleiman: Data-efficient augmentation for training neural networks, 2022.
    """
    run = RunProgram(
        network, train_set, config, method or MethodConfig(), test_set, soft_labels, selection,
        compiled_epoch, progress,
    )  # fmt: skip
    if folder is None:
        return run.train(run.initial, None, on_epoch)
    given = {
        "soft_labels": None if soft_labels is None else fingerprint(np.asarray(soft_labels)),
        "selection": None if selection is None else fingerprint(list(map(np.asarray, selection))),
    }
    recorded = RunFolder.open(
        folder,
        run_configuration({**(description or {}), "given": given}, train_set, config, run.method),
    )
    with recorded.locked():
        checkpointer = Checkpointer(recorded, keep_epochs, seconds_between_checkpoints)
        state = checkpointer.resume(run.initial, config.epochs)
        if 0 in (config.epochs, *keep_epochs) and not state.epoch:
            checkpointer.save_if_due(state, 0)
        trained = run.train(state, (recorded, checkpointer), on_epoch)
        if recorded.result() is None:
            recorded.write_result(trained.history)
    return trained
