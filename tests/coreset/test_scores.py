import numpy as np
import pytest

from ntk_aug.coreset.baselines import largest_scores
from ntk_aug.errors import InputError


def test_the_largest_come_first_and_of_equals_the_first():
    found = largest_scores(np.array([1.0, 3.0, 2.0, 3.0, 1.0, 0.0]), 4)
    assert found.indices.tolist() == [1, 3, 2, 0]
    assert found.gains.tolist() == [3, 3, 2, 1]
    assert found.weights.tolist() == [1.5] * 4
    assert largest_scores(np.zeros(50), 50).indices.tolist() == list(range(50))


def test_many_ties_fall_to_the_lower_indices():
    scores = np.random.default_rng(0).integers(0, 5, 2000).astype(np.float64)
    found = largest_scores(scores, 1500)
    np.testing.assert_array_equal(found.indices, np.lexsort((np.arange(2000), -scores))[:1500])


def test_they_are_those_of_a_partition():
    scores = np.random.default_rng(0).standard_normal(100)
    found = largest_scores(scores, 17)
    assert set(found.indices) == set(np.argpartition(scores, 83)[83:])


def test_bad_input_is_told():
    with pytest.raises(InputError, match=r"scores hold NaN or infinity in 1 of 3 .* example 2"):
        largest_scores(np.array([0.0, 1.0, np.nan]), 1)
    with pytest.raises(InputError, match=r"count .* is 4, expected 1 to 3"):
        largest_scores(np.zeros(3), 4)
