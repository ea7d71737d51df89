"""J as a linear operator: products J v and J' u, without rows of J."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ntk_aug.aliases import Float, Inputs, Targets
from ntk_aug.checks import check_at_least, check_dtype, check_params, check_same_shape
from ntk_aug.inputs import (
    as_example_shapes,
    cast_inputs,
    check_inputs,
    example_shapes,
    num_examples,
    take_examples,
)
from ntk_aug.jacobian.float64 import network_in
from ntk_aug.jacobian.outputs import label_shape, output_function, row_labels
from ntk_aug.models import as_view
from ntk_aug.models.outputs import count_outputs
from ntk_aug.precision import derivative_precision


class JacobianOperator:
    """J(W, X) [N, P] as products with vectors; rows i * k + c, columns as in `JacobianRows`.

    J v is a forward-mode and J' u a reverse-mode derivative, one batch of images at a time; memory
    is that of one batch and of the images. A network with a `jax.custom_vjp` has no forward mode.

    Attributes:
      shape: (N, P).
      dtype: "float32" or "float64", in which the network is run and differentiated.
      outputs_per_example: k.
    """

    def __init__(
        self,
        network: Any,
        images: Inputs,
        labels: Targets | None = None,
        *,
        rows: str = "logits",
        dtype: str = "float32",
        batch_size: int = 1000,
    ):
        """Prepares the products; nothing is compiled before the first.

        `batch_size` is the number of images at once. Other arguments and errors are those of
        `JacobianRows` and `JacobianRows.blocks`.
        """
        apply_fn, params, _ = as_view(network)
        check_params(params)
        images = check_inputs(images)
        self.dtype = check_dtype(dtype)
        check_at_least(batch_size, 1, "batch_size")
        apply_fn = network_in(apply_fn, dtype)
        outputs = output_function(apply_fn, rows)
        with derivative_precision(dtype):
            params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
            self._flat, unravel = ravel_pytree(params)
            example = as_example_shapes(example_shapes(images), dtype)
            num_logits = count_outputs((apply_fn, params), example, dtype=dtype)
            label = label_shape(rows, num_logits, dtype)
            k = jax.eval_shape(outputs, params, example, label).shape[0]
        n = num_examples(images)
        self._images = images
        self._labels = row_labels(labels, rows, n, num_logits, dtype)
        self._batch_size = min(batch_size, n)
        self.outputs_per_example = k
        self.shape = (n * k, self._flat.size)

        def batch_outputs(images, labels, flat):
            values = jax.vmap(outputs, (None, 0, 0))(unravel(flat), images, labels)
            return values.astype(dtype)  # layers may have a lower precision

        @jax.jit
        def forward(flat, vector, images, labels):
            return jax.jvp(partial(batch_outputs, images, labels), (flat,), (vector,))[1]

        @jax.jit
        def backward(flat, cotangents, images, labels):
            return jax.vjp(partial(batch_outputs, images, labels), flat)[1](cotangents)[0]

        self._forward, self._backward = forward, backward

    def matvec(self, vector: Float[np.ndarray, " P"]) -> Float[np.ndarray, " N"]:
        """J v; raises InputError for a vector of another length."""
        check_same_shape(np.shape(vector), self.shape[1:], "the vector")
        result = np.empty((len(self._labels), self.outputs_per_example), self.dtype)
        with derivative_precision(self.dtype):
            direction = jnp.asarray(vector, self.dtype)
            for members, count in self._batches():
                block = self._forward(self._flat, direction, *self._batch(members))
                result[members[:count]] = np.asarray(block)[:count]
        return result.ravel()

    def rmatvec(self, vector: Float[np.ndarray, " N"]) -> Float[np.ndarray, " P"]:
        """J' u, summed over the batches in float64; raises InputError as `matvec`."""
        check_same_shape(np.shape(vector), self.shape[:1], "the vector")
        cotangents = np.asarray(vector, self.dtype).reshape(-1, self.outputs_per_example)
        total = np.zeros(self.shape[1])
        with derivative_precision(self.dtype):
            for members, count in self._batches():
                own = cotangents[members]
                own[count:] = 0  # padding
                total += np.asarray(self._backward(self._flat, own, *self._batch(members)))
        return total.astype(self.dtype)

    def _batches(self):
        """The positions of each batch's images and how many count: the last is padded."""
        n, size = len(self._labels), self._batch_size
        for start in range(0, n, size):
            yield np.minimum(np.arange(start, start + size), n - 1), min(size, n - start)

    def _batch(self, members):
        inputs = cast_inputs(take_examples(self._images, members), self.dtype)
        return inputs, self._labels[members]
