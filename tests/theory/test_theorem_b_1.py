import numpy as np
import pytest
from helpers import matrix_with_singular_values
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
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
from ntk_aug.theory import theorem_b_1, theorem_b_1_deterministic


def density_mean(function, sigma, e, p, points=200_001):
    """The mean of a function of sigma~ in the law of Lemma 4.1, by the trapezoid rule."""
    if e == 0:
        return float(function(np.array([sigma]))[0])
    down, up = np.linspace(sigma - e, sigma, points), np.linspace(sigma, sigma + e, points)
    found = [integrate.trapezoid(function(s), s) / e for s in (down, up)]
    return float(p * found[0] + (1 - p) * found[1])


def closed_form(s, eta, m):
    """The integral of (1 - eta x^2)^m from 0 to s, by the guide's recursion."""
    found = s
    for j in range(1, m + 1):
        found = (s * (1 - eta * s**2) ** j + 2 * j * found) / (2 * j + 1)
    return found


def gaps_of(sigma):
    return [
        min((abs(s - t) for j, t in enumerate(sigma) if j != i), default=np.inf)
        for i, s in enumerate(sigma)
    ]


def slack_terms(sigma, y, e):
    """c_i of (a)."""
    squared = sum(v**2 for v in y)
    return [
        min(squared, v**2 + (2 * np.sqrt(2) * squared * e / gap if gap else np.inf * e))
        if e
        else v**2
        for v, gap in zip(y, gaps_of(sigma), strict=True)
    ]


CASES = [
    ([1.0], 0.5, [0.5], [1.0], 12 / 13),
    ([1.0], 0.3, [0.0], [2.0], 0.4),
    ([0.3], 0.8, [0.6], [1.0], 0.7),  # sigma < e
    ([2.0, 1.0], 0.25, [0.5, 0.5], [0.0, 1.0], 0.19),
    ([1.0, 1.0], 0.25, [0.2, 1.0], [0.0, -0.5], 0.5),  # a tie
    ([0.0], 0.4, [0.3], [1.0], 1.0),
    ([1.5, 0.2], 0.5, [0.3, 0.7], [0.0, 1.0], 0.45),  # beyond the eta of (c), (d)
]


@pytest.mark.parametrize(("sigma", "e", "p", "y", "eta"), CASES)
def test_one_random_row_agrees_with_a_dense_grid(sigma, e, p, y, eta):
    times = [0, 1, 2, 7, 30]
    sides = theorem_b_1(sigma, e, p, y, eta=eta, times=times)
    check_corrected(sides)
    (i,) = np.flatnonzero(y)
    for place, t in enumerate(times):
        exact = abs(y[i]) * density_mean(
            lambda s, t=t: np.abs(1 - eta * s**2) ** t, sigma[i], e, p[i]
        )
        assert sides.lhs[place] == pytest.approx(exact, rel=1e-7, abs=1e-12)
        factors = [
            density_mean(lambda s, t=t: (1 - eta * s**2) ** (2 * t), s, e, q)
            for s, q in zip(sigma, p, strict=True)
        ]
        expected = np.sqrt(np.dot(factors, slack_terms(sigma, y, e)))
        assert sides.corrected[place] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("sigma", "e", "p", "y", "eta"), CASES)
def test_factors_agree_with_the_closed_form(sigma, e, p, y, eta):
    # Which loses relative accuracy where the integral is small
    times = [0, 1, 5, 12]
    sides = theorem_b_1(sigma, e, p, y, eta=eta, times=times)
    for place, t in enumerate(times):
        squared = 0.0
        for s, q, c in zip(sigma, p, slack_terms(sigma, y, e), strict=True):
            low, middle, high = (closed_form(x, eta, 2 * t) for x in (s - e, s, s + e))
            squared += (q * (middle - low) + (1 - q) * (high - middle)) / e * c
        assert sides.corrected[place] ** 2 == pytest.approx(squared, rel=1e-7, abs=1e-11)


