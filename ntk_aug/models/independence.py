"""Detects networks whose output for one example depends on the rest of the batch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Inputs
from ntk_aug.errors import InputError
from ntk_aug.inputs import num_examples, take_examples
from ntk_aug.models.network import as_view
from ntk_aug.models.outputs import check_logits, network_takes


def check_examples_independent(network: Any, images: Inputs) -> int:
    """Checks that a network maps each example to its logits independently of the rest of the batch.

    The first examples of `images` run twice with different neighbours in batches of the same shape,
    so a network without mixing executes the same program on the same numbers. Floating-point
    neighbours get changed values, integer ones (such as token ids) those of another example.

    Returns:
      C, the number of outputs.

    Raises:
      InputError: outputs that are not finite floats [n, C], or that depend on the other examples,
        as with BatchNorm in training mode.
    """
    n = num_examples(images)
    # A single example needs a neighbour too.
    first = list(range(min(n, 4)))
    batch = take_examples(images, np.array([*first, 0]))
    batch = _with_neighbours(batch, lambda x: x.at[-1].set(x[-1] * 0.5 + 0.25), lambda x: x)
    view = as_view(network)
    apply, params = jax.jit(view.apply_fn), view.params
    with network_takes(batch):
        logits = apply(params, batch)
    num_outputs = check_logits(logits, len(first) + 1)
    logits = np.asarray(logits)
    if not np.isfinite(logits).all():
        raise InputError("the network's logits hold NaN or infinity")
    # Keep the first (then the last) example, and change all others in sign and size.
    other = _unlike_first(images)
    changed = _with_neighbours(
        batch, lambda x: 0.2 - 0.7 * x, lambda x, other: jnp.broadcast_to(other, x.shape), other
    )
    change = 0.0
    for kept in (0, -1):
        neighbours = jax.tree.map(lambda a, b, kept=kept: a.at[kept].set(b[kept]), changed, batch)
        moved = np.asarray(apply(params, neighbours))[kept] - logits[kept]
        change = max(change, float(np.abs(moved).max()))
    scale = np.abs(logits).max() + np.finfo(np.float32).tiny
    if change > 1e-5 * scale:
        raise InputError(
            "the network's output for one image depends on the other images of its batch "
            f"(it changed by {change:.2g} of {scale:.2g}): evaluate it with fixed statistics"
        )
    return num_outputs


def _with_neighbours(batch, of_floats, of_integers, *others):
    """Applies one function to the floating-point leaves and another to the integer ones."""

    def changed(leaf, *rest):
        leaf = jnp.asarray(leaf)
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return of_floats(leaf) if floating else of_integers(leaf, *rest)

    return jax.tree.map(changed, batch, *others)


def _unlike_first(inputs):
    """The first example with an integer that differs from the first example."""
    differs = np.zeros(num_examples(inputs), bool)
    for leaf in map(np.asarray, jax.tree.leaves(inputs)):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            differs |= (leaf != leaf[:1]).reshape(len(leaf), -1).any(axis=1)
    return take_examples(inputs, int(np.argmax(differs)))
