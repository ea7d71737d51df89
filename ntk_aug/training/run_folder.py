"""The folder that a training run leaves behind, and is resumed and read from.

config.json     what the run is, and the versions and device that it ran on
metrics.jsonl   one JSON line per epoch
checkpoints/    one checkpoint per kept epoch, by the number of epochs done
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ntk_aug.checks import InputError, check_writable_folder
from ntk_aug.data import Dataset
from ntk_aug.records import StrPath, environment, read_json, replacing, to_json, write_json
from ntk_aug.training.checkpoint import checkpoint_epochs, restore_checkpoint, save_checkpoint
from ntk_aug.training.config import TrainingConfig
from ntk_aug.training.step import TrainState

CONFIG_FILE = "config.json"


class EpochRecord(NamedTuple):
    """One line of metrics.jsonl: after `epoch` epochs; accuracies in [0, 1], None if not measured.

    Training loss and accuracy are running ones: measured on each batch before its step.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float | None
    test_accuracy: float | None


def run_configuration(
    description: Mapping[str, Any], train_set: Dataset, config: TrainingConfig
) -> dict[str, Any]:
    """All that a run's result depends on, as what JSON has; two runs are the same iff this is."""
    if train_set.are_images:
        examples: dict[str, Any] = {"image_shape": train_set.image_shape}
    else:
        examples = {"example": jax.tree.map(_as_record, train_set.example)}
    run = {
        **description,
        "training": asdict(config),
        "data": {
            "name": train_set.name,
            "split": train_set.split,
            "num_examples": len(train_set),
            **examples,
            "class_names": train_set.class_names,
            "mean": train_set.mean,
            "std": train_set.std,
            "fingerprint": train_set.fingerprint(),
        },
    }
    return json.loads(to_json(run))


def _as_record(leaf):
    return {"shape": leaf.shape, "dtype": str(leaf.dtype)}


def recorded_example(data: Mapping[str, Any]) -> Any:
    """Shape and type of one example from what a run's configuration says of its data."""
    if "image_shape" in data:
        return jax.ShapeDtypeStruct(tuple(data["image_shape"]), np.float32)

    def is_leaf(part):
        return isinstance(part, dict) and set(part) == {"shape", "dtype"}

    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(tuple(leaf["shape"]), leaf["dtype"]),
        data["example"],
        is_leaf=is_leaf,
    )


@dataclass(frozen=True)
class RunFolder:
    """A run's folder on disk.

    Attributes:
      path: of the folder.
      config: of the run, as `run_configuration` gives it.
      environment: versions and device that it ran on, as `records.environment` gives them.
    """

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]

    @classmethod
    def open(
        cls,
        folder: StrPath,
        description: Mapping[str, Any],
        train_set: Dataset,
        config: TrainingConfig,
    ) -> "RunFolder":
        """Starts a run's folder, or finds it again.

        Raises:
          InputError: the folder cannot be written, or holds something else than this very run.
        """
        path = Path(folder)
        check_writable_folder(path)
        run = run_configuration(description, train_set, config)
        if path.is_dir() and any(path.iterdir()):
            recorded = cls.read(path).config
            differing = [k for k in {*run, *recorded} if run.get(k) != recorded.get(k)]
            if differing:
                raise InputError(
                    f"{folder} holds another run (it differs in {', '.join(sorted(differing))}); "
                    "choose another folder"
                )
        else:
            path.mkdir(parents=True, exist_ok=True)
            write_json(path / CONFIG_FILE, {"run": run, "environment": environment()})
        return cls.read(path)

    @classmethod
    def read(cls, folder: StrPath) -> "RunFolder":
        """Finds a recorded run; raises InputError if the folder holds none."""
        path = Path(folder)
        if not path.is_dir():
            raise InputError(f"{folder} is no folder, expected one that a training run wrote")
        if not (path / CONFIG_FILE).exists():
            raise InputError(f"{folder} holds no training run: it has no {CONFIG_FILE}")
        content = read_json(path / CONFIG_FILE)
        if not isinstance(content, dict) or not isinstance(content.get("run"), dict):
            raise InputError(f"{path / CONFIG_FILE} does not describe a training run")
        return cls(path, content["run"], content.get("environment", {}))

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def epochs(self) -> list[int]:
        """The epochs that have a whole checkpoint, ascending."""
        return checkpoint_epochs(self.checkpoints)

    def history(self) -> list[EpochRecord]:
        """The epochs recorded so far."""
        try:
            lines = (self.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            return [EpochRecord(**json.loads(line)) for line in lines]
        except FileNotFoundError:
            return []
        except (json.JSONDecodeError, TypeError) as error:
            raise InputError(f"{self.path / 'metrics.jsonl'} is broken: {error}") from None

    def save(self, train_state: TrainState, history: list[EpochRecord]) -> None:
        """Writes the metrics, then the checkpoint of the epoch that the state is at."""
        with replacing(self.path / "metrics.jsonl") as temporary:
            temporary.write_text(
                "".join(to_json(record._asdict(), indent=None) for record in history),
                encoding="utf-8",
            )
        save_checkpoint(self.checkpoints, int(train_state.epoch), train_state._asdict())

    def restore(self, epoch: int, like: TrainState) -> TrainState:
        """The state after `epoch` epochs; `like` gives structure, shapes and types.

        Raises:
          InputError: no whole checkpoint of that epoch, or one of another network.
        """
        abstract = jax.eval_shape(lambda: like._asdict())
        return TrainState(**restore_checkpoint(self.checkpoints, epoch, abstract))

    def resume(self, initial: TrainState, epochs: int) -> tuple[TrainState, list[EpochRecord]]:
        """The last checkpoint up to `epochs` with its history; without one, the initial state."""
        kept = [epoch for epoch in self.epochs() if epoch <= epochs]
        if not kept:
            return initial, []
        history = self.history()[: kept[-1]]
        if len(history) < kept[-1]:
            raise InputError(f"{self.path} is half-written: metrics.jsonl lacks epochs")
        return self.restore(kept[-1], initial), history
