"""Imports a user's own `module:function`, and reports the errors of the user's code."""

import functools
import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ntk_aug.errors import InputError, UserCodeError

# Folders whose frames are not the user's: this project, installed packages, and Python.
_OURS = tuple(
    str(Path(__file__).resolve().parents[1] / name) + os.sep
    for name in ("ntk_aug", "analysis", "experiments")
)
_INSTALLED = tuple(
    str(Path(path).resolve()) + os.sep
    for path in {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
)


def is_import_path(spec: str, known: Container[str]) -> bool:
    """Whether `spec` is module:function rather than a known name with an option."""
    name, colon, rest = spec.partition(":")
    return bool(colon) and name not in known and rest.isidentifier()


def import_function(spec: str) -> Callable:
    """Imports `module:function`; the working directory is searched too, as with `python -m`.

    Raises:
      InputError: no such module or function.
      UserCodeError: the module fails while it is imported.
    """
    module_name, _, function_name = spec.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        raise UserCodeError(
            f"cannot import {module_name!r} of {spec!r}: {_one_line(error)}",
            user_traceback=_users_lines(error),
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InputError(f"module {module_name!r} has no function {function_name!r}")
    return function


@contextmanager
def user_code(spec: str) -> Iterator[None]:
    """Context in which a user's function runs: its errors become a `UserCodeError` that names it.

    An `InputError` already says in one line what is wrong, and passes unchanged.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        message = f"{spec} raised {_one_line(error)}"
        raise UserCodeError(message, user_traceback=_users_lines(error)) from error


def guarded(spec: str, function: Callable) -> Callable:
    """Wraps a function so that each call runs in `user_code`; the signature is kept."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with user_code(spec):
            return function(*args, **kwargs)

    return call


def _one_line(error: Exception) -> str:
    first_line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first_line}".rstrip(": ")


def _users_lines(error: Exception) -> str:
    """The traceback from the user's first frame on, without this project's frames."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [not _starts_with(frame, _OURS + _INSTALLED) for frame in frames]
    if True not in theirs and not isinstance(error, SyntaxError):
        return ""
    first = theirs.index(True) if True in theirs else len(frames)
    kept = [frame for frame in frames[first:] if not _starts_with(frame, _OURS)]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(kept)]
    return "".join([*lines, *traceback.format_exception_only(error)])


def _starts_with(frame: traceback.FrameSummary, folders: tuple[str, ...]) -> bool:
    path = frame.filename
    return path.startswith("<") or str(Path(path).resolve()).startswith(folders)
