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
      parts: seconds of each, a few times.
      whole: seconds of the whole run, without evaluation.
      others: what other programs used of the processors meanwhile, in [0, 1]; None if not known.
      processors: number of them.
    """

    folder: Path
    settings: Settings
    parts: PartSeconds
    whole: float
    others: float | None
    processors: int

    @property
    def remark(self) -> str:
        """On how many processors, and how much of them others used if that matters."""
        told = f"timed by its parts on {self.processors} processors"
        if self.others is not None and self.others > _IDLE:
            told += f", of which other programs used {100 * self.others:.0f} %"
        return told


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
    parts = PartSeconds(*(_positive(seconds, name) for name in PartSeconds._fields))
    training, method = (
        _config(kind, config[part])
        for kind, part in ((TrainingConfig, "training"), (MethodConfig, "method"))
    )
    others = told.get("others")
    if not isinstance(others, int | float | None):
        raise InputError(f"{TIMING_FILE} is broken: others is {others!r}")
    environment = records.read_json(folder / "environment.json")
    processors = environment.get("cpu_count") if isinstance(environment, dict) else None
    return Timing(
        folder,
        recorded_settings(config),
        parts,
        parts.whole(training, method),
        others,
        processors or 1,
    )


def _positive(seconds: dict[str, Any], name: str) -> list[float]:
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
