import numpy as np
import pytest
from scipy.optimize import nnls

from ntk_aug import coreset
from ntk_aug.coreset.gradient_matching import DEFAULT_RIDGE, _Weights
from ntk_aug.errors import InputError


def random_gradients(seed, n=60, num_columns=8):
    return np.random.default_rng(seed).standard_normal((n, num_columns)) + 0.3


def system(gradients, ridge):
    """A, b with ||A w - b||^2 = the objective of weights w of all examples."""
    scaled = np.sqrt(ridge * (gradients**2).sum(axis=1).mean())
    n = len(gradients)
    return np.vstack([gradients.T, scaled * np.eye(n)]), np.append(
        gradients.sum(axis=0), np.zeros(n)
    )


def all_weights(n, found):
    weights = np.zeros(n)
    weights[found.indices] = found.weights
    return weights


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.5, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_with_a_budget_of_all_the_weights_are_those_of_non_negative_least_squares(seed, ridge):
    gradients = random_gradients(seed)
    found = coreset.match_gradients(gradients, 60, ridge=ridge)
    A, b = system(gradients, ridge)
    expected, residual = nnls(A, b)
    weights = all_weights(60, found)
    norm = np.linalg.norm(b)
    assert np.linalg.norm(A @ weights - b) == pytest.approx(residual, rel=1e-9, abs=1e-9 * norm)
    if ridge:  # then the best weights are unique
        np.testing.assert_allclose(weights, expected, atol=1e-8)


def pursuit_by_definition(gradients, k, ridge):
    """The same pursuit with all weights solved for anew by SciPy at each step, and its steps."""
    A, b = system(gradients, ridge)
    selected, gains, steps, objective = [], {}, 0, b @ b
    weights = np.zeros(len(gradients))
    while len(selected) < k:
        slopes = gradients @ (gradients.sum(axis=0) - weights @ gradients)
        slopes[selected] = -np.inf
        index = int(np.argmax(slopes))
        selected.append(index)
        weights = np.zeros(len(gradients))
        weights[selected], residual = nnls(A[:, selected], b)
        selected = [i for i in selected if weights[i] > 0]
        gains[index], objective, steps = objective - residual**2, residual**2, steps + 1
    return selected, weights, [gains[i] for i in selected], steps


@pytest.mark.parametrize(
    ("shape", "k", "ridge"), [((60, 8), 20, DEFAULT_RIDGE), ((200, 30), 60, 1e-3)]
)
@pytest.mark.parametrize("seed", range(3))
def test_each_step_takes_the_steepest_and_solves_for_all_weights(seed, shape, k, ridge):
    gradients = random_gradients(seed, *shape)
    found = coreset.match_gradients(gradients, k, ridge=ridge)
    selected, weights, gains, steps = pursuit_by_definition(gradients, k, ridge)
    assert found.indices.tolist() == selected
    np.testing.assert_allclose(all_weights(len(gradients), found), weights, atol=1e-8)
    np.testing.assert_allclose(found.gains, gains, atol=1e-9 * gains[0])
    if ridge < 0.1:  # some left again, as their weights would have been negative
        assert steps > k


def test_the_residual_never_grows_with_the_budget_and_ends_at_zero():
    gradients = random_gradients(0, 200, 30)
    found = [coreset.match_gradients(gradients, k, ridge=0) for k in range(1, 40)]
    errors = [coreset.gradient_error(gradients, s.indices, s.weights) for s in found]
    norm = np.linalg.norm(gradients.sum(axis=0))
    assert (np.diff(errors) <= 1e-12 * norm).all()
    assert errors[0] > 1e-3 * norm
    assert errors[-1] <= 1e-10 * norm
    # As many as there are dimensions are enough, and it says so by selecting no more.
    assert max(len(s.indices) for s in found) == 30
    assert all((s.weights > 0).all() for s in found)


