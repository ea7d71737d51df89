"""Theorems 5.2 and B.2, Eq. (28)-(43) and (52)-(59): SGD on data with an augmented coreset.

Both are about networks. For the linear model f(W, x) = W'x with the squared loss their assumptions
(PL, smoothness, interpolation) can be checked and the expectation over the draws of SGD is exact;
there LJ = 1 and Lf = ||W||. Some weights interpolate if d is at least the number of records.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from ntk_aug.aliases import Float
from ntk_aug.theory.arrays import ArrayLike, finite_array, norm, number_in, weighted_subset
from ntk_aug.theory.descent import (
    ROUNDING_OF_GRADIENT,
    ROUNDING_OF_LOSS,
    WeightedLeastSquares,
    check_descent,
    constants_of,
    contraction,
)
from ntk_aug.theory.sides import Assumptions, Bound, Sides


def theorem_5_2(
    X: ArrayLike,
    Y: ArrayLike,
    X_augmented: ArrayLike,
    subset: ArrayLike,
    gamma: ArrayLike,
    W0: ArrayLike,
    *,
    steps: int = 200,
    alpha: float | None = None,
    eta: float | None = None,
    xi: float | None = None,
    eps0: float | None = None,
    order_constant: float = 1.0,
    drop: Collection[str] = (),
) -> Sides:
    """Theorem 5.2: bound of E ||grad L(W^t)|| for SGD on all data and the augmented coreset. FALSE.

    Printed, with eta = alpha / (Lam beta): alpha^(-1/2) (1 - alpha eta / 2)^(t/2) (2 G0 + xi +
    sigma_max Lbar sqrt(n) eps0 + sigma_max O(n eps0^2)) + sqrt(2 n) Lbar eps0. It fails for three
    independent reasons. The cited theorem bounds the loss, and bounding the gradient costs a factor
    sqrt(2 Lam), missing in (28). The step size is twice too large, so SGD need not converge.
    Weights are dropped in (40)-(41). Corrected, with eta <= alpha / (2 Lam beta):
        sqrt(2 Lam / alpha) (1 - alpha eta / 2)^(t/2) B0,
        B0 = 2 G0 + xi + sigma_max(sqrt(Gamma) J_c) sqrt(n) Lf eps0 + rho~ n LJ eps0,
    where rho~ = max_j ||f(W^0, x~_j) - y_j||. `further`: "bracket" is ||grad L(W^0)|| <= B0, and
    "loss" is F6.

    The left side is sqrt(E ||grad L||^2) >= E ||grad L||, exact by `WeightedLeastSquares.moments`.
    The left side of the printed form, with its step size, is a lower bound of E ||grad L||.

    Args:
      X: [n, d], all examples.
      Y: [n, C] or [n], targets.
      X_augmented: [k, d], augmented versions of the coreset's examples.
      subset: [k], indices of the coreset.
      gamma: [k], weights of the coreset, with sum n.
      W0: [d, C] or [d], initial weights of the model.
      steps: T; the sides are arrays [T + 1].
      alpha: PL constant; defaults to the largest.
      eta: step size; defaults to the largest allowed.
      xi: upper bound of the coreset's error at W0; defaults to that error.
      eps0: upper bound of ||x~_j - x_j||; defaults to the largest.
      order_constant: the constant in O(.) of the printed form.
      drop: see `Assumptions`; "gamma", "xi", "eps0", "PL", "interpolation" and "eta".

    Raises:
      InputError: the shapes do not match, or a value is not finite or out of range.
      AssumptionError: an assumption fails; the message names it and its limit.
    """
    arrays = (X, Y, X_augmented, subset, gamma, W0)
    bounds = {"xi": xi, "eps0": eps0, "order_constant": order_constant}
    return _theorem("5.2", arrays, steps, alpha, eta, Assumptions(drop), **bounds)


def theorem_b_2(
    X: ArrayLike,
    Y: ArrayLike,
    X_augmented: ArrayLike,
    subset: ArrayLike,
    gamma: ArrayLike,
    W0: ArrayLike,
    *,
    steps: int = 200,
    alpha: float | None = None,
    eta: float | None = None,
    xi: float | None = None,
    eps0: float | None = None,
    order_constant: float = 1.0,
    drop: Collection[str] = (),
) -> Sides:
    """Theorem B.2: the bound of `theorem_5_2` for the coreset and its augmentation alone. FALSE.

    Printed: alpha^(-1/2) (1 - alpha eta / 2)^(t/2) (2 G0 + 2 xi + O(Lbar / sigma_max)), with
    eps0 <= 1 / (sigma_max sqrt(L n)). It inherits the errors of 5.2, and this eps0 makes the
    bracket O(sqrt Lbar) for any sigma_max. Corrected as 5.2, with
        B0 = 2 G0 + 2 xi + sigma_max(sqrt(Gamma) J_c) sqrt(n) Lf eps0 + rho~ n LJ eps0,
    whose last two terms are at most kappa for eps0 <= kappa / (sigma_max sqrt(n) Lf + rho~ n LJ).
    alpha, beta and Lam are those of the loss on the coreset. Arguments, further bounds and errors
    are those of `theorem_5_2`.
    """
    arrays = (X, Y, X_augmented, subset, gamma, W0)
    bounds = {"xi": xi, "eps0": eps0, "order_constant": order_constant}
    return _theorem("B.2", arrays, steps, alpha, eta, Assumptions(drop), **bounds)


def _theorem(statement, arrays, steps, alpha, eta, assumptions, *, xi, eps0, order_constant):
    X, Y, X_augmented, subset, gamma, W0 = arrays
    X = finite_array(X, "X", (None, None))
    n = len(X)
    places, weights, *_ = weighted_subset(subset, gamma, n)
    X_augmented = finite_array(X_augmented, "X_augmented", (len(places), X.shape[1]))
    order_constant = number_in(order_constant, "order_constant", 0)
    full = WeightedLeastSquares.from_arrays(X, Y, np.ones(n), W0)
    W0 = full.W0
    coreset = WeightedLeastSquares(X[places], full.Y[places], weights, W0)
    assumptions.check("gamma", "sum of the weights, n", weights.sum(), "==", n)
    gradient = full.gradient(W0)
    error, G0 = norm_of(gradient - coreset.gradient(W0)), norm_of(gradient)
    xi = assumptions.stated("xi", "bound of the coreset's error", xi, error, slack=1e-12 * G0)
    farthest = float(np.linalg.norm(X_augmented - coreset.X, axis=1).max())
    eps0 = farthest if eps0 is None else number_in(eps0, "eps0", 0)
    assumptions.check("eps0", "bound of ||x~_j - x_j||", eps0, ">=", farthest)
    kept = full if statement == "5.2" else coreset
    problem = WeightedLeastSquares(
        np.concatenate([kept.X, X_augmented]),
        np.concatenate([kept.Y, coreset.Y]),
        np.concatenate([kept.w, weights]),
        W0,
    )
    alpha, eta = check_descent(problem, assumptions, alpha, eta)
    Lf, LJ = norm(W0), 1.0
    Lbar = max(Lf, LJ)
    top, unweighted = norm(np.sqrt(weights)[:, None] * coreset.X), norm(coreset.X)
    rho = float(np.linalg.norm(X_augmented @ W0 - coreset.Y, axis=1).max())
    errors = xi if statement == "5.2" else 2 * xi
    bracket = 2 * G0 + errors + top * np.sqrt(n) * Lf * eps0 + rho * n * LJ * eps0
    if statement == "5.2":
        printed = 2 * G0 + xi + unweighted * Lbar * np.sqrt(n) * eps0
        printed += unweighted * order_constant * n * eps0**2
        outside = np.sqrt(2 * n) * Lbar * eps0
    else:
        limit = 1 / (unweighted * np.sqrt(n)) if unweighted else np.inf
        text = "1 / (sigma_max sqrt(L n))"
        assumptions.check("eps0 of B.2", text, eps0, "<=", limit, silent=True)
        printed = 2 * G0 + 2 * xi + order_constant * (Lbar / unweighted if unweighted else np.inf)
        outside = 0.0
    constants = {"G0": G0, "xi": xi, "eps0": eps0, "sigma_max": top, "rho~": rho, "Lf": Lf, "n": n}
    brackets = bracket, printed, outside
    return descent_sides(statement, problem, steps, alpha, eta, brackets, assumptions, constants)


def descent_sides(
    statement: str,
    problem: WeightedLeastSquares,
    steps: int,
    alpha: float,
    eta: float,
    brackets: tuple[float, float, float],
    assumptions: Assumptions,
    constants: dict[str, float],
) -> Sides:
    """Evaluates both sides of a bound of the gradient along SGD.

    The brackets are B0, the printed one, and the printed term outside the bracket. The corrected
    form uses the step size eta, the printed form alpha / (Lam beta).
    """
    bracket, printed, outside = brackets
    t = np.arange(steps + 1)
    printed_eta = alpha / (problem.Lam * problem.beta)
    moments, loss = problem.moments(eta, steps), problem.loss(problem.W0)
    start = norm_of(problem.gradient(problem.W0))
    rate = contraction(alpha, eta)
    options: dict[str, Any] = {"tolerance": 1e-9}
    at_start = {"bracket": Bound(start, printed, **options)}
    return Sides(
        statement,
        np.sqrt(moments.squared_gradient),
        contraction(alpha, printed_eta) ** (t / 2) * printed / np.sqrt(alpha) + outside,
        np.sqrt(2 * problem.Lam / alpha) * rate ** (t / 2) * bracket,
        printed_lhs=problem.moments(printed_eta, steps).least_gradient,
        further={
            "bracket": Bound(start, bracket, **options),
            "loss": Bound(moments.loss, rate**t * loss, scale=ROUNDING_OF_LOSS * loss, **options),
        },
        further_printed=at_start if statement == "B.6" else {},
        assumptions=assumptions.finish(),
        constants=constants | constants_of(problem, alpha, eta) | {"B0": bracket},
        scale=ROUNDING_OF_GRADIENT * start,
        **options,
    )


def norm_of(gradient: Float[np.ndarray, "d C"]) -> float:
    """The Frobenius norm of a gradient, which is the norm of its values as one vector."""
    return float(np.linalg.norm(gradient))
