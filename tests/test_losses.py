import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from ntk_aug import losses
from ntk_aug.checks import InputError

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
