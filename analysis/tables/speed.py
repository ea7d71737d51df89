"""T4 and T5: speed-ups, shares of the gain, the sentences about them, and times of selection.

Seconds are those of parts that were timed by themselves (`python -m experiments time`).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from analysis.paper import values
from analysis.paper.cells import Cell
from analysis.paper.values import PaperValue
from analysis.recorded.families import Family, reference
from analysis.recorded.groups import Group, Match, on_the_same
from analysis.recorded.measures import SpeedUp, gain_shares, image_speed_ups, speed_up
from analysis.recorded.statistics import spread_of
from analysis.tables.lines import NO_GAIN, Line

SENTENCES = "sentences about speed-up and gain"
NOT_TIMED = "not timed by itself"
ALL_NOT_TIMED = "augmenting everything was not timed on the same machine"


def speed_lines(matches: Mapping[Cell, Sequence[Match]], groups: Sequence[Group]) -> Iterator[Line]:
    """The lines of T4: speed-up by seconds, by images processed, and the share of the gain.

    Args:
      matches: as `match_cells` gives them.
      groups: all recorded ones, among which are the runs that the methods are compared with.
    """
    for cell, own in matches.items():
        if cell.measure != "speed-up":
            continue
        row = f"{cell.row}, by seconds"
        empty = Line("T4", cell.part, row, "x", paper=cell.paper)
        found = [
            line._replace(deviations=match.deviations)
            for match in own
            for line in _of_group(empty, cell.row, match.group, groups)
        ]
        if all(line.deviations for line in found):
            yield empty
        yield from found
    yield from _sentences(matches, groups)


def family_speed_lines(family: Family) -> Iterator[Line]:
    """The same of a comparison that is not the paper's, if all was run."""
    if family.all is None:
        return
    for group in family.subsets:
        row = family.row(group)
        empty = Line("T4", family.title, f"{row}, by seconds", "x")
        yield from _of_group(empty, row, group, family.groups)


def time_lines(families: Sequence[Family]) -> Iterator[Line]:
    """The lines of T5: the paper's, and those of every timed group that selects by the network.

    Args:
      families: all recorded ones.
    """
    for (row, part), printed in sorted(values.T5.items(), key=lambda cell: cell[0][1]):
        yield Line("T5", part, row, "s", paper=printed, remark="data or network not available here")
    for family, group in [(f, group) for f in families for group in f.subsets]:
        settings = group.settings
        timing = next(iter(group.timings), None)
        if timing is None or settings["method.selector"] in ("random", "given"):
            continue
        p, every = timing.processors, settings["method.reselect_every"]
        part = family.title.replace("comparison", "selections", 1)
        row = f"{family.row(group)} of {group.runs[0].num_examples:,}"
        whole = Line("T5", part, row, "s", spread_of(list(timing.parts.selection)))
        yield whole._replace(remark=timing.remark)
        divided = spread_of([seconds / every / p for seconds in timing.parts.selection])
        row, remark = f"{row}, divided by p and R", f"p = {p} processors, R = {every}"
        yield whole._replace(row=row, ours=divided, remark=remark)


def _of_group(empty: Line, row: str, group: Group, groups: Sequence[Group]) -> Iterator[Line]:
    """Speed-ups and the share of the gain of one group; nothing if all was not run."""
    everything, none = (reference(group, groups, name) for name in ("all", "none"))
    if everything is None:
        return
    faster = speed_up(group, everything)
    if faster is None:
        yield empty._replace(remark=ALL_NOT_TIMED if group.timings else NOT_TIMED)
    else:
        yield empty._replace(ours=spread_of([faster.ratio]), remark=faster.remark)
    fewer = spread_of(image_speed_ups(group, everything))
    yield empty._replace(row=f"{row}, by images processed", ours=fewer, paper=None)
    if none is not None:
        shares = spread_of(gain_shares(group, none, everything))
        name = f"{row}, share of the gain"
        remark = "" if shares else NO_GAIN
        yield empty._replace(row=name, ours=shares, unit="%", paper=None, remark=remark)


def _sentences(matches: Mapping[Cell, Sequence[Match]], groups: Sequence[Group]) -> Iterator[Line]:
    """What D.3, D.7 and the main text state of these runs; runs that deviate are marked."""
    by_place = {(cell.part, cell.row): own for cell, own in matches.items() if cell.table == "T1"}

    def first(part: str, row: str) -> Match | None:
        return next(iter(by_place.get((part, row), ())), None)

    coreset = first(values.CIFAR10, "coreset 10 %")
    gain = _mean_gain(coreset, groups)
    yield _sentence("CIFAR10, coreset 10 %: share of the gain", values.SHARE_OF_GAIN, gain, coreset)
    coreset, random = (first(values.SVHN, f"{name} 30 %") for name in ("coreset", "random"))
    own, other = _mean_gain(coreset, groups), _mean_gain(random, groups)
    more = None
    if own is not None and other is not None and other > 0 and _deviate_alike(coreset, random):
        more = 100 * (own / other - 1)
    row = "SVHN, 30 %: gain of the coreset over that of a random subset"
    yield _sentence(row, values.SVHN_EXTRA_GAIN, more, coreset)
    ratio = _speed_up(coreset, random)
    lost = ratio and ratio._replace(ratio=100 * (1 - ratio.ratio))
    row = "SVHN, 30 %: speed-up of a random subset that the coreset gives up"
    yield _timed_sentence(row, values.SVHN_LOST_SPEED_UP, lost, coreset)
    everything, none = (first(values.CIFAR10, name) for name in ("all", "none"))
    timing = next(iter(everything.group.timings), None) if everything else None
    hours = timing and SpeedUp(timing.whole / 3600, timing.remark)
    row = "CIFAR10, all: time of training"
    yield _timed_sentence(row, values.ALL_HOURS, hours, everything)
    row = "CIFAR10, all: time of training over that without augmentation"
    yield _timed_sentence(row, values.ALL_OVER_PLAIN, _speed_up(none, everything), everything)


def _deviate_alike(match: Match | None, other: Match | None) -> bool:
    if match is None or other is None or match.deviations != other.deviations:
        return False
    return on_the_same(match.group.settings, other.group.settings)


def _speed_up(match: Match | None, other: Match | None) -> SpeedUp | None:
    """The speed-up of one over another; None unless both deviate in the same way."""
    if match is None or other is None or not _deviate_alike(match, other):
        return None
    return speed_up(match.group, other.group)


def _mean_gain(match: Match | None, groups: Sequence[Group]) -> float | None:
    if match is None:
        return None
    everything, none = (reference(match.group, groups, name) for name in ("all", "none"))
    if everything is None or none is None:
        return None
    shares = gain_shares(match.group, none, everything)
    return float(np.mean(shares)) if shares else None


def _sentence(row: str, printed: PaperValue, value: float | None, match: Match | None) -> Line:
    line = Line("T4", SENTENCES, row, printed.unit, paper=printed, remark=printed.source)
    if value is None or match is None:
        return line
    spread = spread_of([float(value)])
    assert spread is not None
    count = len(match.group.runs)
    return line._replace(ours=spread._replace(runs=count), deviations=match.deviations)


def _timed_sentence(
    row: str, printed: PaperValue, value: SpeedUp | None, match: Match | None
) -> Line:
    """The same of what was timed, once."""
    if value is None:
        return _sentence(row, printed, None, match)
    line = _sentence(row, printed, value.ratio, match)
    ours = line.ours and line.ours._replace(runs=1)
    return line._replace(ours=ours, remark=f"{line.remark}; {value.remark}")
