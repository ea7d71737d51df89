"""A user's own parts by name: `module:function`."""

import importlib
import os
import sys
from collections.abc import Callable, Container

from ntk_aug.checks import InputError


def is_import_path(spec: str, known: Container[str]) -> bool:
    """Whether `spec` reads as module:function rather than as a known name with an option."""
    name, colon, rest = spec.partition(":")
    return bool(colon) and name not in known and rest.isidentifier()


def import_function(spec: str) -> Callable:
    """Imports `module:function`; the working directory is searched too, as `python -m` does.

    Raises:
      InputError: no such module or function, or the module fails while it is imported.
    """
    module_name, _, function_name = spec.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a user's module raises is the user's to read
        first_line = next(iter(str(error).splitlines()), "")
        raise InputError(
            f"cannot import {module_name!r} of {spec!r}: {type(error).__name__}: {first_line}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InputError(f"module {module_name!r} has no function {function_name!r}")
    return function
