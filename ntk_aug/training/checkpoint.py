"""Checkpoints: atomic, one per epoch that is kept, written and read by orbax."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from ntk_aug.checks import InputError
from ntk_aug.records import StrPath


@contextlib.contextmanager
def _manager(folder: StrPath) -> Iterator[ocp.CheckpointManager]:
    # Orbax tells every step of every save at level INFO and WARNING.
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    manager = ocp.CheckpointManager(Path(folder).absolute())
    try:
        yield manager
        manager.wait_until_finished()
    finally:
        manager.close()
        logger.setLevel(level)


def _without_keys(tree: Any) -> Any:
    """Typed random keys as the plain numbers that they are stored as."""
    return jax.tree.map(
        lambda leaf: (
            jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        ),
        tree,
    )


def save_checkpoint(folder: StrPath, epoch: int, tree: Any) -> None:
    """Saves a pytree of arrays as the checkpoint of an epoch; whole, or not at all."""
    with _manager(folder) as manager:
        manager.save(epoch, args=ocp.args.StandardSave(_without_keys(tree)))


def checkpoint_epochs(folder: StrPath) -> list[int]:
    """The epochs that have a whole checkpoint, ascending; empty if the folder does not exist."""
    if not Path(folder).is_dir():
        return []
    with _manager(folder) as manager:
        return sorted(manager.all_steps())


def restore_checkpoint(folder: StrPath, epoch: int, like: Any) -> Any:
    """Restores the checkpoint of an epoch.

    Args:
      folder: that `save_checkpoint` wrote into.
      epoch: one of `checkpoint_epochs(folder)`.
      like: a pytree of arrays or `jax.ShapeDtypeStruct` with the expected structure.

    Raises:
      InputError: no such checkpoint, or one of another structure or other shapes.
    """
    known = checkpoint_epochs(folder)
    if epoch not in known:
        raise InputError(
            f"{folder} holds no whole checkpoint of epoch {epoch}; it has those of {known}"
        )
    target = jax.eval_shape(_without_keys, like)
    with _manager(folder) as manager:
        try:
            stored = manager.restore(epoch, args=ocp.args.StandardRestore(target))
        except (ValueError, KeyError, TypeError) as error:
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"the checkpoint of epoch {epoch} in {folder} is not of this network: {first_line}"
            ) from error
    return jax.tree.map(
        lambda leaf, expected: (
            jax.random.wrap_key_data(leaf)
            if jnp.issubdtype(expected.dtype, jax.dtypes.prng_key)
            else leaf
        ),
        stored,
        like,
    )
