"""The empirical neural tangent kernel J J' in the forms that are asked for, in float64."""

import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Images, Int, Labels, Progress
from ntk_aug.jacobian import JacobianRows, row_norms
from ntk_aug.ntk.kernels import DEFAULT_MEMORY_BYTES, images_per_tile
from ntk_aug.ntk.products import factor_products


def empirical_kernel(
    rows: JacobianRows,
    images: Images,
    others: Float[Array, "m h w c"] | None = None,
    *,
    labels: Labels | None = None,
    other_labels: Int[Array, " m"] | None = None,
    traced: bool = False,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    progress: Progress | None = None,
) -> Float64[np.ndarray, "rows columns"]:
    """K(X, X), or K(X, X') between two sets of images.

    Args:
      rows: of one network, with columns for all parameters or for a selection.
      images: network inputs [n, h, w, c].
      others: [m, h, w, c]; None for the images themselves, of which half is computed.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      other_labels: [m]; of the others.
      traced: sum over the outputs, sum_c K[(i, c), (j, c)], as many works define the kernel.
      memory_bytes: budget of the Jacobian rows held at once.
      progress: called with ("kernel", entries done, entries in all), in images x images.

    Returns:
      [n * k, m * k], rows i * k + c; or [n, m] if traced.

    Raises:
      InputError: as `JacobianRows.blocks` and `images_per_tile` do.
    """
    images = np.asarray(images)
    symmetric = others is None
    others, other_labels = (images, labels) if symmetric else (np.asarray(others), other_labels)
    n, m = len(images), len(others)
    k = 1 if traced else rows.outputs_per_example
    kernel = np.empty((n * k, m * k))
    # Of two sets one tile is held and the other streams; so half of the images of a pair fit.
    tile, streaming = images_per_tile(rows, max(n, m), memory_bytes)
    streaming = streaming or m
    held, passing = rows.empty_factors(min(tile, n)), None
    done, total = 0, n * m
    for start in range(0, n, tile):
        stop = min(start + tile, n)
        A = rows.factors(images, labels, start=start, stop=stop, out=held.part(0, stop - start))
        a = slice(start * k, stop * k)
        if symmetric:
            kernel[a, a] = _reduced(factor_products(A, A), rows.outputs_per_example, traced)
            done += (stop - start) ** 2
        for first in range(stop if symmetric else 0, m, streaming):
            last = min(first + streaming, m)
            passing = rows.empty_factors(min(streaming, m)) if passing is None else passing
            B = rows.factors(
                others, other_labels, start=first, stop=last, out=passing.part(0, last - first)
            )
            b = slice(first * k, last * k)
            kernel[a, b] = _reduced(factor_products(A, B), rows.outputs_per_example, traced)
            if symmetric:
                kernel[b, a] = kernel[a, b].T
            done += (stop - start) * (last - first) * (2 if symmetric else 1)
            if progress:
                progress("kernel", done, total)
    if progress:
        progress("kernel", total, total)
    return kernel


def kernel_diagonal(
    rows: JacobianRows,
    images: Images,
    labels: Labels | None = None,
    *,
    progress: Progress | None = None,
) -> Float64[np.ndarray, " N"]:
    """The diagonal of K(X, X) alone, the squared norm of each row; arguments as `row_norms`."""
    return row_norms(rows, images, labels, progress=progress) ** 2


def parameter_kernels(
    rows: JacobianRows, images: Images, labels: Labels | None = None
) -> dict[str, Float64[np.ndarray, "N N"]]:
    """K(X, X) of each parameter by its path; together they are the whole.

    All rows are held, as `RowFactors`, and as many kernels as there are parameters.
    """
    by_parameter = rows.by_parameter(rows.factors(images, labels))
    return {path: factor_products(A, A) for path, A in by_parameter.items()}


def _reduced(kernel, k, traced):
    if not traced:
        return kernel
    n, m = (side // k for side in kernel.shape)
    return np.einsum("icjc->ij", kernel.reshape(n, k, m, k))
