"""Progress bars and lines on standard error, for `progress` arguments."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from ntk_aug.aliases import Progress as ProgressCallback

SECONDS_BETWEEN_LINES = 30
MAIN_STAGE = "training"
"""The stage that a run's bar shows; the names of others appear beside it."""


class RunProgress:
    """Progress of a training run: a callback (stage, done, total), and a text on the last epoch."""

    def __init__(self, update: Callable[[str, int, int, str], None], *, redraw: bool = False):
        """Takes a function that shows (stage, done, total, text).

        With `redraw` a new text is shown at once, otherwise with the next call.
        """
        self._update, self._redraw = update, redraw
        self._text = ""
        self._last: tuple[str, int, int] | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Shows the progress of a stage, and the text."""
        self._last = stage, done, total
        self._update(stage, done, total, self._text)

    def tell(self, text: str) -> None:
        """Sets the text shown from now on, such as the loss of the last epoch."""
        self._text = text
        if self._redraw and self._last is not None:
            self._update(*self._last, text)


@contextlib.contextmanager
def run_progress(*, prefix: str = "") -> Iterator[RunProgress]:
    """Context that gives the progress of one training run.

    A terminal shows one bar: the training steps, the time left, the text of the last epoch, and the
    current stage. A file or a pipe gets lines as from `progress_bars`. `prefix` begins the bar or
    each line.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield RunProgress(_progress_lines(console, prefix))
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console) as bars:
        yield RunProgress(_run_bar(bars, prefix), redraw=True)


@contextlib.contextmanager
def progress_bars(prefix: str = "") -> Iterator[ProgressCallback]:
    """Context that gives a callback (stage, done, total).

    A terminal shows a bar for each stage. A file or a pipe gets a line every half minute, so none
    for short work. Both estimate the time left from the stage's own pace.
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


def _run_bar(bars: Progress, prefix: str) -> Callable[[str, int, int, str], None]:
    task = None
    # Time and number of the first steps, to leave out compilation and resumed steps.
    reference: tuple[float, int] | None = None
    left = ""

    def update(stage: str, done: int, total: int, text: str) -> None:
        nonlocal task, reference, left
        if task is None:
            task = bars.add_task(prefix + stage, total=None, text="")
        if stage == MAIN_STAGE:
            now = time.monotonic()
            since, done_then = reference = reference or (now, done)
            if done_then < done <= total:
                seconds = (total - done) * (now - since) / (done - done_then)
                left = f"{_duration(seconds)} left" if done < total else _duration(now - since)
            bars.update(task, completed=done, total=total)
        shown = [f"{done:,}/{total:,}", left, text]
        description = f"{prefix}{stage}"
        bars.update(task, description=description, text=" | ".join(filter(None, shown)))

    return update


def _progress_lines(console: Console, prefix: str) -> Callable[..., None]:
    start = last_line = last_call = time.monotonic()
    # Time and progress of each stage after its first step, which often compiles.
    reference: dict[str, tuple[float, int]] = {}

    def update(stage: str, done: int, total: int, text: str = "") -> None:
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
            console.print(line + (f"; {text}" if text else ""), style=None, soft_wrap=True)

    return update


def _duration(seconds: float) -> str:
    """71 seconds become "71 s", 200 "3 min", and 9,000 "2.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
