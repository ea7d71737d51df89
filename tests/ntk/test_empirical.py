import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import jacobian, ntk
from ntk_aug.checks import InputError


@pytest.fixture(scope="module")
def rows(small_resnet):
    return jacobian.JacobianRows(
        small_resnet.apply_fn, small_resnet.params, (8, 8, 1), dtype="float64", block_size=2
    )


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
    rows = jacobian.JacobianRows(
        small_resnet.apply_fn, small_resnet.params, (8, 8, 1), rows="true-logit", dtype="float64"
    )
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


def test_the_diagonal(rows, digit_images, J):
    assert_near(ntk.kernel_diagonal(rows, digit_images), np.diag(J @ J.T))


@pytest.mark.parametrize("model", ["tanh_mlp", "small_resnet"])
def test_the_kernels_of_the_parameters_sum_to_the_whole(model, digit_images, request):
    view = request.getfixturevalue(model)

    def rows_of(**options):
        return jacobian.JacobianRows(
            view.apply_fn, view.params, (8, 8, 1), dtype="float64", **options
        )

    rows, images = rows_of(), digit_images[:5]
    kernels = ntk.parameter_kernels(rows, images)
    assert len(kernels) == len(jax.tree.leaves(view.params))
    assert_near(sum(kernels.values()), ntk.empirical_kernel(rows, images))
    for path in ("['output']['kernel']", "['output']['bias']"):
        alone = rows_of(select=lambda name, path=path: name == path)
        assert_near(kernels[path], ntk.empirical_kernel(alone, images))
