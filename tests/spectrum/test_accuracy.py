"""How exact singular values are, against direct SVD in float64, and whether the estimates hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import initialised_view
from helpers import matrix_with_singular_values

from ntk_aug import data, jacobian, models, spectrum
from ntk_aug.ntk.products import row_products
from ntk_aug.spectrum.accuracy import rows_rounding, uncertain_values, value_errors
from ntk_aug.spectrum.decomposition import pair_from_jacobians

EPS = np.finfo(np.float64).eps
NETWORKS = {
    "tanh": ("mlp", {"width": 16, "activation": "tanh"}),
    "relu": ("mlp", {"width": 16, "activation": "relu"}),
    "batch-norm": ("resnet4", {}),
}


def by_kernel(J):
    """Singular values of a matrix of rows by the Gram route, with products in float64."""
    return spectrum.factors_of_kernel(row_products(J, J), J.shape[1]).values


# Matrices whose singular values are known


@pytest.fixture(scope="module", params=[(200, 320), (320, 200)], ids=["wide", "tall"])
def known(request):
    """(J, its singular values 1 .. 1e-8)."""
    values = np.logspace(0, -8, 200)
    J, _, _ = matrix_with_singular_values(np.random.default_rng(0), values, request.param)
    return J, values


def test_the_gram_route_is_exact_to_4_eps_times_the_squared_ratio(known):
    J, values = known
    error = np.abs(by_kernel(J) / values - 1)
    # The matrix itself is rounded: what it was built from is within eps sigma_1 of its values.
    resolved = values > 1e-7
    assert (error <= 4 * EPS / values**2 + 4 * EPS / values)[resolved].all()
    assert error[values >= 1e-3].max() < 1e-9


def test_the_direct_svd_is_exact_to_1e_9_down_to_1e_6(known):
    J, values = known
    computed = pair_from_jacobians(J, J).plain.values
    assert np.abs(computed / values - 1)[values >= 1e-6].max() < 1e-9


@pytest.mark.parametrize("backend", ["kernel", "svd"])
def test_estimates_cover_the_errors_of_known_values(backend, known):
    J, values = known
    computed = by_kernel(J) if backend == "kernel" else pair_from_jacobians(J, J).plain[0]
    estimate = value_errors(computed, backend=backend, dtype="float64", rows_norm=0.0)
    error = np.abs(computed - values)
    assert (error <= estimate).all()
    assert error.max() > estimate.max() / 100
    # Kernels know a tenth of what is sqrt(8 eps / 0.1) = 1.3e-7 of the largest.
    uncertain = uncertain_values(computed, estimate)
    np.testing.assert_array_equal(
        uncertain, values < (np.sqrt(80 * EPS) if backend == "kernel" else 0)
    )


def test_an_estimate_is_the_sum_of_its_parts():
    values = np.array([2.0, 1e-4, 0.0])
    exact, rounded = (
        value_errors(values, backend="kernel", dtype="float32", rows_norm=norm)
        for norm in (0.0, 0.25)
    )
    unit = 8 * EPS
    np.testing.assert_allclose(exact, [2 * unit, 4 * unit / 1e-4, 2 * np.sqrt(unit)])
    np.testing.assert_allclose(rounded, exact + 0.25)
    theirs = value_errors(values, backend="neural_tangents", dtype="float32", rows_norm=0.0)
    np.testing.assert_allclose(theirs[0], 2 * 8 * 2.0**-23)
    none = value_errors(np.zeros(3), backend="kernel", dtype="float64", rows_norm=0.0)
    assert (none <= 1e-300).all()
    np.testing.assert_array_equal(uncertain_values(values, rounded), [True, True, True])


# Networks


def expanded(factors):
    """All columns of rows in factors, multiplied in float64: the order of columns is another."""
    k = factors.outputs_per_example
    layers = [
        np.einsum("ni,nko->nkio", np.float64(x), np.float64(d).reshape(len(x), k, -1))
        for x, d in zip(factors.inputs, factors.cotangents, strict=True)
    ]
    columns = [layer.reshape(len(factors.rows), -1) for layer in layers]
    return np.concatenate([np.float64(factors.rows), *columns], axis=1)


@pytest.fixture(scope="module")
def many_images():
    """Sixty real digits of three classes."""
    three = data.select_classes(data.load_dataset("digits", "train"), ["0", "1", "2"])
    return np.asarray(data.unit_range(data.draw_examples(jax.random.key(1), three, 60).images))


@pytest.fixture(scope="module", params=NETWORKS)
def measured(request, many_images):
    """(J by precision of its rows, masks, rounding) of a network with random weights."""
    name, options = NETWORKS[request.param]
    view = initialised_view(name, many_images, **options)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: (leaf + 0.1 * rng.normal(size=leaf.shape)).astype("f4"), view.params
    )
    engines = [
        jacobian.JacobianRows((view.apply_fn, params), many_images.shape[1:], dtype=dtype)
        for dtype in ("float32", "float64")
    ]
    masks = jacobian.flipped_masks((view.apply_fn, params), many_images)
    rounding = rows_rounding(*engines, masks, many_images, sample=10)
    return [expanded(engine.factors(many_images)) for engine in engines], masks, rounding


def test_errors_of_float32_rows_are_covered_by_their_estimate(measured):
    (J32, J64), masks, rounding = measured
    E = J32 - J64
    # A sample of 10 of 60 images gives the norm from above in the mean; this one may be below.
    assert 0.8 * np.linalg.norm(E, 2) <= rounding.norm <= 3 * np.linalg.norm(E, 2)
    assert not masks.flipped.any()
    exact, computed = np.linalg.svd(J64, compute_uv=False), by_kernel(J32)
    estimate = value_errors(computed, backend="kernel", dtype="float32", rows_norm=rounding.norm)
    error = np.abs(computed - exact)
    assert (error <= estimate).all()
    assert error.max() > estimate.max() / 100
    assert (error <= 1e-4 * exact)[exact >= 1e-4 * exact[0]].all()


def test_errors_of_float64_rows_are_covered_by_their_estimate(measured):
    (_, J64), _, _ = measured
    exact, computed = np.linalg.svd(J64, compute_uv=False), by_kernel(J64)
    error = np.abs(computed - exact)
    estimate = value_errors(computed, backend="kernel", dtype="float64", rows_norm=0.0)
    assert (error <= estimate).all()
    large = exact >= 1e-3 * exact[0]
    assert (error / exact)[large].max() < 1e-9
    # The direct SVD is itself wrong by a few eps sigma_1.
    assert (error <= 4 * EPS * exact[0] ** 2 / np.maximum(exact, 1e-6) + 4 * EPS * exact[0])[
        large
    ].all()


def test_kernels_are_symmetric_and_positive_semidefinite_to_rounding(measured):
    for J in measured[0]:
        K = row_products(J, J)
        np.testing.assert_array_equal(K, K.T)
        eigenvalues = np.linalg.eigvalsh(K)
        assert eigenvalues[0] >= -8 * EPS * eigenvalues[-1]


def test_samples_give_the_norm_from_above_in_the_mean(measured):
    (J32, J64), _, _ = measured
    E = (J32 - J64).reshape(60, 3, -1)
    squares = [np.linalg.norm(E[i::6].reshape(30, -1), 2) ** 2 for i in range(6)]
    assert np.linalg.norm(E.reshape(180, -1), 2) ** 2 <= 6 * np.mean(squares) * (1 + 1e-12)


def test_relative_errors_are_those_of_the_sampled_rows(measured):
    (J32, J64), _, rounding = measured
    relative = np.linalg.norm(J32 - J64, axis=1) / np.linalg.norm(J64, axis=1)
    sampled = relative.reshape(60, -1)[np.linspace(0, 59, 10).astype(int)]
    assert rounding.num_images == 10
    # Blocks are filled up with other images, which may round in another order.
    np.testing.assert_allclose(rounding.median, np.median(sampled), rtol=0.1)
    np.testing.assert_allclose(rounding.largest, sampled.max(), rtol=0.1)
    assert rounding.largest_without_flips == rounding.largest
    assert rounding.norm_without_flips == rounding.norm


# Masks that flip


@pytest.fixture(scope="module")
def with_flips():
    """(rows by precision, masks, images) of a ReLU network in which images 3 and 30 flip."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, 3, 3, 1)).astype("f4")
    images[[3, 30], 0, :2, 0] = 1  # 1 + 2^-30 - 1 is zero in float32 only
    kernel = np.stack([[1, 2.0**-30, *[0] * 7], *rng.normal(size=(7, 9))], axis=1)

    def network(params, images):
        hidden = images.reshape(len(images), -1) @ params["kernel"] - params["bias"]
        return jax.nn.relu(hidden) @ params["out"]

    params = {
        "kernel": kernel.astype("f4"),
        "bias": np.eye(8, dtype="f4")[0],
        "out": rng.normal(size=(8, 2)).astype("f4"),
    }
    engines = [
        jacobian.JacobianRows((network, params), (3, 3, 1), dtype=dtype)
        for dtype in ("float32", "float64")
    ]
    return engines, jacobian.flipped_masks((network, params), images), images


