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

from ntk_aug.theory import theorem_5_2, theorem_b_2

BOTH = pytest.mark.parametrize("theorem", [theorem_5_2, theorem_b_2])


def exact_moments(X, Y, w, W0, eta, steps):
    """The guide's recursion by matrices B_m: E L, E ||grad L||^2, Lam, alpha, beta."""
    M, d = X.shape
    H = (X.T * w) @ X
    D = W0 - np.linalg.lstsq(X[w > 0], Y[w > 0], rcond=None)[0]
    A, out = D @ D.T, []
    B = [np.eye(d) - eta * M * w[m] * np.outer(X[m], X[m]) for m in range(M)]
    for _ in range(steps + 1):
        out.append((0.5 * np.sum(H * A), np.sum((H @ H) * A)))
        A = sum(b @ A @ b for b in B) / M
    roots = np.linalg.svd(np.sqrt(w)[:, None] * X, compute_uv=False)
    alpha = 2 * roots[roots > 1e-12 * roots[0]][-1] ** 2
    return np.array(out), np.linalg.eigvalsh(H)[-1], alpha, max(M * w * (X**2).sum(1))


@given(
    SEEDS,
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.05, 0.5, 3.0]),
    st.floats(0.05, 1),
    st.data(),
)
@examples(70)
def test_both_corrected_forms_hold_on_interpolated_regressions(seed, n, C, eps0, share, data):
    rng = np.random.default_rng(seed)
    k, steps = data.draw(st.integers(1, n)), 25
    d = n + k + int(rng.integers(0, 4))
    X, Y, W0 = (rng.standard_normal(shape) for shape in ((n, d), (n, C), (d, C)))
    if data.draw(st.booleans()):
        W0 *= 0
    if n > 1:  # a duplicate
        X[1], Y[1] = X[0], Y[0]
    places = rng.permutation(n)[:k]
    gamma = rng.dirichlet(np.ones(k)) * n
    if data.draw(st.booleans()):
        gamma = rng.multinomial(n, np.full(k, 1 / k)).astype(float)  # weights of 0
    moves = rng.standard_normal((k, d))
    moves *= eps0 * rng.uniform(size=(k, 1)) / np.linalg.norm(moves, axis=1, keepdims=True)
    X_aug = X[places] + moves
    g = [np.outer(x, x @ W0 - y) for x, y in zip(X, Y, strict=True)]
    full = sum(g)
    error = np.linalg.norm(full - sum(w * g[j] for j, w in zip(places, gamma, strict=True)))
    G0, longest = np.linalg.norm(full), np.linalg.norm(moves, axis=1).max()
    Lf = np.linalg.norm(W0, 2)
    top = np.linalg.norm(np.sqrt(gamma)[:, None] * X[places], 2)
    rho = np.linalg.norm(X_aug @ W0 - Y[places], axis=1).max()
    plain = np.linalg.norm(X[places], 2)
    stated = data.draw(st.booleans())
    xi, e = (error * 1.5, longest * 2) if stated else (error, longest)
    options = {"xi": float(xi), "eps0": float(e)} if stated else {}
    rest = top * np.sqrt(n) * Lf * e + rho * n * e
    for theorem, B0, records in (
        (theorem_5_2, 2 * G0 + xi + rest, (X, Y, np.ones(n))),
        (theorem_b_2, 2 * G0 + 2 * xi + rest, (X[places], Y[places], gamma)),
    ):
        X_all, w = np.vstack([records[0], X_aug]), np.append(records[2], gamma)
        Y_all = np.vstack([records[1], Y[places]])
        _, Lam, alpha, beta = exact_moments(X_all, Y_all, w, W0, 0.0, 0)
        alpha *= share
        eta = alpha / (2 * Lam * beta) * data.draw(st.sampled_from([1.0, 0.3]))
        sides = theorem(
            X, Y, X_aug, places, gamma, W0, steps=steps, alpha=alpha, eta=eta, **options
        )
        check_corrected(sides)
        moments, *_ = exact_moments(X_all, Y_all, w, W0, eta, steps)
        np.testing.assert_allclose(sides.lhs**2, moments[:, 1], rtol=1e-6, atol=1e-9 * G0**2)
        loss = sides.further["loss"]
        np.testing.assert_allclose(loss.lhs, moments[:, 0], rtol=1e-6, atol=1e-10 * (1 + G0**2))
        decay = (1 - alpha * eta / 2) ** (np.arange(steps + 1) / 2)
        np.testing.assert_allclose(
            sides.corrected, np.sqrt(2 * Lam / alpha) * decay * B0, rtol=1e-7, atol=1e-12
        )
        start = np.linalg.norm((X_all * w[:, None]).T @ (X_all @ W0 - Y_all))
        assert sides.further["bracket"].lhs == pytest.approx(start, rel=1e-9, abs=1e-12)
        assert sides.further["bracket"].rhs == pytest.approx(B0, rel=1e-9, abs=1e-12)
        # The printed form, with O(.) of constant 1 and its own step size
        twice = alpha / (Lam * beta)
        Lbar = max(Lf, 1)
        printed = 2 * G0 + xi + plain * Lbar * np.sqrt(n) * e + plain * n * e**2
        outside = np.sqrt(2 * n) * Lbar * e
        if theorem is theorem_b_2:
            printed, outside = 2 * G0 + 2 * xi + Lbar / plain, 0.0
            assert assumption(sides, "eps0 of B.2").limit == pytest.approx(1 / plain / np.sqrt(n))
        decay = np.maximum(1 - alpha * twice / 2, 0) ** (np.arange(steps + 1) / 2)
        np.testing.assert_allclose(
            sides.printed, decay * printed / np.sqrt(alpha) + outside, rtol=1e-7, atol=1e-12
        )
        assert assumption(sides, "gamma").value == pytest.approx(n)
        assert assumption(sides, "PL").value == alpha
        assert assumption(sides, "interpolation").value < 1e-9
        assert sides.constants["rho~"] == pytest.approx(rho)
        assert sides.constants["sigma_max"] == pytest.approx(top)


