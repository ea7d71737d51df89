"""Gradients of the last layer, which stand for those of the whole network.

With logits f = W' h + b and the residual r = dl/df, the gradient of an example's loss by its logits
is r, by W the outer product of h and r, and by b again r. None of them needs a backward pass, and
the outer product is never formed: see `GradientFactors`.
"""

import numpy as np
from scipy.special import softmax

from ntk_aug.aliases import Array, Float, Float64, Int
from ntk_aug.checks import InputError, check_choice, check_labels, check_same_shape
from ntk_aug.coreset.similarity import GradientFactors, check_finite_rows

PROXY_LOSSES = ("cross-entropy", "squared")

Targets = Int[Array, " n"] | Float[Array, "n C"]


def last_layer_logit_gradients(
    logits: Float[Array, "n C"], targets: Targets, *, loss: str = "cross-entropy"
) -> GradientFactors:
    """The gradient of each example's loss by its logits, in float64.

    Args:
      logits: f, of the network in evaluation mode.
      targets: y: classes [n], or soft labels [n, C].
      loss: `cross-entropy`, -sum_c y_c log softmax(f)_c, whose gradient is softmax(f) - y; or
        `squared`, ||f - y||^2 / 2, whose gradient is f - y. Classes are one-hot in both.

    Raises:
      InputError: an unknown loss; labels out of range; soft labels of another shape, or, for the
        cross-entropy, that are negative or do not sum to 1; values that are not finite.

    Reference:
      Katharopoulos, Fleuret: Not all samples are created equal: deep learning with importance
      sampling, 2018 (the last layer's gradient bounds that of the network).
    """
    return GradientFactors(_residuals(logits, targets, loss))


def last_layer_weight_gradients(
    logits: Float[Array, "n C"],
    inputs: Float[Array, "n d"],
    targets: Targets,
    *,
    bias: bool = True,
    loss: str = "cross-entropy",
) -> GradientFactors:
    """The gradient of each example's loss by the last layer's weights, in factors r and h.

    Args:
      logits: f, of the network in evaluation mode.
      inputs: h, what the last layer is applied to.
      targets: as `last_layer_logit_gradients` takes them.
      bias: the layer has one, whose gradient counts: <g_i, g_j> = <r_i, r_j> (<h_i, h_j> + 1).
      loss: as for `last_layer_logit_gradients`.

    Raises:
      InputError: as `last_layer_logit_gradients`; inputs of another number of examples.
    """
    residuals = _residuals(logits, targets, loss)
    inputs = np.asarray(inputs, np.float64)
    check_same_shape(inputs.shape, (len(residuals), *inputs.shape[1:]), "the last layer's inputs")
    check_finite_rows(inputs, "the last layer's inputs")
    if bias:
        inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
    return GradientFactors(residuals, inputs)


def _residuals(logits, targets, loss) -> Float64[np.ndarray, "n C"]:
    check_choice(loss, PROXY_LOSSES, "loss")
    logits = np.asarray(logits, np.float64)
    check_finite_rows(logits, "logits")
    if np.ndim(targets) == 1:
        y = np.eye(logits.shape[1])[check_labels(targets, *logits.shape)]
    else:
        y = np.asarray(targets, np.float64)
        check_same_shape(y.shape, logits.shape, "an array of soft labels")
        check_finite_rows(y, "soft labels")
        if loss == "cross-entropy":
            _check_distributions(y)
    return (softmax(logits, axis=1) if loss == "cross-entropy" else logits) - y


def _check_distributions(y):
    wrong = (y < 0).any(axis=1) | (np.abs(y.sum(axis=1) - 1) > 1e-3)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"soft labels of example {first} sum to {y[first].sum():.4g} with the least at "
            f"{y[first].min():.4g}, expected numbers of at least 0 that sum to 1"
        )
