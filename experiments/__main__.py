"""Entry point: `python -m experiments list | run PRESET | show RUN`."""

import sys
from dataclasses import dataclass, fields, replace
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from experiments.presets import PRESETS, Preset
from ntk_aug import data, training
from ntk_aug.checks import check_choice
from ntk_aug.programs import Command, run_program
from ntk_aug.progress import progress_bars


@dataclass(frozen=True)
class ListOptions:
    """Lists the presets."""


@dataclass(frozen=True)
class RunOptions:
    """Trains one preset and records the run: configuration, metrics, checkpoints.

    The same command again finds the finished run, or goes on from its last checkpoint.
    """

    preset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET")]
    """Name of the preset; `list` shows them."""
    data_dir: str | None = None
    """Where prepared data sets lie; default: the environment variable TFDS_DATA_DIR."""
    epochs: int | None = None
    """Instead of the preset's."""
    batch_size: int | None = None
    """Instead of the preset's."""
    learning_rate: float | None = None
    """Instead of the preset's."""
    momentum: float | None = None
    """Instead of the preset's."""
    weight_decay: float | None = None
    """Instead of the preset's."""
    augmentation: str | None = None
    """Instead of the preset's: a name, name:strength, or module:function."""
    seed: int = 0
    """Of initialisation, order and augmentation."""
    keep_epochs: tuple[int, ...] = ()
    """Keep checkpoints after these epochs, besides the last (0: before the first)."""
    out: str | None = None
    """Folder of the run; default: runs/PRESET/SEED."""


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
        table.add_row(
            name, preset.data, preset.model, str(preset.config.epochs), preset.description
        )
    Console().print(table)


def run_preset(options: RunOptions) -> None:
    """Trains a preset with the given overrides."""
    preset = PRESETS[check_choice(options.preset, PRESETS, "preset")]
    overrides = {
        field.name: getattr(options, field.name)
        for field in fields(training.TrainingConfig)
        if getattr(options, field.name, None) is not None
    }
    train_set, test_set = load_preset_data(preset, options.data_dir)
    out = options.out or f"runs/{options.preset}/{options.seed}"
    with progress_bars() as progress:
        network = training.train_named_model(
            preset.model,
            train_set,
            replace(preset.config, **overrides),
            options=preset.options,
            test_set=test_set,
            folder=out,
            keep_epochs=options.keep_epochs,
            progress=progress,
        )
    print_history(network.history[-1:])
    print(f"run      {out}")


def load_preset_data(preset: Preset, data_dir: str | None) -> list[data.Dataset]:
    """The training and the test split of a preset's classes."""
    splits = [data.load_dataset(preset.data, split, data_dir=data_dir) for split in data.SPLITS]
    return [data.select_classes(s, preset.classes or s.class_names) for s in splits]


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
    "run": (RunOptions, run_preset),
    "show": (ShowOptions, show_run),
}

if __name__ == "__main__":
    sys.exit(run_program("python -m experiments", "Train networks by preset.", COMMANDS))
