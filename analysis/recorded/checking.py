"""Checks that the values of a record have the types that training writes."""

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ntk_aug.errors import InputError
from ntk_aug.training import MethodConfig, TrainingConfig
from ntk_aug.training.history import EpochRecord

_DATA = {"name": str, "num_examples": int, "class_names": tuple, "fingerprint": str}
_EXPERIMENT = {"classes": tuple, "imbalance": float | None, "label_noise": float}
_MODEL = {"name": str, "options": dict, "fingerprint": str | None}


def check_config(config: Mapping[str, Any]) -> None:
    """Raises InputError for a missing or mistyped value that the tables and figures need.

    Args:
      config: of a run's folder.
    """
    for part, hints, needed in (
        ("data", _DATA, tuple(_DATA)),
        ("training", typing.get_type_hints(TrainingConfig), ("epochs", "seed")),
        ("method", typing.get_type_hints(MethodConfig), ("selector",)),
        ("experiment", _EXPERIMENT, ()),
        ("model", _MODEL, ()),
        ("given", {}, ()),
    ):
        values = config.get(part, {} if not needed else None)
        if not isinstance(values, dict):
            raise InputError(f"config.json is broken: {part} is {values!r}")
        for name in needed:
            if name not in values:
                raise InputError(f"config.json is broken: it has no {part}.{name}")
        for name, value in values.items():
            if name in hints and not _fits(value, hints[name]):
                raise InputError(f"config.json is broken: {part}.{name} is {value!r}")
    if not _fits(config.get("test"), str | None):
        raise InputError(f"config.json is broken: test is {config['test']!r}")
    for name, least in (("data.num_examples", 1), ("method.reselect_every", 1)):
        part, _, field = name.partition(".")
        if config[part].get(field, least) < least:
            raise InputError(f"config.json is broken: {name} is {config[part][field]}")


def check_history(history: Sequence[EpochRecord]) -> None:
    """Raises InputError for a value of metrics.jsonl that is no number; NaN is written as null."""
    hints = typing.get_type_hints(EpochRecord)
    for record in history:
        for name, value in record._asdict().items():
            nan = value is None and name.startswith("train_")
            if not nan and not _fits(value, hints[name]):
                raise InputError(f"metrics.jsonl is broken: {name} is {value!r}")


def are_places(indices: np.ndarray | None) -> bool:
    """Whether an array can be places of examples: whole numbers of at least 0."""
    if indices is None or indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
        return False
    return not len(indices) or indices.min() >= 0


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON fits a type; the items of a list are not looked at."""
    if isinstance(hint, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    kind = typing.get_origin(hint) or hint
    if kind is tuple:
        return isinstance(value, list | tuple)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)
