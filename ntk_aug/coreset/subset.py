"""What a selector returns: some of the examples, and what each stands for."""

import math
from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Int, Labels
from ntk_aug.errors import InputError


class Subset(NamedTuple):
    """The selected ones of n examples, in the order of their selection.

    A selector of your own returns one with its indices, and perhaps weights and gains; `select`
    fills in the weights, gains and labels. Where classes are selected from one by one, the examples
    of class 0 come first.

    Attributes:
      indices: places among the n examples, each at most once.
      weights: gamma_j, how many examples each stands for. They sum to the size of each class, and
        to n in all; those of gradient matching are what it found. Of duplicates, facility location
        gives all to the first. None: n / k each.
      gains: what each added to the selector's objective, or its score; NaN where it has none.
      labels: of each selected example.
      assignment: for each of the n examples, the position in `indices` of its nearest selected one
        (of its class), the lowest on ties. Of facility location, as are the next three.
      objective: F(S) = sum_i max_{j in S} (constant - ||g_i - g_j||), in float64, over all classes.
      constant: at least the largest distance; NaN over several classes, each of which has its own.
      estimate: sum_i min_{j in S} ||g_i - g_j||. It bounds the gradient error down to float64's
        noise floor: distances below a few 1e-7 ||g_i|| count as 0 (see `GradientFactors.noise`), so
        the error may exceed the estimate by as much of sum_i ||g_i||.
      gradient_error: ||sum_i g_i - sum_{j in S} gamma_j g_j||, of selectors that use gradients;
        NaN of the others.
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
