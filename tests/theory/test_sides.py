import numpy as np
import pytest
from theory_checks import assumption

from ntk_aug.errors import InputError
from ntk_aug.theory import AssumptionError, Bound, Sides, equation_19
from ntk_aug.theory.sides import Assumptions


def test_a_bound_compares_at_each_place():
    bound = Bound(np.array([1.0, 2.0, 3.0]), 2.0)
    np.testing.assert_array_equal(bound.holds_at, [True, True, False])
    np.testing.assert_array_equal(bound.ratios, [0.5, 1, 1.5])
    assert not bound.holds
    assert bound.ratio == 1.5
    assert Bound(np.array([1.0, 2.0]), np.array([1.0, 2.0])).holds


def test_numbers_make_a_bound_of_one_place():
    bound = Bound(1.0, 2.0)
    assert bound.holds_at.shape == () == bound.ratios.shape
    assert bound.holds
    assert not Bound(2.0, 1.0).holds
    assert Bound(1, 1).holds


@pytest.mark.parametrize(
    ("lhs", "rhs", "relation", "holds", "ratio"),
    [
        (1.0, 2.0, ">=", False, 2.0),
        (2.0, 1.0, ">=", True, 0.5),
        (2.0, 2.0, "==", True, 1.0),
        (2.0, 1.0, "==", False, 2.0),
        (1.0, 2.0, "==", False, 2.0),
        (0.0, 0.0, "<=", True, 0.0),
        (0.0, 0.0, "==", True, 1.0),
        (1.0, 0.0, "<=", False, np.inf),
        (1.0, np.inf, "<=", True, 0.0),
        (np.inf, np.inf, "<=", True, None),
        (1.0, -np.inf, "<=", False, None),
        (1.0, np.inf, ">=", False, None),
        (1.0, np.inf, "==", False, None),
        (np.inf, np.inf, "==", True, 1.0),
        (np.nan, np.inf, "<=", False, None),
        (np.nan, 1.0, "<=", False, None),
        (1.0, np.nan, "<=", False, None),
    ],
)
def test_relations(lhs, rhs, relation, holds, ratio):
    bound = Bound(lhs, rhs, relation)
    assert bound.holds is holds
    if ratio is not None:
        assert bound.ratio == ratio


def test_rounding_is_granted_relative_to_the_right_side_or_to_the_scale():
    assert Bound(1 + 9e-11, 1.0).holds
    assert not Bound(1 + 2e-10, 1.0).holds
    assert Bound(1 + 2e-10, 1.0, tolerance=1e-9).holds
    assert not Bound(1e-12, 0.0).holds
    assert Bound(1e-12, 0.0, scale=1.0).holds
    assert Bound(1e-12, 0.0, scale=1.0).ratio == 0  # nothing to bound
    assert Bound(1.0, 1 + 9e-11, "==").holds
    assert Bound(1.0, 1 + 9e-11, ">=").holds
    assert not Bound(1.0, 1 + 2e-10, ">=").holds


def test_sides_gather_all_bounds():
    further = {"a": Bound(3.0, 2.0)}
    sides = Sides("x", 1.0, 0.5, 2.0, further=further)
    assert list(sides.corrected_bounds) == ["corrected", "a"]
    assert sides.corrected_bound.holds
    assert not sides.corrected_holds  # because of "a"
    assert not sides.printed_holds
    assert Sides("x", 1.0, 1.5, 2.0, further_printed={"b": Bound(1.0, 0.5)}).printed_holds is False
    assert Sides("x", 1.0, None, 2.0).printed_holds is None
    assert Sides("x", 1.0, None, 2.0).printed_bound is None


def test_a_printed_form_may_have_a_left_side_and_a_relation_of_its_own():
    sides = Sides("x", 1.0, 2.0, 1.0, "==", printed_lhs=3.0, printed_relation=">=")
    assert sides.printed_bound == Bound(3.0, 2.0, ">=")
    assert sides.printed_holds
    assert sides.corrected_bound.relation == "=="


def test_an_assumption_is_recorded_with_its_value():
    assumptions = Assumptions()
    assumptions.check("small", "x", 1.0, "<=", 2.0)
    assumptions.check("silent", "y", 3.0, "<=", 2.0, silent=True)
    small, silent = assumptions.finish()
    assert (small.name, small.text, small.value) == ("small", "x", 1.0)
    assert (small.relation, small.limit) == ("<=", 2.0)
    assert small.holds
    assert not small.silent
    assert silent.silent
    assert not silent.holds


@pytest.mark.parametrize(
    ("value", "relation", "limit", "holds"),
    [
        (1.0, ">=", 2.0, False),
        (2.0, ">=", 2.0, True),
        (2.0, "==", 2.0 + 1e-10, True),
        (2.0, "==", 2.1, False),
        (2.0, "==", 1.9, False),
        (1 + 1e-8, "<=", 1.0, False),
        (1e-10, "<=", 0.0, True),
        (1e-8, "<=", 0.0, False),
        (5.0, "<=", np.inf, True),
        (np.inf, "<=", np.inf, True),
        (np.inf, "<=", 5.0, False),
        (np.nan, "<=", 5.0, False),
        (np.nan, "==", 5.0, False),
    ],
)
def test_an_assumption_that_fails_raises_unless_dropped(value, relation, limit, holds):
    if holds:
        Assumptions().check("name", "text", value, relation, limit)
    else:
        with pytest.raises(AssumptionError, match=r"assumption 'name' fails \(text\)") as error:
            Assumptions().check("name", "text", value, relation, limit)
        assert error.value.name == "name"
        assert isinstance(error.value, InputError)
    for drop in (("name",), ["name"], {"name"}, "name"):
        dropped = Assumptions(drop)
        dropped.check("name", "text", value, relation, limit)
        (found,) = dropped.finish()
        assert found.holds is holds


def test_only_enforced_assumptions_can_be_dropped():
    assumptions = Assumptions(("sient",))
    assumptions.check("silent", "y", 3.0, "<=", 2.0, silent=True)
    assumptions.check("sent", "y", 1.0, "<=", 2.0)
    with pytest.raises(InputError, match="did you mean 'sent'"):
        assumptions.finish()
    silent = Assumptions(("silent",))
    silent.check("silent", "y", 3.0, "<=", 2.0, silent=True)
    with pytest.raises(InputError, match="unknown assumption to drop 'silent'"):
        silent.finish()


def test_dropping_several_at_once():
    sides = equation_19([[1.0]], [[-1.5]], e=0.1, drop=("e", "sigma_min > e"))
    assert not assumption(sides, "e").holds
    assert assumption(sides, "sigma_min > e").holds  # of the e that was given
    assert not sides.corrected_holds
