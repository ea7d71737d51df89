import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ntk_aug import models
from ntk_aug.errors import InputError
from ntk_aug.models.network import num_params

IMAGES = np.random.default_rng(0).normal(size=(5, 2, 3, 1)).astype(np.float32)
KEY = jax.random.key(0)


class LinenNet(nn.Module):
    """Linear, BatchNorm, Dropout, linear: 6 -> 4 -> 3."""

    @nn.compact
    def __call__(self, images, train: bool = False):
        x = nn.Dense(4, name="first")(images.reshape(len(images), -1))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3, name="last")(x)


class NnxNet(nnx.Module):
    """The same in NNX."""

    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Linear(6, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, images):
        x = self.norm(self.first(images.reshape(len(images), -1)))
        return self.last(self.dropout(x))


NETWORKS = {
    "linen": lambda: models.linen_network(LinenNet()),
    "nnx": lambda: models.nnx_network(NnxNet),
}


class Case:
    """A network with initial weights, statistics that are not trivial, and compiled functions."""

    def __init__(self, name):
        self.name = name
        self.network = NETWORKS[name]()
        self.params, state = self.network.init(KEY, IMAGES)
        self.evaluate = jax.jit(lambda p, s, x: self.network.apply(p, s, x, False, None))
        self.train = jax.jit(lambda p, s, x, key: self.network.apply(p, s, x, True, key))
        # A step of training first: mean 0 and variance 1 would hide what evaluation does.
        self.state = self.train(self.params, state, IMAGES * 3 + 1, KEY)[1]

    def statistics(self, state):
        norm = state["batch_stats"]["norm"] if self.name == "linen" else state["norm"]
        return tuple(np.asarray(jax.tree.leaves(norm[part])[0]) for part in ("mean", "var"))

    def hidden(self, images):
        """What goes into BatchNorm, in float64."""
        first = self.params["first"]
        kernel, bias = (
            np.asarray(jax.tree.leaves(first[part])[0], np.float64) for part in ("kernel", "bias")
        )
        return images.reshape(len(images), -1) @ kernel + bias


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    return Case(request.param)


def test_parameters_are_what_is_trained_and_nothing_else(case):
    # Two linear layers with biases, and the norm's scale and bias; no statistics, no random state.
    assert num_params(case.params) == (6 * 4 + 4) + (4 + 4) + (4 * 3 + 3)


def test_evaluation_ignores_the_neighbours(case):
    logits, _ = case.evaluate(case.params, case.state, IMAGES)
    others = IMAGES.copy()
    others[1:] = 7 - 9 * others[1:]
    changed, _ = case.evaluate(case.params, case.state, others)
    assert logits.shape == (5, 3)
    np.testing.assert_array_equal(changed[0], logits[0])
    assert (changed[1:] != logits[1:]).all()


def test_evaluation_repeats_and_leaves_the_state_alone(case):
    logits, state = case.evaluate(case.params, case.state, IMAGES)
    again, _ = case.evaluate(case.params, state, IMAGES)
    np.testing.assert_array_equal(again, logits)
    for before, after in zip(case.statistics(case.state), case.statistics(state), strict=True):
        np.testing.assert_array_equal(before, after)


def test_evaluation_normalises_by_the_running_statistics(case):
    mean, variance = case.statistics(case.state)
    hidden = case.hidden(IMAGES)
    assert (np.abs(mean) > 1e-3).all()
    normed = (hidden - mean) / np.sqrt(variance + 1e-5)
    last = case.params["last"]
    kernel = np.asarray(jax.tree.leaves(last["kernel"])[0], np.float64)
    logits, _ = case.evaluate(case.params, case.state, IMAGES)
    # Scale 1 and bias 0 of the norm, and bias 0 of the last layer, are the initial ones.
    np.testing.assert_allclose(logits, normed @ kernel, rtol=1e-4, atol=1e-5)


