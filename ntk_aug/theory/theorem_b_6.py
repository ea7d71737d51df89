"""Theorem B.6, Eq. (81)-(87): SGD of a linear model on a coreset and its image under a map F."""

from collections.abc import Collection

import numpy as np

from ntk_aug.theory.arrays import ArrayLike
from ntk_aug.theory.descent import WeightedLeastSquares, check_descent
from ntk_aug.theory.lemma_b_4 import linear_coreset
from ntk_aug.theory.sides import Assumptions, Sides
from ntk_aug.theory.theorem_5_2 import descent_sides, norm_of


def theorem_b_6(
    X: ArrayLike,
    Y: ArrayLike,
    W0: ArrayLike,
    F: ArrayLike,
    subset: ArrayLike,
    gamma: ArrayLike,
    *,
    steps: int = 150,
    alpha: float | None = None,
    eta: float | None = None,
    xi: float | None = None,
    omega: float | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """Theorem B.6: bound of E ||grad L(W^t, X_{c+caug})|| for SGD on records (x_j, F x_j). FALSE.

    Printed, with eta = alpha / (Lam beta): alpha^(-1/2) (1 - alpha eta / 2)^(t/2) (G0' +
    (||F|| + 1) xi + sqrt(d) ||F|| n omega), G0' = ||grad L(W^0, X_{f+aug})||. It inherits the
    errors of (28), the step size of 5.2 and the bracket of B.5. Corrected, with
    eta <= alpha / (2 Lam beta):
        sqrt(2 Lam / alpha) (1 - alpha eta / 2)^(t/2) (G0' + (||F|| + 1) xi + 2 n R ||F|| omega).
    Silent: some W fits the coreset both clean and augmented; xi and omega are those at W^0.
    `further`: "bracket" at W^0 and "loss" (F6); `further_printed`: the printed bracket at W^0.

    Args:
      X: [n, d], all examples.
      Y: [n, C], targets.
      W0: [d, C], initial weights of the model.
      F: [d, d], the augmentation.
      subset: [k], indices of the coreset.
      gamma: [k], weights of the coreset, with sum at most n.
      steps: T; the sides are arrays [T + 1].
      alpha: PL constant; defaults to the largest.
      eta: step size; defaults to the largest allowed.
      xi: see `lemma_b_4`.
      omega: see `lemma_b_4`.
      drop: see `Assumptions`; those of `lemma_b_4`, "PL", "interpolation" and "eta".

    Raises:
      InputError: the shapes do not match, or a value is not finite or out of range.
      AssumptionError: an assumption fails; the message names it and its limit.
    """
    assumptions = Assumptions(drop)
    given = linear_coreset((X, Y, W0, F, subset, gamma), assumptions, xi, omega, name="W0")
    n, d = given.X.shape
    places, weights = given.chosen.indices, given.chosen.gamma
    problem = WeightedLeastSquares(
        np.concatenate([given.X[places], given.X[places] @ given.F.T]),
        np.concatenate([given.Y[places]] * 2),
        np.concatenate([weights] * 2),
        given.W,
    )
    alpha, eta = check_descent(problem, assumptions, alpha, eta)
    start = norm_of((given.gradients + given.augmented).sum(axis=0))
    shared = start + (given.spectral_norm + 1) * given.xi
    moved = given.spectral_norm * n * given.omega
    brackets = shared + 2 * given.R * moved, shared + np.sqrt(d) * moved, 0.0
    constants = {"G0'": start, "xi": given.xi, "omega": given.omega}
    constants |= {"||F||": given.spectral_norm, "R": given.R}
    return descent_sides("B.6", problem, steps, alpha, eta, brackets, assumptions, constants)