@pytest.mark.parametrize("sample", [1, 4, 100])
def test_few_images_with_flips_are_found_by_any_sample(sample, with_flips):
    engines, masks, images = with_flips
    np.testing.assert_array_equal(np.flatnonzero(masks.flipped), [3, 30])
    rounding = rows_rounding(*engines, masks, images, sample=sample)
    J32, J64 = (engine(images) for engine in engines)
    norm = np.linalg.norm(J32 - J64, 2)
    assert norm > 1e-2  # a whole term, not rounding
    assert rounding.largest > 1e-2 > 1e-5 > rounding.largest_without_flips
    assert rounding.norm_without_flips < 1e-5
    assert 0.6 * norm <= rounding.norm <= 2 * norm  # of one image of two, if the sample is small
    assert rounding.num_images == {1: 2, 4: 4, 100: 40}[sample]


def test_the_sample_shrinks_to_the_memory_that_there_is(with_flips):
    engines, masks, images = with_flips
    assert rows_rounding(*engines, masks, images, memory_bytes=1).num_images == 2


@pytest.mark.parametrize(
    ("order", "changed", "message"),
    [
        ([1, 0], {}, "rows are float64 and float32, expected float32 and float64"),
        ([0, 1], {"sample": 0}, "sample is 0, expected at least 1"),
    ],
)
def test_bad_input_is_told(order, changed, message, with_flips):
    engines, masks, images = with_flips
    with pytest.raises(ValueError, match=message):
        rows_rounding(*(engines[i] for i in order), masks, images, **changed)


# The study


def test_a_study_says_which_values_are_uncertain(digit_images, digits):
    # Two outputs that are nearly the same function: half of the values are small.
    params = np.random.default_rng(0).normal(size=(64, 2)).astype("f4")

    def network(params, images):
        logit = jnp.tanh(images.reshape(len(images), -1) @ params[:, 0] / 8)
        other = images.reshape(len(images), -1) @ params[:, 1]
        return jnp.stack([logit, logit + 3e-8 * other], axis=1)

    view = models.ModelView(network, params)
    single, double = (
        spectrum.study_spectrum(
            0, view, digit_images, {"same": lambda key, x: x}, num_bins=4, dtype=dtype
        )
        for dtype in ("float32", "float64")
    )
    np.testing.assert_array_equal(single.uncertain[0], np.arange(24) >= 12)
    error = np.abs(single.values - double.values)
    assert (error <= single.value_error).all()
    assert (single.value_error > double.value_error).all()
    np.testing.assert_allclose(double.rows_norm, single.rows_norm * 2.0**-29)
    assert single.row_error_images == 12
    np.testing.assert_array_equal(single.masks_flipped, np.zeros((1, 12)))
