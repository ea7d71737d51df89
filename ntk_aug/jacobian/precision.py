"""In which precision a network is run and differentiated."""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
from flax import nnx

from ntk_aug.aliases import ApplyFn
from ntk_aug.checks import InputError
from ntk_aug.jacobian.float64 import InFloat64
from ntk_aug.models import ModelView

DTYPES = ("float32", "float64")


@contextlib.contextmanager
def derivative_precision(dtype: str) -> Iterator[None]:
    """float64 where it is asked for, and matrix products without shortened inputs."""
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield


def network_in(apply_fn: Any, dtype: str) -> ApplyFn:
    """The network as it is for "float32"; in float64 throughout, its own precisions included.

    Raises:
      InputError: a module or a view in place of its function (params, inputs) -> logits.
    """
    if isinstance(apply_fn, nn.Module | nnx.Module | ModelView) or not callable(apply_fn):
        raise InputError(
            f"the network is {type(apply_fn).__name__}, expected its function (params, inputs) -> "
            "logits: make a view of it, models.as_view(network), and hand in its apply_fn and "
            "its params"
        )
    return InFloat64(apply_fn) if dtype == "float64" else apply_fn
