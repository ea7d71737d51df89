"""Trace, Frobenius norm and effective ranks of K = J J' from products with random vectors."""

from typing import NamedTuple

import jax
import numpy as np
from scipy import linalg

from ntk_aug.aliases import Array, Float, KeyLike, Progress
from ntk_aug.checks import check_at_least, check_kernel
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key
from ntk_aug.spectrum.matrix_free.lanczos import KrylovBasis
from ntk_aug.spectrum.matrix_free.operators import CountedProducts, GramProducts, LinearMap

# Samples between two looks at the standard errors.
_BETWEEN_LOOKS = 10


class Estimate(NamedTuple):
    """A random estimate.

    Attributes:
      value: the estimate.
      standard_error: its standard deviation, estimated from the samples.
    """

    value: float
    standard_error: float

    @property
    def relative_error(self) -> float:
        """The standard error divided by the value; 0 if both are."""
        return self.standard_error / abs(self.value) if self.standard_error else 0.0


class KernelMoments(NamedTuple):
    """Moments of K from products with random vectors.

    Attributes:
      trace: tr K = ||J||_F^2, unbiased.
      frobenius_norm: ||K||_F, the root of an unbiased estimate of its square.
      participation_ratio: (tr K)^2 / ||K||_F^2, an effective rank: r if r eigenvalues are equal and
        the others zero.
      num_samples: random vectors.
      converged: whether all relative errors are at most the requested one; True if none was.
    """

    trace: Estimate
    frobenius_norm: Estimate
    participation_ratio: Estimate
    num_samples: int
    converged: bool


class EntropyRank(NamedTuple):
    """The effective rank of Roy and Vetterli, with bounds of its quadrature.

    Attributes:
      rank: exp(-sum_i p_i ln p_i), p_i = lambda_i / tr K, at the middle of the bounds.
      lower, upper: the rank at the quadrature's bounds, which approach each other as the steps
        grow. The standard error comes on top.
      num_samples, converged: as in `KernelMoments`.
    """

    rank: Estimate
    lower: float
    upper: float
    num_samples: int
    converged: bool


def estimate_moments(
    key: KeyLike,
    operator: LinearMap | Float[Array, "N N"],
    *,
    num_samples: int = 100,
    relative_error: float | None = None,
    progress: Progress | None = None,
) -> KernelMoments:
    """Estimates trace, Frobenius norm and participation ratio of K, one product for each sample.

    For a vector z of random signs E z' K z = tr K and E |K z|^2 = ||K||_F^2, where K is the smaller
    of J J' and J' J. The variance of z' K z is 2 (||K||_F^2 - sum_i K_ii^2), so with S samples the
    relative error of the trace is at most sqrt(2 / (S participation_ratio)): for 100 samples, 14 %
    if one eigenvalue dominates and 1.4 % if a hundred are equal. Errors of root and ratio use the
    delta method; their bias is of order 1 / S.

    Args:
      key: of the random vectors.
      operator: J by its products; an array is K itself.
      num_samples: the largest number of random vectors.
      relative_error: stop when the relative standard errors of all three are at most this. It is
        checked every 10 samples, which makes the stated error slightly too small.
      progress: called with ("products", products done, total).

    Raises:
      InputError: fewer than 2 samples, an array that is not square, a kernel that is zero or not
        finite.

    References:
      Hutchinson: A stochastic estimator of the trace of the influence matrix, 1990.
      Avron, Toledo: Randomized algorithms for estimating the trace of a matrix, 2011.
    """
    product, side = _kernel_product(operator, num_samples, progress)

    def sample(_, z):
        image = product(z)
        return z @ image, image @ image

    def quantities(means):
        trace, square = means
        return {
            "trace": (trace, np.array([1 / trace, 0])),
            "frobenius_norm": (np.sqrt(square), np.array([0, 0.5 / square])),
            "participation_ratio": (trace**2 / square, np.array([2 / trace, -1 / square])),
        }

    found, _, samples, converged = _sampled(
        key, side, sample, quantities, num_samples, relative_error
    )
    product.finish()
    return KernelMoments(**found, num_samples=samples, converged=converged)


