"""The two routes, kernels and direct SVD, on matrices whose answer is known."""

import numpy as np
import pytest
from helpers import largest_sine, matrix_with_singular_values, orthogonal

from ntk_aug import ntk, spectrum
from ntk_aug.spectrum.bins import compare_bins, equal_count_bins
from ntk_aug.spectrum.decomposition import null_tolerance, pair_from_jacobians, pair_from_kernels

SHAPES = [(60, 200), (90, 15)]  # wide, as with many parameters, and tall


def kernel_pair(J, J_aug):
    triple = ntk.KernelTriple(J @ J.T, J @ J_aug.T, J_aug @ J_aug.T)
    plain = spectrum.factors_of_kernel(triple.plain, J.shape[1])
    return pair_from_kernels(plain, triple, J.shape[1])


ROUTES = {"kernel": kernel_pair, "svd": pair_from_jacobians}


def compare(route, J, J_aug, num_bins=6):
    pair = ROUTES[route](J, J_aug)
    bins = equal_count_bins(min(J.shape), num_bins)
    tolerance = null_tolerance(pair.plain.values, *J.shape, backend=route, dtype="float64")
    return pair, bins, compare_bins(pair, bins, tolerance)


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def problem(request):
    rng = np.random.default_rng(0)
    values = np.linspace(10, 0.5, min(request.param))
    return rng, values, *matrix_with_singular_values(rng, values, request.param)


@pytest.mark.parametrize("route", ROUTES)
def test_the_same_matrix_moves_nothing(route, problem):
    _, values, J, _, _ = problem
    pair, _, result = compare(route, J, J.copy())
    np.testing.assert_allclose(pair.plain.values, values, rtol=1e-12)
    np.testing.assert_array_equal(result.difference, 0)
    assert max(result.left_angle.max(), result.right_angle.max()) < 1e-6
    assert result.perturbation_norm < 1e-6
    assert not result.null.any()
    assert not result.tie.any()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("factor", [0.9, 1.5])
def test_a_scaled_matrix_has_scaled_values_and_the_same_subspaces(route, factor, problem):
    _, values, J, _, _ = problem
    _, bins, result = compare(route, J, factor * J)
    means = np.array([values[b].mean() for b in bins])
    np.testing.assert_allclose(result.difference, (factor - 1) * means, rtol=1e-10)
    np.testing.assert_allclose(result.relative_difference, factor - 1, rtol=1e-10)
    np.testing.assert_array_equal(result.share_decreased, float(factor < 1))
    np.testing.assert_allclose(result.perturbation_norm, abs(factor - 1) * 10, rtol=1e-10)
    assert max(result.left_angle.max(), result.right_angle.max()) < 1e-6


def mean_angles(bases, rotated, bins):
    """Mean principal angles by arccosines alone, good enough for angles of many degrees."""
    return [
        np.rad2deg(
            np.arccos(np.clip(np.linalg.svd(bases[:, b].T @ rotated[:, b], compute_uv=False), 0, 1))
        ).mean()
        for b in bins
    ]


@pytest.mark.parametrize("route", ROUTES)
def test_a_rotation_of_the_outputs_turns_left_vectors_only(route, problem):
    rng, _, J, U, _ = problem
    Q = orthogonal(rng, len(J))
    _, bins, result = compare(route, J, Q @ J)
    np.testing.assert_allclose(result.difference, 0, atol=1e-12)
    assert result.right_angle.max() < 1e-5
    np.testing.assert_allclose(result.left_angle, mean_angles(U, Q @ U, bins), rtol=1e-6)


@pytest.mark.parametrize("route", ROUTES)
def test_a_rotation_of_the_weights_turns_right_vectors_only(route, problem):
    rng, _, J, _, V = problem
    Q = orthogonal(rng, J.shape[1])
    _, bins, result = compare(route, J, J @ Q.T)
    np.testing.assert_allclose(result.difference, 0, atol=1e-12)
    assert result.left_angle.max() < 1e-5
    np.testing.assert_allclose(result.right_angle, mean_angles(V, Q @ V, bins), rtol=1e-6)


