"""Decoded data sets on disk, so that the next load is one read.

One uncompressed npz for each split of each folder that was decoded. It carries a signature of that
folder; once the folder's files change, it no longer matches and is written anew.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ntk_aug.errors import InputError
from ntk_aug.records import StrPath, fingerprint, replacing

# Part of every signature: raise it when the same files are decoded into other arrays.
_LAYOUT = 1


def cache_folder(cache_dir: StrPath | None = None) -> Path:
    """`cache_dir`, else the environment's NTK_AUG_CACHE, else ~/.cache/ntk_aug."""
    return Path(
        os.path.expanduser(cache_dir or os.environ.get("NTK_AUG_CACHE") or "~/.cache/ntk_aug")
    )


def folder_signature(folder: Path) -> str:
    """A sha256 of the path of a folder and the names, sizes and times of all files in it.

    Raises:
      InputError: a folder that cannot be listed.
    """
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        stats = [(str(path.relative_to(folder)), path.stat()) for path in files]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error}") from None
    listed = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return fingerprint([_LAYOUT, str(folder.resolve()), listed])


def cache_path(folder: Path, split: str, *, cache_dir: StrPath | None = None) -> Path:
    """The file that keeps one split of `folder`, a prepared data set name/[config/]version."""
    place = fingerprint(str(folder.resolve()))[:16]
    return cache_folder(cache_dir) / f"{folder.parent.name}-{folder.name}-{split}-{place}.npz"


def read_cached(path: StrPath, signature: str) -> dict[str, np.ndarray] | None:
    """The arrays kept under `path`, or None if there are none of this signature."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            # Arrays are read when they are asked for: those of a stale file are not.
            if str(kept["signature"]) != signature:
                return None
            return {name: kept[name] for name in kept.files if name != "signature"}
    except Exception:  # missing, or broken: zipfile, zlib and numpy each have their own
        return None


def write_cached(path: StrPath, signature: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keeps arrays under `path`; does nothing where that cannot be written."""
    kept: dict[str, Any] = {**arrays, "signature": np.asarray(signature)}
    # A cache is a convenience: without permission or space the arrays are decoded again next time.
    with contextlib.suppress(OSError), replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **kept)
