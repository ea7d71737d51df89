"""The loss of each example and its gradient with respect to the outputs, for labels or soft labels.

For outputs f and targets y (a label is its one-hot vector), the cross-entropy is -sum_c y_c log
softmax(f)_c with gradient softmax(f) - y, and the squared loss is ||f - y||^2 / 2 with gradient f -
y.

Where the network is confident, the largest probability p_m rounds to 1 and p_m - 1 would be noise.
So 1 - p_m is the sum of the other probabilities, and log p_m comes from `log1p`. Values and
derivatives then keep the relative precision of the outputs' dtype. Only ordinary JAX operations are
used, so derivatives of any order and mode work.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Int
from ntk_aug.checks import check_choice, check_finite_rows, check_labels, check_same_shape
from ntk_aug.errors import InputError

LOSSES = {
    "cross-entropy": "-sum_c y_c log softmax(f)_c",
    "squared": "||f - y||^2 / 2",
}


def per_example_loss(
    loss: str,
) -> Callable[[Float[Array, "*batch C"], Array], Float[Array, "*batch"]]:
    """Returns the function (outputs [..., C], targets) -> losses [...], to be traced by JAX.

    Targets are labels [...], or soft labels [..., C]. Raises InputError unless `loss` is in
    `LOSSES`.
    """
    return _FUNCTIONS[check_choice(loss, LOSSES, "loss")][0]


def loss_residuals(
    loss: str,
) -> Callable[[Float[Array, "*batch C"], Array], Float[Array, "*batch C"]]:
    """The gradient of `per_example_loss` by the outputs: (outputs, targets) -> [..., C]."""
    return _FUNCTIONS[check_choice(loss, LOSSES, "loss")][1]


def probabilities(outputs: Float[Array, "*batch C"]) -> Float[Array, "*batch C"]:
    """softmax(f), to be traced by JAX; derivatives keep relative precision near 0 and 1."""
    outputs = jnp.asarray(outputs)
    largest, below, others = _against_the_largest(outputs)
    return jnp.where(largest, 1, jnp.exp(below)) / (1 + others)


def _against_the_largest(outputs):
    """Compares outputs with the largest one, f_m (the first, if several are equal).

    Returns:
      Which entry is m; f - f_m, with a constant 0 for m; and sum_{j != m} exp(f_j - f_m) [..., 1].
    """
    num_outputs = outputs.shape[-1]
    largest = jax.nn.one_hot(jnp.argmax(outputs, axis=-1), num_outputs, dtype=bool)
    at_largest = jnp.sum(jnp.where(largest, outputs, 0), axis=-1, keepdims=True)
    below = jnp.where(largest, 0, outputs - at_largest)
    return largest, below, _sum(jnp.where(largest, 0, jnp.exp(below)))


def _sum(values):
    return jnp.sum(values, axis=-1, keepdims=True)


def _one_hot(outputs, targets):
    """Targets [..., C] in the outputs' dtype; labels [...] become one-hot."""
    if jnp.ndim(targets) == jnp.ndim(outputs):
        return jnp.asarray(targets, outputs.dtype)
    return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)


def _cross_entropy(outputs, targets):
    outputs = jnp.asarray(outputs)
    y = _one_hot(outputs, targets)
    _, below, others = _against_the_largest(outputs)
    # An output of -inf costs nothing where its target is 0.
    below = jnp.where((y == 0) & jnp.isneginf(below), 0, below)
    return jnp.sum(y * (jnp.log1p(others) - below), axis=-1)


def _cross_entropy_residuals(outputs, targets):
    outputs = jnp.asarray(outputs)
    y, p = _one_hot(outputs, targets), probabilities(outputs)
    largest, _, others = _against_the_largest(outputs)
    not_p = jnp.where(largest, others / (1 + others), 1 - p)
    # With s = sum_c y_c, s p - y: two parts of one sign each, one of them 0 for a label.
    return p * _sum_of_the_others(y) - y * not_p


def _sum_of_the_others(y):
    """sum_{j != c} y_j for each c; y may be all but 1 in one entry."""
    largest = jax.nn.one_hot(jnp.argmax(y, axis=-1), y.shape[-1], dtype=bool)
    return jnp.where(largest, _sum(jnp.where(largest, 0, y)), _sum(y) - y)


def _squared(outputs, targets):
    return jnp.sum(jnp.square(_squared_residuals(outputs, targets)), axis=-1) / 2


def _squared_residuals(outputs, targets):
    return outputs - _one_hot(outputs, targets)


_FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "cross-entropy": (_cross_entropy, _cross_entropy_residuals),
    "squared": (_squared, _squared_residuals),
}


def check_targets(
    targets: Any, n: int, num_classes: int, loss: str
) -> Int[np.ndarray, " n"] | Float[np.ndarray, "n C"]:
    """Returns labels as int32 [n], or soft labels [n, num_classes] as given.

    Raises:
      InputError: labels out of range; soft labels of another shape or not finite; for the
        cross-entropy, soft labels that are negative or do not sum to 1.
    """
    if np.ndim(targets) != 2:
        return check_labels(targets, n, num_classes)
    y = np.asarray(targets)
    check_same_shape(y.shape, (n, num_classes), "an array of soft labels")
    if not np.issubdtype(y.dtype, np.floating):
        raise InputError(f"soft labels have dtype {y.dtype}, expected floating point")
    check_finite_rows(y, "soft labels")
    if loss == "cross-entropy":
        sums = y.sum(axis=1, dtype=np.float64)
        wrong = (y < 0).any(axis=1) | (np.abs(sums - 1) > 1e-3)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise InputError(
                f"soft labels of example {first} sum to {sums[first]:.4g} with the least at "
                f"{y[first].min():.4g}, expected numbers of at least 0 that sum to 1"
            )
    return y
