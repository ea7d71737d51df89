"""Lemma B.4 and Corollary B.5, Eq. (66)-(80): coresets of a linear model under a linear map.

The model is f(W, x) = W'x with W [d, C], the loss l_i = ||W'x_i - y_i||^2 / 2, and the augmentation
x -> F x. Gradients x_i (W'x_i - y_i)' are [d, C]; their norm is the Frobenius norm.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float
from ntk_aug.theory.arrays import ArrayLike, Weighted, finite_array, norm, weighted_subset
from ntk_aug.theory.sides import Assumptions, Bound, Sides


class LinearCoreset(NamedTuple):
    """A linear model on examples, their images under F, and a coreset; all are checked.

    Attributes:
      X: examples.
      Y: targets.
      W: weights of the model.
      F: the augmentation.
      chosen: the coreset.
      gradients: gradients of the clean examples.
      augmented: gradients of their images under F.
      xi: upper bound of the coreset's error at W, on clean examples.
      omega: upper bound of ||z_i|| = ||W'(F - I) x_i||.
      R: max ||x_i||.
      spectral_norm: ||F||.
      size: sum of the gradients' norms, the scale of rounding errors.
    """

    X: Float[np.ndarray, "n d"]
    Y: Float[np.ndarray, "n C"]
    W: Float[np.ndarray, "d C"]
    F: Float[np.ndarray, "d d"]
    chosen: Weighted
    gradients: Float[np.ndarray, "n d C"]
    augmented: Float[np.ndarray, "n d C"]
    xi: float
    omega: float
    R: float
    spectral_norm: float
    size: float

    def error(self, gradients: Float[np.ndarray, "n d C"]) -> float:
        """||sum_i g_i - sum_j gamma_j g_j||."""
        return float(np.linalg.norm(np.tensordot(1 - self.chosen.spread, gradients, 1)))


def linear_coreset(
    arrays: Sequence[Any],
    assumptions: Assumptions,
    xi: float | None,
    omega: float | None,
    *,
    name: str = "W",
) -> LinearCoreset:
    """Checks (X, Y, W, F, subset, gamma) of `lemma_b_4`, B.5 and B.6; messages call W `name`."""
    X, Y, W, F, subset, gamma = arrays
    X = finite_array(X, "X", (None, None))
    n, d = X.shape
    Y = finite_array(Y, "Y", (n, None))
    W = finite_array(W, name, (d, Y.shape[1]))
    F = finite_array(F, "F", (d, d))
    chosen = weighted_subset(subset, gamma, n)
    X_aug = X @ F.T
    gradients, augmented = (x[:, :, None] * (x @ W - Y)[:, None, :] for x in (X, X_aug))
    R = float(np.linalg.norm(X, axis=1).max())
    size = sum(float(np.linalg.norm(g, axis=(1, 2)).sum()) for g in (gradients, augmented))
    found = LinearCoreset(X, Y, W, F, chosen, gradients, augmented, 0.0, 0.0, R, norm(F), size)
    error = found.error(gradients)
    moved = float(np.linalg.norm((X_aug - X) @ W, axis=1).max())
    assumptions.check("gamma", "sum of the weights", chosen.gamma.sum(), "<=", n)
    xi = assumptions.stated("xi", "bound of the coreset's error", xi, error, slack=1e-12 * size)
    omega = assumptions.stated("omega", "bound of ||z_i||", omega, moved, slack=1e-12 * moved)
    assumptions.check("pixels", "max ||x_i||, at most sqrt d", R, "<=", np.sqrt(d), silent=True)
    return found._replace(xi=xi, omega=omega)


def lemma_b_4(
    X: ArrayLike,
    Y: ArrayLike,
    W: ArrayLike,
    F: ArrayLike,
    subset: ArrayLike,
    gamma: ArrayLike,
    *,
    xi: float | None = None,
    omega: float | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """||sum_i grad l_i(F x_i) - sum_j gamma_j grad l_j(F x_j)|| <= ||F|| (xi + sqrt(d) n omega).

    FALSE: z_i is dropped from the sum over all examples between (69) and (70). Corrected (a):
        ||F|| (xi + R omega sum_i |1 - gamma_i|),  R = max ||x_i|| <= sqrt d for pixels,
    which is attained. The sum is 2 (n - k+) for integer weights that sum to n. `further` "b" is
    ||F|| (xi + 2 n R omega), for any weights with sum at most n. Random instances stay far below
    the printed side; the constructed family exceeds it, by up to a factor 2. Augmentations with an
    offset, x -> F x + b, are not covered.

    Args:
      X: [n, d], examples.
      Y: [n, C], targets.
      W: [d, C], weights of the model.
      F: [d, d], the augmentation.
      subset: [k], indices of the coreset.
      gamma: [k], weights of the coreset, with sum at most n.
      xi: upper bound of the coreset's error on clean examples; defaults to that error.
      omega: upper bound of ||W'(F - I) x_i||; defaults to the largest.
      drop: see `Assumptions`; "gamma", "xi" and "omega".

    Raises:
      InputError: the shapes do not match, a value is not finite, or a bound is negative.
      AssumptionError: the weights sum to more than n, or xi or omega is too small.
    """
    return _sides("B.4", (X, Y, W, F, subset, gamma), xi, omega, Assumptions(drop))


def corollary_b_5(
    X: ArrayLike,
    Y: ArrayLike,
    W: ArrayLike,
    F: ArrayLike,
    subset: ArrayLike,
    gamma: ArrayLike,
    *,
    xi: float | None = None,
    omega: float | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """B.5: `lemma_b_4` for clean and augmented examples: (||F|| + 1) xi + sqrt(d) ||F|| n omega.

    FALSE, because B.4 is. Corrected: (||F|| + 1) xi + R ||F|| omega sum_i |1 - gamma_i|; `further`
    "b" has 2 n instead of the sum. Arguments and errors are those of `lemma_b_4`.
    """
    return _sides("B.5", (X, Y, W, F, subset, gamma), xi, omega, Assumptions(drop))


def _sides(statement, arrays, xi, omega, assumptions):
    given = linear_coreset(arrays, assumptions, xi, omega)
    gradients, without_omega = given.augmented, given.spectral_norm * given.xi
    if statement == "B.5":
        gradients = given.gradients + given.augmented
        without_omega = (given.spectral_norm + 1) * given.xi
    n, d = given.X.shape
    lhs = given.error(gradients)
    moved = given.spectral_norm * given.omega
    spread = float(np.abs(1 - given.chosen.spread).sum())
    options: dict[str, Any] = {"tolerance": 1e-12, "scale": given.size}
    return Sides(
        statement,
        lhs,
        without_omega + np.sqrt(d) * n * moved,
        without_omega + given.R * spread * moved,
        further={"b": Bound(lhs, without_omega + 2 * n * given.R * moved, **options)},
        assumptions=assumptions.finish(),
        constants={"n": n, "d": d, "k+": given.chosen.k_plus, "||F||": given.spectral_norm}
        | {"xi": given.xi, "omega": given.omega, "R": given.R},
        **options,
    )
