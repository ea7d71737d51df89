"""Training of a network, by Algorithm 1 or without selection: one call, one folder."""

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

    Every `reselect_every` epochs a subset is selected by the network's evaluation-mode gradients;
    its strong versions are drawn every `strong_every` epochs; each epoch is weighted SGD on the
    rows that `plan_epoch` plans.

    Args:
      network: to be initialised from the seed and trained.
      train_set: images, labels, normalisation.
      config: settings of the training.
      method: settings of selection and augmentation; None: neither.
      test_set: evaluated in evaluation mode, every `eval_every` epochs and after the last.
      soft_labels: what is trained for in place of the labels, which selection still goes by where
        it is by class.
      selection: a weighted subset, with places in `train_set`, for selector "given".
      folder: where the run is recorded, and resumed from its last checkpoint if it is the same run.
      description: what config.json says of the run besides, such as model and data by name; part
        of what makes it the same run.
      keep_epochs: epochs after which a checkpoint is kept, besides the last.
      seconds_between_checkpoints: after which a checkpoint is written at the next epoch's end.
      compiled_epoch: all full steps of an epoch as one program. None: unless JAX runs on the CPU,
        see `EpochProgram`.
      progress: called with ("training", steps done, in all), and with the stages of selection and
        augmentation.
      on_epoch: called with the record of each epoch.

    Returns:
      The trained network with its history.

    Raises:
      InputError: a folder that holds another run, a network whose outputs are not one per class,
        an augmentation of examples that are no images, a budget that cannot be kept, soft labels
        or a subset that do not fit, a folder that cannot be written.
      DivergenceError: a loss that is not finite.

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
