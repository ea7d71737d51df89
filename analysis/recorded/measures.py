"""What is measured from groups of runs: speed-ups, shares of the gain, counts of selections."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from analysis.recorded.groups import Group
from analysis.recorded.reading import Run
from analysis.recorded.timings import by_disturbance, same_machine
from ntk_aug.coreset.overlaps import expected_top_overlap, overlap


def image_speed_ups(group: Group, everything: Group) -> list[float]:
    """How many times fewer images than augmenting everything each run of a method processed.

    Args:
      group: runs of the method.
      everything: runs with all augmented. A run is compared with the one of its seed, or with their
        mean if there is none.
    """
    whole = {run.seed: run.images for run in everything.runs}
    mean = float(np.mean(list(whole.values())))
    return [whole.get(run.seed, mean) / run.images for run in group.runs if run.images]


class SpeedUp(NamedTuple):
    """How many times faster than another a method is, by seconds.

    Attributes:
      ratio: the other's seconds over the method's.
      remark: on what, and how much of it other programs used.
    """

    ratio: float
    remark: str


def speed_up(group: Group, other: Group) -> SpeedUp | None:
    """Compares two timings of one machine; None if there are none.

    Args:
      group: runs of a method.
      other: runs of another, such as with all augmented.
    """
    pair = same_machine(group.timings, other.timings)
    if pair is None or not pair[0].whole:
        return None
    more_disturbed = max(pair, key=by_disturbance)
    return SpeedUp(pair[1].whole / pair[0].whole, more_disturbed.remark)


def gain_shares(group: Group, none: Group, everything: Group) -> list[float]:
    """Each run's share of the gain of augmenting everything, (acc - none) / (all - none), in %.

    Empty if augmenting everything gains nothing.

    Args:
      group: runs of a method.
      none: runs without augmentation.
      everything: runs with all augmented.
    """
    least, most = (float(np.mean([r.accuracy for r in g.runs])) for g in (none, everything))
    if most <= least:
        return []
    return [100 * (run.accuracy - least) / (most - least) for run in group.runs]


def times_selected(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The places in the split that were selected at all, [k], ascending, and how often, [k]."""
    chosen = [arrays["indices"] for arrays in run.selections.values()]
    return np.unique(np.concatenate(chosen), return_counts=True)


def pairs_by_seed(first: Group, second: Group) -> Iterator[tuple[Run, Run]]:
    """Runs of two groups that have the same seed."""
    others = {run.seed: run for run in second.runs}
    return ((run, others[run.seed]) for run in first.runs if run.seed in others)


def top_overlaps(first: Group, second: Group, tops: Sequence[int]) -> np.ndarray:
    """The expected overlap of the N most often selected examples, [seeds, tops].

    Args:
      first: runs with recorded selections.
      second: runs of another method; those of the same seed are compared.
      tops: values of N.
    """
    rows = []
    for run, other in pairs_by_seed(first, second):
        if run.selections and other.selections:
            one, two = _counts_of_both(times_selected(run), times_selected(other), run.num_examples)
            rows.append([expected_top_overlap(one, two, top=top) for top in tops])
    return np.array(rows)


def _counts_of_both(first, second, num_examples):
    """Counts [n] of two runs on the same n examples, which may be a part of the split."""
    places = np.union1d(first[0], second[0])
    counts = np.zeros((2, max(num_examples, len(places))), np.int64)
    for row, (own, times) in zip(counts, (first, second), strict=True):
        row[np.searchsorted(places, own)] = times
    return counts


def recorded_overlaps(run: Run, other: str) -> dict[int, float]:
    """By epoch, the overlap of a run's selection with another selector's from the same network.

    Args:
      run: with `other` among its `also_record`.
      other: name of that selector.
    """
    return {
        epoch: overlap(arrays["indices"], arrays[f"{other}/indices"])
        for epoch, arrays in sorted(run.selections.items())
        if f"{other}/indices" in arrays
    }
