"""What the tests of the paper's theory share: checks of both sides, and hypothesis' options."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from ntk_aug.theory import AssumptionError

SEEDS = st.integers(0, 2**32 - 1)


def examples(count):
    """So many drawn examples, the same ones in every run."""
    return settings(deadline=None, max_examples=count, derandomize=True, database=None)


def is_bounded(lhs, rhs, relation, slack):
    lhs, rhs = np.asarray(lhs, np.float64), np.asarray(rhs, np.float64)
    if relation == "==":
        return bool(np.all(np.abs(lhs - rhs) <= slack))
    small, large = (rhs, lhs) if relation == ">=" else (lhs, rhs)
    return bool(np.all(np.isinf(large) | (small <= large + slack)))


def check_corrected(sides, tolerance=1e-9):
    """Asserts every corrected bound, from the two sides and by what the library says of them."""
    for name, bound in sides.corrected_bounds.items():
        size = np.maximum(np.abs(np.nan_to_num(bound.rhs, posinf=0.0)), bound.scale)
        slack = max(tolerance, bound.tolerance) * size
        assert is_bounded(bound.lhs, bound.rhs, bound.relation, slack), (name, bound)
        assert bound.holds, (name, bound)
    assert sides.corrected_holds


def is_violated(bound):
    """Whether a bound fails by far more than rounding."""
    slack = 1e-4 * np.maximum(np.abs(bound.lhs), np.abs(bound.rhs))
    return not is_bounded(bound.lhs, bound.rhs, bound.relation, slack)


def check_violated(sides):
    """Asserts that the printed form fails there."""
    assert not sides.printed_holds
    assert any(map(is_violated, [sides.printed_bound, *sides.further_printed.values()]))


def check_tight(bound, least=0.98):
    assert least <= bound.ratio <= 1 + 1e-9, bound


def check_enforced(name, function, *arguments, fragment="", **options):
    """Asserts that the assumption is enforced under its name, and computed with all the same.

    Returns both sides without it.
    """
    with pytest.raises(AssumptionError) as error:
        function(*arguments, **options)
    assert error.value.name == name
    assert repr(name) in str(error.value)
    assert fragment in str(error.value)
    assert "\n" not in str(error.value)
    sides = function(*arguments, **options, drop=(name,))
    failing = [one.name for one in sides.assumptions if not (one.holds or one.silent)]
    assert failing == [name]
    return sides


def assumption(sides, name):
    """The one of this name."""
    (found,) = (one for one in sides.assumptions if one.name == name)
    return found
