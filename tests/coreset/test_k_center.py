import itertools

import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.errors import InputError


def radius(gradients, selected):
    distances = np.linalg.norm(gradients[:, None] - gradients[None, list(selected)], axis=2)
    return distances.min(axis=1).max()


@pytest.mark.parametrize("seed", range(10))
def test_the_radius_is_at_most_twice_the_smallest_of_all_subsets(seed):
    gradients = np.random.default_rng(seed).standard_normal((12, 2))
    found = coreset.k_center_greedy(gradients, 3)
    best = min(radius(gradients, subset) for subset in itertools.combinations(range(12), 3))
    assert best <= found.gains[-1] * (1 + 1e-12)
    assert found.gains[-1] <= 2 * best


def test_each_is_the_farthest_from_those_before_it_and_the_first_is_next_to_the_mean():
    gradients = np.random.default_rng(0).standard_normal((50, 4)) + 3
    found = coreset.k_center_greedy(gradients, 9)
    to_mean = np.linalg.norm(gradients - gradients.mean(axis=0), axis=1)
    assert found.indices[0] == np.argmin(to_mean)
    distances = np.linalg.norm(gradients[:, None] - gradients[None, found.indices], axis=2)
    for step in range(1, 9):
        assert found.indices[step] == np.argmax(distances[:, :step].min(axis=1))
    expected = [radius(gradients, found.indices[:step]) for step in range(1, 10)]
    np.testing.assert_allclose(found.gains, expected, rtol=1e-12)
    assert (np.diff(found.gains) <= 0).all()
    np.testing.assert_array_equal(found.weights, np.bincount(distances.argmin(axis=1)))


def test_the_radius_can_be_twice_the_smallest():
    # From the centre of two pairs, one end is left behind; one of each pair leaves 1.
    ends = np.array([[-3.0], [-1.0], [0.0], [1.0], [3.0]])
    found = coreset.k_center_greedy(ends, 2)
    assert found.indices.tolist() == [2, 0]
    assert found.gains.tolist() == [3, 3]
    assert radius(ends, [1, 3]) == 2


def test_factors_give_what_their_products_give():
    rng = np.random.default_rng(0)
    outer, inner = rng.standard_normal((40, 3)), rng.standard_normal((40, 5))
    expanded = np.einsum("ia,ib->iab", outer, inner).reshape(40, 15)
    found = coreset.k_center_greedy(coreset.GradientFactors(outer, inner), 10)
    expected = coreset.k_center_greedy(expanded, 10)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.gains, expected.gains, rtol=1e-9)


def test_a_permutation_of_the_examples_permutes_the_selection():
    gradients = np.random.default_rng(1).standard_normal((40, 3))
    order = np.random.default_rng(2).permutation(40)
    found = coreset.k_center_greedy(gradients[order], 12)
    np.testing.assert_array_equal(
        order[found.indices], coreset.k_center_greedy(gradients, 12).indices
    )


def test_no_example_is_selected_twice_where_all_are_equal():
    found = coreset.k_center_greedy(np.ones((5, 2)), 5)
    assert found.indices.tolist() == [0, 1, 2, 3, 4]
    assert found.gains.tolist() == [0] * 5
    assert found.weights.tolist() == [5, 0, 0, 0, 0]


def test_bad_input_is_told():
    with pytest.raises(InputError, match=r"count .* is 4, expected 1 to 3"):
        coreset.k_center_greedy(np.ones((3, 2)), 4)
    with pytest.raises(InputError, match="first in example 1"):
        coreset.k_center_greedy(np.array([[1.0], [np.nan]]), 1)