def test_training_moves_the_statistics_by_a_tenth_of_the_way(case):
    before = case.statistics(case.state)
    _, state = case.train(case.params, case.state, IMAGES, KEY)
    hidden = case.hidden(IMAGES)
    batch = hidden.mean(axis=0), hidden.var(axis=0)
    for old, new, own in zip(before, case.statistics(state), batch, strict=True):
        np.testing.assert_allclose(new, 0.9 * old + 0.1 * own, rtol=1e-5, atol=1e-6)


def test_training_draws_other_units_to_drop_at_each_step(case):
    first_key, second_key = jax.random.split(KEY)
    first, state = case.train(case.params, case.state, IMAGES, first_key)
    second, _ = case.train(case.params, state, IMAGES, second_key)
    repeated, _ = case.train(case.params, case.state, IMAGES, first_key)
    np.testing.assert_array_equal(repeated, first)
    assert not np.allclose(first, second, atol=1e-3)


def test_a_network_is_as_good_outside_of_jit(case):
    logits, _ = case.evaluate(case.params, case.state, IMAGES)
    eager, _ = case.network.apply(case.params, case.state, IMAGES, False, None)
    np.testing.assert_allclose(eager, logits, rtol=1e-5, atol=1e-6)


def test_the_initial_weights_are_decided_by_the_key(case):
    initial = [case.network.init(jax.random.key(seed), IMAGES)[0] for seed in (0, 0, 1)]
    weights = [np.asarray(jax.tree.leaves(params["last"]["kernel"])[0]) for params in initial]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.allclose(weights[0], weights[2])


def test_a_view_is_the_network_in_evaluation_mode_at_any_weights(case):
    view = case.network.view(case.params, case.state)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, case.params)
    assert view.params is case.params
    assert view.jacobian_lipschitz is None
    for params in (case.params, doubled):
        expected, _ = case.evaluate(params, case.state, IMAGES)
        np.testing.assert_allclose(view.apply_fn(params, IMAGES), expected, rtol=1e-5, atol=1e-6)


def test_a_view_in_float64_is_float64_throughout(case):
    view = case.network.view(case.params, case.state)
    mean, variance = (part.astype(np.float64) for part in case.statistics(case.state))
    kernel = np.asarray(jax.tree.leaves(case.params["last"]["kernel"])[0], np.float64)
    expected = (case.hidden(IMAGES) - mean) / np.sqrt(variance + 1e-5) @ kernel
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), case.params)
        logits = view.apply_fn(params, jnp.asarray(IMAGES, jnp.float64))
    np.testing.assert_allclose(logits, expected, rtol=1e-13, atol=1e-14)


# Views of a user's own module


def test_a_linen_view_is_a_direct_call_of_the_module():
    case = Case("linen")
    variables = {"params": case.params, **case.state}
    view = models.linen_view(LinenNet(), variables)
    direct = LinenNet().apply(variables, IMAGES)
    np.testing.assert_array_equal(view.apply_fn(view.params, IMAGES), direct)


def test_linen_variables_without_parameters_are_refused():
    with pytest.raises(InputError, match=r"variables have \['batch_stats'\], expected .*'params'"):
        models.linen_view(LinenNet(), {"batch_stats": {}})


@pytest.fixture
def nnx_module():
    """An NNX module that was trained for a step and is still in training mode."""
    module = NnxNet(nnx.Rngs(0))
    module.train()
    module(IMAGES * 3 + 1)
    return module


def test_an_nnx_view_is_a_direct_call_of_the_module_in_evaluation_mode(nnx_module):
    view = models.nnx_view(nnx_module)
    seen = view.apply_fn(view.params, IMAGES)
    count = nnx_module.dropout.rngs.count[...]
    nnx_module.eval()
    np.testing.assert_array_equal(seen, nnx_module(IMAGES))
    assert count == 1  # the view has drawn no random numbers from the module


def test_an_nnx_view_does_not_follow_later_changes_of_the_module(nnx_module):
    view = models.nnx_view(nnx_module)
    before = np.asarray(view.apply_fn(view.params, IMAGES))
    nnx_module(IMAGES)  # in training mode: moves the statistics
    nnx_module.last.kernel[...] = nnx_module.last.kernel[...] * 2
    np.testing.assert_array_equal(view.apply_fn(view.params, IMAGES), before)


