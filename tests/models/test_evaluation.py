import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import data, models
from ntk_aug.errors import InputError
from ntk_aug.models.evaluation import StreamedProgram, logits_program

N = 11
MEAN, STD = (0.3,), (0.7,)
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 4, 4, 1), np.uint8)
RNG = np.random.default_rng(1)
PARAMS = {"kernel": RNG.standard_normal((16, 3)).astype(np.float32), "bias": np.ones(3, np.float32)}


def apply(params, images):
    return jnp.tanh(images.reshape(len(images), -1) @ params["kernel"]) + params["bias"]


def expected_logits(images=IMAGES, params=PARAMS):
    """By numpy in float64."""
    inputs = (images.reshape(len(images), -1) / 255 - MEAN[0]) / STD[0]
    return np.tanh(inputs @ params["kernel"].astype(np.float64)) + params["bias"]


@pytest.mark.parametrize("batch_size", [1, 4, N, 100, None])
def test_logits_are_those_of_the_network_whatever_the_batch(batch_size):
    program = logits_program(apply, mean=MEAN, std=STD, batch_size=batch_size)
    logits = program(PARAMS, IMAGES)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected_logits(), rtol=1e-5, atol=1e-6)


def test_floating_point_images_are_taken_as_they_are():
    program = logits_program(apply, mean=MEAN, std=STD)
    logits = program(PARAMS, IMAGES.astype(np.float32) / 255)
    np.testing.assert_allclose(logits, expected_logits(), rtol=1e-5, atol=1e-6)


@pytest.fixture
def traced():
    """A network, and the shapes of the batches that it was traced with."""
    shapes = []

    def counted(params, images):
        shapes.append(images.shape)
        return apply(params, images)

    return counted, shapes


def test_other_weights_and_more_images_do_not_compile_again(traced):
    counted, shapes = traced
    program = logits_program(counted, mean=MEAN, std=STD, batch_size=4)
    program(PARAMS, IMAGES)
    changed = jax.tree.map(lambda leaf: -2 * leaf, PARAMS)
    logits = program(changed, np.concatenate([IMAGES, IMAGES]))
    expected = np.tile(expected_logits(params=changed), (2, 1))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert shapes == [(4, 4, 4, 1)]


def test_fewer_images_than_a_batch_are_not_filled_up(traced):
    counted, shapes = traced
    logits_program(counted, mean=MEAN, std=STD, batch_size=100)(PARAMS, IMAGES)
    assert shapes == [(N, 4, 4, 1)]


def test_progress_tells_the_images_that_are_done():
    told = []
    program = logits_program(apply, mean=MEAN, std=STD, batch_size=4)
    program(PARAMS, IMAGES, progress=lambda *x: told.append(x), stage="logits")
    assert told == [("logits", 4, N), ("logits", 8, N), ("logits", N, N)]


def test_several_results_of_images_and_what_goes_with_them():
    def function(scale, images, labels):
        return {"sum": scale * images.sum(axis=(1, 2, 3)), "own": (labels, images[:, 0, 0])}

    images, labels = IMAGES.astype(np.float32), np.arange(N)
    found = StreamedProgram(function, batch_size=3)(2.0, images, labels)
    np.testing.assert_allclose(found["sum"], 2 * images.sum(axis=(1, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(found["own"][0], labels)
    np.testing.assert_array_equal(found["own"][1], images[:, 0, 0])


@pytest.mark.parametrize("batch_size", [3, None])
def test_tables_token_ids_and_pytrees_are_streamed_as_they_are(batch_size):
    rng = np.random.default_rng(2)
    table, tokens = rng.normal(size=(N, 5)).astype(np.float32), rng.integers(0, 7, (N, 4))
    weights = rng.normal(size=(7, 5)).astype(np.float32)

    def apply_fn(weights, inputs):
        return inputs["table"] + weights[inputs["tokens"]].mean(axis=1)

    program = logits_program(apply_fn, mean=(), std=(), batch_size=batch_size)
    logits = program(weights, {"table": table, "tokens": tokens})
    np.testing.assert_allclose(logits, table + weights[tokens].mean(axis=1), rtol=1e-4, atol=1e-5)


def test_batches_are_chosen_by_the_size_of_an_image(traced):
    counted, shapes = traced
    for side in (16, 64):
        images = np.zeros((300, side, side, 1), np.uint8)
        StreamedProgram(lambda scale, x: scale * counted(PARAMS, x[:, :4, :4] * 1.0))(1.0, images)
    assert [shape[0] for shape in shapes] == [256, 2**20 // (4 * 64 * 64)]


@pytest.mark.parametrize("name", ["mlp", "resnet4"])
def test_images_of_a_dataset_are_normalised_as_in_training(digits, name):
    network = models.build_network(name, 3)
    view = network.view(*network.init(jax.random.key(0), data.unit_range(digits.images)))
    inputs = data.normalize(data.unit_range(digits.images), digits.mean, digits.std)
    program = logits_program(view.apply_fn, mean=digits.mean, std=digits.std, batch_size=5)
    expected = view.apply_fn(view.params, inputs)
    np.testing.assert_allclose(program(view.params, digits.images), expected, rtol=1e-4, atol=1e-5)


def test_a_failure_in_a_batch_is_the_callers():
    def fails(params, images):
        return jax.pure_callback(check, jax.ShapeDtypeStruct((2,), np.float32), images)

    def check(images):
        if (images == IMAGES[-1]).all(axis=(1, 2, 3)).any():
            raise KeyError("the last image")
        return np.zeros(2, np.float32)

    with pytest.raises(Exception, match="the last image"):
        StreamedProgram(fails, batch_size=2)(PARAMS, IMAGES)


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="batch_size is 0, expected at least 1"):
        logits_program(apply, mean=MEAN, std=STD, batch_size=0)
    mesh = jax.make_mesh((1, 1), ("a", "b"))
    with pytest.raises(InputError, match=r"the mesh has axes \('a', 'b'\), expected one"):
        logits_program(apply, mean=MEAN, std=STD, mesh=mesh)


ON_FOUR_DEVICES = """
import jax, numpy as np
from ntk_aug.models.evaluation import logits_program

images = np.random.default_rng(0).integers(0, 256, (11, 4, 4, 1), np.uint8)
kernel = np.random.default_rng(1).standard_normal((16, 3)).astype(np.float32)
shardings = []

def apply(kernel, x):
    jax.debug.inspect_array_sharding(x, callback=shardings.append)
    return x.reshape(len(x), -1) @ kernel

program = logits_program(
    apply, mean=(0.0,), std=(1.0,), batch_size=6, mesh=jax.make_mesh((4,), ("images",))
)
logits = program(kernel, images)
np.testing.assert_allclose(logits, images.reshape(11, -1) / 255 @ kernel, rtol=1e-4, atol=1e-5)
assert [s.shard_shape((8, 4, 4, 1)) for s in shardings] == [(2, 4, 4, 1)], shardings
"""


def test_a_mesh_divides_each_batch():
    # The number of devices is fixed when JAX starts.
    flags = "--xla_force_host_platform_device_count=4"
    found = subprocess.run(
        [sys.executable, "-c", ON_FOUR_DEVICES],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
