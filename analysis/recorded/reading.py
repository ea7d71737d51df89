"""Reads every run below a folder; a record that is missing or broken is named and left out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.paper.settings import Settings, recorded_settings
from analysis.recorded.checking import are_places, check_config, check_history
from analysis.recorded.timings import Timing, read_timing
from ntk_aug import records, training
from ntk_aug.errors import InputError, NtkAugError
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.parts import TIMING_FILE

_FILES = ("config.json", "metrics.jsonl", "result.json", "environment.json")


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes:
      folder: of the run.
      config: as it is recorded.
      settings: that its result depends on, but for the seed.
      history: a record per epoch.
      environment: versions and device.
      selections: the arrays of each selection by the epochs done before it.
    """

    folder: Path
    config: dict[str, Any]
    settings: Settings
    history: list[EpochRecord]
    environment: dict[str, Any]
    selections: dict[int, dict[str, np.ndarray]]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.config["training"]["seed"]

    @property
    def num_examples(self) -> int:
        """Examples of the training split."""
        return self.config["data"]["num_examples"]

    @property
    def accuracy(self) -> float:
        """The last epoch's test accuracy in per cent."""
        accuracy = self.history[-1].test_accuracy
        assert accuracy is not None  # as `read_run` checks
        return 100 * accuracy

    @property
    def never_selected(self) -> float:
        """The share of the training examples, in per cent, that no selection contained."""
        return 100 * (1 - self.history[-1].distinct_selected / self.num_examples)

    @property
    def images(self) -> int:
        """Images that steps were taken on, augmented ones included."""
        return self.history[-1].examples

    @cached_property
    def seconds(self) -> float:
        """Seconds of training, selection and augmentation, without those of evaluation."""
        return sum(
            one.seconds_training + one.seconds_selection + one.seconds_augmentation
            for one in self.history
        )


class Found(NamedTuple):
    """What lies below a folder.

    Attributes:
      runs: all finished runs, in the order of their settings and seeds.
      timings: of runs whose parts were timed by themselves.
      studies: folders of spectrum studies.
      theories: folders of the theory command.
      problems: a line for each record that was left out.
    """

    runs: list[Run]
    timings: list[Timing]
    studies: list[Path]
    theories: list[Path]
    problems: list[str]


def read_runs(folder: str) -> Found:
    """Finds all runs below a folder.

    Args:
      folder: any; hidden folders and checkpoints in it are not looked into.

    Raises:
      InputError: it is no folder, or no record lies below it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"--runs is {folder}, which is no folder")
    problems: list[str] = []
    runs = []
    timed = _folders_with(root, (TIMING_FILE,))
    for path in _folders_with(root, _FILES):
        if path in timed:
            continue
        run = _told(lambda path=path: read_run(path), problems, _name(path, root))
        if run is not None:
            runs.append(run)
    read = (
        _told(lambda path=path: read_timing(path), problems, _name(path, root)) for path in timed
    )
    timings = [timing for timing in read if timing is not None]
    problems += [
        f"{_name(timing.folder, root)}: no recorded run has the settings of this timing"
        for timing in timings
        if all(timing.settings != run.settings for run in runs)
    ]
    studies = _folders_with(root, ("spectrum.npz",))
    theories = _folders_with(root, ("theory.json",))
    if not (runs or timings or studies or theories or problems):
        raise InputError(f"--runs is {folder}, and no recorded run lies below it")
    return Found(_without_copies(runs, root, problems), timings, studies, theories, problems)


def read_run(folder: Path) -> Run:
    """Reads a finished run; raises NtkAugError for one that is missing, broken or not finished."""
    record = training.RunFolder.read(folder)
    check_config(record.config)
    epochs, history = record.config["training"]["epochs"], record.history()
    if not history:
        raise InputError("no epoch is recorded")
    check_history(history)
    if len(history) < epochs:
        raise InputError(f"stopped after {len(history)} of {epochs} epochs")
    if history[-1].test_accuracy is None:
        raise InputError("the last epoch was not evaluated on a test set")
    selections = {epoch: record.selection(epoch) for epoch in record.selection_epochs()}
    for epoch, arrays in selections.items():
        if epoch >= epochs or not are_places(arrays.get("indices")):
            raise InputError(f"the selection after epoch {epoch} is broken")
    environment = record.environment
    if not isinstance(environment, dict):
        raise InputError("environment.json is broken")
    settings = recorded_settings(record.config)
    return Run(folder, record.config, settings, history, environment, selections)


def _told(read: Callable[[], Any], problems: list[str], name: str) -> Any:
    try:
        return read()
    except (NtkAugError, ValueError) as error:
        problems.append(f"{name}: {error}")
        return None


def _folders_with(root: Path, names: tuple[str, ...]) -> list[Path]:
    """Folders that hold one of the files, without hidden ones and those inside of checkpoints."""
    found = set()
    for name in names:
        for path in root.rglob(name):
            inner = path.parent.relative_to(root).parts
            if not any(part.startswith(".") or part == "checkpoints" for part in inner):
                found.add(path.parent)
    return sorted(found)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else path.name


def _without_copies(runs: list[Run], root: Path, problems: list[str]) -> list[Run]:
    """Keeps one run of each settings and seed: the same run twice would narrow the spread.

    It is the one that recorded the most: selections of other selectors, evaluations, selections.
    """
    kept: dict[tuple[str, int], Run] = {}
    for run in sorted(runs, key=_recorded_less):
        key = records.fingerprint(run.settings), run.seed
        if key in kept:
            problems.append(
                f"{_name(run.folder, root)}: has the settings and the seed of "
                f"{_name(kept[key].folder, root)}, which counts"
            )
        else:
            kept[key] = run
    return [kept[key] for key in sorted(kept)]


def _recorded_less(run: Run):
    others = len(run.config["method"].get("also_record", ()))
    evaluations = sum(record.test_accuracy is not None for record in run.history)
    return -others, -evaluations, -len(run.selections), run.folder
