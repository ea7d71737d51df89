"""The largest singular values of J where neither J nor its kernel can be formed."""

from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse import linalg

from ntk_aug.aliases import Bool, Float, KeyArray, Progress
from ntk_aug.checks import InputError, check_count
from ntk_aug.jacobian import JacobianOperator


class LargestSingularTriplets(NamedTuple):
    """The k largest singular values of J with their vectors.

    Attributes:
      values: sigma_1 >= ... >= sigma_k.
      left: u_i = J v_i / sigma_i, in columns.
      right: v_i, in columns.
      residuals: |J' u_i - sigma_i v_i| / sigma_1. A singular value of J is within
        residual * sigma_1 of sigma_i, and most often within its square.
      converged: which residuals are at most the tolerance that was asked for.
      num_products: with J and with J' that it took.
    """

    values: Float[np.ndarray, " k"]
    left: Float[np.ndarray, "N k"]
    right: Float[np.ndarray, "P k"]
    residuals: Float[np.ndarray, " k"]
    converged: Bool[np.ndarray, " k"]
    num_products: int


def largest_singular_triplets(
    key: KeyArray,
    operator: JacobianOperator,
    k: int,
    *,
    tolerance: float = 1e-5,
    max_iterations: int | None = None,
    progress: Progress | None = None,
) -> LargestSingularTriplets:
    """Finds the k largest singular values by Lanczos iteration on J' J or J J', the smaller one.

    Args:
      key: of the first vector.
      operator: J.
      k: how many, below the smaller side of J.
      tolerance: of the residuals; float32 rows do not get below about 1e-6.
      max_iterations: restarts of ARPACK; None takes its own default.
      progress: called with ("products", products done, an estimate of all).

    Raises:
      InputError: a k that is out of range, or too few iterations to find k values at all.

    Reference:
      Lehoucq, Sorensen, Yang: ARPACK Users' Guide, 1998.
    """
    side = min(operator.shape)
    check_count(k, side - 1, "k (singular values)")
    by_columns = operator.shape[1] == side
    count, expected = 0, 6 * k

    def product(vector):
        nonlocal count
        count += 1
        if progress:
            progress("products", count, max(count, expected))
        vector = np.asarray(vector, operator.dtype)
        if by_columns:
            return operator.rmatvec(operator.matvec(vector))
        return operator.matvec(operator.rmatvec(vector))

    start = np.asarray(jax.random.normal(key, (side,)), operator.dtype)
    normal = linalg.LinearOperator((side, side), matvec=product, dtype=operator.dtype)
    try:
        eigenvalues, vectors = linalg.eigsh(
            normal, k, which="LA", v0=start, maxiter=max_iterations, tol=tolerance
        )
    except linalg.ArpackNoConvergence as error:
        raise InputError(
            f"{len(error.eigenvalues)} of {k} singular values converged within max_iterations = "
            f"{max_iterations}: allow more, or a tolerance above {tolerance:g}"
        ) from None
    except linalg.ArpackError as error:
        raise InputError(f"ARPACK fails on this Jacobian, which may be zero: {error}") from None
    vectors = vectors[:, np.argsort(-eigenvalues)]
    return _triplets(operator, vectors, by_columns, tolerance, count)


def _triplets(operator, vectors, by_columns, tolerance, count):
    """The other side's vectors and the residuals, from orthonormal vectors of one side."""
    there, back = operator.matvec, operator.rmatvec
    if not by_columns:
        there, back = back, there
    others, values, residuals = [], [], []
    for vector in vectors.T:
        other = there(vector).astype(np.float64)
        value = np.linalg.norm(other)
        other /= max(value, np.finfo(np.float64).tiny)
        residuals.append(np.linalg.norm(back(other.astype(operator.dtype)) - value * vector))
        others.append(other)
        values.append(value)
    # Equal values may come in another order than their eigenvalues, by rounding.
    order = np.argsort(-np.array(values))
    values, residuals = np.array(values)[order], np.array(residuals)[order] / max(values)
    vectors, others = vectors[:, order], np.stack(others, axis=1)[:, order]
    left, right = (others, vectors) if by_columns else (vectors, others)
    return LargestSingularTriplets(
        values, left, right, residuals, residuals <= tolerance, 2 * (count + len(values))
    )
