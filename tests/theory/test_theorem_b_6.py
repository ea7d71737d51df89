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

from ntk_aug.theory import theorem_b_6


def mean_squared_gradients(X, Y, w, W0, eta, steps):
    """E ||grad L||^2 by the recursion of the guide, from matrices B_m."""
    M, d = X.shape
    H = (X.T * w) @ X
    D = W0 - np.linalg.lstsq(X[w > 0], Y[w > 0], rcond=None)[0]
    A, out = D @ D.T, []
    B = [np.eye(d) - eta * M * w[m] * np.outer(X[m], X[m]) for m in range(M)]
    for _ in range(steps + 1):
        out.append(np.sum((H @ H) * A))
        A = sum(b @ A @ b for b in B) / M
    return np.array(out)


@given(SEEDS, st.integers(1, 6), st.integers(1, 3), st.floats(0.05, 1), st.data())
@examples(70)
def test_the_corrected_form_holds_where_the_map_keeps_the_targets(seed, n, C, share, data):
    rng = np.random.default_rng(seed)
    k, steps = data.draw(st.integers(1, n)), 25
    d = C + int(rng.integers(1, 8))
    X, target = rng.standard_normal((n, d)), rng.standard_normal((d, C))
    X[rng.integers(n)] = X[0]
    # Outputs of the target weights are the same before and after F
    F = np.eye(d) + 10 ** rng.uniform(-2, 0.5) * rng.standard_normal((d, d))
    F -= (
        target
        @ np.linalg.lstsq(target, target @ np.linalg.pinv(target) @ (F - np.eye(d)), rcond=None)[0]
    )
    Y = X @ target
    W0 = target + rng.standard_normal((d, C)) * data.draw(st.sampled_from([1e-3, 1.0, 30.0]))
    places = rng.permutation(n)[:k]
    gamma = rng.dirichlet(np.ones(k)) * n * data.draw(st.sampled_from([0.3, 1.0]))
    sides = theorem_b_6(X, Y, W0, F, places, gamma, steps=steps)
    alpha = share * sides.constants["alpha"]
    sides = theorem_b_6(X, Y, W0, F, places, gamma, steps=steps, alpha=alpha)
    check_corrected(sides)
    records = np.vstack([X[places], X[places] @ F.T])
    w, targets = np.append(gamma, gamma), np.vstack([Y[places], Y[places]])
    Lam = np.linalg.norm(np.sqrt(w)[:, None] * records, 2) ** 2
    beta = 2 * k * max(w * (records**2).sum(axis=1))
    eta = alpha / (2 * Lam * beta)
    assert sides.constants["eta"] == pytest.approx(eta)
    squared = mean_squared_gradients(records, targets, w, W0, eta, steps)
    np.testing.assert_allclose(sides.lhs**2, squared, rtol=1e-5, atol=1e-7 * squared[0])
    every = [
        np.outer(x, x @ W0 - y) + np.outer(F @ x, F @ x @ W0 - y) for x, y in zip(X, Y, strict=True)
    ]
    clean = [np.outer(x, x @ W0 - y) for x, y in zip(X, Y, strict=True)]
    xi = np.linalg.norm(sum(clean) - sum(g * clean[j] for j, g in zip(places, gamma, strict=True)))
    omega = np.linalg.norm((X @ F.T - X) @ W0, axis=1).max()
    top, R = np.linalg.norm(F, 2), np.linalg.norm(X, axis=1).max()
    G0 = np.linalg.norm(sum(every))
    bracket = G0 + (top + 1) * xi + 2 * n * R * top * omega
    rate = (1 - alpha * eta / 2) ** (np.arange(steps + 1) / 2)
    np.testing.assert_allclose(
        sides.corrected, np.sqrt(2 * Lam / alpha) * rate * bracket, rtol=1e-8
    )
    printed = G0 + (top + 1) * xi + np.sqrt(d) * top * n * omega
    rate = np.maximum(1 - alpha * eta, 0) ** (np.arange(steps + 1) / 2)
    np.testing.assert_allclose(sides.printed, rate * printed / np.sqrt(alpha), rtol=1e-8)
    assert sides.further_printed["bracket"].rhs == pytest.approx(printed)
    assert sides.further["bracket"].rhs == pytest.approx(bracket)
    start = np.linalg.norm((records * w[:, None]).T @ (records @ W0 - targets))
    assert sides.further["bracket"].lhs == pytest.approx(start, rel=1e-9, abs=1e-12 * G0)
    assert sides.constants["G0'"] == pytest.approx(G0)
    assert assumption(sides, "gamma").value == pytest.approx(gamma.sum())
    assert assumption(sides, "interpolation").value < 1e-9


def everything(steps=60, **options):
    """CE-2 of the guide with F = I."""
    eye, ones = np.eye(4), np.ones((4, 1))
    return theorem_b_6(eye, ones, 0 * ones, eye, range(4), np.ones(4), steps=steps, **options)


