"""A.5 and Eq. (44): the error of a weighted subset, and the weights gamma that (44) defines."""

from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Int
from ntk_aug.theory.arrays import ArrayLike, finite_array, norm, weighted_subset
from ntk_aug.theory.sides import Bound, Sides


class Assignment(NamedTuple):
    """pi of A.5.

    Attributes:
      positions: for each example the position in S of its nearest member; the lowest on ties.
      gamma: how many examples each member of S stands for. They sum to n; of duplicates within S
        all but the first have 0.
    """

    positions: Int[np.ndarray, " n"]
    gamma: Int[np.ndarray, " k"]


def assign(gradients: ArrayLike, subset: ArrayLike) -> Assignment:
    """Assigns every example to the member of S with the nearest gradient, as A.5 defines pi.

    Args:
      gradients: [n, P], g_i.
      subset: [k], places of S.

    Raises:
      InputError: gradients that are not finite, indices outside of them or twice.
    """
    gradients = finite_array(gradients, "gradients", (None, None))
    chosen = weighted_subset(subset, None, len(gradients))
    distances = np.stack(
        [np.linalg.norm(gradients - gradients[j], axis=1) for j in chosen.indices], axis=1
    )
    positions = distances.argmin(axis=1)
    return Assignment(positions, np.bincount(positions, minlength=len(chosen.indices)))


def equation_44(gradients: ArrayLike, subset: ArrayLike) -> Sides:
    """||sum_i g_i - sum_j gamma_j g_j|| <= ||G_pi||_F with rows g_pi(i). FALSE.

    Rows have to be differences D_i = g_i - g_pi(i), and a factor is missing:
        ||sum_i g_i - sum_j gamma_j g_j|| = ||sum_i D_i|| <= sum_i ||D_i|| <= sqrt(n - k) ||D||_F,
    because sum_j gamma_j g_j = sum_i g_pi(i), and D_i = 0 for i in S. Minimising the printed side
    picks the smallest gradients. The right objective is the sum in the middle (`further` "sum"),
    whose complement is monotone submodular; `coreset.facility_location` minimises it.

    Also "C >= max s_ij" says nothing, since s_ii = C; meant is C >= max ||g_i - g_j||.

    Args:
      gradients: [n, P], g_i.
      subset: [k], S; its weights follow from (44).

    Raises:
      InputError: gradients that are not finite, indices outside of them or twice.
    """
    gradients = finite_array(gradients, "gradients", (None, None))
    positions, gamma = assign(gradients, subset)
    represented = gradients[np.asarray(subset)[positions]]
    D = gradients - represented
    n, k = len(gradients), len(gamma)
    lhs = norm(gradients.sum(axis=0) - gamma @ gradients[np.asarray(subset)])
    lengths = np.linalg.norm(D, axis=1)
    options: dict[str, Any] = {
        "tolerance": 1e-12,
        "scale": float(np.linalg.norm(gradients, axis=1).sum()),
    }
    return Sides(
        "A.5",
        lhs,
        float(np.linalg.norm(represented)),
        np.sqrt(n - k) * float(np.linalg.norm(D)),
        further={"sum": Bound(lhs, lengths.sum(), **options)},
        constants={
            "n": n,
            "k": k,
            "k+": int((gamma > 0).sum()),
            "||D||_F": float(np.linalg.norm(D)),
        },
        **options,
    )
