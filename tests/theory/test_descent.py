from itertools import product

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
from ntk_aug.theory import WeightedLeastSquares, fact_5, fact_6


def random_problem(rng, M, d, C, *, interpolated, scale=1.0):
    X = rng.standard_normal((M, d))
    w = rng.uniform(0.1, 2, M)
    if M > 1:
        w[rng.integers(M)] = 0
        X[rng.integers(M)] *= 0.1
    Y = X @ rng.standard_normal((d, C)) if interpolated else rng.standard_normal((M, C))
    return WeightedLeastSquares.from_arrays(X, Y, w, scale * rng.standard_normal((d, C)))


def all_paths(problem, eta, t):
    """Means over all M^t sequences of draws: of L, of ||grad L||^2 and of ||grad L||."""
    M = len(problem.w)
    losses, gradients = [], []
    for path in product(range(M), repeat=t):
        W = problem.W0
        for m in path:
            residual = problem.X[m] @ W - problem.Y[m]
            W = W - eta * M * problem.w[m] * np.outer(problem.X[m], residual)
        residuals = problem.X @ W - problem.Y
        losses.append((problem.w * (residuals**2).sum(axis=1)).sum() / 2)
        gradients.append(np.linalg.norm((problem.X * problem.w[:, None]).T @ residuals))
    gradients = np.array(gradients)
    return np.mean(losses), np.mean(gradients**2), np.mean(gradients)


@pytest.mark.parametrize("interpolated", [True, False])
@pytest.mark.parametrize(("M", "d", "C"), [(2, 2, 1), (4, 2, 2), (2, 4, 3), (3, 1, 1), (1, 2, 1)])
def test_moments_are_means_over_all_paths(M, d, C, interpolated):
    problem = random_problem(
        np.random.default_rng(M), M, d, C, interpolated=interpolated, scale=2.0
    )
    for eta in (0.7 / problem.beta, 1.9 / problem.beta, 3.0 / problem.beta, 0.0):
        found = problem.moments(eta, 4)
        for t in range(5):
            loss, squared, gradient = all_paths(problem, eta, t)
            assert found.loss[t] == pytest.approx(loss, rel=1e-10, abs=1e-13)
            assert found.squared_gradient[t] == pytest.approx(squared, rel=1e-10, abs=1e-13)
            assert found.least_gradient[t] <= gradient * (1 + 1e-10) + 1e-13
        assert found.least_gradient[0] == pytest.approx(all_paths(problem, eta, 0)[2])


@given(SEEDS, st.integers(1, 3), st.integers(1, 4), st.integers(1, 2), st.booleans())
@examples(60)
def test_the_lower_bound_of_the_mean_gradient_never_exceeds_it(seed, M, d, C, interpolated):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, M, d, C, interpolated=interpolated)
    eta = rng.uniform(0.1, 2) / problem.beta
    found = problem.moments(eta, 4)
    gradients = [all_paths(problem, eta, t)[2] for t in range(5)]
    assert (found.least_gradient <= np.array(gradients) * (1 + 1e-9) + 1e-12).all()
    assert (found.least_gradient**2 <= found.squared_gradient * (1 + 1e-9) + 1e-24).all()


def test_one_step_from_a_minimum_leaves_it_where_records_are_interpolated():
    # Losses of 1e-18 and below, of weights of size 1, are as exact
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((3, 6)), rng.standard_normal((6, 1))
    at = WeightedLeastSquares.from_arrays(X, X @ W, np.ones(3), W)
    assert (at.moments(0.01, 5).loss == 0).all()
    check_corrected(fact_6(at, steps=5))
    near = WeightedLeastSquares.from_arrays(X, X @ W + 1e-9, np.ones(3), W)
    sides = fact_6(near, steps=50)
    check_corrected(sides)
    scaled = WeightedLeastSquares.from_arrays(X, X @ W + 1.0, np.ones(3), W)
    np.testing.assert_allclose(sides.lhs, 1e-18 * fact_6(scaled, steps=50).lhs, rtol=1e-6)


def test_constants_come_from_the_hessian():
    rng = np.random.default_rng(1)
    problem = random_problem(rng, 4, 6, 2, interpolated=True)
    H = sum(w * np.outer(x, x) for w, x in zip(problem.w, problem.X, strict=True))
    np.testing.assert_allclose(problem.H, H, atol=1e-12)
    values = np.linalg.eigvalsh(H)
    assert problem.Lam == pytest.approx(values[-1])
    assert problem.alpha == pytest.approx(2 * values[values > 1e-12][0])
    sizes = [4 * w * (x @ x) for w, x in zip(problem.w, problem.X, strict=True)]
    assert problem.beta == pytest.approx(max(sizes))
    # PL at any point: ||grad L||^2 >= alpha (L - inf L), which here is 0
    for _ in range(20):
        W = rng.standard_normal((6, 2))
        squared = np.linalg.norm(problem.gradient(W)) ** 2
        assert squared >= problem.alpha * problem.loss(W) * (1 - 1e-9)
        assert squared <= 2 * problem.Lam * problem.loss(W) * (1 + 1e-9)


def test_the_pl_constant_sees_a_nearly_flat_direction():
    # Curvature 1e-10 of the largest is no rounding; without it the bound would be 0 from step 1
    problem = WeightedLeastSquares.from_arrays(
        [[1.0, 0.0], [1.0, 1e-5]], [0.0, 1e-5], [1.0, 1.0], [0.0, 0.0]
    )
    assert problem.alpha == pytest.approx(1e-10, rel=1e-3)
    check_corrected(fact_6(problem, steps=20))
    # Duplicates are, however they are weighted
    rng = np.random.default_rng(2)
    X = np.repeat(rng.standard_normal((3, 7)), 4, axis=0)
    copies = WeightedLeastSquares.from_arrays(X, np.ones(12), rng.uniform(size=12), np.zeros(7))
    assert len(copies.eigenvalues) == 3


