"""Rows of the Jacobian J(W, X), block by block in bounded memory."""

from collections.abc import Iterator
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import ApplyFn, Float, Images, Labels, Params
from ntk_aug.checks import (
    InputError,
    check_at_least,
    check_choice,
    check_images,
    check_labels,
    check_params,
    check_same_shape,
)
from ntk_aug.jacobian.layerwise import example_rows, routes
from ntk_aug.jacobian.outputs import output_function
from ntk_aug.jacobian.sites import SiteTrace
from ntk_aug.models import num_params

# Rows that are computed at once; what leaves the processor's caches is slower.
_BLOCK_BYTES = 12 * 2**20
_MAX_BLOCK_SIZE = 256


class JacobianRows:
    """Computes rows of J for one network: row i * k + c is the gradient of output c of image i.

    Parameters are in the order of `jax.tree.leaves(params)`, each raveled in C order. Rows are
    computed layer by layer (`layerwise.example_rows`), whatever the network is written in.

    Attributes:
      num_params: P, the columns.
      outputs_per_example: k, the rows of one image.
      dtype: "float32" or "float64", in which the network is run and differentiated.
      row_bytes: of one row, P * itemsize.
      block_size: images that are differentiated at once; sets the speed and the working memory.
      routes: for each parameter, by its path, which of `ROUTES` its rows take.
    """

    def __init__(
        self,
        apply_fn: ApplyFn,
        params: Params,
        image_shape: tuple[int, int, int],
        *,
        rows: str = "logits",
        dtype: str = "float32",
        block_size: int | None = None,
    ):
        """Prepares the computation; nothing is compiled before the first block.

        Args:
          apply_fn: evaluation view of a network.
          params: pytree of floating-point arrays.
          image_shape: (h, w, c) of the network's inputs.
          rows: a key of `jacobian.ROWS`.
          dtype: "float32" or "float64".
          block_size: images at once; None chooses one by memory.

        Raises:
          InputError: parameters that are no finite floats, an unknown kind of rows or dtype.
        """
        check_params(params)
        self.dtype = check_choice(dtype, ("float32", "float64"), "dtype")
        outputs = output_function(apply_fn, rows)
        self._x64 = dtype == "float64"
        self._image_shape = tuple(image_shape)
        self._needs_labels = rows == "true-logit"
        leaves, treedef = jax.tree.flatten(params)
        with jax.enable_x64(self._x64):
            self._leaves = [jnp.asarray(leaf, dtype) for leaf in leaves]
            image = jax.ShapeDtypeStruct(image_shape, dtype)
            label = jax.ShapeDtypeStruct((), "int32")
            batch = jax.ShapeDtypeStruct((1, *image_shape), dtype)
            with_params = treedef.unflatten(self._leaves)
            self._num_logits = jax.eval_shape(apply_fn, with_params, batch).shape[1]
            k = jax.eval_shape(outputs, with_params, image, label).shape[0]

            def traced(leaves, image, label, offset):
                # The offset, zero, makes a site even of an output that sees no image.
                return outputs(treedef.unflatten(leaves), image, label) + offset

            offset = jax.ShapeDtypeStruct((k,), dtype)
            trace = SiteTrace(traced, self._leaves, [image, label, offset])
        self.outputs_per_example = k
        self.num_params = num_params(params)
        self.row_bytes = self.num_params * np.dtype(dtype).itemsize
        if block_size is None:
            fitting = _BLOCK_BYTES // (k * self.row_bytes)
            block_size = min(max(fitting, 1), _MAX_BLOCK_SIZE)
        check_at_least(block_size, 1, "block_size")
        self.block_size = block_size
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        self.routes = dict(
            zip(map(jax.tree_util.keystr, paths), routes(trace, len(leaves)), strict=True)
        )
        ends = np.cumsum([0, *(leaf.size for leaf in leaves)])
        self._columns = [slice(*span) for span in pairwise(ends)]

        def rows_of_example(leaves, image, label):
            zero = jnp.zeros(k, dtype)
            found = example_rows(trace, leaves, [image, label, zero], jnp.eye(k, dtype=dtype))
            return [leaf.reshape(k, -1) for leaf in found]

        self._block = jax.jit(jax.vmap(rows_of_example, in_axes=(None, 0, 0)))

    def blocks(
        self,
        images: Images,
        labels: Labels | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[tuple[slice, Float[np.ndarray, "rows P"]]]:
        """Yields (slice of the rows of J, their values) for consecutive blocks of images.

        Args:
          images: network inputs [n, h, w, c], in floating point.
          labels: [n]; needed for the rows "true-logit" only.
          start: the first image whose rows are computed.
          stop: the image before which it ends; None takes all.

        Raises:
          InputError: images that are no finite floats [n, h, w, c], or rows with NaN or infinity
            (the first such image is named).
        """
        k = self.outputs_per_example
        for first, last, leaves in self._leaf_blocks(images, labels, start, stop):
            yield slice(first * k, last * k), np.concatenate(leaves, axis=1)

    def __call__(
        self,
        images: Images,
        labels: Labels | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        out: Float[np.ndarray, "rows P"] | None = None,
    ) -> Float[np.ndarray, "rows P"]:
        """The rows of all images, or of images start to stop - 1, in one array.

        Memory is n * k * row_bytes; `out` is an array to write into. Other arguments and errors are
        those of `blocks`.
        """
        k = self.outputs_per_example
        stop = len(images) if stop is None else stop
        shape = ((stop - start) * k, self.num_params)
        if out is None:
            out = np.empty(shape, self.dtype)
        check_same_shape(out.shape, shape, "out")
        for first, last, leaves in self._leaf_blocks(images, labels, start, stop):
            rows = slice((first - start) * k, (last - start) * k)
            for columns, leaf in zip(self._columns, leaves, strict=True):
                out[rows, columns] = leaf
        return out

    def _leaf_blocks(self, images, labels, start, stop):
        """Yields (first image, the one after the last, rows of each parameter) block by block."""
        images = check_images(images)
        if images.dtype == np.uint8:
            raise InputError("images are uint8, expected the network's inputs: see data.unit_range")
        check_same_shape(images.shape[1:], self._image_shape, "an image")
        if self._needs_labels and labels is None:
            raise InputError("rows 'true-logit' need the labels of the images")
        if self._needs_labels:
            labels = check_labels(labels, len(images), self._num_logits)
        else:
            labels = np.zeros(len(images), np.int32)
        k = self.outputs_per_example
        stop = len(images) if stop is None else stop
        size = min(self.block_size, len(images))
        for first in range(start, stop, size):
            last = min(first + size, stop)
            # The last block is filled up with its last image, so that one program serves all.
            members = np.minimum(np.arange(first, first + size), last - 1)
            with jax.enable_x64(self._x64), jax.default_matmul_precision("highest"):
                block = self._block(
                    self._leaves, images[members].astype(self.dtype), labels[members]
                )
            leaves = [
                np.asarray(leaf)[: last - first].reshape((last - first) * k, -1) for leaf in block
            ]
            # A sum is not finite if a term is not; or if it overflows, so that the terms decide.
            with np.errstate(all="ignore"):
                all_finite = all(np.isfinite(leaf.sum()) for leaf in leaves)
            if not all_finite:
                finite = np.logical_and.reduce([np.isfinite(leaf).all(axis=1) for leaf in leaves])
                if not finite.all():
                    bad = first + int(np.argmin(finite)) // k
                    raise InputError(f"the Jacobian of image {bad} holds NaN or infinity")
            yield first, last, leaves
