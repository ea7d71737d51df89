"""The state of a run between two epochs: saved in checkpoints, and resumed from them."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ntk_aug.coreset import Subset
from ntk_aug.errors import BrokenFileError
from ntk_aug.training.checkpoint import (
    Checkpoint,
    remove_checkpoint,
    remove_partial,
    restore_checkpoint,
    save_checkpoint,
)
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.run_folder import RunFolder
from ntk_aug.training.step import TrainState

# Checkpoints kept besides the requested ones: the last, and the one before it.
_ROTATED = 2


@dataclass
class RunState:
    """Everything that the next epoch depends on.

    Attributes:
      train_state: parameters, statistics, optimiser, epochs done.
      used: whether each example was ever trained on.
      selected: whether each example was ever selected.
      subset: the present selection, and the epochs done when it was made.
      history: records of all epochs so far.
      drawn: versions that cannot be drawn again, see `ExampleVersions.kept`.
    """

    train_state: TrainState
    used: np.ndarray
    selected: np.ndarray
    subset: Subset | None = None
    subset_epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    drawn: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)


class Checkpointer:
    """Saves a run's state when it is due, and restores the last whole checkpoint.

    Checkpoints of `keep_epochs` are never removed; another one is due after some seconds.
    """

    def __init__(self, run: RunFolder, keep_epochs: Sequence[int], seconds: float):
        self._run, self._keep, self._seconds = run, set(keep_epochs), seconds
        self._saved_at = time.monotonic()

    def resume(self, initial: RunState, epochs: int) -> RunState:
        """Restores the last whole checkpoint up to `epochs`, or else returns the initial state.

        A broken checkpoint is removed with a warning. The run's record is cut back to the restored
        epoch. Raises InputError if a checkpoint is of another network.
        """
        remove_partial(self._run.checkpoints)
        state = initial
        for epoch in reversed([e for e in self._run.epochs() if e <= epochs]):
            try:
                state = _restored(self._run, epoch, initial)
                break
            except BrokenFileError as error:
                warnings.warn(f"{error}; trying the one before", stacklevel=3)
                remove_checkpoint(self._run.checkpoints, epoch)
        recorded = self._run.history()
        if state.epoch or recorded:
            differing = self._run.note_resumption(state.epoch) if state.epoch < epochs else []
            if differing:
                warnings.warn(
                    f"{self._run.path} is resumed under other conditions ({'; '.join(differing)}): "
                    "bits may differ",
                    stacklevel=3,
                )
        if state.epoch < epochs or len(recorded) != state.epoch:
            self._run.cut_back(state.history)
        return state

    def save_if_due(self, state: RunState, epochs: int) -> None:
        """Saves after the last epoch, after a requested one, or when enough time has passed."""
        overdue = time.monotonic() - self._saved_at >= self._seconds
        if not overdue and state.epoch not in self._keep and state.epoch != epochs:
            return
        if state.epoch in self._run.epochs():  # resumed from
            return
        save_checkpoint(self._run.checkpoints, state.epoch, _as_checkpoint(state))
        self._saved_at = time.monotonic()
        spare = [epoch for epoch in self._run.epochs() if epoch not in self._keep]
        for epoch in spare[:-_ROTATED]:
            remove_checkpoint(self._run.checkpoints, epoch)


def restore_train_state(run: RunFolder, epoch: int, like: TrainState) -> TrainState:
    """Restores the network's part of a checkpoint; raises as `restore_checkpoint`."""
    return TrainState(**restore_checkpoint(run.checkpoints, epoch, like._asdict()).tree)


def _as_checkpoint(state: RunState) -> Checkpoint:
    arrays: dict[str, Any] = {"used": state.used, "selected": state.selected, **state.drawn}
    if state.subset is not None:
        arrays |= {
            "subset_positions": state.subset.indices,
            "subset_weights": state.subset.weights,
            "subset_epoch": np.asarray(state.subset_epoch),
        }
    history = [record._asdict() for record in state.history]
    return Checkpoint(state.train_state._asdict(), arrays, history)


def _restored(run: RunFolder, epoch: int, initial: RunState) -> RunState:
    like = initial.train_state._asdict()
    tree, arrays, history = restore_checkpoint(run.checkpoints, epoch, like)
    subset = None
    if "subset_epoch" in arrays:
        subset = Subset(arrays["subset_positions"], arrays["subset_weights"])
    return RunState(
        TrainState(**tree),
        arrays["used"],
        arrays["selected"],
        subset,
        int(arrays.get("subset_epoch", 0)),
        [EpochRecord.from_json(dict(record)) for record in history],
        {name: array for name, array in arrays.items() if name.startswith("strong_")},
    )
