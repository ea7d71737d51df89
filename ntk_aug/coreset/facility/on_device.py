"""Facility location of many classes at once on a device, or on the devices of a mesh, in JAX.

A class's distances stay on the device in float64, and each step reads all of them: on a GPU that is
faster than picking the rows that came nearer. Only gradients and results are transferred.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ntk_aug.aliases import Float, Int, Progress
from ntk_aug.checks import check_at_least, check_count, check_mesh, check_same_shape
from ntk_aug.coreset.facility.facility_location import DEFAULT_MEMORY_BYTES
from ntk_aug.coreset.facility.growing import TIE, located
from ntk_aug.coreset.gradient_factors import GradientFactors, as_factors
from ntk_aug.coreset.subset import Subset
from ntk_aug.errors import InputError
from ntk_aug.precision import derivative_precision

# Classes are padded to the largest of their group. The others are at least this share of it, or
# small, so that at most about half of the distances are padding; each size is compiled once.
_LEAST_SHARE = 0.7
_SMALL_CLASS = 256
# 8-byte numbers besides gradients and distances: compilers keep some of the state twice.
_NUMBERS_OF_AN_EXAMPLE = 16
# Steps between two checks whether all classes are done: the host waits for each check.
_STEPS_PER_LOOK = 8


class _Classes(NamedTuple):
    """Classes side by side; arrays are [classes, m, ...], padded to the largest size m by zeros."""

    outer: np.ndarray
    inner: np.ndarray | None
    squared_norms: np.ndarray
    noise: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray
    tolerances: np.ndarray


class _State(NamedTuple):
    """The selection so far in one class; arrays are [m]."""

    nearest: jax.Array
    taken: jax.Array
    assignment: jax.Array
    selected: jax.Array
    estimates: jax.Array
    step: jax.Array
    estimate: jax.Array


def facility_location_on_device(
    classes: Sequence[GradientFactors],
    counts: Sequence[int] | Int[np.ndarray, " classes"],
    *,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    tolerances: Sequence[float] | Float[np.ndarray, " classes"] | None = None,
    mesh: Mesh | None = None,
    progress: Progress | None = None,
) -> list[Subset]:
    """The result of `facility_location` for each class, up to ties and rounding.

    All is float64, and ties are broken as on the host, so in practice the same examples are
    selected in the same order on any number of devices. The gradients of all classes have the same
    columns. A class also stops once its estimate is at most its tolerance. `memory_bytes` is the
    budget of each device, which sets how many classes are selected from at once (see
    `device_bytes`); `mesh` has one axis, along which the classes are divided, and None takes the
    default device. `progress` is called with ("classes", done, total).

    Raises:
      InputError: a count or tolerance out of range, classes with different columns, gradients that
        are not finite, or a class above the budget.
    """
    classes = [as_factors(own) for own in classes]
    counts = np.asarray(counts, np.int64)
    check_same_shape(counts.shape, (len(classes),), "an array of counts")
    # Estimates are at least 0, so a bound of -1 never stops.
    bounds = np.asarray([-1.0] * len(classes) if tolerances is None else tolerances, np.float64)
    check_same_shape(bounds.shape, (len(classes),), "an array of tolerances")
    for number, (own, count) in enumerate(zip(classes, counts.tolist(), strict=True)):
        check_count(count, len(own), f"count (examples to select) of class {number}")
        if tolerances is not None:
            check_at_least(bounds[number], 0, f"tolerance of class {number}")
        if _columns(own) != _columns(classes[0]):
            raise InputError(
                f"gradients of class {number} have columns {_columns(own)}, expected those of "
                f"class 0, {_columns(classes[0])}"
            )
        needed = device_bytes(own, len(own))
        if needed > memory_bytes:
            raise InputError(
                f"class {number} of {len(own)} examples takes {needed} bytes on a device, expected "
                f"at most memory_bytes, {memory_bytes}: the backend 'host' needs fewer"
            )
    devices = 1
    if mesh is not None:
        check_mesh(mesh)
        devices = mesh.size
    found: dict[int, Subset] = {}
    for numbers, shape in _groups(classes, memory_bytes, devices):
        some = [classes[number] for number in numbers]
        batch = _side_by_side(some, counts[numbers], bounds[numbers], shape)
        with derivative_precision("float64"):
            if mesh is not None:
                batch = jax.device_put(batch, NamedSharding(mesh, PartitionSpec(mesh.axis_names)))
            results = jax.device_get(_program(mesh)(batch))
        found |= zip(numbers, _results(some, *results), strict=True)
        if progress is not None:
            progress("classes", len(found), len(classes))
    return [found[number] for number in range(len(classes))]


def device_bytes(gradients: GradientFactors, n: int) -> int:
    """An upper bound on the device memory of the selection in a class of n examples.

    8 bytes for each number in the gradients, in two n x n matrices of distances (three if gradients
    are in two factors), and in the state of the selection.
    """
    columns = _columns(gradients)
    return 8 * n * ((1 + len(columns)) * n + sum(columns) + _NUMBERS_OF_AN_EXAMPLE)


def _columns(gradients):
    factors = (gradients.outer, gradients.inner)
    return tuple(factor.shape[1] for factor in factors if factor is not None)


def _groups(classes, memory_bytes, devices) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """Yields numbers of classes that go together, and their padded shape (classes, examples)."""
    sizes = np.array([len(own) for own in classes])
    rest = np.argsort(-sizes, kind="stable")
    while len(rest):
        size = int(sizes[rest[0]])
        alike = sizes[rest] >= (0 if size <= _SMALL_CLASS else _LEAST_SHARE * size)
        numbers, rest = rest[alike].tolist(), rest[~alike]
        fitting = devices * (memory_bytes // device_bytes(classes[0], size))
        rounds = -(-len(numbers) // fitting)
        places = -(-len(numbers) // (rounds * devices)) * devices
        for start in range(0, len(numbers), places):
            yield numbers[start : start + places], (places, size)


def _side_by_side(classes, counts, tolerances, shape):
    """Classes padded to one size, and with empty classes to one number."""

    def filled(parts):
        array = np.zeros((*shape, *parts[0].shape[1:]))
        for number, part in enumerate(parts):
            array[number, : len(part)] = part
        return array

    empty = (0, shape[0] - len(classes))
    has_inner = classes[0].inner is not None
    return _Classes(
        outer=filled([own.outer for own in classes]),
        inner=filled([own.inner for own in classes]) if has_inner else None,
        squared_norms=filled([own.squared_norms for own in classes]),
        noise=filled([own.noise for own in classes]),
        sizes=np.pad([len(own) for own in classes], empty),
        counts=np.pad(counts, empty),
        tolerances=np.pad(tolerances, empty),
    )


def _results(classes, state, largest):
    for number, own in enumerate(classes):
        steps = int(state.step[number])
        yield located(
            own,
            state.selected[number, :steps],
            state.assignment[number, : len(own)],
            state.estimates[number, :steps],
            float(largest[number]),
        )


@functools.cache
def _program(mesh: Mesh | None) -> Callable:
    """Selects in the classes of each device; no device waits for another."""
    select = jax.vmap(_select)
    if mesh is None:
        return jax.jit(select)
    spec = PartitionSpec(mesh.axis_names)
    return jax.jit(jax.shard_map(select, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False))


def _select(own):
    """Exact greedy in one class: the last state, and the largest distance.

    Padding is at distance 0 from all and from the selection: it never comes nearer, adds nothing to
    a gain, and counts as taken.
    """
    m = own.outer.shape[0]
    filling = jnp.arange(m) >= own.sizes
    distances = jnp.where(filling[:, None] | filling, 0, _distances(own))
    largest = distances.max()

    def is_going_on(state):
        return (state.step < own.counts) & (state.estimate > own.tolerances)

    def select_one(state):
        gains = jnp.maximum(state.nearest - distances, 0).sum(axis=1)
        gains = jnp.where(state.taken, -jnp.inf, gains)
        # The first of ties.
        best = jnp.argmax(gains >= gains.max() - TIE * state.nearest.sum())
        nearer = distances[best] < state.nearest
        nearest = jnp.where(nearer, distances[best], state.nearest)
        estimate = nearest.sum()
        return _State(
            nearest=nearest,
            taken=state.taken.at[best].set(True),
            assignment=jnp.where(nearer, state.step, state.assignment),
            selected=state.selected.at[state.step].set(best),
            estimates=state.estimates.at[state.step].set(estimate),
            step=state.step + 1,
            estimate=estimate,
        )

    def select_some(state):
        def step(_, state):
            return jax.lax.cond(is_going_on(state), select_one, lambda same: same, state)

        return jax.lax.fori_loop(0, _STEPS_PER_LOOK, step, state)

    start = _State(
        # All are farther from the selection than from each other.
        nearest=jnp.where(filling, 0, largest * (1 + 2.0**-20)),
        taken=filling,
        assignment=jnp.zeros(m, int),
        selected=jnp.zeros(m, int),
        estimates=jnp.zeros(m),
        step=jnp.zeros((), int),
        estimate=jnp.array(jnp.inf),
    )
    return jax.lax.while_loop(is_going_on, select_some, start), largest


def _distances(own):
    """As `GradientFactors.distances`."""
    products = own.outer @ own.outer.T
    if own.inner is not None:
        products *= own.inner @ own.inner.T
    squared = own.squared_norms[:, None] + own.squared_norms - 2 * products
    return jnp.sqrt(jnp.where(squared > own.noise[:, None], squared, 0))
