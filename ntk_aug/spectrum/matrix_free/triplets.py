"""The largest or smallest singular values of J, when neither J nor its kernel can be formed."""

from typing import NamedTuple

import jax
import numpy as np
from scipy import linalg

from ntk_aug.aliases import Bool, Float64, KeyLike, Progress
from ntk_aug.checks import check_at_least, check_count, check_kernel
from ntk_aug.randomness import as_key
from ntk_aug.spectrum.decomposition import Factors, largest_eigenvalue
from ntk_aug.spectrum.matrix_free.lanczos import KrylovBasis
from ntk_aug.spectrum.matrix_free.operators import CountedProducts, GramProducts, LinearMap
from ntk_aug.threads import lapack_threads

# Vectors held for the smallest values, whose gaps are narrow: each restart loses much.
_SMALLEST_BASIS = 200
_TINY = np.finfo(np.float64).tiny


class SingularTriplets(NamedTuple):
    """Some singular values of J, descending, with their vectors.

    Attributes:
      values: sigma_i = |J v_i|.
      left: u_i = J v_i / sigma_i, in columns; 0 if sigma_i is.
      right: v_i, in columns. (With fewer rows than columns, v_i is computed from u_i.)
      residuals: r / sigma_1, where r = |J' u_i - sigma_i v_i|, or the root of |J' J v_i - sigma_i^2
        v_i| if that is less. A singular value of J is within r of sigma_i, and usually within r^2 /
        gap.
      converged: which residuals are at most the tolerance.
      resolved: which values are above both r and sqrt(eps) sigma_1, with the eps of J's products;
        the others cannot be distinguished from 0, and their vectors are arbitrary.
      num_products: with J and with J'.
    """

    values: Float64[np.ndarray, " k"]
    left: Float64[np.ndarray, "N k"]
    right: Float64[np.ndarray, "P k"]
    residuals: Float64[np.ndarray, " k"]
    converged: Bool[np.ndarray, " k"]
    resolved: Bool[np.ndarray, " k"]
    num_products: int


class SmallestFactors(NamedTuple):
    """The smallest singular values of J from its kernel.

    Attributes:
      factors: values, descending, and left vectors.
      floor: sqrt(eps) sigma_1, eps of float64: rounding alone turns 0 into this.
      resolved: which values are above the floor.
    """

    factors: Factors
    floor: float
    resolved: Bool[np.ndarray, " k"]


def largest_singular_triplets(
    key: KeyLike,
    operator: LinearMap,
    k: int,
    *,
    tolerance: float = 1e-5,
    max_iterations: int = 300,
    progress: Progress | None = None,
) -> SingularTriplets:
    """Finds the k largest singular values by Lanczos iteration on the smaller of J' J and J J'.

    Values that have not converged are returned too, and marked.

    Args:
      key: of the first vector.
      operator: J.
      k: at most the smaller side of J.
      tolerance: of the residuals, in units of sigma_1; float32 products reach about 1e-6.
      max_iterations: restarts, each of about max(k, 20) / 2 products or somewhat more.
      progress: called with ("products", products done, an estimate of the total).

    Raises:
      InputError: k out of range, or less than one iteration.

    Reference:
      Wu, Simon: Thick-restart Lanczos method for large symmetric eigenvalue problems, 2000.
    """
    return _triplets(key, operator, k, True, tolerance, max_iterations, progress)


def smallest_singular_triplets(
    key: KeyLike,
    operator: LinearMap,
    k: int,
    *,
    tolerance: float = 1e-5,
    max_iterations: int = 300,
    progress: Progress | None = None,
) -> SingularTriplets:
    """Finds the k smallest of min(N, P) singular values; arguments as `largest_singular_triplets`.

    They are hard to find: the gaps between them are small compared with sigma_1, even more so in
    squares, and float32 products do not resolve values below 3.5e-4 of sigma_1. Look at `converged`
    and `resolved`. In exact arithmetic the i-th smallest value returned is never below the true
    one, but a residual does not tell whether a smaller one was missed. If the kernel can be formed,
    `smallest_of_kernel` is more reliable. Up to max(4 k, 200) vectors of length min(N, P) are held.
    """
    return _triplets(key, operator, k, False, tolerance, max_iterations, progress)


