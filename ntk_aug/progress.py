"""Progress of long work on standard error: what a `progress` argument takes."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ntk_aug.aliases import Progress as ProgressCallback

SECONDS_BETWEEN_LINES = 30


@contextlib.contextmanager
def progress_bars(prefix: str = "") -> Iterator[ProgressCallback]:
    """Gives a callback (stage, done, total) that tells of each stage.

    On a terminal each stage has a bar. In a file or a pipe it is a line from time to time, and none
    for work that is done within half a minute.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _progress_lines(console, prefix)
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(prefix + stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield update


def _progress_lines(console: Console, prefix: str) -> ProgressCallback:
    start = last = time.monotonic()

    def update(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            console.print(f"{prefix}{stage} {done}/{total} after {now - start:.0f} s", style=None)

    return update
