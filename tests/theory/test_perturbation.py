import numpy as np
import pytest
from helpers import matrix_with_singular_values
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from theory_checks import (
    SEEDS,
    assumption,
    check_corrected,
    check_enforced,
    check_tight,
    check_violated,
    examples,
)

from ntk_aug.theory import fact_1, fact_2, fact_3, fact_4

SIZES = st.integers(1, 7)
KINDS = ["normal", "zero", "ties", "zero rows", "rank one", "diagonal"]


def matrices(seed, N, P, kind, size):
    """J of a kind and E of a size, 0 included."""
    rng = np.random.default_rng(seed)
    J = rng.standard_normal((N, P))
    if kind == "zero":
        J[:] = 0
    elif kind == "ties":
        count = min(N, P)
        J, *_ = matrix_with_singular_values(rng, np.round(np.linspace(2, 1, count)), (N, P))
    elif kind == "zero rows":
        J[rng.integers(N)] = 0
    elif kind == "rank one":
        J = np.outer(J[:, 0], J[0])
    elif kind == "diagonal":
        J = np.eye(N, P)
    return J, size * rng.standard_normal((N, P))


MATRICES = st.builds(
    matrices,
    SEEDS,
    SIZES,
    SIZES,
    st.sampled_from(KINDS),
    st.sampled_from([0.0, 1e-17, 1e-15, 1e-12, 1e-6, 0.01, 0.3, 3.0]),
)


@given(MATRICES)
@examples(150)
def test_singular_values_move_by_no_more_than_the_norm(pair):
    J, E = pair
    sides = fact_1(J, E)
    check_corrected(sides)
    before, after = linalg.svdvals(J), linalg.svdvals(J + E)
    np.testing.assert_allclose(sides.lhs, np.abs(after - before), atol=1e-13 * (1 + after[0]))
    np.testing.assert_allclose(sides.corrected, linalg.norm(E, 2), rtol=1e-12)
    trace = sides.further["trace"]
    assert trace.lhs == pytest.approx(((J + E) ** 2).sum(), rel=1e-12)
    assert trace.rhs == pytest.approx(((J + E) ** 2).sum(), rel=1e-12, abs=1e-12)


def test_weyls_bounds_are_attained():
    grown = fact_1(np.diag([3.0, 2.0, 1.0]), np.diag([0.5, 0.0, 0.0]))
    check_tight(grown.corrected_bound)
    check_tight(grown.further["eigenvalues"])
    shrunk = fact_1(np.diag([3.0, 2.0, 1.0]), np.diag([0.0, 0.0, -0.5]))
    check_tight(shrunk.corrected_bound)
    check_tight(shrunk.further["lowest"])
    assert shrunk.further["trace"].ratio == pytest.approx(1, abs=1e-12)


@given(SEEDS, SIZES, st.integers(1, 3), SIZES, st.floats(1e-3, 2))
@examples(100)
def test_the_size_of_e_follows_from_that_of_its_rows(seed, n, C, P, size):
    rng = np.random.default_rng(seed)
    E = size * rng.standard_normal((n, C, P))
    distances = rng.uniform(0.1, 1, n)
    still = rng.uniform(size=n) < 0.2
    E[still], distances[still] = 0, 0
    lengths = np.array([linalg.norm(rows, 2) for rows in E])
    LJ = max((a / b for a, b in zip(lengths, distances, strict=True) if b), default=0.0)
    sides = fact_2(E, distances, jacobian_lipschitz=float(LJ * (1 + 1e-12)), output_lipschitz=0.3)
    check_corrected(sides)
    assert sides.lhs == pytest.approx(linalg.norm(E.reshape(n * C, P), 2), rel=1e-12)
    assert sides.corrected == pytest.approx(np.sqrt(n) * LJ * distances.max(), rel=1e-10)
    assert sides.printed == pytest.approx(np.sqrt(n) * 0.3 * distances.max(), rel=1e-10)
    np.testing.assert_allclose(sides.further["rows"].lhs, lengths, atol=1e-7 * size)
    assert assumption(sides, "lipschitz").value == pytest.approx(LJ, rel=1e-7)