@pytest.mark.parametrize("route", ROUTES)
def test_permuting_the_rows_of_both_changes_nothing(route, problem):
    rng, _, J, _, _ = problem
    J_aug = J + 0.1 * rng.standard_normal(J.shape)
    order = rng.permutation(len(J))
    _, _, one = compare(route, J, J_aug)
    _, _, other = compare(route, J[order], J_aug[order])
    for field in one._fields:
        np.testing.assert_allclose(getattr(other, field), getattr(one, field), rtol=1e-7)
    # Permuting those of one alone turns its left vectors away.
    _, _, wrong = compare(route, J, J_aug[order])
    assert wrong.left_angle[0] > 4 * one.left_angle[0]


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0])
def test_both_routes_agree(scale, problem):
    rng, _, J, _, _ = problem
    J_aug = J + scale * rng.standard_normal(J.shape)
    by_kernels, by_svd = (compare(route, J, J_aug)[2] for route in ROUTES)
    np.testing.assert_allclose(by_kernels.augmented_values, by_svd.augmented_values, rtol=1e-12)
    for angle in ("left_angle", "right_angle"):
        # Kernels know what leaves the row space to sqrt(eps) only: 1e-6 degrees and a little.
        np.testing.assert_allclose(
            getattr(by_kernels, angle), getattr(by_svd, angle), rtol=1e-6, atol=2e-5
        )
    # ||E|| from kernels is a difference of numbers of size sigma_1^2 = 100.
    np.testing.assert_allclose(
        by_kernels.perturbation_norm, by_svd.perturbation_norm, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(by_svd.perturbation_norm, np.linalg.norm(J_aug - J, 2), rtol=1e-12)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("scale", [1e-3, 1e-1])
def test_values_obey_weyl_and_blocks_obey_wedin(route, scale, problem):
    rng, values, J, _, _ = problem
    E = scale * rng.standard_normal(J.shape)
    pair, bins, result = compare(route, J, J + E)
    assert np.abs(result.augmented_values - values).max() <= np.linalg.norm(E, 2) * (1 + 1e-12)
    # Block bound: ||sin Theta||_F^2 <= (||E V~_I||_F^2 + ||E' U~_I||_F^2) / dl_I^2, where values
    # outside the block include 0 on the side whose space is larger than the number of values.
    U_aug, s_aug, Vt_aug = np.linalg.svd(J + E, full_matrices=False)
    attained = 0
    for b in bins:
        outside = np.delete(values, b)
        gap = np.abs(s_aug[b][:, None] - outside).min()
        numerator = np.hypot(np.linalg.norm(E @ Vt_aug[b].T), np.linalg.norm(E.T @ U_aug[:, b]))
        for angles, larger in (
            (pair.left_angles(b), J.shape[0] > J.shape[1]),
            (pair.right_angles(b), J.shape[1] > J.shape[0]),
        ):
            bound = numerator / (min(gap, s_aug[b].min()) if larger else gap)
            sines = np.linalg.norm(np.sin(np.deg2rad(angles)))
            assert sines <= bound * (1 + 1e-8) + 1e-8
            attained = max(attained, sines / bound)
    assert attained > 0.05  # the bound is not vacuous everywhere


@pytest.mark.parametrize("route", ROUTES)
def test_a_tie_across_a_boundary_turns_both_bins_and_one_inside_turns_none(route):
    rng = np.random.default_rng(1)
    values = np.linspace(60, 1, 60)
    inside, across = values.copy(), values.copy()
    inside[11] = inside[10] - 1e-9  # ranks 10 and 11 share a bin of two
    across[12] = across[11] - 1e-9  # ranks 11 and 12 are in neighbouring bins
    for sigma, expected in ((values, False), (inside, False), (across, True)):
        J, U, _ = matrix_with_singular_values(rng, sigma, (60, 80))
        E = rng.standard_normal(J.shape)
        E *= 1e-6 / np.linalg.norm(E, 2)
        pair, bins, result = compare(route, J, J + E, num_bins=30)
        turned = result.left_angle > 1
        assert list(np.flatnonzero(turned)) == ([5, 6] if expected else [])
        if sigma is inside:  # although single vectors of the bin turn by degrees
            assert largest_sine(U[:, 10:11], pair.augmented.left[:, 10:11]) > np.sin(np.deg2rad(1))
        if expected:  # and a union of the two bins does not turn
            union = pair.left_angles(slice(bins[5].start, bins[6].stop))
            assert union.max() < 1e-4
            assert result.boundary_gap[5] < 1e-6 < result.boundary_gap[4]


@pytest.mark.parametrize("route", ROUTES)
def test_an_exact_tie_is_flagged_at_both_bins(route):
    J = np.eye(6) * np.array([3, 2, 2, 1.5, 1, 0.5])
    _, _, result = compare(route, J, 1.1 * J, num_bins=3)
    np.testing.assert_array_equal(result.tie, [True, True, False])


@pytest.mark.parametrize("route", ROUTES)
def test_null_values_are_flagged_and_their_angles_left_out(route):
    rng = np.random.default_rng(2)
    values = np.concatenate([np.linspace(5, 1, 9), np.zeros(3)])
    J, _, _ = matrix_with_singular_values(rng, values, (12, 30))
    _, _, result = compare(route, J, 1.01 * J, num_bins=4)
    np.testing.assert_array_equal(result.null, [False, False, False, True])
    for numbers in (
        result.relative_difference,
        result.share_decreased,
        result.left_angle,
        result.right_angle,
    ):
        np.testing.assert_array_equal(np.isnan(numbers), result.null)
    assert abs(result.difference[3]) < 1e-6  # valid, although its vectors are not
    assert result.left_angle[:3].max() < 1e-6


@pytest.mark.parametrize("route", ROUTES)
def test_null_values_of_either_spectrum_are_flagged(route):
    # An augmentation that makes rows dependent, or one that makes dependent rows independent.
    rng = np.random.default_rng(2)
    full = np.linspace(5, 1, 12)
    J, U, V = matrix_with_singular_values(rng, full, (12, 30))
    deficient = (U * np.where(full < 1.8, 0, full)) @ V.T  # without its last three values
    for pair in ((J, deficient), (deficient, J)):
        _, _, result = compare(route, *pair, num_bins=4)
        np.testing.assert_array_equal(result.null, [False, False, False, True])
        for numbers in (result.relative_difference, result.left_angle, result.right_angle):
            np.testing.assert_array_equal(np.isnan(numbers), result.null)


def test_the_resolution_is_that_of_the_route():
    values = np.array([100.0, 1.0])
    tolerance = {
        (backend, dtype): null_tolerance(values, 10, 20, backend=backend, dtype=dtype)
        for backend, dtype in (("svd", "float64"), ("kernel", "float64"), ("kernel", "float32"))
    }
    assert tolerance["svd", "float64"] == pytest.approx(100 * 20 * 2.0**-52)
    assert tolerance["kernel", "float64"] == pytest.approx(2e-6)
    assert tolerance["kernel", "float32"] == pytest.approx(1e-4)
