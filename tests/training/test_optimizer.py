"""The optimiser and its learning rate, against formulas by hand."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import training
from ntk_aug.training.optimizer import build_optimizer, learning_rates


def positions(config, gradients, *, start=1.0, rate=0.1):
    """Where a parameter is after each step of a constant learning rate."""
    optimizer = build_optimizer(config)
    parameter = jnp.full(2, start)
    state, found = optimizer.init(parameter), []
    for gradient in gradients:
        direction, state = optimizer.update(jnp.full(2, gradient), state, parameter)
        parameter = parameter - rate * direction
        found.append(float(parameter[0]))
    return found


@pytest.mark.parametrize("nesterov", [False, True])
def test_weight_decay_comes_before_momentum_and_shrinks_weights_of_zero_gradients(nesterov):
    config = training.TrainingConfig(momentum=0.9, weight_decay=0.1, nesterov=nesterov)
    found = positions(config, [0.0] * 10)
    w, velocity, expected = 1.0, 0.0, []
    for _ in range(10):  # torch.optim.SGD: v = 0.9 v + (g + 0.1 w); Nesterov: g + 0.1 w + 0.9 v
        decayed = 0.1 * w
        velocity = 0.9 * velocity + decayed
        w -= 0.1 * (decayed + 0.9 * velocity if nesterov else velocity)
        expected.append(w)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[0] < 1
    assert all(later < earlier for earlier, later in pairwise(found))


def test_a_long_gradient_is_scaled_to_the_limit_and_a_short_one_is_left():
    config = training.TrainingConfig(momentum=0.0, clip_norm=1.0, weight_decay=0.5)
    long, short = (positions(config, [gradient])[0] for gradient in (30.0, 0.1))
    # The gradient [30, 30] has norm 30 sqrt(2); the decay is added after it was scaled to 1.
    assert long == pytest.approx(1 - 0.1 * (1 / np.sqrt(2) + 0.5), rel=1e-6)
    assert short == pytest.approx(1 - 0.1 * (0.1 + 0.5), rel=1e-6)


def rates(num_epochs, steps, **settings):
    config = training.TrainingConfig(epochs=num_epochs, learning_rate=0.5, **settings)
    return np.concatenate([learning_rates(config, epoch, steps) for epoch in range(num_epochs)])


def test_steps_lower_the_learning_rate_at_the_start_of_their_epochs():
    found = rates(5, 3, decay_epochs=(2, 4), decay_factor=0.1)
    np.testing.assert_allclose(found, [0.5] * 6 + [0.05] * 6 + [0.005] * 3, rtol=1e-6)
    # With a warm-up the epochs are still counted from the first one.
    warm = rates(5, 3, decay_epochs=(2, 4), warmup_epochs=1)
    np.testing.assert_allclose(warm[:4], [0, 0.5 / 3, 1 / 3, 0.5], atol=1e-6)
    np.testing.assert_allclose(warm[4:], found[4:], rtol=1e-6)
    within = rates(5, 3, decay_epochs=(1, 2), warmup_epochs=2)
    np.testing.assert_allclose(within[6:], 0.005, rtol=1e-6)


def test_cosine_and_linear_schedules_follow_their_formulas_and_end_near_zero():
    at = np.arange(12) / 3  # epochs done at each of three steps of four epochs
    np.testing.assert_allclose(
        rates(4, 3, schedule="cosine"), 0.25 * (1 + np.cos(np.pi * at / 4)), atol=1e-6
    )
    np.testing.assert_allclose(rates(4, 3, schedule="linear"), 0.5 * (1 - at / 4), atol=1e-6)
    rising = np.minimum(at, 1) * 0.5
    after = np.clip((at - 1) / 3, 0, 1)
    expected = np.where(at < 1, rising, 0.25 * (1 + np.cos(np.pi * after)))
    np.testing.assert_allclose(rates(4, 3, schedule="cosine", warmup_epochs=1), expected, atol=1e-6)
    expected = np.where(at < 1, rising, 0.5 * (1 - after))
    np.testing.assert_allclose(rates(4, 3, schedule="linear", warmup_epochs=1), expected, atol=1e-6)


def test_the_schedule_does_not_depend_on_how_many_steps_an_epoch_has():
    config = training.TrainingConfig(epochs=4, schedule="cosine")
    few, many = (learning_rates(config, 2, steps) for steps in (2, 200))
    np.testing.assert_allclose(few, many[[0, 100]], rtol=1e-6)
