"""Checks a network's inputs and outputs, with one-line errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from flax.errors import FlaxError

from ntk_aug.aliases import Inputs
from ntk_aug.errors import InputError
from ntk_aug.inputs import as_example_shapes
from ntk_aug.models.network import as_view


def check_logits(output: Any, n: int) -> int:
    """Returns C after checking that a network's output for n examples is logits [n, C].

    `output` may be its shape and dtype. Raises InputError for a tuple or another container, another
    shape, or no floating point.
    """
    if isinstance(output, tuple | list | Mapping):
        kind = "tuple" if isinstance(output, tuple) else type(output).__name__
        raise InputError(
            f"the network returns a {kind} of {len(output)}, expected logits [n, C] alone: pass a "
            "function that returns them"
        )
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != n:
        found = type(output).__name__ if shape is None else f"shape {shape}"
        images = "one image" if n == 1 else f"{n} images"
        raise InputError(f"the network maps {images} to {found}, expected logits [n, C]")
    if not jnp.issubdtype(output.dtype, jnp.floating):
        raise InputError(f"the network's logits are {output.dtype}, expected floating point")
    return shape[1]


@contextmanager
def network_takes(inputs: Inputs) -> Iterator[None]:
    """Context for calling a network: turns errors of shapes, dtypes or names into InputError.

    `inputs` is the batch, or its shapes and dtypes.
    """
    try:
        yield
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, FlaxError) as error:
        first_line = next(iter(str(error).splitlines()), "")
        kind = "" if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: "
        raise InputError(
            f"the network does not take {_described(inputs)}: {kind}{first_line}"
        ) from error


def _described(inputs):
    """Images by their shape, other inputs by the shapes and dtypes of all arrays."""
    leaves = jax.tree_util.tree_leaves_with_path(inputs)
    if len(leaves) == 1 and not leaves[0][0] and jnp.issubdtype(leaves[0][1].dtype, jnp.floating):
        return f"images of shape {leaves[0][1].shape[1:]}"
    told = (
        f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape[1:]}".strip()
        for path, leaf in leaves
    )
    return "examples of " + ", ".join(told)


def count_outputs(network: Any, example: Any, *, dtype: str = "float32") -> int:
    """Returns C, the number of outputs, without running the network.

    `example` is (h, w, c), or shapes and dtypes of one example; floating-point inputs have `dtype`.
    Raises InputError if the network does not take such an example, or does not return logits [1,
    C].
    """
    batch = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype),
        as_example_shapes(example, dtype),
    )
    view = as_view(network)
    with network_takes(batch):
        output = jax.eval_shape(view.apply_fn, view.params, batch)
    return check_logits(output, 1)