def test_targets_and_weights_of_one_output_may_lack_an_axis():
    X = np.eye(2)
    one = WeightedLeastSquares.from_arrays(X, [1, 2], [1, 1], [0, 0])
    two = WeightedLeastSquares.from_arrays(X, [[1], [2]], [1, 1], [[0], [0]])
    assert one.Y.shape == (2, 1)
    np.testing.assert_array_equal(one.moments(0.1, 3).loss, two.moments(0.1, 3).loss)


def test_a_diverging_step_size_is_refused_once_float64_is_too_small():
    problem = WeightedLeastSquares.from_arrays([[1.0]], [1.0], [1.0], [0.0])
    assert problem.moments(100.0, 10).loss[-1] > 1e30
    with pytest.raises(InputError, match="diverges beyond float64 with eta 100"):
        problem.moments(100.0, 1000)


@given(SEEDS, st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.booleans())
@examples(100)
def test_gradients_of_smooth_losses_are_bounded_by_them(seed, M, d, C, interpolated):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, M, d, C, interpolated=interpolated)
    W = rng.standard_normal((d, C))
    sides = fact_5(problem, W)
    check_corrected(sides)
    for m in range(M):
        x, residual, scale = problem.X[m], problem.X[m] @ W - problem.Y[m], M * problem.w[m]
        assert sides.lhs[m] == pytest.approx(np.linalg.norm(scale * np.outer(x, residual)) ** 2)
        own = 2 * (scale * x @ x) * (scale * residual @ residual / 2)
        assert sides.corrected[m] == pytest.approx(own)
    assert sides.lhs[-1] == pytest.approx(np.linalg.norm(problem.gradient(W)) ** 2)
    assert sides.printed is None


def test_a_single_record_attains_f5():
    problem = WeightedLeastSquares.from_arrays([[2.0, 1.0]], [1.0], [3.0], [0.0, 0.0])
    check_tight(fact_5(problem, [[0.0], [0.0]]).corrected_bound)


@given(
    SEEDS,
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 3),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
)
@examples(90)
def test_sgd_contracts_for_any_smaller_step_and_pl_constant(seed, M, d, C, of_alpha, of_eta):
    problem = random_problem(np.random.default_rng(seed), M, d, C, interpolated=True)
    alpha = of_alpha * problem.alpha
    eta = of_eta * alpha / (2 * problem.Lam * problem.beta)
    sides = fact_6(problem, steps=40, alpha=alpha, eta=eta)
    check_corrected(sides)
    start = problem.loss(problem.W0)
    expected = (1 - alpha * eta / 2) ** np.arange(41) * start
    np.testing.assert_allclose(sides.corrected, expected, rtol=1e-12)
    assert sides.further["rate"].lhs == pytest.approx(alpha * eta / 2)
    assert assumption(sides, "PL").value == alpha
    assert assumption(sides, "PL").limit == problem.alpha
    assert assumption(sides, "eta").value == eta
    assert assumption(sides, "interpolation").holds


def orthonormal():
    """CE-2 of the guide as records: every unit vector twice."""
    return WeightedLeastSquares.from_arrays(
        np.vstack([np.eye(4)] * 2), np.ones(8), np.ones(8), np.zeros(4)
    )


def test_the_printed_step_size_does_not_move_the_loss():
    sides = fact_6(orthonormal(), steps=30)
    np.testing.assert_allclose(sides.printed_lhs, 4)
    check_violated(sides)
    check_corrected(sides)
    t = np.arange(31)
    # alpha eta / 2 = 1/4: eta = alpha / (2 Lam beta) = 4 / (2 * 2 * 8) = 1/8
    np.testing.assert_allclose(sides.lhs, 4 * 0.75**t)
    assert (sides.corrected_bound.ratios >= 0.98).all()
    # One record: alpha eta / 2 = 1, since a single step solves the problem
    one = fact_6(WeightedLeastSquares.from_arrays([[1.0]], [1.0], [1.0], [0.0]), steps=3)
    check_tight(one.further["rate"])
    np.testing.assert_allclose(one.lhs, [0.5, 0, 0, 0], atol=1e-30)


def test_what_f6_assumes():
    flat = WeightedLeastSquares.from_arrays(
        np.diag([1.0, 0.1]), np.ones(2), np.ones(2), np.zeros(2)
    )
    assert not check_enforced("PL", fact_6, flat, alpha=2.0).corrected_holds
    torn = WeightedLeastSquares.from_arrays([[1.0], [1.0]], [1.0, -1.0], np.ones(2), [3.0])
    sides = check_enforced("interpolation", fact_6, torn)
    assert not sides.corrected_holds
    assert assumption(sides, "interpolation").value == pytest.approx(1 / 3)
    large = check_enforced(
        "eta", fact_6, orthonormal(), steps=30, eta=0.25, fragment="eta in (0, 0.125]"
    )
    assert not large.corrected_holds
    # A record without a weight need not be fitted
    ignored = WeightedLeastSquares.from_arrays([[1.0], [1.0]], [1.0, -1.0], [1.0, 0.0], [3.0])
    check_corrected(fact_6(ignored))
