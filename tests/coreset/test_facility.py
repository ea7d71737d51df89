import inspect
import itertools

import numpy as np
import pytest
from helpers import orthogonal, pairwise, random_gradients, softmax_gradients

from ntk_aug import coreset
from ntk_aug.coreset.gradient_factors import as_factors
from ntk_aug.errors import InputError


def objective(distances, selected, constant):
    return (constant - distances[:, list(selected)].min(axis=1)).sum()


def textbook_greedy(distances, k, constant):
    """Selected examples and gains, with the objective computed anew for every candidate."""
    selected, gains, value = [], [], 0.0
    for _ in range(k):
        others = [j for j in range(len(distances)) if j not in selected]
        values = [objective(distances, [*selected, j], constant) for j in others]
        selected.append(others[int(np.argmax(values))])
        gains.append(max(values) - value)
        value = max(values)
    return selected, gains


EXACT = pytest.mark.parametrize("algorithm", ["incremental", "lazy"])


@EXACT
@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_near_the_best_of_all_subsets(seed, algorithm):
    gradients = random_gradients(seed, 10)
    found = coreset.facility_location(gradients, count=3, algorithm=algorithm)
    D = pairwise(gradients)
    best = max(
        objective(D, subset, found.constant) for subset in itertools.combinations(range(10), 3)
    )
    assert (1 - 1 / np.e) * best <= found.objective <= best * (1 + 1e-12)
    selected, gains = textbook_greedy(D, 3, found.constant)
    assert found.indices.tolist() == selected
    np.testing.assert_allclose(found.gains, gains, rtol=1e-9)


@pytest.mark.parametrize(
    ("algorithm", "memory_bytes"), [("incremental", 2**30), ("incremental", 1), ("lazy", 1)]
)
@pytest.mark.parametrize("make", [random_gradients, softmax_gradients])
def test_the_order_is_that_of_the_textbook_in_float64(make, algorithm, memory_bytes):
    gradients = make(0, 120)
    found = coreset.facility_location(
        gradients, count=60, algorithm=algorithm, memory_bytes=memory_bytes
    )
    D = pairwise(gradients)
    selected, gains = textbook_greedy(D, 60, found.constant)
    assert found.indices.tolist() == selected
    np.testing.assert_allclose(found.gains, gains, atol=1e-9 * gains[0])
    assert found.objective == pytest.approx(objective(D, selected, found.constant), rel=1e-12)


@EXACT
@pytest.mark.parametrize("seed", range(2))
def test_gains_that_float32_cannot_tell_apart_fall_as_in_float64(seed, algorithm):
    # Each of 60 points has its mirror image at a distance that differs by about 1e-8.
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((60, 3))
    gradients = 1 + np.concatenate([half, -half * (1 + 1e-8 * rng.standard_normal((60, 1)))])
    found = coreset.facility_location(gradients, count=40, algorithm=algorithm)
    D = pairwise(gradients)
    for step in range(40):  # no candidate of float64 would have done better
        before = found.indices[:step]
        nearest = D[:, before].min(axis=1, initial=found.constant)
        values = (found.constant - np.minimum(nearest[:, None], D)).sum(axis=0)
        shortfall = values.max() - values[found.indices[step]]
        assert shortfall <= 1e-13 * found.constant * 120


@pytest.mark.parametrize(
    ("algorithm", "memory_bytes"), [("incremental", 2**30), ("incremental", 1), ("lazy", 1)]
)
def test_the_order_is_the_textbooks_where_norms_are_of_very_different_sizes(
    algorithm, memory_bytes
):
    rng = np.random.default_rng(0)
    sizes = np.repeat([1e9, 1.0, 1e-6], 12)[:, None]
    gradients = sizes * rng.standard_normal((36, 4))
    found = coreset.facility_location(
        gradients, count=34, algorithm=algorithm, memory_bytes=memory_bytes
    )
    D = pairwise(gradients)
    nearest = np.full(36, D.max())
    for index in found.indices:  # the objective of the textbook cannot tell small gains apart
        gains = np.maximum(nearest[:, None] - D, 0).sum(axis=0)
        assert gains[index] >= gains.max() - 1e-9 * nearest.sum()
        nearest = np.minimum(nearest, D[:, index])


@EXACT
def test_of_examples_that_gain_the_same_the_first_is_taken(algorithm):
    # Eight groups, each the corners of a regular simplex of its own size in directions of its own:
    # either corner gains as much, up to rounding.
    rng = np.random.default_rng(0)
    centres = np.repeat(100 * np.eye(8, 48), 5, axis=0)
    corners = np.eye(40, 48, k=8) * np.repeat(rng.uniform(0.5, 2, 8), 5)[:, None]
    found = coreset.facility_location(
        (centres + corners) @ orthogonal(rng, 48), count=8, algorithm=algorithm
    )
    assert sorted(found.indices) == list(range(0, 40, 5))


