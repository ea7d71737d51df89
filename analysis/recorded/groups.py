"""Runs of the same settings at several seeds, and the cells of the paper that they fill."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.paper.cells import Cell
from analysis.paper.settings import Settings, deviations, is_same_cell
from analysis.recorded.reading import Run
from analysis.recorded.timings import Timing, by_disturbance
from ntk_aug import records


class Group(NamedTuple):
    """Runs that differ in their seed alone.

    Attributes:
      runs: in the order of the seeds.
      timings: of these settings, the least disturbed first.
    """

    runs: tuple[Run, ...]
    timings: tuple[Timing, ...] = ()

    @property
    def settings(self):
        """The settings that all have."""
        return self.runs[0].settings

    @property
    def size(self) -> str:
        """The size of the subset in per cent, such as "10 %"; empty without a budget."""
        budget = self.settings["method.budget"]
        if budget is None:
            return ""
        return f"{100 * budget / self.runs[0].num_examples:.3g} %"

    @property
    def label(self) -> str:
        """Selector and size, such as "coreset 10 %"."""
        return f"{self.settings['method.selector']} {self.size}".strip()

    @property
    def remark(self) -> str:
        """How often the test set was evaluated, unless after every epoch."""
        every = sorted({run.config["training"].get("eval_every", 1) for run in self.runs} - {1})
        return f"evaluated every {', '.join(map(str, every))} epochs" if every else ""


class Match(NamedTuple):
    """Runs of a cell.

    Attributes:
      group: the runs.
      deviations: of their settings from those of the cell; none: they match.
    """

    group: Group
    deviations: tuple[str, ...]


def told_apart(
    settings: Settings, others: Sequence[Settings], *, without: Sequence[str] = ()
) -> str:
    """The settings in which others differ, such as "batch_size 5"; empty if none do.

    Args:
      settings: of a group.
      others: those of the groups that it is to be told apart from; they may contain its own.
      without: names of settings that are told elsewhere.
    """
    names = [
        name
        for name, value in sorted(settings.items())
        if name not in without and any(other.get(name) != value for other in others)
    ]
    return ", ".join(f"{name.partition('.')[2]} {str(settings[name])[:16]}" for name in names)


def on_the_same(one: Settings, other: Settings) -> bool:
    """Whether runs have the same data and network, with their fingerprints and options."""
    names = {name for name in {*one, *other} if name.startswith(("data.", "model."))}
    return all(one.get(name) == other.get(name) for name in names)


def group_runs(runs: Sequence[Run], timings: Sequence[Timing] = ()) -> list[Group]:
    """Groups runs by their settings, in an order that does not depend on that of the runs.

    Args:
      runs: of any settings.
      timings: each goes to the runs of its settings.
    """
    by_settings: dict[str, list[Run]] = {}
    for run in runs:
        by_settings.setdefault(records.fingerprint(run.settings), []).append(run)
    timed: dict[str, list[Timing]] = {}
    for timing in sorted(timings, key=by_disturbance):
        timed.setdefault(records.fingerprint(timing.settings), []).append(timing)
    groups = [
        Group(tuple(sorted(own, key=lambda run: run.seed)), tuple(timed.get(settings, ())))
        for settings, own in by_settings.items()
    ]
    return sorted(groups, key=_order)


def _order(group: Group):
    budget = group.settings["method.budget"] or 0
    first = (group.settings["data.name"], group.settings["model.name"])
    kinds = ("none", "random", "max-loss", "coreset", "all")
    selector = group.settings["method.selector"]
    place = kinds.index(selector) if selector in kinds else len(kinds)
    return (*first, place, selector, budget, records.fingerprint(group.settings))


def match_cells(cells: Sequence[Cell], groups: Sequence[Group]) -> dict[Cell, list[Match]]:
    """Finds the runs of every cell.

    A group belongs to the cells whose settings it meets. If it meets none, it belongs to those of
    its data, network and method from which the fewest of its settings deviate.

    Args:
      cells: of any tables.
      groups: of recorded runs.

    Returns:
      For every cell its runs, those that match first.
    """
    found: dict[Cell, list[Match]] = {cell: [] for cell in cells}
    for group in groups:
        own: list[tuple[Cell, tuple[str, ...]]] = []
        for cell in cells:
            if cell.settings is None:
                continue
            stated = cell.settings.settings(group.runs[0].num_examples)
            if is_same_cell(group.settings, stated):
                own.append((cell, deviations(group.settings, stated)))
        least = min((len(differing) for _, differing in own), default=0)
        for cell, differing in own:
            if len(differing) == least:
                found[cell].append(Match(group, differing))
    for matches in found.values():
        matches.sort(key=lambda match: (len(match.deviations), match.deviations))
    return found
