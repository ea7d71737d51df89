"""Empirical kernels K = J J', M = J J~', K~ = J~ J~', in float64, without both Jacobians in memory.

Everything that the spectrum study reports follows from these three (see `ntk_aug.spectrum`).
Rows may be float32; their products are converted to float64 before they are summed, because a
float32 Gram matrix is blind to singular values below 3e-4 of the largest.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Float64, Images, Labels, Progress
from ntk_aug.checks import InputError, check_same_shape
from ntk_aug.jacobian import JacobianRows
from ntk_aug.ntk.products import add_products

DEFAULT_MEMORY_BYTES = 2 * 2**30
# Images between two reports of progress.
_REPORTED = 60


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


def images_per_tile(rows: JacobianRows, n: int, memory_bytes: int) -> tuple[int, int]:
    """How many images' rows, plain and augmented, are held, and how many stream past at a time.

    All n are held, and none stream, where the budget allows it. Otherwise a sixth of the budget is
    for those that stream: fewer would leave the products waiting for conversions to float64, more
    would need more passes.

    Raises:
      InputError: not even one of each fits the budget (the least that works is stated).
    """
    pair_bytes = 2 * rows.factor_bytes
    fitting = memory_bytes // pair_bytes
    if n <= fitting:
        return n, 0
    if fitting < 2:
        least = min(n, 2)
        raise InputError(
            f"a memory budget of {memory_bytes / 2**30:.3g} GiB does not hold the Jacobian rows of "
            f"{least} images: at least {least * pair_bytes / 2**30:.3g} GiB are needed"
        )
    streaming = max(1, fitting // 6)
    return fitting - streaming, streaming


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
    rows of one tile of images are held while those of the images after it stream past:
    with T tiles, rows are computed (T + 1) / 2 times.

    Args:
      rows: of one network.
      images: network inputs [n, h, w, c].
      augmented: each of the same shape, in the same order.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      memory_bytes: budget of the Jacobian rows held at once; the kernels, 3 * 8 * N^2 bytes,
        about as much for the products, and the blocks being computed come on top.
      progress: called with ("Jacobian", images done, images in all).

    Raises:
      InputError: shapes that differ, a budget that is too small, rows that are not finite.
    """
    images = np.asarray(images)
    tiles = _Tiles(rows, len(images), memory_bytes, progress)
    plain_kernel = None
    for version in augmented:
        version = np.asarray(version)
        check_same_shape(version.shape, images.shape, "a batch of augmented images")
        triple = tiles.triple(images, version, labels, plain_kernel)
        plain_kernel = triple.plain
        yield triple


class _Tiles:
    """Computes kernels tile by tile, in memory that is allocated once."""

    def __init__(self, rows, n, memory_bytes, progress):
        self._rows, self._n, self._k = rows, n, rows.outputs_per_example
        self._tile, self._streaming = images_per_tile(rows, n, memory_bytes)
        self._progress = progress
        self._held, self._passing = (
            [rows.empty_factors(size) for _ in range(2)] for size in (self._tile, self._streaming)
        )
        self._holds_all_plain = False

    def triple(self, images, version, labels, plain_kernel):
        """K, M, K~; K is the given one, if there is one."""
        N = self._n * self._k
        K = np.zeros((N, N)) if plain_kernel is None else plain_kernel
        M, K_aug = np.zeros((N, N)), np.zeros((N, N))
        starts = range(0, self._n, self._tile)
        self._done, self._total = 0, sum(self._n - start for start in starts)
        for start in starts:
            stop = min(start + self._tile, self._n)
            a, J, J_aug = self._computed(self._held, images, version, labels, start, stop)
            products = [(M[a, a], J, J_aug), (K_aug[a, a], J_aug, J_aug)]
            add_products(products if K is plain_kernel else [*products, (K[a, a], J, J)])
            for first in range(stop, self._n, max(self._streaming, 1)):
                last = min(first + self._streaming, self._n)
                b, J_b, J_aug_b = self._computed(
                    self._passing, images, version, labels, first, last
                )
                products = [
                    (M[a, b], J, J_aug_b),
                    (M[b, a], J_b, J_aug),
                    (K_aug[a, b], J_aug, J_aug_b),
                ]
                add_products(products if K is plain_kernel else [*products, (K[a, b], J, J_b)])
                K_aug[b, a] = K_aug[a, b].T
                if K is not plain_kernel:
                    K[b, a] = K[a, b].T
        return KernelTriple(K, M, K_aug)

    def _computed(self, buffers, images, version, labels, start, stop):
        """The slice of the rows of some images, and their rows plain and augmented."""
        span = slice(start * self._k, stop * self._k)
        J, J_aug = (buffer.part(0, stop - start) for buffer in buffers)
        # In whole blocks, for what is missing in a block is computed in vain.
        size = self._rows.block_size
        size *= max(_REPORTED // size, 1)
        for first in range(start, stop, size):
            last = min(first + size, stop)
            part = first - start, last - start
            if not self._holds_all_plain:
                self._rows.factors(images, labels, start=first, stop=last, out=J.part(*part))
            self._rows.factors(version, labels, start=first, stop=last, out=J_aug.part(*part))
            self._done += last - first
            if self._progress:
                self._progress("Jacobian", self._done, self._total)
        self._holds_all_plain = self._streaming == 0
        return span, J, J_aug
