"""Which numbers the rows of the Jacobian are gradients of."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ntk_aug.aliases import ApplyFn, Params
from ntk_aug.checks import InputError, check_choice

ROWS = {
    "logits": "all logits of each image: n * C rows",
    "probabilities": "all softmax probabilities: n * C rows, of which n are linearly dependent",
    "true-logit": "the logit of each image's own class: n rows",
    "cross-entropy": "the loss of each image: n rows, its gradients",
}
LABELLED_ROWS = ("true-logit", "cross-entropy")


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

    k is C for "logits" and "probabilities", 1 for `LABELLED_ROWS`, which look at the label.

    Raises:
      InputError: `rows` is not a key of `ROWS`.
    """
    check_choice(rows, ROWS, "kind of rows")

    def outputs(params, image, label):
        logits = apply_fn(params, image[None])[0]
        if rows == "probabilities":
            return jax.nn.softmax(logits)
        if rows == "true-logit":
            return jnp.take(logits, label)[None]
        if rows == "cross-entropy":
            return (jax.nn.logsumexp(logits) - jnp.take(logits, label))[None]
        return logits

    return outputs
