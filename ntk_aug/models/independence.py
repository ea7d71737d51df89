"""Detects a network whose output for one image depends on the others of its batch."""

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError

from ntk_aug.aliases import ApplyFn, Inputs, Params
from ntk_aug.checks import InputError
from ntk_aug.inputs import num_examples, take_examples


def check_examples_independent(apply_fn: ApplyFn, params: Params, images: Inputs) -> int:
    """Checks that apply_fn maps each image to its logits, without regard to the rest of the batch.

    The same image is put through with two sets of neighbours, in batches of the same shape, so that
    a network without mixing runs the very same program on the same numbers.

    Args:
      apply_fn: evaluation view of a network.
      params: its parameters.
      images: inputs with leading n, such as [n, h, w, c]; the first few are used, and changed
        ones as other neighbours.

    Returns:
      C, the number of outputs.

    Raises:
      InputError: outputs that are no [n, C] floats, that are not finite, or that depend on the
        other images, as those of BatchNorm in training mode do.
    """
    few = jax.tree.map(jnp.asarray, take_examples(images, slice(4)))
    # A single image gets a neighbour too, or mixing could not show.
    batch = jax.tree.map(lambda x: jnp.concatenate([x, _neighbour(x[:1])]), few)
    size = num_examples(batch)
    apply = jax.jit(apply_fn)
    try:
        logits = apply(params, batch)
    except (TypeError, ValueError, FlaxError) as error:
        first_line = next(iter(str(error).splitlines()), "")
        raise InputError(f"the network does not take {_description(few)}: {first_line}") from error
    if not hasattr(logits, "shape"):
        raise InputError(
            f"the network returns a {type(logits).__name__}, expected one array of logits [n, C]: "
            "hand in a function that returns them alone"
        )
    if logits.ndim != 2 or len(logits) != size:
        raise InputError(
            f"the network maps {size} images to shape {logits.shape}, expected logits [n, C]"
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise InputError(f"the network's logits are {logits.dtype}, expected floating point")
    logits = np.asarray(logits)
    if not np.isfinite(logits).all():
        raise InputError("the network's logits hold NaN or infinity")
    # Each of the first and the last image is kept while all others are changed, in sign and size.
    change = max(
        np.abs(np.asarray(apply(params, _with_others(batch, kept)))[kept] - logits[kept]).max()
        for kept in (0, size - 1)
    )
    scale = np.abs(logits).max() + np.finfo(np.float32).tiny
    if change > 1e-5 * scale:
        raise InputError(
            "the network's output for one image depends on the other images of its batch "
            f"(it changed by {change:.2g} of {scale:.2g}): evaluate it with fixed statistics"
        )
    return logits.shape[1]


def _neighbour(leaf):
    return leaf * 0.5 + 0.25 if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _with_others(batch, kept):
    """The batch with all examples changed but one."""

    def changed(leaf):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            others = 0.2 - 0.7 * leaf
        else:  # token ids stay valid ones: all become those of one example
            others = jnp.broadcast_to(leaf[1:2], leaf.shape)
        return others.at[kept].set(leaf[kept])

    return jax.tree.map(changed, batch)


def _description(examples):
    """The inputs in a message: the shape of an image, or shapes and types of all arrays."""
    leaves = jax.tree.leaves(examples)
    if len(leaves) == 1 and jnp.issubdtype(leaves[0].dtype, jnp.floating):
        return f"images of shape {leaves[0].shape[1:]}"
    return "examples of " + ", ".join(f"{leaf.dtype} {leaf.shape[1:]}" for leaf in leaves)
