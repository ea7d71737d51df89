import itertools

import jax
import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.coreset.gradient_errors import error_estimate
from ntk_aug.errors import InputError


@pytest.fixture(scope="module")
def factors():
    rng = np.random.default_rng(0)
    return coreset.GradientFactors(rng.standard_normal((30, 3)), rng.standard_normal((30, 5)))


def expanded(factors):
    return np.einsum("ia,ib->iab", factors.outer, factors.inner).reshape(len(factors), -1)


def test_the_error_is_the_norm_of_the_difference_of_the_sums(factors):
    indices, weights = np.array([4, 9, 4]), np.array([2.0, 3.5, 1.0])
    rows = expanded(factors)
    expected = np.linalg.norm(rows.sum(axis=0) - weights @ rows[indices])
    assert coreset.gradient_error(factors, indices, weights) == pytest.approx(expected)
    assert coreset.gradient_error(rows, indices, weights) == pytest.approx(expected)
    nothing = coreset.gradient_error(rows, np.array([], int), np.array([]))
    assert nothing == pytest.approx(np.linalg.norm(rows.sum(axis=0)))
    assert coreset.gradient_error(rows, np.arange(30), np.ones(30)) == 0


def test_it_is_the_one_that_facility_location_gives(factors):
    found = coreset.facility_location(factors, count=7)
    error = coreset.gradient_error(factors, found.indices, found.weights)
    assert error == pytest.approx(found.gradient_error)


def test_errors_of_random_subsets_are_among_those_of_all_subsets():
    # 2 of 4 examples of one class and 1 of 3 of another: 18 subsets, each as likely.
    rng = np.random.default_rng(0)
    gradients, labels = rng.standard_normal((7, 2)), np.array([0, 1, 0, 1, 0, 1, 0])
    first, second = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    every = [
        np.linalg.norm(
            gradients.sum(axis=0) - 2 * gradients[list(pair)].sum(axis=0) - 3 * gradients[one]
        )
        for pair in itertools.combinations(first, 2)
        for one in second
    ]
    found = coreset.random_gradient_errors(
        jax.random.key(0), gradients, labels, np.array([2, 1]), draws=3600
    )
    distances = np.abs(found[:, None] - np.array(every))
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-12)
    counts = np.bincount(distances.argmin(axis=1), minlength=18)
    assert ((counts - 200) ** 2 / 200).sum() < 40.8  # chi-square, 17 degrees of freedom: 0.1 %


def test_random_errors_in_factors_are_those_of_their_products(factors):
    labels = np.arange(30) % 3
    errors = [
        coreset.random_gradient_errors(jax.random.key(1), gradients, labels, np.array([4, 0, 10]))
        for gradients in (
            factors,
            expanded(factors),
            coreset.GradientFactors(factors.inner, factors.outer),
        )
    ]
    assert errors[0].shape == (100,)
    np.testing.assert_allclose(errors[1], errors[0])
    np.testing.assert_allclose(errors[2], errors[0])
    nothing = coreset.random_gradient_errors(jax.random.key(1), factors, labels, np.zeros(3, int))
    np.testing.assert_allclose(nothing, np.linalg.norm(expanded(factors).sum(axis=0)))


def test_mean_square_error_is_that_of_sampling_without_replacement():
    gradients = np.random.default_rng(0).standard_normal((50, 3))
    found = coreset.random_gradient_errors(
        jax.random.key(0), gradients, np.zeros(50, int), np.array([10]), draws=4000
    )
    # Cochran, Sampling techniques, theorem 2.2: n^2 / k (1 - k / n) times the variance.
    expected = 50**2 / 10 * (1 - 10 / 50) * gradients.var(axis=0, ddof=1).sum()
    assert (found**2).mean() == pytest.approx(expected, rel=0.05)


def test_weights_of_mean_one():
    assert coreset.mean_one_weights(np.array([3, 1, 0])).tolist() == [2.25, 0.75, 0]
    assert coreset.mean_one_weights(np.array([])).shape == (0,)
    for wrong in ([-1.0, 2.0], [0.0, 0.0], [1.0, np.nan]):
        with pytest.raises(InputError, match="expected numbers of at least 0"):
            coreset.mean_one_weights(np.array(wrong))


def test_bad_input_is_told(factors):
    with pytest.raises(InputError, match=r"index 30 is outside 0 .. 29"):
        coreset.gradient_error(factors, np.array([3, 30]), np.ones(2))
    with pytest.raises(InputError, match="array of weights has shape"):
        coreset.gradient_error(factors, np.array([3]), np.ones(2))
    errors = coreset.random_gradient_errors
    labels = np.zeros(30, int)
    with pytest.raises(InputError, match="budget of class 0 is 31, expected 0 to 30"):
        errors(jax.random.key(0), factors, labels, np.array([31]))
    with pytest.raises(InputError, match="draws is 0"):
        errors(jax.random.key(0), factors, labels, np.array([3]), draws=0)
    with pytest.raises(InputError, match="label 1 of image 0"):
        errors(jax.random.key(0), factors, labels + 1, np.array([3]))


def test_the_estimate_is_the_sum_of_distances_to_the_nearest_selected():
    gradients = np.random.default_rng(0).standard_normal((30, 4))
    chosen = np.array([3, 17, 4])
    distances = np.linalg.norm(gradients[:, None] - gradients[chosen], axis=2)
    expected = distances.min(axis=1).sum()
    assert error_estimate(gradients, chosen) == pytest.approx(expected, rel=1e-12)
    assert error_estimate(gradients, np.empty(0, int)) == np.inf
    with pytest.raises(InputError, match="index 30 is outside"):
        error_estimate(gradients, np.array([2, 30]))
