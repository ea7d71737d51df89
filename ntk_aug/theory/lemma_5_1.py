"""Lemma 5.1, Eq. (20)-(27): how much an augmented coreset's gradient differs from the full one."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ntk_aug.theory.arrays import (
    ArrayLike,
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
      J: [n, C, P], Jacobians by example.
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
    """Lemma 5.1: ||J~'r - J~_S'Gamma r_S|| <= xi + 2 n^(3/2) L eps0 <= xi + 2 sqrt L. SILENT.

    Both sides use the residuals r of the clean examples, so the left side is not the gradient of
    the augmented loss; `lemma_5_1_gradients` is about that. The printed (26) needs
    ||r_i|| <= sqrt n, which holds for softmax and n >= 2. Gamma is missing before E_S in (21)-(25).
    `further_printed` "27" is xi + 2 sqrt L, which needs eps0 <= 1 / (n^(3/2) sqrt L).

    Corrected (a), with rho = max ||r_i||, is attained:
        xi + rho LJ eps0 sum_i |1 - gamma_i|.
    The sum is 2 (n - k+) for integer weights that sum to n. If the subset has perturbations of its
    own (`J_subset`), it is n + sum_j gamma_j. `further` "c", xi + 2 sqrt LJ, holds for
    eps0 <= 2 / (rho sqrt(LJ) sum_i |1 - gamma_i|).

    Args:
      J: [n, C, P], Jacobians of the clean examples.
      r: [n, C], residuals of the clean examples.
      J_augmented: [n, C, P], Jacobians of the augmented examples.
      subset: [k], indices of the coreset.
      gamma: [k], weights of the coreset.
      jacobian_lipschitz: LJ.
      eps0: upper bound of ||x~_i - x_i||.
      xi: upper bound of ||J'r - J_S'Gamma r_S||; defaults to that error.
      J_subset: [k, C, P], Jacobians of the coreset's own augmented versions; defaults to the rows
        of `J_augmented`.
      drop: see `Assumptions`; "lipschitz" and "xi".

    Raises:
      InputError: the shapes do not match, or a value is not finite or out of range.
      AssumptionError: a row changes by more than LJ eps0, or xi is below the error.
    """
    given = _Checked(J, r, subset, gamma, jacobian_lipschitz, eps0, drop)
    J_aug = finite_array(J_augmented, "J_augmented", given.J.shape)
    J_own = given.own_rows(J_aug, J_subset, "J_subset")
    given.check_jacobians(J_aug, J_own)
    xi = given.check_xi(xi)
    rho, most = float(np.linalg.norm(given.r, axis=1).max()), np.sqrt(len(given.r))
    text = "max ||r_i||, at most sqrt n (26)"
    given.assumptions.check("residuals", text, rho, "<=", most, silent=True)
    augmented = J_aug, given.r, J_own, given.r[given.places]
    constants = {"xi": xi, "rho": rho}
    return given.sides(augmented, rho * given.LJ, constants, J_subset is not None, frozen=True)


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
    """Lemma 5.1 for the gradients of the augmented loss, with its residuals r~. FALSE as printed.

    Corrected (b), with rho~ = max ||r~_i|| and B = max ||J_i||:
        xi + sum_i |1 - gamma_i| (rho~ LJ + B Lf) eps0,
    because J~_i'r~_i - J_i'r_i = E_i'r~_i + J_i'(r~_i - r_i).

    Args:
      J: [n, C, P], Jacobians of the clean examples.
      r: [n, C], residuals of the clean examples.
      augmented: the network on the augmented examples.
      subset: [k], indices of the coreset.
      gamma: [k], weights of the coreset.
      jacobian_lipschitz: LJ.
      output_lipschitz: Lf; the Lf of the logits also serves after a softmax, which is 1-Lipschitz.
      eps0: upper bound of ||x~_i - x_i||.
      xi: see `lemma_5_1`.
      of_subset: the network on the coreset's own augmented versions; defaults to those among
        `augmented`.
      drop: see `Assumptions`; "lipschitz", "output lipschitz" and "xi".

    Raises:
      InputError: the shapes do not match, or a value is not finite or out of range.
      AssumptionError: a row changes by more than LJ eps0, a residual by more than Lf eps0, or xi is
        below the error.
    """
    given = _Checked(J, r, subset, gamma, jacobian_lipschitz, eps0, drop)
    J_aug = finite_array(augmented.J, "augmented.J", given.J.shape)
    r_aug = finite_array(augmented.residuals, "augmented.residuals", given.r.shape)
    Lf = number_in(output_lipschitz, "output_lipschitz", 0)
    J_own = given.own_rows(J_aug, of_subset and of_subset.J, "of_subset.J")
    r_own = given.own_rows(r_aug, of_subset and of_subset.residuals, "of_subset.residuals")
    given.check_jacobians(J_aug, J_own)
    changes = r_aug - given.r, r_own - given.r[given.places]
    largest = max(np.linalg.norm(change, axis=1).max() for change in changes)
    text = "max ||r~_i - r_i||, at most Lf eps0"
    given.assumptions.check("output lipschitz", text, largest, "<=", Lf * given.eps0)
    xi = given.check_xi(xi)
    rho = max(np.linalg.norm(residuals, axis=1).max() for residuals in (r_aug, r_own))
    steepest = row_norms(given.J).max()
    constants = {"Lf": Lf, "xi": xi, "rho~": rho, "B": steepest}
    slope = rho * given.LJ + steepest * Lf
    return given.sides((J_aug, r_aug, J_own, r_own), slope, constants, of_subset is not None)


class _Checked:
    """The arguments that both forms share, and the bounds that follow from them."""

    def __init__(self, J, r, subset, gamma, jacobian_lipschitz, eps0, drop):
        self.J = finite_array(J, "J", (None, None, None))
        self.r = finite_array(r, "r", self.J.shape[:2])
        self.chosen = weighted_subset(subset, gamma, len(self.J))
        self.places = self.chosen.indices
        self.LJ = number_in(jacobian_lipschitz, "jacobian_lipschitz", 0)
        self.eps0 = number_in(eps0, "eps0", 0)
        self.assumptions = Assumptions(drop)

    def own_rows(self, of_all, of_subset, what):
        """The coreset's values: its own, or its rows among all examples' values."""
        if of_subset is None:
            return of_all[self.places]
        return finite_array(of_subset, what, (len(self.places), *of_all.shape[1:]))

    def check_jacobians(self, J_aug, J_own):
        changes = J_aug - self.J, J_own - self.J[self.places]
        largest = max(row_norms(E).max() for E in changes)
        text = "max ||E_i||, at most LJ eps0"
        self.assumptions.check("lipschitz", text, largest, "<=", self.LJ * self.eps0)

    def check_xi(self, xi):
        error, size = self.difference(self.J, self.r, self.J[self.places], self.r[self.places])
        text = "bound of the coreset's error"
        return self.assumptions.stated("xi", text, xi, error, slack=1e-12 * size)

    def difference(self, J, r, J_own, r_own):
        """||J'r - J_own'Gamma r_own||, and the size of the two terms."""
        gradients = np.einsum("icp,ic->ip", J, r)
        weighted = np.einsum("icp,ic->ip", J_own, r_own) * self.chosen.gamma[:, None]
        size = np.linalg.norm(gradients, axis=1).sum() + np.linalg.norm(weighted, axis=1).sum()
        return norm(gradients.sum(axis=0) - weighted.sum(axis=0)), float(size)

    def sides(self, augmented, slope, constants, fresh, *, frozen=False):
        """Both sides for (J, r, J_own, r_own); a gradient changes by at most slope times eps0.

        `fresh` says that the subset has perturbations of its own, `frozen` that r is clean.
        """
        n, LJ, eps0, xi = len(self.r), self.LJ, self.eps0, constants["xi"]
        limit = 1 / (n**1.5 * np.sqrt(LJ)) if LJ else np.inf
        self.assumptions.check("eps0", "eps0 of (27)", eps0, "<=", limit, silent=True)
        lhs, size = self.difference(*augmented)
        spread = self.chosen.spread
        count = float(n + spread.sum() if fresh else np.abs(1 - spread).sum())
        without_eps0 = Bound(lhs, xi + 2 * np.sqrt(LJ), scale=size)
        small = frozen and constants["rho"] * eps0 * count <= 2 / np.sqrt(LJ or 1.0)
        counts = {"n": n, "k": len(self.places), "k+": self.chosen.k_plus}
        return Sides(
            "5.1",
            lhs,
            xi + 2 * n**1.5 * LJ * eps0,
            xi + slope * eps0 * count,
            further_printed={"27": without_eps0} if eps0 <= limit else {},
            further={"c": without_eps0} if small else {},
            assumptions=self.assumptions.finish(),
            constants=counts | {"eps0": eps0, "LJ": LJ} | constants | {"sum": count},
            scale=size,
        )
