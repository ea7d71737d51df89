"""On eight devices, which JAX must be told of before it starts: in a process of their own."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import jax, numpy as np
from jax.sharding import Mesh
from ntk_aug import jacobian, models, ntk
from ntk_aug.errors import InputError
from ntk_aug.jacobian.sharded import ShardedRows
from ntk_aug.ntk import row_store

row_store._DEVICE_CHUNK = 1000  # several chunks of columns, and a rest
assert jax.device_count() == 8
mesh = Mesh(np.array(jax.devices()), ("images",))
rng = np.random.default_rng(0)
images, others, version = (rng.random((n, 8, 8, 1), np.float32) for n in (13, 6, 13))
for name, options in (("mlp", {"width": 16, "activation": "tanh"}), ("resnet4", {})):
    network = models.build_network(name, 3, **options)
    view = network.view(*network.init(jax.random.key(0), images[:1]))
    for dtype, tolerance in (("float32", 2e-6), ("float64", 1e-13)):
        rows = jacobian.JacobianRows(view, (8, 8, 1), dtype=dtype, block_size=2)

        def near(kernel, expected):
            scale = tolerance * np.abs(expected).max()
            np.testing.assert_allclose(kernel, expected, rtol=0, atol=scale)

        for fitting in (13, 5):
            budget = {"memory_bytes": fitting * 2 * rows.factor_bytes}
            for sets in ((images,), (images, others)):
                kernel = ntk.empirical_kernel(rows, *sets, mesh=mesh, **budget)
                near(kernel, ntk.empirical_kernel(rows, *sets))
            (ours,), (expected,) = (
                list(ntk.kernel_triples(rows, images, [version], **given))
                for given in ({"mesh": mesh, **budget}, {})
            )
            for kernel, own in zip(ours, expected, strict=True):
                near(kernel, own)
            np.testing.assert_array_equal(ours.plain, ours.plain.T)

sharded = ShardedRows(rows, mesh)
J = sharded(images)
assert {d.id for d in J.rows.sharding.device_set} == set(range(8))
assert len(J.rows) == 16 * 3  # 13 images, filled up to 16
assert {shard.data.shape[0] for shard in J.rows.addressable_shards} == {6}


def broken(params, images):
    return view.apply_fn(params, images) / (images[:, 3, 3] != 0.125)


images[:, 3, 3] = 1
images[9, 3, 3] = 0.125
rows = jacobian.JacobianRows((broken, view.params), (8, 8, 1), block_size=2)
sharded = ShardedRows(rows, mesh)
for bad, message in (
    (lambda: sharded(images, start=8), "the Jacobian of image 9 holds NaN"),
    (lambda: ShardedRows(rows, Mesh(np.array(jax.devices()).reshape(2, 4), ("a", "b"))),
     "expected one"),
):
    try:
        bad()
    except InputError as error:
        assert message in str(error), error
    else:
        raise AssertionError(message)
print("all equal")
"""


@pytest.fixture(scope="module")
def eight_devices():
    flags = "--xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_kernels_on_eight_devices_are_those_of_the_host(eight_devices):
    assert eight_devices.stdout == "all equal\n", eight_devices.stderr
