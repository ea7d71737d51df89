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


@dataclass(frozen=True)
class TimeOptions:
    """Times epochs, selections and redraws of a preset, or of each of a group.

    Each part is timed by itself, after it has compiled; the whole run's time is their sum. Nothing
    else may run on the machine.
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
    for folder in folders:
        records.check_free_folder(folder, marker=TIMING_FILE, overwrite=options.overwrite)
    if not options.busy:
        check_idle()
    table = Table("seconds of", "an epoch", "a selection", "weak redraw", "strong redraw", "a run")
    for resolved, folder in zip(runs, folders, strict=True):
        splits = load_splits(resolved.experiment, data_dir=options.data_dir)
        print(data_line(resolved.experiment, *splits))
        with records.staged_folder(
            folder, marker=TIMING_FILE, overwrite=options.overwrite
        ) as staging:
            parts = time_run(resolved, splits, staging, repeats=options.repeats)
        settings = resolved.experiment.training, resolved.experiment.method
        counts = part_counts(*settings)
        medians = {name: median(seconds) for name, seconds in parts._asdict().items()}
        cells = [f"{medians[name]:.3g}" if count else "-" for name, count in counts.items()]
        table.add_row(str(resolved.preset), *cells, f"{parts.whole(*settings):.3g}")
    Console(width=max(Console().width, 100)).print(table)
    print(f"timings  {options.out}")


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
    augments_both = experiment.method.augments and experiment.training.weak != "identity"
    with tempfile.TemporaryDirectory() as scratch, measure_others() as others:
        short = Path(scratch)
        redrawing = _history(resolved, splits, short / "redrawing", repeats, weak_every=1)
        if augments_both:
            strong = _history(resolved, splits, short / "strong", repeats, weak_every=1 + repeats)
        elif experiment.method.augments:
            strong = redrawing
        else:
            strong = [record._replace(seconds_augmentation=0.0) for record in redrawing]
        recorded = training.RunFolder.read(short / "redrawing")
        config, environment = recorded.config, recorded.environment
    parts = parts_of_histories(redrawing, strong)
    records.write_json(folder / "config.json", {**config, **resolved.recorded})
    records.write_json(folder / "environment.json", environment)
    told = {"format_version": TIMING_VERSION, "seconds": parts._asdict(), "others": others.share}
    records.write_json(folder / TIMING_FILE, told)
    return parts


def _history(
    resolved: ResolvedRun,
    splits: tuple[data.Dataset, data.Dataset],
    folder: Path,
    repeats: int,
    *,
    weak_every: int,
) -> list[EpochRecord]:
    """The epochs after the first one, which compiles, of a short run that redraws in every one."""
    short = with_overrides(
        resolved.experiment,
        {
            "epochs": 1 + repeats,
            "eval_every": 1 + repeats,
            "warmup_epochs": 0,
            "weak_every": weak_every,
            "strong_every": 1,
            "reselect_every": 1,
            "also_record": (),
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
    """Measures what other programs use of the processors while the body runs."""
    found = OthersUse()
    before = _busy_seconds(), _own_seconds(), time.monotonic()
    yield found
    busy, own, now = _busy_seconds(), _own_seconds(), time.monotonic()
    if busy is not None and before[0] is not None:
        used = busy - before[0] - (own - before[1])
        found.share = max(0.0, used / (now - before[2]) / (os.cpu_count() or 1))


def _own_seconds() -> float:
    return sum(os.times()[:4])


def _busy_seconds(*, stat: str = "/proc/stat") -> float | None:
    """Seconds that all processors have worked since the start; None on other systems than Linux."""
    try:
        first = Path(stat).read_text(encoding="ascii").splitlines()[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, soft_irq, *_ = map(int, first[1:])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")
