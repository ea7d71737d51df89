"""The number of devices is set before JAX starts, so these tests run in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ntk_aug import augment
from ntk_aug.augment.pixels.dispatch import use_dispatch

assert jax.device_count() == 4
policy = augment.PolicyAugmentation(augment.POLICIES["autoaugment-svhn"])
images = np.random.default_rng(0).integers(0, 256, (24, 6, 5, 3)).astype(np.float32) / 255
places = np.arange(24)
spread = NamedSharding(Mesh(np.array(jax.devices()), ("device",)), PartitionSpec("device"))

def augmented(images, places):
    return augment.augment_batch(policy, jax.random.key(0), images, places)

expected = np.asarray(jax.jit(augmented)(images, places))
assert (expected != images).any(axis=(1, 2, 3)).sum() > 12
for name in ("one-by-one", "all"):
    with use_dispatch(name):
        program = jax.jit(
            lambda i, p: augmented(i, p), in_shardings=(spread, spread), out_shardings=spread
        ).lower(images, places).compile()
    result = program(jax.device_put(images, spread), jax.device_put(places, spread))
    assert len(result.sharding.device_set) == 4
    np.testing.assert_array_equal(result, expected)
    # The default off a CPU does not communicate.
    assert name != "all" or "all-gather" not in program.as_text()
"""


def test_pixels_are_the_same_on_four_devices_as_on_one():
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
