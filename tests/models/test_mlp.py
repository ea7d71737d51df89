import jax
import numpy as np
import pytest

from ntk_aug.models import MLP
from ntk_aug.models.mlp import tanh_mlp_jacobian_lipschitz

WIDTH, OUTPUTS, INPUTS = 5, 3, 6


def random_params(seed, scale=1.0, width=WIDTH, outputs=OUTPUTS, inputs=INPUTS):
    rng = np.random.default_rng(seed)
    return mlp_params(
        scale * rng.normal(size=(width, inputs)),
        rng.normal(size=width),
        scale * rng.normal(size=(outputs, width)),
    )


def mlp_params(U, b, V):
    """The parameters of f(x) = V tanh(U x + b), as the module stores them."""
    return {
        "hidden": {"kernel": U.T, "bias": b},
        "output": {"kernel": V.T, "bias": np.zeros(len(V))},
    }


def jacobian_by_hand(params, x):
    """J of f = V tanh(U x + b) + c at x, in float64: columns b, U, c and V, each in C order."""
    U, b = params["hidden"]["kernel"].T, params["hidden"]["bias"]
    V = params["output"]["kernel"].T
    a = np.tanh(U @ x + b)
    V_D = V * (1 - a**2)
    eye = np.eye(len(V))
    return np.hstack(
        [
            V_D,
            np.einsum("cj,k->ckj", V_D, x).reshape(len(V), -1),
            eye,
            np.einsum("cd,j->cjd", eye, a).reshape(len(V), -1),
        ]
    )


def test_the_network_is_the_formula_of_its_docstring():
    images = np.random.default_rng(0).normal(size=(4, 2, 3, 1)).astype(np.float32)
    for activation, phi in (("tanh", np.tanh), ("relu", lambda z: np.maximum(z, 0))):
        params = random_params(1)
        params["output"]["bias"] = np.arange(3.0)
        logits = MLP(OUTPUTS, WIDTH, activation).apply({"params": params}, images)
        hidden = phi(images.reshape(4, 6) @ params["hidden"]["kernel"] + params["hidden"]["bias"])
        expected = hidden @ params["output"]["kernel"] + np.arange(3)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_the_jacobian_by_hand_is_that_of_the_module():
    # What the constant is held against below; a test of the test.
    params = random_params(2)
    x = np.random.default_rng(3).normal(size=INPUTS)
    with jax.enable_x64(True):
        module = MLP(OUTPUTS, WIDTH, "tanh")
        leaves = jax.tree.leaves(
            jax.jacrev(lambda p: module.apply({"params": p}, x.reshape(1, 2, 3, 1))[0])(params)
        )
        J = np.concatenate([np.asarray(leaf).reshape(OUTPUTS, -1) for leaf in leaves], axis=1)
    np.testing.assert_allclose(jacobian_by_hand(params, x), J, rtol=1e-12, atol=1e-14)


def in_ball(rng, radius):
    x = rng.normal(size=INPUTS)
    return radius * rng.uniform() ** 0.2 * x / np.linalg.norm(x)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("radius", [0.3, 3.0])
def test_the_jacobian_moves_by_no_more_than_the_constant_allows(scale, radius):
    rng = np.random.default_rng(0)
    for seed in range(20):
        params = random_params(seed, scale)
        constant = tanh_mlp_jacobian_lipschitz(params, radius)
        for distance in (1e-4, 0.1, 1.0):
            x, step = in_ball(rng, radius), in_ball(rng, 1.0)
            other = x + distance * step
            other *= min(1, radius / np.linalg.norm(other))
            moved = np.linalg.norm(jacobian_by_hand(params, other) - jacobian_by_hand(params, x), 2)
            # Rounding of the difference of two Jacobians of this size, in float64.
            assert moved <= constant * np.linalg.norm(other - x) + 1e-13 * constant


def steepest(params, x, direction, distance=1e-6):
    """||J(x + d) - J(x - d)|| / ||2 d|| for a small d."""
    step = distance * direction
    difference = jacobian_by_hand(params, x + step) - jacobian_by_hand(params, x - step)
    return np.linalg.norm(difference, 2) / (2 * distance)


def test_the_constant_is_attained_where_the_hidden_layer_is_linear():
    # At x = 0 and without bias tanh' = 1 and tanh'' = 0: dV moves by ||U||, dU by ||V||.
    params = random_params(0)
    params["hidden"]["bias"][:] = 0
    params["output"]["kernel"] *= 1e-3
    top = np.linalg.svd(params["hidden"]["kernel"].T)[2][0]
    constant = tanh_mlp_jacobian_lipschitz(params, 1e-3)
    assert 0.999 * constant < steepest(params, np.zeros(INPUTS), top) <= constant * (1 + 1e-8)


@pytest.mark.parametrize(("u", "v", "share"), [(1, 5, 0.9), (3, 0.5, 0.85), (3, 5, 0.95)])
def test_the_constant_is_nearly_attained_where_the_hidden_layer_bends_most(u, v, share):
    # A hidden unit whose tanh'' is largest (tanh = -1/sqrt(3), tanh' = 2/3) at the end of the ball
    # in the direction of its weights, beside one that is idle on that line and not read. The
    # factor tanh' of dV and dU, at most 1, is 2/3 here.
    radius = 3.0
    U = np.zeros((2, INPUTS))
    U[0, 0], U[1, 1] = u, u / 10
    b = np.array([-np.arctanh(1 / np.sqrt(3)) - u * radius, 0])
    params = mlp_params(U, b, np.array([[v, 0.0]]))
    direction = U[0] / u
    constant = tanh_mlp_jacobian_lipschitz(params, radius)
    slope = steepest(params, radius * direction, direction)
    c2 = 4 / (3 * np.sqrt(3))
    blocks = [2 / 3 * u, c2 * u * v, (c2 * u * radius + 2 / 3) * v]  # dV, db, dU
    assert slope == pytest.approx(np.linalg.norm(blocks), rel=1e-6)
    assert share * constant < slope <= constant * (1 + 1e-8)


def test_the_constant_grows_with_the_radius_and_with_the_weights():
    params, larger = random_params(0), random_params(0, scale=2.0)
    constants = [tanh_mlp_jacobian_lipschitz(params, radius) for radius in (0.0, 1.0, 2.0)]
    assert constants == sorted(set(constants))
    assert tanh_mlp_jacobian_lipschitz(larger, 1.0) > constants[1]
    assert all(isinstance(constant, float) for constant in constants)


def test_the_constant_does_not_depend_on_the_biases():
    params, other = random_params(0), random_params(0)
    other["hidden"]["bias"] += 1
    other["output"]["bias"] += 1
    assert tanh_mlp_jacobian_lipschitz(params, 1.0) == tanh_mlp_jacobian_lipschitz(other, 1.0)
