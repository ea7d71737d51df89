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
    for work that is done within half a minute. Both tell the time left, from the stage's own pace.
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
    start = last_line = last_call = time.monotonic()
    # By stage, a time and what was done by then; the first step, which often compiles, is left out.
    reference: dict[str, tuple[float, int]] = {}

    def update(stage: str, done: int, total: int) -> None:
        nonlocal last_line, last_call
        now = time.monotonic()
        since, done_then = reference.get(stage, (last_call, 0))
        reference.setdefault(stage, (now, done))
        last_call = now
        if now - last_line >= SECONDS_BETWEEN_LINES:
            last_line = now
            line = f"{prefix}{stage} {done}/{total} after {_duration(now - start)}"
            if done_then < done <= total:
                left = (total - done) * (now - since) / (done - done_then)
                line += f", about {_duration(left)} left"
            console.print(line, style=None)

    return update


def _duration(seconds: float) -> str:
    """Of 71 seconds "71 s", of 200 "3 min", of 9,000 "2.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
