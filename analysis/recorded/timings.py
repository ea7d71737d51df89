"""The parts of runs that were timed by themselves, from records of `python -m experiments time`."""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.paper.settings import Settings, recorded_settings
from analysis.recorded.checking import check_config
from ntk_aug import records
from ntk_aug.errors import InputError
from ntk_aug.training import MethodConfig, TrainingConfig
from ntk_aug.training.parts import TIMING_FILE, TIMING_VERSION, PartSeconds

_IDLE = 0.05


class Timing(NamedTuple):
    """The time of a run, from that of its parts.

    Attributes:
      folder: of the record.
      settings: of the whole run.
      parts: seconds of each part, one value for each repeat.
      whole: seconds of the whole run, without evaluation.
      others: what other programs used of the processors meanwhile, in [0, 1]; None if not known.
      machine: device and processor, as recorded.
      processors: number of them that the run could use.
    """

    folder: Path
    settings: Settings
    parts: PartSeconds
    whole: float
    others: float | None
    machine: tuple[str, str]
    processors: int

    @property
    def remark(self) -> str:
        """On how many processors, and how much of them others used if that matters."""
        told = f"timed by its parts on {self.processors} processors"
        if self.others is not None and self.others > _IDLE:
            told += f", of which other programs used {100 * self.others:.0f} %"
        return told


def by_disturbance(timing: Timing):
    """Sorts the timing that other programs disturbed least first; unknown comes last."""
    return 1.0 if timing.others is None else timing.others, timing.folder


def same_machine(
    timings: tuple[Timing, ...], others: tuple[Timing, ...]
) -> tuple[Timing, Timing] | None:
    """The least disturbed timing of each that were made on one machine; None if there are none.

    Args:
      timings: of a method, the least disturbed first.
      others: of another method, in the same order.
    """
    for one in timings:
        for other in others:
            if (one.machine, one.processors) == (other.machine, other.processors):
                return one, other
    return None


def read_timing(folder: Path) -> Timing:
    """Reads a timing; raises NtkAugError for one that is broken."""
    config = records.read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise InputError("config.json is broken")
    check_config(config)
    told = records.read_json(folder / TIMING_FILE)
    seconds = told.get("seconds") if isinstance(told, dict) else None
    if not isinstance(seconds, dict) or told.get("format_version") != TIMING_VERSION:
        raise InputError(f"{TIMING_FILE} is broken, or of another version")
    parts = PartSeconds(*(_seconds_of(seconds, name) for name in PartSeconds._fields))
    training, method = (
        _config(kind, config[part])
        for kind, part in ((TrainingConfig, "training"), (MethodConfig, "method"))
    )
    others, processors = told.get("others"), told.get("processors")
    if not isinstance(others, int | float | None):
        raise InputError(f"{TIMING_FILE} is broken: others is {others!r}")
    if not isinstance(processors, int) or processors < 1:
        raise InputError(f"{TIMING_FILE} is broken: processors is {processors!r}")
    environment = records.read_json(folder / "environment.json")
    if not isinstance(environment, dict):
        raise InputError("environment.json is broken")
    machine = str(environment.get("device")), str(environment.get("processor"))
    whole = parts.whole(training, method)
    return Timing(folder, recorded_settings(config), parts, whole, others, machine, processors)


def _seconds_of(seconds: dict[str, Any], name: str) -> list[float]:
    values = seconds.get(name)
    if not isinstance(values, list) or not values:
        raise InputError(f"{TIMING_FILE} is broken: it has no seconds of {name}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
            raise InputError(f"{TIMING_FILE} is broken: seconds of {name} are {values}")
    return values


def _config(kind: type, values: dict[str, Any]) -> Any:
    """A configuration from JSON, where tuples are lists."""
    names = {field.name for field in fields(kind)}
    known = {name: value for name, value in values.items() if name in names}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})
