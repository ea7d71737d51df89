"""Gradients by the last layer, as proxies of the whole network's gradients.

With logits f = W' h + b and the residual r = dl/df, the gradient of an example's loss by its logits
is r, by W the outer product of h and r, and by b again r. None needs a backward pass, and the outer
product is never formed: see `GradientFactors`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Targets
from ntk_aug.checks import check_finite_rows, check_same_shape
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.losses import check_targets, loss_residuals

PROXIES = {
    "last-layer-logit": "by the logits: softmax(f) - y, or f - y for the squared loss",
    "last-layer-weight": "by the last dense layer's kernel, and by its bias where it has one",
    "last-layer-weight-without-bias": "by the last dense layer's kernel alone",
    "network": "by all parameters of the network, whole: 8 n P bytes",
    "network-projected": "by all parameters, in a random projection that keeps inner products",
}


def last_layer_logit_gradients(
    logits: Float[Array, "n C"], targets: Targets, *, loss: str = "cross-entropy"
) -> GradientFactors:
    """The gradient of each example's loss by its logits, in float64.

    Args:
      logits: f, of the network in evaluation mode.
      targets: y: classes [n], or soft labels [n, C].
      loss: "cross-entropy", with gradient softmax(f) - y; or "squared", with gradient f - y.

    Raises:
      InputError: an unknown loss; logits that are not finite; as `losses.check_targets`.

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

    The inputs h are those of the last layer; if it has a bias, <g_i, g_j> = <r_i, r_j> (<h_i, h_j>
    + 1). Other arguments and errors are those of `last_layer_logit_gradients`.
    """
    residuals = _residuals(logits, targets, loss)
    inputs = np.asarray(inputs, np.float64)
    check_same_shape(inputs.shape, (len(residuals), *inputs.shape[1:]), "the last layer's inputs")
    return layer_gradients(residuals, inputs, bias=bias)


def layer_gradients(
    cotangents: Float64[np.ndarray, "n C"], inputs: Float64[np.ndarray, "n d"], *, bias: bool
) -> GradientFactors:
    """The gradients by a dense layer's kernel and bias, from the cotangents of its outputs."""
    check_finite_rows(inputs, "the last layer's inputs")
    check_finite_rows(cotangents, "the last layer's gradients")
    if bias:
        inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
    return GradientFactors(cotangents, inputs)


def _residuals(logits, targets, loss) -> Float64[np.ndarray, "n C"]:
    residuals = loss_residuals(loss)
    logits = np.asarray(logits)
    check_finite_rows(logits, "logits")
    targets = check_targets(targets, len(logits), logits.shape[1], loss)
    with jax.enable_x64(True):
        return np.asarray(residuals(jnp.asarray(logits, jnp.float64), targets))
