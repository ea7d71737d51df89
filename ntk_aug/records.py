"""Files of a run: JSON and npz, written atomically and never pickled."""

import contextlib
import hashlib
import json
import logging
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ntk_aug import __version__
from ntk_aug.checks import check_writable_folder
from ntk_aug.errors import BrokenFileError, InputError

StrPath = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """Gives a temporary path beside `path`, renamed onto it only if the body succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a result gets the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Turns numpy and JAX values into JSON types; NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | jax.Array):
        return _plain(np.asarray(value).tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON text with a final newline, keys in their order; one line if `indent` is None."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: StrPath, value: Any) -> None:
    """Writes `value` as JSON; numpy values become numbers and lists, non-finite ones null."""
    with replacing(path) as temporary:
        temporary.write_text(to_json(value), encoding="utf-8")


def read_json(path: StrPath) -> Any:
    """Reads a JSON file; raises InputError if it is missing, BrokenFileError if broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"{path} is not readable JSON: {error}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise BrokenFileError(f"{path} is not readable JSON: {error}") from None


def write_npz(path: StrPath, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as a compressed npz; refuses object arrays, which would be pickled."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"{name} is an object array: only plain arrays are written")
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **dict(arrays))  # type: ignore[arg-type]


def read_npz(path: StrPath) -> dict[str, np.ndarray]:
    """Reads an npz file; raises InputError if missing, BrokenFileError if broken or pickled."""
    try:
        # np.load would leave the file of a broken zip open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"{path} is not a readable npz file: {error}") from None
    except Exception as error:  # zipfile, zlib and numpy each raise their own
        raise BrokenFileError(f"{path} is not a readable npz file: {error}") from None


@contextlib.contextmanager
def staged_folder(folder: StrPath, *, marker: str, overwrite: bool = False) -> Iterator[Path]:
    """Gives an empty folder beside `folder` that takes its place only if the body succeeds.

    So `folder` is absent, an earlier complete result, or the new complete result. Errors are those
    of `check_free_folder`.
    """
    folder = Path(folder).resolve()
    check_free_folder(folder, marker=marker, overwrite=overwrite)
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    staging = folder.absolute().with_name(f".{folder.absolute().name}.partial-{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
        check_free_folder(folder, marker=marker, overwrite=overwrite)  # others may write too
        previous = staging.with_name(f"{staging.name}-previous")
        if folder.exists():
            folder.rename(previous)
        staging.rename(folder)
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_free_folder(folder: StrPath, *, marker: str, overwrite: bool = False) -> None:
    """Raises InputError unless `folder` is absent, empty, or an earlier run with `overwrite`.

    The file `marker` identifies a folder as a run; no other folder is ever replaced.
    """
    check_writable_folder(folder)
    check_writable_folder(Path(folder).absolute().parent)
    if not Path(folder).is_dir() or not any(Path(folder).iterdir()):
        return
    if not (Path(folder) / marker).exists():
        raise InputError(
            f"{folder} holds files but no {marker}: a half-written run or somebody's own folder; "
            "choose another folder, or empty it"
        )
    if not overwrite:
        raise InputError(
            f"{folder} holds an earlier run; choose another folder, or pass --overwrite"
        )


def fingerprint(value: Any) -> str:
    """The sha256, in hex, of an array (dtype, shape, bytes) or of a JSON value."""
    digest = hashlib.sha256()
    if isinstance(value, np.ndarray | jax.Array):
        value = np.asarray(value)
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    else:
        digest.update(json.dumps(_plain(value), sort_keys=True).encode())
    return digest.hexdigest()


@contextlib.contextmanager
def orbax_in_silence() -> Iterator[None]:
    """Context in which orbax does not log its steps."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def environment() -> dict[str, Any]:
    """The versions and the device that a result was computed with.

    Bits differ between versions and processors, and with XLA_FLAGS.
    """
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy")
    device = jax.devices()[0]
    return {
        "ntk_aug": __version__,
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
        "device": f"{device.platform}: {device.device_kind}",
        "num_devices": jax.device_count(),
        "processor": processor_name(),
        "cpu_count": os.cpu_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def processor_name(*, cpuinfo: StrPath = "/proc/cpuinfo") -> str:
    """The processor's model name from `cpuinfo` (Linux), or else its architecture."""
    try:
        lines = Path(cpuinfo).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # another system
        lines = []
    for line in lines:
        key, _, name = line.partition(":")
        if key.strip() == "model name" and name.strip():
            return name.strip()
    return platform.processor() or platform.machine()
