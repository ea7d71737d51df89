import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ntk_aug import models
from ntk_aug.errors import InputError
from ntk_aug.models import MODELS, build_network
from ntk_aug.models.mlp import tanh_mlp_jacobian_lipschitz
from ntk_aug.models.network import num_params
from ntk_aug.models.registry import as_network

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 8, 8, 1)), jnp.float32)


def initial_shapes(network):
    return jax.eval_shape(network.init, jax.random.key(0), IMAGES)


@pytest.mark.parametrize("name", MODELS)
def test_every_entry_builds_a_network_of_any_number_of_classes(name):
    entry = MODELS[name]
    for num_classes in (2, 7):
        network = build_network(name, num_classes)
        params, state = initial_shapes(network)
        logits, _ = jax.eval_shape(
            lambda p, s, network=network: network.apply(p, s, IMAGES, False, None), params, state
        )
        assert logits.shape == (2, num_classes)
    assert entry.learning_rate > 0
    assert entry.description


def test_options_reach_the_network():
    network = build_network("mlp", 3, width=5, activation="tanh")
    params, _ = initial_shapes(network)
    assert num_params(params) == (64 * 5 + 5) + (5 * 3 + 3)


def test_options_that_are_none_count_as_not_given():
    assert initial_shapes(build_network("resnet4", 3, width=None)) == initial_shapes(
        build_network("resnet4", 3)
    )


def test_only_the_smooth_network_has_a_lipschitz_constant():
    params, state = build_network("mlp", 3, width=4).init(jax.random.key(0), IMAGES)
    smooth = build_network("mlp", 3, width=4, activation="tanh").view(params, state)
    constant = tanh_mlp_jacobian_lipschitz(params, 2.0)
    assert smooth.jacobian_lipschitz(2.0) == constant
    for name, options in (("mlp", {}), ("mlp", {"activation": "relu"}), ("resnet4", {})):
        assert build_network(name, 3, **options).jacobian_lipschitz is None


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("resnet-20", {}, r"unknown model 'resnet-20' \(did you mean 'resnet20'\?\); known: mlp, "),
        ("resnet20", {"width": 8}, "model 'resnet20' takes no option 'width'"),
        ("mlp", {"depth": 3}, "model 'mlp' takes no option 'depth'"),
        ("mlp", {"width": 0}, "width is 0, expected at least 1"),
        ("mlp", {"activation": "gelu"}, r"unknown activation 'gelu' \(did.*known: relu, tanh$"),
        ("no_such_module_here:f", {}, "cannot import 'no_such_module_here'"),
        ("json:nothing", {}, "module 'json' has no function 'nothing'"),
    ],
)
def test_an_impossible_network_is_refused_in_one_line(spec, options, message):
    with pytest.raises(InputError, match=message) as caught:
        build_network(spec, 3, **options)
    assert "\n" not in str(caught.value)


OWN_MODULE = """
import flax.linen as nn
from flax import nnx

from ntk_aug import models

def linen(num_classes, width=2):
    return nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(width), nn.Dense(num_classes)])

def network(num_classes):
    return models.linen_network(linen(num_classes))

def from_rngs(num_classes):
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.layer = nnx.Linear(64, num_classes, rngs=rngs)

        def __call__(self, images):
            return self.layer(images.reshape(len(images), -1))

    return Net

def nothing(num_classes):
    return None
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """The name of a module in the working directory, which is not otherwise searched."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # the library adds to it
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_networks.py").write_text(OWN_MODULE)
    return "own_networks"


@pytest.mark.parametrize(
    ("function", "options", "count"),
    [
        ("linen", {}, (64 * 2 + 2) + (2 * 5 + 5)),
        ("linen", {"width": 3, "activation": None}, (64 * 3 + 3) + (3 * 5 + 5)),
        ("network", {}, (64 * 2 + 2) + (2 * 5 + 5)),
        ("from_rngs", {}, 64 * 5 + 5),
    ],
)
def test_a_user_s_function_may_return_any_kind_of_network(own_module, function, options, count):
    network = build_network(f"{own_module}:{function}", 5, **options)
    params, state = initial_shapes(network)
    assert num_params(params) == count
    logits, _ = jax.eval_shape(lambda p, s: network.apply(p, s, IMAGES, False, None), params, state)
    assert logits.shape == (2, 5)


def test_a_function_that_returns_no_network_is_named(own_module):
    with pytest.raises(InputError, match="returned NoneType, expected a Flax Linen module"):
        build_network(f"{own_module}:nothing", 5)


def test_a_network_stays_what_it_is():
    network = models.linen_network(nn.Dense(2))
    assert as_network(network) is network


class Layer(nnx.Module):
    """An NNX module, which can be called like a function that builds one."""

    def __init__(self, rngs):
        self.layer = nnx.Linear(1, 2, rngs=rngs)

    def __call__(self, images):
        return self.layer(images)


@pytest.mark.parametrize("value", [Layer(nnx.Rngs(0)), nn.Dense])
def test_an_nnx_instance_or_a_linen_class_is_refused(value):
    with pytest.raises(InputError, match="expected a Flax Linen module"):
        as_network(value)
