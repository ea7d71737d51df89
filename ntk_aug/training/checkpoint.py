"""Checkpoints: folders that are written atomically and verified by a manifest.

Orbax writes an array tree; other arrays are npz, and the history is JSON lines. All files are
written to a temporary folder, then the manifest with the hash of each file, and then the folder is
renamed. A killed process or a full disk leaves earlier checkpoints unchanged. Before a checkpoint
is read, it is compared with its manifest, because orbax's list of steps may name a failed save.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from ntk_aug.errors import BrokenFileError, InputError, NtkAugError
from ntk_aug.records import (
    StrPath,
    orbax_in_silence,
    read_json,
    read_npz,
    to_json,
    write_json,
    write_npz,
)

_MANIFEST = "manifest.json"
_ARRAYS, _NUMBERS, _HISTORY = "state", "progress.npz", "history.jsonl"
_PARTIAL = ".partial-"


class Checkpoint(NamedTuple):
    """The content of a checkpoint.

    Attributes:
      tree: a pytree of arrays, which may be typed random keys.
      arrays: arrays by name, of any shape.
      history: one mapping per epoch.
    """

    tree: Any
    arrays: Mapping[str, np.ndarray]
    history: Sequence[Mapping[str, Any]]


def save_checkpoint(folder: StrPath, epoch: int, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint of an epoch atomically into the folder of all checkpoints.

    Raises InputError if it cannot be written, as on a full disk; earlier checkpoints are kept.
    """
    folder = Path(folder).absolute()
    remove_partial(folder)
    staging = folder / f"{_PARTIAL}{epoch}-{os.getpid()}"
    try:
        staging.mkdir(parents=True)
        with orbax_in_silence(), ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            tree = ocp.args.StandardSave(_without_keys(checkpoint.tree))
            checkpointer.save(staging / _ARRAYS, args=tree)
        write_npz(staging / _NUMBERS, checkpoint.arrays)
        lines = "".join(to_json(record, indent=None) for record in checkpoint.history)
        (staging / _HISTORY).write_text(lines, encoding="utf-8")
        arrays, files = _described(checkpoint.tree), _hashes(staging)
        write_json(staging / _MANIFEST, {"epoch": epoch, "arrays": arrays, "files": files})
        final = folder / str(epoch)
        if final.exists():  # a broken checkpoint is written again
            shutil.rmtree(final)
        staging.rename(final)
    except Exception as error:  # orbax raises many types, also from threads
        shutil.rmtree(staging, ignore_errors=True)
        kept = checkpoint_epochs(folder)
        last = f"the last one is of epoch {kept[-1]}" if kept else "there is no earlier one"
        raise InputError(
            f"the checkpoint of epoch {epoch} cannot be written to {folder}: {_first_line(error)}; "
            f"{last}"
        ) from error


def checkpoint_epochs(folder: StrPath) -> list[int]:
    """Lists the epochs with a checkpoint, ascending; empty if the folder does not exist."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    found = (child for child in folder.iterdir() if child.name.isdecimal())
    return sorted(int(child.name) for child in found if (child / _MANIFEST).is_file())


def restore_checkpoint(folder: StrPath, epoch: int, like: Any) -> Checkpoint:
    """Reads the checkpoint of an epoch, after comparing its files with the manifest.

    `like` is a pytree of arrays or `jax.ShapeDtypeStruct` with the expected structure.

    Raises:
      InputError: there is no such checkpoint, or its structure or shapes differ.
      BrokenFileError: files are missing or have changed.
    """
    known = checkpoint_epochs(folder)
    if epoch not in known:
        raise InputError(
            f"{folder} holds no whole checkpoint of epoch {epoch}; it has those of {known}"
        )
    path = Path(folder).absolute() / str(epoch)
    stored_arrays, wanted = _checked_manifest(path)["arrays"], _described(like)
    for name in sorted({*stored_arrays, *wanted}):
        if stored_arrays.get(name) != wanted.get(name):
            raise InputError(
                f"the checkpoint of epoch {epoch} in {folder} is not of this network: {name} is "
                f"{stored_arrays.get(name, 'missing')}, expected {wanted.get(name, 'nothing')}"
            )
    target = jax.eval_shape(_without_keys, like)
    with orbax_in_silence(), ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        stored = checkpointer.restore(path / _ARRAYS, args=ocp.args.StandardRestore(target))
    lines = (path / _HISTORY).read_text(encoding="utf-8").splitlines()
    tree = jax.tree.map(_with_key, stored, like)
    return Checkpoint(tree, read_npz(path / _NUMBERS), [json.loads(line) for line in lines])


def remove_checkpoint(folder: StrPath, epoch: int) -> None:
    """Removes the checkpoint of an epoch, the manifest first, so that no part of it counts."""
    path = Path(folder) / str(epoch)
    (path / _MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def remove_partial(folder: StrPath) -> None:
    """Removes the temporary folders of killed processes."""
    if Path(folder).is_dir():
        for child in Path(folder).iterdir():
            if child.name.startswith(_PARTIAL):
                shutil.rmtree(child, ignore_errors=True)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _MANIFEST
    }


def _described(tree: Any) -> dict[str, str]:
    """Type and shape of each array by its path, such as "float32 [3, 4]"."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.eval_shape(_without_keys, tree))
    return {jax.tree_util.keystr(path): f"{leaf.dtype} {list(leaf.shape)}" for path, leaf in leaves}


def _checked_manifest(path: Path) -> dict[str, Any]:
    """Reads the manifest of a checkpoint and compares the files with it."""
    try:
        manifest = read_json(path / _MANIFEST)
        expected, found = manifest["files"], _hashes(path)
    except (NtkAugError, KeyError, TypeError, OSError) as error:
        raise BrokenFileError(f"checkpoint {path} cannot be read: {error}") from None
    wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if wrong:
        raise BrokenFileError(
            f"checkpoint {path} differs from its manifest: {wrong[0]} "
            f"{'has changed' if wrong[0] in found else 'is missing'}"
        )
    return manifest


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_keys(tree: Any) -> Any:
    """Replaces typed random keys by their data."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def _with_key(leaf: Any, expected: Any) -> Any:
    return jax.random.wrap_key_data(leaf) if _is_key(expected) else leaf
