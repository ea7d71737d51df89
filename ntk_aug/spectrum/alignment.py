"""Alignment of a kernel with the labels: for each eigenvector, and as a whole."""

from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Int, Labels
from ntk_aug.checks import check_at_least, check_kernel, check_labels
from ntk_aug.errors import InputError

Targets = Int[Array, " n"] | Float[Array, "n C"]


class LabelAlignment(NamedTuple):
    """The labels' squared norm, divided among orthonormal vectors.

    Attributes:
      shares: (u_i' y)^2 / |y|^2 of each vector; over a complete basis they sum to 1.
      cumulative: their running sum; 1 minus its last entry is outside the span of the vectors.
    """

    shares: Float64[np.ndarray, " r"]
    cumulative: Float64[np.ndarray, " r"]


def label_alignment(
    left: Float64[np.ndarray, "N r"], labels: Targets, *, centered: bool = False
) -> LabelAlignment:
    """The share of the labels along each vector.

    For a kernel of n images and C outputs, y is the one-hot matrix Y [n, C] as a vector with
    entries i * C + c. For a traced kernel [n, n] the share is |u_i' Y|^2 / ||Y||_F^2. Gradient flow
    on the squared loss fits the part along u_i at the rate lambda_i.

    Args:
      left: orthonormal columns, such as `Factors.left`.
      labels: classes [n], or targets [n, C] such as one-hot ones.
      centered: subtract each output's mean over the images first.

    Raises:
      InputError: labels that do not fit the vectors' length, or are zero (after centring).

    Reference:
      Arora, Du, Hu, Li, Wang: Fine-grained analysis of optimization and generalization for
      overparameterized two-layer neural networks, 2019, section 4.
    """
    Y = _targets(labels, len(left), centered)
    shares = ((left.T @ Y) ** 2).sum(axis=1) / np.sum(Y**2)
    return LabelAlignment(shares, np.cumsum(shares))


def label_shares(
    left: Float64[np.ndarray, "N r"], labels: Labels | None
) -> Float64[np.ndarray, " r"]:
    """The centred `label_alignment`'s shares; NaN without labels, or if all are the same."""
    if labels is None or np.ptp(labels) == 0:
        return np.full(left.shape[1], np.nan)
    return label_alignment(left, labels, centered=True).shares


def kernel_alignment(
    kernel: Float64[np.ndarray, "N N"], labels: Targets, *, centered: bool = False
) -> float:
    """<K, Y Y'>_F / (||K||_F ||Y Y'||_F), the cosine between the kernel and that of the labels.

    The kernel has rows i * C + c, where Y is one column, or is traced [n, n], where Y is [n, C].
    With `centered`, means over the images are subtracted from the kernel (on both sides) and the
    labels, so that what all images share does not count (Cortes et al. 2012). Labels and errors are
    those of `label_alignment`; the kernel must not be zero either.

    References:
      Cristianini, Shawe-Taylor, Elisseeff, Kandola: On kernel-target alignment, 2001.
      Cortes, Mohri, Rostamizadeh: Algorithms for learning kernels based on centered alignment,
      2012.
      Baratin et al.: Implicit regularization via neural feature alignment, 2021.
    """
    kernel = check_kernel(kernel)
    n = len(labels)
    Y = _targets(labels, len(kernel), centered)
    if centered:
        kernel = _without_means(_without_means(kernel, n).T, n).T
    norm = np.linalg.norm(kernel)
    if norm == 0:
        raise InputError("the kernel is zero")
    return float(np.sum(Y * (kernel @ Y)) / (norm * np.linalg.norm(Y.T @ Y)))


def _targets(labels, num_rows, centered):
    """Y [N, columns]: one column for a kernel of all outputs, C columns for a traced one."""
    n = len(labels)
    check_at_least(n, 1, "the number of labels")
    if np.ndim(labels) == 2:
        Y = np.asarray(labels, np.float64)
        if not np.isfinite(Y).all():
            raise InputError("targets hold NaN or infinity")
    else:
        # Classes without an example are zero columns, which change nothing.
        traced = num_rows == n
        classes = max(int(np.max(labels)) + 1, 1) if traced else max(num_rows // n, 1)
        Y = np.eye(classes)[check_labels(labels, n, classes)]
    if num_rows not in (n, Y.size):
        raise InputError(
            f"labels of {n} images and {Y.shape[1]} outputs do not fit {num_rows} rows of a "
            f"kernel: expected {Y.size}, or {n} of a traced kernel"
        )
    if centered:
        Y = Y - Y.mean(axis=0)
    if not np.any(Y):
        raise InputError("the labels are zero" + (" after centring: all are the same" * centered))
    return Y.reshape(num_rows, -1)


def _without_means(matrix, n):
    """Subtracts from each output's rows their mean over the n images."""
    by_image = matrix.reshape(n, -1, matrix.shape[1])
    return (by_image - by_image.mean(axis=0)).reshape(matrix.shape)
