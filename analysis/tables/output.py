"""The tables as Markdown, CSV and rich tables for a terminal."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analysis.tables.collecting import TITLES
from analysis.tables.lines import NO_GAIN, Line
from ntk_aug.records import replacing

COLUMNS = ("", "ours", "runs", "paper", "difference", "Welch p", "remarks")
NO_RUN = "no run"
LEGEND = (
    "Ours: mean +- standard deviation over seeds, and the number of runs. The paper's standard "
    "deviations are over 5 runs. Difference: ours minus the paper's value. Welch p: p-value of the "
    "t-test between a method and the coreset of the same size. A star marks runs whose settings "
    "differ from those of the cell. The remark says how they differ, and they enter no other mean. "
    "A run's seconds are the sum of its parts, each of which was timed by itself."
)
CSV_COLUMNS = (
    *("table", "part", "row", "unit", "ours_mean", "ours_std", "runs", "paper_mean", "paper_std"),
    *("difference", "against", "welch_p", "deviations", "remark", "source"),
)


def cells_of(line: Line) -> tuple[str, ...]:
    """A line as texts, under `COLUMNS`."""
    remarks = [*line.deviations, *([line.remark] if line.remark else [])]
    return (
        line.row + (" *" if line.deviations else ""),
        _ours(line),
        "-" if line.ours is None else str(line.ours.runs),
        "-" if line.paper is None else line.paper.text,
        "-" if line.difference is None else _signed(line.difference, line.unit),
        "-" if line.p_value is None else f"{line.p_value:.2g}",
        "; ".join(remarks),
    )


def parts_of(lines: Sequence[Line]) -> Iterator[tuple[str, str, list[Line]]]:
    """Table, part and lines of each part, in order."""
    for (table, part), own in groupby(lines, key=lambda line: (line.table, line.part)):
        yield table, part, list(own)


def heading(table: str, part: str) -> str:
    """The title of a part: "T1, CIFAR10/ResNet20", or "T1's comparison on digits, mlp, R = 5"."""
    own = part.startswith(("comparison", "selections"))
    return f"{table}'s {part}" if own else f"{table}, {part}"


def markdown(lines: Sequence[Line], problems: Sequence[str]) -> str:
    """All tables on a page, and the records that were left out."""
    texts = ["# The paper's tables from recorded runs", LEGEND]
    for table, of_table in groupby(parts_of(lines), key=lambda part: part[0]):
        texts.append(f"## {table}: {TITLES[table]}")
        for _, part, own in of_table:
            rows = [COLUMNS, ("---",) * len(COLUMNS), *map(cells_of, own)]
            texts.append(f"### {heading(table, part)}")
            texts.append("\n".join(f"| {' | '.join(map(_escaped, row))} |" for row in rows))
    if problems:
        texts.append("## Records that were left out")
        texts.append("\n".join(f"- {problem}" for problem in problems))
    return "\n\n".join(texts) + "\n"


def csv_text(lines: Sequence[Line]) -> str:
    """Lines of a table as CSV, with unrounded numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        own = line.ours or (None, None, 0)
        printed = line.paper or (None, None, "", "")
        writer.writerow(
            [
                *(line.table, line.part, line.row, line.unit, *own, *printed[:2]),
                *(line.difference, line.against, line.p_value, "; ".join(line.deviations)),
                *(line.remark, printed[3]),
            ]
        )
    return text.getvalue()


def write_tables(folder: Path, lines: Sequence[Line], problems: Sequence[str]) -> None:
    """Writes tables.md, and T1.csv to T7.csv."""
    for table, own in groupby(lines, key=lambda line: line.table):
        with replacing(folder / f"{table}.csv") as temporary:
            temporary.write_text(csv_text(list(own)), encoding="utf-8")
    with replacing(folder / "tables.md") as temporary:
        temporary.write_text(markdown(lines, problems), encoding="utf-8")


def print_tables(lines: Sequence[Line]) -> None:
    """Prints the parts that have a run, and a line for each of the others."""
    console = Console(width=max(Console().width, 120))
    for name, part, own in parts_of(lines):
        if not any(line.ours for line in own):
            print(f"{heading(name, part)}: no run for its {len(own)} cells")
            continue
        table = Table(title=heading(name, part), title_justify="left")
        for number, header in enumerate(COLUMNS):
            table.add_column(
                header,
                justify="left" if number in (0, len(COLUMNS) - 1) else "right",
                no_wrap=0 < number < len(COLUMNS) - 1,
            )
        for line in own:
            table.add_row(*cells_of(line))
        console.print(table)


def _ours(line: Line) -> str:
    if line.ours is None:
        return "-" if line.remark == NO_GAIN else NO_RUN
    return _number(line.ours.mean, line.ours.std, line.unit)


def _number(mean: float, std: float | None, unit: str) -> str:
    form = ".2f" if unit == "%" else ".3g"
    if std is not None and std < 1e-9 * abs(mean):
        std = 0.0  # the rounding of a mean of equal numbers
    spread = "" if std is None else f" +- {std:{'.2f' if unit == '%' else '.2g'}}"
    return f"{mean:{form}}{spread} {unit}"


def _signed(value: float, unit: str) -> str:
    return f"{value:+.2f}" if unit == "%" else f"{value:+.2g}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
