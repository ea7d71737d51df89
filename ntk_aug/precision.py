"""In which precision a network is run and differentiated."""

import contextlib
from collections.abc import Iterator

import jax

DTYPES = ("float32", "float64")


@contextlib.contextmanager
def derivative_precision(dtype: str) -> Iterator[None]:
    """float64 where it is asked for, and matrix products without shortened inputs."""
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield
