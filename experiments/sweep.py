"""`python -m experiments sweep`: presets at several seeds, with mean and standard deviation."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from experiments.catalogue import format_hours
from experiments.cost import estimate_cost
from experiments.figure import draw_accuracies
from experiments.inputs import data_line, load_splits
from experiments.known_data import KNOWN_DATA, known_sizes, sizes_of
from experiments.overrides import ExperimentOverrides, MethodOverrides
from experiments.presets import find_presets
from experiments.run import ResolvedRun, resolve, train_resolved
from ntk_aug import data, training
from ntk_aug.checks import check_at_least, check_writable_folder
from ntk_aug.errors import InputError, NtkAugError, UserCodeError
from ntk_aug.options import given_overrides, override_options

SweepTrainingOverrides = override_options(
    training.TrainingConfig, "Training, in place of the presets'.", leave_out=("seed",)
)


@dataclass(frozen=True)
class SweepOptions:
    """Trains a preset, or each of a group, at several seeds; prints mean and standard deviation.

    Finished runs are kept, stopped ones resume. A run that fails is reported; the others go on.
    """

    preset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET-or-GROUP")]
    """Name of a preset or of a group of them; `list` shows them."""
    seeds: int = 5
    """How many seeds."""
    first_seed: int = 0
    """The first of them; the others follow."""
    data_dir: str | None = None
    """Where prepared data sets lie; default: the environment variable TFDS_DATA_DIR."""
    out: str = "runs"
    """Folder of the runs, each in PRESET/SEED of it."""
    keep_epochs: tuple[int, ...] = ()
    """Keep checkpoints of every run after these epochs, besides the last."""
    figure: str | None = None
    """Draw the accuracies into this PNG."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Say how many hours the runs take, and stop."""
    experiment: Annotated[ExperimentOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=ExperimentOverrides
    )
    training: Annotated[SweepTrainingOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=SweepTrainingOverrides
    )
    method: Annotated[MethodOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=MethodOverrides
    )


class Spread(NamedTuple):
    """Mean and standard deviation (of a sample: divided by n - 1) of some runs.

    Attributes:
      mean: NaN of none.
      std: NaN of fewer than two.
    """

    mean: float
    std: float


def sweep(options: SweepOptions) -> None:
    """Runs the command `sweep`; raises InputError at the end if some runs have failed."""
    check_at_least(options.seeds, 1, "--seeds")
    if options.figure is not None:
        check_writable_folder(Path(options.figure).parent)
    runs = resolve_sweep(options)
    splits = _Splits(options.data_dir)
    if options.dry_run:
        print_hours(options, runs, splits)
        return
    results: dict[str, list[dict[str, Any]]] = {}
    failed = 0
    for number, resolved in enumerate(runs):
        folder = run_folder(options, resolved)
        results.setdefault(str(resolved.preset), [])
        try:
            result = finished_result(folder, resolved)
            if result is None:
                prefix = f"{number + 1}/{len(runs)} {folder} "
                train_resolved(
                    resolved,
                    splits(resolved),
                    str(folder),
                    keep_epochs=options.keep_epochs,
                    prefix=prefix,
                )
                result = training.RunFolder.read(folder).result()
        except NtkAugError as error:
            if isinstance(error, UserCodeError) and error.user_traceback:
                print(error.user_traceback, end="", file=sys.stderr)
            print(f"{folder} failed: {error}", file=sys.stderr)
            failed += 1
            continue
        assert result is not None  # the run has ended
        results[str(resolved.preset)].append(result)
    print_results(results)
    if options.figure is not None:
        accuracies = {name: accuracies_of(of_seeds) for name, of_seeds in results.items()}
        draw_accuracies(options.figure, accuracies)
        print(f"figure   {options.figure}")
    if failed:
        raise InputError(f"{failed} of {len(runs)} runs failed, as told above")


