"""The kernels of `ntk_aug.ntk.kernel_triples`, computed by neural_tangents: the second backend.

neural_tangents multiplies Jacobians inside each block of the kernel and never holds their rows, at
the price of differentiating every image once for each block that it appears in. The blocks are
summed in the network's precision: with float32, singular values of J below 3e-4 of the largest are
lost, whereas `kernel_triples` sums in float64 in any case.
"""

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import ApplyFn, Float64, Images, Labels, Params, Progress
from ntk_aug.checks import (
    InputError,
    check_at_least,
    check_choice,
    check_images,
    check_params,
    check_same_shape,
)
from ntk_aug.jacobian.outputs import LABELLED_ROWS, output_function
from ntk_aug.ntk.kernels import KernelTriple
from ntk_aug.ntk.neural_tangents_bridge import load_neural_tangents

NEURAL_TANGENTS_IMPLEMENTATIONS = {
    "structured-derivatives": "derivatives layer by layer, with their structure; usually fastest",
    "jacobian-contraction": "both Jacobians and their product; takes every network",
    "ntk-vector-products": "kernel columns by a backward and a forward pass each; many outputs",
    "auto": "the one with the fewest operations by XLA's count; compiles all three first",
}

DEFAULT_IMPLEMENTATION = "structured-derivatives"
DEFAULT_BATCH_SIZE = 20


class NeuralTangentsEstimate(NamedTuple):
    """What a computation is going to take, from one block that was computed.

    Attributes:
      seconds: of all blocks, without compilation.
      compile_seconds: of the one program that serves all blocks (it is kept for the run).
      block_seconds: of one block.
      num_blocks: in all, over all versions.
    """

    seconds: float
    compile_seconds: float
    block_seconds: float
    num_blocks: int


