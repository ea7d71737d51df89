"""Rows of the networks that users bring, against jax.jacrev in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_networks import NETWORKS
from flax import nnx

from ntk_aug import jacobian, models
from ntk_aug.errors import InputError, PrecisionError
from ntk_aug.inputs import cast_inputs, check_inputs, example_shapes
from ntk_aug.jacobian.routes import SlowRowsWarning


def rows_of(network, dtype="float64", **options):
    view = models.as_view(network.build())
    shapes = example_shapes(check_inputs(network.inputs()))
    return jacobian.JacobianRows(view, shapes, dtype=dtype, **options)


def exact_jacobian(network):
    """J by jax.jacrev in float64 of the network whose layers follow that precision."""
    params = models.as_view(network.build()).params
    apply_fn = models.as_view((network.twin or network.build)()).apply_fn
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        inputs = cast_inputs(check_inputs(network.inputs()), "float64")
        leaves = jax.tree.leaves(jax.jit(jax.jacrev(apply_fn))(double, inputs))
        n, k = leaves[0].shape[:2]
        return np.concatenate([np.asarray(leaf).reshape(n * k, -1) for leaf in leaves], axis=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_float64_rows_are_exact_whatever_precision_the_layers_have(name):
    network = NETWORKS[name]
    expected = exact_jacobian(network)
    found = rows_of(network)(network.inputs())
    assert found.dtype == np.float64
    # 1e-13 is some hundred roundings; a layer in float32 would leave 1e-8 or more.
    assert np.abs(found - expected).max() <= (1e-13 + network.constants) * np.abs(expected).max()


# Layers in bfloat16 have 8 bits; all others round as float32 does.
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("float32 head", 1e-9, 1e-6),
        ("bfloat16 dense", 1e-4, 3e-2),
    ],
)
def test_float32_rows_round_as_the_layers_do(name, least, most):
    network = NETWORKS[name]
    exact = rows_of(network)(network.inputs())
    found = rows_of(network, "float32")(network.inputs())
    assert found.dtype == np.float32
    assert least <= np.abs(found - exact).max() / np.abs(exact).max() <= most


def test_dense_layers_are_factors_in_both_precisions():
    for name in ("float32 head", "bfloat16 dense"):
        network = NETWORKS[name]
        counts = [
            len(rows_of(network, dtype).factors(network.inputs()).inputs)
            for dtype in ("float32", "float64")
        ]
        assert counts == [2, 2], name


def test_masks_are_compared_with_those_of_float64_throughout():
    network = NETWORKS["bfloat16 dense"]
    view, x = models.as_view(network.build()), network.inputs()
    layer = {name: np.array(leaf) for name, leaf in view.params["layers_1"].items()}
    inputs = x.reshape(4, -1)
    # The second image's first unit is zero in exact arithmetic but for 1e-4, which bfloat16's
    # eight bits do not see.
    layer["bias"][0] = 1e-4 - np.float64(inputs[1]) @ np.float64(layer["kernel"][:, 0])
    rounded = {name: jnp.asarray(leaf, jnp.bfloat16) for name, leaf in layer.items()}
    single = jnp.asarray(inputs, jnp.bfloat16) @ rounded["kernel"] + rounded["bias"]
    double = np.float64(inputs) @ np.float64(layer["kernel"]) + np.float64(layer["bias"])
    expected = ((np.asarray(single, np.float64) > 0) != (double > 0)).sum(axis=1)
    assert expected.sum() == expected[1] > 0
    found = jacobian.flipped_masks((view.apply_fn, {**view.params, "layers_1": layer}), x)
    assert found.units == 6
    np.testing.assert_array_equal(found.flipped, expected)


def test_remat_is_looked_into():
    routes = rows_of(NETWORKS["remat"]).routes
    assert {route for taken in routes.values() for route in taken} == {"product", "elementwise"}


def test_many_parameters_on_the_slow_route_are_told(monkeypatch):
    network = NETWORKS["convolution in a scan"]
    rows = rows_of(network)  # few parameters: no warning
    in_the_scan = 3 * (3 * 3 * 4 * 4 + 4)
    assert rows.general_share == pytest.approx(in_the_scan / rows.num_params)
    monkeypatch.setattr(jacobian.routes, "_MANY_PARAMETERS", in_the_scan)
    with pytest.warns(SlowRowsWarning, match=f"rows of {in_the_scan} of") as told:
        rows_of(network)
    assert len(told) == 1
    assert "\n" not in str(told[0].message)


def test_an_operation_without_a_float64_version_is_named():
    def apply_fn(params, x):
        bits = jax.lax.bitcast_convert_type(x @ params["w"], jnp.int32)
        return jax.lax.bitcast_convert_type(bits, jnp.float32)

    params = {"w": np.ones((5, 3), np.float32)}
    with pytest.raises(PrecisionError, match="bitcast_convert_type has no float64"):
        jacobian.JacobianRows((apply_fn, params), (5,), dtype="float64")
    with pytest.raises(PrecisionError, match="bitcast_convert_type"):
        jacobian.flipped_masks((apply_fn, params), np.ones((2, 5), np.float32))


def test_a_network_that_fails_in_any_precision_is_not_told_of_precision():
    def apply_fn(params, x):
        return x @ params["w"]

    with pytest.raises(InputError, match=r"does not take images .*dot_general") as told:
        jacobian.JacobianRows((apply_fn, {"w": np.ones((4, 3), np.float32)}), (5,), dtype="float64")
    assert not isinstance(told.value, PrecisionError)


@pytest.mark.parametrize("stored", ["float32", "float64"])
def test_statistics_of_nnx_count_as_they_are_stored(stored):
    # NNX makes statistics in float32 and casts what is assigned to them; a variable of one's own
    # keeps float64. Either is exact in float64, against the formula.
    rng = np.random.default_rng(0)
    mean, variance = rng.standard_normal(4), rng.uniform(1e-5, 1, 4)
    with jax.enable_x64(stored == "float64"):
        norm = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
        norm.mean = nnx.BatchStat(jnp.asarray(mean, stored))
        norm.var = nnx.BatchStat(jnp.asarray(variance, stored))
        mean, variance = np.float64(norm.mean[...]), np.float64(norm.var[...])
    x = rng.standard_normal((3, 4)).astype(np.float32)
    view = models.as_view(norm)
    J = jacobian.JacobianRows(view, (4,), dtype="float64")(x)
    scales = (x - mean) / np.sqrt(variance + 1e-5)  # of the outputs by bias, then by scale
    expected = np.stack([np.hstack([np.eye(4), np.diag(row)]) for row in scales])
    np.testing.assert_allclose(J, expected.reshape(12, 8), rtol=1e-13)