@pytest.mark.parametrize(("e", "eta"), [(0.3, 0.2), (0.3, 0.6), (1.2, 0.35)])
def test_two_random_rows_agree_with_a_dense_grid(e, eta):
    # Factors that vanish inside give sqrt(a^2 + b^2) a kink where both do
    sigma, p, y = [1.5, 1.0], [0.3, 0.6], [0.7, -1.0]
    times = [0, 1, 3, 20]
    sides = theorem_b_1(sigma, e, p, y, eta=eta, times=times)
    check_corrected(sides)
    size = 500
    middles = (np.arange(size) + 0.5) / size
    grids, weights = [], []
    for s, q in zip(sigma, p, strict=True):
        grids.append(np.concatenate([s - e * middles, s + e * middles]))
        weights.append(np.repeat([q / size, (1 - q) / size], size))
    for place, t in enumerate(times):
        a, b = (v * (1 - eta * grid**2) ** t for v, grid in zip(y, grids, strict=True))
        exact = weights[0] @ np.hypot(a[:, None], b[None]) @ weights[1]
        assert sides.lhs[place] == pytest.approx(exact, rel=5e-4)


def test_the_mean_rate_overstates_progress_from_the_first_step():
    # CE-1 of the guide: printed 0 for every t >= 1
    sides = theorem_b_1([1.0], 0.5, 0.5, [1.0], eta=12 / 13, times=range(10))
    assert sides.lhs[1] == pytest.approx(0.4647, abs=5e-5)
    assert sides.corrected[1] == pytest.approx(0.5374, abs=5e-5)
    assert (sides.printed[1:] < 1e-15).all()
    check_violated(sides)
    check_corrected(sides)


def test_the_slack_does_not_repair_jensen():
    # CE-2 of the guide
    sides = theorem_b_1([2.0, 1.0], 0.25, 0.5, [0.0, 1.0], eta=0.19, times=range(41))
    violated = ~sides.printed_bound.holds_at
    np.testing.assert_array_equal(np.flatnonzero(violated), np.arange(16, 41))
    assert sides.lhs[40] == pytest.approx(1.53e-3, rel=5e-3)
    assert sides.printed[40] == pytest.approx(2.79e-4, rel=5e-3)
    x, w = np.polynomial.legendre.leggauss(80)
    s, e, eta, y = np.array([2.0, 1.0]), 0.25, 0.19, np.array([0.0, 1.0])
    slack = 2 * 2 * np.sqrt(2) * e
    for t in range(41):
        lhs = 0.5 * np.sum(w * (1 - eta * (1 + e * x) ** 2) ** t)
        rates = 1 - eta * (s**2 + e * e / 3)
        printed = np.sqrt(sum(rates[i] ** (2 * t) * (y[i] ** 2 + slack) for i in range(2)))
        assert sides.lhs[t] == pytest.approx(lhs, rel=1e-10)
        assert sides.printed[t] == pytest.approx(printed, rel=1e-10)
    check_violated(sides)
    check_corrected(sides)
    assert assumption(sides, "gap0").value == 1
    assert assumption(sides, "targets").value == 1


@given(SEEDS, st.integers(1, 5), st.booleans(), st.booleans(), st.floats(0, 2))
@examples(90)
def test_the_chain_of_bounds_holds_in_the_model(seed, N, ties, narrow, wide):
    rng = np.random.default_rng(seed)
    sigma = np.sort(rng.uniform(0, 2, N))[::-1].copy()
    if ties:
        sigma = np.round(sigma, 0)
    e = 1e-3 * wide if narrow else wide
    p = rng.choice([0.0, 0.3, 0.5, 1.0], size=N)
    y = np.zeros(N)
    y[rng.permutation(N)[:2]] = rng.uniform(-2, 2, min(N, 2))
    largest = sigma[0] + e
    eta = rng.uniform(0.05, 1.9) / (largest**2 if largest > 1e-3 else 1.0)
    times = np.unique(rng.integers(0, 30, 4))
    sides = theorem_b_1(sigma, float(e), p, y, eta=float(eta), times=times)
    check_corrected(sides)
    for t, value in zip(times, sides.corrected, strict=True):
        assert value <= sides.further["b"].rhs[list(times).index(t)] * (1 + 1e-9)
    assert (
        ("c" in sides.further) == ("d" in sides.further) == (largest == 0 or eta <= 1 / largest**2)
    )
    if "c" in sides.further:
        assert (sides.further["b"].rhs <= sides.further["c"].rhs * (1 + 1e-9)).all()
    # At t = 0 nothing has moved
    start = theorem_b_1(sigma, float(e), p, y, eta=float(eta), times=[0])
    assert start.lhs[0] == pytest.approx(np.linalg.norm(y))
    for one in ("gap0", "sigma >= e", "eta", "targets"):
        assert assumption(sides, one).silent
    assert assumption(sides, "gap0").value == pytest.approx(min(gaps_of(sigma)))


