"""Theorems 5.2 and B.2, Eq. (28)-(43) and (52)-(59): SGD on data with an augmented coreset.

Both speak of networks; their assumptions (PL, smoothness, interpolation) can be checked and the
expectation over SGD's draws computed exactly for a linear model, f(W, x) = W'x with the squared
loss, where LJ = 1 and Lf = ||W||. Any d of at least the number of records interpolates.
"""

from collections.abc import Collection

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
    """Theorem 5.2: E ||grad L(W^t)|| in SGD on all data and the augmented coreset. FALSE.

    Printed, with eta = alpha / (Lam beta): alpha^(-1/2) (1 - alpha eta / 2)^(t/2) (2 G0 + xi +
    sigma_max Lbar sqrt(n) eps0 + sigma_max O(n eps0^2)) + sqrt(2 n) Lbar eps0. Three independent
    reasons: the cited theorem bounds the loss, and going over to the gradient costs a factor
    sqrt(2 Lam) (28); the step size is twice too large, and SGD need not converge with it; weights
    are dropped in (40)-(41). Corrected, with eta <= alpha / (2 Lam beta):
        sqrt(2 Lam / alpha) (1 - alpha eta / 2)^(t/2) B0,
        B0 = 2 G0 + xi + sigma_max(sqrt(Gamma) J_c) sqrt(n) Lf eps0 + rho~ n LJ eps0,
    rho~ = max_j ||f(W^0, x~_j) - y_j||. `further`: "bracket" is ||grad L(W^0)|| <= B0, and
    "loss" is F6.

    The left side is sqrt(E ||grad L||^2) >= E ||grad L||, exact by `WeightedLeastSquares.moments`.
    That of the printed form, with its step size, is a lower bound of E ||grad L||.

    Args:
      X: [n, d], all examples.
      Y: [n, C], their targets, [n, C] or [n].
      X_augmented: [k, d], augmented versions of the coreset's examples.
      subset: [k], places of the coreset.
      gamma: [k], its weights, with sum n.
      W0: [d, C], start, [d, C] or [d].
      steps: T; sides are arrays [T + 1].
      alpha: PL constant; None takes the largest.
      eta: step size; None takes the largest allowed.
      xi: bound of the coreset's error at W0; None takes that error.
      eps0: bound of ||x~_j - x_j||; None takes the largest.
      order_constant: what O(.) hides in the printed form.
      drop: see `Assumptions`; "gamma", "xi", "eps0", "PL", "interpolation" and "eta".

    Raises:
      InputError: shapes that do not fit, values that are not finite or out of range.
      AssumptionError: an assumption fails; the message says which and names the interval.
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
    """Theorem B.2: the same on the coreset and its augmentation alone. FALSE.

    Printed: alpha^(-1/2) (1 - alpha eta / 2)^(t/2) (2 G0 + 2 xi + O(Lbar / sigma_max)), with
    eps0 <= 1 / (sigma_max sqrt(L n)). It inherits all that is wrong with 5.2, and that eps0 makes
    the bracket O(sqrt Lbar), whatever sigma_max is. Corrected as 5.2, with
        B0 = 2 G0 + 2 xi + sigma_max(sqrt(Gamma) J_c) sqrt(n) Lf eps0 + rho~ n LJ eps0.
    Its last two terms are at most kappa for eps0 <= kappa / (sigma_max sqrt(n) Lf + rho~ n LJ).
    alpha, beta and Lam are those of the loss that is trained on. Arguments, further bounds and
    errors are those of `theorem_5_2`.
    """
    arrays = (X, Y, X_augmented, subset, gamma, W0)
    bounds = {"xi": xi, "eps0": eps0, "order_constant": order_constant}
    return _theorem("B.2", arrays, steps, alpha, eta, Assumptions(drop), **bounds)


def _theorem(statement, arrays, steps, alpha, eta, assumptions, *, xi, eps0, order_constant):
    X, Y, X_augmented, subset, gamma, W0 = arrays
    X = finite_array(X, "X", (None, None))
    n = len(X)
    chosen = weighted_subset(subset, gamma, n)
    places = chosen.indices
    X_augmented = finite_array(X_augmented, "X_augmented", (len(places), X.shape[1]))
    order_constant = number_in(order_constant, "order_constant", 0)
    full = WeightedLeastSquares.from_arrays(X, Y, np.ones(n), W0)
    W0, Y = full.W0, full.Y
    assumptions.check("gamma", "sum of the weights, n", chosen.gamma.sum(), "==", n)
    gradient = full.gradient(W0)
    of_coreset = WeightedLeastSquares(X[places], Y[places], chosen.gamma, W0).gradient(W0)
    error, G0 = norm_of(gradient - of_coreset), norm_of(gradient)
    if xi is None:
        xi = error
    else:
        xi = number_in(xi, "xi", 0)
        assumptions.check("xi", "bound of the coreset's error", xi, ">=", error - 1e-12 * G0)
    farthest = float(np.linalg.norm(X_augmented - X[places], axis=1).max())
    eps0 = farthest if eps0 is None else number_in(eps0, "eps0", 0)
    assumptions.check("eps0", "bound of ||x~_j - x_j||", eps0, ">=", farthest)
    kept = (X, Y, np.ones(n)) if statement == "5.2" else (X[places], Y[places], chosen.gamma)
    problem = WeightedLeastSquares(
        np.concatenate([kept[0], X_augmented]),
        np.concatenate([kept[1], Y[places]]),
        np.concatenate([kept[2], chosen.gamma]),
        W0,
    )
    alpha, eta = check_descent(problem, assumptions, alpha, eta)
    Lf, LJ = norm(W0), 1.0
    Lbar = max(Lf, LJ)
    top = norm(np.sqrt(chosen.gamma)[:, None] * X[places])
    rho = float(np.linalg.norm(X_augmented @ W0 - Y[places], axis=1).max())
    errors = xi if statement == "5.2" else 2 * xi
    bracket = 2 * G0 + errors + top * np.sqrt(n) * Lf * eps0 + rho * n * LJ * eps0
    unweighted = norm(X[places])
    if statement == "5.2":
        printed = 2 * G0 + xi + unweighted * Lbar * np.sqrt(n) * eps0
        printed += unweighted * order_constant * n * eps0**2
        outside = np.sqrt(2 * n) * Lbar * eps0
    else:
        limit = 1 / (unweighted * np.sqrt(n)) if unweighted else np.inf
        assumptions.check(
            "eps0 of B.2", "1 / (sigma_max sqrt(L n))", eps0, "<=", limit, silent=True
        )
        printed = 2 * G0 + 2 * xi + order_constant * (Lbar / unweighted if unweighted else np.inf)
        outside = 0.0
    return descent_sides(
        statement,
        problem,
        steps,
        alpha,
        eta,
        bracket,
        printed,
        outside,
        assumptions,
        {"G0": G0, "xi": xi, "eps0": eps0, "sigma_max": top, "rho~": rho, "Lf": Lf, "n": n},
    )


def descent_sides(
    statement: str,
    problem: WeightedLeastSquares,
    steps: int,
    alpha: float,
    eta: float,
    bracket: float,
    printed: float,
    outside: float,
    assumptions: Assumptions,
    constants: dict[str, float],
) -> Sides:
    """Both sides of a bound of the gradient along SGD, from the brackets at W^0.

    Args:
      statement: its number.
      problem: what is trained on.
      steps: T.
      alpha: PL constant.
      eta: step size of the corrected form; the printed one has alpha / (Lam beta).
      bracket: B0.
      printed: the printed bracket.
      outside: what is printed behind it.
      assumptions: as far as they are checked.
      constants: by their letters.
    """
    t = np.arange(steps + 1)
    printed_eta = alpha / (problem.Lam * problem.beta)
    moments = problem.moments(eta, steps)
    start = norm_of(problem.gradient(problem.W0))
    rate = contraction(alpha, eta)
    return Sides(
        statement,
        np.sqrt(moments.squared_gradient),
        contraction(alpha, printed_eta) ** (t / 2) * printed / np.sqrt(alpha) + outside,
        np.sqrt(2 * problem.Lam / alpha) * rate ** (t / 2) * bracket,
        printed_lhs=problem.moments(printed_eta, steps).least_gradient,
        further={
            "bracket": Bound(start, bracket, tolerance=1e-9),
            "loss": Bound(
                moments.loss,
                rate**t * problem.loss(problem.W0),
                tolerance=1e-9,
                scale=ROUNDING_OF_LOSS * problem.loss(problem.W0),
            ),
        },
        further_printed={"bracket": Bound(start, printed, tolerance=1e-9)}
        if statement == "B.6"
        else {},
        assumptions=assumptions.finish(),
        constants=constants | constants_of(problem, alpha, eta) | {"B0": bracket},
        tolerance=1e-9,
        scale=ROUNDING_OF_GRADIENT * start,
    )


def norm_of(gradient: Float[np.ndarray, "d C"]) -> float:
    """The Frobenius norm, which is that of the flat gradient."""
    return float(np.linalg.norm(gradient))