def test_training_an_nnx_network_outside_of_jit_leaves_the_given_state_alone():
    network = models.nnx_network(NnxNet)
    params, state = network.init(KEY, IMAGES)
    before = np.asarray(state["norm"]["mean"][...])
    network.apply(params, state, IMAGES, True, None)
    np.testing.assert_array_equal(state["norm"]["mean"][...], before)


def test_a_loss_in_training_mode_can_be_differentiated_inside_jit():
    network = models.nnx_network(NnxNet)
    params, state = network.init(KEY, IMAGES)

    def loss_and_state(params, state):
        logits, new_state = network.apply(params, state, IMAGES, True, None)
        return (logits**2).sum(), new_state

    @jax.jit
    def step(params, state):
        # The state is closed over, as in any loop that differentiates by the parameters alone.
        return jax.grad(lambda p: loss_and_state(p, state), has_aux=True)(params)

    _, after = step(params, state)
    expected = loss_and_state(params, state)[1]
    for own, other in zip(
        jax.tree.leaves(after["norm"]), jax.tree.leaves(expected["norm"]), strict=True
    ):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)
        assert np.abs(np.asarray(own)).min() > 0


# Modes, pure functions, sizes


def test_a_module_is_told_its_mode_by_the_keyword_that_it_has():
    class Train(nn.Module):
        def __call__(self, images, train):
            return images[:, 0, 0] * 0 + train

    class Training(nn.Module):
        def __call__(self, images, *, training=False):
            return images[:, 0, 0] * 0 + training

    class Deterministic(nn.Module):
        def __call__(self, images, deterministic=None):
            return images[:, 0, 0] * 0 + (not deterministic)

    class RunningAverage(nn.Module):
        def __call__(self, images, use_running_average):
            return images[:, 0, 0] * 0 + (not use_running_average)

    for module in (Train(), Training(), Deterministic(), RunningAverage()):
        network = models.linen_network(module)
        for train in (False, True):
            logits, state = network.apply({}, {}, IMAGES, train, KEY)
            assert (np.asarray(logits) == train).all(), type(module)
            assert state == {}


def test_a_module_without_modes_needs_no_keyword():
    network = models.linen_network(nn.Dense(2))
    params, state = network.init(KEY, IMAGES)
    evaluated, _ = network.apply(params, state, IMAGES, False, None)
    trained, after = network.apply(params, state, IMAGES, True, KEY)
    np.testing.assert_array_equal(evaluated, trained)
    assert state == after == {}


def test_a_pure_network_is_its_two_functions():
    network = models.pure_network(
        lambda key, images: {"w": jax.random.normal(key, (images[0].size, 2))},
        lambda params, images: images.reshape(len(images), -1) @ params["w"],
    )
    params, state = network.init(KEY, jnp.asarray(IMAGES))
    np.testing.assert_array_equal(params["w"], jax.random.normal(KEY, (6, 2)))
    expected = IMAGES.reshape(5, 6) @ np.asarray(params["w"])
    for train in (False, True):
        logits, after = network.apply(params, state, IMAGES, train, KEY)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
        assert after == state == {}
    view = network.view(params, state)
    np.testing.assert_allclose(view.apply_fn(view.params, IMAGES), expected, rtol=1e-5, atol=1e-6)


def test_a_view_knows_the_lipschitz_constant_of_its_own_weights():
    network = models.linen_network(nn.Dense(2), lambda params, radius: params["a"] * radius)
    view = network.view({"a": 3.0}, {})
    assert view.jacobian_lipschitz(5.0) == 15.0


def test_the_number_of_parameters_counts_every_leaf():
    assert num_params({"a": jnp.zeros((2, 3)), "b": [jnp.zeros(()), jnp.zeros(4)]}) == 11
    assert num_params({}) == 0
