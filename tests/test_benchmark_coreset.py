"""The parts of the comparison of facility location, at tiny shapes."""

import numpy as np
import pytest

from benchmarks import coreset, coreset_gradients, coreset_peers
from ntk_aug.coreset import facility_location

CASE = coreset.Case("tiny", 2, 30, 5, num_outputs=4)


@pytest.fixture(scope="module", autouse=True)
def numpy_alone():
    """No library that compiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coreset_peers, "PEERS", {"numpy, lazy": coreset_peers.numpy_lazy})
        patch.setattr(coreset, "one_core", lambda: None)
        yield


@pytest.mark.parametrize("weights", [False, True])
def test_every_method_solves_the_same_problem(weights):
    result = coreset.measure(CASE, coreset.Options(weights=weights, repeats=1))
    assert list(result["methods"]) == ["ntk_aug", "numpy, lazy"]
    assert result["methods"]["numpy, lazy"]["objective"] == pytest.approx(1, rel=1e-6)
    assert coreset.times_ours(result, "ntk_aug") == 1
    coreset.print_results([result])


def test_rows_of_weight_gradients_are_as_far_apart_as_their_factors_say():
    gradients, _ = coreset_gradients.synthetic(2, 10, 4, weights=True)
    rows = coreset_gradients.rows_of(gradients)
    assert rows.shape == (20, 4 * coreset_gradients.WIDTH)
    expected = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.testing.assert_allclose(gradients.distances(np.arange(20)), expected, atol=1e-6)
    S = coreset_peers.similarity(rows)
    np.testing.assert_allclose(S, expected.max() - expected, rtol=1e-5, atol=1e-5)


def test_the_objective_is_that_of_the_selection():
    gradients, _ = coreset_gradients.synthetic(1, 40, 4, weights=False)
    found = facility_location(gradients, count=6)
    rows = coreset_gradients.rows_of(gradients)
    assert coreset_peers.objective(rows, found.indices) == pytest.approx(found.objective, rel=1e-6)


def test_the_exponent_is_the_slope_of_the_times():
    points = [
        {
            "size": n,
            "all_cores": False,
            "methods": {"ntk_aug": {"processor": {"median": 3e-6 * n**1.5}}},
        }
        for n in (100, 200, 800)
    ]
    assert coreset.exponent(points, "size", "ntk_aug") == pytest.approx(1.5)