def relu_jump(t):
    """J of max(x_1, 0) at (-t, 1) and at (t, 1): 0, and x itself."""
    return np.array([[[t, 1.0]]]), [2 * t]


def test_relu_networks_have_no_lipschitz_constant_of_the_jacobian():
    for t in (1e-1, 1e-3, 1e-6):
        E, distances = relu_jump(t)
        sides = fact_2(E, distances, jacobian_lipschitz=np.inf, output_lipschitz=1.0)
        check_violated(sides)
        check_corrected(sides)
        assert sides.lhs >= 1
        assert sides.printed == pytest.approx(2 * t)
        assert assumption(sides, "lipschitz").value >= 0.5 / t
    without = check_enforced("lipschitz", fact_2, *relu_jump(1e-3), jacobian_lipschitz=100.0)
    assert not without.corrected_holds


def test_a_linear_model_whose_inputs_move_alike_attains_f2():
    E, distances = np.full((9, 1, 4), 0.05), np.full(9, 0.1)
    sides = fact_2(E, distances, jacobian_lipschitz=1.0)
    for bound in sides.corrected_bounds.values():
        check_tight(bound)
    assert sides.printed_holds


def test_nothing_moves_where_no_input_does():
    for LJ in (0.0, 1.0, np.inf):
        sides = fact_2(np.zeros((2, 1, 3)), [0.0, 0.0], jacobian_lipschitz=LJ)
        assert sides.lhs == sides.corrected == sides.printed == 0
        check_corrected(sides)
    # A row that changes although its input did not
    check_enforced("lipschitz", fact_2, np.ones((2, 1, 3)), [0.0, 1.0], jacobian_lipschitz=9.0)


def sine(u, v):
    """Of the angle between two vectors, by scipy."""
    return np.sin(linalg.subspace_angles(u[:, None], v[:, None])[0])


def sines(A, B):
    return np.array([sine(A[:, i], B[:, i]) for i in range(A.shape[1])])


@given(MATRICES)
@examples(200)
def test_singular_vectors_turn_by_no_more_than_the_gaps_allow(pair):
    J, E = pair
    if min(J.shape) < 2:
        return
    sides = fact_3(J, E)
    check_corrected(sides)
    left, right = sides.further["left"].lhs, sides.further["right"].lhs
    U, sigma, Vt = linalg.svd(J, full_matrices=False)
    gaps = [min(abs(s - t) for j, t in enumerate(sigma) if j != i) for i, s in enumerate(sigma)]
    assert sides.constants["gap0"] == pytest.approx(min(gaps), abs=1e-13)
    # Vectors of a value 0 are any of the null space
    nearest = min(*gaps, sigma[-1])
    if nearest < 1e-3 * sigma[0] or np.abs(E).max() > 0.1 * nearest:
        return  # which vectors belong together is not sure
    U_aug, _, Vt_aug = linalg.svd(J + E, full_matrices=False)
    np.testing.assert_allclose(left, sines(U, U_aug), atol=1e-8)
    np.testing.assert_allclose(right, sines(Vt.T, Vt_aug.T), atol=1e-8)
    blocks = sides.further["blocks"]
    A, B = (U, U_aug) if len(J) <= J.shape[1] else (Vt.T, Vt_aug.T)
    for found, members in zip(
        blocks.lhs, np.array_split(np.arange(len(sigma)), min(3, len(sigma))), strict=True
    ):
        angles = linalg.subspace_angles(A[:, members], B[:, members])
        assert found == pytest.approx(np.linalg.norm(np.sin(angles)), abs=1e-8)


