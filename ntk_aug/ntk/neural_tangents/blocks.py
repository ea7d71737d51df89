"""Kernels of one network by neural_tangents, in blocks of images."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.checks import check_at_least, check_choice, check_dtype, check_params, check_same_shape
from ntk_aug.errors import InputError
from ntk_aug.inputs import cast_inputs, num_examples, take_examples
from ntk_aug.jacobian.float64 import network_in
from ntk_aug.jacobian.outputs import LABELLED_ROWS, output_function
from ntk_aug.models import as_view
from ntk_aug.ntk.neural_tangents.bridge import load_neural_tangents

NEURAL_TANGENTS_IMPLEMENTATIONS = {
    "structured-derivatives": "derivatives layer by layer, with their structure; usually fastest",
    "jacobian-contraction": "both Jacobians and their product; takes every network",
    "ntk-vector-products": "kernel columns by a backward and a forward pass each; many outputs",
    "auto": "the one with the fewest operations by XLA's count; compiles all three first",
}


class KernelBlocks:
    """Computes kernels of one network in blocks of size x size images with k outputs each."""

    def __init__(self, network, images, labels, rows, implementation, batch_size, dtype):
        apply_fn, params, _ = as_view(network)
        check_params(params)
        apply_fn = network_in(apply_fn, check_dtype(dtype))
        check_choice(implementation, NEURAL_TANGENTS_IMPLEMENTATIONS, "implementation")
        check_at_least(batch_size, 1, "batch_size")
        self._dtype, self._x64 = dtype, dtype == "float64"
        self._n = num_examples(images)
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
                f"neural_tangents' {implementation} cannot take this network: {reason}; use {able}"
            )

    def _batch(self, images, start):
        # The last block is padded with the last image, so that one program serves all.
        members = np.minimum(np.arange(start, start + self._size), self._n - 1)
        inputs = cast_inputs(take_examples(images, members), self._dtype)
        return inputs, self._labels[members]

    def _refusal(self, program, images):
        """Why the program cannot be traced for these images; empty if it can."""
        batch = self._batch(images, 0)
        try:
            with jax.enable_x64(self._x64), jax.default_matmul_precision("highest"):
                program.trace(self._leaves, batch, batch)
        except Exception as error:  # neural_tangents raises errors of any kind
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
            # In a diagonal block a broken image has the most non-finite entries in its row.
            image = first_start + int(np.argmax(broken)) // self._k
            raise InputError(f"the kernel of image {image} holds NaN or infinity")
        return block

    def num_blocks(self, *, versions, with_plain):
        """Blocks of M and K~ for so many versions, and of K."""
        side = -(-self._n // self._size)
        triangle = side * (side + 1) // 2
        return with_plain * triangle + versions * (triangle + side**2)

    def symmetric(self, images, report):
        """J J' of these images; only blocks on and above the diagonal are computed."""
        kernel = np.empty((self._n * self._k,) * 2)
        starts = range(0, self._n, self._size)
        # The diagonal first: its blocks tell which image is not finite.
        pairs = [(i, i) for i in starts] + [(i, j) for i in starts for j in starts if i < j]
        for i, j in pairs:
            block = self.values(images, i, images, j)
            if i == j:
                block = (block + block.T) / 2
            self._place(kernel, i, j, block)
            self._place(kernel, j, i, block.T)
            report(1)
        return kernel

    def cross(self, images, version, report):
        """J J~', all blocks."""
        kernel = np.empty((self._n * self._k,) * 2)
        starts = range(0, self._n, self._size)
        for i in starts:
            for j in starts:
                self._place(kernel, i, j, self.values(images, i, version, j))
                report(1)
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


# Cached, so that a run after its estimate does not compile again. Parameters are a list, because
# neural_tangents does not take every pytree.
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
