"""The steps of one epoch: one compiled program, or a loop of compiled steps.

XLA puts the convolutions of a CPU program into the layout of its fast routine only outside of
loops. The gradients of a network's convolutions are 30 to 70 times slower inside of one, so on a
CPU the loop of a network with convolutions is Python's. Other networks, whose steps may be shorter
than a call from Python, take some steps in one call there. Elsewhere the steps of an epoch are one
program. The number of steps is an argument: another size of the subset compiles nothing, but for a
remainder of a new size.
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

# Steps that are handed to the device before the first of them is waited for.
_STEPS_AHEAD = 16
# Steps of one call on a CPU, of a network without convolutions.
_STEPS_PER_CALL = 64
_SECONDS_BETWEEN_REPORTS = 0.5

ORIGINAL, WEAK_STORE, STRONG_STORE = range(3)
"""Where a row's image lies: see `Sources`."""


class Sources(NamedTuple):
    """The images that rows are taken from, on the device.

    Attributes:
      original: the data set, as it is kept.
      weak: weak versions in [0, 1]; None where none is used.
      strong: strong versions in [0, 1]; None where none is used.
    """

    original: Inputs
    weak: Shaped[Array, "w ..."] | None = None
    strong: Shaped[Array, "s ..."] | None = None


class Rows(NamedTuple):
    """The rows of an epoch or of a batch, with everything that a step needs of them.

    Attributes:
      source: ORIGINAL, WEAK_STORE or STRONG_STORE.
      place: in that source.
      soft_labels: what is to be predicted.
      weights: in the loss.
    """

    source: Int[Array, "*rows"]
    place: Int[Array, "*rows"]
    soft_labels: Float[Array, "*rows C"]
    weights: Float[Array, "*rows"]

    def take(self, order: Int[Array, " m"]) -> "Rows":
        """The rows in this order."""
        return Rows(*(field[order] for field in self))


class _Carry(NamedTuple):
    state: TrainState
    sums: MetricSums
    number: Int[Array, ""]  # of the next step
    not_finite: Int[Array, ""]  # the first step whose loss is not finite; -1 if there is none


class EpochResult(NamedTuple):
    """What an epoch of steps gives.

    Attributes:
      state: after it.
      sums: over its images.
      not_finite: the first step, from 0, whose loss is not finite; None if there is none.
    """

    state: TrainState
    sums: MetricSums
    not_finite: int | None


class EpochProgram:
    """Runs the steps of epochs; made once for a run, and compiled once."""

    def __init__(self, step: Step, batch_size: int, *, max_rows: int, compiled: bool | None = None):
        """Prepares the programs; nothing is compiled before the first epoch.

        Args:
          step: see `training_step`.
          batch_size: rows of each step but the last.
          max_rows: the most that an epoch will have.
          compiled: all full steps as one program, or each by itself. None: as said above. All
            give the same up to rounding.
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
        """Trains on all rows once, in their order.

        Args:
          key: of dropout and the like in this epoch.
          state: before; its buffers are given away.
          sources: of images.
          rows: as host arrays [m, ...].
          rates: the learning rate of each step.
          on_step: called with the number of steps done, from time to time.
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
        """The rows of the full steps, [capacity, batch, ...]; what is filled up is never run."""
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


@jax.jit  # one call in place of six
def _nothing_yet():
    return MetricSums.zero(), jnp.asarray(0, jnp.int32), jnp.asarray(-1, jnp.int32)


def _filled(array: np.ndarray, length: int) -> np.ndarray:
    filled = np.zeros((length, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled


def _images(sources: Sources, rows: Rows) -> Any:
    """The images of a batch in [0, 1]; a place is valid in the source of its row alone."""
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
    """The step whose turn it is."""
    rows = Rows(*(field[carry.number] for field in batches))
    return advance(carry, sources, rows, rates[carry.number], key)


def _repeated(advance, carry, num_steps, *arguments):
    """As many steps, in one program."""
    return jax.lax.fori_loop(
        0, num_steps, lambda _, carry: _numbered(advance, carry, *arguments), carry
    )
