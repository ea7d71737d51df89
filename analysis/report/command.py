"""`python -m analysis report`: one page of all recorded runs, from their records alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from analysis.figures.drawing import draw_figures
from analysis.recorded.reading import read_runs
from analysis.report.page import report_html
from analysis.tables.collecting import collect_tables
from analysis.tables.command import print_problems
from analysis.theory.tables import statement_rows
from ntk_aug import records
from ntk_aug.errors import NtkAugError

MARKER = "report.html"
FINDINGS = "README.md"
"""What the runs show in words, in the folder of all runs."""


@dataclass(frozen=True)
class ReportOptions:
    """One page that stands alone: what was run, the paper's tables and figures, the theory.

    Reads every record below a folder and trains nothing. The folder's README.md, if it has one,
    says what was found and comes first. Writes report.html, and its figures.
    """

    runs: str = "results"
    """Folder below which the records of runs, spectrum studies and theory lie."""
    out: str = "runs/report"
    """Folder to write."""
    data_dir: str | None = None
    """Where prepared data sets lie, for the images of F6; default: the environment variable
    TFDS_DATA_DIR."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace an earlier report in that folder."""


def run_report(options: ReportOptions) -> None:
    """Runs the command; raises InputError for a user's mistake."""
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    found = read_runs(options.runs)
    tables = collect_tables(found)
    theories, problems = read_theories(found.theories, Path(options.runs))
    findings = Path(options.runs, FINDINGS)
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        figures = folder / "figures"
        figures.mkdir()
        drawn = draw_figures(figures, tables.families, found.studies, data_dir=options.data_dir)
        problems = [*found.problems, *drawn.problems, *problems]
        text = report_html(
            tables.groups,
            tables.lines,
            drawn,
            figures,
            theories,
            problems,
            findings.read_text(encoding="utf-8") if findings.is_file() else "",
        )
        with records.replacing(folder / MARKER) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print_problems(problems)
    drawings = sum(map(len, drawn.files.values()))
    print(
        f"{len(found.runs)} runs of {len(tables.groups)} settings, {drawings} figures, "
        f"{len(theories)} tables of the theory"
    )
    print(f"page     {Path(options.out) / MARKER}")


def read_theories(
    folders: Sequence[Path], root: Path
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The content of theory.json by the name of its folder, and a line for each broken one.

    Args:
      folders: that hold a theory.json.
      root: that they lie in.
    """
    theories, problems = {}, []
    for folder in folders:
        name = folder.relative_to(root).as_posix()
        try:
            summary = records.read_json(folder / "theory.json")
            statement_rows(summary)
        except NtkAugError as error:
            problems.append(f"{name}: {error}")
        except (KeyError, TypeError, AttributeError):
            problems.append(f"{name}: theory.json is not what python -m analysis theory writes")
        else:
            theories[name] = summary
    return theories, problems
