"""The loss of each example, and its gradient by the network's outputs, for labels and soft labels.

With outputs f and targets y, which of a label are the one-hot vector: the cross-entropy is
-sum_c y_c log softmax(f)_c, with gradient softmax(f) - y; the squared loss ||f - y||^2 / 2, with
gradient f - y.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ntk_aug.aliases import Array, Float, Int
from ntk_aug.checks import (
    InputError,
    check_choice,
    check_finite_rows,
    check_labels,
    check_same_shape,
)

LOSSES = {
    "cross-entropy": "-sum_c y_c log softmax(f)_c",
    "squared": "||f - y||^2 / 2",
}


def per_example_loss(
    loss: str,
) -> Callable[[Float[Array, "*batch C"], Array], Float[Array, "*batch"]]:
    """The function (outputs [..., C], targets) -> losses [...], to be traced by JAX.

    Targets are labels [...], or soft labels [..., C].

    Raises:
      InputError: `loss` is not a key of `LOSSES`.
    """
    return _FUNCTIONS[check_choice(loss, LOSSES, "loss")][0]


def loss_residuals(
    loss: str,
) -> Callable[[Float[Array, "*batch C"], Array], Float[Array, "*batch C"]]:
    """The gradient of `per_example_loss` by the outputs: (outputs, targets) -> [..., C].

    Raises:
      InputError: `loss` is not a key of `LOSSES`.
    """
    return _FUNCTIONS[check_choice(loss, LOSSES, "loss")][1]


def _one_hot(outputs, targets):
    """Targets [..., C] in the outputs' precision, of labels [...] too."""
    if jnp.ndim(targets) == jnp.ndim(outputs):
        return jnp.asarray(targets, outputs.dtype)
    return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)


def _cross_entropy(outputs, targets):
    if jnp.ndim(targets) == jnp.ndim(outputs):
        return optax.softmax_cross_entropy(outputs, _one_hot(outputs, targets))
    return optax.softmax_cross_entropy_with_integer_labels(outputs, targets)


def _cross_entropy_residuals(outputs, targets):
    return jax.nn.softmax(outputs) - _one_hot(outputs, targets)


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
    """Returns targets as labels, int32 [n], or as soft labels, [n, num_classes] as given.

    Raises:
      InputError: labels out of range; soft labels of another shape, or that are not finite, or
        that for the cross-entropy are negative or do not sum to 1.
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
