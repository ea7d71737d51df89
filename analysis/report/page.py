"""The report: what was run, all tables and figures, and the table of the theory."""

import html
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from analysis.common.pages import image, markdown, page, table
from analysis.figures.drawing import TITLES as FIGURES
from analysis.figures.drawing import Drawn
from analysis.recorded.groups import Group
from analysis.tables.collecting import TITLES as TABLES
from analysis.tables.lines import Line
from analysis.tables.output import COLUMNS, LEGEND, cells_of, heading, parts_of
from analysis.theory.tables import COLUMNS as THEORY_COLUMNS
from analysis.theory.tables import LEGEND as THEORY_LEGEND
from analysis.theory.tables import statement_rows

RUN_COLUMNS = (
    *("data", "copy", "network", "method", "R", "epochs", "seeds", "device", "jax"),
    "training, selection, augmentation (s, mean)",
)


def report_html(
    groups: Sequence[Group],
    lines: Sequence[Line],
    drawn: Drawn,
    figures: Path,
    theories: Mapping[str, Mapping[str, Any]],
    problems: Sequence[str],
    findings: str = "",
) -> str:
    """The page.

    Args:
      findings: Markdown that stands before all else.
      groups: of all recorded runs.
      lines: of all tables.
      drawn: the figures.
      figures: the folder that they lie in.
      theories: content of theory.json by the name of its folder.
      problems: a line for each record that was left out.
    """
    sections = [markdown(findings)] if findings else []
    sections += ["<h2>What was run</h2>", table(RUN_COLUMNS, map(run_row, groups))]
    sections += [f"<p>{html.escape(LEGEND)}</p>"]
    for name, parts in groupby(parts_of(lines), key=lambda part: part[0]):
        sections.append(f"<h2>{name}: {html.escape(TABLES[name])}</h2>")
        for _, part, own in parts:
            sections += [
                f"<h3>{html.escape(heading(name, part))}</h3>",
                table(COLUMNS, map(cells_of, own)),
            ]
    for name, title in FIGURES.items():
        sections.append(f"<h2>{name}: {html.escape(title)}</h2>")
        sections += [image(figures / f"{stem}.png") for stem in drawn.files[name]]
        if name in drawn.missing:
            told = "" if drawn.files[name] else "Not drawn: "
            sections.append(f"<p>{html.escape(told + drawn.missing[name])}.</p>")
    if theories:
        sections += ["<h2>The paper's theory</h2>", f"<p>{html.escape(THEORY_LEGEND)}.</p>"]
    for name, summary in theories.items():
        headers = [header.replace("\n", " ") for header in THEORY_COLUMNS]
        sections += [f"<h3>{html.escape(name)}</h3>", table(headers, statement_rows(summary))]
    if problems:
        listed = "".join(f"<li>{html.escape(problem)}</li>" for problem in problems)
        sections += ["<h2>Records that were left out</h2>", f"<ul>{listed}</ul>"]
    return page("The paper's experiments from recorded runs", sections)


def run_row(group: Group) -> tuple[str, ...]:
    """The cells of a group, under `RUN_COLUMNS`."""
    settings = group.settings
    environments = [run.environment for run in group.runs]
    method = group.label
    if settings["method.augments"]:
        method += f", {settings['method.augment']}"
    if settings["method.train_on"] == "subset":
        method += ", trained on alone"
    seconds = sum(run.seconds for run in group.runs) / len(group.runs)
    return (
        settings["data.name"],
        settings["data.copy"],
        settings["model.name"],
        method,
        str(settings.get("method.reselect_every", "-")),
        str(settings["training.epochs"]),
        ", ".join(str(run.seed) for run in group.runs),
        _distinct(f"{one.get('device')}, {one.get('processor')}" for one in environments),
        _distinct(str(one.get("jax")) for one in environments),
        f"{seconds:,.0f}",
    )


def _distinct(texts) -> str:
    return "; ".join(sorted(set(texts)))