def smallest_of_kernel(
    kernel: Float64[np.ndarray, "N N"], num_params: int, k: int
) -> SmallestFactors:
    """The k smallest of min(N, P) singular values and their left vectors, from K = J J'.

    If P = num_params is below N, the N - P further zeros of K do not count. Raises InputError for a
    kernel that is not square or not finite, or k out of range.
    """
    kernel = check_kernel(kernel)
    N = len(kernel)
    check_count(k, min(N, num_params), "k (singular values)")
    first = max(N - num_params, 0)
    with lapack_threads(N):
        eigenvalues, vectors = linalg.eigh(kernel, subset_by_index=[first, first + k - 1])
    values = np.sqrt(np.maximum(eigenvalues[::-1], 0))
    floor = float(np.sqrt(np.finfo(np.float64).eps * max(largest_eigenvalue(kernel), 0)))
    return SmallestFactors(Factors(values, vectors[:, ::-1]), floor, values > floor)


def _triplets(key, operator, k, largest, tolerance, max_iterations, progress):
    check_count(k, min(operator.shape), "k (singular values)")
    check_at_least(max_iterations, 1, "max_iterations")
    check_at_least(tolerance, 0, "tolerance")
    gram = GramProducts(operator)
    side = gram.side
    size = min(side, max(2 * k + 1, 20) if largest else max(4 * k, _SMALLEST_BASIS))
    kept = (k + size) // 2
    # The last k are for the other side's vectors. The first guess is two restarts.
    restarts = 0 if size == side else min(2, max_iterations - 1)
    product = CountedProducts(gram, size + restarts * (size - kept) + k, progress)
    start_key, basis_key = jax.random.split(as_key(key))
    start = np.asarray(jax.random.normal(start_key, (side,)), np.float64)
    basis = KrylovBasis(basis_key, start, size)
    largest_square, excesses = 0.0, []
    for iteration in range(max_iterations):
        basis.fill(product)
        squares, S = linalg.eigh(basis.projected)
        largest_square = max(largest_square, squares[-1])
        order = np.argsort(-squares if largest else squares)
        squares, S = np.maximum(squares[order], 0), S[:, order]
        rest = basis.beta * np.abs(S[-1, :k])
        # Half, because the final residuals have rounding of their own.
        distances, wanted = _distance(rest, np.sqrt(squares[:k])), np.sqrt(largest_square) / 2
        if (distances <= tolerance * wanted).all() or iteration + 1 == max_iterations:
            break
        restarts = max_iterations - 1 - iteration
        if tolerance:
            excesses.append(distances.max() / max(tolerance * wanted, _TINY))
            restarts = min(restarts, _restarts_left(excesses))
        product.expect(product.count + restarts * (size - kept) + k)
        basis.restart(squares[:kept], S[:, :kept])
    vectors = basis.vectors @ S[:, :k]
    product.expect(product.count + k)
    found = _completed(gram, vectors, np.sqrt(largest_square), tolerance, operator, product.add_one)
    return found._replace(num_products=2 * product.count)


def _restarts_left(excesses):
    """Estimates the restarts left, from past ratios of the worst residual to the tolerance.

    It follows the mean rate of decrease, but is at most twice the number of past restarts: the rate
    is small at first, while the basis lacks the wanted vectors.
    """
    fall = np.log(excesses[0] / np.min(excesses)) / len(excesses)
    left = np.log(np.min(excesses)) / max(fall, 1e-9)
    return int(np.ceil(np.clip(left, 1, 2 * len(excesses))))


def _distance(rest, values):
    """The possible error of a singular value, given |A v - sigma^2 v| for A = J' J or J J'."""
    return np.minimum(rest / np.maximum(values, _TINY), np.sqrt(rest))


def _completed(gram, vectors, largest_value, tolerance, operator, report):
    """The other side's vectors and the residuals, from orthonormal vectors of one side."""
    others = np.stack([gram.there(vector) for vector in vectors.T], axis=1)
    values = np.linalg.norm(others, axis=0)
    # By rounding, the order may differ from that of the eigenvalues.
    order = np.argsort(-values)
    vectors, others, values = vectors[:, order], others[:, order], values[order]
    others /= np.maximum(values, _TINY)
    images = np.empty_like(vectors)
    for i, other in enumerate(others.T):
        images[:, i] = gram.back(other)
        report()
    rest = np.linalg.norm(images - values * vectors, axis=0) * values
    scale = max(largest_value, values[0], _TINY)
    residuals = _distance(rest, values) / scale
    left, right = (others, vectors) if gram.by_columns else (vectors, others)
    return SingularTriplets(
        values,
        left,
        right,
        residuals,
        residuals <= tolerance,
        values > np.maximum(residuals, np.sqrt(np.finfo(operator.dtype).eps)) * scale,
        0,  # the caller counts
    )
