"""`python -m experiments list`: the presets, what each reproduces, and what it costs."""

from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from experiments.cost import estimate_cost
from experiments.known_data import known_sizes
from experiments.presets import GROUPS, matching_presets
from experiments.settings import Experiment, Preset


@dataclass(frozen=True)
class ListOptions:
    """Lists the presets: what each reproduces, its data, and its hours on two CPU cores."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None
    """A group of presets, or a part of their names; default: all."""


def list_presets(options: ListOptions) -> None:
    """Prints the table of presets, and where all are listed the groups before it."""
    presets = matching_presets(options.name)
    if options.name is None:
        groups = Table("group", "presets", title="groups", title_justify="left")
        for name, members in GROUPS.items():
            groups.add_row(name, str(len(members)))
        Console().print(groups)
    table = Table("preset", "reproduces", "data", "network", "trains on", box=None)
    table.add_column("hours", justify="right")
    for name, preset in presets.items():
        table.add_row(name, *preset_cells(preset))
    Console(width=max(Console().width, 160)).print(table)
    print("hours: an estimate on two CPU cores, without compilation; see experiments/cost.py")


def preset_cells(preset: Preset) -> list[str]:
    """The cells of a preset's row."""
    experiment = preset.experiment
    cost = estimate_cost(experiment, known_sizes(experiment))
    return [
        preset.reproduces or "-",
        data_text(experiment),
        experiment.model,
        preset.description,
        format_hours(cost.seconds),
    ]


def data_text(experiment: Experiment) -> str:
    """The name of the data and what is done to them, in short."""
    text = experiment.data
    if experiment.classes:
        text += f", {len(experiment.classes)} classes"
    if experiment.imbalance is not None:
        text += f", imbalance {experiment.imbalance:g}"
    if experiment.label_noise:
        text += f", {100 * experiment.label_noise:g} % wrong labels"
    return text


def format_hours(seconds: float) -> str:
    """Hours as text: "0.01" for 36 seconds, "20" for 20 hours."""
    hours = seconds / 3600
    if hours < 0.01:
        return "< 0.01"
    return f"{hours:.2f}" if hours < 1 else f"{hours:.1f}" if hours < 10 else f"{hours:.0f}"