def test_the_constant_of_f3_cannot_be_below_two():
    sides = fact_3(np.diag([2.0, 1.0]), np.diag([-0.5001, 0.5001]))
    np.testing.assert_allclose(sides.lhs, 1)
    assert (sides.lhs > 1.99 * 0.5001).all()  # E by the gap, times anything below 2, is too small
    check_tight(sides.corrected_bound)
    # A rotation in place of a swap attains neither, but comes to half
    J = np.diag([2.0, 1.0])
    E = np.array([[0.0, 1e-4], [1e-4, 0.0]])
    turned = fact_3(J, E)
    assert turned.corrected_bound.ratio == pytest.approx(1 / (2 * np.sqrt(2)), rel=1e-3)
    for name in ("left", "right"):
        assert turned.further[name].ratio == pytest.approx(1 / np.sqrt(2), rel=1e-3)
    assert turned.further["blocks"].ratio == pytest.approx(1 / np.sqrt(2), rel=1e-3)


def test_a_vector_that_turns_into_the_null_space_attains_the_bound_of_blocks():
    # u turns by E v / sigma and v not at all, so that of ||E v~||^2 + ||E'u~||^2 one term counts
    J, E = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [1e-5, 0.0]])
    sides = fact_3(J, E)
    assert sides.further["left"].lhs[0] == pytest.approx(1e-5)
    assert sides.further["right"].lhs[0] == pytest.approx(0, abs=1e-9)
    check_tight(sides.further["blocks"])


@pytest.mark.parametrize("size", [1e-18, 1e-16, 1e-8])
def test_ties_that_only_rounding_splits_are_no_violation(size):
    rng = np.random.default_rng(0)
    for seed in range(20):
        J, *_ = matrix_with_singular_values(rng, np.array([2.0, 2.0, 1.0, 1.0, 1.0]), (5, 7))
        E = size * np.random.default_rng(seed).standard_normal((5, 7))
        check_corrected(fact_3(J, E))
        check_corrected(fact_4(J, E, rng.standard_normal(5)))
    # A part of a tie that E does not see: 0 / 0 up to rounding
    check_corrected(fact_3(np.eye(3), 0.1 * np.ones((3, 3))))


@given(MATRICES, SEEDS, st.floats(0, 3))
@examples(150)
def test_projections_of_targets_gain_no_more_than_the_slack(pair, seed, size):
    J, E = pair if len(pair[0]) <= pair[0].shape[1] else (pair[0].T, pair[1].T)
    y = size * np.random.default_rng(seed).uniform(-1, 1, len(J))
    sides = fact_4(J, E, y)
    check_corrected(sides)
    assert assumption(sides, "targets").value == pytest.approx(y @ y)
    assert assumption(sides, "targets").holds == (y @ y <= len(J) * (1 + 1e-9))
    if assumption(sides, "targets").holds:
        assert sides.printed_holds
    after = linalg.svd(J + E, full_matrices=False)[0].T @ y
    if np.abs(np.diff(linalg.svdvals(J + E))).min(initial=1) > 1e-3:
        np.testing.assert_allclose(sides.lhs, after**2, atol=1e-9 * (1 + y @ y))


def test_swapped_vectors_attain_f4():
    sides = fact_4(np.diag([2.0, 1.0]), np.diag([-0.5001, 0.5001]), [0.0, 1.0])
    np.testing.assert_allclose(sides.lhs, [1, 0], atol=1e-12)
    np.testing.assert_allclose(sides.corrected, [1, 2], atol=1e-12)
    check_tight(sides.corrected_bound)


def test_large_targets_violate_the_printed_slack():
    sides = fact_4(np.diag([2.0, 1.0]), [[0.0, 0.05], [0.05, 0.0]], [0.0, 100.0])
    check_violated(sides)
    check_corrected(sides)
    assert not assumption(sides, "targets").holds
    # sin of the turn is about 0.05: (100 * 0.05)^2 exceeds 2 n sqrt2 0.05
    assert sides.lhs[0] == pytest.approx(25, rel=0.05)
    assert sides.printed[0] == pytest.approx(4 * np.sqrt(2) * 0.05)
