"""The kernels of `ntk.kernel_triples`, computed by neural_tangents as a second backend.

neural_tangents multiplies Jacobians inside each block and never holds their rows, but
differentiates every image once for each of its blocks. Blocks are summed in the network's
precision: with float32, singular values of J below 3e-4 of the largest are lost.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float64, Inputs, Labels, Progress
from ntk_aug.inputs import check_inputs, check_same_batch
from ntk_aug.ntk.blocks import counter
from ntk_aug.ntk.neural_tangents.blocks import KernelBlocks
from ntk_aug.ntk.triples import KernelTriple

DEFAULT_IMPLEMENTATION = "structured-derivatives"
DEFAULT_BATCH_SIZE = 20


class NeuralTangentsEstimate(NamedTuple):
    """The cost of a computation, from one measured block.

    Attributes:
      seconds: of all blocks, without compilation.
      compile_seconds: of the one program for all blocks, which is kept for the run.
      block_seconds: of one block.
      num_blocks: over all versions.
    """

    seconds: float
    compile_seconds: float
    block_seconds: float
    num_blocks: int


def neural_tangents_triples(
    network: Any,
    images: Inputs,
    augmented_versions: Iterable[Inputs],
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    implementation: str = DEFAULT_IMPLEMENTATION,
    batch_size: int = DEFAULT_BATCH_SIZE,
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Iterator[KernelTriple]:
    """Computes the three kernels for each augmented version, as `kernel_triples` does.

    `implementation` is a key of `NEURAL_TANGENTS_IMPLEMENTATIONS`, and `batch_size` the number of
    images on each side of a block. Sums have the precision `dtype` of the network. A `ModelView` is
    compiled once for several calls. `progress` is called with ("kernel blocks", blocks done, total)
    for each version. Other arguments are those of `kernel_triples`.

    Returns:
      An iterator over triples: float64 [n * k, n * k], rows i * k + c. K (one array for all
      versions) and K~ are symmetric to the last bit.

    Raises:
      InputError: as `JacobianRows` and `kernel_triples`; an unknown implementation, or one that
        cannot take this network; a kernel that is not finite.

    Reference:
      Novak, Sohl-Dickstein, Schoenholz: Fast Finite Width Neural Tangent Kernel, 2022.
    """
    images = check_inputs(images)
    blocks = KernelBlocks(network, images, labels, rows, implementation, batch_size, dtype)
    return _triples(blocks, images, augmented_versions, progress)


def _triples(blocks, images, augmented_versions, progress):
    plain = None
    for version in augmented_versions:
        version = check_inputs(version, "augmented images")
        check_same_batch(version, images, "a batch of augmented images")
        num_blocks = blocks.num_blocks(versions=1, with_plain=plain is None)
        report = counter(progress, "kernel blocks", num_blocks)
        if plain is None:
            plain = blocks.symmetric(images, report)
        augmented = blocks.symmetric(version, report)
        yield KernelTriple(plain, blocks.cross(images, version, report), augmented)


def neural_tangents_kernel(
    network: Any,
    images: Inputs,
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    implementation: str = DEFAULT_IMPLEMENTATION,
    batch_size: int = DEFAULT_BATCH_SIZE,
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Float64[np.ndarray, "N N"]:
    """K alone; arguments and errors are those of `neural_tangents_triples`."""
    images = check_inputs(images)
    blocks = KernelBlocks(network, images, labels, rows, implementation, batch_size, dtype)
    num_blocks = blocks.num_blocks(versions=0, with_plain=True)
    return blocks.symmetric(images, counter(progress, "kernel blocks", num_blocks))


def estimate_neural_tangents(
    network: Any,
    images: Inputs,
    labels: Labels | None = None,
    *,
    versions: int = 1,
    rows: str = "logits",
    implementation: str = DEFAULT_IMPLEMENTATION,
    batch_size: int = DEFAULT_BATCH_SIZE,
    dtype: str = "float32",
) -> NeuralTangentsEstimate:
    """The time that `neural_tangents_triples` will take for so many versions, from one block.

    The block is compiled and computed a few times. Other arguments and errors are those of
    `neural_tangents_triples`.
    """
    images = check_inputs(images)
    blocks = KernelBlocks(network, images, labels, rows, implementation, batch_size, dtype)
    first, *later = _timed_blocks(blocks, images)
    num_blocks = blocks.num_blocks(versions=versions, with_plain=True)
    block_seconds = float(np.median(later))
    compile_seconds = max(first - block_seconds, 0.0)
    return NeuralTangentsEstimate(
        num_blocks * block_seconds, compile_seconds, block_seconds, num_blocks
    )


def _timed_blocks(blocks, images):
    """Seconds of the first block, and of one more or several if they are short."""
    times: list[float] = []
    while len(times) < 20 and sum(times[1:]) <= 0.2:
        start = time.perf_counter()
        blocks.values(images, 0, images, 0)
        times.append(time.perf_counter() - start)
    return times
