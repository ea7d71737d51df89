"""The number of cores, and work shared between threads."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from ntk_aug.aliases import Progress
from ntk_aug.checks import check_at_least

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_cores() -> int:
    """The cores that this process may use, or all where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int
) -> Iterator[Result]:
    """Yields function(item) in the order of the items, computing several at once.

    After a failure or an interruption, items that have not started never do.
    """
    with ThreadPoolExecutor(num_threads) as threads:
        try:
            yield from threads.map(function, items)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def one_blas_thread() -> contextlib.AbstractContextManager:
    """Context in which BLAS and LAPACK use one thread, in all threads of the process."""
    return _controller().limit(limits=1, user_api="blas")


@cache  # finding the loaded libraries takes a millisecond
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def usable_threads(num_threads: int | None, num_classes: int) -> int:
    """The number of threads that have work; raises InputError below 1. None takes all cores."""
    num_threads = min(num_cores() if num_threads is None else num_threads, num_classes)
    check_at_least(num_threads, 1, "num_threads")
    return num_threads


def map_classes(
    function: Callable[[int], Result],
    sizes: Sequence[int],
    *,
    num_threads: int,
    progress: Progress | None = None,
) -> list[Result]:
    """[function(0), ..., function(len(sizes) - 1)], with several computed at once.

    BLAS uses one thread in each: more would compete for cores and make rounding depend on their
    number. Part i has sizes[i] classes; `progress` is called with ("classes", done, total).
    """
    results: list[Result] = []
    done = np.cumsum(sizes).tolist()
    with one_blas_thread():
        for result in map_in_threads(function, range(len(done)), num_threads):
            results.append(result)
            if progress is not None:
                progress("classes", done[len(results) - 1], done[-1])
    return results


# Below this side a symmetric eigensolver is bound by memory, and threads that wait for each other
# stall on a busy machine (measured at side 900: 0.2 s with one thread, 0.2 to 5 s with two).
_SERIAL_BELOW = 2000


def lapack_threads(side: int) -> contextlib.AbstractContextManager:
    """Context in which BLAS and LAPACK use one thread if matrices of this side gain by it."""
    if side < _SERIAL_BELOW:
        return one_blas_thread()
    return contextlib.nullcontext()
