"""`python -m experiments time`: the parts of presets' runs, each timed by itself."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from experiments.inputs import data_line, load_splits
from experiments.overrides import ExperimentOverrides, MethodOverrides
from experiments.presets import find_presets
from experiments.run import ResolvedRun, resolve
from experiments.settings import with_overrides
from experiments.sweep import SweepTrainingOverrides
from ntk_aug import data, records, training
from ntk_aug.checks import check_at_least
from ntk_aug.errors import InputError
from ntk_aug.options import given_overrides
from ntk_aug.progress import run_progress
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.parts import (
    TIMING_FILE,
    TIMING_VERSION,
    PartSeconds,
    part_counts,
    parts_of_histories,
)

MOST_OF_OTHERS = 0.1
"""Share of the processors that other programs may use at the start."""
LINUX = hasattr(os, "sched_getaffinity")


@dataclass(frozen=True)
class TimeOptions:
    """Times epochs, selections and redraws of a preset, or of each of a group.

    Each part is timed by itself, after it has compiled; the whole run's time is their sum. Nothing
    else may run on the machine. Timings that are there already are kept.
    """

    preset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET-or-GROUP")]
    """Name of a preset or of a group of them; `list` shows them."""
    repeats: int = 3
    """How often each part is timed."""
    data_dir: str | None = None
    """Where prepared data sets lie; default: the environment variable TFDS_DATA_DIR."""
    out: str = "runs/timings"
    """Folder of the timings, each in PRESET of it."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace earlier timings in that folder."""
    busy: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Time even if other programs use the processors; the record says how much."""
    experiment: Annotated[ExperimentOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=ExperimentOverrides
    )
    training: Annotated[SweepTrainingOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=SweepTrainingOverrides
    )
    method: Annotated[MethodOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=MethodOverrides
    )


@dataclass
class OthersUse:
    """What other programs used of the processors.

    Attributes:
      share: of all processors' time; None where the system does not tell.
    """

    share: float | None = None


def time_presets(options: TimeOptions) -> None:
    """Runs the command `time`; raises InputError if the machine is busy."""
    check_at_least(options.repeats, 1, "--repeats")
    overrides = given_overrides(options.experiment, options.training, options.method)
    presets = find_presets(options.preset)
    runs = [resolve(name, preset.experiment, overrides) for name, preset in presets.items()]
    folders = [Path(options.out) / str(resolved.preset) for resolved in runs]
    known = [
        None if options.overwrite else finished_timing(folder, resolved)
        for folder, resolved in zip(folders, runs, strict=True)
    ]
    for folder, parts in zip(folders, known, strict=True):
        if parts is None:
            records.check_free_folder(folder, marker=TIMING_FILE, overwrite=options.overwrite)
    if not options.busy and None in known:
        check_idle()
    table = Table("seconds of", "an epoch", "a selection", "weak redraw", "strong redraw", "a run")
    try:
        for resolved, folder, parts in zip(runs, folders, known, strict=True):
            if parts is None:
                splits = load_splits(resolved.experiment, data_dir=options.data_dir)
                print(data_line(resolved.experiment, *splits))
                with records.staged_folder(
                    folder, marker=TIMING_FILE, overwrite=options.overwrite
                ) as staging:
                    parts = time_run(resolved, splits, staging, repeats=options.repeats)
            table.add_row(str(resolved.preset), *_cells(resolved, parts))
    finally:
        if table.row_count:
            Console(width=max(Console().width, 100)).print(table)
    print(f"timings  {options.out}")


def finished_timing(folder: Path, resolved: ResolvedRun) -> PartSeconds | None:
    """The parts of this run if its folder holds its timing, which InputError says if broken."""
    path = folder / TIMING_FILE
    if not path.exists():
        return None
    config, told = records.read_json(folder / "config.json"), records.read_json(path)
    try:
        if any(config.get(name) != value for name, value in resolved.recorded.items()):
            return None
        return PartSeconds(**told["seconds"])
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path} is no timing of a run; pass --overwrite to replace it") from None


def _cells(resolved: ResolvedRun, parts: PartSeconds) -> list[str]:
    settings = resolved.experiment.training, resolved.experiment.method
    medians = {name: median(seconds) for name, seconds in parts._asdict().items()}
    counts = part_counts(*settings)
    cells = [f"{medians[name]:.3g}" if count else "-" for name, count in counts.items()]
    return [*cells, f"{parts.whole(*settings):.3g}"]


def time_run(
    resolved: ResolvedRun,
    splits: tuple[data.Dataset, data.Dataset],
    folder: Path,
    *,
    repeats: int,
) -> PartSeconds:
    """Times the parts of a run in short runs, and writes them with the whole run's settings.

    Args:
      resolved: settings of the whole run.
      splits: training and test split.
      folder: to write config.json, environment.json and timing.json into.
      repeats: how often each part is timed.
    """
    experiment = resolved.experiment
    once = 1 + repeats
    with tempfile.TemporaryDirectory() as scratch, measure_others() as others:
        short = Path(scratch)
        redrawing = _history(resolved, splits, short / "redrawing", repeats)
        if not experiment.method.augments:
            strong = [record._replace(seconds_augmentation=0.0) for record in redrawing]
        elif experiment.training.weak == "identity":
            strong = redrawing
        else:
            # Other examples would need weak versions, too.
            kept = {"weak_every": once, "reselect_every": once}
            strong = _history(resolved, splits, short / "strong", repeats, **kept)
        recorded = training.RunFolder.read(short / "redrawing")
        config, environment = recorded.config, recorded.environment
    parts = parts_of_histories(redrawing, strong)
    records.write_json(folder / "config.json", {**config, **resolved.recorded})
    records.write_json(folder / "environment.json", environment)
    told = {
        "format_version": TIMING_VERSION,
        "seconds": parts._asdict(),
        "others": others.share,
        "processors": len(os.sched_getaffinity(0)) if LINUX else os.cpu_count(),
    }
    records.write_json(folder / TIMING_FILE, told)
    return parts


def _history(
    resolved: ResolvedRun,
    splits: tuple[data.Dataset, data.Dataset],
    folder: Path,
    repeats: int,
    **periods: int,
) -> list[EpochRecord]:
    """The epochs of a short run after the first, which compiles; without periods all is due."""
    once = 1 + repeats
    short = with_overrides(
        resolved.experiment,
        {
            "epochs": once,
            "eval_every": once,
            "warmup_epochs": min(1, resolved.experiment.training.warmup_epochs),
            "weak_every": 1,
            "strong_every": 1,
            "reselect_every": 1,
            "also_record": (),
            **periods,
        },
    )
    with run_progress(prefix=f"{resolved.preset} ") as progress:
        trained = training.train_named_model(
            short.model,
            splits[0],
            short.training,
            options=short.options,
            method=short.method,
            test_set=splits[1],
            description=resolved.description,
            folder=folder,
            progress=progress,
        )
    return trained.history[1:]


def check_idle(*, seconds: float = 2.0) -> None:
    """Raises InputError if other programs use the processors; says nothing where none can tell."""
    with measure_others() as others:
        time.sleep(seconds)
    if others.share is not None and others.share > MOST_OF_OTHERS:
        raise InputError(
            f"other programs use {100 * others.share:.0f} % of the processors, expected at most "
            f"{100 * MOST_OF_OTHERS:.0f} %: wait for them, or pass --busy"
        )


@contextmanager
def measure_others() -> Iterator[OthersUse]:
    """Measures what other programs use of the processors while the body runs.

    Processes that the body starts count as its own once it has waited for them.
    """
    found = OthersUse()
    before = _busy_seconds(), _own_seconds(), time.monotonic()
    yield found
    after = _busy_seconds(), _own_seconds(), time.monotonic()
    if before[0] is None or after[0] is None:
        return
    busy, own = after[0] - before[0], after[1] - before[1]
    if busy >= 0.5 * own:  # else the system counts something else
        found.share = max(0.0, (busy - own) / (after[2] - before[2]) / (os.cpu_count() or 1))


def _own_seconds() -> float:
    return sum(os.times()[:4])


def _busy_seconds(*, stat: str = "/proc/stat") -> float | None:
    """Seconds that all processors have worked since the start; None on other systems than Linux."""
    try:
        first = Path(stat).read_text(encoding="ascii").splitlines()[0].split()
        user, nice, system, _, _, irq, soft_irq, *_ = map(int, first[1:])
    except (OSError, IndexError, ValueError):
        return None
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")
