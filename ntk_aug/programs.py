"""Runs a command of a command-line program, and reports a user's mistakes in one line."""

import contextlib
import difflib
import io
import itertools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import tyro

from ntk_aug.errors import DivergenceError, NtkAugError, UserCodeError

Command = tuple[type, Callable[[Any], None]]
"""A frozen dataclass of options, whose docstrings are the help, and a function of it."""


def run_program(
    prog: str,
    description: str,
    commands: Mapping[str, Command],
    *,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parses arguments (None: of the process), runs the command and returns the exit status.

    It is 0 on success; 2 for arguments that cannot be parsed, bad input or a broken file; 1 if
    training diverged; 130 if interrupted. Failures print one line on standard error, after the
    user's own traceback if their function raised the error.
    """
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            options = tyro.extras.subcommand_cli_from_dict(
                {name: kind for name, (kind, _) in commands.items()},
                prog=prog,
                description=description,
                args=arguments,
            )
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        print(f"error: {_one_line(told.getvalue())}; see {prog} --help", file=sys.stderr)
        return 2
    use_compilation_cache()
    run = dict(commands.values())[type(options)]
    try:
        run(options)
    except NtkAugError as error:
        if isinstance(error, UserCodeError) and error.user_traceback:
            print(error.user_traceback, end="", file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, DivergenceError) else 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _one_line(box: str) -> str:
    """The message and the nearest suggested option from the box that tyro prints.

    Without a terminal tyro draws rules only, and the title is a section of its own.
    """
    lines = [line.strip("│| ") for line in box.splitlines() if not line.startswith("╭")]
    by_kind = itertools.groupby(lines, key=lambda line: bool(line.strip("─-╰╯ ")))
    sections = [list(group) for is_text, group in by_kind if is_text]
    if not box.startswith("╭"):
        sections = sections[1:]
    message = " ".join(sections[0]).rstrip(".") if sections else "the arguments do not fit"
    for title, *options in sections[1:]:
        if title == "Perhaps you meant:":
            suggested = [line.split()[0] for line in options if line.startswith("--")]
            given = next((w.strip(",") for w in message.split() if w.startswith("--")), "")
            nearest = difflib.get_close_matches(given, suggested, n=1, cutoff=0)
            message += f" (did you mean {nearest[0]}?)" if nearest else ""
    return message


def use_compilation_cache() -> None:
    """Keeps compiled programs in JAX_COMPILATION_CACHE_DIR or the user's cache folder."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(base) / "ntk_aug" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