def test_it_stops_once_the_residual_is_within_the_tolerance():
    gradients = random_gradients(1, 200, 30)
    norm = np.linalg.norm(gradients.sum(axis=0))
    found = coreset.match_gradients(gradients, 200, ridge=0, tolerance=0.01 * norm)
    assert coreset.gradient_error(gradients, found.indices, found.weights) <= 0.01 * norm
    fewer = coreset.match_gradients(gradients, len(found.indices) - 1, ridge=0)
    assert coreset.gradient_error(gradients, fewer.indices, fewer.weights) > 0.01 * norm


def test_the_unit_of_the_gradients_does_not_matter():
    gradients = random_gradients(2)
    found = coreset.match_gradients(gradients, 15)
    scaled = coreset.match_gradients(1e-3 * gradients, 15)
    np.testing.assert_array_equal(scaled.indices, found.indices)
    np.testing.assert_allclose(scaled.weights, found.weights, rtol=1e-9)


def test_factors_give_what_their_products_give():
    rng = np.random.default_rng(0)
    outer, inner = rng.standard_normal((60, 3)) + 0.3, rng.standard_normal((60, 5)) + 0.3
    expanded = np.einsum("ia,ib->iab", outer, inner).reshape(60, 15)
    found = coreset.match_gradients(coreset.GradientFactors(outer, inner), 20)
    expected = coreset.match_gradients(expanded, 20)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-9)
    np.testing.assert_allclose(found.gains, expected.gains, rtol=1e-6)


def test_a_permutation_of_the_examples_permutes_the_selection():
    gradients = random_gradients(3)
    order = np.random.default_rng(2).permutation(60)
    found = coreset.match_gradients(gradients[order], 15)
    np.testing.assert_array_equal(
        order[found.indices], coreset.match_gradients(gradients, 15).indices
    )


def test_duplicates_and_gradients_that_cancel():
    found = coreset.match_gradients(np.ones((5, 2)), 5, ridge=0)
    assert found.indices.tolist() == [0]
    np.testing.assert_allclose(found.weights, [5])
    shared = coreset.match_gradients(np.ones((5, 2)), 5)  # the ridge spreads it over all
    np.testing.assert_allclose(shared.weights, np.full(5, 5 / 5.5))
    nothing = coreset.match_gradients(np.array([[1.0], [-1.0]]), 2)
    assert len(nothing.indices) == len(nothing.weights) == len(nothing.gains) == 0


def test_the_sum_exactly_reached_ends_it_whatever_rounding_leaves():
    gradients = random_gradients(4, 40, 3)
    found = coreset.match_gradients(gradients, 40, ridge=0)
    assert len(found.indices) == 3
    again = coreset.match_gradients(np.vstack([gradients, gradients]), 80, ridge=0)
    assert again.indices.tolist() == found.indices.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_what_depends_linearly_on_the_selected_stays_out(seed):
    gradients = np.random.default_rng(seed).random((6, 3))
    factors = coreset.GradientFactors(np.vstack([gradients, gradients]))
    weights = _Weights(factors, factors.along(factors.combination(np.ones(12))), 0.0, 12)
    for index in range(12):
        weights.add(index)
    assert 2 <= len(weights.selected) <= 3
    assert (weights.values > 0).all()


def test_an_example_that_cannot_come_in_is_not_tried_again(monkeypatch):
    tried = []

    def refuse(self, index):
        tried.append(index)
        assert len(tried) <= 60
        return False

    monkeypatch.setattr("ntk_aug.coreset.gradient_matching._Weights.add", refuse)
    assert len(coreset.match_gradients(random_gradients(0), 60).indices) == 0
    assert len(set(tried)) == len(tried) > 1


def test_bad_input_is_told():
    gradients = random_gradients(0)
    with pytest.raises(InputError, match=r"count .* is 61, expected 1 to 60"):
        coreset.match_gradients(gradients, 61)
    with pytest.raises(InputError, match="ridge is -1"):
        coreset.match_gradients(gradients, 5, ridge=-1.0)
    with pytest.raises(InputError, match="tolerance is nan"):
        coreset.match_gradients(gradients, 5, tolerance=float("nan"))
    gradients[7] = np.nan
    with pytest.raises(InputError, match="first in example 7"):
        coreset.match_gradients(gradients, 5)
