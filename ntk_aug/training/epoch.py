"""The steps of one epoch: one compiled program, or a Python loop of compiled steps.

On a CPU, XLA uses its fast convolutions only outside loops; inside, gradients of convolutions are
30 to 70 times slower. So networks with convolutions use a Python loop on a CPU. Other networks,
whose steps may be shorter than a call from Python, take several steps per call there. On other
devices an epoch is one program. The number of steps is an argument, so another subset size compiles
nothing new, except for a remainder of a new size.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Inputs, Int, KeyLike, Shaped
from ntk_aug.data import unit_range
from ntk_aug.inputs import take_examples
from ntk_aug.randomness import as_key
from ntk_aug.training.plan import batch_sizes
from ntk_aug.training.step import MetricSums, Step, TrainState

# Number of steps dispatched before waiting for the first of them.
_STEPS_AHEAD = 16
# Number of steps per call on a CPU, for a network without convolutions.
_STEPS_PER_CALL = 64
_SECONDS_BETWEEN_REPORTS = 0.5

ORIGINAL, WEAK_STORE, STRONG_STORE = range(3)
"""The source of a row's image, see `Sources`."""


class Sources(NamedTuple):
    """The images of the rows, on the device.

    Attributes:
      original: images of the data set.
      weak: weak versions in [0, 1]; None if unused.
      strong: strong versions in [0, 1]; None if unused.
    """

    original: Inputs
    weak: Shaped[Array, "w ..."] | None = None
    strong: Shaped[Array, "s ..."] | None = None


class Rows(NamedTuple):
    """The rows of an epoch or of a batch.

    Attributes:
      source: ORIGINAL, WEAK_STORE or STRONG_STORE.
      place: index of the image in that source.
      soft_labels: targets.
      weights: weights in the loss.
    """

    source: Int[Array, "*rows"]
    place: Int[Array, "*rows"]
    soft_labels: Float[Array, "*rows C"]
    weights: Float[Array, "*rows"]

    def take(self, order: Int[Array, " m"]) -> "Rows":
        """Takes the rows in this order."""
        return Rows(*(field[order] for field in self))


class _Carry(NamedTuple):
    state: TrainState
    sums: MetricSums
    number: Int[Array, ""]  # of the next step
    not_finite: Int[Array, ""]  # the first step whose loss is not finite; -1 if there is none


class EpochResult(NamedTuple):
    """The result of an epoch.

    Attributes:
      state: the state after the epoch.
      sums: metric sums over its images.
      not_finite: the first step, from 0, whose loss is not finite; None if there is none.
    """

    state: TrainState
    sums: MetricSums
    not_finite: int | None


