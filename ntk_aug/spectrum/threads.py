"""How many threads LAPACK uses: one, where more cost more than they bring."""

import contextlib
from functools import cache

from threadpoolctl import ThreadpoolController

# Below this side a symmetric eigensolver spends its time in matrix-vector products, which wait for
# memory and not for arithmetic; and threads that wait for each other stand still wherever the
# machine has other work to do (measured: 0.2 s with one thread, 0.2 to 5 s with two, at side 900).
_SERIAL_BELOW = 2000


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def lapack_threads(side: int) -> contextlib.AbstractContextManager:
    """A context in which BLAS and LAPACK use one thread if matrices of this side gain by it."""
    if side < _SERIAL_BELOW:
        return _controller().limit(limits=1, user_api="blas")
    return contextlib.nullcontext()
