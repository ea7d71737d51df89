"""`python -m experiments compare`: two runs side by side, from their folders alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from experiments.dry_run import format_setting
from experiments.show import flat_config, shortened
from ntk_aug import training
from ntk_aug.coreset.overlaps import overlap
from ntk_aug.errors import InputError
from ntk_aug.training.history import summarize_history

_LONGEST = 60
# What the others say already, or what nobody reads.
_NOT_COMPARED = ("format_version", "overrides")
_MEASURES = {
    "last.test_accuracy": ("last test accuracy, %", 100, ",.4f"),
    "last.test_balanced_accuracy": ("last, each class alike, %", 100, ",.4f"),
    "last.test_loss": ("last test loss", 1, ",.4f"),
    "best.test_accuracy": ("best test accuracy, %", 100, ",.4f"),
    "best.epoch": ("best epoch", 1, ",.0f"),
    "train_loss": ("train loss", 1, ",.4f"),
    "train_accuracy": ("train accuracy, %", 100, ",.4f"),
    "epochs": ("epochs", 1, ",.0f"),
    "steps": ("steps", 1, ",.0f"),
    "examples": ("images processed", 1, ",.0f"),
    "distinct_used": ("distinct examples used", 1, ",.0f"),
    "distinct_selected": ("distinct examples selected", 1, ",.0f"),
}


@dataclass(frozen=True)
class CompareOptions:
    """Compares two runs: settings that differ, results, selections, seconds."""

    first: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a run."""
    second: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OTHER")]
    """Folder of another; differences and ratios are of this to the first."""


def compare_runs(options: CompareOptions) -> None:
    """Prints what differs between two runs."""
    runs = [training.RunFolder.read(folder) for folder in (options.first, options.second)]
    for run in runs:
        if not run.history():
            raise InputError(f"{run.path} has no recorded epoch, expected at least one to compare")
    _print_table(
        ("setting", options.first, options.second),
        [
            (name, *(_cut(format_setting(value)) for value in values))
            for name, values in differing_settings(runs[0].config, runs[1].config).items()
        ],
        "no setting differs",
    )
    first, second = (summarize_history(run.history()) for run in runs)
    _print_table(("result", "first", "second", "difference"), _result_rows(first, second))
    _print_overlaps(*runs)
    _print_table(("seconds", "first", "second", "ratio"), _second_rows(first, second))


def differing_settings(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The settings of two configurations that are not the same, by dotted name.

    Args:
      first: configuration of a run.
      second: configuration of another; a setting that one of them lacks is None.
    """
    flat = [flat_config(config) for config in (first, second)]
    return {
        name: (flat[0].get(name), flat[1].get(name))
        for name in {**flat[0], **flat[1]}
        if flat[0].get(name) != flat[1].get(name) and name.partition(".")[0] not in _NOT_COMPARED
    }


def selection_overlaps(
    first: training.RunFolder, second: training.RunFolder
) -> dict[int, tuple[int, int, float]]:
    """The overlap of two runs' selections, by epoch: both sizes, and the share in common.

    Args:
      first: a run.
      second: another on the same data.
    """
    found = {}
    for epoch in sorted({*first.selection_epochs()} & {*second.selection_epochs()}):
        own, other = (run.selection(epoch)["indices"] for run in (first, second))
        found[epoch] = (len(own), len(other), overlap(own, other))
    return found


def _result_rows(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    flat = [flat_config({**summary}) for summary in (first, second)]
    for name, (title, factor, form) in _MEASURES.items():
        values = [None if f.get(name) is None else factor * f[name] for f in flat]
        cells = ["-" if value is None else format(value, form) for value in values]
        one, other = values
        difference = "-" if one is None or other is None else format(other - one, f"+{form}")
        rows.append((title, *cells, difference))
    return rows


def _second_rows(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, ...]]:
    by_kind = [{**summary["seconds"]} for summary in (first, second)]
    for seconds in by_kind:
        seconds["in all"] = sum(seconds.values())
    return [
        (
            kind,
            f"{by_kind[0][kind]:.2f}",
            f"{by_kind[1][kind]:.2f}",
            f"{by_kind[1][kind] / by_kind[0][kind]:.3g}" if by_kind[0][kind] else "-",
        )
        for kind in by_kind[0]
    ]


def _print_overlaps(first: training.RunFolder, second: training.RunFolder) -> None:
    data = [run.config["data"] for run in (first, second)]
    if any(data[0][key] != data[1][key] for key in ("name", "split")):
        print("selections are of different data")
        return
    overlaps = selection_overlaps(first, second)
    if not overlaps:
        print("no selections at the same epochs")
        return
    n = min(part["num_examples"] for part in data)
    _print_table(
        ("selection after epoch", "first", "second", "in common, %", "by chance, %"),
        [
            (
                str(epoch),
                f"{own:,}",
                f"{other:,}",
                _percent(share),
                _percent(max(own, other) / n),
            )
            for epoch, (own, other, share) in shortened(list(overlaps.items()))
        ],
    )
    mean = float(np.mean([share for _, _, share in overlaps.values()]))
    print(f"in common: of the smaller selection; mean of {len(overlaps)}: {_percent(mean)} %")


def _print_table(headers: tuple[str, ...], rows: list[tuple[str, ...]], empty: str = "") -> None:
    if not rows:
        print(empty)
        return
    table = Table(box=None)
    table.add_column(headers[0])
    for header in headers[1:]:
        table.add_column(header, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=max(Console().width, 100)).print(table)


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
