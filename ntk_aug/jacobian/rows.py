"""Rows of the Jacobian J(W, X), block by block in bounded memory."""

from collections.abc import Iterator

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
from ntk_aug.jacobian.outputs import output_function
from ntk_aug.models import num_params

# Rows that are computed at once; larger blocks leave the processor's caches without being faster.
_BLOCK_BYTES = 64 * 2**20
_MAX_BLOCK_SIZE = 256


class JacobianRows:
    """Computes rows of J for one network: row i * k + c is the gradient of output c of image i.

    Parameters are in the order of `jax.tree.leaves(params)`, each raveled in C order.

    Attributes:
      num_params: P, the columns.
      outputs_per_example: k, the rows of one image.
      dtype: "float32" or "float64", in which the network is run and differentiated.
      row_bytes: of one row, P * itemsize.
      block_size: images that are differentiated at once; sets the speed and the working memory.
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
        with jax.enable_x64(self._x64):
            self._params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
            image = jax.ShapeDtypeStruct(image_shape, dtype)
            label = jax.ShapeDtypeStruct((), "int32")
            batch = jax.ShapeDtypeStruct((1, *image_shape), dtype)
            self._num_logits = jax.eval_shape(apply_fn, self._params, batch).shape[1]
            self.outputs_per_example = jax.eval_shape(outputs, self._params, image, label).shape[0]
        self.num_params = num_params(params)
        self.row_bytes = self.num_params * np.dtype(dtype).itemsize
        if block_size is None:
            fitting = _BLOCK_BYTES // (self.outputs_per_example * self.row_bytes)
            block_size = min(max(fitting, 1), _MAX_BLOCK_SIZE)
        check_at_least(block_size, 1, "block_size")
        self.block_size = block_size

        def rows_of_example(params, image, label):
            jacobian = jax.jacrev(outputs)(params, image, label)
            leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(jacobian)]
            return jnp.concatenate(leaves, axis=1)

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
                    self._params, images[members].astype(self.dtype), labels[members]
                )
            values = np.asarray(block)[: last - first].reshape(-1, self.num_params)
            if not np.isfinite(values).all():
                bad = first + int(np.argmin(np.isfinite(values).all(axis=1))) // k
                raise InputError(f"the Jacobian of image {bad} holds NaN or infinity")
            yield slice(first * k, last * k), values

    def __call__(
        self,
        images: Images,
        labels: Labels | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> Float[np.ndarray, "rows P"]:
        """The rows of all images, or of images start to stop - 1, in one array.

        Memory is n * k * row_bytes; arguments and errors are those of `blocks`.
        """
        k = self.outputs_per_example
        stop = len(images) if stop is None else stop
        jacobian = np.empty(((stop - start) * k, self.num_params), self.dtype)
        for rows, values in self.blocks(images, labels, start=start, stop=stop):
            jacobian[rows.start - start * k : rows.stop - start * k] = values
        return jacobian
