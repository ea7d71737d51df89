"""Detects a network whose output for one image depends on the others of its batch."""

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError

from ntk_aug.aliases import ApplyFn, Images, Params
from ntk_aug.checks import InputError


def check_examples_independent(apply_fn: ApplyFn, params: Params, images: Images) -> int:
    """Checks that apply_fn maps each image to its logits, without regard to the rest of the batch.

    The same image is put through with two sets of neighbours, in batches of the same shape, so that
    a network without mixing runs the very same program on the same numbers.

    Args:
      apply_fn: evaluation view of a network.
      params: its parameters.
      images: [n, h, w, c]; the first few are used, and changed ones as other neighbours.

    Returns:
      C, the number of outputs.

    Raises:
      InputError: outputs that are no [n, C] floats, that are not finite, or that depend on the
        other images, as those of BatchNorm in training mode do.
    """
    images = jnp.asarray(images[: min(len(images), 4)])
    # A single image gets a neighbour too, or mixing could not show.
    batch = jnp.concatenate([images, images[:1] * 0.5 + 0.25])
    apply = jax.jit(apply_fn)
    try:
        logits = apply(params, batch)
    except (TypeError, ValueError, FlaxError) as error:
        first_line = next(iter(str(error).splitlines()), "")
        raise InputError(
            f"the network does not take images of shape {images.shape[1:]}: {first_line}"
        ) from error
    if getattr(logits, "ndim", None) != 2 or len(logits) != len(batch):
        raise InputError(
            f"the network maps {len(batch)} images to shape {getattr(logits, 'shape', None)}, "
            "expected logits [n, C]"
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise InputError(f"the network's logits are {logits.dtype}, expected floating point")
    logits = np.asarray(logits)
    if not np.isfinite(logits).all():
        raise InputError("the network's logits hold NaN or infinity")
    # Each of the first and the last image is kept while all others are changed, in sign and size.
    changed = 0.2 - 0.7 * batch
    change = max(
        np.abs(
            np.asarray(apply(params, changed.at[kept].set(batch[kept])))[kept] - logits[kept]
        ).max()
        for kept in (0, -1)
    )
    scale = np.abs(logits).max() + np.finfo(np.float32).tiny
    if change > 1e-5 * scale:
        raise InputError(
            "the network's output for one image depends on the other images of its batch "
            f"(it changed by {change:.2g} of {scale:.2g}): evaluate it with fixed statistics"
        )
    return logits.shape[1]
