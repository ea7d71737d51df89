"""The outputs of a network whose gradients are the rows of the Jacobian."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import ApplyFn, Float, Inputs, Int32
from ntk_aug.checks import check_choice, check_labels
from ntk_aug.errors import InputError
from ntk_aug.losses import LOSSES, check_targets, per_example_loss, probabilities

ROWS = {
    "logits": "all logits of each image: n * C rows",
    "probabilities": "all softmax probabilities: n * C rows, of which n are linearly dependent",
    "true-logit": "the logit of each image's own class: n rows",
    "cross-entropy": "the cross-entropy of each image: n rows, gradients of the loss",
    "squared": "the squared loss of each image: n rows, gradients of the loss",
}
LABELLED_ROWS = ("true-logit", "cross-entropy", "squared")


def one_example(example: Inputs) -> Inputs:
    """A batch of this one example."""
    return jax.tree.map(lambda leaf: leaf[None], example)


def output_function(apply_fn: ApplyFn, rows: str) -> Callable:
    """A function (params, example, label) -> outputs [k] of one example.

    k is C for "logits" and "probabilities", and 1 for `LABELLED_ROWS`, which use the label. Losses
    also take a soft label [C]. Raises InputError unless `rows` is in `ROWS`.
    """
    check_choice(rows, ROWS, "kind of rows")

    def outputs(params, example, label):
        logits = apply_fn(params, one_example(example))[0]
        if rows == "probabilities":
            return probabilities(logits)
        if rows == "true-logit":
            return jnp.take(logits, label)[None]
        if rows in LOSSES:
            return per_example_loss(rows)(logits, label)[None]
        return logits

    return outputs


def label_shape(rows: str, num_logits: int, dtype: str) -> jax.ShapeDtypeStruct:
    """Shape and dtype of one entry of `row_labels`."""
    if rows in LOSSES:
        return jax.ShapeDtypeStruct((num_logits,), dtype)
    return jax.ShapeDtypeStruct((), "int32")


def row_labels(
    labels: Any, rows: str, n: int, num_logits: int, dtype: str
) -> Int32[np.ndarray, " n"] | Float[np.ndarray, "n C"]:
    """Labels of n images in the form that output functions take; raises InputError for bad labels.

    For losses they are distributions [n, C], so that one program serves labels and soft labels.
    """
    if rows not in LABELLED_ROWS:
        return np.zeros(n, np.int32)
    if labels is None:
        raise InputError(f"rows {rows!r} need the labels of the images")
    if rows not in LOSSES:
        return check_labels(labels, n, num_logits)
    targets = check_targets(labels, n, num_logits, rows)
    return targets.astype(dtype) if targets.ndim == 2 else np.eye(num_logits, dtype=dtype)[targets]
