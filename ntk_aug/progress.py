"""A progress bar per stage of long work, on standard error: what a `progress` argument takes."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ntk_aug.aliases import Progress as ProgressCallback


@contextlib.contextmanager
def progress_bars(prefix: str = "") -> Iterator[ProgressCallback]:
    """Gives a callback (stage, done, total) that draws one bar for each stage it is told of."""
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(prefix + stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield update
