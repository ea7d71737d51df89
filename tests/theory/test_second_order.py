import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theory_checks import SEEDS, check_corrected, check_tight, check_violated, examples

from ntk_aug.theory import claim_c_2, measure_perturbed, second_order

SIGMA = np.arange(6.0, 0, -1)


def test_the_expansion_has_the_numbers_of_the_guide():
    found = second_order(SIGMA, 60, 0.01)
    np.testing.assert_allclose(
        found.gain / 1e-4, [72.12, 63.60, 59.22, 56.49, 54.77, 53.81], atol=0.005
    )


def test_the_expansion_is_that_of_its_formula():
    rng = np.random.default_rng(0)
    sigma = np.sort(rng.uniform(0.5, 3, 5))[::-1]
    found = second_order(sigma, 9, 0.3)
    for i, own in enumerate(sigma**2):
        others = [other for j, other in enumerate(sigma**2) if j != i]
        gain = 9 + sum((own + other) / (own - other) for other in others)
        turn = sum((own + other) / (own - other) ** 2 for other in others)
        assert found.gain[i] == pytest.approx(0.09 * gain, rel=1e-12)
        assert found.squared_sine[i] == pytest.approx(0.09 * turn, rel=1e-12)
    # Together they gain E ||E||_F^2
    assert found.gain.sum() == pytest.approx(0.09 * 5 * 9)


def test_exact_decompositions_agree_with_the_expansion():
    found = measure_perturbed(0, SIGMA, 60, 0.01, draws=2_900)
    expected = second_order(SIGMA, 60, 0.01)
    assert (np.abs(found.gain - expected.gain) <= 5 * found.gain_error + 1e-6).all()
    # The next order is some 1e-4 of the first
    slack = 6 * found.squared_sine_error + 0.005 * expected.squared_sine
    assert (np.abs(found.squared_sine - expected.squared_sine) <= slack).all()
    np.testing.assert_allclose(found.squared_sine / expected.squared_sine, 1, atol=0.03)
    assert (found.gain_error < 0.01 * found.gain).all()
    assert found.share_decreased[0] == pytest.approx(0.477, abs=0.02)
    assert found.share_decreased[-1] == pytest.approx(0.398, abs=0.02)
    # Relative to the value, the smallest gains most
    assert (np.diff(found.gain / SIGMA**2) > 0).all()


def test_draws_depend_on_the_key_alone_and_their_mean_trace_grows_by_that_of_e():
    found = measure_perturbed(5, [2.0, 1.0], 3, 0.1, draws=400)
    again = measure_perturbed(5, [2.0, 1.0], 3, 0.1, draws=400)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
    other = measure_perturbed(6, [2.0, 1.0], 3, 0.1, draws=400)
    assert (found.gain != other.gain).all()
    # E ||E||_F^2 = N P s^2
    assert abs(found.gain.sum() - 2 * 3 * 0.01) <= 5 * found.gain_error.sum()


def test_nothing_is_gained_without_a_perturbation():
    found = measure_perturbed(0, [2.0, 1.0], 3, 0.0, draws=400)
    np.testing.assert_allclose(found.gain, 0, atol=1e-14)
    np.testing.assert_allclose(found.squared_sine, 0, atol=1e-14)
    assert (second_order([2.0, 1.0], 3, 0.0).gain == 0).all()


@given(SEEDS, st.integers(1, 6), st.integers(1, 6), st.floats(-6, 1))
@examples(150)
def test_trace_and_top_sums_grow_in_the_mean_of_e_and_its_opposite(seed, N, P, digits):
    rng = np.random.default_rng(seed)
    J, E = rng.standard_normal((2, N, P))
    E *= 10**digits
    sides = claim_c_2(J, E)
    check_corrected(sides)
    K = [(J + sign * E) @ (J + sign * E).T for sign in (1, -1)]
    assert sides.lhs == pytest.approx(np.trace(K[0] + K[1]) / 2, rel=1e-12)
    assert sides.corrected == pytest.approx((J**2).sum() + (E**2).sum(), rel=1e-12)
    values = sum(np.linalg.eigvalsh(k)[::-1] for k in K)[: min(N, P)] / 2
    np.testing.assert_allclose(
        sides.further["top"].lhs, np.cumsum(values), rtol=1e-9, atol=1e-12 * values.sum()
    )
    before, after = (np.linalg.svd(A, compute_uv=False) for A in (J, J + E))
    assert sides.printed_holds == (
        after[0] / before[0] <= after[-1] / before[-1] * (1 + sides.tolerance)
    )


def test_merging_two_inputs_takes_the_smallest_value():
    X, merged = np.array([[1.0, 0.05], [1.0, -0.05]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    sides = claim_c_2(X, merged - X)
    check_violated(sides)
    check_corrected(sides)
    assert sides.printed == pytest.approx(0, abs=1e-12)
    check_tight(sides.corrected_bound)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_mean_of_zero_does_not_make_the_smallest_value_grow(sign):
    E = np.zeros((3, 3))
    E[2, 0] = 0.3 * sign
    sides = claim_c_2(np.diag([3.0, 2.0, 1.0]), E)
    check_violated(sides)
    check_corrected(sides)
    assert sides.printed**2 < 0.989
    check_tight(claim_c_2(np.eye(2), 1e-3 * np.eye(2)).further["top"])
