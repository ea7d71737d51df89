"""Empirical kernels K = J J', M = J J~', K~ = J~ J~' in float64, without holding both Jacobians.

All of the spectrum study follows from these three (see `ntk_aug.spectrum`). Rows may be float32,
but are converted to float64 before they are multiplied and summed: a float32 Gram matrix loses
singular values below 3e-4 of the largest.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import Float64, Inputs, Labels, Progress
from ntk_aug.checks import check_writable_folder
from ntk_aug.inputs import check_same_batch, num_examples
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
from ntk_aug.ntk.row_store import HeldRows, images_per_tile, tiles_of
from ntk_aug.records import StrPath

DEFAULT_MEMORY_BYTES = 2 * 2**30


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


def kernel_triples(
    network: Any,
    images: Inputs,
    augmented: Iterable[Inputs],
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    dtype: str = "float32",
    select: Callable[[str], bool] | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    mesh: Mesh | None = None,
    blocks_folder: StrPath | None = None,
    progress: Progress | None = None,
) -> Iterator[KernelTriple]:
    """Computes the three kernels for each augmented version of the same images; K is one array.

    If both Jacobians fit the budget, J is computed once for all versions. Otherwise the rows of one
    tile of images are held while those of later images stream past: with T tiles, rows are computed
    (T + 1) / 2 times.

    Args:
      network: as `models.as_view` takes it, or its `JacobianRows`, which are compiled once for
        several calls.
      images: network inputs [n, ...], such as [n, h, w, c]; or a pytree of such arrays.
      augmented: each of the same shape, in the same order.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      rows: a key of `jacobian.ROWS`. This and the next two are not for a `JacobianRows`.
      dtype: "float32" or "float64", in which the network is run and differentiated.
      select: from a parameter's path to whether J has columns for it; None takes all.
      memory_bytes: budget of the Jacobian rows held at once; the kernels, 3 * 8 * N^2 bytes, about
        as much for the products, and the current block come on top.
      mesh: devices that compute, keep and multiply the rows, divided by images; None takes all
        GPUs, or else the host's cores.
      blocks_folder: where finished blocks are kept; the same call resumes from them.
      progress: for each version, called with ("Jacobian", images done, total) and ("kernel",
        entries done, total) in images x images.

    Returns:
      An iterator; the images are checked before its first kernel is asked for.

    Raises:
      InputError: shapes that differ, a budget that is too small, rows that are not finite.
    """
    engine = as_rows(network, images, rows=rows, dtype=dtype, select=select)
    images, checked_labels = engine.checked(images, labels)
    tile, streaming = images_per_tile(engine, num_examples(images), memory_bytes)
    tiles = tiles_of(engine, mesh)
    if blocks_folder is not None:
        check_writable_folder(blocks_folder)

    def store_of(version):
        return BlockStore(blocks_folder, engine, "triple", [images, version, labels])

    versions = (_checked_version(engine, version, images, labels) for version in augmented)
    return _triples(tiles, (tile, streaming), images, versions, checked_labels, store_of, progress)


def _checked_version(engine, version, images, labels):
    # A copy, because the caller may reuse the memory for the next version.
    version = jax.tree.map(np.array, version)
    check_same_batch(version, images, "a batch of augmented images")
    return engine.checked(version, labels)[0]


def _triples(tiles, sides, images, versions, labels, store_of, progress):
    (tile, streaming), k = sides, tiles.outputs_per_example
    n = num_examples(images)
    pairs = tile_pairs(n, n, tile, streaming, symmetric=True)
    held, held_augmented = HeldRows(tiles, tile), HeldRows(tiles, tile)
    passing, passing_augmented = HeldRows(tiles, streaming), HeldRows(tiles, streaming)
    known = None

    def products(a, b, rows_a, rows_b, report):
        (J_a, J_aug_a), (J_b, J_aug_b) = rows_a, rows_b
        wanted = {"cross": (J_a, J_aug_b), "augmented": (J_aug_a, J_aug_b)}
        if rows_a is not rows_b:
            wanted["transposed"] = (J_aug_a, J_b)
        if known is None:
            wanted["plain"] = (J_a, J_b)
        values = tiles.products(list(wanted.values()), (num_rows(a, k), num_rows(b, k)), report)
        found = dict(zip(wanted, values, strict=True))
        return (
            found["plain"] if known is None else known[rows_of_images(a, k), rows_of_images(b, k)],
            found["cross"],
            found.get("transposed", found["cross"].T),
            found["augmented"],
        )

    for version in versions:
        # Plain and augmented rows advance together: one of them reports.
        report = counter(progress, "Jacobian", images_computed(pairs, symmetric=True))

        def rows_of(plain, augmented, span, version=version, report=report):
            return (
                plain(images, labels, span, lambda count: None),
                augmented(version, labels, span, report),
            )

        K, M, K_aug = (np.empty((n * k, n * k)) for _ in range(3))
        for a, b, block in kernel_blocks(
            pairs,
            partial(rows_of, held, held_augmented),
            partial(rows_of, passing, passing_augmented),
            products,
            store_of(version),
            symmetric=True,
            progress=progress,
        ):
            i, j = rows_of_images(a, k), rows_of_images(b, k)
            plain, cross, transposed, augmented_block = block
            K[i, j], M[i, j], K_aug[i, j] = plain, cross, augmented_block
            K[j, i], M[j, i], K_aug[j, i] = plain.T, transposed.T, augmented_block.T
        known = K
        yield KernelTriple(K, M, K_aug)
