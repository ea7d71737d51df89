import itertools

import numpy as np
import pytest

from ntk_aug.coreset.overlaps import expected_top_overlap, overlap, top_probabilities
from ntk_aug.errors import InputError


def test_the_overlap_is_of_the_smaller_subset():
    assert overlap(np.array([1, 2, 3, 4]), np.array([4, 9])) == 0.5
    assert np.isnan(overlap(np.array([1]), np.array([], int)))


def test_examples_that_tie_share_the_places_that_are_left():
    counts = np.array([5, 3, 3, 3, 0])
    np.testing.assert_allclose(top_probabilities(counts, 2), [1, 1 / 3, 1 / 3, 1 / 3, 0])
    np.testing.assert_allclose(top_probabilities(counts, 4), [1, 1, 1, 1, 0])


@pytest.mark.parametrize("top", [1, 2, 3, 5])
def test_the_expectation_is_the_mean_over_all_ways_to_break_ties(top):
    first, second = np.array([2, 1, 1, 0, 0]), np.array([1, 1, 2, 2, 0])
    orders = list(itertools.permutations(range(5)))

    def tops(counts):
        return [set(sorted(order, key=lambda i: -counts[i])[:top]) for order in orders]

    shares = [len(a & b) / top for a in tops(first) for b in tops(second)]
    assert expected_top_overlap(first, second, top=top) == pytest.approx(np.mean(shares))


def test_equal_counts_overlap_as_much_as_chance():
    assert expected_top_overlap(np.ones(10, int), np.ones(10, int), top=3) == pytest.approx(0.3)


def test_bad_counts_are_refused():
    with pytest.raises(InputError, match="top"):
        top_probabilities(np.array([1, 2]), 3)
    with pytest.raises(InputError, match="shapes"):
        expected_top_overlap(np.array([1, 2]), np.array([1, 2, 3]), top=1)
