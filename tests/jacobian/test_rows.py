import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import special

from ntk_aug import jacobian, models
from ntk_aug.errors import InputError
from ntk_aug.jacobian.rows import as_rows

OUTPUTS, WIDTH = 3, 4


@pytest.fixture(scope="module")
def mlp(digit_images):
    """f(x) = V tanh(U x + b) + c with random weights, as a view; P = 64 * 4 + 4 + 4 * 3 + 3."""
    network = models.build_network("mlp", OUTPUTS, width=WIDTH, activation="tanh")
    initial, state = network.init(jax.random.key(0), digit_images[:1])
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: (0.3 * rng.normal(size=leaf.shape)).astype("f4"), initial)
    return network.view(params, state)


@pytest.fixture(scope="module")
def labels():
    return np.arange(12) % OUTPUTS


def rows_of(view, images, **options):
    return jacobian.JacobianRows(view, images.shape[1:], **options)


@pytest.fixture(scope="module")
def float64_rows(mlp, digit_images):
    return rows_of(mlp, digit_images, dtype="float64", block_size=12)


@pytest.fixture(scope="module")
def J(float64_rows, digit_images):
    return float64_rows(digit_images)


# The values


def jacobian_by_hand(params, images):
    """J of the tanh network in numpy: columns b, U' (input by unit), c, V' (unit by output)."""
    hidden, output = (jax.tree.map(np.float64, params[name]) for name in ("hidden", "output"))
    rows = []
    for x in images.reshape(len(images), -1).astype(np.float64):
        a = np.tanh(x @ hidden["kernel"] + hidden["bias"])
        for c in range(OUTPUTS):
            slope = output["kernel"][:, c] * (1 - a**2)
            onehot = np.eye(OUTPUTS)[c]
            parts = slope, np.outer(x, slope).ravel(), onehot, np.outer(a, onehot).ravel()
            rows.append(np.concatenate(parts))
    return np.array(rows)


def test_rows_are_the_closed_form_of_the_tanh_network(mlp, digit_images, J):
    expected = jacobian_by_hand(mlp.params, digit_images)
    assert J.shape == (12 * OUTPUTS, 64 * WIDTH + WIDTH + WIDTH * OUTPUTS + OUTPUTS)
    assert J.dtype == np.float64
    np.testing.assert_allclose(J, expected, rtol=1e-12, atol=1e-14)


def moved_logits(view, images, vectors, step):
    """Logits [vectors, n * C] in float64 at params + step * each vector, raveled by leaves."""
    with jax.enable_x64(True):
        flat, unravel = ravel_pytree(jax.tree.map(jnp.float64, view.params))
        logits = jax.jit(
            jax.vmap(lambda v: view.apply_fn(unravel(flat + step * v), jnp.float64(images)).ravel())
        )(jnp.asarray(vectors))
        return np.asarray(logits)


def test_rows_are_central_differences_of_the_logits(mlp, digit_images, J):
    basis = np.eye(J.shape[1])
    up, down = (moved_logits(mlp, digit_images, basis, step) for step in (1e-5, -1e-5))
    # The error is step^2 times the third derivative, 1e-10, and rounding eps / step, 1e-11.
    np.testing.assert_allclose(J.T, (up - down) / 2e-5, rtol=0, atol=1e-9 * np.abs(J).max())


def test_rows_of_a_network_with_batchnorm_are_central_differences(small_resnet, digit_images):
    images, rng = digit_images[:2], np.random.default_rng(0)
    # At the initial weights the black pixels sit on the kink of the ReLU: BatchNorm adds nothing.
    view = small_resnet._replace(
        params=jax.tree.map(
            lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), small_resnet.params
        )
    )
    rows = rows_of(view, images, dtype="float64")
    directions = rng.normal(size=(3, rows.num_params))
    # Small, so that no ReLU switches on the way: there are 6144 of them.
    up, down = (moved_logits(view, images, directions, step) for step in (1e-8, -1e-8))
    slopes = rows(images) @ directions.T
    np.testing.assert_allclose(
        (up - down).T / 2e-8, slopes, rtol=0, atol=1e-6 * np.abs(slopes).max()
    )


def test_float32_rows_are_those_of_float64_up_to_rounding(mlp, digit_images, J):
    rows = rows_of(mlp, digit_images)(digit_images)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, J, rtol=0, atol=2e-6 * np.abs(J).max())


