"""How many threads LAPACK uses: one, where more cost more than they bring."""

import contextlib

from ntk_aug.cores import one_blas_thread

# Below this side a symmetric eigensolver spends its time in matrix-vector products, which wait for
# memory and not for arithmetic; and threads that wait for each other stand still wherever the
# machine has other work to do (measured: 0.2 s with one thread, 0.2 to 5 s with two, at side 900).
_SERIAL_BELOW = 2000


def lapack_threads(side: int) -> contextlib.AbstractContextManager:
    """A context in which BLAS and LAPACK use one thread if matrices of this side gain by it."""
    if side < _SERIAL_BELOW:
        return one_blas_thread()
    return contextlib.nullcontext()
