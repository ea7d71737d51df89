"""The lines of the tables: a cell of the paper, or a method of a comparison, and its runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from analysis.paper import values
from analysis.paper.cells import Cell
from analysis.paper.values import PaperValue
from analysis.recorded.families import Family
from analysis.recorded.groups import Group, Match, on_the_same, told_apart
from analysis.recorded.statistics import Spread, spread_of, welch_p_value

NO_GAIN = "augmenting everything gains nothing"
"""The remark of a share of the gain that does not exist."""


class Line(NamedTuple):
    """A line of a table.

    Attributes:
      table: "T1" to "T7".
      part: the part of the table that it stands in.
      row: its name.
      unit: of all values, "%", "x", "s" or "h".
      ours: mean and spread of the runs; None without a run.
      paper: the printed value, or None.
      against: the row that it is compared with, or None.
      p_value: of Welch's t-test against that row's runs; None without two runs of each.
      deviations: settings in which the runs differ from the paper's; such a line is marked.
      remark: anything else.
    """

    table: str
    part: str
    row: str
    unit: str
    ours: Spread | None = None
    paper: PaperValue | None = None
    against: str | None = None
    p_value: float | None = None
    deviations: tuple[str, ...] = ()
    remark: str = ""

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        if self.ours is None or self.paper is None:
            return None
        return self.ours.mean - self.paper.mean


def measured(group: Group, measure: str) -> list[float]:
    """The value of each run in per cent: test accuracy, or the share that it never selected."""
    if measure == values.NEVER:
        return [run.never_selected for run in group.runs]
    return [run.accuracy for run in group.runs]


def cell_lines(matches: Mapping[Cell, Sequence[Match]]) -> Iterator[Line]:
    """The lines of accuracies: a line for each cell, and one for each group that deviates from it.

    Args:
      matches: as `match_cells` gives them; cells of speed-ups are left out.
    """
    by_place = {(cell.part, cell.row): own for cell, own in matches.items()}
    for cell, own in matches.items():
        if cell.measure == "speed-up":
            continue
        empty = Line(cell.table, cell.part, cell.row, "%", paper=cell.paper, against=cell.against)
        if not own or own[0].deviations:
            yield empty._replace(
                remark="" if cell.settings else "data or network not available here"
            )
        others = by_place.get((cell.part, cell.against or ""), ())
        for group, differing in own:
            ours = measured(group, cell.measure)
            alike = [match.group.settings for match in own if match.deviations == differing]
            told = [group.remark, told_apart(group.settings, alike)]
            # Only runs that deviate in the same way, on the same copy of the data, are compared.
            alike_others = (
                match.group
                for match in others
                if match.deviations == differing
                and on_the_same(match.group.settings, group.settings)
            )
            other = next(alike_others, None)
            yield empty._replace(
                ours=spread_of(ours),
                p_value=welch_p_value(ours, measured(other, cell.measure)) if other else None,
                deviations=differing,
                remark="; ".join(filter(None, told)),
            )


def family_lines(family: Family) -> Iterator[Line]:
    """The lines of a comparison that is not the paper's: accuracies, and shares never selected.

    Args:
      family: of methods.
    """
    table = family.table
    rows = {family.row(group): group for group in family.groups}
    measures = (values.ACCURACY, values.NEVER) if table == "T7" else (values.ACCURACY,)
    for measure in measures:
        part = family.title + (f": {measure}" if measure == values.NEVER else "")
        for row, group in rows.items():
            selector = group.settings["method.selector"]
            if measure == values.NEVER and selector in ("none", "all"):
                continue
            against = row.replace(selector, "coreset", 1)
            other = rows.get(against) if selector not in ("none", "all", "coreset") else None
            ours = measured(group, measure)
            yield Line(
                *(table, part, row, "%"),
                ours=spread_of(ours),
                against=against if other else None,
                p_value=welch_p_value(ours, measured(other, measure)) if other else None,
                remark=group.remark,
            )
