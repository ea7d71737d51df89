"""Checks of input, which raise an `InputError` that says what was given and what is expected."""

import difflib
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ntk_aug.errors import InputError


def check_choice(value: str, known: Iterable[str], what: str) -> str:
    """Returns `value` if it is one of `known`; otherwise raises InputError that lists them."""
    known = sorted(known)
    if value in known:
        return value
    close = difflib.get_close_matches(str(value), known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise InputError(f"unknown {what} {value!r}{hint}; known: {', '.join(known)}")


def check_dtype(dtype: str) -> str:
    """Returns "float32" or "float64"; raises InputError for any other precision."""
    if "float16" in str(dtype):  # or bfloat16; not a misspelling of float64
        raise InputError(
            f"dtype is {dtype!r}, expected 'float32' or 'float64'; with 'float32', layers keep a "
            "lower precision of their own"
        )
    return check_choice(dtype, ("float32", "float64"), "dtype")


def check_count(count: float, available: int, what: str, *, minimum: int = 1) -> int:
    """Returns `count` if it is an integer in minimum .. available; otherwise raises InputError."""
    if not isinstance(count, int | np.integer):
        raise InputError(f"{what} is {count!r}, expected an integer, {minimum} to {available}")
    if not minimum <= count <= available:
        raise InputError(f"{what} is {count}, expected {minimum} to {available}")
    return int(count)


def check_at_least(value: float, minimum: float, what: str) -> None:
    """Raises InputError unless value >= minimum (which NaN is not)."""
    if not value >= minimum:
        raise InputError(f"{what} is {value}, expected at least {minimum}")


def check_images(images: Any, what: str = "images") -> np.ndarray:
    """Returns images as a numpy array [n, h, w, c] after checking shape, dtype and values.

    Raises:
      InputError: not four axes, an empty axis, neither uint8 nor floating point, or a value that is
        not finite.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise InputError(f"{what} have shape {images.shape}, expected [n, height, width, channels]")
    if 0 in images.shape:
        raise InputError(f"{what} have shape {images.shape}: no axis may be empty")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"{what} have dtype {images.dtype}, expected uint8 or floating point")
    if images.dtype != np.uint8:
        check_finite_rows(images, what, one="image")
    return images


def check_network_inputs(images: Any) -> np.ndarray:
    """Like `check_images`, but also refuses uint8: a network takes floating point."""
    images = check_images(images)
    if images.dtype == np.uint8:
        raise InputError("images are uint8, expected the network's inputs: see data.unit_range")
    return images


def check_labels(labels: Any, n: int, num_classes: int) -> np.ndarray:
    """Returns labels as int32 [n] after checking that each is in 0 .. num_classes - 1."""
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise InputError(f"labels have shape {labels.shape}, expected ({n},): one per image")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels have dtype {labels.dtype}, expected integers")
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        first = int(np.argmax(outside))
        raise InputError(
            f"label {int(labels[first])} of image {first} is outside 0 .. {num_classes - 1}"
        )
    return labels.astype(np.int32)


def check_finite_rows(rows: np.ndarray, what: str, *, one: str = "example") -> None:
    """Raises InputError unless [n, ...] is finite; names the first example that is not."""
    finite = np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
    if not finite.all():
        raise InputError(
            f"{what} hold NaN or infinity in {int((~finite).sum())} of {len(finite)} {one}s, "
            f"first in {one} {int(np.argmin(finite))}"
        )


def check_mesh(mesh: Mesh) -> None:
    """Raises InputError for a mesh of more than one axis."""
    if len(mesh.axis_names) != 1:
        raise InputError(f"the mesh has axes {mesh.axis_names}, expected one")


def check_kernel(kernel: Any) -> np.ndarray:
    """Returns the kernel as an array; raises InputError unless it is square and finite."""
    kernel = np.asarray(kernel)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not len(kernel):
        raise InputError(f"the kernel has shape {kernel.shape}, expected a square matrix")
    if not np.isfinite(kernel).all():
        raise InputError("the kernel holds NaN or infinity")
    return kernel


def check_params(params: Any, what: str = "parameters") -> None:
    """Raises InputError unless all leaves of the pytree are finite arrays of one floating dtype.

    Mixed dtypes are refused, because everything is computed in one: the caller casts them.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise InputError(f"{what} are empty: there is nothing to differentiate")
    first, dtype = jax.tree_util.keystr(leaves[0][0]), np.asarray(leaves[0][1]).dtype
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path)
        values = np.asarray(leaf)
        if not jnp.issubdtype(values.dtype, jnp.floating):  # numpy does not count bfloat16
            raise InputError(f"{what}{name} has dtype {values.dtype}, expected floating point")
        if values.dtype != dtype:
            raise InputError(
                f"{what}{name} has dtype {values.dtype} and {what}{first} has {dtype}, "
                "expected one dtype for all: cast them"
            )
        if not np.isfinite(values).all():
            raise InputError(f"{what}{name} holds NaN or infinity")


def check_same_shape(shape: Sequence[int], expected: Sequence[int], what: str) -> None:
    """Raises InputError unless the two shapes are equal."""
    if tuple(shape) != tuple(expected):
        raise InputError(f"{what} has shape {tuple(shape)}, expected {tuple(expected)}")


def check_writable_folder(folder: str | os.PathLike) -> None:
    """Raises InputError unless `folder` can be created or written into."""
    path = Path(folder).absolute()
    if path.exists() and not path.is_dir():
        raise InputError(f"{folder} is a file, expected a folder to write into")
    ancestor = path
    while not ancestor.exists():
        ancestor = ancestor.parent
    if not ancestor.is_dir():
        raise InputError(f"{folder} cannot be created: {ancestor} is a file")
    try:  # permissions are not enough: the file system may be read-only or full
        with tempfile.TemporaryFile(dir=ancestor):
            pass
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror} in {ancestor}") from None
