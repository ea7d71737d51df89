"""The folder of a training run, which is its record.

config.json         format version, and all settings, resolved
environment.json    versions and device of the start and of each resumption
metrics.jsonl       one JSON line per epoch
selections/         one npz per selection, named by the epochs done: positions in the split (int32),
                    weights and gains (float32), the estimated error
checkpoints/        one folder per kept epoch, named by the epochs done
result.json         last and best evaluation, and totals; written at the end of the run
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ntk_aug import coreset
from ntk_aug.checks import check_writable_folder
from ntk_aug.data import Dataset
from ntk_aug.errors import InputError
from ntk_aug.records import (
    StrPath,
    environment,
    read_json,
    read_npz,
    replacing,
    to_json,
    write_json,
    write_npz,
)
from ntk_aug.training.checkpoint import checkpoint_epochs
from ntk_aug.training.config import MethodConfig, TrainingConfig
from ntk_aug.training.history import EpochRecord, summarize_history
from ntk_aug.training.selecting import RecordedSelection

FORMAT_VERSION = 2
CONFIG_FILE = "config.json"
ENVIRONMENT_FILE = "environment.json"
_DECIDE_BITS = ("jax", "jaxlib", "device", "num_devices", "processor", "xla_flags")


def run_configuration(
    description: Mapping[str, Any],
    train_set: Dataset,
    config: TrainingConfig,
    method: MethodConfig | None = None,
) -> dict[str, Any]:
    """Returns all settings of a run in JSON types; equal runs have equal configurations."""
    if train_set.are_images:
        examples: dict[str, Any] = {"image_shape": train_set.image_shape}
    else:
        examples = {"example": jax.tree.map(_as_record, train_set.example)}
    run = {
        "format_version": FORMAT_VERSION,
        **description,
        "training": asdict(config),
        "method": asdict(method or MethodConfig()),
        "data": {
            "name": train_set.name,
            "split": train_set.split,
            "num_examples": len(train_set),
            **examples,
            "class_names": train_set.class_names,
            "class_sizes": np.bincount(train_set.labels, minlength=train_set.num_classes),
            "mean": train_set.mean,
            "std": train_set.std,
            "fingerprint": train_set.fingerprint(),
        },
    }
    return json.loads(to_json(run))


def _as_record(leaf):
    return {"shape": leaf.shape, "dtype": str(leaf.dtype)}


def recorded_example(data: Mapping[str, Any]) -> Any:
    """Returns shape and type of one example from the "data" of a run's configuration."""
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
      path: path of the folder.
      config: configuration of the run, from `run_configuration`.
    """

    path: Path
    config: dict[str, Any]

    @classmethod
    def open(cls, folder: StrPath, configuration: Mapping[str, Any]) -> "RunFolder":
        """Creates a run's folder, or opens it if it holds the same run.

        Args:
          folder: folder of the run.
          configuration: configuration of the run, from `run_configuration`.

        Raises:
          InputError: the folder cannot be written, or holds something else.
        """
        path = Path(folder)
        check_writable_folder(path)
        if path.is_dir() and any(map(_is_of_a_user, path.iterdir())):
            run = cls.read(path)
            differing = _differing(run.config, configuration)
            if differing:
                raise InputError(
                    f"{folder} holds another run (it differs in {', '.join(differing)}); choose "
                    "another folder"
                )
        else:
            path.mkdir(parents=True, exist_ok=True)
            write_json(path / ENVIRONMENT_FILE, {**environment(), "resumed": []})
            write_json(path / CONFIG_FILE, configuration)
        return cls.read(path)

    @classmethod
    def read(cls, folder: StrPath) -> "RunFolder":
        """Opens a recorded run; raises InputError if the folder holds none."""
        path = Path(folder)
        if not path.is_dir():
            raise InputError(f"{folder} is no folder, expected one that a training run wrote")
        if not (path / CONFIG_FILE).exists():
            raise InputError(f"{folder} holds no training run: it has no {CONFIG_FILE}")
        content = read_json(path / CONFIG_FILE)
        if isinstance(content, dict) and isinstance(content.get("run"), dict):
            raise InputError(
                f"{folder} was written by ntk_aug 0.1 before its training records had a version; "
                "train it again into another folder"
            )
        if not isinstance(content, dict) or "format_version" not in content:
            raise InputError(f"{path / CONFIG_FILE} does not describe a training run")
        if content["format_version"] != FORMAT_VERSION:
            raise InputError(
                f"{folder} has records of format {content['format_version']}, expected "
                f"{FORMAT_VERSION}: read it with the version of ntk_aug that wrote it"
            )
        method = content.get("method", {})
        # The allocation of a budget was called "split" at first.
        if isinstance(method, dict) and "split" in method:
            method["allocation"] = method.pop("split")
        return cls(path, content)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder for writing; raises InputError if another process holds the lock."""
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"{self.path} is being written by another process") from None
            yield

    @property
    def environment(self) -> dict[str, Any]:
        """Versions and device at the start, from `records.environment`."""
        return read_json(self.path / ENVIRONMENT_FILE)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def epochs(self) -> list[int]:
        """The epochs with a checkpoint, ascending."""
        return checkpoint_epochs(self.checkpoints)

    def history(self) -> list[EpochRecord]:
        """The records of all epochs so far, without an incomplete last line."""
        path = self.path / "metrics.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return []
        if lines and not lines[-1].endswith("\n"):
            del lines[-1]
        try:
            return [EpochRecord.from_json(json.loads(line)) for line in lines]
        except (json.JSONDecodeError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is broken: {error}") from None

    def result(self) -> dict[str, Any] | None:
        """The content of result.json; None before the run has ended."""
        path = self.path / "result.json"
        return read_json(path) if path.exists() else None

    def selection_epochs(self) -> list[int]:
        """The epochs done at each recorded selection, ascending."""
        files = (self.path / "selections").glob("*.npz")
        return sorted(int(file.stem) for file in files if file.stem.isdecimal())

    def selection(self, epoch: int) -> dict[str, np.ndarray]:
        """The arrays of the selection after `epoch` epochs.

        They are "indices", "weights", "gains" and "estimate", and the same with the prefix
        "SELECTOR/" for selectors that were only recorded.
        """
        return read_npz(self._selection_file(epoch))

    def append(self, record: EpochRecord) -> None:
        """Appends the line of an epoch."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(to_json(record._asdict(), indent=None))

    def cut_back(self, history: Sequence[EpochRecord]) -> None:
        """Cuts the record back to these epochs."""
        with replacing(self.path / "metrics.jsonl") as temporary:
            lines = (to_json(record._asdict(), indent=None) for record in history)
            temporary.write_text("".join(lines), encoding="utf-8")
        for epoch in self.selection_epochs():
            if epoch >= len(history):
                self._selection_file(epoch).unlink()
        (self.path / "result.json").unlink(missing_ok=True)

    def write_selection(self, selected: RecordedSelection, places: np.ndarray) -> None:
        """Writes a selection; `places` are positions of the data set's examples in the split."""
        arrays = _selection_arrays(selected.subset, places)
        for name, other in selected.others.items():
            own = _selection_arrays(other, places)
            arrays |= {f"{name}/{field}": array for field, array in own.items()}
        write_npz(self._selection_file(selected.epoch), arrays)

    def write_result(self, history: Sequence[EpochRecord]) -> None:
        """Writes the result of the whole run."""
        write_json(self.path / "result.json", summarize_history(history))

    def note_resumption(self, epoch: int) -> list[str]:
        """Records a resumption after `epoch` epochs.

        Returns the differences from the start that may change bits: "jaxlib: 1 then, 2 now".
        """
        then, now = self.environment, environment()
        write_json(
            self.path / ENVIRONMENT_FILE,
            {**then, "resumed": [*then.get("resumed", []), {"epoch": epoch, **now}]},
        )
        return [
            f"{name}: {then.get(name)} then, {now[name]} now"
            for name in _DECIDE_BITS
            if then.get(name) != now[name]
        ]

    def _selection_file(self, epoch: int) -> Path:
        return self.path / "selections" / f"{epoch:05}.npz"


def _is_of_a_user(child: Path) -> bool:
    """Whether a file is not a remainder of a process that was killed at its start."""
    return not child.name.startswith(".") and child.name != ENVIRONMENT_FILE


def _selection_arrays(selection: coreset.Subset, places: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "indices": places[selection.indices].astype(np.int32),
        "weights": np.asarray(selection.weights, np.float32),
        "gains": np.asarray(selection.gains, np.float32),
        "estimate": np.asarray(selection.estimate, np.float64),
    }


def _differing(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ, such as "training.epochs"."""
    found = []
    for name in sorted({*recorded, *wanted}):
        one, other = recorded.get(name), wanted.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += [f"{name}.{part}" for part in _differing(one, other)]
        elif one != other:
            found.append(name)
    return found
