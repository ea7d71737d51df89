"""Which numbers the rows of the Jacobian are gradients of."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import ApplyFn, Float, Int32, Params
from ntk_aug.checks import InputError, check_choice, check_labels
from ntk_aug.losses import LOSSES, check_targets, per_example_loss, probabilities

ROWS = {
    "logits": "all logits of each image: n * C rows",
    "probabilities": "all softmax probabilities: n * C rows, of which n are linearly dependent",
    "true-logit": "the logit of each image's own class: n rows",
    "cross-entropy": "the cross-entropy of each image: n rows, gradients of the loss",
    "squared": "the squared loss of each image: n rows, gradients of the loss",
}
LABELLED_ROWS = ("true-logit", "cross-entropy", "squared")


def count_logits(
    apply_fn: ApplyFn, params: Params, image_shape: tuple[int, ...], dtype: str
) -> int:
    """C, the outputs of a network for one image [h, w, c], without running it.

    Raises:
      InputError: the network does not map images [1, h, w, c] to logits [1, C].
    """
    logits = jax.eval_shape(apply_fn, params, jax.ShapeDtypeStruct((1, *image_shape), dtype))
    if getattr(logits, "ndim", None) != 2 or len(logits) != 1:
        raise InputError(
            f"the network maps one image to {getattr(logits, 'shape', type(logits).__name__)}, "
            "expected logits [1, C]"
        )
    return logits.shape[1]


def output_function(apply_fn: ApplyFn, rows: str) -> Callable:
    """A function (params, image [h, w, c], label) -> outputs [k] of one image.

    k is C for "logits" and "probabilities", 1 for `LABELLED_ROWS`, which look at the label. The
    losses also take a soft label [C].

    Raises:
      InputError: `rows` is not a key of `ROWS`.
    """
    check_choice(rows, ROWS, "kind of rows")

    def outputs(params, image, label):
        logits = apply_fn(params, image[None])[0]
        if rows == "probabilities":
            return probabilities(logits)
        if rows == "true-logit":
            return jnp.take(logits, label)[None]
        if rows in LOSSES:
            return per_example_loss(rows)(logits, label)[None]
        return logits

    return outputs


def label_shape(rows: str, num_logits: int, dtype: str) -> jax.ShapeDtypeStruct:
    """Of what `row_labels` gives for one image."""
    if rows in LOSSES:
        return jax.ShapeDtypeStruct((num_logits,), dtype)
    return jax.ShapeDtypeStruct((), "int32")


def row_labels(
    labels: Any, rows: str, n: int, num_logits: int, dtype: str
) -> Int32[np.ndarray, " n"] | Float[np.ndarray, "n C"]:
    """Labels, or soft labels, of n images as output functions are traced with them.

    Those of losses are distributions [n, C], so that one program serves both.

    Raises:
      InputError: labels that are needed and missing, or cannot be used.
    """
    if rows not in LABELLED_ROWS:
        return np.zeros(n, np.int32)
    if labels is None:
        raise InputError(f"rows {rows!r} need the labels of the images")
    if rows not in LOSSES:
        return check_labels(labels, n, num_logits)
    targets = check_targets(labels, n, num_logits, rows)
    return targets.astype(dtype) if targets.ndim == 2 else np.eye(num_logits, dtype=dtype)[targets]
