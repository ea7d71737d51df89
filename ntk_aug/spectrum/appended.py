"""The spectrum of [J; J~], the Jacobian of the images with their augmentations appended."""

from typing import Any

import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import Float64, Inputs, Labels, Progress
from ntk_aug.jacobian.rows import as_rows
from ntk_aug.ntk import KernelTriple, kernel_triples
from ntk_aug.ntk.triples import DEFAULT_MEMORY_BYTES
from ntk_aug.records import StrPath
from ntk_aug.spectrum.decomposition import Factors, factors_of_kernel


def appended_kernel(triple: KernelTriple) -> Float64[np.ndarray, "twoN twoN"]:
    """[[K, M], [M', K~]] = [J; J~] [J; J~]': the rows of J come first, then those of J~."""
    plain, cross, augmented = triple
    return np.block([[plain, cross], [cross.T, augmented]])


def appended_spectrum(
    network: Any,
    images: Inputs,
    augmented: Inputs,
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    dtype: str = "float32",
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    mesh: Mesh | None = None,
    blocks_folder: StrPath | None = None,
    progress: Progress | None = None,
) -> Factors:
    """Singular values and left vectors of [J; J~], in float64 from the three kernels.

    Since [J; J~]' [J; J~] = J' J + J~' J~, no singular value is below the one of J, or of J~, of
    the same rank (Weyl); appending the images themselves multiplies each by sqrt(2).

    Args:
      network: as `models.as_view` takes it, or its `JacobianRows`.
      images: network inputs [n, h, w, c].
      augmented: of the same shape, in the same order.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      rows: a key of `jacobian.ROWS`.
      dtype: "float32" or "float64".
      memory_bytes: budget of the Jacobian rows held at once; the kernels, 7 * 8 * N^2 bytes, and
        about as much for the decomposition come on top.
      mesh: as `ntk.kernel_triples` takes it.
      blocks_folder: as `ntk.kernel_triples` takes it.
      progress: as `ntk.kernel_triples` calls it.

    Returns:
      min(2 N, P) values, and vectors of length 2 N.

    Raises:
      InputError: as `ntk.kernel_triples` does.
    """
    engine = as_rows(network, images, rows=rows, dtype=dtype)
    (triple,) = kernel_triples(
        engine,
        images,
        [augmented],
        labels,
        memory_bytes=memory_bytes,
        mesh=mesh,
        blocks_folder=blocks_folder,
        progress=progress,
    )
    return factors_of_kernel(appended_kernel(triple), engine.num_params)
