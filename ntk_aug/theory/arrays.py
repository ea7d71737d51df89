"""Checks of the arrays and numbers that statements are about; everything becomes float64."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float64, Int
from ntk_aug.errors import InputError

ArrayLike = Any
"""Numbers in an array or in nested sequences, of the shape that the docstring says."""

LARGEST = 1e60
"""Fourth powers, and sums of many of them, fit float64."""


def finite_array(values: Any, what: str, shape: Sequence[int | None]) -> np.ndarray:
    """Values as a float64 array of this shape.

    Args:
      values: what was given.
      what: how the message calls it.
      shape: expected lengths of the axes; None is any length of at least 1.

    Raises:
      InputError: another shape, an empty axis, NaN or infinity.
    """
    array = _as_numbers(values, what)
    if np.iscomplexobj(array):
        raise InputError(f"{what} has dtype {array.dtype}, expected real numbers")
    try:
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {type(values).__name__}, expected an array of numbers") from (
            None
        )
    fits = array.ndim == len(shape) and all(
        length > 0 and expected in (None, length)
        for length, expected in zip(array.shape, shape, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(f"{what} has shape {array.shape}, expected ({expected})")
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{what} holds NaN or infinity, first at {first}")
    if np.abs(array).max() > LARGEST:
        raise InputError(
            f"{what} holds {np.abs(array).max():.3g}, expected values up to {LARGEST:g}, whose "
            "powers fit float64"
        )
    return array


def _as_numbers(values, what):
    """Values as an array; raises InputError for nested sequences of different lengths."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {type(values).__name__}, expected an array of numbers") from (
            None
        )


def number_in(
    value: Any,
    what: str,
    lowest: float = -np.inf,
    highest: float = LARGEST,
    *,
    above: bool = False,
) -> float:
    """A number of a closed interval, as a float.

    Args:
      value: what was given.
      what: how the message calls it.
      lowest: end of the interval.
      highest: the other end.
      above: the lowest value itself is excluded.

    Raises:
      InputError: no number, NaN, infinite, or outside; the message names the interval.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {value!r}, expected a number") from None
    inside = lowest <= number <= highest and not (above and number == lowest)
    if not inside or not np.isfinite(number):
        open_ = "(" if above or lowest == -np.inf else "["
        raise InputError(f"{what} is {value}, expected in {open_}{lowest:.6g}, {highest:.6g}]")
    return number


def times_of(times: Any) -> Int[np.ndarray, " T"]:
    """Numbers of steps as an array.

    Raises:
      InputError: none, no integers, negative ones, or not increasing.
    """
    steps = _as_numbers(times, "times")
    whole = steps.ndim == 1 and len(steps) and np.issubdtype(steps.dtype, np.integer)
    if not whole or steps[0] < 0 or (np.diff(steps) <= 0).any():
        raise InputError(f"times are {times}, expected increasing integers of at least 0")
    return steps.astype(np.int64)


class Weighted(NamedTuple):
    """A weighted subset of n examples.

    Attributes:
      indices: the k places.
      gamma: weights of these.
      spread: gamma on all n examples, 0 outside of the subset.
      integer: whether the weights are whole numbers with sum n.
      k_plus: how many weights are above 0.
    """

    indices: Int[np.ndarray, " k"]
    gamma: Float64[np.ndarray, " k"]
    spread: Float64[np.ndarray, " n"]
    integer: bool
    k_plus: int


def weighted_subset(subset: ArrayLike, gamma: ArrayLike | None, n: int) -> Weighted:
    """A subset with its weights, after checking both; without weights (None) they are 0.

    Raises:
      InputError: no or repeated indices, indices outside of 0 .. n - 1, not one weight to an
        index, negative weights.
    """
    indices = _as_numbers(subset, "subset")
    if indices.ndim != 1 or not len(indices) or not np.issubdtype(indices.dtype, np.integer):
        raise InputError(
            f"subset has shape {indices.shape} and dtype {indices.dtype}, expected integers [k]"
        )
    if not 0 <= indices.min() <= indices.max() < n:
        raise InputError(
            f"subset has indices {indices.min()} to {indices.max()}, expected 0 to {n - 1}"
        )
    if len(np.unique(indices)) < len(indices):
        raise InputError("subset holds an index twice, expected each at most once")
    given = np.zeros(len(indices)) if gamma is None else gamma
    weights = finite_array(given, "gamma", (len(indices),))
    if weights.min() < 0:
        raise InputError(f"gamma has a weight {weights.min():g}, expected at least 0")
    spread = np.zeros(n)
    spread[indices] = weights
    whole = bool((weights == np.round(weights)).all() and weights.sum() == n)
    return Weighted(indices.astype(np.int64), weights, spread, whole, int((weights > 0).sum()))


def norm(values: np.ndarray) -> float:
    """The spectral norm of a matrix, the Euclidean one of a vector."""
    return float(np.linalg.norm(values, 2))


def row_norms(values: np.ndarray) -> Float64[np.ndarray, " n"]:
    """The spectral norm of values[i] for each i of [n, ...]."""
    if values.ndim == 2:
        return np.linalg.norm(values, axis=1)
    if values.shape[1] > values.shape[2]:
        values = values.transpose(0, 2, 1)
    gram = values @ values.transpose(0, 2, 1)  # the smaller one
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[:, -1], 0))


def check_eta_above_zero(eta: Any) -> float:
    """A learning rate above 0; raises InputError for anything else."""
    return number_in(eta, "eta", 0, above=True)


def steepest_slope(changes: ArrayLike, distances: ArrayLike) -> float:
    """The largest change per distance; 0 where nothing moves, infinite where only outputs do.

    Args:
      changes: [n], of outputs.
      distances: [n], of inputs.

    Raises:
      InputError: shapes that differ, values that are not finite.
    """
    changes = finite_array(changes, "changes", (None,))
    distances = finite_array(distances, "distances", changes.shape)
    moved = distances > 0
    if changes[~moved].max(initial=0) > 0:
        return np.inf
    return float((changes[moved] / distances[moved]).max(initial=0))
