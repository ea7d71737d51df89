"""Errors of gradient descent, and the terms in the bounds of Theorem B.1."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from ntk_aug.aliases import Float, Float64
from ntk_aug.errors import InputError
from ntk_aug.theory.perturbation import nearest_gaps

MAX_NODES = 2**26
"""Largest number of quadrature nodes over all rows; they take half a gigabyte."""


def training_errors(
    J: Float[np.ndarray, "N P"], y: Float[np.ndarray, " N"], eta: float, times: Any
) -> Float64[np.ndarray, " T"]:
    """||(I - eta J J')^t y|| at each time, from the eigenvectors of J J'."""
    values, U = np.linalg.eigh(J @ J.T)
    factors = np.abs(1 - eta * values)[None] ** np.asarray(times)[:, None]
    return np.linalg.norm(factors * (U.T @ y), axis=1)


def deterministic_bounds(
    sigma: Float[np.ndarray, " N"],
    y: Float[np.ndarray, " N"],
    e: float,
    eta: float,
    times: Any,
    num_rows: int,
) -> dict[str, Float64[np.ndarray, " T"]]:
    """Bounds (c) and (d) of `theorem_b_1` at each time, for eta <= 1 / (sigma_1 + e)^2.

    `y` are the coefficients u_i'y, `e` is an upper bound of ||E||, and `num_rows` is N, at most the
    number of singular values.
    """
    t = np.asarray(times)[:, None]
    squared = float(y @ y)
    lowest = np.maximum(sigma - e, 0) ** 2
    terms = slack_terms(y, squared, e, nearest_gaps(sigma, sigma))
    c = np.sqrt(np.abs(1 - eta * lowest)[None] ** (2 * t) @ terms)
    plain = np.linalg.norm((1 - eta * sigma**2)[None] ** t * y, axis=1)
    steps = t[:, 0]
    drift = steps * eta * (2 * sigma[0] * e + e**2) * np.sqrt(squared)
    d = plain + drift * np.abs(1 - eta * lowest[num_rows - 1]) ** np.maximum(steps - 1, 0)
    return {"c": c, "d": d}


def slack_terms(
    y: Float[np.ndarray, " N"], squared: float, e: float, gaps: Float[np.ndarray, " N"]
) -> Float64[np.ndarray, " N"]:
    """c_i = min(||y||^2, (u_i'y)^2 + 2 sqrt2 ||y||^2 e / gap_i), an upper bound of (u~_i'y)^2."""
    if e == 0:
        return y**2
    with np.errstate(divide="ignore"):
        return np.minimum(squared, y**2 + 2 * np.sqrt(2) * squared * e / gaps)


def exact_factors(
    sigma: Float[np.ndarray, " N"], e: float, p: Float[np.ndarray, " N"], eta: float, t: Any
) -> Float64[np.ndarray, " N"]:
    """M_i = E (1 - eta lambda~_i)^(2t), of degree 4t in sigma~, so 2t + 1 nodes are exact.

    All terms are non-negative, so none cancel. The integrand is even in sigma~, so this also holds
    for sigma_i < e.
    """
    nodes, weights = np.polynomial.legendre.leggauss(2 * int(t) + 1)
    total = np.zeros(len(sigma))
    for sign, share in ((-1, p), (1, 1 - p)):
        s = sigma[:, None] + sign * e / 2 * (1 + nodes)
        total += share * (np.abs(1 - eta * s**2) ** (2 * int(t)) @ weights) / 2
    return total


def chord_factors(
    sigma: Float[np.ndarray, " N"], e: float, mean: Float[np.ndarray, " N"], eta: float, t: Any
) -> Float64[np.ndarray, " N"]:
    """The largest E (1 - eta x)^(2t) over all laws with this mean on the interval of lambda~."""
    lowest, highest = np.maximum(sigma - e, 0) ** 2, (sigma + e) ** 2
    ends = [np.abs(1 - eta * end) ** (2 * int(t)) for end in (lowest, highest)]
    width = highest - lowest
    share = np.divide(mean - lowest, width, out=np.zeros_like(width), where=width > 0)
    share = np.clip(share, 0, 1)
    return (1 - share) * ends[0] + share * ends[1]


def mean_error(
    sigma: Float[np.ndarray, " N"],
    e: float,
    p: Float[np.ndarray, " N"],
    y: Float[np.ndarray, " N"],
    eta: float,
    t: int,
) -> float:
    """E sqrt(sum_i (1 - eta lambda~_i)^(2t) y_i^2) over independent delta_i, by quadrature.

    Raises InputError if that takes more than `MAX_NODES` nodes.
    """
    squares, weights = np.zeros(1), np.ones(1)
    for i in np.flatnonzero(y):
        s, own = map(np.concatenate, zip(*_pieces(sigma[i], e, p[i], eta, t), strict=True))
        if len(s) * len(squares) > MAX_NODES:
            raise InputError(
                f"{(y != 0).sum()} rows with a target and {t} steps need more than {MAX_NODES} "
                "nodes, expected fewer of either"
            )
        values = np.abs(1 - eta * s**2) ** (2 * t) * y[i] ** 2
        squares = np.add.outer(squares, values).ravel()
        weights = np.multiply.outer(weights, own).ravel()
    return float(np.sqrt(squares) @ weights)


def _pieces(sigma, e, p, eta, t) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Nodes and weights for the law of sigma~, cut at the zeros of 1 - eta s^2 and of s.

    Cuts are computed in units of e, so a narrow law keeps its precision.
    """
    if e == 0:
        yield np.array([sigma]), np.ones(1)
        return
    nodes, weights = np.polynomial.legendre.leggauss(t + 12)
    zeros = np.array([-1 / np.sqrt(eta), 0.0, 1 / np.sqrt(eta)])
    with np.errstate(over="ignore"):
        zeros = (zeros - sigma) / e
    for low, high, share in ((-1.0, 0.0, p), (0.0, 1.0, 1 - p)):
        cuts = [low, *(z for z in zeros if low < z < high), high]
        for a, b in pairwise(cuts):
            middle, half = (a + b) / 2, (b - a) / 2
            yield sigma + e * (middle + half * nodes), share * half * weights
