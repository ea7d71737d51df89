"""Means, standard deviations, and the comparison of two methods."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Spread(NamedTuple):
    """Mean and standard deviation of some runs.

    Attributes:
      mean: of all runs.
      std: of a sample: divided by runs - 1; None of a single run.
      runs: how many.
    """

    mean: float
    std: float | None
    runs: int


def spread_of(values: Sequence[float]) -> Spread | None:
    """The mean and standard deviation of values; None if there are none."""
    if not len(values):
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), std, len(values))


def welch_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The two-sided p-value of Welch's t-test; None for fewer than two values, or without spread.

    Args:
      first: a value per run of a method.
      second: the same of another method.
    """
    if min(len(first), len(second)) < 2 or np.std(first) + np.std(second) == 0:
        return None
    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)
