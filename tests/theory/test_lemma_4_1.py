import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theory_checks import assumption, check_corrected, check_tight, check_violated, examples

from ntk_aug.theory import draw_shifts, lemma_4_1, shift_moments

TRIPLES = [(2.0, 0.5, 0.3), (1.0, 1.0, 0.0), (1.5, 0.7, 1.0), (3.0, 0.01, 0.5), (0.3, 0.8, 0.6)]
SIZES = st.just(0.0) | st.floats(1e-3, 5)


def mean_of(power, sigma, low, high):
    """The mean of (sigma + d)^power for d uniform in [low, high], by the antiderivative."""
    if low == high:
        return (sigma + low) ** power
    at = [(sigma + d) ** (power + 1) / (power + 1) for d in (low, high)]
    return (at[1] - at[0]) / (high - low)


def mean_in_law(power, sigma, e, p):
    return p * mean_of(power, sigma, -e, 0) + (1 - p) * mean_of(power, sigma, 0, e)


@pytest.mark.parametrize(("sigma", "e", "p"), TRIPLES)
def test_moments_are_those_of_many_draws(sigma, e, p):
    draws = 400_000
    delta = draw_shifts(1, e, p, draws)
    assert delta.shape == (draws,)
    moments = shift_moments(sigma, e, p)
    for power, exact in enumerate(moments[:4], 1):
        of_double_power = e ** (2 * power) / (2 * power + 1)
        error = np.sqrt((of_double_power - exact**2) / draws)
        assert abs((delta**power).mean() - exact) <= 5 * error
    values = (sigma + delta) ** 2
    assert abs(values.mean() - moments.eigenvalue) <= 5 * values.std() / np.sqrt(draws)
    centred = (values - values.mean()) ** 2
    error = centred.std() / np.sqrt(draws)
    assert abs(centred.mean() - moments.eigenvalue_variance) <= 5 * error


def test_the_printed_law_makes_singular_values_negative_at_the_stated_rate():
    sigma, e, p = TRIPLES[-1]
    draws = 400_000
    share = (sigma + draw_shifts(2, e, p, draws) < 0).mean()
    rate = p * (e - sigma) / e
    assert rate == pytest.approx(0.375)
    assert abs(share - rate) <= 5 * np.sqrt(rate * (1 - rate) / draws)
    assert lemma_4_1(sigma, e, p).constants["mass below 0"] == pytest.approx(rate)


def test_the_truncated_law_has_the_mean_of_the_corrected_form():
    sides = lemma_4_1(0.3, 0.8, 0.6)
    assert sides.corrected == pytest.approx(0.235333, abs=5e-7)
    assert sides.printed == pytest.approx(0.255333, abs=5e-7)
    assert sides.lhs == pytest.approx(sides.corrected, rel=1e-13)
    check_violated(sides)
    check_corrected(sides)
    assert not assumption(sides, "sigma >= e").holds
    # By draws: decreases are uniform in [-sigma, 0)
    rng = np.random.default_rng(0)
    delta = np.where(rng.uniform(size=400_000) < 0.6, -0.3, 0.8) * rng.uniform(size=400_000)
    values = (0.3 + delta) ** 2
    assert abs(values.mean() - sides.corrected) <= 5 * values.std() / np.sqrt(400_000)


@given(SIZES, SIZES, st.floats(0, 1))
@examples(200)
def test_closed_forms_are_integrals_of_the_law(sigma, e, p):
    moments = shift_moments(sigma, e, p)
    size = (sigma + e) ** 2
    for power, found in enumerate(moments[:4], 1):
        # At sigma = 0 the antiderivative is that of delta itself
        exact = mean_in_law(power, 0.0, e, p)
        assert found == pytest.approx(exact, rel=1e-12, abs=1e-12 * e**power)
    mean = sigma**2 + 2 * sigma * moments.first + moments.second
    assert moments.eigenvalue == pytest.approx(mean, rel=1e-12, abs=1e-12 * size)
    # Var (sigma + d)^2 from the moments of d
    square = (
        sigma**4
        + 4 * sigma**3 * moments.first
        + 6 * sigma**2 * moments.second
        + 4 * sigma * moments.third
        + moments.fourth
    )
    variance = moments.eigenvalue_variance
    assert variance == pytest.approx(square - mean**2, rel=1e-9, abs=1e-11 * size**2)
    assert variance >= -1e-12 * size**2


@given(SIZES, SIZES, st.floats(0, 1))
@examples(200)
def test_the_corrected_mean_is_that_of_the_law_without_negative_values(sigma, e, p):
    sides = lemma_4_1(sigma, e, p)
    check_corrected(sides)
    if e > 1e-6 and sigma > 1e-6:  # the antiderivative cancels in tiny intervals
        down = mean_of(2, sigma, -min(sigma, e), 0)
        exact = p * down + (1 - p) * mean_of(2, sigma, 0, e)
        assert sides.lhs == pytest.approx(exact, rel=1e-8)
    assert assumption(sides, "sigma >= e").value == sigma
    if sigma >= e:
        assert sides.printed_holds
        assert sides.constants["mass below 0"] == 0


def test_without_a_perturbation_nothing_moves():
    sides = lemma_4_1(1.5, 0.0, 0.4)
    assert sides.lhs == sides.printed == sides.corrected == 2.25
    assert lemma_4_1(0.0, 0.0, 1.0).corrected_holds
    assert (draw_shifts(0, 0.0, 0.5, 1000) == 0).all()


def test_the_mean_nearly_reaches_weyls_bound_when_all_grow_by_little():
    check_tight(lemma_4_1(1.0, 0.01, 0.0).further["Weyl"])
    assert lemma_4_1(2.0, 0.5, 0.3).corrected_bound.ratio == pytest.approx(1, abs=1e-12)


def test_draws_have_the_signs_of_p_and_depend_on_the_key_alone():
    assert (draw_shifts(3, 1.0, 0.0, 1000) >= 0).all()
    assert (draw_shifts(3, 1.0, 1.0, 1000) <= 0).all()
    draws = draw_shifts(3, 0.5, 0.5, 1000)
    assert np.abs(draws).max() <= 0.5
    np.testing.assert_array_equal(draws, draw_shifts(3, 0.5, 0.5, 1000))
    assert (draws != draw_shifts(4, 0.5, 0.5, 1000)).any()
