"""A cache of decoded data sets on disk.

There is one uncompressed npz per split of each decoded folder. It holds a signature of the folder,
and is written again when the folder's files change.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ntk_aug.errors import InputError
from ntk_aug.records import StrPath, fingerprint, replacing

# Part of every signature: increase it when the same files are decoded to different arrays.
_LAYOUT = 1


def cache_folder(cache_dir: StrPath | None = None) -> Path:
    """`cache_dir`, else the environment's NTK_AUG_CACHE, else ~/.cache/ntk_aug."""
    return Path(
        os.path.expanduser(cache_dir or os.environ.get("NTK_AUG_CACHE") or "~/.cache/ntk_aug")
    )


def folder_signature(folder: Path) -> str:
    """Returns a sha256 of a folder's path and of the names, sizes and times of its files.

    Raises InputError if the folder cannot be listed.
    """
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        stats = [(str(path.relative_to(folder)), path.stat()) for path in files]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error}") from None
    listed = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return fingerprint([_LAYOUT, str(folder.resolve()), listed])


def cache_path(folder: Path, split: str, *, cache_dir: StrPath | None = None) -> Path:
    """Returns the cache file of one split of `folder`, a data set name/[config/]version."""
    place = fingerprint(str(folder.resolve()))[:16]
    return cache_folder(cache_dir) / f"{folder.parent.name}-{folder.name}-{split}-{place}.npz"


def read_cached(path: StrPath, signature: str) -> dict[str, np.ndarray] | None:
    """Reads the cached arrays; returns None if there are none with this signature."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            if str(kept["signature"]) != signature:  # stale: its arrays are not read
                return None
            return {name: kept[name] for name in kept.files if name != "signature"}
    except Exception:  # missing or broken; zipfile, zlib and numpy each raise their own errors
        return None


def write_cached(path: StrPath, signature: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to the cache; does nothing without permission or space."""
    kept: dict[str, Any] = {**arrays, "signature": np.asarray(signature)}
    with contextlib.suppress(OSError), replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **kept)
