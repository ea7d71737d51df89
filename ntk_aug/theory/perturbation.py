"""Facts F1 to F4: how singular values and vectors change from J to J~ = J + E.

The paper's statements rest on these facts; here they have explicit constants. sigma_i are the
singular values of J [N, P] in descending order, u_i and v_i its left and right singular vectors;
those of J~ carry a tilde. ||.|| is the spectral norm of a matrix.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float, Float64
from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import (
    ArrayLike,
    finite_array,
    jacobian_pair,
    norm,
    number_in,
    row_norms,
    steepest_slope,
)
from ntk_aug.theory.sides import Assumptions, Bound, Sides

VALUES_TOLERANCE = 1e-12
"""Rounding error of singular values, relative to the largest."""
ANGLES_TOLERANCE = 1e-9
"""Absolute rounding error of sines."""
ROUNDING = 4 * np.finfo(np.float64).eps
"""Backward error of a decomposition of J, relative to max(N, P) sigma_1.

Bounds on singular vectors add it to ||E||, because the vectors of values that are equal up to
rounding are arbitrary, however small ||E|| is.
"""


class _Decompositions(NamedTuple):
    """The thin singular value decompositions of J and J~."""

    sigma: Float64[np.ndarray, " N"]
    sigma_aug: Float64[np.ndarray, " N"]
    U: np.ndarray
    U_aug: np.ndarray
    V: np.ndarray
    V_aug: np.ndarray
    e: float

    @property
    def rounding(self) -> float:
        """See `ROUNDING`; 0 if J~ = J, since both decompositions are then the same."""
        largest = max(self.sigma[0], self.sigma_aug[0])
        return float(ROUNDING * max(len(self.U), len(self.V)) * largest) if self.e else 0.0


def _decompose(J, E):
    J, E = jacobian_pair(J, E)
    U, sigma, Vt = np.linalg.svd(J, full_matrices=False)
    U_aug, sigma_aug, Vt_aug = np.linalg.svd(J + E, full_matrices=False)
    return J, E, _Decompositions(sigma, sigma_aug, U, U_aug, Vt.T, Vt_aug.T, norm(E))


def fact_1(J: ArrayLike, E: ArrayLike) -> Sides:
    """F1 (Weyl): |sigma~_i - sigma_i| <= ||E||, paired by rank. HOLDS.

    `further`: "eigenvalues" is |lambda~_i - lambda_i| <= 2 sigma_i ||E|| + ||E||^2; "lowest" is
    lambda~_i >= max(sigma_i - ||E||, 0)^2; "trace" is the identity
    sum_i lambda~_i = sum_i lambda_i + 2 <J, E> + ||E||_F^2.

    Args:
      J: [N, P].
      E: [N, P], J~ - J.

    Raises:
      InputError: the shapes differ, or a value is not finite.
    """
    J, E, found = _decompose(J, E)
    sigma, moved, e = found.sigma, found.sigma_aug, found.e
    largest = max(sigma[0], moved[0])
    squares: dict[str, Any] = {"tolerance": VALUES_TOLERANCE, "scale": largest**2}
    trace = (sigma**2).sum() + 2 * (J * E).sum() + (E**2).sum()
    return Sides(
        "F1",
        np.abs(moved - sigma),
        None,
        np.full_like(sigma, e),
        further={
            "eigenvalues": Bound(np.abs(moved**2 - sigma**2), 2 * sigma * e + e**2, **squares),
            "lowest": Bound(moved**2, np.maximum(sigma - e, 0) ** 2, ">=", **squares),
            "trace": Bound((moved**2).sum(), trace, "==", **squares),
        },
        constants={"||E||": e, "sigma_1": sigma[0]},
        tolerance=VALUES_TOLERANCE,
        scale=largest,
    )


def fact_2(
    E: ArrayLike,
    distances: ArrayLike,
    *,
    jacobian_lipschitz: float,
    output_lipschitz: float | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """F2: ||E|| <= sqrt(n) LJ eps0. SILENT: L must be the Lipschitz constant of x -> J(W, x).

    ||E||^2 <= sum_i ||E_i||^2 <= n LJ^2 eps0^2, where E_i are the rows of example i. The paper
    defines L as the Lipschitz constant of the outputs, with which the statement is false; that is
    the printed form here. A ReLU network has no LJ: J jumps where a unit switches.

    `further`: "rows" is ||E_i|| <= LJ ||x~_i - x_i||, "sum" is ||E||^2 <= sum_i ||E_i||^2.

    Args:
      E: [n, C, P], J~ - J by example.
      distances: [n], ||x~_i - x_i||; eps0 is the largest.
      jacobian_lipschitz: LJ; infinite if there is none.
      output_lipschitz: Lf, of x -> f(W, x), for the printed form; defaults to LJ.
      drop: see `Assumptions`; "lipschitz".

    Raises:
      InputError: the shapes do not match, or a distance is negative.
      AssumptionError: LJ is not a Lipschitz constant for these rows.
    """
    E = finite_array(E, "E", (None, None, None))
    n = len(E)
    distances = finite_array(distances, "distances", (n,))
    if distances.min() < 0:
        raise InputError(f"distances has {distances.min():g}, expected at least 0")
    LJ = (
        jacobian_lipschitz
        if jacobian_lipschitz == np.inf
        else number_in(jacobian_lipschitz, "jacobian_lipschitz", 0)
    )
    Lf = LJ if output_lipschitz is None else number_in(output_lipschitz, "output_lipschitz", 0)
    rows, eps0, whole = row_norms(E), float(distances.max()), norm(E.reshape(-1, E.shape[-1]))
    steepest = steepest_slope(rows, distances)
    assumptions = Assumptions(drop)
    assumptions.check("lipschitz", "||E_i|| / ||x~_i - x_i||, at most LJ", steepest, "<=", LJ)
    with np.errstate(invalid="ignore"):  # LJ may be infinite: an input that stays allows no change
        allowed = np.where(distances > 0, LJ * distances, 0.0)
    return Sides(
        "F2",
        whole,
        np.sqrt(n) * Lf * eps0 if eps0 else 0.0,
        np.sqrt(n) * LJ * eps0 if eps0 else 0.0,
        further={"rows": Bound(rows, allowed), "sum": Bound(whole, np.sqrt((rows**2).sum()))},
        assumptions=assumptions.finish(),
        constants={"LJ": LJ, "Lf": Lf, "eps0": eps0, "n": n},
    )


def fact_3(J: ArrayLike, E: ArrayLike) -> Sides:
    """F3 (Wedin): sin angle(u_i, u~_i) <= min(1, 2 sqrt2 ||E|| / gap_i). HOLDS for any E.

    gap_i = min_{j != i} |sigma_i - sigma_j|. `further`: "left" and "right" are
    sin <= sqrt2 ||E|| / dl_i with dl_i = min_{j != i} |sigma~_i - sigma_j|, where the null space of
    the longer side counts as a value 0. "blocks" bounds the spans of consecutive thirds of the
    ranks, for which gaps within a block do not matter:
    ||sin Theta||_F <= sqrt(||E V~_I||_F^2 + ||E' U~_I||_F^2) / dl_I.

    The constant must be at least 2: `instances.spectral.f3_swap` swaps two vectors.

    Args:
      J: [N, P].
      E: [N, P], J~ - J.

    Raises:
      InputError: the shapes differ, a value is not finite, or J has a single singular value.
    """
    J, E, found = _decompose(J, E)
    sigma, moved = found.sigma, found.sigma_aug
    if len(sigma) < 2:
        raise InputError("J has one singular value, expected at least 2: a gap needs two")
    left, right = _sines(found.U, found.U_aug), _sines(found.V, found.V_aug)
    gaps = nearest_gaps(sigma, sigma)
    shifted = nearest_gaps(moved, sigma)
    e = found.e + found.rounding
    rows, columns = J.shape
    of_left = np.minimum(shifted, moved) if rows > columns else shifted
    of_right = np.minimum(shifted, moved) if columns > rows else shifted
    options: dict[str, Any] = {"tolerance": ANGLES_TOLERANCE, "scale": 1.0}
    return Sides(
        "F3",
        np.concatenate([left, right]) if rows == columns else (left if rows < columns else right),
        None,
        np.tile(wedin_bound(e, gaps), 2 if rows == columns else 1),
        further={
            "left": Bound(left, wedin_bound(e, of_left, constant=np.sqrt(2)), **options),
            "right": Bound(right, wedin_bound(e, of_right, constant=np.sqrt(2)), **options),
            "blocks": _block_bound(E, found, rows <= columns, options),
        },
        constants={"||E||": found.e, "gap0": gaps.min()},
        **options,
    )


def wedin_bound(
    e: float, gaps: Float[np.ndarray, " N"], *, constant: float = 2 * np.sqrt(2)
) -> Float64[np.ndarray, " N"]:
    """min(1, constant e / gap): 1 for a gap of 0, and 0 for e = 0."""
    if e == 0:
        return np.zeros(len(gaps))
    with np.errstate(divide="ignore"):
        return np.minimum(1.0, constant * e / gaps)


def _sines(A, B):
    """|sin| of the angle between each column of A and the same column of B."""
    return np.linalg.norm(B - A * (A * B).sum(axis=0), axis=0)


def nearest_gaps(
    values: Float[np.ndarray, " N"], others: Float[np.ndarray, " N"]
) -> Float64[np.ndarray, " N"]:
    """The smallest |values_i - others_j| over j != i, for each i; infinite for a single value."""
    differences = np.abs(values[:, None] - others[None])
    np.fill_diagonal(differences, np.inf)
    return differences.min(axis=1)


def _block_bound(E, found, of_left, options):
    """Bounds ||sin Theta||_F for three blocks of ranks, on the shorter side."""
    A, B = (found.U, found.U_aug) if of_left else (found.V, found.V_aug)
    sines, bounds = [], []
    for members in np.array_split(np.arange(len(found.sigma)), min(3, len(found.sigma))):
        others = np.setdiff1d(np.arange(len(found.sigma)), members)
        inside = A[:, members].T @ B[:, members]
        sines.append(np.linalg.norm(B[:, members] - A[:, members] @ inside))
        if not len(others):
            bounds.append(0.0)
            continue
        dl = np.abs(found.sigma_aug[members][:, None] - found.sigma[others]).min() - found.rounding
        products = (E @ found.V_aug[:, members], E.T @ found.U_aug[:, members])
        moved = np.hypot(*map(np.linalg.norm, products))
        bounds.append((moved + found.rounding) / dl if dl > 0 else np.inf)
    return Bound(np.array(sines), np.array(bounds), **options)


def fact_4(J: ArrayLike, E: ArrayLike, y: ArrayLike) -> Sides:
    """F4: (u~_i'y)^2 <= (u_i'y)^2 + ||y||^2 sin angle(u_i, u~_i), from (48) to (49). SILENT.

    The printed slack is 2 n sqrt2 ||E|| / gap0. It follows from F3 for any E, but needs
    ||y||^2 <= n. `further` "gaps" has the slack 2 sqrt2 ||y||^2 ||E|| / gap_i of each rank's gap.

    Args:
      J: [N, P], N <= P.
      E: [N, P], J~ - J.
      y: [N], targets of the rows.

    Raises:
      InputError: the shapes do not match, or a value is not finite.
    """
    J, E, found = _decompose(*jacobian_pair(J, E, wide=True))
    y = finite_array(y, "y", (len(J),))
    squared = float(y @ y)
    before, after = (found.U.T @ y) ** 2, (found.U_aug.T @ y) ** 2
    gaps = nearest_gaps(found.sigma, found.sigma) if len(found.sigma) > 1 else np.array([np.inf])
    n = len(y)
    assumptions = Assumptions()
    assumptions.check("targets", "||y||^2, at most n", squared, "<=", n, silent=True)
    slack = 2 * np.sqrt(2) * (found.e + found.rounding)
    with np.errstate(divide="ignore", invalid="ignore"):
        printed = before + (n * slack / gaps.min() if slack else 0.0)
        own = before + (np.where(slack > 0, slack / gaps, 0.0) * squared if squared else 0.0)
    options: dict[str, Any] = {"scale": squared, "tolerance": ANGLES_TOLERANCE}
    return Sides(
        "F4",
        after,
        printed,
        before + squared * _sines(found.U, found.U_aug),
        further={"gaps": Bound(after, own, **options)},
        assumptions=assumptions.finish(),
        constants={"||E||": found.e, "gap0": gaps.min(), "||y||^2": squared},
        **options,
    )
