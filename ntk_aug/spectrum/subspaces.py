"""Principal angles between subspaces, accurate for small and for large angles.

arccos cannot resolve angles below 1.5e-8 rad, where the cosine rounds to 1; arcsin cannot near 90
degrees. So angles below 45 degrees come from sines, others from cosines (Knyazev and Argentati
2002). scipy.linalg.subspace_angles intends the same, but as of 1.17 it applies the choice in the
opposite order.
"""

import numpy as np
from scipy import linalg

from ntk_aug.aliases import Float64


def principal_angles(
    A: Float64[np.ndarray, "d m"], B: Float64[np.ndarray, "d m"]
) -> Float64[np.ndarray, " m"]:
    """Principal angles between span A and span B, in degrees in [0, 90], largest first.

    The columns of A and of B are orthonormal, and of the same number.
    """
    inside = A.T @ B
    return _angles(inside, B - A @ inside)


def _angles(inside, outside):
    """From the parts of one orthonormal basis inside and outside the span of the other."""
    cosines = np.clip(np.linalg.svd(inside, compute_uv=False)[::-1], 0, 1)  # largest angle first
    sines = np.clip(np.linalg.svd(outside, compute_uv=False), 0, 1)
    return np.rad2deg(np.where(cosines**2 < 0.5, np.arccos(cosines), np.arcsin(sines)))


def angles_from_overlaps(
    overlaps: Float64[np.ndarray, "r r"], members: slice, floor: float = 0.0
) -> Float64[np.ndarray, " m"]:
    """Principal angles between two bins of orthonormal bases, given their overlaps C = V' V~ only.

    The cosines of the bin b = `members` are the singular values of C[b, b]. The sines are those of
    the part of V~_b outside span V_b: C[not b, b], stacked on the part outside span V, a square
    root of I - C[:, b]' C[:, b]. Eigenvalues of the latter at or below `floor` are rounding, and
    count as zero. Both bases have r vectors, and need not span the same space.

    Returns:
      Degrees in [0, 90], largest first.
    """
    inside = overlaps[members, members]
    columns = overlaps[:, members]
    others = np.delete(columns, members, axis=0)
    lost, vectors = linalg.eigh(np.eye(inside.shape[1]) - columns.T @ columns)
    lost = np.where(lost > floor, lost, 0)
    return _angles(inside, np.concatenate([others, np.sqrt(lost)[:, None] * vectors.T]))