@given(SEEDS, st.floats(0.2, 2), st.floats(0.01, 2), st.floats(0, 1), st.floats(0.05, 1.9))
@examples(60)
def test_the_two_point_law_at_both_ends_attains_form_b(seed, s, e, p, of_eta):
    eta = of_eta / (s + e) ** 2
    times = [0, 1, 4, 9]
    sides = theorem_b_1([s], e, p, [1.0], eta=eta, times=times)
    low, high = max(s - e, 0) ** 2, (s + e) ** 2
    mean = s**2 + s * (1 - 2 * p) * e + e**2 / 3
    at_high = (mean - low) / (high - low)
    rng = np.random.default_rng(seed)
    laws = []
    for _ in range(20):  # others on the interval, moved to this mean by mixing with an end
        values = rng.uniform(low, high, 6)
        own = values.mean()
        end, share = (
            (high, (mean - own) / (high - own)) if own < mean else (low, (own - mean) / (own - low))
        )
        laws.append((np.append(values, end), np.append(np.full(6, (1 - share) / 6), share)))
    for place, t in enumerate(times):
        attained = (1 - at_high) * (1 - eta * low) ** (2 * t) + at_high * (1 - eta * high) ** (
            2 * t
        )
        assert sides.further["b"].rhs[place] ** 2 == pytest.approx(attained, rel=1e-9, abs=1e-12)
        for values, weights in laws:
            assert weights @ values == pytest.approx(mean)
            own = weights @ (1 - eta * values) ** (2 * t)
            assert own <= sides.further["b"].rhs[place] ** 2 * (1 + 1e-9) + 1e-12


def test_each_bound_is_nearly_attained():
    narrow = theorem_b_1([1.0], 0.01, 0.5, [1.0], eta=0.2, times=[0, 1, 2])
    check_tight(narrow.corrected_bound)
    for name in ("b", "c", "d"):
        check_tight(narrow.further[name])
    # At times at which something has moved
    for name in ("corrected", "b", "c", "d"):
        assert narrow.corrected_bounds[name].ratios[1] >= 0.98
    slowed = theorem_b_1_deterministic([[1.0]], [[-0.5]], [1.0], times=range(20))
    assert (slowed.corrected_bound.ratios >= 0.98).all()
    rotated = theorem_b_1_deterministic([[1.0]], [[-0.01]], [1.0], times=[1, 2, 3], eta=0.2)
    assert (rotated.further["d"].ratios >= 0.98).all()


@given(
    SEEDS, st.integers(1, 6), st.integers(0, 8), st.sampled_from([0.0, 1e-3, 0.3, 3.0]), st.data()
)
@examples(150)
def test_the_deterministic_bounds_hold_for_any_perturbation(seed, N, more, size, data):
    rng = np.random.default_rng(seed)
    J = rng.standard_normal((N, N + more))
    if data.draw(st.booleans()):  # equal values
        J, *_ = matrix_with_singular_values(rng, np.ones(N), (N, N + more))
    E, y = size * rng.standard_normal((N, N + more)), 2 * rng.standard_normal(N)
    e = np.linalg.norm(E, 2)
    stated = None if data.draw(st.booleans()) else float(e * 1.3 + 0.1)
    largest = np.linalg.norm(J, 2) + (e if stated is None else stated)
    eta = None if data.draw(st.booleans()) else float(rng.uniform(0.1, 1) / largest**2)
    times = np.unique(rng.integers(0, 60, 4))
    sides = theorem_b_1_deterministic(J, E, y, times=times, eta=eta, e=stated)
    check_corrected(sides)
    eta = 1 / largest**2 if eta is None else eta
    assert sides.constants["eta"] == pytest.approx(eta)
    # Gradient descent itself, on a model that is linear in its weights and starts at 0
    J_aug, w = J + E, np.zeros(N + more)
    errors = []
    for t in range(times[-1] + 1):
        if t in times:
            errors.append(np.linalg.norm(y - J_aug @ w))
        w = w + eta * J_aug.T @ (y - J_aug @ w)
    np.testing.assert_allclose(sides.lhs, errors, rtol=1e-8, atol=1e-12)
    # (c) and (d) by their formulas
    U, sigma, _ = np.linalg.svd(J)
    e = e if stated is None else stated
    floors = np.maximum(sigma - e, 0) ** 2
    if min(gaps_of(sigma)) > 1e-6 or size == 0:
        c = slack_terms(sigma, U.T @ y, e)
        expected = [np.sqrt(((1 - eta * floors) ** (2 * t)) @ c) for t in times]
        np.testing.assert_allclose(sides.corrected, expected, rtol=1e-7, atol=1e-12)
    K, step = np.eye(N) - eta * J @ J.T, eta * (2 * sigma[0] * e + e**2) * np.linalg.norm(y)
    expected = [
        np.linalg.norm(np.linalg.matrix_power(K, int(t)) @ y)
        + (t * step * (1 - eta * floors[-1]) ** (t - 1) if t else 0)
        for t in times
    ]
    np.testing.assert_allclose(sides.further["d"].rhs, expected, rtol=1e-8, atol=1e-12)
    assert sides.printed is None


