"""Work that falls into parts, in threads: the result is the same for any number of them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from ntk_aug.aliases import Progress
from ntk_aug.checks import check_at_least
from ntk_aug.cores import num_cores

Part = TypeVar("Part")


def usable_threads(num_threads: int | None, parts: int) -> int:
    """How many threads there is work for; None takes the cores that this process may use.

    Raises:
      InputError: fewer than one.
    """
    num_threads = min(num_cores() if num_threads is None else num_threads, parts)
    check_at_least(num_threads, 1, "num_threads")
    return num_threads


def map_in_threads(
    function: Callable[[int], Part],
    parts: int,
    *,
    num_threads: int,
    classes: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> list[Part]:
    """[function(0), ..., function(parts - 1)], side by side.

    BLAS has one thread in each: with more, they would share cores, and round by their number. What
    is not begun when a part fails, or all is interrupted, is not begun any more.

    Args:
      function: of the number of a part; NumPy's and SciPy's work lets other threads run.
      parts: how many.
      num_threads: at least 1.
      classes: how many classes each part is, for the progress; None: one each.
      progress: called with ("classes", done, in all).
    """
    results: list[Part] = []
    done = np.cumsum(np.ones(parts, int) if classes is None else classes)
    with threadpool_limits(1, "blas"):
        executor = ThreadPoolExecutor(num_threads)
        try:
            for result in executor.map(function, range(parts)):
                results.append(result)
                if progress is not None:
                    progress("classes", int(done[len(results) - 1]), int(done[-1]))
        finally:
            executor.shutdown(cancel_futures=True)
    return results
