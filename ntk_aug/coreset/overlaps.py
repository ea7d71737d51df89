"""How many examples two selections have in common."""

import numpy as np

from ntk_aug.aliases import Array, Float64, Int
from ntk_aug.checks import check_count
from ntk_aug.errors import InputError


def overlap(first: Int[np.ndarray, " k"], second: Int[np.ndarray, " m"]) -> float:
    """The share of the smaller of two subsets that the other contains; NaN if one is empty.

    Args:
      first: indices of a subset, each at most once.
      second: indices of another.
    """
    smaller = min(len(first), len(second))
    return len(np.intersect1d(first, second)) / smaller if smaller else np.nan


def top_probabilities(counts: Int[Array, " n"], top: int) -> Float64[np.ndarray, " n"]:
    """The probability of each example to be among the `top` largest counts.

    Ties at the smallest count that is still among them are broken at random.

    Args:
      counts: how often each of n examples was selected.
      top: N, 1 to n.

    Returns:
      [n], with sum N: 1 above that count, 0 below it, and the same share for all that have it.
    """
    counts = np.asarray(counts)
    check_count(top, len(counts), "top (most often selected examples)")
    least = np.partition(counts, len(counts) - top)[len(counts) - top]
    above, tied = counts > least, counts == least
    return above + tied * ((top - above.sum()) / tied.sum())


def expected_top_overlap(first: Int[Array, " n"], second: Int[Array, " m"], *, top: int) -> float:
    """The expected overlap of the N most often selected examples of two methods, as a share of N.

    The expectation is over ties, which each method breaks at random and by itself. So the order of
    the examples does not matter. By chance the overlap is N / n.

    Args:
      first: how often a method selected each of n examples.
      second: the same of another method.
      top: N, 1 to n.
    """
    if np.shape(first) != np.shape(second):
        raise InputError(
            f"counts have shapes {np.shape(first)} and {np.shape(second)}, expected the same"
        )
    return float(top_probabilities(first, top) @ top_probabilities(second, top) / top)
