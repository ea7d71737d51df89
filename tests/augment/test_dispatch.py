import jax
import numpy as np
import pytest
from pillow_operations import extreme_images, pillow_operation

from ntk_aug.augment.pixels import dispatch
from ntk_aug.augment.pixels.dispatch import DISPATCHES, use_dispatch
from ntk_aug.augment.pixels.operations import apply_operation, operation_parameters
from ntk_aug.errors import InputError

NAMES = ("AutoContrast", "Equalize", "Invert", "Color", "Sharpness", "Rotate", "TranslateX")
MAGNITUDES = (0, 0, 0, 1.3, 0.4, 20, -2.5)
N = 45  # no multiple of the blocks


@pytest.fixture(scope="module")
def batch():
    """Images, operations and parameters of N cases, and what Pillow makes of them."""
    rng = np.random.default_rng(0)
    images = np.resize(extreme_images(7, 9, 3), (N, 7, 9, 3))
    # One operation is the most frequent, and Invert does not occur.
    operations = rng.choice(7, N, p=[0.1, 0.1, 0, 0.5, 0.1, 0.1, 0.1])
    table = np.stack(
        [operation_parameters(*entry, 7, 9) for entry in zip(NAMES, MAGNITUDES, strict=True)]
    )
    expected = [
        pillow_operation(NAMES[operation], MAGNITUDES[operation], image)
        for operation, image in zip(operations, images, strict=True)
    ]
    return images, operations, table[operations], np.stack(expected)


def apply(image, operation, parameters):
    return apply_operation(image, operation, parameters, operations=NAMES)


@pytest.mark.parametrize("name", DISPATCHES)
def test_the_pixels_are_those_of_pillow_whatever_the_dispatch(batch, name):
    *arguments, expected = batch
    with use_dispatch(name):
        changed = jax.jit(jax.vmap(apply))(*arguments)
    np.testing.assert_array_equal(changed, expected)


def test_all_operations_are_computed_in_blocks_of_bounded_memory(batch, monkeypatch):
    *arguments, expected = batch
    many = [np.concatenate([argument] * 8) for argument in arguments]

    def compiled():
        with use_dispatch("all"):
            return jax.jit(jax.vmap(apply)).lower(*many).compile()

    at_once = compiled().memory_analysis().temp_size_in_bytes
    monkeypatch.setattr(dispatch, "BLOCK_VALUES", N * 7 * 9 * 3)
    blocks = compiled()
    assert blocks.memory_analysis().temp_size_in_bytes < at_once / 3
    np.testing.assert_array_equal(blocks(*many), np.concatenate([expected] * 8))


@pytest.mark.parametrize("name", DISPATCHES)
def test_two_axes_of_vmap_are_one_batch(batch, name):
    images, operations, parameters, _ = batch
    several = jax.vmap(jax.vmap(apply, (None, 0, 0)), (0, None, None))
    with use_dispatch(name):
        changed = jax.jit(several)(images[:4], operations[:6], parameters[:6])
    for i in range(4):
        for k in range(6):
            expected = pillow_operation(NAMES[operations[k]], MAGNITUDES[operations[k]], images[i])
            np.testing.assert_array_equal(changed[i, k], expected)


def test_one_image_needs_no_vmap(batch):
    images, operations, parameters, expected = batch
    one = jax.jit(apply)
    for i in range(3):
        np.testing.assert_array_equal(one(images[i], operations[i], parameters[i]), expected[i])


def program_of(batch, name=None):
    images, operations, parameters, _ = batch
    trace = jax.make_jaxpr(jax.vmap(apply))
    if name is None:
        return str(trace(images, operations, parameters))
    with use_dispatch(name):
        return str(trace(images, operations, parameters))


def test_a_cpu_computes_only_the_chosen_operation(batch):
    assert jax.default_backend() == "cpu"
    assert program_of(batch) == program_of(batch, "one-by-one")
    assert program_of(batch) != program_of(batch, "all")


def test_a_dispatch_is_forced_within_the_block_alone(batch):
    before = program_of(batch)
    with use_dispatch("all"), pytest.raises(KeyError), use_dispatch("grouped"):
        raise KeyError
    assert program_of(batch) == before


def test_an_unknown_dispatch_is_refused():
    with (
        pytest.raises(InputError, match="unknown dispatch 'map'; known: all, grouped, one-by-one"),
        use_dispatch("map"),
    ):
        pass
