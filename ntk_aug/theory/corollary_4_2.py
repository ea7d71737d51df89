"""Corollary 4.2, Eq. (16)-(19): the main terms of a generalisation bound by the NTK.

The source (Arora et al. 2019, Theorem 5.1) bounds the population loss of a wide two-layer ReLU
network by sqrt(2 y'H^-1 y / n) + O(sqrt(log(n / (lambda0 delta)) / n)). The printed (16) omits the
square root of the remainder, writes n for eta in the number of steps, and gives the conclusion the
probability delta / 3 of an assumption. The remainder O(log 1/delta) of (17)-(19) does not decay
with n, so it bounds nothing. Only the main terms are compared here.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from ntk_aug.aliases import Float64
from ntk_aug.checks import check_kernel
from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import ArrayLike, finite_array, jacobian_pair, norm, number_in
from ntk_aug.theory.sides import Assumptions, Bound, Sides

ROUNDING = 1e-13
"""Rounding error of the smallest value, by which main terms divide, relative to the largest."""


def arora_kernel(X: ArrayLike) -> Float64[np.ndarray, "n n"]:
    """Computes the source's kernel H_ij = x_i'x_j (pi - arccos x_i'x_j) / (2 pi) [n, n].

    It is the infinite-width kernel of a two-layer ReLU network whose first layer is trained.

    Args:
      X: [n, d], unit vectors.

    Raises:
      InputError: a vector is not of length 1.
    """
    X = finite_array(X, "X", (None, None))
    off = np.abs(np.linalg.norm(X, axis=1) - 1)
    if off.max() > 1e-9:
        raise InputError(f"row {int(off.argmax())} of X has a norm {off.max():.2g} away from 1")
    inner = np.clip(X @ X.T, -1, 1)
    return inner * (np.pi - np.arccos(inner)) / (2 * np.pi)


def main_term(kernel: Any, y: ArrayLike) -> float:
    """Computes sqrt(2 y'K^-1 y / n), the main term of (16), from K [n, n] and targets y [n].

    Raises:
      InputError: the kernel is not positive definite, or the shapes do not match.
    """
    kernel = _symmetric(kernel)
    y = finite_array(y, "y", (len(kernel),))
    lowest = np.linalg.eigvalsh(kernel)[0]
    if not lowest > 0:
        raise InputError(f"the smallest eigenvalue of the kernel is {lowest:.3g}, expected above 0")
    return float(np.sqrt(2 * y @ np.linalg.solve(kernel, y) / len(y)))


def _symmetric(kernel):
    kernel = check_kernel(finite_array(kernel, "the kernel", (None, None)))
    off = np.abs(kernel - kernel.T).max()
    if off > 1e-5 * np.abs(kernel).max():  # float32 kernels are symmetric up to 1e-6
        raise InputError(f"the kernel differs from its transpose by {off:.3g}, expected symmetric")
    return (kernel + kernel.T) / 2


def equation_18(kernel: Any, y: ArrayLike, *, drop: Collection[str] = ()) -> Sides:
    """Eq. (17)-(18): sqrt(2 y'K^-1 y / n) <= sqrt(2 / sigma_min^2). HOLDS for ||y||^2 <= n.

    `further` "17" is the bound sqrt(2 ||y||^2 / (lambda_min n)) of (17).

    Args:
      kernel: [n, n], K of a network of any width; sigma_min^2 is its smallest eigenvalue.
      y: [n], targets.
      drop: see `Assumptions`; "targets".

    Raises:
      InputError: as in `main_term`.
      AssumptionError: ||y||^2 exceeds n.
    """
    kernel = _symmetric(kernel)
    lhs = main_term(kernel, y)
    y = np.asarray(y, np.float64)
    values = np.linalg.eigvalsh(kernel)
    lowest = float(values[0])
    tolerance = 1e-9 + ROUNDING * float(values[-1]) / lowest
    assumptions = Assumptions(drop)
    assumptions.check("targets", "||y||^2, at most n", y @ y, "<=", len(y))
    right = float(np.sqrt(2 / lowest))
    return Sides(
        "4.2-18",
        lhs,
        right,
        right,
        further={"17": Bound(lhs, np.sqrt(2 * (y @ y) / lowest / len(y)), tolerance=tolerance)},
        assumptions=assumptions.finish(),
        constants={"lambda_min": lowest, "n": len(y)},
        tolerance=tolerance,
    )


def equation_19(
    J: ArrayLike, E: ArrayLike, *, e: float | None = None, drop: Collection[str] = ()
) -> Sides:
    """Eq. (19), main terms: sqrt2 / sigma~_min <= sqrt2 / (sigma_min + e). FALSE direction.

    sigma~_min <= sigma_min + e bounds sqrt2 / sigma~_min from below: it is the best case of
    augmentation, not a guarantee. Corrected, for in-place augmentation and sigma_min > e:
    sqrt2 / sigma~_min <= sqrt2 / (sigma_min - e). `further`: "best case" is the printed inequality
    reversed; "appended" and "merged" are for appending instead of replacing, which can only lower
    the smallest value: sigma_min([J; J~]) <= min(sigma_min, sigma~_min), and <= ||E|| / sqrt2.

    Args:
      J: [N, P], N <= P.
      E: [N, P], J~ - J.
      e: upper bound of ||E||, such as sqrt(n) LJ eps0; defaults to ||E||.
      drop: see `Assumptions`; "e" and "sigma_min > e".

    Raises:
      InputError: the shapes do not match, or sigma~_min is 0.
      AssumptionError: e is below ||E||, or sigma_min is not above e.
    """
    J, E = jacobian_pair(J, E, wide=True)
    e_exact = norm(E)
    e = e_exact if e is None else number_in(e, "e", 0)
    values = [np.linalg.svd(A, compute_uv=False) for A in (J, J + E, np.vstack([J, J + E]))]
    smallest, smallest_aug = (float(v[-1]) for v in values[:2])
    if not smallest_aug > 0:
        raise InputError("the smallest singular value of J + E is 0: the main term is infinite")
    largest = values[2][0]
    # [J; J~] has 2 N values; those beyond P are 0.
    appended = float(values[2][-1]) if 2 * J.shape[0] <= J.shape[1] else 0.0
    assumptions = Assumptions(drop)
    assumptions.check("e", "bound of ||E||", e, ">=", e_exact)
    assumptions.check("sigma_min > e", "sigma_min - e", smallest - e, ">=", 1e-12 * largest)
    lhs, root = np.sqrt(2) / smallest_aug, np.sqrt(2)
    divided = min(smallest_aug, smallest + e, abs(smallest - e) or np.inf)
    tolerance = 1e-10 + ROUNDING * largest / divided
    options: dict[str, Any] = {"tolerance": 1e-12, "scale": largest}
    return Sides(
        "4.2-19",
        lhs,
        root / (smallest + e),
        root / (smallest - e) if smallest != e else np.inf,
        further={
            "best case": Bound(root / (smallest + e), lhs, tolerance=tolerance),
            "appended": Bound(appended, min(smallest, smallest_aug), **options),
            "merged": Bound(appended, e_exact / root, **options),
        },
        assumptions=assumptions.finish(),
        constants={"sigma_min": smallest, "sigma~_min": smallest_aug, "e": e},
        tolerance=tolerance,
    )
