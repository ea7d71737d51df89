import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import matrix_with_singular_values
from scipy.sparse import linalg

from ntk_aug import jacobian, models, spectrum
from ntk_aug.errors import InputError


def few_parameters(digit_images):
    """A network with fewer parameters (9) than rows (36), and one with more."""

    def apply_fn(params, images):
        return images[:, 2:5, 3, 0] @ params

    return models.ModelView(apply_fn, np.random.default_rng(0).normal(size=(3, 3)).astype("f4"))


@pytest.mark.parametrize("name", ["more parameters", "more rows"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_vectors_are_those_of_a_direct_svd(name, dtype, tanh_mlp, digit_images):
    view = tanh_mlp if name == "more parameters" else few_parameters(digit_images)
    J = jacobian.JacobianRows(view, (8, 8, 1), dtype="float64")(digit_images)
    expected = np.linalg.svd(J, compute_uv=False)
    operator = jacobian.JacobianOperator(view, digit_images, dtype=dtype)
    found = spectrum.largest_singular_triplets(
        jax.random.key(0), operator, 4, tolerance=1e-10 if dtype == "float64" else 1e-5
    )
    np.testing.assert_allclose(
        found.values, expected[:4], rtol=1e-9 if dtype == "float64" else 1e-5
    )
    assert found.resolved.all()
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
    operator = jacobian.JacobianOperator(tanh_mlp, digit_images)
    rough = spectrum.largest_singular_triplets(jax.random.key(0), operator, 4, tolerance=1e-9)
    np.testing.assert_array_equal(rough.converged, rough.residuals <= 1e-9)
    assert not rough.converged.all()  # float32 products do not reach it


def of_matrix(J):
    return linalg.aslinearoperator(J)


ENDS = {
    "largest": (spectrum.largest_singular_triplets, lambda values, k: values[:k]),
    "smallest": (spectrum.smallest_singular_triplets, lambda values, k: values[-k:]),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("shape", [(60, 90), (90, 60)])
def test_both_ends_of_a_known_spectrum_are_found(end, shape):
    values = np.geomspace(10, 0.1, 60)
    J, _, _ = matrix_with_singular_values(np.random.default_rng(0), values, shape)
    find, part = ENDS[end]
    found = find(jax.random.key(0), of_matrix(J), 5, tolerance=1e-9)
    assert found.converged.all()
    assert found.resolved.all()
    np.testing.assert_allclose(found.values, part(values, 5), rtol=1e-9)
    np.testing.assert_allclose(J @ found.right, found.left * found.values, atol=1e-7)
    np.testing.assert_allclose(J.T @ found.left, found.right * found.values, atol=1e-7)


@pytest.mark.parametrize("end", ENDS)
def test_what_has_not_converged_is_returned_and_marked(end):
    values = np.geomspace(10, 0.1, 300)
    J, _, _ = matrix_with_singular_values(np.random.default_rng(0), values, (300, 300))
    find, part = ENDS[end]
    rough = find(jax.random.key(0), of_matrix(J), 9, tolerance=1e-10, max_iterations=1)
    assert rough.values.shape == (9,)
    assert not rough.converged.all()
    # A tolerance just below the largest residual marks that one, with the same iteration.
    tolerance = 0.75 * rough.residuals.max()
    again = find(jax.random.key(0), of_matrix(J), 9, tolerance=tolerance, max_iterations=1)
    np.testing.assert_array_equal(again.residuals, rough.residuals)
    np.testing.assert_array_equal(again.converged, rough.residuals <= tolerance)
    # Residuals are what they are said to be, in units of the largest value found.
    u, sigma, v = rough.left, rough.values, rough.right
    rest = np.linalg.norm(J.T @ u - sigma * v, axis=0)
    scale = sigma[0] if end == "largest" else rest[0] / rough.residuals[0]
    assert scale == pytest.approx(10, rel=1e-3)
    np.testing.assert_allclose(rough.residuals, rest / scale, rtol=1e-6, atol=1e-13)
    # Each is still within its residual of a singular value, and not beyond its own rank's.
    distance = np.abs(rough.values[:, None] - values).min(axis=1)
    assert (distance <= rough.residuals * 10 * (1 + 1e-9)).all()
    assert (distance > rough.residuals * 1e-2).any()
    beyond = rough.values - part(values, 9)
    assert (beyond <= 1e-12).all() if end == "largest" else (beyond >= -1e-12).all()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("options", [{}, {"max_iterations": 4}, {"tolerance": 0.0}])
def test_progress_never_seems_done_before_it_is(end, options):
    values = np.geomspace(10, 0.1, 300)
    J, _, _ = matrix_with_singular_values(np.random.default_rng(0), values, (300, 310))
    calls = []
    options = {"max_iterations": 30, **options}
    found = ENDS[end][0](
        jax.random.key(0), of_matrix(J), 9, progress=lambda *call: calls.append(call), **options
    )
    stages, done, totals = zip(*calls, strict=True)
    assert set(stages) == {"products"}
    assert done == tuple(range(1, len(done) + 1))
    assert found.num_products == 2 * len(done)
    assert totals[-1] == done[-1]
    assert all(d < total for _, d, total in calls[:-1])
    # From half of the way on the estimate is of the right size.
    late = np.array(totals[len(totals) // 2 :]) / done[-1]
    assert late.min() > 0.4
    assert late.max() < 2.5


def test_values_that_are_zero_are_not_resolved():
    values = np.concatenate([np.linspace(5, 1, 27), np.zeros(3)])
    J, _, _ = matrix_with_singular_values(np.random.default_rng(0), values, (30, 40))
    found = spectrum.smallest_singular_triplets(jax.random.key(0), of_matrix(J), 4)
    np.testing.assert_array_equal(found.resolved, [True, False, False, False])
    assert found.values[0] == pytest.approx(1, rel=1e-9)
    assert found.converged.all()
    by_kernel = spectrum.smallest_of_kernel(J @ J.T, 40, 4)
    np.testing.assert_array_equal(by_kernel.resolved, found.resolved)
    assert by_kernel.floor == pytest.approx(5 * 2.0**-26, rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_resolved_depends_on_the_precision_of_the_products(dtype):
    # float32 products see nothing below sqrt(2^-23) = 3.5e-4 of the largest value, though those of
    # a diagonal matrix round so little that residuals alone would let the last value pass.
    J = np.diag([*np.linspace(5, 1, 20), 2e-3 * 5, 2e-4 * 5])
    found = spectrum.smallest_singular_triplets(jax.random.key(0), of_matrix(J.astype(dtype)), 3)
    assert (found.residuals < found.values / 5).all()
    np.testing.assert_array_equal(found.resolved, [True, True, dtype == "float64"])


@pytest.mark.parametrize("shape", [(30, 40), (40, 30)])
def test_the_smallest_of_a_kernel_are_those_of_the_jacobian(shape):
    values = np.linspace(5, 0.2, 30)
    J, U, _ = matrix_with_singular_values(np.random.default_rng(0), values, shape)
    found = spectrum.smallest_of_kernel(J @ J.T, shape[1], 6)
    np.testing.assert_allclose(found.factors.values, values[-6:], rtol=1e-10)
    assert found.resolved.all()
    np.testing.assert_allclose(np.abs(found.factors.left.T @ U[:, -6:]), np.eye(6), atol=1e-8)


def test_all_values_can_be_asked_for_and_impossible_numbers_are_refused():
    J = np.random.default_rng(0).standard_normal((8, 12))
    found = spectrum.largest_singular_triplets(jax.random.key(0), of_matrix(J), 8)
    np.testing.assert_allclose(found.values, np.linalg.svd(J, compute_uv=False), rtol=1e-12)
    for find, _ in ENDS.values():
        with pytest.raises(InputError, match=r"k \(singular values\) is 9, expected 1 to 8"):
            find(jax.random.key(0), of_matrix(J), 9)
        with pytest.raises(InputError, match="max_iterations is 0, expected at least 1"):
            find(jax.random.key(0), of_matrix(J), 1, max_iterations=0)
        with pytest.raises(InputError, match="tolerance is nan, expected at least 0"):
            find(jax.random.key(0), of_matrix(J), 1, tolerance=float("nan"))
    with pytest.raises(InputError, match=r"k \(singular values\) is 5, expected 1 to 4"):
        spectrum.smallest_of_kernel(J @ J.T, 4, 5)


def test_equal_values_are_in_order_and_those_of_a_zero_jacobian_are_zero(digit_images):
    view = models.ModelView(
        lambda p, x: jnp.stack([x[:, 2:5, 3, 0] @ q for q in p], axis=1), np.ones((3, 3), "f4")
    )
    operator = jacobian.JacobianOperator(view, digit_images)
    values = spectrum.largest_singular_triplets(jax.random.key(0), operator, 5).values
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(values[:3], values[0], rtol=1e-5)  # one for each output
    blind = spectrum.largest_singular_triplets(jax.random.key(0), of_matrix(np.zeros((5, 6))), 2)
    np.testing.assert_array_equal(blind.values, 0)
    assert not blind.resolved.any()