def test_the_result_is_what_its_definitions_say():
    gradients = random_gradients(1, 40)
    found = coreset.facility_location(gradients, count=9)
    D = pairwise(gradients)[:, found.indices]
    np.testing.assert_array_equal(found.assignment, D.argmin(axis=1))
    np.testing.assert_array_equal(found.weights, np.bincount(D.argmin(axis=1), minlength=9))
    assert found.estimate == pytest.approx(D.min(axis=1).sum(), rel=1e-12)
    assert found.constant == pytest.approx(pairwise(gradients).max(), rel=1e-6)
    assert found.gains.sum() == pytest.approx(found.objective, rel=1e-12)
    error = gradients.sum(axis=0) - found.weights @ gradients[found.indices]
    assert found.gradient_error == pytest.approx(np.linalg.norm(error), rel=1e-9)
    # The corrected chain of the bound: the error, the estimate, the Frobenius norm.
    differences = gradients - gradients[found.indices][found.assignment]
    bound = np.sqrt(40 - 9) * np.linalg.norm(differences)
    assert found.gradient_error <= found.estimate <= bound


@EXACT
def test_gains_never_increase_and_the_order_has_nested_prefixes(algorithm):
    gradients = random_gradients(2, 60)
    all_of_them = coreset.facility_location(gradients, count=60, algorithm=algorithm)
    assert (np.diff(all_of_them.gains) <= 1e-9 * all_of_them.gains[0]).all()
    assert sorted(all_of_them.indices) == list(range(60))
    assert all_of_them.estimate == all_of_them.gradient_error == 0
    fewer = coreset.facility_location(gradients, count=7, algorithm=algorithm)
    np.testing.assert_array_equal(fewer.indices, all_of_them.indices[:7])


def test_a_permutation_of_the_examples_leaves_the_gains():
    # Not the order: of two examples that have only each other, either gains as much.
    gradients = random_gradients(3, 50)
    order = np.random.default_rng(0).permutation(50)
    found = coreset.facility_location(gradients, count=12)
    permuted = coreset.facility_location(gradients[order], count=12)
    np.testing.assert_allclose(permuted.gains, found.gains, rtol=1e-9)
    assert permuted.objective == pytest.approx(found.objective, rel=1e-12)
    assert set(order[permuted.indices[:3]]) == set(found.indices[:3])


@EXACT
def test_a_larger_constant_leaves_the_order(algorithm):
    gradients = random_gradients(4, 50)
    found = coreset.facility_location(gradients, count=12, algorithm=algorithm)
    larger = coreset.facility_location(
        gradients, count=12, constant=found.constant + 100, algorithm=algorithm
    )
    np.testing.assert_array_equal(larger.indices, found.indices)
    np.testing.assert_allclose(larger.gains[1:], found.gains[1:], rtol=1e-9)
    assert larger.objective == pytest.approx(found.objective + 50 * 100, rel=1e-12)


def test_a_shift_of_all_gradients_leaves_the_selection():
    gradients = random_gradients(5, 50)
    found = coreset.facility_location(gradients, count=12)
    shifted = coreset.facility_location(gradients + 1000, count=12)
    np.testing.assert_array_equal(shifted.indices, found.indices)
    assert shifted.estimate == pytest.approx(found.estimate, rel=1e-6)


@EXACT
@pytest.mark.parametrize("scale", [2.0**400, 2.0**-400])
def test_gradients_of_any_size_select_the_same(algorithm, scale):
    gradients = random_gradients(5, 50)  # powers of two scale without rounding
    found = coreset.facility_location(gradients, count=12, algorithm=algorithm)
    scaled = coreset.facility_location(gradients * scale, count=12, algorithm=algorithm)
    np.testing.assert_array_equal(scaled.indices, found.indices)
    assert scaled.estimate == pytest.approx(found.estimate * scale, rel=1e-12)


@EXACT
def test_it_stops_as_soon_as_the_estimate_is_within_the_tolerance(algorithm):
    gradients = random_gradients(6, 40)
    estimates = [
        coreset.facility_location(gradients, count=k, algorithm=algorithm).estimate for k in (5, 6)
    ]
    between = (estimates[0] + estimates[1]) / 2
    found = coreset.facility_location(gradients, tolerance=between, algorithm=algorithm)
    assert len(found.indices) == 6
    assert found.estimate == estimates[1]
    at_most = coreset.facility_location(gradients, tolerance=between, count=3, algorithm=algorithm)
    assert len(at_most.indices) == 3
    assert coreset.facility_location(gradients, tolerance=0, algorithm=algorithm).estimate == 0


