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

    Since [J; J~]' [J; J~] = J' J + J~' J~, no singular value is below that of J, or of J~, of the
    same rank (Weyl); appending the images themselves multiplies each by sqrt(2). Arguments and
    errors are those of `ntk.kernel_triples`, for one augmented version; the kernels take 7 * 8 *
    N^2 bytes and the decomposition about as much.

    Returns:
      min(2 N, P) values, and vectors of length 2 N.
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
