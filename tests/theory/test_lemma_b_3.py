import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theory_checks import (
    SEEDS,
    assumption,
    check_corrected,
    check_enforced,
    check_tight,
    check_violated,
    examples,
)

from ntk_aug.errors import InputError
from ntk_aug.theory import lemma_b_3


@given(SEEDS, st.integers(1, 8), st.integers(1, 3), st.integers(1, 6), st.data())
@examples(150)
def test_the_largest_singular_value_is_bounded_from_below(seed, n, C, P, data):
    rng = np.random.default_rng(seed)
    k = data.draw(st.integers(1, n))
    J = rng.standard_normal((n, C, P)) * np.exp(rng.standard_normal((n, 1, 1)))
    r = rng.standard_normal((n, C))
    places = rng.permutation(n)[:k]
    gamma = rng.dirichlet(np.ones(k)) * n
    if k > 1:
        gamma[0] = 0
    S, g = J[places].reshape(k * C, P), sum(a.T @ b for a, b in zip(J, r, strict=True))
    r_S, weights = r[places].ravel(), np.repeat(gamma, C)
    error = np.linalg.norm(g - S.T @ (weights * r_S))
    stated = data.draw(st.booleans())
    xi = error * rng.uniform(1, 3) if stated else None
    sides = lemma_b_3(J, r, places, gamma, xi=xi)
    check_corrected(sides)
    num = max(0.0, np.linalg.norm(g) - (xi if stated else error))
    size = 1e-9 * np.linalg.norm(J) * np.linalg.norm(r)

    def top(scale):
        return np.linalg.svd(scale[:, None] * S, compute_uv=False)[0]

    expected = {
        "corrected": (np.linalg.norm(S), num / np.linalg.norm(weights * r_S)),
        "a": (top(weights), num / np.linalg.norm(r_S)),
        "b": (top(np.sqrt(weights)), num / np.linalg.norm(np.sqrt(weights) * r_S)),
        "c": (top(np.ones(k * C)), num / np.linalg.norm(weights * r_S)),
        "c, max": (top(np.ones(k * C)), num / (weights.max() * np.linalg.norm(r_S))),
    }
    assert list(sides.corrected_bounds) == list(expected)
    for name, (lhs, rhs) in expected.items():
        bound = sides.corrected_bounds[name]
        assert bound.relation == ">="
        assert bound.lhs == pytest.approx(lhs, rel=1e-9)
        assert bound.rhs == pytest.approx(rhs, rel=1e-9, abs=size)
    full = np.linalg.norm(g)
    assert sides.printed == pytest.approx(
        abs(full - (xi if stated else error)) / np.linalg.norm(r_S), abs=size
    )
    exact = not stated or abs(xi - error) <= 1e-9 * max(error, np.linalg.norm(g))
    assert assumption(sides, "xi exact").holds == exact


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_equal_points_violate_the_printed_form_by_the_factor_n(n):
    # CE-1 of the guide
    sides = lemma_b_3(np.ones((n, 1, 1)), np.ones((n, 1)), [0], [n])
    assert sides.lhs == 1
    assert sides.printed == pytest.approx(n)
    check_violated(sides)
    check_corrected(sides)
    for name in ("corrected", "a", "b", "c", "c, max"):
        check_tight(sides.corrected_bounds[name])


def test_a_loose_xi_violates_the_printed_form_even_with_weights_of_one():
    # n = 1: the true error is 0, and 100 bounds it
    sides = lemma_b_3([[[1.0]]], [[1.0]], [0], [1], xi=100.0)
    assert sides.lhs == 1
    assert sides.printed == pytest.approx(99)
    assert sides.corrected == 0
    check_violated(sides)
    check_corrected(sides)
    assert not assumption(sides, "xi exact").holds


def test_xi_below_the_error_is_refused():
    J, r = [[[0.1]], [[1.0]]], [[1.0], [1.0]]
    sides = check_enforced("xi", lemma_b_3, J, r, [0], [2], xi=0.0)
    assert not sides.corrected_holds
    assert assumption(sides, "xi").limit == pytest.approx(0.9)


def test_a_coreset_that_says_nothing_is_refused():
    J = np.ones((2, 1, 1))
    for r, gamma in (([[0.0], [1.0]], [2]), ([[1.0], [1.0]], [0])):
        with pytest.raises(InputError, match="nothing follows"):
            lemma_b_3(J, r, [0], gamma)
    # Gradients of 0 follow from Jacobians of 0
    check_corrected(lemma_b_3(np.zeros((2, 1, 1)), [[1.0], [1.0]], [0], [2]))
