"""Kernel regression: the predictions of a linearised network after training."""

from typing import NamedTuple

import numpy as np
from scipy import linalg

from ntk_aug.aliases import Array, Float, Float64, Int
from ntk_aug.checks import check_at_least, check_same_shape
from ntk_aug.errors import InputError
from ntk_aug.ntk.output_kernels import finite_values, kernel_form, targets_of_outputs


class KernelRegression(NamedTuple):
    """A fit of a kernel to targets.

    Attributes:
      train: predictions on the training set; equal to the targets for ridge 0.
      test: predictions on the other examples; None if there are none.
      coefficients: (K + ridge I)^-1 y; a prediction is K(x, X) coefficients.
      condition: estimated 1-norm condition number of K + ridge I; the coefficients have a relative
        error of about 1e-16 times that.
    """

    train: Float64[np.ndarray, "n C"]
    test: Float64[np.ndarray, "m C"] | None
    coefficients: Float64[np.ndarray, "n C"]
    condition: float


def kernel_regression(
    kernel: Float[Array, "N N"],
    targets: Float[Array, "n C"] | Int[Array, " n"],
    *,
    test_kernel: Float[Array, "M N"] | None = None,
    ridge: float = 0.0,
    traced: bool | None = None,
) -> KernelRegression:
    """K* (K + ridge I)^-1 y, in float64 by a Cholesky decomposition.

    With ridge 0 this is the limit of long training on the squared loss for a network that starts at
    zero. If it starts at outputs f and f*, fit y - f and add f*: the limit of
    `linearized_predictions`.

    Args:
      kernel: K(X, X), [n * C, n * C] with rows i * C + c, or [n, n] if it acts on each output
        alike.
      targets: y [n, C]; or labels [n], which become one-hot, for a kernel [n * C, n * C].
      test_kernel: K(X*, X), [m * C, n * C] or [m, n], in the form of `kernel`.
      ridge: added to the diagonal, in the unit of the kernel.
      traced: as `linearized_predictions` takes it; the ridge is added to the mean of a sum over
        outputs.

    Raises:
      InputError: shapes that do not fit together, values that are not finite, a kernel that is not
        symmetric, a negative ridge, or K + ridge I that is not positive definite up to rounding.

    Example:
      fit = ntk.kernel_regression(K, labels, test_kernel=ntk.empirical_kernel(rows, test, train))
      classes = fit.test.argmax(axis=1)
    """
    if not 0 <= ridge < np.inf:
        raise InputError(f"ridge is {ridge}, expected a finite number from 0 on")
    kernel = finite_values(kernel, "kernel")
    y = _targets(targets, len(kernel))
    n, C = y.shape
    check_at_least(n, 1, "the number of examples")
    k, divisor = kernel_form(kernel, n, C, traced)
    kernel = kernel / divisor
    coefficients, condition = _solve(kernel, ridge, y.reshape(n * k, -1))
    test = None
    if test_kernel is not None:
        test_kernel = finite_values(test_kernel, "test_kernel")
        m = len(test_kernel) // k
        check_same_shape(test_kernel.shape, (m * k, n * k), "test_kernel")
        test = (test_kernel / divisor @ coefficients).reshape(m, C)
    train = (kernel @ coefficients).reshape(n, C)
    return KernelRegression(train, test, coefficients.reshape(n, C), condition)


def _targets(targets, num_rows):
    """Targets [n, C]; for labels, C follows from the rows of the kernel."""
    if np.ndim(targets) != 1:
        n, C = np.shape(targets) if np.ndim(targets) == 2 else (num_rows, 1)
        return targets_of_outputs(targets, n, C)
    n = len(targets)
    if n in (0, num_rows) or num_rows % n:
        raise InputError(
            f"{n} labels do not determine the outputs of a kernel of {num_rows} rows: pass targets "
            "[n, C], such as one-hot ones"
        )
    return targets_of_outputs(targets, n, num_rows // n)


def _solve(kernel, ridge, y):
    """(K + ridge I)^-1 y, and the condition number."""
    regular = kernel + ridge * np.eye(len(kernel))
    norm = np.abs(regular).sum(axis=0).max()
    try:
        factor, lower = linalg.cho_factor(regular, lower=True)
        rcond = float(linalg.lapack.dpocon(factor, norm, uplo="L")[0])
    except linalg.LinAlgError:
        rcond = 0.0
    # Below this the matrix is singular up to rounding.
    if rcond <= len(kernel) * np.finfo(np.float64).eps:
        low, *_, high = linalg.eigvalsh(kernel)
        raise InputError(
            f"the kernel with ridge {ridge:g} is not positive definite up to rounding, its "
            f"eigenvalues are {low:.2g} to {high:.2g}: use a ridge such as "
            f"{2 * max(-low, 0) + 1e-10 * max(high, -low):.1g}"
        )
    return linalg.cho_solve((factor, lower), y), 1 / rcond