def test_float64_is_left_behind_by_nobody(float64_rows, digit_images):
    for _, values in float64_rows.blocks(digit_images):
        assert values.dtype == np.float64
        assert jnp.ones(1).dtype == np.float32  # while the caller holds the block
    assert not jax.config.jax_enable_x64


# Kinds and order of rows


def test_row_i_k_plus_c_is_the_gradient_of_output_c_of_image_i(mlp, digit_images, J):
    for i, c in [(0, 0), (0, 2), (5, 1), (11, 2)]:
        gradient = jax.grad(lambda p, i=i, c=c: mlp.apply_fn(p, digit_images[i : i + 1])[0, c])
        flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient(mlp.params))])
        np.testing.assert_allclose(J[i * OUTPUTS + c], flat, rtol=0, atol=1e-5)


def test_probability_rows_are_logit_rows_times_the_derivative_of_the_softmax(mlp, digit_images, J):
    rows = rows_of(mlp, digit_images, rows="probabilities", dtype="float64")(digit_images)
    logits = np.asarray(mlp.apply_fn(mlp.params, digit_images), np.float64)
    by_image = rows.reshape(12, OUTPUTS, -1)
    for p, own, own_logits in zip(
        special.softmax(logits, axis=1), by_image, J.reshape(12, OUTPUTS, -1), strict=True
    ):
        # The probabilities here come from float32 logits.
        np.testing.assert_allclose(own, (np.diag(p) - np.outer(p, p)) @ own_logits, atol=1e-6)
    assert np.abs(rows).max() > 0.1
    np.testing.assert_allclose(by_image.sum(axis=1), 0, atol=1e-14)


