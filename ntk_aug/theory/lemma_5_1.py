"""Lemma 5.1, Eq. (20)-(27): how far an augmented coreset's gradient is from that of all."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ntk_aug.theory.arrays import (
    ArrayLike,
    Weighted,
    finite_array,
    norm,
    number_in,
    row_norms,
    weighted_subset,
)
from ntk_aug.theory.sides import Assumptions, Bound, Sides


class AugmentedExamples(NamedTuple):
    """A network on augmented examples.

    Attributes:
      J: [n, C, P], their Jacobians by examples.
      residuals: [n, C], f(W, x~_i) - y_i, or softmax(f(W, x~_i)) - y_i.
    """

    J: ArrayLike
    residuals: ArrayLike


def lemma_5_1(
    J: ArrayLike,
    r: ArrayLike,
    J_augmented: ArrayLike,
    subset: ArrayLike,
    gamma: ArrayLike,
    *,
    jacobian_lipschitz: float,
    eps0: float,
    xi: float | None = None,
    J_subset: ArrayLike | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """||J~'r - J~_S'Gamma r_S|| <= xi + 2 n^(3/2) L eps0 <= xi + 2 sqrt L. SILENT.

    The residual r is that of the clean examples on both sides, so the left side is not the gradient
    of the augmented loss; for that see `lemma_5_1_gradients`. Printed in (26), it needs
    ||r_i|| <= sqrt n, which softmax has from n = 2 on. Gamma is missing in front of E_S in
    (21)-(25). `further_printed` "27" is xi + 2 sqrt L, which needs eps0 <= 1 / (n^(3/2) sqrt L).

    Corrected (a), without n^(3/2), with rho = max ||r_i||:
        xi + rho LJ eps0 sum_i |1 - gamma_i|,
    where the sum is 2 (n - k+) for whole weights that sum to n. It is attained. With perturbations
    of its own for the subset (`J_subset`) the sum is n + sum_j gamma_j. `further` "c", which is
    xi + 2 sqrt LJ, follows for eps0 <= 2 / (rho sqrt(LJ) sum_i |1 - gamma_i|).

    Args:
      J: [n, C, P], Jacobians of the clean examples.
      r: [n, C], their residuals.
      J_augmented: [n, C, P], Jacobians of the augmented examples.
      subset: [k], places of the coreset.
      gamma: [k], its weights.
      jacobian_lipschitz: LJ.
      eps0: bound of ||x~_i - x_i||.
      xi: bound of ||J'r - J_S'Gamma r_S||; None takes that error.
      J_subset: [k, C, P], Jacobians of the coreset's own augmented versions; None: the rows of
        `J_augmented`.
      drop: see `Assumptions`; "lipschitz" and "xi".

    Raises:
      InputError: shapes that do not fit, values that are not finite or out of range.
      AssumptionError: a row moves further than LJ eps0, or xi is below the error.
    """
    given = _Checked(J, r, subset, gamma, eps0)
    J_augmented = finite_array(J_augmented, "J_augmented", given.J.shape)
    E = J_augmented - given.J
    own = _own_rows(given, J_augmented, J_subset, "J_subset")
    E_own = own - given.J[given.chosen.indices]
    LJ = number_in(jacobian_lipschitz, "jacobian_lipschitz", 0)
    n, rho = len(given.r), float(np.linalg.norm(given.r, axis=1).max())
    assumptions = Assumptions(drop)
    largest = max(row_norms(E).max(), row_norms(E_own).max())
    assumptions.check("lipschitz", "max ||E_i||, at most LJ eps0", largest, "<=", LJ * given.eps0)
    xi = given.check_xi(assumptions, xi)
    assumptions.check(
        "residuals", "max ||r_i||, at most sqrt n (26)", rho, "<=", np.sqrt(n), silent=True
    )
    limit = 1 / (n**1.5 * np.sqrt(LJ)) if LJ else np.inf
    assumptions.check("eps0", "eps0 of (27)", given.eps0, "<=", limit, silent=True)
    lhs, size = given.difference(J_augmented, given.r, own, given.r[given.chosen.indices])
    count = _moved(given.chosen, n, fresh=J_subset is not None)
    return Sides(
        "5.1",
        lhs,
        xi + 2 * n**1.5 * LJ * given.eps0,
        xi + rho * LJ * given.eps0 * count,
        further_printed=(
            {"27": Bound(lhs, xi + 2 * np.sqrt(LJ), scale=size)} if given.eps0 <= limit else {}
        ),
        further=(
            {"c": Bound(lhs, xi + 2 * np.sqrt(LJ), scale=size)}
            if rho * given.eps0 * count <= 2 / np.sqrt(LJ or 1.0)
            else {}
        ),
        assumptions=assumptions.finish(),
        constants=given.constants | {"LJ": LJ, "xi": xi, "rho": rho, "sum": count},
        scale=size,
    )


def lemma_5_1_gradients(
    J: ArrayLike,
    r: ArrayLike,
    augmented: AugmentedExamples,
    subset: ArrayLike,
    gamma: ArrayLike,
    *,
    jacobian_lipschitz: float,
    output_lipschitz: float,
    eps0: float,
    xi: float | None = None,
    of_subset: AugmentedExamples | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """Lemma 5.1 for the true gradients of the augmented loss, with residuals r~. FALSE as printed.

    Corrected (b), with rho~ = max ||r~_i|| and B = max ||J_i||:
        xi + sum_i |1 - gamma_i| (rho~ LJ + B Lf) eps0,
    since J~_i'r~_i - J_i'r_i = E_i'r~_i + J_i'(r~_i - r_i).

    Args:
      J: [n, C, P], Jacobians of the clean examples.
      r: [n, C], their residuals.
      augmented: the network on the augmented examples.
      subset: [k], places of the coreset.
      gamma: [k], its weights.
      jacobian_lipschitz: LJ.
      output_lipschitz: Lf; softmax is 1-Lipschitz, so that of the logits serves.
      eps0: bound of ||x~_i - x_i||.
      xi: as in `lemma_5_1`.
      of_subset: the network on augmented versions of the coreset's own; None: those of `augmented`.
      drop: see `Assumptions`; "lipschitz", "output lipschitz" and "xi".

    Raises:
      InputError: shapes that do not fit, values that are not finite or out of range.
      AssumptionError: rows move further than LJ eps0, residuals than Lf eps0, or xi is too small.
    """
    given = _Checked(J, r, subset, gamma, eps0)
    J_aug = finite_array(augmented.J, "augmented.J", given.J.shape)
    r_aug = finite_array(augmented.residuals, "augmented.residuals", given.r.shape)
    LJ = number_in(jacobian_lipschitz, "jacobian_lipschitz", 0)
    Lf = number_in(output_lipschitz, "output_lipschitz", 0)
    places = given.chosen.indices
    J_own = _own_rows(given, J_aug, of_subset and of_subset.J, "of_subset.J")
    r_own = _own_rows(given, r_aug, of_subset and of_subset.residuals, "of_subset.residuals")
    assumptions = Assumptions(drop)
    moved = max(row_norms(J_aug - given.J).max(), row_norms(J_own - given.J[places]).max())
    assumptions.check("lipschitz", "max ||E_i||, at most LJ eps0", moved, "<=", LJ * given.eps0)
    residual = max(
        np.linalg.norm(r_aug - given.r, axis=1).max(),
        np.linalg.norm(r_own - given.r[places], axis=1).max(),
    )
    assumptions.check(
        "output lipschitz", "max ||r~_i - r_i||, at most Lf eps0", residual, "<=", Lf * given.eps0
    )
    xi = given.check_xi(assumptions, xi)
    n = len(given.r)
    rho = max(np.linalg.norm(r_aug, axis=1).max(), np.linalg.norm(r_own, axis=1).max())
    steepest = row_norms(given.J).max()
    limit = 1 / (n**1.5 * np.sqrt(LJ)) if LJ else np.inf
    assumptions.check("eps0", "eps0 of (27)", given.eps0, "<=", limit, silent=True)
    lhs, size = given.difference(J_aug, r_aug, J_own, r_own)
    count = _moved(given.chosen, n, fresh=of_subset is not None)
    return Sides(
        "5.1",
        lhs,
        xi + 2 * n**1.5 * LJ * given.eps0,
        xi + count * (rho * LJ + steepest * Lf) * given.eps0,
        further_printed=(
            {"27": Bound(lhs, xi + 2 * np.sqrt(LJ), scale=size)} if given.eps0 <= limit else {}
        ),
        assumptions=assumptions.finish(),
        constants=given.constants
        | {"LJ": LJ, "Lf": Lf, "xi": xi, "rho~": rho, "B": steepest, "sum": count},
        scale=size,
    )


class _Checked:
    """What both forms are given."""

    def __init__(self, J, r, subset, gamma, eps0):
        self.J = finite_array(J, "J", (None, None, None))
        self.r = finite_array(r, "r", self.J.shape[:2])
        self.chosen = weighted_subset(subset, gamma, len(self.J))
        self.eps0 = number_in(eps0, "eps0", 0)
        self.constants = {
            "n": len(self.J),
            "k": len(self.chosen.indices),
            "k+": self.chosen.k_plus,
            "eps0": self.eps0,
        }

    def difference(self, J, r, J_own, r_own):
        """||J'r - J_own'Gamma r_own||, and the size of what is subtracted."""
        gradients = _gradients(J, r)
        weighted = _gradients(J_own, r_own) * self.chosen.gamma[:, None]
        size = np.linalg.norm(gradients, axis=1).sum() + np.linalg.norm(weighted, axis=1).sum()
        return norm(gradients.sum(axis=0) - weighted.sum(axis=0)), float(size)

    def check_xi(self, assumptions, xi):
        places = self.chosen.indices
        error, size = self.difference(self.J, self.r, self.J[places], self.r[places])
        if xi is None:
            return error
        xi = number_in(xi, "xi", 0)
        assumptions.check("xi", "bound of the coreset's error", xi, ">=", error - 1e-12 * size)
        return xi


def _gradients(J, r):
    return np.einsum("icp,ic->ip", J, r)


def _own_rows(given, of_all, of_subset, what):
    """The augmented coreset's values: its own, or those of the same examples among all."""
    places = given.chosen.indices
    if of_subset is None:
        return of_all[places]
    return finite_array(of_subset, what, (len(places), *of_all.shape[1:]))


def _moved(chosen: Weighted, n: int, *, fresh: bool) -> float:
    """The sum of |1 - gamma_i|, or with perturbations of its own for the subset of 1 + gamma_i."""
    if fresh:
        return n + float(chosen.gamma.sum())
    return float(np.abs(1 - chosen.spread).sum())
