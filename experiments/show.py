"""`python -m experiments show`: the settings and results of a run, from its folder alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from experiments.dry_run import format_setting
from ntk_aug import training
from ntk_aug.coreset.overlaps import overlap
from ntk_aug.training.history import EpochRecord, summarize_history

SHOWN_ROWS = 12
"""Of a table by epoch; the first and the last row are among them."""
_SHOWN_CLASSES = 20
# Parts of a run's configuration that are shown in lines of their own, or that nobody reads.
_NOT_SETTINGS = ("format_version", "preset", "overrides", "data", "model", "test", "given")
_SHOWN_BEFORE = ("data", "model", "width", "activation")


@dataclass(frozen=True)
class ShowOptions:
    """Shows a run: settings, result, epochs, selections, seconds."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""


def show_run(options: ShowOptions) -> None:
    """Prints what the folder of a run records."""
    run = training.RunFolder.read(options.run)
    history = run.history()
    print_identity(run.config)
    for name, value in flat_config(run.config).items():
        setting = name.rpartition(".")[2]
        if name.partition(".")[0] not in _NOT_SETTINGS and setting not in _SHOWN_BEFORE:
            print(f"{setting:<19} {format_setting(value)}")
    kept = ", ".join(map(str, run.epochs())) or "none"
    print(f"{'checkpoints':<19} after epochs {kept}")
    if not history:
        print("no epoch is recorded yet")
        return
    print_history(history)
    print_selections(run)
    summary = summarize_history(history)
    for which in ("last", "best"):
        if summary[which]:
            print(f"{which:<9} {evaluation_text(summary[which])}")
    seconds = summary["seconds"]
    by_kind = ", ".join(f"{kind} {value:.1f}" for kind, value in seconds.items())
    print(f"seconds   {sum(seconds.values()):.1f}: {by_kind}")
    if run.result() is None:
        epochs = run.config["training"]["epochs"]
        print(
            f"stopped after {len(history)} of {epochs} epochs; the same command goes on from there"
        )


def print_identity(config: Mapping[str, Any]) -> None:
    """Prints preset, overrides, model and data of a run's configuration."""
    if config.get("preset"):
        print(f"{'preset':<19} {config['preset']}")
    overrides = config.get("overrides") or {}
    if overrides:
        changed = ", ".join(f"{name} = {format_setting(v)}" for name, v in overrides.items())
        print(f"{'overrides':<19} {changed}")
    model, data = config.get("model", {}), config["data"]
    options = "".join(f", {name} {value}" for name, value in model.get("options", {}).items())
    print(f"{'model':<19} {model.get('name', 'not by name')}{options}")
    names = data["class_names"]
    cut = ", ..." if len(names) > _SHOWN_CLASSES else ""
    print(
        f"{'data':<19} {data['name']}: {data['num_examples']:,} training examples of "
        f"{len(names)} classes ({', '.join(names[:_SHOWN_CLASSES])}{cut})"
    )


def print_history(history: Sequence[EpochRecord]) -> None:
    """Prints a line for some of the epochs; if there are many, for those with an evaluation."""
    evaluated = [record for record in history if record.test_accuracy is not None]
    shown = shortened(evaluated if evaluated and len(history) > SHOWN_ROWS else list(history))
    table = Table(box=None)
    headers = (
        *("epoch", "learning rate", "train loss", "train %", "test loss", "test %", "balanced %"),
        *("used", "selected", "seconds"),
    )
    for header in headers:
        table.add_column(header, justify="right")
    for record in shown:
        table.add_row(
            str(record.epoch),
            f"{record.learning_rate:.4g}",
            _number(record.train_loss, ".4f"),
            _number(record.train_accuracy, ".2f", 100),
            _number(record.test_loss, ".4f"),
            _number(record.test_accuracy, ".2f", 100),
            _number(record.test_balanced_accuracy, ".2f", 100),
            f"{record.distinct_used:,}",
            f"{record.distinct_selected:,}",
            f"{seconds_of(record):.2f}",
        )
    print(f"{len(shown)} of {len(history)} epochs; used, selected: distinct examples so far")
    Console(width=max(Console().width, 100)).print(table)


def print_selections(run: training.RunFolder) -> None:
    """Prints a line for some of the selections, and their overlap with other selectors' choices."""
    epochs = run.selection_epochs()
    if not epochs:
        return
    others = run.config["method"]["also_record"]
    table = Table(box=None)
    headers = ("after epoch", "selected", "largest weight", "estimate", "as before %")
    for header in (*headers, *(f"as {name} %" for name in others)):
        table.add_column(header, justify="right")
    shown, before = shortened(epochs), None
    for epoch in shown:
        arrays = run.selection(epoch)
        indices, weights = arrays["indices"], arrays["weights"]
        cells = [
            str(epoch),
            f"{len(indices):,}",
            f"{weights.max():.4g}" if len(weights) else "-",
            _number(float(arrays["estimate"]), ".4g"),
            "-" if before is None else f"{100 * overlap(indices, before):.1f}",
        ]
        own = (overlap(indices, arrays[f"{name}/indices"]) for name in others)
        table.add_row(*cells, *(f"{100 * share:.1f}" for share in own))
        before = indices
    print(f"{len(shown)} of {len(epochs)} selections; as before: also in the row above")
    Console(width=max(Console().width, 100)).print(table)


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of nested settings by dotted name, such as "training.epochs"."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{part}": inner for part, inner in flat_config(value).items()}
        else:
            flat[name] = value
    return flat


def evaluation_text(evaluation: Mapping[str, Any]) -> str:
    """An evaluation in one line."""
    return (
        f"test accuracy {100 * evaluation['test_accuracy']:.2f} % "
        f"(each class alike {100 * evaluation['test_balanced_accuracy']:.2f} %), "
        f"loss {evaluation['test_loss']:.4f}, after {evaluation['epoch']} epochs"
    )


def shortened(rows: Sequence[Any]) -> list[Any]:
    """At most `SHOWN_ROWS` evenly spaced rows, among them the first and the last."""
    if len(rows) <= SHOWN_ROWS:
        return list(rows)
    places = np.linspace(0, len(rows) - 1, SHOWN_ROWS).round().astype(int)
    return [rows[place] for place in places]


def seconds_of(record: EpochRecord) -> float:
    """All seconds of an epoch."""
    names = (name for name in record._fields if name.startswith("seconds_"))
    return float(sum(getattr(record, name) for name in names))


def _number(value: float | None, form: str, factor: float = 1) -> str:
    return "-" if value is None or np.isnan(value) else format(factor * value, form)