def test_the_factor_of_the_loss_is_missing():
    # CE-1 of the guide: one example x = 10, its own coreset
    sides = theorem_5_2([[10.0]], [1.0], [[10.0]], [0], [1], [0.0], steps=30, alpha=20.0)
    check_violated(sides)
    check_corrected(sides)
    assert sides.printed_lhs[0] == pytest.approx(20)
    assert sides.printed[0] == pytest.approx(4.472, abs=5e-4)
    violated = ~sides.printed_bound.holds_at
    np.testing.assert_array_equal(np.flatnonzero(violated), np.arange(15))
    alpha, Lam, beta = (sides.constants[name] for name in ("alpha", "Lam", "beta"))
    o, lam, largest, b = exact_moments(
        np.full((2, 1), 10.0), np.ones((2, 1)), np.ones(2), np.zeros((1, 1)), 20 / (200 * 200), 30
    )
    assert (lam, largest, b) == pytest.approx((200, 400, 200))
    assert (alpha, Lam, beta) == pytest.approx((20, lam, b))
    rhs = (1 - 20 * (20 / 200**2) / 2) ** (np.arange(31) / 2) / np.sqrt(20) * 20
    np.testing.assert_allclose(sides.printed, rhs)
    # Both are the same one record, so that its gradient is no longer random
    np.testing.assert_allclose(sides.printed_lhs, np.sqrt(o[:, 1]), rtol=1e-9)


def everything(theorem, steps=30, **options):
    """CE-2 of the guide: four orthonormal examples, all in the coreset, nothing augmented."""
    eye = np.eye(4)
    return theorem(eye, np.ones(4), eye, range(4), np.ones(4), np.zeros(4), steps=steps, **options)


@BOTH
def test_the_printed_step_size_does_not_converge(theorem):
    sides = everything(theorem)
    assert [sides.constants[name] for name in ("Lam", "alpha", "beta")] == pytest.approx([2, 4, 8])
    # ||grad L||: Lam ||W0 - W*|| = 2 * 2 for ever, of which the lower bound says all
    np.testing.assert_allclose(sides.printed_lhs, 4)
    check_violated(sides)
    check_corrected(sides)
    t = np.arange(31)
    np.testing.assert_allclose(sides.lhs, 4 * 0.75 ** (t / 2))
    assert (sides.corrected_bound.ratios >= 0.98).all()
    check_tight(sides.further["bracket"])
    check_tight(sides.further["loss"])


def test_no_hidden_constant_saves_theorem_b_2():
    for constant in (0.0, 1.0, 1e6):
        sides = everything(theorem_b_2, 100, order_constant=constant)
        check_violated(sides)
        np.testing.assert_allclose(sides.corrected, everything(theorem_b_2, 100).corrected)


def test_one_printed_step_from_a_large_pl_constant():
    # CE-3: n = 1, alpha = 1.4 Lam. W - W* is multiplied by 1 - 1.4, the bound by (1 - 0.98)^(1/2)
    sides = theorem_5_2([[1.0]], [1.0], [[1.0]], [0], [1], [0.0], steps=1, alpha=2.8)
    assert sides.constants["Lam"] == pytest.approx(2)
    assert sides.printed_lhs[1] / sides.printed_lhs[0] == pytest.approx(0.4)
    assert (sides.printed[1] / sides.printed[0]) ** 2 == pytest.approx(0.02)


@BOTH
def test_what_both_theorems_assume(theorem):
    near = [[1.0, 0.0]], [0.0], [[1.0, 0.1]], [0]
    start = [0.0, 1.0]
    assert not check_enforced("gamma", theorem, *near, [100.0], start).corrected_holds
    sides = check_enforced("eps0", theorem, *near, [1], start, eps0=0.0)
    assert not sides.corrected_holds
    assert assumption(sides, "eps0").limit == pytest.approx(0.1)
    X = np.array([[1.0, 0.0], [1.0, 1e-3]])
    opposite = X, [-1.0, 1.0], X[:1], [0], [2], [0.0, 0.0]
    sides = check_enforced("xi", theorem, *opposite, xi=0.0)
    assert not sides.corrected_holds
    assert assumption(sides, "xi").limit == pytest.approx(2, abs=1e-3)
    flat = np.diag([1.0, 0.01])
    flat = flat, [1.0, 1.0], flat, [0, 1], [1, 1], [0.0, 0.0]
    assert not check_enforced("PL", theorem, *flat, alpha=2.0).corrected_holds
    torn = [[1.0], [1.0]], [1.0, -1.0], [[1.0], [1.0]], [0, 1], [1, 1], [3.0]
    assert not check_enforced("interpolation", theorem, *torn).corrected_holds
    large = check_enforced("eta", everything, theorem, eta=0.25, fragment="eta in (0, 0.125]")
    assert not large.corrected_holds


@BOTH
def test_starting_at_or_next_to_a_solution(theorem):
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((3, 6)), rng.standard_normal((6, 2))
    for off in (0.0, 1e-9):
        check_corrected(theorem(X, X @ W + off, X[:1], [0], [3], W, steps=20))
