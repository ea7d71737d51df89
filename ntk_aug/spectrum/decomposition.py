"""Singular values and subspaces of J and J~, from the three kernels or by direct SVD.

Both routes return a `SpectrumPair`. The kernel route never holds a Jacobian and resolves singular
values down to about 2e-8 of the largest; the direct SVD needs both Jacobians in float64 and
resolves down to eps * max(N, P).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg

from ntk_aug.aliases import Float, Float64
from ntk_aug.checks import check_kernel
from ntk_aug.ntk import KernelTriple
from ntk_aug.spectrum.subspaces import angles_from_overlaps, principal_angles
from ntk_aug.threads import lapack_threads

_EPS = np.finfo(np.float64).eps

BinAngles = Callable[[slice], Float64[np.ndarray, " m"]]


class Factors(NamedTuple):
    """Half of a singular value decomposition J = U S V'.

    Attributes:
      values: sigma_1 >= ... >= sigma_r >= 0, r = min(N, P).
      left: U [N, r]; column i belongs to sigma_i.
    """

    values: Float64[np.ndarray, " r"]
    left: Float64[np.ndarray, "N r"]


class SpectrumPair(NamedTuple):
    """The spectra of J and J~, and their comparison.

    Attributes:
      plain: of J.
      augmented: of J~.
      left_angles: from a bin of ranks to the principal angles, in degrees, between the bin's left
        singular subspaces of J and J~.
      right_angles: the same for right singular subspaces.
      perturbation_norm: ||J~ - J||, the largest singular value.
    """

    plain: Factors
    augmented: Factors
    left_angles: BinAngles
    right_angles: BinAngles
    perturbation_norm: float


def factors_of_kernel(kernel: Float64[np.ndarray, "N N"], num_params: int) -> Factors:
    """sigma_i = sqrt(lambda_i) and left singular vectors, from K = J J'.

    Rounding turns zero eigenvalues into about -eps * lambda_1; negative ones count as zero. Raises
    InputError for a kernel that is not square, or not finite.
    """
    kernel = check_kernel(kernel)
    rank = min(len(kernel), num_params)
    with lapack_threads(len(kernel)):
        eigenvalues, vectors = linalg.eigh(kernel, driver="evd")
    # A copy, contiguous by column: every later product reads whole columns.
    left = np.asfortranarray(vectors[:, ::-1][:, :rank])
    return Factors(np.sqrt(np.maximum(eigenvalues[::-1][:rank], 0)), left)


def pair_from_kernels(plain: Factors, triple: KernelTriple, num_params: int) -> SpectrumPair:
    """The pair from K, M and K~; `plain` is `factors_of_kernel(triple.plain, num_params)`.

    Right singular vectors are V = J' U S^-1, so their overlaps V' V~ = S^-1 U' M U~ S~^-1 need no
    vector of length P.
    """
    augmented = factors_of_kernel(triple.augmented, num_params)
    left_overlaps = plain.left.T @ augmented.left
    left_floor = 4 * len(left_overlaps) * _EPS
    overlaps = (
        _inverse(plain.values)[:, None]
        * (plain.left.T @ triple.cross @ augmented.left)
        * _inverse(augmented.values)
    )

    def right_angles(members):
        # The kernels' rounding, eps * sigma_1^2, is divided by the bin's own values.
        smallest = np.minimum(plain.values[members].min(), augmented.values[members].min())
        ratio = plain.values[0] / max(smallest, np.finfo(np.float64).tiny)
        floor = 4 * len(overlaps) * _EPS * min(ratio, 1 / _EPS) ** 2
        return angles_from_overlaps(overlaps, members, min(floor, 1.0))

    perturbation = triple.augmented - triple.cross - triple.cross.T + triple.plain
    return SpectrumPair(
        plain,
        augmented,
        lambda members: angles_from_overlaps(left_overlaps, members, left_floor),
        right_angles,
        float(np.sqrt(max(largest_eigenvalue(perturbation), 0))),
    )


def _inverse(values):
    """1 / sigma, and 0 for a null sigma, which has no right singular vector."""
    resolved = values > np.sqrt(_EPS) * values[0]
    return np.divide(1, values, out=np.zeros_like(values), where=resolved)


def largest_eigenvalue(matrix: Float64[np.ndarray, "N N"]) -> float:
    """The largest eigenvalue of a symmetric matrix."""
    last = len(matrix) - 1
    with lapack_threads(len(matrix)):
        return linalg.eigh(matrix, eigvals_only=True, subset_by_index=[last, last])[0]


def pair_from_jacobians(
    J: Float[np.ndarray, "N P"], J_augmented: Float[np.ndarray, "N P"]
) -> SpectrumPair:
    """The pair by two direct singular value decompositions, in float64."""
    J, J_augmented = J.astype(np.float64), J_augmented.astype(np.float64)
    U, s, Vt = linalg.svd(J, full_matrices=False)
    U_aug, s_aug, Vt_aug = linalg.svd(J_augmented, full_matrices=False)
    return SpectrumPair(
        Factors(s, U),
        Factors(s_aug, U_aug),
        lambda members: principal_angles(U[:, members], U_aug[:, members]),
        lambda members: principal_angles(Vt[members].T, Vt_aug[members].T),
        float(np.linalg.norm(J_augmented - J, 2)),
    )


def null_tolerance(
    values: Float64[np.ndarray, " r"], num_rows: int, num_params: int, backend: str, dtype: str
) -> float:
    """The singular value at or below which vectors are arbitrary: sigma_1 * resolution.

    The resolution is max(N, P) * eps for a direct SVD, and at least 2e-8 (sqrt(eps) = 1.5e-8) for
    values from a kernel. For float32 rows it is at least 1e-6, where rounding changes a singular
    value by per cents, and at least 4e-4 if neural_tangents sums in float32 (sqrt(eps) = 3.5e-4).
    """
    resolution: float = max(num_rows, num_params) * _EPS
    if backend != "svd":
        resolution = max(resolution, 2e-8)
    if dtype == "float32":
        resolution = max(resolution, 4e-4 if backend == "neural_tangents" else 1e-6)
    return resolution * float(values[0])