def test_the_printed_step_size_does_not_converge_without_any_augmentation():
    sides = everything()
    np.testing.assert_allclose(sides.printed_lhs, 4)
    assert sides.constants["omega"] == sides.constants["xi"] == 0
    check_violated(sides)
    check_corrected(sides)
    assert (sides.corrected_bound.ratios >= 0.98).all()
    check_tight(sides.further["bracket"])
    check_tight(sides.further["loss"])


def bracket_arguments():
    """The guide's second counterexample, at which the full gradient nearly vanishes."""
    d, n, q, tau = 8, 40, 2, 1e4
    p = n - q
    xs, xo = np.ones(d), np.ones(d)
    xs[0] = xo[0] = 0.99
    xs[-2] = 0
    xo[-1] = 0
    a, w = np.zeros(d), np.zeros(d)
    a[-2], a[-1], w[0] = 1, -1, tau
    F = np.eye(d) + np.outer(w, a) / (w @ w)
    X, eye = np.vstack([xo] * p + [xs] * q), np.eye(d)
    both = np.stack([(eye + F) @ xo, (eye + F) @ xs], 1)
    To, Ts = np.linalg.lstsq(both, -F @ (p * xo - q * xs), rcond=None)[0]
    res = np.zeros(n)
    res[0], res[p] = To, Ts / (n - 1)
    res[p + 1] = Ts - res[p]
    return X, (X @ w - res)[:, None], w[:, None], F, [0, p], np.array([1.0, n - 1.0])


def test_the_printed_bracket_fails_where_full_gradients_cancel():
    X, Y, W, F, S, gamma = bracket_arguments()
    Xa, n, d = X @ F.T, 40, 8
    g, ga = (x * (x @ W[:, 0] - Y[:, 0])[:, None] for x in (X, Xa))
    G0, xi = np.linalg.norm((g + ga).sum(0)), np.linalg.norm(g.sum(0) - gamma @ g[S])
    om, nF = abs((Xa - X) @ W).max(), np.linalg.norm(F, 2)
    lhs, R = np.linalg.norm(gamma @ (g + ga)[S]), np.linalg.norm(X, axis=1).max()
    sides = theorem_b_6(X, Y, W, F, S, gamma, steps=0)
    assert all(one.holds for one in sides.assumptions)
    found = sides.further["bracket"]
    assert sides.constants["G0'"] == pytest.approx(G0, rel=1e-6)
    assert found.lhs == pytest.approx(lhs, rel=1e-9)
    assert found.rhs == pytest.approx(G0 + (nF + 1) * xi + 2 * n * R * nF * om, rel=1e-9)
    printed = sides.further_printed["bracket"]
    assert printed.rhs == pytest.approx(G0 + (nF + 1) * xi + np.sqrt(d) * nF * n * om, rel=1e-9)
    assert [found.lhs, printed.rhs, found.rhs] == pytest.approx([188.4, 113.1, 211.4], abs=0.05)
    assert not printed.holds
    assert found.holds
    assert not sides.printed_holds


def test_what_theorem_b_6_assumes():
    F = [[1.0, 0.0], [0.1, 1.0]]
    fitted = [[1.0, 0.0]], [[0.0]], [[0.0], [1.0]], F, [0]
    assert not check_enforced("gamma", theorem_b_6, *fitted, [100]).corrected_holds
    X, Y = np.array([[1.0, 0.0], [1.0, 1e-3]]), [[-1.0], [1.0]]
    opposite = X, Y, np.zeros((2, 1)), np.eye(2), [0], [2]
    assert not check_enforced("xi", theorem_b_6, *opposite, xi=0.0).corrected_holds
    sides = check_enforced("omega", theorem_b_6, *fitted, [1], omega=0.05)
    assert assumption(sides, "omega").limit == pytest.approx(0.1)
    # Of which the bracket needs all where full gradients cancel
    zero = check_enforced("omega", theorem_b_6, *bracket_arguments(), steps=0, omega=0.0)
    assert not zero.further["bracket"].holds
    flat = np.diag([1.0, 0.01]), np.ones((2, 1)), np.zeros((2, 1)), np.eye(2), [0, 1], [1, 1]
    assert not check_enforced("PL", theorem_b_6, *flat, alpha=2.0).corrected_holds
    torn = [[1.0], [1.0]], [[1.0], [-1.0]], [[3.0]], [[1.0]], [0, 1], [1, 1]
    assert not check_enforced("interpolation", theorem_b_6, *torn).corrected_holds
    large = check_enforced("eta", everything, eta=0.25, fragment="eta in (0, 0.125]")
    assert not large.corrected_holds


def test_starting_at_the_target_nothing_remains():
    rng = np.random.default_rng(0)
    X, target = rng.standard_normal((5, 6)), rng.standard_normal((6, 1))
    sides = theorem_b_6(X, X @ target, target, np.eye(6), [1, 3], [2, 3], steps=10)
    check_corrected(sides)
    np.testing.assert_allclose(sides.lhs, 0, atol=1e-12)
