"""Kernels over all outputs [n * C, n * C], or kernels [n, n] that act on each output alike."""

from typing import Any

import numpy as np

from ntk_aug.aliases import Float64
from ntk_aug.checks import check_labels, check_same_shape
from ntk_aug.errors import InputError


def finite_values(values: Any, what: str) -> Float64[np.ndarray, "..."]:
    """The values in float64; raises InputError if any is not finite."""
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{what} holds NaN or infinity")
    return values


def targets_of_outputs(targets: Any, n: int, C: int) -> Float64[np.ndarray, "n C"]:
    """Targets [n, C] in float64, one-hot for labels [n]; raises InputError for a misfit."""
    if np.ndim(targets) == 1:
        return np.eye(C)[check_labels(targets, n, C)]
    check_same_shape(np.shape(targets), (n, C), "targets")
    return finite_values(targets, "targets")


def kernel_form(
    kernel: Float64[np.ndarray, "N N"], n: int, C: int, traced: bool | None
) -> tuple[int, int]:
    """The kernel's rows per example (1 if it acts on each output alike), and a divisor.

    The divisor is C for a sum over the outputs, whose mean is used.

    Raises:
      InputError: a shape other than [n * C, n * C] or [n, n], a missing or wrong `traced`, or a
        kernel that is not symmetric up to float32's rounding.
    """
    if kernel.shape not in ((n * C, n * C), (n, n)):
        raise InputError(
            f"kernel has shape {kernel.shape}, expected {(n * C, n * C)} or {(n, n)} for "
            f"outputs of shape {(n, C)}"
        )
    alike = kernel.shape != (n * C, n * C)
    if alike and traced is None:
        raise InputError(
            f"kernel has shape {kernel.shape} for {C} outputs, which is ambiguous: pass "
            "traced=True for the sum over outputs, or traced=False for one output"
        )
    if traced and not alike and C > 1:
        raise InputError(f"kernel has shape {kernel.shape}, expected {(n, n)} as it is traced")
    if not np.allclose(kernel, kernel.T, rtol=0, atol=1e-5 * np.abs(kernel).max()):
        raise InputError("kernel is not symmetric, expected K(X, X) of the training set")
    return (1, C if traced else 1) if alike else (C, 1)


def in_axes(kernel: Float64[np.ndarray, "N M"], k: int, alike: bool) -> np.ndarray:
    """The kernel in neural_tangents' form: two axes for examples, then two for outputs."""
    if alike:
        return kernel
    a, b = (side // k for side in kernel.shape)
    return kernel.reshape(a, k, b, k).transpose(0, 2, 1, 3)
