"""Empirical kernels K = J J', M = J J~', K~ = J~ J~', in float64, without both Jacobians in memory.

Everything that the spectrum study reports follows from these three (see `ntk_aug.spectrum`).
Rows may be float32; their products are converted to float64 before they are summed, because a
float32 Gram matrix is blind to singular values below 3e-4 of the largest.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Float, Float64, Images, Labels, Progress
from ntk_aug.checks import InputError, check_same_shape
from ntk_aug.jacobian import JacobianRows

DEFAULT_MEMORY_BYTES = 2 * 2**30
# Columns converted to float64 at a time: large enough for a fast product, small beside the rows.
_CHUNK = 8192


class KernelTriple(NamedTuple):
    """The kernels of plain and augmented images; rows i * k + c in the same order in both.

    Attributes:
      plain: K = J J'.
      cross: M = J J~'.
      augmented: K~ = J~ J~'.
    """

    plain: Float64[np.ndarray, "N N"]
    cross: Float64[np.ndarray, "N N"]
    augmented: Float64[np.ndarray, "N N"]


def row_products(
    A: Float[np.ndarray, "N P"], B: Float[np.ndarray, "M P"]
) -> Float64[np.ndarray, "N M"]:
    """A B' of float32 or float64 rows, with products and sums in float64."""
    total = np.zeros((len(A), len(B)))
    for start in range(0, A.shape[1], _CHUNK):
        columns = slice(start, start + _CHUNK)
        a = A[:, columns].astype(np.float64, copy=False)
        # The same array on both sides lets BLAS compute one triangle only.
        b = a if A is B else B[:, columns].astype(np.float64, copy=False)
        total += a @ b.T
    return total


def images_per_tile(rows: JacobianRows, n: int, memory_bytes: int) -> int:
    """How many images' rows, plain and augmented, fit the budget beside one block of each.

    Raises:
      InputError: not even one does (the least budget that works is stated).
    """
    pair_bytes = 2 * rows.outputs_per_example * rows.row_bytes
    if n * pair_bytes <= memory_bytes:
        return n
    block_bytes = min(rows.block_size, n) * pair_bytes
    if memory_bytes < block_bytes + pair_bytes:
        raise InputError(
            f"a memory budget of {memory_bytes / 2**30:.2f} GiB does not hold the Jacobian rows of "
            f"a block of images: at least {(block_bytes + pair_bytes) / 2**30:.2f} GiB are needed"
        )
    return min(n, (memory_bytes - block_bytes) // pair_bytes)


def kernel_triples(
    rows: JacobianRows,
    images: Images,
    augmented: Iterable[Images],
    labels: Labels | None = None,
    *,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    progress: Progress | None = None,
) -> Iterator[KernelTriple]:
    """Yields the three kernels for each augmented version of the same images.

    If both Jacobians fit the budget, J is computed once and kept for all versions. Otherwise the
    rows of one tile of images are held while those of the images after it stream past in blocks:
    with T tiles, rows are computed (T + 1) / 2 times.

    Args:
      rows: of one network.
      images: network inputs [n, h, w, c].
      augmented: each of the same shape, in the same order.
      labels: [n]; needed for the rows "true-logit" only.
      memory_bytes: budget of the Jacobian rows held at once; the kernels, 3 * 8 * N^2 bytes, and
        the block being computed come on top.
      progress: called with ("Jacobian", images done, images in all).

    Raises:
      InputError: shapes that differ, a budget that is too small, rows that are not finite.
    """
    images = np.asarray(images)
    tile = images_per_tile(rows, len(images), memory_bytes)
    plain_kernel = plain_rows = None
    for version in augmented:
        version = np.asarray(version)
        check_same_shape(version.shape, images.shape, "a batch of augmented images")
        if tile >= len(images):
            if plain_rows is None:
                plain_rows = _computed(rows, images, labels, progress)
                plain_kernel = row_products(plain_rows, plain_rows)
            augmented_rows = _computed(rows, version, labels, progress)
            yield KernelTriple(
                plain_kernel,
                row_products(plain_rows, augmented_rows),
                row_products(augmented_rows, augmented_rows),
            )
            continue
        triple = _tiled_triple(rows, images, version, labels, tile, plain_kernel, progress)
        plain_kernel = triple.plain
        yield triple


def _computed(rows, images, labels, progress):
    jacobian = np.empty((len(images) * rows.outputs_per_example, rows.num_params), rows.dtype)
    for span, values in rows.blocks(images, labels):
        jacobian[span] = values
        if progress:
            progress("Jacobian", span.stop // rows.outputs_per_example, len(images))
    return jacobian


def _tiled_triple(rows, images, version, labels, tile, known_plain, progress):
    n, k = len(images), rows.outputs_per_example
    N = n * k
    K = np.empty((N, N)) if known_plain is None else known_plain
    M, K_aug = np.empty((N, N)), np.empty((N, N))
    starts = range(0, n, tile)
    total, done = sum(n - start for start in starts), 0
    for start in starts:
        held = slice(start, min(start + tile, n))
        a = slice(held.start * k, held.stop * k)
        J = rows(images, labels, start=held.start, stop=held.stop)
        J_aug = rows(version, labels, start=held.start, stop=held.stop)
        M[a, a] = row_products(J, J_aug)
        K_aug[a, a] = row_products(J_aug, J_aug)
        if known_plain is None:
            K[a, a] = row_products(J, J)
        done += held.stop - held.start
        if progress:
            progress("Jacobian", done, total)
        pairs = zip(
            rows.blocks(images, labels, start=held.stop),
            rows.blocks(version, labels, start=held.stop),
            strict=True,
        )
        for (b, J_block), (_, J_aug_block) in pairs:
            M[a, b] = row_products(J, J_aug_block)
            M[b, a] = row_products(J_block, J_aug)
            K_aug[a, b] = row_products(J_aug, J_aug_block)
            K_aug[b, a] = K_aug[a, b].T
            if known_plain is None:
                K[a, b] = row_products(J, J_block)
                K[b, a] = K[a, b].T
            done += (b.stop - b.start) // k
            if progress:
                progress("Jacobian", done, total)
        del J, J_aug  # before those of the next tile are computed beside them
    return KernelTriple(K, M, K_aug)
