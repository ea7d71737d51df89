"""The presets of `python -m experiments`: training runs by name, and groups of them."""

import difflib
import itertools
from collections.abc import Iterable
from typing import Any

from experiments import mlp_presets, paper_presets, small_presets
from experiments.settings import Preset
from ntk_aug.errors import InputError


def _tables() -> tuple[dict[str, Preset], dict[str, tuple[str, ...]]]:
    families = {
        "plain": dict(small_presets.plain_networks()),
        "digits-quick": dict(small_presets.of_mlps("digits", "digits", small_presets.DIGITS)),
        "digits-network": dict(small_presets.digits_by_network()),
        "mnist-mlp": dict(small_presets.of_mlps("mnist-mlp", "mnist", small_presets.MNIST)),
        **mlp_presets.families(),
        "cifar10-resnet20-cpu": dict(small_presets.cifar10_on_cpus()),
        "t1": _joined(map(paper_presets.table_1, paper_presets.COLUMNS)),
        "t2": dict(paper_presets.table_2()),
        "t4": _joined(map(paper_presets.table_4, paper_presets.T4_COLUMNS)),
        "t7": dict(paper_presets.table_7()),
        "f2": dict(paper_presets.figure_2()),
        "f5": dict(paper_presets.figures_5_and_7()),
        "label-noise": dict(paper_presets.label_noise()),
    }
    presets = {name: preset for family in families.values() for name, preset in family.items()}
    groups = {name: tuple(family) for name, family in families.items()}
    groups["f4"] = groups["t2"]
    groups["f7"] = groups["f5"]
    for column in paper_presets.COLUMNS:
        groups[f"t1-{column}"] = tuple(dict(paper_presets.table_1(column)))
    # T4 is of T1's runs and those of further sizes.
    for column in paper_presets.T4_COLUMNS:
        further = tuple(dict(paper_presets.table_4(column)))
        groups[f"t4-{column}"] = groups[f"t1-{column}"] + further
    groups["t4"] = tuple(
        name for column in paper_presets.T4_COLUMNS for name in groups[f"t4-{column}"]
    )
    return presets, groups


def _joined(parts: Iterable[Iterable[tuple[str, Preset]]]) -> dict[str, Preset]:
    return dict(itertools.chain.from_iterable(parts))


PRESETS, GROUPS = _tables()


def find_preset(name: str) -> Preset:
    """The preset of this name; raises InputError that lists the nearest names."""
    if name in PRESETS:
        return PRESETS[name]
    if name in GROUPS:
        raise InputError(f"{name!r} is a group of presets, expected one of {_listed(GROUPS[name])}")
    raise InputError(_unknown(name, PRESETS, "preset"))


def find_presets(name: str) -> dict[str, Preset]:
    """The presets of a group, or the one of this name; raises InputError likewise."""
    if name in GROUPS:
        return {member: PRESETS[member] for member in GROUPS[name]}
    if name in PRESETS:
        return {name: PRESETS[name]}
    raise InputError(_unknown(name, (*GROUPS, *PRESETS), "preset or group"))


def matching_presets(name: str | None) -> dict[str, Preset]:
    """All presets, those of a group, or those whose names contain `name`; at least one."""
    if name is None:
        return dict(PRESETS)
    if name not in GROUPS:
        found = {preset: PRESETS[preset] for preset in PRESETS if name in preset}
        if found:
            return found
    return find_presets(name)


def _unknown(name: str, known: Any, what: str) -> str:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    near += [other for other in known if name in other and other not in near]
    nearest = f"; the nearest are {_listed(near)}" if near else ""
    return f"unknown {what} {name!r}{nearest}; `python -m experiments list` shows all"


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
