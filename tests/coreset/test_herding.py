import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.errors import InputError


def herding_by_definition(gradients, k):
    """Means of the selected with each candidate in turn, from nothing but the definition."""
    mean, selected, distances = gradients.mean(axis=0), [], [np.linalg.norm(gradients.mean(axis=0))]
    for _ in range(k):
        left = [j for j in range(len(gradients)) if j not in selected]
        errors = [np.linalg.norm(mean - gradients[[*selected, j]].mean(axis=0)) for j in left]
        selected.append(left[int(np.argmin(errors))])
        distances.append(min(errors))
    return selected, -np.diff(distances)


@pytest.mark.parametrize("seed", range(3))
def test_each_step_brings_the_mean_nearest_to_that_of_all(seed):
    rng = np.random.default_rng(seed)
    gradients = rng.standard_normal((40, 5)) * np.exp(rng.standard_normal((40, 1))) + 1
    found = coreset.herd(gradients, 25)
    indices, gains = herding_by_definition(gradients, 25)
    assert found.indices.tolist() == indices
    np.testing.assert_allclose(found.gains, gains, atol=1e-12)
    assert (found.weights == 40 / 25).all()


def test_factors_give_what_their_products_give():
    rng = np.random.default_rng(0)
    outer, inner = rng.standard_normal((40, 3)), rng.standard_normal((40, 5))
    expanded = np.einsum("ia,ib->iab", outer, inner).reshape(40, 15)
    found = coreset.herd(coreset.GradientFactors(outer, inner), 10)
    expected = coreset.herd(expanded, 10)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.gains, expected.gains, atol=1e-12)


def test_the_mean_of_k_is_nearer_by_a_rate_of_one_over_k():
    # That of random subsets falls as 1 / sqrt(k).
    gradients = np.random.default_rng(0).standard_normal((2000, 3))
    found = coreset.herd(gradients, 400)
    errors = np.linalg.norm(gradients.mean(axis=0)) - np.cumsum(found.gains)
    for k in (20, 100, 400):
        assert errors[k - 1] < 2 / k
    np.testing.assert_allclose(
        errors[399] * 2000, coreset.gradient_error(gradients, found.indices, found.weights)
    )


def test_all_are_selected_once_and_have_the_mean_of_all():
    gradients = np.random.default_rng(0).standard_normal((30, 3))
    found = coreset.herd(gradients, 30)
    assert sorted(found.indices) == list(range(30))
    assert found.gains.sum() == pytest.approx(np.linalg.norm(gradients.mean(axis=0)))
    assert coreset.herd(np.ones((4, 2)), 4).indices.tolist() == [0, 1, 2, 3]


def test_a_permutation_of_the_examples_permutes_the_selection():
    gradients = np.random.default_rng(1).standard_normal((40, 3))
    order = np.random.default_rng(2).permutation(40)
    np.testing.assert_array_equal(
        order[coreset.herd(gradients[order], 12).indices], coreset.herd(gradients, 12).indices
    )


def test_bad_input_is_told():
    with pytest.raises(InputError, match=r"count .* is 0, expected 1 to 3"):
        coreset.herd(np.ones((3, 2)), 0)
    with pytest.raises(InputError, match="first in example 1"):
        coreset.herd(np.array([[1.0], [np.inf]]), 1)
