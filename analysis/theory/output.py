"""Output of the theory command: files, figures, page and tables."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from analysis.common.figures import save_figure
from analysis.theory.figures import draw_figures
from analysis.theory.report import theory_html
from analysis.theory.tables import (
    COLUMNS,
    LEGEND,
    NETWORK_COLUMNS,
    network_rows,
    network_sentence,
    statement_rows,
)
from ntk_aug import records

MARKER = "theory.json"


def write_theory(folder: Path, summary: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes theory.json and theory.npz, from which everything else is drawn."""
    records.write_npz(folder / "theory.npz", arrays)
    records.write_json(folder / MARKER, summary)


def read_theory(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads what `write_theory` wrote."""
    return records.read_json(folder / MARKER), records.read_npz(folder / "theory.npz")


def draw_outputs(folder: Path, summary: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the figures, PNG and PDF, and theory.html."""
    figures = draw_figures(summary, arrays)
    for name, figure in figures.items():
        save_figure(figure, folder / "figures" / name)
    with records.replacing(folder / "theory.html") as temporary:
        temporary.write_text(
            theory_html(summary, folder / "figures"),
            encoding="utf-8",
        )


def print_tables(folder: Path, summary: Mapping) -> None:
    """Prints the tables of statements and of the network, and the names of the files."""
    console = Console(width=max(Console().width, 120))
    console.print(_table(COLUMNS, statement_rows(summary)))
    print(LEGEND)
    if summary["network"] is not None:
        network = summary["network"]
        rows = network_rows(summary)
        if rows:
            console.print(_table(NETWORK_COLUMNS, rows))
        print(network_sentence(network))
    print(f"{summary['seconds']:.0f} s")
    print(f"figures  {folder / 'figures'}")
    print(f"page     {folder / 'theory.html'}")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for number, header in enumerate(columns):
        table.add_column(header, justify="left" if number < 2 else "right", no_wrap=number < 4)
    for row in rows:
        table.add_row(*row)
    return table
