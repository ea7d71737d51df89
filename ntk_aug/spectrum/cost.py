"""The cost of a study: rows, memory and time, from a few seconds of measurement."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Inputs, Labels
from ntk_aug.inputs import num_examples
from ntk_aug.jacobian.rows import as_rows
from ntk_aug.ntk.row_store import images_per_tile
from ntk_aug.ntk.triples import DEFAULT_MEMORY_BYTES
from ntk_aug.spectrum.decomposition import factors_of_kernel

_PRODUCT_SIDE = 1500
_EIGEN_SIDE = 600


class StudyCost(NamedTuple):
    """The cost of the kernel backend on this machine.

    The estimate of errors adds 1 to 8 % for most studies, a third for a ResNet on 150 images.

    Attributes:
      num_rows: N, rows of each Jacobian.
      num_params: P, its columns.
      jacobian_bytes: of one Jacobian.
      memory_bytes: at the peak: Jacobian rows within their budget, kernels and eigenvectors.
      seconds_plain: for each network once: its rows, K and its eigenvalues.
      seconds_per_draw: for each network, augmentation and draw.
    """

    num_rows: int
    num_params: int
    jacobian_bytes: int
    memory_bytes: int
    seconds_plain: float
    seconds_per_draw: float


def estimate_cost(
    network: Any,
    images: Inputs,
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    dtype: str = "float32",
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> StudyCost:
    """Times one block of rows, one matrix product and one eigensolve, and scales them up.

    Rows scale with n; products with N^2 P, where dense layers count by their factors; the
    eigensolver and the angles with N^3. `network` may be a `JacobianRows`; other arguments are
    those of `study_spectrum`. One block of `images` is differentiated. Raises InputError if the
    budget is too small.
    """
    engine = as_rows(network, images, rows=rows, dtype=dtype)
    n, P = num_examples(images), engine.num_params
    N = n * engine.outputs_per_example
    tile, streaming = images_per_tile(engine, n, memory_bytes)
    block = min(engine.block_size, n)
    engine.factors(images, labels, stop=block)  # compiles
    seconds_per_image = _seconds(lambda: engine.factors(images, labels, stop=block)) / block

    rng = np.random.default_rng(0)  # timings do not depend on the values
    matrix = rng.standard_normal((_PRODUCT_SIDE, _PRODUCT_SIDE))
    seconds_per_flop = _seconds(lambda: matrix @ (matrix + 1)) / (2 * _PRODUCT_SIDE**3)
    kernel = matrix[:_EIGEN_SIDE] @ matrix[:_EIGEN_SIDE].T
    eigen_seconds = _seconds(lambda: factors_of_kernel(kernel, P)) * (N / _EIGEN_SIDE) ** 3

    passes = 0.5 + 0.5 * -(-n // tile)  # how often the rows of an image are computed
    rows_seconds = passes * n * seconds_per_image
    # Factors replace columns: the numbers for each row are P or fewer.
    width = engine.factor_bytes / (engine.outputs_per_example * np.dtype(engine.dtype).itemsize)
    triangle, cubes = N**2 * width * seconds_per_flop, N**3 * seconds_per_flop
    in_one_piece = streaming == 0
    held = 2 * (tile + streaming) * engine.factor_bytes
    return StudyCost(
        num_rows=N,
        num_params=P,
        jacobian_bytes=N * engine.row_bytes,
        memory_bytes=held + 10 * 8 * N**2,
        seconds_plain=(rows_seconds if in_one_piece else 0) + triangle + eigen_seconds,
        # M costs two triangles, K~ one; overlaps, sines and ||E|| about 30 N^3 operations.
        seconds_per_draw=(1 if in_one_piece else 2) * rows_seconds
        + 3 * triangle
        + eigen_seconds
        + 30 * cubes,
    )


def _seconds(function: Callable) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
