"""The empirical kernel J J' in float64: whole, traced, diagonal, or by parameter."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import Array, Float64, Inputs, Int, Labels, Progress
from ntk_aug.inputs import num_examples
from ntk_aug.jacobian import row_norms
from ntk_aug.jacobian.rows import as_rows
from ntk_aug.ntk.block_store import BlockStore
from ntk_aug.ntk.blocks import (
    counter,
    images_computed,
    kernel_blocks,
    num_rows,
    rows_of_images,
    tile_pairs,
)
from ntk_aug.ntk.products import factor_products
from ntk_aug.ntk.row_store import HeldRows, images_per_tile, tiles_of
from ntk_aug.ntk.triples import DEFAULT_MEMORY_BYTES
from ntk_aug.records import StrPath


def empirical_kernel(
    network: Any,
    images: Inputs,
    others: Inputs | None = None,
    *,
    labels: Labels | None = None,
    other_labels: Int[Array, " m"] | None = None,
    rows: str = "logits",
    dtype: str = "float32",
    select: Callable[[str], bool] | None = None,
    traced: bool = False,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    mesh: Mesh | None = None,
    blocks_folder: StrPath | None = None,
    progress: Progress | None = None,
) -> Float64[np.ndarray, "rows columns"]:
    """K(X, X), or K(X, X') between two sets of images.

    Args:
      network: as `models.as_view` takes it, or its `JacobianRows`, which are compiled once for
        several calls.
      images: network inputs [n, ...], such as [n, h, w, c]; or a pytree of such arrays.
      others: [m, ...]; defaults to `images`; then only the upper triangle is computed.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      other_labels: [m], of the others.
      rows: a key of `jacobian.ROWS`. This and the next two are not for a `JacobianRows`.
      dtype: "float32" or "float64", in which the network is run and differentiated.
      select: from a parameter's path to whether J has columns for it; None takes all.
      traced: sum over the outputs, sum_c K[(i, c), (j, c)], as many works define the kernel.
      memory_bytes: budget of the Jacobian rows held at once.
      mesh: as `kernel_triples` takes it.
      blocks_folder: as `kernel_triples` takes it.
      progress: as `kernel_triples` takes it.

    Returns:
      [n * k, m * k], rows i * k + c; or [n, m] if traced.

    Raises:
      InputError: as `JacobianRows.blocks`; a budget below the rows of two images.
    """
    symmetric = others is None
    engine = as_rows(network, images, rows=rows, dtype=dtype, select=select)
    images, own_labels = engine.checked(images, labels)
    if others is None:
        others, passing_labels, other_labels = images, own_labels, labels
    else:
        others, passing_labels = engine.checked(others, other_labels)
    n, m, outputs = num_examples(images), num_examples(others), engine.outputs_per_example
    k = 1 if traced else outputs
    total = n if symmetric else n + m
    tile, streaming = images_per_tile(engine, total, memory_bytes, versions=1)
    pairs = tile_pairs(n, m, tile, streaming or m, symmetric=symmetric)
    tiles = tiles_of(engine, mesh)
    held, passing = HeldRows(tiles, min(tile, n)), HeldRows(tiles, min(streaming or m, m))
    report_rows = counter(progress, "Jacobian", images_computed(pairs, symmetric=symmetric))

    def products(a, b, rows_a, rows_b, report):
        sides = num_rows(a, outputs), num_rows(b, outputs)
        (product,) = tiles.products([(*rows_a, *rows_b)], sides, report)
        return [_traced(product, outputs) if traced else product]

    kernel = np.empty((n * k, m * k))
    arrays = [images, labels, others, other_labels]
    for a, b, (block,) in kernel_blocks(
        pairs,
        lambda span: [held(images, own_labels, span, report_rows)],
        lambda span: [passing(others, passing_labels, span, report_rows)],
        products,
        BlockStore(blocks_folder, engine, f"{symmetric=} {traced=}", arrays),
        symmetric=symmetric,
        progress=progress,
    ):
        i, j = rows_of_images(a, k), rows_of_images(b, k)
        kernel[i, j] = block
        if symmetric:
            kernel[j, i] = block.T
    return kernel


def kernel_diagonal(
    network: Any,
    images: Inputs,
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Float64[np.ndarray, " N"]:
    """The diagonal of K(X, X), the squared norm of each row; arguments as `jacobian.row_norms`."""
    norms = row_norms(network, images, labels, rows=rows, dtype=dtype, progress=progress)
    return norms**2


def parameter_kernels(
    network: Any,
    images: Inputs,
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    dtype: str = "float32",
) -> dict[str, Float64[np.ndarray, "N N"]]:
    """K(X, X) of each parameter by its path; their sum is the whole kernel.

    All rows, as `RowFactors`, and one kernel for each parameter are held at once.
    """
    engine = as_rows(network, images, rows=rows, dtype=dtype)
    by_parameter = engine.layout.by_parameter(engine.factors(images, labels))
    return {path: factor_products(A, A) for path, A in by_parameter.items()}


def _traced(kernel, k):
    n, m = (side // k for side in kernel.shape)
    return np.einsum("icjc->ij", kernel.reshape(n, k, m, k))
