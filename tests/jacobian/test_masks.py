"""Masks that flip within rounding, on networks whose units are counted by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import jacobian
from ntk_aug.errors import InputError


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(20, 4, 4, 1)).astype("f4")


AT_THE_KINK = 17


@pytest.fixture(scope="module")
def params(images):
    """w, b with w x = 1 + 2^-30 and b = 1 for one image: equal in float32, not in float64."""
    images[AT_THE_KINK, 0, :2] = 1
    return {"w": np.array([1, 2.0**-30, *[0] * 14], "f4"), "b": np.ones((), "f4")}


def relu_network(params, images):
    return nn.relu(images.reshape(len(images), -1) @ params["w"] - params["b"])[:, None]


def clip_network(params, images):
    return jnp.minimum(images.reshape(len(images), -1) @ params["w"], params["b"])[:, None]


def comparing_network(params, images):
    z = images.reshape(len(images), -1) @ params["w"]
    return jnp.where(z > params["b"], 2 * z, z)[:, None]


def pairs(params, images):
    z = images.reshape(len(images), -1) @ params["w"]
    return jnp.stack([jnp.full_like(z, 1) * params["b"], z], axis=1)


def pooling_network(params, images):
    return nn.max_pool(pairs(params, images)[..., None], (2,), (2,))[..., 0]


def largest_network(params, images):
    return pairs(params, images).max(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "network",
    [relu_network, clip_network, comparing_network, pooling_network, largest_network],
)
def test_a_unit_within_rounding_is_found_in_its_image_and_in_no_other(network, images, params):
    found = jacobian.flipped_masks((network, params), images)
    assert found.units == 1
    np.testing.assert_array_equal(np.flatnonzero(found.flipped), [AT_THE_KINK])


@pytest.mark.parametrize("n", [AT_THE_KINK + 1, AT_THE_KINK + 2])
def test_the_last_image_counts_once_however_far_its_block_is_filled_up(n, images, params):
    # 18 images are a block of 16 and one of two, which is filled up with the last image.
    found = jacobian.flipped_masks((relu_network, params), images[:n])
    assert found.flipped.shape == (n,)
    assert found.flipped[AT_THE_KINK] == 1
    assert found.flipped.sum() == 1


def test_every_unit_of_every_kind_is_counted(images):
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.max_pool(nn.relu(nn.Conv(3, (3, 3))(x)), (2, 2), (2, 2))  # 48 + 12
            x = nn.leaky_relu(jnp.tanh(x)) + jnp.abs(x) + jax.lax.clamp(-1.0, x, 1.0)  # 3 x 12
            x = jax.lax.cummax(x.max(axis=(1, 2)), axis=1)  # 3 + 3
            return nn.Dense(2)(nn.relu6(x))  # 2 x 3: above zero, below six

    module = Network()
    params = module.init(jax.random.key(0), images[:1])["params"]
    found = jacobian.flipped_masks((lambda p, x: module.apply({"params": p}, x), params), images)
    assert found.units == 48 + 12 + 36 + 6 + 6
    assert found.flipped.shape == (20,)


def test_a_tie_in_both_precisions_is_no_flip():
    black = np.zeros((3, 4, 4, 1), np.float32)

    def network(params, x):
        return nn.max_pool(nn.relu(x * params), (2, 2), (2, 2)).reshape(len(x), -1)

    found = jacobian.flipped_masks((network, np.ones(1, "f4")), black)
    np.testing.assert_array_equal(found.flipped, 0)
    assert found.units == 16 + 4


def test_a_smooth_network_has_no_units(tanh_mlp, digit_images):
    found = jacobian.flipped_masks(tanh_mlp, digit_images)
    assert found.units == 0
    np.testing.assert_array_equal(found.flipped, 0)


def test_a_network_that_is_another_in_float64_is_refused(images):
    def network(params, x):
        x = x if x.dtype == jnp.float32 else nn.relu(x)
        return x.reshape(len(x), -1) * params

    with pytest.raises(InputError, match="compares other values in float64 than in float32"):
        jacobian.flipped_masks((network, np.ones(16, "f4")), images)
