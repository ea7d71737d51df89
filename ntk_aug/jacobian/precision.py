"""In which precision a network is run and differentiated."""

import contextlib
from collections.abc import Iterator

import jax

from ntk_aug.aliases import ApplyFn
from ntk_aug.checks import InputError
from ntk_aug.jacobian.float64 import InFloat64

DTYPES = ("float32", "float64")


@contextlib.contextmanager
def derivative_precision(dtype: str) -> Iterator[None]:
    """float64 where it is asked for, and matrix products without shortened inputs."""
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield


def check_dtype(dtype: str) -> str:
    """Returns `dtype` if rows are computed in it; raises InputError otherwise."""
    if dtype not in DTYPES:
        raise InputError(
            f"dtype is {dtype!r}, expected 'float32' or 'float64', in which rows are computed; "
            "layers of the network keep a lower precision of their own"
        )
    return dtype


def network_in(apply_fn: ApplyFn, dtype: str) -> ApplyFn:
    """The network as it is for "float32"; in float64 throughout, its own precisions included."""
    return InFloat64(apply_fn) if dtype == "float64" else apply_fn
