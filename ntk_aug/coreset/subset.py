"""What a selector returns: some of the examples, and what each stands for."""

from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Int, Labels
from ntk_aug.errors import InputError


class Subset(NamedTuple):
    """The selected ones of n examples, in the order of their selection.

    Attributes:
      indices: [k], each at most once.
      weights: [k], how many examples each stands for. None: n / k each.
      gains: [k], what each added to the selector's objective, or its score. None: it has none.
    """

    indices: Int[np.ndarray, " k"]
    weights: Float64[np.ndarray, " k"] | None = None
    gains: Float64[np.ndarray, " k"] | None = None


def places_by_class(labels: Labels, num_classes: int) -> list[Int[np.ndarray, " own"]]:
    """The places of the examples of each class, in their order: labels are looked at once for all.

    Args:
      labels: [n], each in 0 .. num_classes - 1.
      num_classes: how many.
    """
    ends = np.cumsum(np.bincount(labels, minlength=num_classes))
    return np.split(np.argsort(labels, kind="stable"), ends[:-1])


def mean_one_weights(weights: Float[Array, " k"] | Int[Array, " k"]) -> Float64[np.ndarray, " k"]:
    """Weights times the factor that makes their mean 1, for the loss of a training step.

    The step on a weighted subset is then about as long as one on as many plain examples.

    Raises:
      InputError: weights that are negative or not finite, or of which none is positive.
    """
    weights = np.asarray(weights, np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all() or (len(weights) and not weights.any()):
        raise InputError(
            f"weights are {weights.min():g} to {weights.max():g}, expected numbers of at least 0, "
            "not all of them 0"
        )
    return weights * (len(weights) / weights.sum()) if len(weights) else weights
