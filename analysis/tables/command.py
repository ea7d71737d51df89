"""`python -m analysis tables`: T1 to T7 from the records of runs, without any computation."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from analysis.recorded.reading import read_runs
from analysis.tables.collecting import collect_tables
from analysis.tables.output import print_tables, write_tables
from ntk_aug import records

MARKER = "tables.md"


@dataclass(frozen=True)
class TablesOptions:
    """The paper's tables from recorded runs, with its values beside ours.

    Reads every run below a folder and trains nothing. Writes tables.md, and a CSV file for each of
    T1 to T7.
    """

    runs: str = "results"
    """Folder below which the recorded runs lie."""
    out: str = "runs/tables"
    """Folder to write."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace earlier tables in that folder."""


def run_tables(options: TablesOptions) -> None:
    """Runs the command; raises InputError for a user's mistake."""
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    found = read_runs(options.runs)
    print_problems(found.problems)
    tables = collect_tables(found)
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        write_tables(folder, tables.lines, found.problems)
    print_tables(tables.lines)
    print(f"runs     {len(found.runs)} of {len(tables.groups)} settings")
    print(f"tables   {Path(options.out) / MARKER}")


def print_problems(problems: Sequence[str]) -> None:
    """Names on standard error the records that are left out."""
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