def test_true_logit_rows_are_those_of_the_labels(mlp, digit_images, labels, J):
    rows = rows_of(mlp, digit_images, rows="true-logit", dtype="float64", block_size=5)
    assert rows.outputs_per_example == 1
    np.testing.assert_allclose(
        rows(digit_images, labels), J[np.arange(12) * OUTPUTS + labels], rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_rows_of_a_loss_are_its_residuals_times_those_of_the_logits(
    mlp, digit_images, labels, J, loss, soft
):
    y = np.random.default_rng(0).dirichlet(np.ones(OUTPUTS), 12) if soft else np.eye(3)[labels]
    with jax.enable_x64(True):
        logits = np.asarray(
            mlp.apply_fn(jax.tree.map(jnp.float64, mlp.params), jnp.float64(digit_images))
        )
    residuals = (special.softmax(logits, axis=1) if loss == "cross-entropy" else logits) - y
    expected = np.einsum("nk,nkp->np", residuals, J.reshape(12, OUTPUTS, -1))
    rows = rows_of(mlp, digit_images, rows=loss, dtype="float64", block_size=5)
    found = rows(digit_images, y if soft else labels)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
    norms = jacobian.row_norms(rows, digit_images, y if soft else labels)
    np.testing.assert_allclose(norms, np.linalg.norm(expected, axis=1), rtol=1e-11)
    operator = jacobian.JacobianOperator(
        mlp, digit_images, y if soft else labels, rows=loss, dtype="float64"
    )
    sums = operator.rmatvec(np.ones(12))
    np.testing.assert_allclose(sums, expected.sum(axis=0), rtol=1e-10, atol=1e-12)


def test_soft_labels_are_for_losses_and_must_be_distributions(mlp, digit_images):
    soft = np.full((12, OUTPUTS), 1 / 2)
    with pytest.raises(InputError, match=r"labels have shape \(12, 3\), expected \(12,\)"):
        rows_of(mlp, digit_images, rows="true-logit")(digit_images, soft)
    with pytest.raises(InputError, match=r"soft labels of example 0 sum to 1\.5"):
        rows_of(mlp, digit_images, rows="cross-entropy")(digit_images, soft)


@pytest.mark.parametrize("bad", [None, np.full(12, 3), np.full(12, -1)])
def test_labels_that_do_not_fit_are_refused(mlp, digit_images, bad):
    rows = rows_of(mlp, digit_images, rows="true-logit", block_size=12)
    with pytest.raises(InputError, match="label"):
        rows(digit_images, bad)


# Blocks


@pytest.mark.parametrize("size", [1, 5, 12, 100])
def test_rows_do_not_depend_on_the_block_size(mlp, digit_images, J, size):
    rows = rows_of(mlp, digit_images, dtype="float64", block_size=size)
    np.testing.assert_allclose(rows(digit_images), J, rtol=1e-12, atol=1e-14)


def test_blocks_are_consecutive_and_together_all_rows(mlp, digit_images, J):
    rows = rows_of(mlp, digit_images, dtype="float64", block_size=5)
    spans, values = zip(*rows.blocks(digit_images), strict=True)
    assert spans == (slice(0, 15), slice(15, 30), slice(30, 36))
    np.testing.assert_array_equal([len(block) for block in values], [15, 15, 6])
    np.testing.assert_allclose(np.concatenate(values), J, rtol=1e-12, atol=1e-14)


def test_one_program_serves_all_blocks(digit_images):
    def apply_fn(params, images):
        return images.reshape(len(images), -1) @ params

    rows = jacobian.JacobianRows((apply_fn, np.ones((64, 2), "f4")), (8, 8, 1), block_size=5)
    rows(digit_images)
    rows(digit_images, start=3, stop=7)
    assert rows._whole._cache_size() == 1


def test_rows_of_a_range_of_images_are_those_of_the_whole(mlp, digit_images, J):
    rows = rows_of(mlp, digit_images, dtype="float64", block_size=5)
    span = slice(3 * OUTPUTS, 10 * OUTPUTS)
    out = np.empty((7 * OUTPUTS, J.shape[1]))
    assert rows(digit_images, start=3, stop=10, out=out) is out
    np.testing.assert_allclose(out, J[span], rtol=1e-12, atol=1e-14)
    spans = [rows for rows, _ in rows.blocks(digit_images, start=3, stop=10)]
    assert spans == [slice(9, 24), slice(24, 30)]
    with pytest.raises(InputError, match=r"out has shape \(21, 275\), expected \(36, 275\)"):
        rows(digit_images, out=out)


@pytest.mark.parametrize(("width", "expected"), [(10, 256), (3 * 2**12, 5), (2**20, 1)])
def test_the_default_block_fits_8_mebibytes(width, expected):
    # Two rows of 16 * width float32 values are 128 * width bytes for each image.
    def apply_fn(params, images):
        return jnp.stack([params.sum(), params[0]]) * images.mean(axis=(1, 2))

    rows = jacobian.JacobianRows((apply_fn, np.ones(16 * width, "f4")), (1, 1, 1))
    assert rows.block_size == min(max(8 * 2**13 // width, 1), 256) == expected
    assert rows.row_bytes == 64 * width


def test_a_block_counts_what_the_layers_hold(digit_images):
    # One layer holds 8 x 8 x 600 numbers and the other 2, with a cotangent for each of two rows.
    def apply_fn(params, images):
        return (images * params[:600]).mean(axis=(1, 2, 3))[:, None] * params[600:]

    rows = jacobian.JacobianRows((apply_fn, np.ones(602, "f4")), (8, 8, 1))
    assert rows.block_size == 8 * 2**20 // (3 * 4 * (8 * 8 * 600 + 2) + 2 * 4 * 602) == 18


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": "logit"}, "unknown kind of rows 'logit'"),
        ({"dtype": "float16"}, "expected 'float32' or 'float64'"),
        ({"block_size": 0}, "block_size is 0, expected at least 1"),
    ],
)
def test_unknown_settings_are_refused(mlp, digit_images, options, message):
    with pytest.raises(InputError, match=message):
        rows_of(mlp, digit_images, **options)


def test_weights_that_are_not_finite_are_named(mlp, digit_images):
    kernel = mlp.params["hidden"]["kernel"].copy()
    kernel[3, 1] = np.nan
    params = mlp.params | {"hidden": mlp.params["hidden"] | {"kernel": kernel}}
    with pytest.raises(InputError, match=r"\['hidden'\]\['kernel'\] holds NaN or infinity"):
        jacobian.JacobianRows((mlp.apply_fn, params), digit_images.shape[1:])


def test_images_that_are_not_finite_are_named(float64_rows, digit_images):
    images = digit_images.copy()
    images[[4, 7], 0, 0, 0] = np.inf
    with pytest.raises(InputError, match="in 2 of 12 examples, first in example 4"):
        float64_rows(images)


@pytest.mark.parametrize("block_size", [1, 4, 12])
def test_the_image_whose_rows_are_not_finite_is_named(block_size):
    def apply_fn(params, images):
        # exp(100) is beyond float32; the image and the weight themselves are finite.
        return jnp.exp(params * images.sum(axis=(1, 2))) * jnp.ones(2)

    images = np.zeros((12, 1, 1, 1), np.float32)
    images[[6, 9]] = 100
    rows = jacobian.JacobianRows((apply_fn, np.ones(1, "f4")), (1, 1, 1), block_size=block_size)
    with pytest.raises(InputError, match="the Jacobian of image 6 holds NaN or infinity"):
        rows(images)


def test_images_of_another_shape_are_refused(float64_rows, digit_images):
    with pytest.raises(InputError, match=r"\(4, 16, 1\).*expected.*\(8, 8, 1\)"):
        float64_rows(digit_images.reshape(12, 4, 16, 1))


def test_selected_parameters_give_their_columns(mlp, digit_images, J):
    rows = rows_of(mlp, digit_images, dtype="float64", select=lambda path: "output" in path)
    assert list(rows.routes) == ["['output']['bias']", "['output']['kernel']"]
    assert rows.num_params == WIDTH * OUTPUTS + OUTPUTS
    last = J[:, -rows.num_params :]
    np.testing.assert_allclose(rows(digit_images), last, rtol=1e-12, atol=1e-14)
    with pytest.raises(InputError, match=r"no parameter is selected; there are \['hidden'\]\['bi"):
        rows_of(mlp, digit_images, select=lambda path: "conv" in path)


@pytest.mark.parametrize("span", [(3, 13), (5, 5), (-1, 4)])
def test_a_range_without_images_is_refused(mlp, digit_images, span):
    rows = rows_of(mlp, digit_images)
    with pytest.raises(InputError, match="are asked for, there are 12"):
        rows(digit_images, start=span[0], stop=span[1])


def test_memory_of_another_type_is_refused(mlp, digit_images, J):
    with pytest.raises(InputError, match="out has dtype float64, expected float32"):
        rows_of(mlp, digit_images)(digit_images, out=np.empty(J.shape))


def test_bytes_are_refused(mlp, digit_images):
    with pytest.raises(InputError, match="images are uint8, expected the network's inputs"):
        rows_of(mlp, digit_images).checked(np.uint8(digit_images), None, start=0, stop=12)


def test_outputs_that_are_no_logits_are_refused(digit_images):
    with pytest.raises(InputError, match=r"maps one image to shape \(1,\), expected logits"):
        jacobian.JacobianRows((lambda p, x: (x * p).sum((1, 2, 3)), np.ones((), "f4")), (8, 8, 1))


def test_a_network_is_whatever_a_view_is_made_of(digit_images):
    module = models.MLP(3, 4)
    variables = module.init(jax.random.key(0), digit_images)
    view = models.linen_view(module, variables)
    expected = jacobian.JacobianRows(view, (8, 8, 1))(digit_images)
    for network in ((module, variables), (view.apply_fn, view.params)):
        found = jacobian.JacobianRows(network, (8, 8, 1))(digit_images)
        np.testing.assert_array_equal(found, expected)
    for network in (module, (module, variables["params"]), None):
        with pytest.raises(InputError, match=r"variables|expected a ModelView"):
            jacobian.JacobianRows(network, (8, 8, 1))


def test_options_beside_rows_that_have_their_own_are_refused(mlp, digit_images):
    rows = jacobian.JacobianRows(mlp, (8, 8, 1), rows="probabilities", dtype="float64")
    assert as_rows(rows, digit_images) is rows
    same = as_rows(mlp, digit_images, rows="probabilities", dtype="float64")
    np.testing.assert_array_equal(same(digit_images), rows(digit_images))
    for option in ({"rows": "probabilities"}, {"dtype": "float64"}, {"select": bool}):
        with pytest.raises(InputError, match="beside a JacobianRows, which has its own"):
            as_rows(rows, digit_images, **option)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (lambda logits: (logits, logits), "returns a tuple of 2, expected logits"),
        (lambda logits: {"logits": logits}, "returns a dict of 1, expected logits"),
        (lambda logits: logits.astype(int), "logits are int32, expected floating point"),
    ],
)
def test_a_network_that_returns_something_else_is_told(mlp, digit_images, outputs, message):
    with pytest.raises(InputError, match=message):
        jacobian.JacobianRows(
            (lambda params, x: outputs(mlp.apply_fn(params, x)), mlp.params), (8, 8, 1)
        )
