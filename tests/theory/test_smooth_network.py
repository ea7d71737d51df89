import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theory_checks import SEEDS, examples

from ntk_aug import jacobian, models
from ntk_aug.theory import TanhMLP
from ntk_aug.theory.smooth_network import random_network, softmax


def module_params(network):
    return {
        "hidden": {"kernel": network.U.T, "bias": network.b},
        "output": {"kernel": network.V.T, "bias": network.c},
    }


def test_outputs_and_kernel_are_those_of_the_module():
    network = random_network(np.random.default_rng(0), 6, 5, 3)
    X = np.random.default_rng(1).standard_normal((4, 6))
    module = models.MLP(3, 5, "tanh")

    def apply(params, x):
        return module.apply({"params": params}, x)

    images = X.reshape(4, 2, 3, 1)
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            network.outputs(X), apply(module_params(network), images), rtol=1e-12
        )
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), module_params(network))
    rounded = TanhMLP.from_params(params)
    images = images.astype(np.float32)
    rows = jacobian.JacobianRows((apply, params), images.shape[1:], dtype="float64")
    J = np.asarray(rows(images)).reshape(12, -1)
    own = rounded.jacobians(images.reshape(4, 6)).reshape(12, -1)
    assert own.shape == J.shape
    # Columns are in another order, which the kernel does not see
    np.testing.assert_allclose(own @ own.T, J @ J.T, rtol=1e-9, atol=1e-10)


def test_jacobians_are_autodiffs():
    network = random_network(np.random.default_rng(2), 3, 4, 2)
    X = np.random.default_rng(3).standard_normal((5, 3))
    with jax.enable_x64(True):

        def outputs(U, b, V, c):
            return jax.numpy.tanh(X @ U.T + b) @ V.T + c

        parts = jax.jit(jax.jacrev(outputs, argnums=(0, 1, 2, 3)))(*network)
        exact = np.concatenate([np.asarray(part).reshape(5, 2, -1) for part in parts], axis=2)
    np.testing.assert_allclose(network.jacobians(X), exact, rtol=1e-12, atol=1e-14)


@given(
    SEEDS,
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 3),
    st.floats(0.1, 5),
    st.floats(-4, 0),
)
@examples(100)
def test_no_slope_exceeds_the_certified_constants(seed, d, h, C, scale, digits):
    rng = np.random.default_rng(seed)
    network = TanhMLP(*(scale * part for part in random_network(rng, d, h, C)))
    X = scale * rng.standard_normal((8, d))
    X_aug = X + 10**digits * rng.standard_normal((8, d))
    radius = float(np.linalg.norm([X, X_aug], axis=2).max())
    moved = np.linalg.norm(X_aug - X, axis=1)
    changes = network.jacobians(X_aug) - network.jacobians(X)
    slopes = [np.linalg.norm(rows, 2) for rows in changes] / moved
    assert slopes.max() <= network.jacobian_lipschitz(radius) * (1 + 1e-9)
    steepness = np.linalg.norm(network.outputs(X_aug) - network.outputs(X), axis=1) / moved
    assert steepness.max() <= network.output_lipschitz * (1 + 1e-9)


def test_the_constants_are_those_of_the_formula():
    U, V = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[1.0, -1.0]])
    network = TanhMLP(U, np.zeros(2), V, np.zeros(1))
    top, of_v, longest, c2 = np.linalg.norm(U, 2), np.sqrt(2), np.sqrt(5), 4 / (3 * np.sqrt(3))
    expected = np.sqrt(top**2 + (c2 * longest * of_v) ** 2 + ((c2 * longest * 3 + 1) * of_v) ** 2)
    assert network.jacobian_lipschitz(3.0) == pytest.approx(expected)
    assert network.output_lipschitz == pytest.approx(top * of_v)


def test_a_flat_network_nearly_attains_the_constant_of_its_outputs():
    # tanh is the identity at 0
    network = TanhMLP(np.eye(1), np.zeros(1), np.eye(1), np.zeros(1))
    slope = network.outputs([[1e-3]])[0, 0] / 1e-3
    assert 0.99 <= slope / network.output_lipschitz <= 1


def test_weights_are_drawn_from_the_generator():
    network = random_network(np.random.default_rng(0), 6, 16, 3)
    assert [part.shape for part in network] == [(16, 6), (16,), (3, 16), (3,)]
    again = random_network(np.random.default_rng(0), 6, 16, 3)
    for part, other in zip(network, again, strict=True):
        np.testing.assert_array_equal(part, other)


def test_softmax_is_a_distribution_even_of_large_outputs():
    outputs = np.array([[1000.0, 1000.0, -1000.0], [0.0, np.log(2), np.log(5)]])
    np.testing.assert_allclose(softmax(outputs), [[0.5, 0.5, 0], [1 / 8, 2 / 8, 5 / 8]])
