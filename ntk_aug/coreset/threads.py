"""Classes side by side in threads: the result is the same for any number of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from ntk_aug.aliases import Progress
from ntk_aug.checks import check_at_least
from ntk_aug.cores import map_in_threads, num_cores, one_blas_thread

Result = TypeVar("Result")


def usable_threads(num_threads: int | None, num_classes: int) -> int:
    """How many threads there is work for; None takes the cores that this process may use.

    Raises:
      InputError: fewer than one.
    """
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
    """[function(0), ..., function(len(sizes) - 1)], several computed at once.

    BLAS has one thread in each: with more, they would share cores, and round by their number.

    Args:
      function: of the number of a part; NumPy's and SciPy's work lets other threads run.
      sizes: how many classes each part is.
      num_threads: at least 1.
      progress: called with ("classes", done, in all).
    """
    results: list[Result] = []
    done = np.cumsum(sizes).tolist()
    with one_blas_thread():
        for result in map_in_threads(function, range(len(done)), num_threads):
            results.append(result)
            if progress is not None:
                progress("classes", done[len(results) - 1], done[-1])
    return results
