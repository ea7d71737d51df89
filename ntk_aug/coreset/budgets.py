"""The number of examples to select from each class."""

import math

import numpy as np

from ntk_aug.aliases import Array, Int
from ntk_aug.checks import check_choice, check_count
from ntk_aug.errors import InputError

ALLOCATIONS = ("equal", "proportional")


def class_budgets(
    class_sizes: Int[Array, " classes"],
    *,
    fraction: float | None = None,
    count: int | None = None,
    allocation: str = "proportional",
) -> Int[np.ndarray, " classes"]:
    """Divides a budget among classes; the parts sum to it exactly.

    Args:
      class_sizes: examples of each class, none of them empty.
      fraction: the budget as a share of all examples, in (0, 1]; rounded to the nearest count
        (halves up), at least 1. Either this or `count`.
      count: the budget in examples.
      allocation: "proportional" to the sizes, rounded by largest remainder; or "equal", where
        classes smaller than their share give all they have and the others share the rest.
        Remainders go to the classes of lower number.

    Raises:
      InputError: both or neither of fraction and count, one out of range, an empty class, an
        unknown allocation.
    """
    sizes = np.asarray(class_sizes, np.int64)
    if len(sizes) == 0:
        raise InputError("there are no classes to divide a budget among")
    if (sizes < 1).any():
        number = int(np.argmax(sizes < 1))
        raise InputError(f"class {number} has {sizes[number]} examples, expected at least 1")
    check_choice(allocation, ALLOCATIONS, "allocation of a budget")
    total = budget_of(int(sizes.sum()), fraction=fraction, count=count)
    return _proportional(sizes, total) if allocation == "proportional" else _equal(sizes, total)


def check_budgets_reach_all(
    budgets: Int[np.ndarray, " classes"], class_sizes: Int[np.ndarray, " classes"]
) -> None:
    """Raises InputError if a class gives nothing, so that no example represents it."""
    if not budgets.all():
        number = int(np.argmin(budgets))
        raise InputError(
            f"a budget of {budgets.sum()} leaves class {number} ({class_sizes[number]} examples) "
            "without any, expected at least 1 from each class"
        )


def budget_of(n: int, *, fraction: float | None = None, count: int | None = None) -> int:
    """The number to select of n examples, from a fraction in (0, 1] or a count.

    Raises InputError unless exactly one is given and in range.
    """
    if (fraction is None) == (count is None):
        raise InputError(
            f"fraction is {fraction} and count is {count}, expected exactly one of them"
        )
    if count is not None:
        return check_count(count, n, "count (examples to select)")
    if fraction is None or not 0 < fraction <= 1:
        raise InputError(f"fraction is {fraction}, expected more than 0 and at most 1")
    return max(1, math.floor(fraction * n + 0.5))


def _proportional(sizes, total):
    """Largest remainders in integers; shares total * size / n never exceed the size."""
    budgets, remainders = np.divmod(total * sizes, sizes.sum())
    largest_first = np.argsort(-remainders, kind="stable")
    budgets[largest_first[: total - budgets.sum()]] += 1
    return budgets


def _equal(sizes, total):
    budgets = np.zeros_like(sizes)
    smallest_first = np.argsort(sizes, kind="stable")
    for position, number in enumerate(smallest_first):
        share = total // (len(sizes) - position)
        if sizes[number] > share:  # so are all that follow
            others = np.sort(smallest_first[position:])
            budgets[others] = share
            # The remainder, one each: all of them are larger than their share.
            budgets[others[: total - share * len(others)]] += 1
            break
        budgets[number] = sizes[number]
        total -= sizes[number]
    return budgets
