"""How many cores there are to work on, and work that is shared by threads."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_cores() -> int:
    """The cores that this process may use, where the system tells; otherwise all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int
) -> Iterator[Result]:
    """Yields function(item) in the order of the items, several computed at once.

    Where one fails, or the caller is interrupted, those that have not begun never do.
    """
    with ThreadPoolExecutor(num_threads) as threads:
        try:
            yield from threads.map(function, items)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def one_blas_thread() -> contextlib.AbstractContextManager:
    """A context in which BLAS and LAPACK use one thread, in all threads of the process."""
    return _controller().limit(limits=1, user_api="blas")


@cache  # it looks through all loaded libraries, for a millisecond
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
