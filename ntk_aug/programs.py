"""What the command-line programs share: choosing a command, and telling a user's mistakes."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import tyro

from ntk_aug.checks import InputError

Command = tuple[type, Callable[[Any], None]]
"""A frozen dataclass of options, whose docstrings are the help, and the function that takes it."""


def run_program(
    prog: str,
    description: str,
    commands: Mapping[str, Command],
    *,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parses the arguments, runs the command that they name and returns the exit status.

    Args:
      prog: how the program is called.
      description: one line.
      commands: by name.
      arguments: instead of those of the process.

    Returns:
      0 on success, 2 with one line on standard error for an `InputError`, 130 if interrupted.
    """
    options = tyro.extras.subcommand_cli_from_dict(
        {name: kind for name, (kind, _) in commands.items()},
        prog=prog,
        description=description,
        args=arguments,
    )
    use_compilation_cache()
    run = dict(commands.values())[type(options)]
    try:
        run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def use_compilation_cache() -> None:
    """Keeps compiled programs in JAX_COMPILATION_CACHE_DIR, or below the user's cache folder."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(base) / "ntk_aug" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
