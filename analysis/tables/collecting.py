"""All tables from all recorded runs."""

from typing import NamedTuple

from analysis.paper.cells import paper_cells
from analysis.recorded.families import Family, find_families
from analysis.recorded.groups import Group, group_runs, match_cells
from analysis.recorded.reading import Found
from analysis.tables.lines import Line, cell_lines, family_lines
from analysis.tables.speed import family_speed_lines, speed_lines, time_lines

TITLES = {
    "T1": "full data and an augmented subset: test accuracy",
    "T2": "training on the subset alone: test accuracy",
    "T3": "appending strong draws, or in place of the selected: test accuracy",
    "T4": "speed-up over augmenting everything, and share of its gain",
    "T5": "time of a selection from all classes",
    "T6": "Caltech256 from scratch: test accuracy",
    "T7": "full data and a subset selected in every epoch",
}
"""What each table shows."""


class Tables(NamedTuple):
    """All tables.

    Attributes:
      lines: in the order of the tables; in each, the paper's parts come first.
      groups: of the runs.
      families: of the groups.
    """

    lines: list[Line]
    groups: list[Group]
    families: list[Family]


def collect_tables(found: Found) -> Tables:
    """Makes the lines of T1 to T7, and those of comparisons on other data or networks.

    Args:
      found: recorded runs.
    """
    groups = group_runs(found.runs, found.timings)
    families = find_families(groups)
    matches = match_cells(paper_cells(), groups)
    of_paper = [match.group for own in matches.values() for match in own]
    lines = [*cell_lines(matches), *speed_lines(matches, groups), *time_lines(families)]
    for family in families:
        if any(group not in of_paper for group in family.groups):
            lines += [*family_lines(family), *family_speed_lines(family)]
    # The order within a table stays: the paper's lines are there first.
    lines.sort(key=lambda line: list(TITLES).index(line.table))
    return Tables(lines, groups, families)
