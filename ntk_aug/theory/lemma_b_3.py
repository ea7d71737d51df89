"""Lemma B.3, Eq. (60)-(65): what a coreset's gradient says about its Jacobian's singular values."""

from collections.abc import Collection
from typing import Any

import numpy as np

from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import ArrayLike, finite_array, norm, number_in, weighted_subset
from ntk_aug.theory.sides import Assumptions, Bound, Sides


def lemma_b_3(
    J: ArrayLike,
    r: ArrayLike,
    subset: ArrayLike,
    gamma: ArrayLike,
    *,
    xi: float | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """sqrt(sum_i lambda_i) >= | ||J'r|| - xi | / ||r_S||, lambda_i of the coreset's NTK. FALSE.

    Weights vanish at (63), and the absolute value at (65) is allowed only if xi is the error
    itself. Corrected, with num = max(0, ||J'r|| - xi):
        sqrt(sum_i lambda_i) >= num / ||Gamma r_S||.
    `further`: "a" is sigma_1(Gamma J_S) >= num / ||r_S||, "b" is sigma_1(sqrt(Gamma) J_S) >=
    num / ||sqrt(Gamma) r_S||, "c" is sigma_1(J_S) >= num / ||Gamma r_S||, and "c, max" the weaker
    num / (max gamma ||r_S||). All are about the largest singular value; nothing follows for the
    small ones. So "the coreset's Jacobian has large singular values" means at least one.

    Args:
      J: [n, C, P], Jacobians of all examples.
      r: [n, C], residuals.
      subset: [k], places of the coreset.
      gamma: [k], its weights.
      xi: bound of the coreset's error ||J'r - J_S'Gamma r_S||; None takes that error.
      drop: see `Assumptions`; "xi".

    Raises:
      InputError: shapes that do not fit, values that are not finite; residuals of the coreset, or
        their weighted ones, that are all 0.
      AssumptionError: xi is below the error.
    """
    J = finite_array(J, "J", (None, None, None))
    r = finite_array(r, "r", J.shape[:2])
    chosen = weighted_subset(subset, gamma, len(J))
    rows = J[chosen.indices].reshape(-1, J.shape[-1])
    r_S = r[chosen.indices].ravel()
    weights = np.repeat(chosen.gamma, J.shape[1])
    if not np.linalg.norm(weights * r_S) > 0:
        raise InputError(
            "all residuals of the coreset are 0, or all their weights: nothing follows"
        )
    gradients = np.einsum("icp,ic->ip", J, r)
    full = norm(gradients.sum(axis=0))
    size = float(np.linalg.norm(gradients, axis=1).sum())
    error = norm(gradients.sum(axis=0) - rows.T @ (weights * r_S))
    assumptions = Assumptions(drop)
    if xi is None:
        xi = error
    else:
        xi = number_in(xi, "xi", 0)
        assumptions.check("xi", "bound of the coreset's error", xi, ">=", error - 1e-12 * size)
    exact = xi if abs(xi - error) <= 1e-12 * size else error
    assumptions.check(
        "xi exact", "xi, equal to the error (65)", xi, "==", exact, silent=True, tolerance=1e-9
    )
    num = max(0.0, full - xi)
    top = float(np.linalg.norm(rows, 2))
    root = np.sqrt(weights)
    options: dict[str, Any] = {
        "tolerance": 1e-10,
        "scale": float(np.linalg.norm(rows)) * max(1, weights.max()),
    }
    return Sides(
        "B.3",
        float(np.linalg.norm(rows)),
        abs(full - xi) / norm(r_S),
        num / norm(weights * r_S),
        relation=">=",
        further={
            "a": Bound(norm(weights[:, None] * rows), num / norm(r_S), ">=", **options),
            "b": Bound(norm(root[:, None] * rows), num / norm(root * r_S), ">=", **options),
            "c": Bound(top, num / norm(weights * r_S), ">=", **options),
            "c, max": Bound(top, num / (weights.max() * norm(r_S)), ">=", **options),
        },
        assumptions=assumptions.finish(),
        constants={"||J'r||": full, "xi": xi, "max gamma": weights.max()},
        **options,
    )