def neural_tangents_triples(
    apply_fn: ApplyFn,
    params: Params,
    images: Images,
    augmented_versions: Iterable[Images],
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    implementation: str = DEFAULT_IMPLEMENTATION,
    batch_size: int = DEFAULT_BATCH_SIZE,
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Iterator[KernelTriple]:
    """Yields the three kernels for each augmented version of the same images.

    Args:
      apply_fn: evaluation view of a network, without mixing between examples.
      params: pytree of floating-point arrays.
      images: network inputs [n, h, w, c].
      augmented_versions: each of the same shape, in the same order.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      rows: a key of `jacobian.ROWS`.
      implementation: a key of `NEURAL_TANGENTS_IMPLEMENTATIONS`.
      batch_size: images on each side of a block.
      dtype: "float32" or "float64", in which the network is run, differentiated and summed.
      progress: called with ("kernel blocks", blocks done, blocks in all) for each version.

    Returns:
      K, M and K~ as `kernel_triples` does: float64 [n * k, n * k], rows i * k + c. K, the same
      array for every version, and K~ are symmetric to the last bit.

    Raises:
      InputError: what `JacobianRows` and `kernel_triples` refuse, an unknown implementation, one
        that cannot take this network, or a kernel that is not finite.

    Reference:
      Novak, Sohl-Dickstein, Schoenholz: Fast Finite Width Neural Tangent Kernel, 2022.
    """
    images = check_images(images)
    blocks = _Blocks(apply_fn, params, images, labels, rows, implementation, batch_size, dtype)
    plain = None
    for version in augmented_versions:
        version = check_images(version, "augmented images")
        check_same_shape(version.shape, images.shape, "a batch of augmented images")
        pending = _Steps(progress, blocks.num_blocks(versions=1, with_plain=plain is None))
        if plain is None:
            plain = blocks.symmetric(images, pending)
        augmented = blocks.symmetric(version, pending)
        yield KernelTriple(plain, blocks.cross(images, version, pending), augmented)


def neural_tangents_kernel(
    apply_fn: ApplyFn,
    params: Params,
    images: Images,
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    implementation: str = DEFAULT_IMPLEMENTATION,
    batch_size: int = DEFAULT_BATCH_SIZE,
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Float64[np.ndarray, "N N"]:
    """K alone; arguments and errors are those of `neural_tangents_triples`."""
    images = check_images(images)
    blocks = _Blocks(apply_fn, params, images, labels, rows, implementation, batch_size, dtype)
    return blocks.symmetric(
        images, _Steps(progress, blocks.num_blocks(versions=0, with_plain=True))
    )


def estimate_neural_tangents(
    apply_fn: ApplyFn,
    params: Params,
    images: Images,
    labels: Labels | None = None,
    *,
    versions: int = 1,
    rows: str = "logits",
    implementation: str = DEFAULT_IMPLEMENTATION,
    batch_size: int = DEFAULT_BATCH_SIZE,
    dtype: str = "float32",
) -> NeuralTangentsEstimate:
    """How long `neural_tangents_triples` is going to take with these arguments, from one block.

    The block is compiled, and then computed a few times. `versions` is how many augmented versions
    there are going to be; all else, and what is refused, is as in `neural_tangents_triples`.
    """
    images = check_images(images)
    blocks = _Blocks(apply_fn, params, images, labels, rows, implementation, batch_size, dtype)
    first, *later = list(_timed_blocks(blocks, images))
    num_blocks = blocks.num_blocks(versions=versions, with_plain=True)
    block_seconds = float(np.median(later))
    return NeuralTangentsEstimate(
        seconds=num_blocks * block_seconds,
        compile_seconds=max(first - block_seconds, 0.0),
        block_seconds=block_seconds,
        num_blocks=num_blocks,
    )


def _timed_blocks(blocks, images):
    """Seconds of the first block and of at least one more: of several, where they are short."""
    repeated = 0.0
    for repeat in range(20):
        start = time.perf_counter()
        blocks.values(images, 0, images, 0)
        seconds = time.perf_counter() - start
        yield seconds
        repeated += seconds if repeat else 0.0
        if repeated > 0.2:
            return


class _Steps:
    """Counts blocks and reports each."""

    def __init__(self, progress, total):
        self._progress, self._total, self._done = progress, total, 0

    def advance(self):
        self._done += 1
        if self._progress:
            self._progress("kernel blocks", self._done, self._total)


class _Blocks:
    """Computes kernels of one network in blocks of size x size images with k outputs each."""

    def __init__(self, apply_fn, params, images, labels, rows, implementation, batch_size, dtype):
        check_params(params)
        check_choice(dtype, ("float32", "float64"), "dtype")
        check_choice(implementation, NEURAL_TANGENTS_IMPLEMENTATIONS, "implementation")
        check_at_least(batch_size, 1, "batch_size")
        self._dtype, self._x64 = dtype, dtype == "float64"
        self._n = len(images)
        self._size = min(batch_size, self._n)
        if labels is None and rows in LABELLED_ROWS:
            raise InputError(f"the rows {rows!r} need labels, but none are given")
        labels = np.zeros(self._n) if labels is None else np.asarray(labels)
        check_same_shape(labels.shape, (self._n,), "labels")
        self._labels = labels.astype(np.int32)
        leaves, treedef = jax.tree.flatten(params)
        with jax.enable_x64(self._x64):
            self._leaves = [jnp.asarray(leaf, dtype) for leaf in leaves]
            outputs = _batch_outputs(apply_fn, rows, treedef)
            self._k = jax.eval_shape(outputs, self._leaves, self._batch(images, 0)).shape[1]
        self._program = _block_program(apply_fn, rows, treedef, implementation)
        reason = self._refusal(self._program, images)
        if reason:
            others = [
                name
                for name in NEURAL_TANGENTS_IMPLEMENTATIONS
                if name not in ("auto", implementation)
                and not self._refusal(_block_program(apply_fn, rows, treedef, name), images)
            ]
            able = ", ".join([*others, "our own kernels (ntk.kernel_triples, backend 'kernel')"])
            raise InputError(
                f"neural_tangents' {implementation} cannot take this network: {reason}; "
                f"what can: {able}"
            )

    def _batch(self, images, start):
        # The last block is filled up with the last image, so that one program serves all.
        members = np.minimum(np.arange(start, start + self._size), self._n - 1)
        return images[members].astype(self._dtype), self._labels[members]

    def _refusal(self, program, images):
        """Why the program cannot be traced for these images; empty if it can."""
        batch = self._batch(images, 0)
        try:
            with jax.enable_x64(self._x64), jax.default_matmul_precision("highest"):
                program.trace(self._leaves, batch, batch)
        except Exception as error:  # its own checks are of any kind, assertions among them
            first_line = next(iter(str(error).splitlines()), "")
            return f"{type(error).__name__}: {first_line.split('. ')[0]}"
        return ""

    def values(self, first, first_start, second, second_start):
        """One block, [rows of the first, rows of the second], as float64 on the host."""
        with jax.enable_x64(self._x64), jax.default_matmul_precision("highest"):
            block = self._program(
                self._leaves, self._batch(first, first_start), self._batch(second, second_start)
            )
            a, b = (
                (min(start + self._size, self._n) - start) * self._k
                for start in (first_start, second_start)
            )
            block = np.asarray(block, np.float64)[:a, :b]
        broken = (~np.isfinite(block)).sum(axis=1)
        if broken.any():
            # In a diagonal block an image breaks its own row as a whole, the others' in part.
            image = first_start + int(np.argmax(broken)) // self._k
            raise InputError(f"the kernel of image {image} holds NaN or infinity")
        return block

    def num_blocks(self, *, versions, with_plain):
        side = -(-self._n // self._size)
        triangle = side * (side + 1) // 2
        return with_plain * triangle + versions * (triangle + side**2)

    def symmetric(self, images, steps):
        """J J' of these images, of which only blocks on and above the diagonal are computed."""
        kernel = np.empty((self._n * self._k,) * 2)
        starts = range(0, self._n, self._size)
        # The diagonal first: its blocks name an image whose derivatives are not finite.
        pairs = [(i, i) for i in starts] + [(i, j) for i in starts for j in starts if i < j]
        for i, j in pairs:
            block = self.values(images, i, images, j)
            if i == j:
                block = (block + block.T) / 2
            self._place(kernel, i, j, block)
            self._place(kernel, j, i, block.T)
            steps.advance()
        return kernel

    def cross(self, images, version, steps):
        """J J~', all of its blocks."""
        kernel = np.empty((self._n * self._k,) * 2)
        starts = range(0, self._n, self._size)
        for i in starts:
            for j in starts:
                self._place(kernel, i, j, self.values(images, i, version, j))
                steps.advance()
        return kernel

    def _place(self, kernel, i, j, block):
        row, column = i * self._k, j * self._k
        kernel[row : row + block.shape[0], column : column + block.shape[1]] = block


def _batch_outputs(apply_fn, rows, treedef):
    outputs = output_function(apply_fn, rows)

    def batch_outputs(leaves, batch):
        images, labels = batch
        params = jax.tree.unflatten(treedef, leaves)
        return jax.vmap(outputs, in_axes=(None, 0, 0))(params, images, labels)

    return batch_outputs


# Kept, so that a run after its estimate does not compile again. Parameters come in as a list,
# because neural_tangents does not take every pytree.
@lru_cache(maxsize=4)
def _block_program(apply_fn, rows, treedef, implementation):
    neural_tangents = load_neural_tangents()
    kernel = neural_tangents.empirical_ntk_fn(
        _batch_outputs(apply_fn, rows, treedef),
        trace_axes=(),
        vmap_axes=0,
        implementation=neural_tangents.NtkImplementation[implementation.upper().replace("-", "_")],
    )

    @jax.jit
    def block(leaves, first, second):
        values = kernel(first, second, leaves)
        a, b, k, _ = values.shape
        return values.transpose(0, 2, 1, 3).reshape(a * k, b * k)

    return block
