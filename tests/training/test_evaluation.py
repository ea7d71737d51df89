"""Evaluation: every example exactly once, whatever the batches are."""

import jax
import numpy as np
import pytest
from sklearn import metrics

from ntk_aug import data, models, training


@pytest.fixture(scope="module")
def fitted(digits):
    """A view that is right about some, and its logits."""
    network = models.build_network("mlp", 3, width=8, activation="tanh")
    view = network.view(*network.init(jax.random.key(4), data.unit_range(digits.images)))
    return view, np.asarray(view.apply_fn(view.params, data.unit_range(digits.images)))


@pytest.mark.parametrize("batch_size", [None, 5, 12, 100])
def test_loss_and_accuracies_agree_with_scikit_learn(fitted, digits, batch_size):
    view, logits = fitted
    found = training.evaluate(view, digits, batch_size=batch_size)
    predicted = logits.argmax(axis=1)
    unscaled = np.exp(logits.astype(np.float64))
    probabilities = unscaled / unscaled.sum(axis=1, keepdims=True)
    assert found.loss == pytest.approx(metrics.log_loss(digits.labels, probabilities), rel=1e-5)
    assert found.accuracy == metrics.accuracy_score(digits.labels, predicted)
    recalls = metrics.recall_score(digits.labels, predicted, average=None, zero_division=0)
    assert found.class_accuracy == pytest.approx(recalls)
    assert found.balanced_accuracy == pytest.approx(
        metrics.balanced_accuracy_score(digits.labels, predicted)
    )
    assert 0 < found.accuracy < 1


def test_a_class_without_an_example_has_no_accuracy_and_does_not_count(fitted, digits):
    view, _ = fitted
    two = digits.take(np.flatnonzero(digits.labels != 1))
    found = training.evaluate(view, two)
    assert np.isnan(found.class_accuracy[1])
    assert found.balanced_accuracy == pytest.approx(
        np.mean([found.class_accuracy[0], found.class_accuracy[2]])
    )
