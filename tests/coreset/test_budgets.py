import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.coreset.budgets import ALLOCATIONS
from ntk_aug.errors import InputError


def test_largest_remainders_of_an_example_by_hand():
    # Shares of 10 among 53, 24, 23: 5.3, 2.4, 2.3; the missing one goes to the 0.4.
    assert coreset.class_budgets(np.array([53, 24, 23]), count=10).tolist() == [5, 3, 2]


def test_equal_remainders_go_to_the_lower_classes():
    assert coreset.class_budgets(np.array([5, 5, 5]), count=4).tolist() == [2, 1, 1]


def test_small_classes_give_all_and_the_rest_goes_to_the_others():
    sizes = np.array([50, 3, 40, 10])
    # 60 / 4 = 15 each; 3 and 10 give all, and 47 are left for two.
    found = coreset.class_budgets(sizes, count=60, allocation="equal")
    assert found.tolist() == [24, 3, 23, 10]
    # An exact share and one that leaves a remainder.
    assert coreset.class_budgets(sizes, count=12, allocation="equal").tolist() == [3, 3, 3, 3]
    assert coreset.class_budgets(sizes, count=14, allocation="equal").tolist() == [4, 3, 4, 3]


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_sums_are_exact_and_no_class_gives_more_than_it_has(allocation):
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(1, 40, rng.integers(1, 9))
        total = int(rng.integers(1, sizes.sum() + 1))
        found = coreset.class_budgets(sizes, count=total, allocation=allocation)
        assert found.sum() == total
        assert (found >= 0).all()
        assert (found <= sizes).all()
        if allocation == "proportional":
            assert np.abs(found - total * sizes / sizes.sum()).max() < 1
        else:  # a class that keeps some gives as many as any other, up to one
            assert (found.max() - found[found < sizes] <= 1).all()


def test_a_fraction_is_rounded_to_the_nearest_count():
    sizes = np.array([7, 8])
    for fraction, expected in [(0.1, 2), (0.09, 1), (0.001, 1), (1, 15), (0.5, 8)]:
        assert coreset.class_budgets(sizes, fraction=fraction).sum() == expected


@pytest.mark.parametrize("wrong", [0, -0.1, 1.0001, float("nan"), float("inf")])
def test_fractions_outside_0_to_1_are_refused(wrong):
    with pytest.raises(InputError, match=r"fraction is .* expected more than 0 and at most 1"):
        coreset.class_budgets(np.array([3, 4]), fraction=wrong)


@pytest.mark.parametrize("count", [0, 8])
def test_counts_that_the_data_cannot_give_are_refused(count):
    with pytest.raises(InputError, match=rf"is {count}, expected 1 to 7"):
        coreset.class_budgets(np.array([3, 4]), count=count)


def test_other_bad_input_is_told():
    with pytest.raises(InputError, match="class 1 has 0 examples"):
        coreset.class_budgets(np.array([3, 0]), count=1)
    with pytest.raises(InputError, match="no classes"):
        coreset.class_budgets(np.array([], int), count=1)
    with pytest.raises(InputError, match="exactly one of them"):
        coreset.class_budgets(np.array([3]))
    with pytest.raises(InputError, match="exactly one of them"):
        coreset.class_budgets(np.array([3]), count=1, fraction=0.5)
    with pytest.raises(InputError, match="did you mean 'equal'"):
        coreset.class_budgets(np.array([3]), count=1, allocation="equals")
