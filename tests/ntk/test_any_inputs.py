"""Kernels, products and rows of token ids and of dictionaries, against J J' of a plain jacrev."""

import jax
import numpy as np
import pytest
from awkward_networks import NETWORKS
from jax.sharding import Mesh

from ntk_aug import jacobian, models, ntk
from ntk_aug.errors import InputError
from ntk_aug.inputs import check_inputs, example_shapes, take_examples


@pytest.fixture(
    scope="module",
    params=[pytest.param("tokens", marks=pytest.mark.slow), "dictionary of arrays"],
)
def case(request):
    """(rows in float64, inputs, J by jax.jacrev)."""
    network = NETWORKS[request.param]
    view, inputs = models.as_view(network.build()), check_inputs(network.inputs())
    rows = jacobian.JacobianRows(view, example_shapes(inputs), dtype="float64", block_size=2)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), view.params)
        leaves = jax.tree.leaves(jax.jit(jax.jacrev(view.apply_fn))(params, inputs))
        J = np.concatenate([np.asarray(leaf).reshape(12, -1) for leaf in leaves], axis=1)
    return view, rows, inputs, J


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())  # roundings


def test_kernels_of_one_set_of_two_and_of_three(case, tmp_path):
    _, rows, inputs, J = case
    K = J @ J.T
    assert_close(ntk.empirical_kernel(rows, inputs), K)
    two_images = 2 * rows.factor_bytes  # so that rows stream
    others = take_examples(inputs, slice(1, 4))
    first = ntk.empirical_kernel(
        rows, inputs, others, memory_bytes=two_images, blocks_folder=tmp_path
    )
    assert_close(first, K[:, 3:])
    stored = {file: file.read_bytes() for file in tmp_path.rglob("*.npy")}
    assert stored
    again = ntk.empirical_kernel(
        rows, inputs, others, memory_bytes=two_images, blocks_folder=tmp_path
    )
    np.testing.assert_array_equal(again, first)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.npy")} == stored
    assert_close(ntk.kernel_diagonal(rows, inputs), K.diagonal())

    order = np.array([2, 0, 3, 1])
    moved = np.arange(12).reshape(4, 3)[order].ravel()
    (triple,) = ntk.kernel_triples(rows, inputs, [take_examples(inputs, order)])
    assert_close(triple.cross, K[:, moved])
    assert_close(triple.augmented, K[np.ix_(moved, moved)])


def test_products_devices_and_neural_tangents(case):
    view, rows, inputs, J = case
    operator = jacobian.JacobianOperator(view, inputs, dtype="float64", batch_size=3)
    rng = np.random.default_rng(0)
    v, u = rng.standard_normal(J.shape[1]), rng.standard_normal(J.shape[0])
    assert_close(operator.matvec(v), J @ v)
    assert_close(operator.rmatvec(u), J.T @ u)
    mesh = Mesh(np.array(jax.devices()[:1]), ("examples",))
    assert_close(ntk.empirical_kernel(rows, inputs, mesh=mesh), J @ J.T)
    theirs = ntk.neural_tangents_kernel(
        view,
        inputs,
        implementation="jacobian-contraction",
        dtype="float64",
        batch_size=3,
    )
    assert_close(theirs, J @ J.T)


def test_inputs_of_another_kind_are_refused(case):
    _, rows, inputs, _ = case
    with pytest.raises(InputError, match="complex128, expected floating point or integers"):
        rows(jax.tree.map(lambda leaf: leaf.astype(complex), inputs))
    with pytest.raises(InputError, match=r"float32, expected int32|float32\[4\], expected {'num"):
        rows(np.zeros((4, 4), np.float32))
    with pytest.raises(InputError, match=r"an image has shape \(2,\), expected \([45],\)"):
        rows(jax.tree.map(lambda leaf: leaf[:, :2], inputs))
    longer = {"numbers": np.zeros((4, 5)), "tokens": np.zeros((3, 4), int)}
    with pytest.raises(InputError, match=r"have \[3, 4\] examples"):
        rows(longer)