@EXACT
def test_of_duplicates_one_stands_for_all(algorithm):
    distinct = random_gradients(7, 6)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(6), 5))
    found = coreset.facility_location(distinct[order], count=10, algorithm=algorithm)
    # After one of each nothing is left to gain: then the lowest indices, which stand for none.
    assert sorted(order[found.indices[:6]]) == list(range(6))
    assert found.weights.tolist() == [5] * 6 + [0] * 4
    rest = np.setdiff1d(np.arange(30), found.indices[:6])
    np.testing.assert_array_equal(found.indices[6:], rest[:4])
    np.testing.assert_array_equal(found.gains[6:], 0)
    assert found.estimate == 0
    first_of_each = [int(np.argmax(order == order[i])) for i in found.indices[:6]]
    assert found.indices[:6].tolist() == first_of_each


@EXACT
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_gradients_are_selected_in_their_order(value, algorithm):
    found = coreset.facility_location(np.full((50, 7), value), count=4, algorithm=algorithm)
    assert found.indices.tolist() == [0, 1, 2, 3]
    assert found.weights.tolist() == [50, 0, 0, 0]
    assert found.estimate == 0
    assert found.gradient_error < 1e-13  # of summing 0.1 fifty times
    stopped = coreset.facility_location(np.full((50, 7), value), tolerance=0, algorithm=algorithm)
    assert stopped.indices.tolist() == [0]


def test_the_corrected_bound_holds_for_500_draws():
    """Eq. (44): ||sum_i g_i - sum_j gamma_j g_j|| <= sum_i ||D_i|| <= sqrt(n - k) ||D||_F.

    D_i is g_i less its nearest selected one, and k the number of those that stand for any.
    """
    rng = np.random.default_rng(0)
    for draw in range(500):
        n, k = 25, 1 + draw % 9
        gradients = rng.standard_normal((n, 7)) * np.exp(2 * rng.standard_normal((n, 1)))
        if draw % 2:  # exact duplicates
            gradients = gradients[rng.integers(0, n, n)]
        found = coreset.facility_location(gradients, count=k)
        D = gradients - gradients[found.indices][found.assignment]
        lengths = np.linalg.norm(D, axis=1)
        standing = found.indices[found.weights > 0]
        assert found.weights.sum() == n
        assert not D[standing].any()
        rounding = 1 + 1e-12
        scale = 1e-7 * np.linalg.norm(gradients, axis=1).max()  # of distances from products
        assert found.gradient_error <= lengths.sum() * rounding + scale
        assert lengths.sum() == pytest.approx(found.estimate, rel=1e-9, abs=scale)
        assert lengths.sum() <= np.sqrt(n - len(standing)) * np.linalg.norm(D) * rounding


def test_progress_is_told_for_each_selected_example():
    told = []
    coreset.facility_location(
        random_gradients(0, 8), count=3, progress=lambda *told_now: told.append(told_now)
    )
    assert told == [("facility location", done, 3) for done in (1, 2, 3)]


def test_bad_input_is_told_before_anything_is_selected():
    gradients = random_gradients(0, 8)
    with pytest.raises(InputError, match="neither count nor tolerance"):
        coreset.facility_location(gradients)
    with pytest.raises(InputError, match="is 9, expected 1 to 8"):
        coreset.facility_location(gradients, count=9)
    with pytest.raises(InputError, match=r"tolerance is -1\.0, expected at least 0"):
        coreset.facility_location(gradients, tolerance=-1.0)
    with pytest.raises(InputError, match=r"constant is 0\.1, expected at least .* distance"):
        coreset.facility_location(gradients, count=2, constant=0.1)
    with pytest.raises(InputError, match=r"shape \(8,\), expected \[n, P\]"):
        inspect.unwrap(as_factors)(gradients[:, 0])
    with pytest.raises(InputError, match="no gradients"):
        coreset.facility_location(gradients[:0], count=1)
    long = gradients.copy()
    long[3] = 1e200
    with pytest.raises(InputError, match=r"gradient of example 3 is longer than 1e\+150"):
        coreset.facility_location(long, count=2)
    gradients[[5, 7], [0, 3]] = np.nan, np.inf
    with pytest.raises(InputError, match="in 2 of 8 examples, first in example 5"):
        coreset.facility_location(gradients, count=2)
