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

from ntk_aug.theory import corollary_b_5, lemma_b_4

FORMS = pytest.mark.parametrize("form", [lemma_b_4, corollary_b_5])


def sums(X, Y, W, F, subset, gamma):
    """Of clean and of augmented gradients: those of all minus those of the coreset."""
    found = []
    for points in (X, X @ F.T):
        every = [np.outer(x, W.T @ x - y) for x, y in zip(points, Y, strict=True)]
        found.append(sum(every) - sum(w * every[j] for j, w in zip(subset, gamma, strict=True)))
    return found


@given(SEEDS, st.integers(1, 7), st.integers(1, 6), st.integers(1, 3), st.data())
@examples(150)
def test_the_corrected_forms_hold_for_any_linear_map(seed, n, d, C, data):
    rng = np.random.default_rng(seed)
    k = data.draw(st.integers(1, n))
    X = rng.standard_normal((n, d)) * np.exp(rng.standard_normal((n, 1)))  # no pixels
    X[rng.integers(n)] = X[rng.integers(n)]
    W, Y = rng.standard_normal((d, C)), rng.standard_normal((n, C))
    F = data.draw(st.sampled_from([np.eye(d), np.zeros((d, d)), None]))
    F = np.eye(d) + rng.standard_normal((d, d)) * 10 ** rng.uniform(-3, 1) if F is None else F
    subset = rng.permutation(n)[:k]
    gamma = rng.dirichlet(np.ones(k)) * n * data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    if data.draw(st.booleans()):
        gamma = rng.multinomial(n, np.full(k, 1 / k))
    clean, augmented = sums(X, Y, W, F, subset, gamma)
    xi, top = np.linalg.norm(clean), np.linalg.norm(F, 2)
    omega = np.linalg.norm((X @ F.T - X) @ W, axis=1).max()
    if data.draw(st.booleans()):  # stated in place of computed
        xi, omega = xi * rng.uniform(1, 2), omega * rng.uniform(1, 2)
        stated = {"xi": float(xi), "omega": float(omega)}
    else:
        stated = {}
    R = np.linalg.norm(X, axis=1).max()
    weights = np.zeros(n)
    weights[subset] = gamma
    moved = R * omega * top
    size = 1e-9 * (np.abs(W).max() + np.abs(Y).max()) * (R * (1 + top)) ** 2 * n
    for form, lhs, of_xi in (
        (lemma_b_4, np.linalg.norm(augmented), top),
        (corollary_b_5, np.linalg.norm(clean + augmented), top + 1),
    ):
        sides = form(X, Y, W, F, subset, gamma, **stated)
        check_corrected(sides, 1e-12)
        assert sides.lhs == pytest.approx(lhs, rel=1e-9, abs=size)
        corrected = of_xi * xi + moved * np.abs(1 - weights).sum()
        assert sides.corrected == pytest.approx(corrected, rel=1e-9, abs=size)
        looser = of_xi * xi + 2 * n * moved
        assert sides.further["b"].rhs == pytest.approx(looser, rel=1e-9, abs=size)
        printed = of_xi * xi + np.sqrt(d) * top * n * omega
        assert sides.printed == pytest.approx(printed, rel=1e-9, abs=size)
        assert assumption(sides, "gamma").value == pytest.approx(gamma.sum())
        assert assumption(sides, "pixels").holds == (np.sqrt(d) * (1 + 1e-9) >= R)


def family(d, n, tau=100.0):
    """Arguments of the guide's family, which violates the printed form; pixels in [0, 1]."""
    one, other = np.ones(d), np.ones(d)
    one[0] = other[0] = 0.99
    one[-2], other[-1] = 0, 0
    X = np.vstack([one] + [other] * (n - 1))
    a, w = np.zeros(d), np.zeros(d)
    a[-2], a[-1], w[0] = 1, -1, tau
    F = np.eye(d) + np.outer(w, a) / (w @ w)
    assert X.min() >= 0
    assert X.max() <= 1
    assert (X @ F.T).min() > -1e-12
    assert (X @ F.T).max() < 1 + 1e-12
    return X, (X @ w)[:, None], w[:, None], F, [0], [n]


@pytest.mark.parametrize(("d", "n", "factor"), [(3, 4, 1.046), (8, 10, 1.608), (64, 100, 1.942)])
def test_the_family_violates_the_printed_forms(d, n, factor):
    X, Y, W, F, S, gamma = family(d, n)
    # The guide's own computation, with one output
    g, ga = (x * (x @ W[:, 0] - Y[:, 0])[:, None] for x in (X, X @ F.T))
    xi, top = np.linalg.norm(g.sum(0) - n * g[0]), np.linalg.norm(F, 2)
    omega = abs((X @ F.T - X) @ W).max()
    expected = {
        lemma_b_4: (np.linalg.norm(ga.sum(0) - n * ga[0]), top * (xi + np.sqrt(d) * n * omega)),
        corollary_b_5: (
            np.linalg.norm((g + ga).sum(0) - n * (g + ga)[0]),
            (top + 1) * xi + np.sqrt(d) * top * n * omega,
        ),
    }
    for form, (lhs, printed) in expected.items():
        sides = form(X, Y, W, F, S, gamma)
        assert sides.lhs == pytest.approx(lhs, rel=1e-12)
        assert sides.printed == pytest.approx(printed, rel=1e-12)
        assert sides.lhs > factor * sides.printed
        check_violated(sides)
        check_corrected(sides)
        assert assumption(sides, "pixels").holds
    assert sides.constants["k+"] == 1


def test_numbers_of_the_smallest_member():
    sides = lemma_b_4(*family(3, 4))
    assert sides.lhs == pytest.approx(7.2996, abs=5e-5)
    assert sides.printed == pytest.approx(6.9774, abs=5e-5)
    assert sides.corrected == pytest.approx(8.503, abs=5e-4)


@FORMS
def test_large_members_nearly_attain_both_corrected_forms(form):
    sides = form(*family(200, 500))
    check_tight(sides.corrected_bound)
    check_tight(sides.further["b"])
    assert sides.lhs > 1.97 * sides.printed


@FORMS
def test_an_identity_map_leaves_the_error_as_it_is(form):
    rng = np.random.default_rng(0)
    X, Y, W = rng.uniform(size=(5, 3)), rng.standard_normal((5, 2)), rng.standard_normal((3, 2))
    sides = form(X, Y, W, np.eye(3), [1, 4], [2, 3])
    check_tight(sides.corrected_bound)
    assert sides.constants["omega"] == 0
    everything = form(X, Y, W, rng.standard_normal((3, 3)), range(5), np.ones(5))
    assert everything.lhs == pytest.approx(0, abs=1e-12)
    check_corrected(everything)


@FORMS
def test_what_both_forms_assume(form):
    X, Y, W, F, _, _ = family(3, 4)
    heavy = check_enforced("gamma", form, X[:2], Y[:2], W, F, [0], [200.0])
    assert heavy.further["b"].holds is False
    uneven = np.eye(2), [[1.0], [0.0]], np.zeros((2, 1)), np.eye(2), [1], [2]
    assert not check_enforced("xi", form, *uneven, xi=0.5).corrected_holds
    assert not check_enforced("omega", form, *family(8, 10), omega=0.0).corrected_holds
