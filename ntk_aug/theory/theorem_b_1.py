"""Theorem B.1, Eq. (45)-(51): the training error of gradient descent on augmented data.

Silent assumptions: nC <= P, the squared loss, f(., W^0) = 0 (otherwise y is y - f(X_aug, W^0)),
||y||^2 <= n, in-place augmentation, gap0 > 0. If the network is linear in its parameters, the
residual r_t = (I - eta K~)^t y is exact.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import (
    LARGEST,
    ArrayLike,
    descending_values,
    finite_array,
    jacobian_pair,
    norm,
    number_in,
    times_of,
)
from ntk_aug.theory.gradient_descent import (
    chord_factors,
    deterministic_bounds,
    exact_factors,
    mean_error,
    slack_terms,
    training_errors,
)
from ntk_aug.theory.perturbation import nearest_gaps
from ntk_aug.theory.sides import Assumptions, Bound, Sides

MAX_RANDOM_ROWS = 3
"""Largest number of non-zero targets: each is a dimension of the exact quadrature."""


def theorem_b_1(
    sigma: ArrayLike, e: float, p: ArrayLike, y: ArrayLike, *, eta: float, times: ArrayLike
) -> Sides:
    """Theorem B.1: E ||y - f(X_aug, W^t)|| in the model of Lemma 4.1, with fixed u_i. FALSE.

    Printed: sqrt(sum_i (1 - eta lbar_i)^(2t) ((u_i'y)^2 + 2 n sqrt2 e / gap0)), with
    lbar_i = E lambda~_i. Jensen's inequality is reversed from (49) to (50): x -> (1 - eta x)^(2t)
    is convex, so the mean of powers exceeds the power of the mean. The printed form fails for all
    large t, exponentially; its slack does not help, because the small factor multiplies it.

    Corrected (a), exact in the model, with c_i = min(||y||^2, (u_i'y)^2 + 2 sqrt2 ||y||^2 e/gap_i)
    and M_i = E (1 - eta lambda~_i)^(2t):  sqrt(sum_i M_i c_i). `further` has upper bounds of it:
      "b": M_i by the chord of the convex function, for any law with this mean on
        [max(sigma_i - e, 0)^2, (sigma_i + e)^2];
      "c": (1 - eta max(sigma_i - e, 0)^2)^(2t), without any law;
      "d": without gaps: ||(I - eta K)^t y|| + t eta (2 sigma_1 e + e^2) ||y||
        (1 - eta max(sigma_N - e, 0)^2)^(t - 1).
    (c) and (d) are computed only for eta <= 1 / (sigma_1 + e)^2, which they need. "order" is the
    chain Jensen <= (a) <= (b) <= (c) for every factor.

    The left side integrates sqrt(sum_i (1 - eta lambda~_i)^(2t) y_i^2) over independent delta_i by
    Gauss-Legendre quadrature, split where a factor vanishes.

    Args:
      sigma: [N], singular values, descending.
      e: half-width of the law.
      p: [N], probabilities of a decrease, or one number for all.
      y: [N], u_i'y, of which at most `MAX_RANDOM_ROWS` are not 0.
      eta: learning rate, above 0.
      times: [T], step counts, increasing.

    Raises:
      InputError: a value is not finite or out of range, or the quadrature or gradient descent is
        beyond float64 or memory.
    """
    sigma = descending_values(sigma)
    N = len(sigma)
    e = number_in(e, "e (half-width of the law)", 0)
    single = not isinstance(p, list | tuple) and np.ndim(p) == 0
    p = finite_array(np.full(N, p) if single else p, "p", (N,))
    if not 0 <= p.min() <= p.max() <= 1:
        raise InputError(f"p ranges from {p.min():g} to {p.max():g}, expected in [0, 1]")
    y = finite_array(y, "y", (N,))
    if (y != 0).sum() > MAX_RANDOM_ROWS:
        raise InputError(
            f"y has {(y != 0).sum()} values that are not 0, expected at most {MAX_RANDOM_ROWS}"
        )
    eta, times = number_in(eta, "eta", 0, above=True), times_of(times)
    squared, gaps = float(y @ y), nearest_gaps(sigma, sigma)
    assumptions = Assumptions()
    assumptions.check("targets", "||y||^2, at most n", squared, "<=", N, silent=True)
    assumptions.check("gap0", "gap0", gaps.min(), ">=", 1e-12 * sigma[0], silent=True)
    assumptions.check("sigma >= e", "sigma_N", sigma[-1], ">=", e, silent=True)
    with np.errstate(divide="ignore", over="ignore"):
        largest = float(1 / np.square(sigma[0] + e))
    assumptions.check("eta", "eta of (c), (d)", eta, "<=", largest, silent=True)
    mean = sigma**2 + sigma * (1 - 2 * p) * e + e**2 / 3
    c = slack_terms(y, squared, e, gaps)
    _check_growth(eta, sigma[0] + e, times)
    jensen = np.abs(1 - eta * mean)[None] ** (2 * times[:, None])
    factors = np.array([exact_factors(sigma, e, p, eta, t) for t in times])
    chords = np.array([chord_factors(sigma, e, mean, eta, t) for t in times])
    lhs = np.array([mean_error(sigma, e, p, y, eta, int(t)) for t in times])
    options: dict[str, Any] = {"tolerance": 1e-9, "scale": 1e-6 * np.sqrt(squared)}
    further = {"b": Bound(lhs, np.sqrt(chords @ c), **options)}
    order = [Bound(jensen, factors, tolerance=1e-9), Bound(factors, chords, tolerance=1e-9)]
    if eta <= largest:
        moved = deterministic_bounds(sigma, y, e, eta, times, N)
        slowest = (1 - eta * np.maximum(sigma - e, 0) ** 2)[None] ** (2 * times[:, None])
        order.append(Bound(chords, slowest, tolerance=1e-9))
        further |= {name: Bound(lhs, bound, **options) for name, bound in moved.items()}
    further["order"] = Bound(
        np.stack([np.asarray(b.lhs) for b in order]),
        np.stack([np.asarray(b.rhs) for b in order]),
        tolerance=1e-9,
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # gap0 of 0
        slack = 2 * N * np.sqrt(2) * e / gaps.min() if e else 0.0
        printed = np.where(jensen > 0, jensen * (y**2 + slack), 0.0)
    return Sides(
        "B.1",
        lhs,
        np.sqrt(printed.sum(axis=1)),
        np.sqrt(factors @ c),
        further=further,
        assumptions=assumptions.finish(),
        constants={"e": e, "gap0": gaps.min(), "eta": eta, "||y||^2": squared, "n": N},
        **options,
    )


def theorem_b_1_deterministic(
    J: ArrayLike,
    E: ArrayLike,
    y: ArrayLike,
    *,
    times: ArrayLike,
    eta: float | None = None,
    e: float | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """Bounds (c) and (d) of `theorem_b_1` for ||(I - eta K~)^t y|| of one augmentation.

    `corrected` is (c) and `further` has "d". `printed` is None: the paper bounds a mean.

    Args:
      J: [N, P], N <= P.
      E: [N, P], J~ - J.
      y: [N], targets minus initial outputs on the augmented examples.
      times: [T], step counts, increasing.
      eta: learning rate, in (0, 1 / (sigma_1 + e)^2]; defaults to the largest.
      e: upper bound of ||E||; defaults to ||E||.
      drop: see `Assumptions`; "eta" and "e".

    Raises:
      InputError: the shapes do not match, or a value is not finite or out of range.
      AssumptionError: eta is too large (the message names the interval), or e is below ||E||.
    """
    J, E = jacobian_pair(J, E, wide=True)
    N = len(J)
    y, times = finite_array(y, "y", (N,)), times_of(times)
    U, sigma, _ = np.linalg.svd(J, full_matrices=False)
    exact = norm(E)
    assumptions = Assumptions(drop)
    e = assumptions.stated("e", "bound of ||E||", e, exact)
    if not sigma[0] + e > 1 / LARGEST:
        raise InputError(
            f"sigma_1 + e is {sigma[0] + e:.3g}, expected above {1 / LARGEST:g}: J and E are 0"
        )
    limit = 1 / (sigma[0] + e) ** 2
    eta = limit if eta is None else number_in(eta, "eta", 0, above=True)
    assumptions.check("eta", f"eta in (0, {limit:.6g}]", eta, "<=", limit)
    _check_growth(eta, max(sigma[0] + e, sigma[0] + exact), times)
    bounds = deterministic_bounds(sigma, U.T @ y, e, eta, times, N)
    lhs = training_errors(J + E, y, eta, times)
    options: dict[str, Any] = {"tolerance": 1e-10, "scale": 1e-6 * norm(y)}
    return Sides(
        "B.1",
        lhs,
        None,
        bounds["c"],
        further={"d": Bound(lhs, bounds["d"], **options)},
        assumptions=assumptions.finish(),
        constants={"e": e, "gap0": nearest_gaps(sigma, sigma).min(), "eta": eta},
        **options,
    )


def _check_growth(eta, largest, times):
    """Raises InputError if (1 - eta s^2)^(2t) exceeds float64 for an s up to the largest."""
    growth = np.log(max(abs(1 - eta * largest**2), 1))
    if 2 * times[-1] * growth > np.log(1e280):
        raise InputError(
            f"eta is {eta:.6g} and times reach {times[-1]}: gradient descent diverges beyond "
            f"float64, expected eta of at most {2 / largest**2:.6g} or fewer steps"
        )
