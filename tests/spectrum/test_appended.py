import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from ntk_aug import augment, jacobian, ntk, spectrum
from ntk_aug.spectrum.appended import appended_kernel


@pytest.fixture(scope="module")
def problem(tanh_mlp, digit_images, digits):
    """Rows of a network and two versions of twelve images, with both Jacobians in float64."""
    rotation = augment.build_augmentation("rotation:30")
    rotated = augment.augment_batch(rotation, jax.random.key(1), digit_images, digits.indices)
    rows = jacobian.JacobianRows(tanh_mlp, (8, 8, 1), dtype="float64")
    rotated = np.asarray(rotated)
    return rows, rotated, rows(digit_images), rows(rotated)


def test_values_and_vectors_are_those_of_the_stacked_jacobian(problem, digit_images):
    rows, rotated, J, J_aug = problem
    stacked = np.concatenate([J, J_aug])
    expected = np.linalg.svd(stacked, compute_uv=False)
    found = spectrum.appended_spectrum(rows, digit_images, rotated)
    # The kernel's values are exact to eps (sigma_1 / sigma)^2.
    np.testing.assert_allclose(
        found.values, expected, rtol=0, atol=1e-13 * expected[0] ** 2 / expected[-1]
    )
    assert found.left.shape == (72, 72)
    # u_i' [J; J~] has the norm sigma_i, and different ones are orthogonal.
    right = found.left.T @ stacked
    np.testing.assert_allclose(
        right @ right.T, np.diag(expected**2), rtol=0, atol=1e-12 * expected[0] ** 2
    )


def test_a_budget_devices_and_finished_blocks_change_no_value(problem, digit_images, tmp_path):
    rows, rotated, *_ = problem
    expected = spectrum.appended_spectrum(rows, digit_images, rotated).values
    for options in (
        {"mesh": Mesh(np.array(jax.devices()), ("images",))},
        {"memory_bytes": 5 * 2 * rows.factor_bytes, "blocks_folder": tmp_path},
    ):
        found = spectrum.appended_spectrum(rows, digit_images, rotated, **options).values
        np.testing.assert_allclose(found[:60], expected[:60], rtol=1e-8)
    assert list(tmp_path.glob("*/*.npy"))


def test_no_value_falls_below_those_of_either_half(problem, digit_images):
    rows, rotated, J, J_aug = problem
    values = spectrum.appended_spectrum(rows, digit_images, rotated).values
    for half in (J, J_aug):
        own = np.linalg.svd(half, compute_uv=False)
        assert (values[:36] >= own * (1 - 1e-9)).all()
        assert (values[:36] > own * 1.001).any()


def test_appending_the_images_themselves_multiplies_values_by_the_root_of_two(
    problem, digit_images
):
    rows, _, J, _ = problem
    values = spectrum.appended_spectrum(rows, digit_images, digit_images).values
    own = np.linalg.svd(J, compute_uv=False)
    np.testing.assert_allclose(values[:36], np.sqrt(2) * own, rtol=1e-9)
    assert values[36:].max() < 1e-7 * values[0]


def test_fewer_parameters_than_rows_leave_as_many_values_as_parameters():
    rng = np.random.default_rng(0)
    J, J_aug = rng.standard_normal((2, 6, 4))
    triple = ntk.KernelTriple(J @ J.T, J @ J_aug.T, J_aug @ J_aug.T)
    found = spectrum.factors_of_kernel(appended_kernel(triple), 4)
    expected = np.linalg.svd(np.concatenate([J, J_aug]), compute_uv=False)
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)


def test_labels_reach_the_rows_of_both_halves(tanh_mlp, problem, digit_images, digits):
    _, rotated, *_ = problem
    rows = jacobian.JacobianRows(tanh_mlp, (8, 8, 1), rows="true-logit", dtype="float64")
    found = spectrum.appended_spectrum(rows, digit_images, rotated, digits.labels)
    stacked = np.concatenate([rows(images, digits.labels) for images in (digit_images, rotated)])
    expected = np.linalg.svd(stacked, compute_uv=False)
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-7 * expected[0])
