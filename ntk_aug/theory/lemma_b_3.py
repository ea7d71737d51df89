"""Lemma B.3, Eq. (60)-(65): a coreset's gradient bounds singular values of its Jacobian."""

from collections.abc import Collection
from typing import Any

import numpy as np

from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import ArrayLike, finite_array, norm, weighted_subset
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
    """Lemma B.3: sqrt(sum_i lambda_i) >= | ||J'r|| - xi | / ||r_S|| for the coreset's NTK. FALSE.

    Weights are dropped at (63), and the absolute value at (65) is valid only if xi is the error
    itself. Corrected, with num = max(0, ||J'r|| - xi):
        sqrt(sum_i lambda_i) >= num / ||Gamma r_S||.
    `further`: "a" is sigma_1(Gamma J_S) >= num / ||r_S||, "b" is sigma_1(sqrt(Gamma) J_S) >=
    num / ||sqrt(Gamma) r_S||, "c" is sigma_1(J_S) >= num / ||Gamma r_S||, and "c, max" the weaker
    num / (max gamma ||r_S||). All bound the largest singular value and say nothing about the small
    ones: "the coreset's Jacobian has large singular values" means that at least one is large.

    Args:
      J: [n, C, P], Jacobians of all examples.
      r: [n, C], residuals.
      subset: [k], indices of the coreset.
      gamma: [k], weights of the coreset.
      xi: upper bound of the error ||J'r - J_S'Gamma r_S||; defaults to that error.
      drop: see `Assumptions`; "xi".

    Raises:
      InputError: the shapes do not match, a value is not finite, or all residuals or all weights
        of the coreset are 0.
      AssumptionError: xi is below the error.
    """
    J = finite_array(J, "J", (None, None, None))
    r = finite_array(r, "r", J.shape[:2])
    chosen = weighted_subset(subset, gamma, len(J))
    rows = J[chosen.indices].reshape(-1, J.shape[-1])
    r_S = r[chosen.indices].ravel()
    weights = np.repeat(chosen.gamma, J.shape[1])
    if not np.linalg.norm(weights * r_S) > 0:
        raise InputError("all residuals or all weights of the coreset are 0, so nothing follows")
    gradients = np.einsum("icp,ic->ip", J, r)
    full = norm(gradients.sum(axis=0))
    size = float(np.linalg.norm(gradients, axis=1).sum())
    error = norm(gradients.sum(axis=0) - rows.T @ (weights * r_S))
    assumptions = Assumptions(drop)
    xi = assumptions.stated("xi", "bound of the coreset's error", xi, error, slack=1e-12 * size)
    exact = xi if abs(xi - error) <= 1e-12 * size else error
    assumptions.check("xi exact", "xi, equal to the error (65)", xi, "==", exact, silent=True)
    num = max(0.0, full - xi)
    top, lhs = norm(rows), float(np.linalg.norm(rows))
    root = np.sqrt(weights)
    options: dict[str, Any] = {"tolerance": 1e-10, "scale": lhs * max(1, weights.max())}
    return Sides(
        "B.3",
        lhs,
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
