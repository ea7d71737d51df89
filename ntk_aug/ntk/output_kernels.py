"""Kernels of the outputs of a network: of all [n * C, n * C], or of each alike [n, n]."""

from typing import Any

import numpy as np

from ntk_aug.aliases import Float64
from ntk_aug.checks import check_labels, check_same_shape
from ntk_aug.errors import InputError


def check_symmetric(kernel: Float64[np.ndarray, "N N"]) -> None:
    """Raises InputError unless the kernel is symmetric up to the rounding of float32."""
    if not np.allclose(kernel, kernel.T, rtol=0, atol=1e-5 * np.abs(kernel).max()):
        raise InputError("kernel is not symmetric, expected K(X, X) of the training set")


def finite_values(values: Any, what: str) -> Float64[np.ndarray, "..."]:
    """The values in float64; raises InputError if one is not finite."""
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{what} holds NaN or infinity")
    return values


def targets_of_outputs(targets: Any, n: int, C: int) -> Float64[np.ndarray, "n C"]:
    """Targets [n, C] in float64, of labels [n] too; raises InputError where they do not fit."""
    if np.ndim(targets) == 1:
        return np.eye(C)[check_labels(targets, n, C)]
    check_same_shape(np.shape(targets), (n, C), "targets")
    return finite_values(targets, "targets")


def acts_on_each_alike(
    kernel: Float64[np.ndarray, "N M"], n: int, C: int, traced: bool | None
) -> bool:
    """Whether the kernel is [n, n]; its maker alone knows if that is a sum over the outputs.

    Raises:
      InputError: another shape than [n * C, n * C] or [n, n], or `traced` is missing or wrong.
    """
    if kernel.shape not in ((n * C, n * C), (n, n)):
        raise InputError(
            f"kernel has shape {kernel.shape}, expected {(n * C, n * C)} or {(n, n)} for "
            f"outputs of shape {(n, C)}"
        )
    alike = kernel.shape != (n * C, n * C)
    if alike and traced is None:
        raise InputError(
            f"kernel has shape {kernel.shape} for {C} outputs: say traced=True where it is their "
            "sum, or traced=False where it is that of one output"
        )
    if traced and not alike and C > 1:
        raise InputError(f"kernel has shape {kernel.shape}, expected {(n, n)} as it is traced")
    return alike


def in_axes(kernel: Float64[np.ndarray, "N M"], k: int, alike: bool) -> np.ndarray:
    """As neural_tangents has it: a pair of axes for the examples, and one for the outputs."""
    if alike:
        return kernel
    a, b = (side // k for side in kernel.shape)
    return kernel.reshape(a, k, b, k).transpose(0, 2, 1, 3)
