import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import jacobian, models, spectrum
from ntk_aug.checks import InputError


def few_parameters(digit_images):
    """A network with fewer parameters (9) than rows (36), and one with more."""

    def apply_fn(params, images):
        return images[:, 2:5, 3, 0] @ params

    return models.ModelView(apply_fn, np.random.default_rng(0).normal(size=(3, 3)).astype("f4"))


@pytest.mark.parametrize("name", ["more parameters", "more rows"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_vectors_are_those_of_a_direct_svd(name, dtype, tanh_mlp, digit_images):
    view = tanh_mlp if name == "more parameters" else few_parameters(digit_images)
    J = jacobian.JacobianRows(view.apply_fn, view.params, (8, 8, 1), dtype="float64")(digit_images)
    expected = np.linalg.svd(J, compute_uv=False)
    operator = jacobian.JacobianOperator(view.apply_fn, view.params, digit_images, dtype=dtype)
    found = spectrum.largest_singular_triplets(jax.random.key(0), operator, 4)
    np.testing.assert_allclose(
        found.values, expected[:4], rtol=1e-9 if dtype == "float64" else 1e-5
    )
    assert found.converged.all()
    assert found.residuals.max() <= (1e-9 if dtype == "float64" else 1e-5)
    # Each pair maps one to the other, and the sides are orthonormal.
    tolerance = 1e-8 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(
        J @ found.right, found.left * found.values, rtol=0, atol=tolerance * expected[0]
    )
    for side in (found.left, found.right):
        np.testing.assert_allclose(side.T @ side, np.eye(4), atol=tolerance * 10)
    # The start does not matter.
    other = spectrum.largest_singular_triplets(jax.random.key(1), operator, 4)
    np.testing.assert_allclose(other.values, found.values, rtol=1e-5)


def test_a_residual_above_the_tolerance_is_marked(tanh_mlp, digit_images):
    operator = jacobian.JacobianOperator(tanh_mlp.apply_fn, tanh_mlp.params, digit_images)
    rough = spectrum.largest_singular_triplets(jax.random.key(0), operator, 4, tolerance=1e-9)
    np.testing.assert_array_equal(rough.converged, rough.residuals <= 1e-9)
    assert not rough.converged.all()  # float32 products do not reach it


def test_impossible_requests_are_refused(tanh_mlp, digit_images):
    operator = jacobian.JacobianOperator(tanh_mlp.apply_fn, tanh_mlp.params, digit_images)
    with pytest.raises(InputError, match=r"k \(singular values\) is 36, expected 1 to 35"):
        spectrum.largest_singular_triplets(jax.random.key(0), operator, 36)
    images = np.random.default_rng(0).normal(size=(60, 8, 8, 1)).astype("f4")
    larger = jacobian.JacobianOperator(tanh_mlp.apply_fn, tanh_mlp.params, images)
    with pytest.raises(InputError, match="of 9 singular values converged within max_iterations"):
        spectrum.largest_singular_triplets(
            jax.random.key(0), larger, 9, tolerance=1e-12, max_iterations=1
        )


def test_equal_values_are_in_order_and_a_zero_jacobian_is_refused(digit_images):
    view = models.ModelView(
        lambda p, x: jnp.stack([x[:, 2:5, 3, 0] @ q for q in p], axis=1), np.ones((3, 3), "f4")
    )
    operator = jacobian.JacobianOperator(view.apply_fn, view.params, digit_images)
    values = spectrum.largest_singular_triplets(jax.random.key(0), operator, 5).values
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(values[:3], values[0], rtol=1e-5)  # one for each output
    blind = jacobian.JacobianOperator(
        lambda p, x: view.apply_fn(0 * p, x), view.params, digit_images
    )
    with pytest.raises(InputError, match="ARPACK fails on this Jacobian"):
        spectrum.largest_singular_triplets(jax.random.key(0), blind, 2)
