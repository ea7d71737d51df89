"""The precision in which a network is evaluated and differentiated."""

import contextlib
from collections.abc import Iterator

import jax

DTYPES = ("float32", "float64")


@contextlib.contextmanager
def derivative_precision(dtype: str) -> Iterator[None]:
    """Context that enables float64 on request, and full precision of matrix products."""
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield
