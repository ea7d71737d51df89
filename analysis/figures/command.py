"""`python -m analysis figures`: F1 to F7 from the records of runs, without any computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from analysis.figures.drawing import TITLES, Drawn, draw_figures
from analysis.recorded.families import find_families
from analysis.recorded.groups import group_runs
from analysis.recorded.reading import read_runs
from analysis.tables.command import print_problems
from ntk_aug import records

MARKER = "figures.json"


@dataclass(frozen=True)
class FiguresOptions:
    """The paper's figures from recorded runs and spectrum studies.

    Reads every record below a folder and trains nothing. Writes PNG and PDF files, the places of
    the most often selected examples (CSV), and figures.json.
    """

    runs: str = "results"
    """Folder below which the recorded runs and spectrum studies lie."""
    out: str = "runs/figures"
    """Folder to write."""
    data_dir: str | None = None
    """Where prepared data sets lie, for the images of F6; default: the environment variable
    TFDS_DATA_DIR."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace earlier figures in that folder."""


def run_figures(options: FiguresOptions) -> None:
    """Runs the command; raises InputError for a user's mistake."""
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    found = read_runs(options.runs)
    families = find_families(group_runs(found.runs, found.timings))
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        drawn = draw_figures(folder, families, found.studies, data_dir=options.data_dir)
        problems = [*found.problems, *drawn.problems]
        told = {"drawn": drawn.files, "not_drawn": drawn.missing, "left_out": problems}
        records.write_json(folder / MARKER, told)
    print_problems(problems)
    for line in figure_lines(drawn):
        print(line)
    print(f"figures  {Path(options.out)}")


def figure_lines(drawn: Drawn) -> Sequence[str]:
    """A line for each figure: its files, or why it was not drawn."""
    lines = []
    for name, title in TITLES.items():
        files = drawn.files[name]
        told = [f"{len(files)} drawn"] if files else []
        if name in drawn.missing:
            told.append(drawn.missing[name] if files else f"not drawn: {drawn.missing[name]}")
        lines.append(f"{name:<8}{title}: {'; '.join(told)}")
    return lines
