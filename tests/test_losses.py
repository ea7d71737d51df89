import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from ntk_aug import losses
from ntk_aug.errors import InputError

N, C = 6, 4
RNG = np.random.default_rng(0)
OUTPUTS = 3 * RNG.standard_normal((N, C))
LABELS = RNG.integers(0, C, N)
SOFT = RNG.dirichlet(np.ones(C), N)
ONE_HOT = np.eye(C)[LABELS]
BY_HAND = {
    "cross-entropy": lambda f, y: -np.sum(y * special.log_softmax(f, axis=-1), axis=-1),
    "squared": lambda f, y: np.linalg.norm(f - y, axis=-1) ** 2 / 2,
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_every_loss_is_tested():
    assert set(BY_HAND) == set(losses.LOSSES)


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize(("targets", "y"), [(LABELS, ONE_HOT), (SOFT, SOFT)])
def test_losses_are_those_of_the_formula(loss, targets, y):
    found = losses.per_example_loss(loss)(jnp.asarray(OUTPUTS), targets)
    np.testing.assert_allclose(found, BY_HAND[loss](OUTPUTS, y), rtol=1e-12)


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("targets", [LABELS, SOFT])
def test_residuals_are_the_gradient_by_the_outputs(loss, targets):
    gradient = jax.vmap(jax.grad(losses.per_example_loss(loss)))(OUTPUTS, targets)
    found = losses.loss_residuals(loss)(jnp.asarray(OUTPUTS), targets)
    np.testing.assert_allclose(found, gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_one_example_is_that_of_a_batch(loss):
    for function in (losses.per_example_loss(loss), losses.loss_residuals(loss)):
        whole = function(jnp.asarray(OUTPUTS), LABELS)
        np.testing.assert_allclose(function(jnp.asarray(OUTPUTS[2]), LABELS[2]), whole[2])


# Outputs in float32 of a network that is sure, of the label or of another class, by up to 60.
SURE = RNG.standard_normal((40, C)).astype(np.float32)
SURE[np.arange(40), RNG.integers(0, C, 40)] += np.linspace(5, 60, 40, dtype=np.float32)
SURE_TARGETS = {
    "right": np.eye(C, dtype=np.float32)[SURE.argmax(axis=1)],
    "wrong": np.eye(C, dtype=np.float32)[SURE.argmin(axis=1)],
    "soft": RNG.dirichlet(np.full(C, 0.1), 40).astype(np.float32),
}


def exact(outputs, targets):
    """softmax p, 1 - p, losses and their gradients in float64; 1 - p_c sums the other entries."""
    f, y = np.float64(outputs), np.float64(targets)
    e = np.exp(f - f.max(axis=1, keepdims=True))
    others = np.stack([np.delete(e, c, axis=1).sum(axis=1) for c in range(C)], axis=1)
    p, not_p = e / e.sum(axis=1, keepdims=True), others / e.sum(axis=1, keepdims=True)
    sure = -np.log1p(-np.minimum(not_p, 0.5))
    negative_log = np.where(p > 0.5, sure, -special.log_softmax(f, axis=1))
    y_of_others = np.stack([np.delete(y, c, axis=1).sum(axis=1) for c in range(C)], axis=1)
    return p, not_p, (y * negative_log).sum(axis=1), p * y_of_others - y * not_p


@pytest.mark.parametrize("kind", SURE_TARGETS)
def test_small_losses_and_gradients_keep_the_relative_precision_of_float32(kind):
    y = SURE_TARGETS[kind]
    p, not_p, values, gradients = exact(SURE, y)
    loss = losses.per_example_loss("cross-entropy")
    np.testing.assert_allclose(loss(SURE, y), values, rtol=1e-5)  # eps times 60 in the exponent
    by_all_ways = {
        "residuals": losses.loss_residuals("cross-entropy")(SURE, y),
        "reverse": jax.jit(jax.vmap(jax.grad(loss)))(SURE, y),
        "forward": jax.jit(jax.vmap(jax.jacfwd(loss)))(SURE, y),
    }
    for way, found in by_all_ways.items():
        assert found.dtype == jnp.float32
        error = np.linalg.norm(found - gradients, axis=1) / np.linalg.norm(gradients, axis=1)
        assert error.max() < 5e-6, way
        if kind != "soft":  # there entries may be small because p is near y
            np.testing.assert_allclose(found, gradients, rtol=1e-5, err_msg=way)
    # diag(p) - p p', whatever the targets are.
    hessian = -p[:, :, None] * p[:, None]
    hessian[:, range(C), range(C)] = p * not_p
    found = jax.jit(jax.vmap(jax.hessian(loss)))(SURE, y)
    error = np.linalg.norm(found - hessian, axis=(1, 2)) / np.linalg.norm(hessian, axis=(1, 2))
    assert error.max() < 2e-5
    # The derivatives of the probabilities are that matrix, too, row by row.
    found = jax.jit(jax.vmap(jax.jacrev(losses.probabilities)))(SURE)
    np.testing.assert_allclose(found, hessian, rtol=3e-5, atol=1e-36)
    np.testing.assert_allclose(losses.probabilities(SURE), p, rtol=1e-5)


AWKWARD = [  # outputs, label, loss, gradient
    ([2.0, 2.0, 2.0], 1, np.log(3), [1 / 3, -2 / 3, 1 / 3]),
    ([1.0, 1.0, -np.inf], 1, np.log(2), [0.5, -0.5, 0]),
    ([-np.inf, 0.0, 0.0], 0, np.inf, [-1, 0.5, 0.5]),
    ([0.0, -np.inf, -np.inf], 0, 0, [0, 0, 0]),
]


def test_ties_infinite_outputs_and_a_single_class_have_finite_gradients():
    outputs, labels, values, gradients = (np.array(column) for column in zip(*AWKWARD, strict=True))
    loss = losses.per_example_loss("cross-entropy")
    for targets in (labels, np.eye(3)[labels]):
        np.testing.assert_allclose(loss(outputs, targets), values, atol=1e-15)
        residuals = losses.loss_residuals("cross-entropy")(outputs, targets)
        for found in (jax.vmap(jax.grad(loss))(outputs, targets), residuals):
            np.testing.assert_allclose(found, gradients, atol=1e-15)
        hessians = jax.jit(jax.vmap(jax.hessian(loss)))(outputs, targets)
        assert np.isfinite(hessians).all()
    assert jax.value_and_grad(loss)(jnp.asarray([7.0]), np.array(0)) == (0, 0)


def test_the_gradient_by_soft_labels_is_minus_the_logarithm_of_the_probabilities():
    gradient = jax.vmap(jax.grad(losses.per_example_loss("cross-entropy"), argnums=1))
    found = gradient(OUTPUTS, np.where(SOFT.max() == SOFT, 0, SOFT))
    np.testing.assert_allclose(found, -special.log_softmax(OUTPUTS, axis=1), rtol=1e-12)


def test_bfloat16_outputs_have_gradients_of_their_own_precision():
    outputs = jnp.asarray([12.0, 1.0, -3.0], jnp.bfloat16)
    p = special.softmax(np.float64(outputs))
    found = jax.grad(losses.per_example_loss("cross-entropy"))(outputs, np.array(0))
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float64(found), [-(p[1] + p[2]), p[1], p[2]], rtol=2e-2)


def test_large_outputs_do_not_overflow():
    outputs = jnp.asarray([[1e5, 0.0]])
    assert losses.per_example_loss("cross-entropy")(outputs, np.array([1])) == 1e5
    found = losses.loss_residuals("cross-entropy")(outputs, np.array([1]))
    np.testing.assert_array_equal(found, [[1, -1]])


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("targets", [LABELS, SOFT])
def test_the_precision_is_that_of_the_outputs(loss, targets):
    for function in (losses.per_example_loss(loss), losses.loss_residuals(loss)):
        assert function(jnp.asarray(OUTPUTS, jnp.float32), targets).dtype == jnp.float32


def test_targets_that_fit_are_given_back():
    assert losses.check_targets(LABELS, N, C, "squared").dtype == np.int32
    assert losses.check_targets(SOFT, N, C, "cross-entropy") is SOFT
    anything = np.full((N, C), -3.0)  # a regression has targets of any value
    assert losses.check_targets(anything, N, C, "squared") is anything


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (LABELS + C, "label .* of image 0 is outside 0 .. 3"),
        (SOFT[:, :2], r"soft labels has shape \(6, 2\), expected \(6, 4\)"),
        (np.eye(N, C, dtype=int), "soft labels have dtype int64, expected floating point"),
        (np.where(SOFT[4, 1] == SOFT, np.nan, SOFT), "soft labels hold NaN .* in example 4"),
        (2 * SOFT, "soft labels of example 0 sum to 2"),
        (1.01 * SOFT, "soft labels of example 0 sum to 1.01"),
        (SOFT * 10 - 9 / C, "of example 0 sum to 1 with the least at -"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, message):
    with pytest.raises(InputError, match=message):
        losses.check_targets(targets, N, C, "cross-entropy")


def test_an_unknown_loss_is_refused():
    for function in (losses.per_example_loss, losses.loss_residuals):
        with pytest.raises(InputError, match=r"unknown loss 'square'.*did you mean 'squared'"):
            function("square")
