import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import jacobian, models, ntk
from ntk_aug.errors import InputError


@pytest.fixture(scope="module")
def rows(small_resnet):
    return jacobian.JacobianRows(small_resnet, (8, 8, 1), dtype="float64", block_size=2)


@pytest.fixture(scope="module")
def J(rows, digit_images):
    return rows(digit_images)


def assert_near(kernel, expected):
    np.testing.assert_allclose(kernel, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("fitting", [2, 5, 12])
@pytest.mark.parametrize("traced", [False, True])
def test_the_kernel_of_a_set_is_j_j_transposed(rows, digit_images, J, fitting, traced):
    told = []
    kernel = ntk.empirical_kernel(
        rows,
        digit_images,
        traced=traced,
        memory_bytes=fitting * rows.factor_bytes,
        progress=lambda *x: told.append(x),
    )
    whole = J @ J.T
    assert_near(kernel, sum(whole[c::3, c::3] for c in range(3)) if traced else whole)
    np.testing.assert_array_equal(kernel, kernel.T)
    for stage in ("Jacobian", "kernel"):
        done = [(done, total) for name, done, total in told if name == stage]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]
    assert told[-1] == ("kernel", 144, 144)


@pytest.mark.parametrize("fitting", [2, 5, 12])
def test_the_kernel_between_two_sets(rows, digit_images, J, fitting):
    memory_bytes = fitting * rows.factor_bytes
    kernel = ntk.empirical_kernel(
        rows, digit_images[:4], digit_images[3:], memory_bytes=memory_bytes
    )
    assert_near(kernel, J[: 4 * 3] @ J[3 * 3 :].T)


def test_each_form_is_that_of_neural_tangents(rows, small_resnet, digit_images):
    """Of two sets; traced, where it has the mean over outputs; and the diagonal."""
    images, others = digit_images[:3], digit_images[3:5]

    def theirs(first, second, **axes):
        kernel_fn = ntk.load_neural_tangents().empirical_ntk_fn(small_resnet.apply_fn, **axes)
        with jax.enable_x64(True):
            params, *sets = jax.tree.map(
                lambda leaf: jnp.asarray(leaf, "float64"), (small_resnet.params, first, second)
            )
            return np.asarray(jax.jit(kernel_fn)(*sets, params))

    whole = theirs(images, others, trace_axes=()).transpose(0, 2, 1, 3).reshape(9, 6)
    assert_near(ntk.empirical_kernel(rows, images, others), whole)
    traced = 3 * theirs(images, others, trace_axes=(-1,))
    assert_near(ntk.empirical_kernel(rows, images, others, traced=True), traced)
    diagonal = theirs(images, None, trace_axes=(), diagonal_axes=(0, -1)).ravel()
    assert_near(ntk.kernel_diagonal(rows, images), diagonal)


def test_labels_go_with_their_own_set(small_resnet, digit_images, digits):
    rows = jacobian.JacobianRows(small_resnet, (8, 8, 1), rows="true-logit", dtype="float64")
    J = rows(digit_images, digits.labels)
    kernel = ntk.empirical_kernel(
        rows,
        digit_images[:4],
        digit_images[4:],
        labels=digits.labels[:4],
        other_labels=digits.labels[4:],
    )
    assert_near(kernel, J[:4] @ J[4:].T)
    with pytest.raises(InputError, match="need the labels"):
        ntk.empirical_kernel(rows, digit_images[:4], digit_images[4:], labels=digits.labels[:4])


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (lambda x: (x[:0], None), r"images have shape \(0, 8, 8, 1\)"),
        (lambda x: (x, x[:0]), r"images have shape \(0, 8, 8, 1\)"),
        (lambda x: (x, np.where(x > 0.9, np.nan, x)), "hold NaN or infinity"),
        (lambda x: (x, x[0]), "an image has shape .8, 1., expected .8, 8, 1."),
        (lambda x: (x, x[:, :7]), r"\(7, 8, 1\), expected \(8, 8, 1\)"),
    ],
)
def test_both_sets_are_checked_before_any_row_is_computed(rows, digit_images, sets, message):
    images, others = sets(digit_images)
    told = []
    options = {"progress": lambda *x: told.append(x)}
    with pytest.raises(InputError, match=message):
        inspect.unwrap(ntk.empirical_kernel)(rows, images, others, **options)
    version = images if others is None else others
    with pytest.raises(InputError):
        next(inspect.unwrap(ntk.kernel_triples)(rows, images, [version], **options))
    assert not told


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_fewest_images_and_outputs_in_the_least_budget(n, outputs, digit_images):
    images = digit_images[:n]
    network = models.build_network("mlp", outputs, width=4, activation="tanh")
    view = network.view(*network.init(jax.random.key(0), images[:1]))
    rows = jacobian.JacobianRows(view, (8, 8, 1), dtype="float64")
    J, J_half = rows(images), rows(0.5 * images)
    budget = {"memory_bytes": min(n, 2) * rows.factor_bytes}
    assert_near(ntk.empirical_kernel(rows, images, **budget), J @ J.T)
    budget = {"memory_bytes": 2 * rows.factor_bytes}
    assert_near(ntk.empirical_kernel(rows, images, 0.5 * images, **budget), J @ J_half.T)
    budget = {"memory_bytes": 2 * min(n, 2) * rows.factor_bytes}
    K, M, K_half = next(ntk.kernel_triples(rows, images, [0.5 * images], **budget))
    assert_near(K, J @ J.T)
    assert_near(M, J @ J_half.T)
    assert_near(K_half, J_half @ J_half.T)
    for kernel in (K, K_half):
        np.testing.assert_array_equal(kernel, kernel.T)
        assert np.linalg.eigvalsh(kernel)[0] >= -1e-14 * np.trace(kernel)


def test_the_diagonal(rows, digit_images, J):
    assert_near(ntk.kernel_diagonal(rows, digit_images), np.diag(J @ J.T))


@pytest.mark.parametrize("model", ["tanh_mlp", "small_resnet"])
def test_the_kernels_of_the_parameters_sum_to_the_whole(model, digit_images, request):
    view = request.getfixturevalue(model)

    def rows_of(**options):
        return jacobian.JacobianRows(view, (8, 8, 1), dtype="float64", **options)

    rows, images = rows_of(), digit_images[:5]
    kernels = ntk.parameter_kernels(rows, images)
    assert len(kernels) == len(jax.tree.leaves(view.params))
    assert_near(sum(kernels.values()), ntk.empirical_kernel(rows, images))
    for path in ("['output']['kernel']", "['output']['bias']"):
        alone = rows_of(select=lambda name, path=path: name == path)
        assert_near(kernels[path], ntk.empirical_kernel(alone, images))