class EpochProgram:
    """Runs the steps of epochs; compiled once for a run."""

    def __init__(self, step: Step, batch_size: int, *, max_rows: int, compiled: bool | None = None):
        """Prepares the programs, for epochs of at most `max_rows` rows.

        `compiled` makes all full steps one program, or each its own; the default depends on the
        device, as the module says. The results are the same up to rounding.
        """
        self._batch_size = batch_size
        self._capacity = max(max_rows // batch_size, 1)  # of full steps
        self._on_cpu = jax.default_backend() == "cpu"
        self._compiled = compiled
        self._has_convolutions: bool | None = None  # not known before the first epoch
        advance = partial(_advance, step)
        self.full_step = jax.jit(partial(_numbered, advance), donate_argnums=0)
        self.last_step = jax.jit(advance, donate_argnums=0)
        self.full_steps = jax.jit(partial(_repeated, advance), donate_argnums=0)

    def __call__(
        self,
        key: KeyLike,
        state: TrainState,
        sources: Sources,
        rows: Rows,
        rates: Float[np.ndarray, " steps"],
        *,
        on_step: Callable[[int], None] | None = None,
    ) -> EpochResult:
        """Trains on all rows, host arrays [m, ...], once in their order.

        The key is for dropout in this epoch, and `rates` are the learning rates of the steps. The
        buffers of `state` are donated. `on_step` is called with the number of steps done, at most
        twice a second.
        """
        full, rest = batch_sizes(len(rows.source), self._batch_size)
        key = as_key(key)
        carry = _Carry(state, *_nothing_yet())
        if full:
            batches = jax.device_put(self._in_batches(rows, full))
            full_rates = jax.device_put(_filled(rates[:full], self._capacity))
            arguments = (sources, batches, full_rates, key)
            carry = self._run_full_steps(carry, full, arguments, on_step)
        if rest:
            last = jax.device_put(rows.take(np.arange(len(rows.source) - rest, len(rows.source))))
            carry = self.last_step(carry, sources, last, rates[-1], key)
        first = int(carry.not_finite)  # waits for all steps
        done = carry.state._replace(epoch=carry.state.epoch + 1)
        return EpochResult(done, carry.sums, first if first >= 0 else None)

    def _in_batches(self, rows: Rows, full: int) -> Rows:
        """The rows of the full steps, padded to [capacity, batch, ...]."""
        size = self._batch_size
        parts = (field[: full * size].reshape(full, size, *field.shape[1:]) for field in rows)
        return Rows(*(_filled(np.asarray(part), self._capacity) for part in parts))

    def _run_full_steps(self, carry, full, arguments, on_step):
        at_once = self._steps_per_call(carry, arguments)
        done, waited_for, reported = 0, 0, time.monotonic()
        while done < full:
            count = min(at_once, full - done)
            if at_once == 1:
                carry = self.full_step(carry, *arguments)
            else:
                carry = self.full_steps(carry, np.int32(count), *arguments)
            done += count
            if done - waited_for < _STEPS_AHEAD:
                continue
            waited_for = done
            if int(carry.not_finite) >= 0:
                break
            if on_step and time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                reported = time.monotonic()
                on_step(done)
        return carry

    def _steps_per_call(self, carry, arguments) -> int:
        compiled = self._compiled
        if compiled is None and self._on_cpu:
            if self._has_convolutions is None:
                jaxpr = self.full_step.trace(carry, *arguments).jaxpr
                self._has_convolutions = "conv_general_dilated" in str(jaxpr)
            return 1 if self._has_convolutions else _STEPS_PER_CALL
        return self._capacity if compiled is None or compiled else 1


@jax.jit  # one call instead of six
def _nothing_yet():
    return MetricSums.zero(), jnp.asarray(0, jnp.int32), jnp.asarray(-1, jnp.int32)


def _filled(array: np.ndarray, length: int) -> np.ndarray:
    filled = np.zeros((length, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled


def _images(sources: Sources, rows: Rows) -> Any:
    """The images of a batch in [0, 1]; a place is an index into the row's own source."""
    images = unit_range(take_examples(sources.original, rows.place))
    for number, store in ((WEAK_STORE, sources.weak), (STRONG_STORE, sources.strong)):
        if store is not None:
            chosen = (rows.source == number).reshape(-1, *(1,) * (store.ndim - 1))
            images = jnp.where(chosen, store[rows.place], images)
    return images


def _advance(step, carry, sources, rows, rate, key):
    images = _images(sources, rows)
    own_key = jax.random.fold_in(key, carry.number)
    state, sums = step(carry.state, own_key, images, rows.soft_labels, rows.weights, rate)
    is_first = (carry.not_finite < 0) & ~jnp.isfinite(sums.loss)
    return _Carry(
        state,
        jax.tree.map(jnp.add, carry.sums, sums),
        carry.number + 1,
        jnp.where(is_first, carry.number, carry.not_finite),
    )


def _numbered(advance, carry, sources, batches, rates, key):
    """Runs the next step."""
    rows = Rows(*(field[carry.number] for field in batches))
    return advance(carry, sources, rows, rates[carry.number], key)


def _repeated(advance, carry, num_steps, *arguments):
    """Runs `num_steps` steps in one program."""
    return jax.lax.fori_loop(
        0, num_steps, lambda _, carry: _numbered(advance, carry, *arguments), carry
    )
