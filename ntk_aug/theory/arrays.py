"""Checks of the arrays and numbers that statements take, and norms; everything is float64."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float64, Int
from ntk_aug.errors import InputError

ArrayLike = Any
"""Numbers in an array or in nested sequences; the docstring states the shape."""

LARGEST = 1e60
"""Largest absolute value: sums of fourth powers still fit float64."""


def finite_array(values: Any, what: str, shape: Sequence[int | None]) -> np.ndarray:
    """Converts values to a float64 array and checks its shape, in which None fits any length >= 1.

    Raises InputError if the shape differs, an axis is empty, or a value is complex, NaN, infinite
    or larger than `LARGEST`. The message calls the values `what`.
    """
    array = _as_array(values, what, real=True)
    if np.iscomplexobj(array):
        raise InputError(f"{what} has dtype {array.dtype}, expected real numbers")
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


def _as_array(values, what, *, real=False):
    """An array; of float64 with `real`, unless the values are complex."""
    try:
        array = np.asarray(values)
        return array.astype(np.float64) if real and not np.iscomplexobj(array) else array
    except (TypeError, ValueError):
        raise InputError(f"{what} is {type(values).__name__}, expected an array of numbers") from (
            None
        )


def jacobian_pair(J: Any, E: Any, *, wide: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Checks J and E = J~ - J, two matrices [N, P] of one shape; `wide` asks for N <= P."""
    J = finite_array(J, "J", (None, None))
    E = finite_array(E, "E", J.shape)
    if wide and J.shape[0] > J.shape[1]:
        raise InputError(f"J has shape {J.shape}, expected no more rows than columns")
    return J, E


def number_in(
    value: Any, what: str, lowest: float = -np.inf, highest: float = LARGEST, *, above: bool = False
) -> float:
    """Converts a value to a float and checks that it is in [lowest, highest].

    `above` excludes `lowest` itself. Raises InputError, whose message names the interval, for
    anything else; the message calls the value `what`.
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
    """Converts step counts to an array; raises InputError unless they are increasing integers."""
    steps = _as_array(times, "times")
    whole = steps.ndim == 1 and len(steps) and np.issubdtype(steps.dtype, np.integer)
    if not whole or steps[0] < 0 or (np.diff(steps) <= 0).any():
        raise InputError(f"times are {times}, expected increasing integers of at least 0")
    return steps.astype(np.int64)


def descending_values(sigma: Any) -> Float64[np.ndarray, " N"]:
    """Checks singular values [N]; raises InputError unless they are >= 0 and descending."""
    sigma = finite_array(sigma, "sigma", (None,))
    if sigma.min() < 0 or (np.diff(sigma) > 0).any():
        raise InputError("sigma must be at least 0 and descending")
    return sigma


class Weighted(NamedTuple):
    """A weighted subset of n examples.

    Attributes:
      indices: indices of the k examples.
      gamma: their weights.
      spread: weights of all n examples, 0 outside the subset.
      k_plus: number of positive weights.
    """

    indices: Int[np.ndarray, " k"]
    gamma: Float64[np.ndarray, " k"]
    spread: Float64[np.ndarray, " n"]
    k_plus: int


def weighted_subset(subset: ArrayLike, gamma: ArrayLike | None, n: int) -> Weighted:
    """Checks a subset and its weights; None stands for weights of 0.

    Raises InputError if the indices are empty, repeated or outside 0 .. n - 1, or there is not one
    weight >= 0 per index.
    """
    indices = _as_array(subset, "subset")
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
    return Weighted(indices.astype(np.int64), weights, spread, int((weights > 0).sum()))


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


def steepest_slope(changes: ArrayLike, distances: ArrayLike) -> float:
    """The largest change [n] of an output per distance [n] of its inputs.

    It is 0 if no input moves, and infinite if an output changes while its input does not.
    """
    changes = finite_array(changes, "changes", (None,))
    distances = finite_array(distances, "distances", changes.shape)
    moved = distances > 0
    if changes[~moved].max(initial=0) > 0:
        return np.inf
    return float((changes[moved] / distances[moved]).max(initial=0))