def resolve_sweep(options: SweepOptions) -> list[ResolvedRun]:
    """The runs of a sweep: all presets at the first seed, then at the next."""
    overrides = given_overrides(options.experiment, options.training, options.method)
    presets = find_presets(options.preset)
    return [
        resolve(name, preset.experiment, {**overrides, "seed": seed})
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for name, preset in presets.items()
    ]


def run_folder(options: SweepOptions, resolved: ResolvedRun) -> Path:
    """The folder of a run of a sweep."""
    return Path(options.out) / str(resolved.preset) / str(resolved.experiment.training.seed)


def finished_result(folder: Path, resolved: ResolvedRun) -> dict[str, Any] | None:
    """The result of this run if its folder holds a finished one; loads no data."""
    if not (folder / "result.json").exists():
        return None
    run = training.RunFolder.read(folder)
    same = all(run.config.get(name) == value for name, value in resolved.recorded.items())
    return run.result() if same else None


class _Splits:
    """Loads the data of runs; keeps those of the last run."""

    def __init__(self, data_dir: str | None):
        self._data_dir = data_dir
        self._key: Any = None
        self._loaded: tuple[data.Dataset, data.Dataset] | None = None

    def __call__(self, resolved: ResolvedRun) -> tuple[data.Dataset, data.Dataset]:
        experiment = resolved.experiment
        key = (
            experiment.data,
            experiment.classes,
            experiment.imbalance,
            experiment.label_noise,
            experiment.data_seed,
        )
        if self._loaded is None or key != self._key:
            self._loaded = load_splits(experiment, data_dir=self._data_dir)
            self._key = key
            print(data_line(experiment, *self._loaded))
        return self._loaded


def print_hours(options: SweepOptions, runs: Sequence[ResolvedRun], splits: "_Splits") -> None:
    """Prints the estimated hours of the runs that have not ended."""
    table = Table("preset", box=None)
    for header in ("runs", "ended", "hours each"):
        table.add_column(header, justify="right")
    total = 0.0
    by_preset: dict[str, list[ResolvedRun]] = {}
    for resolved in runs:
        by_preset.setdefault(str(resolved.preset), []).append(resolved)
    for name, own in by_preset.items():
        experiment = own[0].experiment
        known = experiment.data in KNOWN_DATA
        sizes = known_sizes(experiment) if known else sizes_of(*splits(own[0]))
        seconds = estimate_cost(experiment, sizes).seconds
        ended = sum(finished_result(run_folder(options, r), r) is not None for r in own)
        total += seconds * (len(own) - ended)
        table.add_row(name, str(len(own)), str(ended), format_hours(seconds))
    Console(width=max(Console().width, 100)).print(table)
    print(f"{format_hours(total)} hours in all on two CPU cores, without compilation")


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of a sample."""
    mean = float(np.mean(values)) if values else np.nan
    return Spread(mean, float(np.std(values, ddof=1)) if len(values) > 1 else np.nan)


def print_results(results: dict[str, list[dict[str, Any]]]) -> None:
    """Prints a row for each preset: test accuracy of the last and of the best epoch, seconds."""
    table = Table("preset", "seeds", "test accuracy, %", "best epoch's, %", "seconds")
    for name, of_seeds in results.items():
        cells = [name, str(len(of_seeds))]
        for which in ("last", "best"):
            cells.append(format_spread(spread(accuracies_of(of_seeds, which))))
        seconds = [sum(result["seconds"].values()) for result in of_seeds]
        cells.append(f"{np.mean(seconds):.1f}" if seconds else "-")
        table.add_row(*cells)
    Console(width=max(Console().width, 100)).print(table)


def accuracies_of(results: Sequence[dict[str, Any]], which: str = "last") -> list[float]:
    """The test accuracies in per cent of the "last" or "best" epoch."""
    return [100 * result[which]["test_accuracy"] for result in results if result[which]]


def format_spread(value: Spread, digits: int = 2) -> str:
    """Mean +- standard deviation; "-" if unknown."""
    if np.isnan(value.mean):
        return "-"
    std = "" if np.isnan(value.std) else f" +- {value.std:.{digits}f}"
    return f"{value.mean:.{digits}f}{std}"
