from itertools import combinations

import numpy as np
import pytest
from helpers import pairwise
from hypothesis import given
from hypothesis import strategies as st
from theory_checks import SEEDS, check_corrected, check_tight, check_violated, examples

from ntk_aug import coreset
from ntk_aug.coreset.gradient_errors import error_estimate
from ntk_aug.theory import assign, equation_44


def gradients_with_duplicates(seed, n, P, share):
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((n, P)) * np.exp(2 * rng.standard_normal((n, 1)))
    copies = rng.uniform(size=n) < share
    G[copies] = G[rng.integers(n, size=copies.sum())]
    G[rng.uniform(size=n) < 0.1] = 0
    return G


@given(SEEDS, st.integers(1, 12), st.integers(1, 5), st.floats(0, 1), st.data())
@examples(200)
def test_the_chain_of_bounds_holds_for_any_subset(seed, n, P, share, data):
    G = gradients_with_duplicates(seed, n, P, share)
    k = data.draw(st.integers(1, n))
    S = np.random.default_rng(seed).permutation(n)[:k]
    sides = equation_44(G, S)
    check_corrected(sides, 1e-12)
    # Every example, and then every member of S, by itself
    gamma, D = np.zeros(n), []
    for g in G:
        distances = [np.linalg.norm(g - G[j]) for j in S]
        nearest = S[int(np.argmin(distances))]
        gamma[nearest] += 1
        D.append(g - G[nearest])
    D = np.array(D)
    size = np.linalg.norm(G, axis=1).sum()
    assert sides.lhs == pytest.approx(np.linalg.norm(D.sum(axis=0)), abs=1e-11 * size)
    lengths = np.linalg.norm(D, axis=1)
    assert sides.further["sum"].rhs == pytest.approx(lengths.sum(), abs=1e-12 * size)
    expected = np.sqrt(n - k) * np.sqrt((lengths**2).sum())
    assert sides.corrected == pytest.approx(expected, abs=1e-12 * size)
    np.testing.assert_allclose(D[S], 0)
    represented = G[S[assign(G, S).positions]]
    assert sides.printed == pytest.approx(np.linalg.norm(represented))
    found = assign(G, S).gamma
    assert found.sum() == n
    np.testing.assert_array_equal(found, gamma[S])
    assert sides.constants["k+"] == (gamma > 0).sum()


def test_the_middle_of_the_chain_is_the_estimate_of_the_coreset_algorithms():
    for seed in range(5):
        G = gradients_with_duplicates(seed, 30, 4, 0.3)
        S = np.random.default_rng(seed).permutation(30)[:6]
        estimate = error_estimate(G, S)
        assert equation_44(G, S).further["sum"].rhs == pytest.approx(estimate, rel=1e-6)


def test_of_all_subsets_the_sum_finds_a_good_one_and_the_printed_side_does_not():
    G = gradients_with_duplicates(3, 9, 3, 0.0) + 1
    found = {S: equation_44(G, list(S)) for S in combinations(range(9), 3)}
    distances = pairwise(G)
    for S, sides in found.items():
        assert sides.further["sum"].rhs == pytest.approx(distances[:, S].min(axis=1).sum())
        check_corrected(sides)
    best = min(found, key=lambda S: found[S].further["sum"].rhs)
    # Greedy on the complement: at least 1 - 1/e of what the best subset gains
    greedy = coreset.facility_location(G, count=3)
    ceiling = distances.max() * 9
    gained = ceiling - found[tuple(sorted(int(i) for i in greedy.indices))].further["sum"].rhs
    assert gained >= (1 - 1 / np.e) * (ceiling - found[best].further["sum"].rhs)
    # The printed side alone is smallest for gradients near 0, wherever the others are
    smallest = min(found, key=lambda S: found[S].printed)
    assert found[smallest].further["sum"].rhs > found[best].further["sum"].rhs


def test_a_representative_with_gradient_zero_violates_the_printed_form():
    sides = equation_44(np.array([[0.0], [1.0]]), [0])
    assert sides.lhs == 1
    assert sides.printed == 0
    check_violated(sides)
    check_corrected(sides)
    check_tight(sides.corrected_bound)
    check_tight(sides.further["sum"])


def test_the_factor_of_the_frobenius_norm_cannot_be_dropped():
    sides = equation_44(np.array([[0.0], [1.0], [1.0]]), [0])
    assert sides.lhs == pytest.approx(2)
    assert sides.constants["||D||_F"] == pytest.approx(np.sqrt(2))
    assert sides.corrected == pytest.approx(2)
    check_violated(sides)
    check_tight(sides.corrected_bound)


def test_the_first_of_equal_members_stands_for_all():
    G = np.array([[1.0], [1.0], [5.0], [1.0]])
    positions, gamma = assign(G, [3, 2, 0])
    np.testing.assert_array_equal(positions, [0, 0, 1, 0])
    np.testing.assert_array_equal(gamma, [3, 1, 0])
    # Halfway between two members
    np.testing.assert_array_equal(
        assign(np.array([[0.0], [1.0], [2.0]]), [2, 0]).positions, [1, 0, 0]
    )


def test_everything_or_one_example_as_the_subset():
    G = gradients_with_duplicates(0, 5, 3, 0.0)
    every = equation_44(G, [4, 2, 0, 1, 3])
    assert every.corrected == 0
    check_corrected(every)
    one = equation_44(G, [2])
    np.testing.assert_array_equal(assign(G, [2]).gamma, [5])
    assert one.lhs == pytest.approx(np.linalg.norm(G.sum(axis=0) - 5 * G[2]))
    check_corrected(equation_44(G[:1], [0]))