def estimate_entropy_rank(
    key: KeyLike,
    operator: LinearMap | Float[Array, "N N"],
    *,
    num_samples: int = 30,
    num_steps: int = 30,
    relative_error: float | None = None,
    progress: Progress | None = None,
) -> EntropyRank:
    """Estimates exp(entropy of the normalised eigenvalues of K) by stochastic Lanczos quadrature.

    The entropy is ln tr K - tr(K ln K) / tr K, and z' K ln K z is an integral of x ln x, for which
    Lanczos iteration from z gives Gauss's rule. The even derivatives of x ln x are positive and the
    odd ones from the third on negative, so Gauss's rule is a lower bound of the integral and the
    Gauss-Radau rule with a node at 0 an upper bound. `num_steps` is the number of products for each
    sample; min(N, P) steps are exact. Other arguments are those of `estimate_moments`.

    Raises:
      InputError: as `estimate_moments`; fewer than 1 step.

    References:
      Roy, Vetterli: The effective rank: a measure of effective dimensionality, 2007.
      Ubaru, Chen, Saad: Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, 2017.
      Golub, Meurant: Matrices, moments and quadrature with applications, 2010, chapter 6.
    """
    check_at_least(num_steps, 1, "num_steps")
    product, side = _kernel_product(operator, num_samples, progress)
    steps = min(num_steps, side)
    product.expect(num_samples * steps)

    def sample(own_key, z):
        basis = KrylovBasis(own_key, z, steps)
        basis.fill(product)
        trace, lower, upper = _quadratures(basis)
        square = z @ z
        return square * trace, square * (lower + upper) / 2, square * lower, square * upper

    def quantities(means):
        trace, middle, *_ = means
        gradient = np.array([1 / trace + middle / trace**2, -1 / trace, 0, 0])
        return {"rank": (_entropy_rank(trace, middle), gradient)}

    found, means, samples, converged = _sampled(
        key, side, sample, quantities, num_samples, relative_error
    )
    product.finish()
    trace, _, lower, upper = means
    return EntropyRank(
        **found,
        lower=_entropy_rank(trace, upper),
        upper=_entropy_rank(trace, lower),
        num_samples=samples,
        converged=converged,
    )


def _entropy_rank(trace, integral):
    return float(np.exp(np.log(trace) - integral / trace))


def _quadratures(basis):
    """Of x, and of x ln x by Gauss and by Gauss-Radau, for the measure of the first vector."""
    T, beta = basis.projected, basis.beta
    nodes, vectors = linalg.eigh(T)
    lower = vectors[0] ** 2 @ _x_ln_x(nodes)
    if beta == 0 or nodes[0] <= 0:  # the span is invariant, or a node is at 0 already
        return T[0, 0], lower, lower
    # One step more, with the diagonal entry that makes 0 an eigenvalue (Golub and Meurant, 6.2).
    last = beta**2 * np.sum(vectors[-1] ** 2 / nodes)
    link = np.zeros((len(T), 1))
    link[-1] = beta
    nodes, vectors = linalg.eigh(np.block([[T, link], [link.T, np.array([[last]])]]))
    return T[0, 0], lower, vectors[0] ** 2 @ _x_ln_x(nodes)


def _x_ln_x(values):
    values = np.maximum(values, np.finfo(np.float64).tiny)
    return values * np.log(values)


def _kernel_product(operator, expected, progress):
    """The products with K, and its side."""
    if isinstance(operator, Array):
        kernel = check_kernel(operator)
        return CountedProducts(kernel.__matmul__, expected, progress), len(kernel)
    gram = GramProducts(operator)
    return CountedProducts(gram, expected, progress), gram.side


def _sampled(key, side, sample, quantities, num_samples, relative_error):
    """Averages samples until the quantities are accurate enough.

    `sample` maps a key and a vector of random signs, of length `side`, to numbers. `quantities`
    maps the means of these numbers to the value of each quantity and the gradient of its logarithm.

    Returns:
      The estimates, the means, the number of samples, and whether all errors are as requested.
    """
    check_at_least(num_samples, 2, "num_samples")
    if relative_error is not None:
        check_at_least(relative_error, 0, "relative_error")
    key = as_key(key)
    samples = []
    while True:
        sign_key, own_key = jax.random.split(jax.random.fold_in(key, len(samples)))
        z = np.asarray(jax.random.rademacher(sign_key, (side,)), np.float64)
        samples.append(np.array(sample(own_key, z)))
        count = len(samples)
        done = count == num_samples
        if not done and (relative_error is None or count % _BETWEEN_LOOKS):
            continue
        numbers = np.stack(samples)
        means = numbers.mean(axis=0)
        if means[0] <= 0:
            raise InputError(
                f"the kernel's trace is {means[0]:.3g} on {count} samples, expected above 0"
            )
        deviations = numbers - means
        covariance = deviations.T @ deviations / (count * (count - 1))
        found = {
            name: Estimate(
                float(value), float(value * np.sqrt(max(gradient @ covariance @ gradient, 0)))
            )
            for name, (value, gradient) in quantities(means).items()
        }
        wanted = np.inf if relative_error is None else relative_error
        converged = all(estimate.relative_error <= wanted for estimate in found.values())
        if done or converged:
            return found, means, count, converged
