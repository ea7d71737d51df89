"""A.5 and Eq. (44): the gradient error of a weighted subset, and the weights that (44) defines."""

from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Int
from ntk_aug.theory.arrays import ArrayLike, finite_array, norm, weighted_subset
from ntk_aug.theory.sides import Bound, Sides


class Assignment(NamedTuple):
    """The assignment pi of A.5.

    Attributes:
      positions: for each example, the position in S of the nearest member; the lowest on ties.
      gamma: number of examples assigned to each member of S; all but the first of duplicates in S
        have 0. The sum is n.
    """

    positions: Int[np.ndarray, " n"]
    gamma: Int[np.ndarray, " k"]


def assign(gradients: ArrayLike, subset: ArrayLike) -> Assignment:
    """Assigns each example to the member of S with the nearest gradient, as A.5 defines pi.

    Args:
      gradients: [n, P], g_i.
      subset: [k], indices of S.

    Raises:
      InputError: a gradient is not finite, or an index is out of range or repeated.
    """
    gradients = finite_array(gradients, "gradients", (None, None))
    chosen = weighted_subset(subset, None, len(gradients))
    distances = np.stack(
        [np.linalg.norm(gradients - gradients[j], axis=1) for j in chosen.indices], axis=1
    )
    positions = distances.argmin(axis=1)
    return Assignment(positions, np.bincount(positions, minlength=len(chosen.indices)))


def equation_44(gradients: ArrayLike, subset: ArrayLike) -> Sides:
    """Eq. (44): ||sum_i g_i - sum_j gamma_j g_j|| <= ||G_pi||_F with rows g_pi(i). FALSE.

    The rows must be differences D_i = g_i - g_pi(i), and a factor is missing:
        ||sum_i g_i - sum_j gamma_j g_j|| = ||sum_i D_i|| <= sum_i ||D_i|| <= sqrt(n - k) ||D||_F,
    because sum_j gamma_j g_j = sum_i g_pi(i), and D_i = 0 for i in S. Minimising the printed side
    selects the smallest gradients. The right objective is sum_i ||D_i|| (`further` "sum"), whose
    complement is monotone submodular; `coreset.facility_location` minimises it. The condition
    "C >= max s_ij" is empty, since s_ii = C; it should be C >= max ||g_i - g_j||.

    Args:
      gradients: [n, P], g_i.
      subset: [k], indices of S; its weights follow from (44).

    Raises:
      InputError: a gradient is not finite, or an index is out of range or repeated.
    """
    gradients = finite_array(gradients, "gradients", (None, None))
    positions, gamma = assign(gradients, subset)
    represented = gradients[np.asarray(subset)[positions]]
    D = gradients - represented
    n, k = len(gradients), len(gamma)
    lhs = norm(gradients.sum(axis=0) - gamma @ gradients[np.asarray(subset)])
    lengths, frobenius = np.linalg.norm(D, axis=1), float(np.linalg.norm(D))
    scale = float(np.linalg.norm(gradients, axis=1).sum())
    options: dict[str, Any] = {"tolerance": 1e-12, "scale": scale}
    return Sides(
        "A.5",
        lhs,
        float(np.linalg.norm(represented)),
        np.sqrt(n - k) * frobenius,
        further={"sum": Bound(lhs, lengths.sum(), **options)},
        constants={"n": n, "k": k, "k+": int((gamma > 0).sum()), "||D||_F": frobenius},
        **options,
    )