def test_what_the_deterministic_bounds_assume():
    J, E, y = [[1.0, 0.0], [0.0, 0.5]], [[1.0, 0.0], [0.0, 0.0]], [1.0, 1.0]
    large = check_enforced(
        "eta",
        theorem_b_1_deterministic,
        J,
        E,
        y,
        times=[0, 5, 20],
        eta=0.625,
        fragment="eta in (0, 0.25]",
    )
    assert not large.corrected_holds
    assert not large.further["d"].holds
    short = check_enforced(
        "e", theorem_b_1_deterministic, [[1.0]], [[-0.5]], [1.0], times=range(20), e=0.1, eta=0.4
    )
    assert not short.corrected_holds
    assert assumption(short, "e").limit == pytest.approx(0.5)


def test_ties_make_the_printed_slack_infinite_and_nothing_else():
    sides = theorem_b_1([1.0, 1.0], 0.2, 0.5, [1.0, 0.0], eta=0.2, times=[0, 3])
    assert np.isinf(sides.printed).all()
    check_corrected(sides)
    assert not assumption(sides, "gap0").holds
    # c_i is at most ||y||^2
    assert sides.corrected[0] == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("e", [1e-5, 1e-12, 1e-16, 1e-30, 1e-160])
def test_a_narrow_law_has_the_error_without_one(e):
    sides = theorem_b_1([1.0, 0.5], e, [0.5, 1.0], [1.0, 0.0], eta=0.5, times=[0, 1, 4])
    check_corrected(sides)
    np.testing.assert_allclose(sides.lhs, 0.5 ** np.array([0, 1, 4]), rtol=1e-14 + 9 * e)
    zero = theorem_b_1([0.0], e, 0.5, [1.0], eta=0.5, times=[0, 1])
    np.testing.assert_allclose(zero.lhs, 1, rtol=1e-9)


def test_without_a_perturbation_all_bounds_are_the_error_itself():
    sides = theorem_b_1([2.0, 1.0], 0.0, 0.5, [1.0, -1.0], eta=0.2, times=range(5))
    t = np.arange(5)
    exact = np.hypot(0.2**t, 0.8**t)
    for value in (sides.lhs, sides.corrected, sides.printed):
        np.testing.assert_allclose(value, exact)
    for name in ("b", "c", "d"):
        np.testing.assert_allclose(sides.further[name].rhs, exact)


def test_divergence_beyond_float64_and_too_many_nodes_are_refused():
    with pytest.raises(InputError, match="expected eta of at most"):
        theorem_b_1([1.0, 0.5], 0.1, 0.5, [1.0, 0.0], eta=100.0, times=[0, 200])
    with pytest.raises(InputError, match="nodes, expected fewer"):
        theorem_b_1([3.0, 2.0, 1.0], 0.5, 0.5, [1.0, 1.0, 1.0], eta=0.05, times=[400])
    with pytest.raises(InputError, match="J and E are 0"):
        theorem_b_1_deterministic(np.zeros((1, 2)), np.zeros((1, 2)), [1.0], times=[0])
    diverging = theorem_b_1([1.0], 0.1, 0.5, [1.0], eta=3.0, times=[0, 50])
    check_corrected(diverging)
