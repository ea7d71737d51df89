"""Output of the select command: files, figures and table."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, JustifyMethod
from rich.table import Table

from analysis.common.figures import save_figure
from analysis.select.figures import draw_errors, draw_sheet
from ntk_aug import coreset, records

MARKER = "summary.json"
SHOWN_CLASSES = 20
"""Rows of the table on a terminal; all are in classes.csv."""

COLUMNS: tuple[tuple[str, str, JustifyMethod, str], ...] = (
    ("class", "class", "left", ""),
    ("size", "size", "right", ",d"),
    ("budget", "budget", "right", ",d"),
    ("selected", "selected", "right", ",d"),
    ("estimate", "estimate", "right", ".4g"),
    ("gradient_error", "gradient\nerror", "right", ".4g"),
    ("random_mean", "random:\nmean", "right", ".4g"),
    ("random_std", "\nstd", "right", ".3g"),
    ("random_least", "\nleast", "right", ".4g"),
    ("largest_weight", "largest\nweight", "right", ".4g"),
    ("zero_weights", "zero\nweights", "right", ",d"),
)
"""Name in the files, header, side, and format of a number."""


def write_selection(
    folder: Path,
    summary: Mapping,
    arrays: Mapping[str, np.ndarray],
    sheet: Mapping[str, np.ndarray],
) -> None:
    """Writes summary.json, selection.npz and sheet.npz, from which figures and table are drawn."""
    records.write_npz(folder / "selection.npz", arrays)
    if sheet:  # of examples that are no images there is none
        records.write_npz(folder / "sheet.npz", sheet)
    records.write_json(folder / MARKER, summary)


def draw_outputs(folder: Path, summary: Mapping, sheet: Mapping[str, np.ndarray]) -> None:
    """Writes classes.csv and the figures, PNG and PDF."""
    with (
        records.replacing(folder / "classes.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [name for name, *_ in COLUMNS])
        writer.writeheader()
        writer.writerows(summary["classes"])
    if sheet:
        save_figure(draw_sheet(summary, sheet), folder / "sheet")
    if summary["by_size"]:
        save_figure(draw_errors(summary), folder / "errors")


def read_selection(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads the summary and the sheet's images that `write_selection` wrote."""
    summary = records.read_json(folder / MARKER)
    with_sheet = summary.get("data", {}).get("images", True)
    return summary, records.read_npz(folder / "sheet.npz") if with_sheet else {}


def print_table(folder: Path, summary: Mapping) -> None:
    """Prints the selection and gradient error of each class, and the names of the files."""
    everything, network = summary["all"], summary["network"]
    print(
        f"{summary['data']['name']}: {everything['selected']:,} of {everything['size']:,} images "
        f"by {summary['options']['selector']}, gradients: {summary['options']['proxy']}; "
        f"{network['model']}: accuracy train {100 * network['train_accuracy']:.1f} %, "
        f"test {100 * network['test_accuracy']:.1f} %"
    )
    table = Table()
    for _, header, justify, _ in COLUMNS:
        table.add_column(header, justify=justify, no_wrap=True)
    rows = summary["classes"]
    for row in rows[:SHOWN_CLASSES]:
        table.add_row(*_cells(row))
    if len(rows) > SHOWN_CLASSES:
        table.add_row(f"... and {len(rows) - SHOWN_CLASSES} more")
    table.add_section()
    table.add_row(*_cells({"class": "all", **everything}))
    Console(width=max(Console().width, 120)).print(table)
    print(error_sentence(summary))
    for point in summary["by_size"]:
        print(
            f"  {100 * point['fraction']:>4g} %: {point['gradient_error']:.4g}, "
            f"random {point['random_mean']:.4g} +- {point['random_std']:.3g}"
        )
    print(f"selection {folder / 'selection.npz'}")
    if (folder / "sheet.png").exists():
        print(f"figures   {folder / 'sheet.png'}")


def error_sentence(summary: Mapping) -> str:
    """The gradient error of the selection beside that of random subsets."""
    found, options = summary["all"], summary["options"]
    drawn = "with as many of each class" if summary["per_class"] else "of the same size"
    return (
        f"gradient error {found['gradient_error']:.4g}, norm of the sum of all "
        f"{summary['gradient_norm']:.4g}; "
        f"{options['random_subsets']} random subsets {drawn}: {found['random_mean']:.4g} "
        f"+- {found['random_std']:.3g}, least {found['random_least']:.4g}"
    )


def list_parts() -> str:
    """Selectors, proxies and algorithms with their descriptions."""
    selectors = {
        name: f"{entry.description} ({entry.source})" for name, entry in coreset.SELECTORS.items()
    }
    parts = {
        "selectors": selectors,
        "proxies": coreset.PROXIES,
        "algorithms of coreset": coreset.ALGORITHMS,
    }
    width = max(len(name) for table in parts.values() for name in table)
    lines = []
    for title, table in parts.items():
        lines += [f"{title}:", *(f"  {name:{width}}  {text}" for name, text in table.items())]
    return "\n".join(lines)


def _cells(row: Mapping) -> list[str]:
    values = [(row.get(name), form) for name, _, _, form in COLUMNS]
    return ["-" if value is None else format(value, form) for value, form in values]
