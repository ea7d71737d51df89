"""A selected subset, with weights and the quantities that the selector computed."""

import math
from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Int, Labels
from ntk_aug.errors import InputError


class Subset(NamedTuple):
    """The selected ones of n examples, in the order of selection.

    Your own selector returns one with indices, and perhaps weights and gains; `select` fills in the
    rest. If each class is selected from, the examples of class 0 come first.

    Attributes:
      indices: positions among the n examples, each at most once.
      weights: gamma_j, the number of examples that each represents. They sum to the size of each
        class, except those of gradient matching. For facility location, the first of duplicates
        gets all. None: n / k each.
      gains: the increase of the selector's objective by each, or its score; NaN if there is none.
      labels: of each selected example.
      assignment: for each of the n examples, the position in `indices` of its nearest selected one
        (of its class), the lowest on ties. This and the next three are of facility location.
      objective: F(S) = sum_i max_{j in S} (constant - ||g_i - g_j||), in float64, over all classes.
      constant: at least the largest distance; NaN over several classes, each of which has its own.
      estimate: sum_i min_{j in S} ||g_i - g_j||, a bound on the gradient error down to float64's
        noise: distances below a few 1e-7 ||g_i|| count as 0 (see `GradientFactors.noise`).
      gradient_error: ||sum_i g_i - sum_{j in S} gamma_j g_j||, for selectors that use gradients;
        otherwise NaN.
    """

    indices: Int[np.ndarray, " k"]
    weights: Float64[np.ndarray, " k"] | None = None
    gains: Float64[np.ndarray, " k"] | None = None
    labels: Int[np.ndarray, " k"] | None = None
    assignment: Int[np.ndarray, " n"] | None = None
    objective: float = math.nan
    constant: float = math.nan
    estimate: float = math.nan
    gradient_error: float = math.nan


def places_by_class(labels: Labels, num_classes: int) -> list[Int[np.ndarray, " own"]]:
    """The positions of the examples of each class, in increasing order, for labels [n]."""
    ends = np.cumsum(np.bincount(labels, minlength=num_classes))
    return np.split(np.argsort(labels, kind="stable"), ends[:-1])


def mean_one_weights(weights: Float[Array, " k"] | Int[Array, " k"]) -> Float64[np.ndarray, " k"]:
    """Scales weights to mean 1, for the loss of a training step.

    A step on a weighted subset is then about as long as one on as many plain examples.

    Raises:
      InputError: weights that are negative or not finite, or all 0.
    """
    weights = np.asarray(weights, np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all() or (len(weights) and not weights.any()):
        raise InputError(
            f"weights are {weights.min():g} to {weights.max():g}, expected numbers of at least 0, "
            "not all of them 0"
        )
    return weights * (len(weights) / weights.sum()) if len(weights) else weights
