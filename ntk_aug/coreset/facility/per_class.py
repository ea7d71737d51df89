"""Facility location within each class of a labelled data set."""

import math

import jax
import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import KeyLike, Labels, Progress
from ntk_aug.checks import check_at_least, check_choice, check_labels
from ntk_aug.coreset.budgets import check_budgets_reach_all, class_budgets
from ntk_aug.coreset.facility.facility_location import (
    DEFAULT_ALGORITHM,
    DEFAULT_EPSILON,
    DEFAULT_MEMORY_BYTES,
    check_algorithm,
    facility_location,
)
from ntk_aug.coreset.facility.lockstep import classes_in_step, facility_location_in_lockstep
from ntk_aug.coreset.facility.on_device import device_bytes, facility_location_on_device
from ntk_aug.coreset.gradient_errors import error_of_checked
from ntk_aug.coreset.gradient_factors import Gradients, as_factors
from ntk_aug.coreset.subset import Subset, places_by_class
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key
from ntk_aug.threads import map_classes, usable_threads

_BACKENDS = ("device", "host")


def facility_location_per_class(
    gradients: Gradients,
    labels: Labels,
    *,
    num_classes: int | None = None,
    fraction: float | None = None,
    count: int | None = None,
    allocation: str = "proportional",
    tolerance: float | None = None,
    algorithm: str = DEFAULT_ALGORITHM,
    algorithm_key: KeyLike | None = None,
    epsilon: float = DEFAULT_EPSILON,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    num_threads: int | None = None,
    backend: str | None = None,
    mesh: Mesh | None = None,
    progress: Progress | None = None,
) -> Subset:
    """Selects in each class by `facility_location`, several classes at once.

    On the host, threads share the classes (small ones go together, see `lockstep`), and the result
    does not depend on their number. On a device, see `facility_location_on_device`.

    Args:
      gradients: [n, P], or factors of them; or proxies of gradients.
      labels: [n].
      num_classes: None takes the largest label plus one.
      fraction: the budget as a share of all examples; see `class_budgets`, also for the next two.
      count: the budget in examples.
      allocation: "proportional" or "equal".
      tolerance: bound on the estimate of all classes, divided by class size. A class stops at its
        budget or its share, whichever comes first; without a budget, at its share.
      algorithm: as `facility_location` takes it, and so the next two; devices need "incremental".
      algorithm_key: of random algorithms; each class folds in its number.
      epsilon: of "stochastic".
      memory_bytes: budget of all distances held at once; on devices, of each device.
      num_threads: of the host; None takes the cores that this process may use.
      backend: "device", "host", or None: the device if a mesh is given, or if JAX defaults to a GPU
        and the largest class fits its budget.
      mesh: of one axis, the devices that the classes are divided among.
      progress: called with ("classes", done, total).

    Raises:
      InputError: labels out of range; an empty class, or one without a budget; a mesh for the host;
        another algorithm for a device; as `class_budgets`, `facility_location` and
        `facility_location_on_device`.
    """
    factors = as_factors(gradients)
    n = len(factors)
    if num_classes is None:
        num_classes = max(int(np.max(labels, initial=0)) + 1, 1)
    labels = check_labels(labels, n, num_classes)
    sizes = np.bincount(labels, minlength=num_classes)
    limits = _budgets(sizes, fraction, count, allocation, tolerance)
    num_threads = usable_threads(num_threads, num_classes)
    check_at_least(memory_bytes, 1, "memory_bytes")
    stated = count if fraction is None else int(limits.sum())
    check_algorithm(algorithm, algorithm_key, stated, epsilon)
    tolerances = None
    if tolerance is not None:
        check_at_least(tolerance, 0, "tolerance")
        tolerances = tolerance * sizes / n
    members = places_by_class(labels, num_classes)
    exact = algorithm == DEFAULT_ALGORITHM
    fits = exact and device_bytes(factors, int(sizes.max())) <= memory_bytes
    if _is_for_device(backend, mesh, fits):
        if not exact:
            raise InputError(
                f"algorithm {algorithm!r} is the host's, expected {DEFAULT_ALGORITHM!r}"
            )
        found = facility_location_on_device(
            [factors.take(own) for own in members],
            limits,
            memory_bytes=memory_bytes,
            tolerances=tolerances,
            mesh=mesh,
            progress=progress,
        )
    else:
        memory_bytes = max(1, memory_bytes // num_threads)  # of each thread
        parts = classes_in_step(sizes, memory_bytes=memory_bytes)
        if not exact:
            parts = [np.array([number]) for number in range(num_classes)]

        def select(part: int) -> list[Subset]:
            numbers = parts[part]
            bounds = None if tolerances is None else tolerances[numbers]
            if len(numbers) > 1:
                own = [members[number] for number in numbers]
                return facility_location_in_lockstep(factors, own, limits[numbers], bounds)
            key = algorithm_key
            alone = facility_location(
                factors.take(members[numbers[0]]),
                count=int(limits[numbers[0]]),
                tolerance=None if bounds is None else float(bounds[0]),
                algorithm=algorithm,
                algorithm_key=None if key is None else jax.random.fold_in(as_key(key), numbers[0]),
                epsilon=epsilon,
                memory_bytes=memory_bytes,
            )
            return [alone]

        together = [len(numbers) for numbers in parts]
        results = map_classes(select, together, num_threads=num_threads, progress=progress)
        in_parts = [result for part in results for result in part]
        found = [in_parts[position] for position in np.argsort(np.concatenate(parts))]
    return _joined(factors, labels, members, found)


def _joined(factors, labels, members, found) -> Subset:
    """The subset of all examples, from those of the classes."""
    indices = np.concatenate([own[part.indices] for own, part in zip(members, found, strict=True)])
    weights = np.concatenate([part.weights for part in found])
    assignment = np.empty(len(labels), np.int64)
    before = 0
    for own, part in zip(members, found, strict=True):
        assignment[own] = before + part.assignment
        before += len(part.indices)
    return Subset(
        indices=indices,
        weights=weights,
        gains=np.concatenate([part.gains for part in found]),
        labels=labels[indices],
        assignment=assignment,
        objective=sum(part.objective for part in found),
        constant=found[0].constant if len(found) == 1 else math.nan,
        estimate=sum(part.estimate for part in found),
        gradient_error=error_of_checked(factors, indices, weights),
    )


def check_backend(backend: str | None, mesh: Mesh | None) -> None:
    """Raises InputError for an unknown backend, or a mesh for the host."""
    if backend is not None:
        check_choice(backend, _BACKENDS, "backend")
    if mesh is not None and backend == "host":
        raise InputError("a mesh is given for backend 'host', expected none, or backend 'device'")


def _is_for_device(backend, mesh, fits):
    check_backend(backend, mesh)
    if backend is not None or mesh is not None:
        return backend != "host"
    return fits and jax.default_backend() == "gpu"


def _budgets(sizes, fraction, count, allocation, tolerance):
    """The largest number to select in each class; all of it if only the tolerance stops."""
    if fraction is None and count is None and tolerance is not None:
        if not sizes.all():
            raise InputError(f"class {int(np.argmin(sizes))} has 0 examples, expected at least 1")
        return sizes
    budgets = class_budgets(sizes, fraction=fraction, count=count, allocation=allocation)
    check_budgets_reach_all(budgets, sizes)
    return budgets
