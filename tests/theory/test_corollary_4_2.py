import numpy as np
import pytest
from helpers import matrix_with_singular_values
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
from ntk_aug.theory import arora_kernel, equation_18, equation_19, main_term

ROOT = np.sqrt(2)


def unit_vectors(rng, n, d):
    X = rng.standard_normal((n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def smallest(A):
    """The smallest of as many singular values as A has rows; 0 beyond its columns."""
    return np.sqrt(max(np.linalg.eigvalsh(A @ A.T)[0], 0))


def test_the_kernel_is_a_mean_over_hidden_units():
    # H_ij = x_i'x_j P(w'x_i > 0, w'x_j > 0); in the plane w's direction is an angle.
    X = unit_vectors(np.random.default_rng(0), 5, 2)
    angles = np.linspace(0, 2 * np.pi, 200_001)[:-1]
    active = X @ np.stack([np.cos(angles), np.sin(angles)]) > 0
    share = (active[:, None] & active[None]).mean(axis=2)
    np.testing.assert_allclose(arora_kernel(X), (X @ X.T) * share, atol=1e-4)
    np.testing.assert_allclose(np.diag(arora_kernel(X)), 0.5)


@given(SEEDS, st.integers(1, 10), st.integers(2, 9))
@examples(100)
def test_the_chain_of_main_terms_holds_for_any_targets_within_one(seed, n, d):
    rng = np.random.default_rng(seed)
    K = arora_kernel(unit_vectors(rng, n, d)) + 1e-3 * np.eye(n)
    y = rng.uniform(-1, 1, n)
    sides = equation_18(K, y)
    check_corrected(sides)
    assert sides.printed_holds
    exact = np.sqrt(2 * y @ np.linalg.inv(K) @ y / n)
    lowest = np.linalg.svd(K, compute_uv=False)[-1]
    assert sides.lhs == pytest.approx(exact, rel=1e-9)
    assert main_term(K, y) == sides.lhs
    assert sides.corrected == pytest.approx(ROOT / np.sqrt(lowest), rel=1e-9)
    assert sides.further["17"].rhs == pytest.approx(
        np.linalg.norm(y) * np.sqrt(2 / (lowest * n)), rel=1e-9
    )
    assert assumption(sides, "targets").value == pytest.approx(y @ y)


def test_all_three_main_terms_are_equal_for_a_multiple_of_the_unit_matrix():
    sides = equation_18(0.5 * np.eye(4), [1, -1, 1, 1])
    assert sides.lhs == pytest.approx(2.0)
    check_tight(sides.corrected_bound)
    check_tight(sides.further["17"])


def test_targets_beyond_one_are_refused():
    sides = check_enforced("targets", equation_18, 0.5 * np.eye(4), [3.0] * 4)
    assert not sides.corrected_bound.holds
    assert sides.further["17"].holds  # which does not need them


def test_a_badly_conditioned_kernel_is_no_violation():
    # y along the smallest eigenvector, which rounding blurs by 1e-16 / 1e-11
    rng = np.random.default_rng(1)
    Q, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    for lowest in (1e-8, 1e-10, 1e-11):
        K = (Q * np.append(np.ones(5), lowest)) @ Q.T
        check_corrected(equation_18((K + K.T) / 2, np.sqrt(6) * Q[:, -1]))


def test_a_kernel_that_is_not_symmetric_is_refused():
    # The smallest eigenvalue of its lower triangle says nothing about y'K^-1 y
    with pytest.raises(InputError, match="symmetric"):
        equation_18([[1.0, 5.0], [0.0, 1.0]], [1.0, -1.0])


def test_equation_19_is_no_upper_bound():
    sides = equation_19([[1.0]], [[-0.5]])
    assert sides.lhs == pytest.approx(2.8284, abs=5e-5)
    assert sides.printed == pytest.approx(0.9428, abs=5e-5)
    assert sides.lhs > ROOT  # augmentation made the main term worse
    check_violated(sides)
    check_corrected(sides)
    check_tight(sides.corrected_bound)


@given(SEEDS, st.integers(1, 7), st.integers(0, 20), st.floats(0, 0.95), st.booleans())
@examples(150)
def test_both_sided_bound_of_the_main_term(seed, N, more, share, stated):
    rng = np.random.default_rng(seed)
    J, E = rng.standard_normal((2, N, N + more))
    if smallest(J) < 0.05:
        J = J + np.eye(N, N + more)
    e = share * smallest(J)
    E *= e / np.linalg.norm(E, 2)
    given_e = None if not stated else (e + smallest(J)) / 2
    sides = equation_19(J, E, e=given_e)
    check_corrected(sides)
    bound = e if given_e is None else given_e
    assert sides.lhs == pytest.approx(ROOT / smallest(J + E), rel=1e-6)
    assert sides.printed == pytest.approx(ROOT / (smallest(J) + bound), rel=1e-6)
    assert sides.corrected == pytest.approx(ROOT / (smallest(J) - bound), rel=1e-5)
    appended = smallest(np.vstack([J, J + E]))
    assert sides.further["appended"].lhs == pytest.approx(appended, rel=1e-6, abs=1e-6)
    assert appended <= min(smallest(J), smallest(J + E)) + 1e-6
    assert appended <= e / ROOT + 1e-6
    assert sides.printed <= sides.lhs * (1 + 1e-9)  # a lower bound, so never above


def test_the_best_case_is_attained_and_so_is_merging():
    rng = np.random.default_rng(3)
    J, U, V = matrix_with_singular_values(rng, np.array([3.0, 2.0, 1.0]), (3, 8))
    best = equation_19(J, 0.5 * np.outer(U[:, 2], V[:, 2]))
    check_tight(best.further["best case"])
    assert best.printed_holds
    check_tight(equation_19(J, -0.5 * np.outer(U[:, 2], V[:, 2])).corrected_bound)
    check_tight(equation_19([[1.0, 0.0]], [[0.0, 0.01]]).further["merged"])
    # Appending keeps the smallest value only if E is larger than it
    turned = equation_19(np.eye(2, 4), np.eye(2, 4, 2) - np.eye(2, 4), drop=("sigma_min > e",))
    check_tight(turned.further["appended"])
    check_tight(turned.further["merged"])


def test_a_smallest_value_near_rounding_is_no_violation():
    rng = np.random.default_rng(4)
    for low in (1e-6, 1e-9):
        J, U, V = matrix_with_singular_values(rng, np.array([1.0, 0.5, low]), (3, 5))
        for sign in (1, -1):
            check_corrected(equation_19(J, sign * low / 2 * np.outer(U[:, 2], V[:, 2])), 1e-4)


def test_what_equation_19_assumes():
    J, E = [[1.0]], [[-0.5]]
    sides = equation_19(J, E, e=0.7)
    assert assumption(sides, "e").value == 0.7
    assert assumption(sides, "e").limit == pytest.approx(0.5)
    assert assumption(sides, "sigma_min > e").value == pytest.approx(0.3)
    assert not check_enforced("e", equation_19, J, E, e=0.1).corrected_holds
    assert not check_enforced("sigma_min > e", equation_19, J, [[-1.5]]).corrected_holds
