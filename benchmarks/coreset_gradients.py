"""Gradients that `benchmarks.coreset` selects from: of a synthetic model, or of a trained layer."""

import numpy as np
from scipy.special import softmax

from ntk_aug import coreset

WIDTH = 64
"""Of what the last layer is applied to."""


def synthetic(num_classes: int, size: int, num_outputs: int, weights: bool):
    """(gradients, labels) of examples that a model tells apart more or less; no data is needed.

    With fewer outputs than classes several classes share one.
    """
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(num_classes), size)
    n, targets = len(labels), labels % num_outputs
    inputs = np.maximum(rng.standard_normal((n, WIDTH)), 0)
    logits = inputs @ rng.standard_normal((WIDTH, num_outputs)) / np.sqrt(WIDTH)
    logits += rng.standard_normal((n, num_outputs))
    logits[np.arange(n), targets] += 2 + rng.standard_normal(n)
    return _gradients(logits, inputs, targets, weights), labels


def real(name: str, num_classes: int, size: int, weights: bool):
    """(gradients, labels) of the first images of each class, from a layer trained for one epoch.

    It is applied to random features, so that the time goes into the selection.
    """
    from ntk_aug import data

    dataset = data.load_dataset(name, "train")
    labels = np.asarray(dataset.labels)
    places = np.concatenate([np.flatnonzero(labels == c)[:size] for c in range(num_classes)])
    rng = np.random.default_rng(0)
    inputs = np.asarray(dataset.images, np.float32).reshape(len(labels), -1) / 255
    inputs -= inputs.mean(axis=0)
    inputs = inputs @ rng.standard_normal((inputs.shape[1], WIDTH), np.float32)
    inputs = np.maximum(inputs / inputs.std(), 0)
    last = np.zeros((WIDTH, int(labels.max()) + 1), np.float32)
    for batch in np.array_split(rng.permutation(len(labels)), len(labels) // 100):
        residuals = softmax(inputs[batch] @ last, axis=1)
        residuals[np.arange(len(batch)), labels[batch]] -= 1
        last -= 0.2 * inputs[batch].T @ residuals / len(batch)
    inputs, labels = inputs[places], labels[places]
    return _gradients(inputs @ last, inputs, labels, weights), labels


def rows_of(gradients) -> np.ndarray:
    """The gradients as rows [n, P], which the peers' similarity is made of."""
    if gradients.inner is None:
        return gradients.outer
    return (gradients.outer[:, :, None] * gradients.inner[:, None, :]).reshape(len(gradients), -1)


def _gradients(logits, inputs, labels, weights):
    if weights:
        return coreset.last_layer_weight_gradients(logits, inputs, labels, bias=False)
    return coreset.last_layer_logit_gradients(logits, labels)
