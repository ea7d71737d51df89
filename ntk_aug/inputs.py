"""A batch of network inputs: an array, or a pytree of arrays, whose leading axis counts examples.

Images [n, h, w, c], tables [n, d], token ids [n, t] and dictionaries of such arrays all take this
form. Floating-point leaves follow the precision of the computation; integer and boolean leaves,
such as token ids, stay as they are.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Inputs
from ntk_aug.checks import check_finite_rows, check_same_shape
from ntk_aug.errors import InputError


def check_inputs(inputs: Any, what: str = "images") -> Inputs:
    """Returns the batch with numpy leaves after checking shapes, dtypes and values.

    64-bit integers that fit become 32-bit, as JAX has them.

    Raises:
      InputError: a leaf without examples, leaves that differ in n, a dtype that is not numeric,
        uint8 images, or a value that is not finite.
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(inputs)
    if not leaves:
        raise InputError(f"{what} are an empty {type(inputs).__name__}, expected arrays [n, ...]")
    checked = [_checked_leaf(leaf, what + jax.tree_util.keystr(path)) for path, leaf in leaves]
    lengths = {len(leaf) for leaf in checked}
    if len(lengths) > 1:
        raise InputError(
            f"the arrays of {what} have {sorted(lengths)} examples, expected the same number in all"
        )
    return jax.tree.unflatten(treedef, checked)


def _checked_leaf(leaf: Any, what: str) -> np.ndarray:
    array = np.asarray(leaf)
    if array.ndim == 0 or 0 in array.shape:
        raise InputError(
            f"{what} have shape {array.shape}, expected [n, ...] with no empty axis; "
            "images are [n, height, width, channels]"
        )
    if np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_:
        if array.dtype == np.uint8 and array.ndim == 4:
            raise InputError(
                f"{what} are uint8, expected the network's inputs: see data.unit_range"
            )
        if array.dtype.itemsize == 8:
            limits = np.iinfo(np.int32)
            if array.min() < limits.min or array.max() > limits.max:
                raise InputError(
                    f"{what} range from {array.min()} to {array.max()}, expected 32-bit integers"
                )
            return array.astype(np.int32)
        return array
    if not jnp.issubdtype(array.dtype, jnp.floating):  # numpy does not count bfloat16
        raise InputError(f"{what} have dtype {array.dtype}, expected floating point or integers")
    check_finite_rows(array, what)
    return array


def num_examples(inputs: Inputs) -> int:
    """The number n of examples in the batch."""
    return len(jax.tree.leaves(inputs)[0])


def take_examples(inputs: Inputs, positions: Any) -> Inputs:
    """The examples at these positions: indices, a mask, or a slice."""
    return jax.tree.map(lambda leaf: leaf[positions], inputs)


def cast_inputs(inputs: Inputs, dtype: str) -> Inputs:
    """The batch with its floating-point leaves in `dtype`."""
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf,
        inputs,
    )


def example_shapes(inputs: Inputs) -> Any:
    """Shapes and dtypes of one example, without the axis n, as `jax.ShapeDtypeStruct`."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), inputs)


def as_example_shapes(example: Any, dtype: str) -> Any:
    """Shapes and dtypes of one example; floating-point leaves get `dtype`.

    A tuple of integers is the shape of a single float array.
    """
    if isinstance(example, tuple | list) and all(isinstance(size, int) for size in example):
        return jax.ShapeDtypeStruct(tuple(example), dtype)

    def in_dtype(leaf):
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return jax.ShapeDtypeStruct(leaf.shape, dtype if floating else leaf.dtype)

    return jax.tree.map(in_dtype, example)


def _same_structure(a: Any, b: Any) -> bool:
    structures: list[Any] = [jax.tree.structure(a), jax.tree.structure(b)]
    return structures[0] == structures[1]


def _described(example: Any) -> str:
    """Dtypes and shapes of one example, such as "{'ids': int32[7]}"."""
    shapes = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", example)
    return str(shapes).replace("'", "") if isinstance(shapes, str) else str(shapes)


def check_same_batch(inputs: Inputs, expected: Inputs, what: str) -> None:
    """Raises InputError unless both batches have the same structure and shapes."""
    if _same_structure(inputs, expected):
        for one, other in zip(jax.tree.leaves(inputs), jax.tree.leaves(expected), strict=True):
            check_same_shape(one.shape, other.shape, what)
    check_same_examples(inputs, example_shapes(expected), what)


def check_same_examples(inputs: Inputs, expected: Any, what: str) -> None:
    """Raises InputError unless each example has the structure and shapes of `expected`.

    `expected` is what `example_shapes` returns, and `what` the name of one example, such as "an
    image".
    """
    given = example_shapes(inputs)
    if not _same_structure(given, expected):
        raise InputError(f"{what} is {_described(given)}, expected {_described(expected)}")
    for one, other in zip(jax.tree.leaves(given), jax.tree.leaves(expected), strict=True):
        check_same_shape(one.shape, other.shape, what)
        kinds = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in (one, other)]
        if kinds[0] != kinds[1]:
            raise InputError(f"{what} has dtype {one.dtype}, expected {other.dtype}")
