"""Entry point: `python -m experiments list | run PRESET | sweep PRESET | show RUN`."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from experiments.presets import PRESETS
from experiments.run import RunOptions, run
from experiments.sweep import SweepOptions, sweep
from ntk_aug import training
from ntk_aug.programs import Command, run_program


@dataclass(frozen=True)
class ListOptions:
    """Lists the presets."""


@dataclass(frozen=True)
class ShowOptions:
    """Shows what a run is and how it went."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""


def list_presets(options: ListOptions) -> None:
    """Prints a table of the presets."""
    del options
    table = Table("preset", "data", "model", "epochs", "what for")
    for name, preset in PRESETS.items():
        experiment = preset.experiment
        table.add_row(
            name,
            experiment.data,
            experiment.model,
            str(experiment.training.epochs),
            f"{preset.reproduces} ({preset.description})",
        )
    Console().print(table)


def show_run(options: ShowOptions) -> None:
    """Prints a run's configuration and history."""
    run = training.RunFolder.read(options.run)
    model, dataset = run.config.get("model", {}), run.config.get("data", {})
    print(f"model        {model.get('name', 'not by name')} {model.get('options', '')}")
    print(f"data         {dataset.get('name')}: {', '.join(dataset.get('class_names', []))}")
    for name, value in run.config.get("training", {}).items():
        print(f"{name:<12} {value}")
    print(f"checkpoints  after epochs {', '.join(map(str, run.epochs())) or 'none'}")
    print_history(run.history())


def print_history(history: list[training.EpochRecord]) -> None:
    """Prints one line per epoch."""
    table = Table("epoch", "train loss", "train accuracy", "test loss", "test accuracy")
    for record in history:
        cells = [f"{value:.4f}" if value is not None else "-" for value in record[1:]]
        table.add_row(str(record.epoch), *cells)
    Console().print(table)


COMMANDS: dict[str, Command] = {
    "list": (ListOptions, list_presets),
    "run": (RunOptions, run),
    "sweep": (SweepOptions, sweep),
    "show": (ShowOptions, show_run),
}

if __name__ == "__main__":
    sys.exit(run_program("python -m experiments", "Train networks by preset.", COMMANDS))
