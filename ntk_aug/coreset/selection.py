"""Selects from labelled examples by any selector, from each class or from all at once."""

import math
from typing import Any

import jax
import numpy as np

from ntk_aug.aliases import Int, KeyLike, Labels, Progress
from ntk_aug.checks import check_at_least, check_labels, check_same_shape
from ntk_aug.coreset.budgets import check_budgets_reach_all, class_budgets
from ntk_aug.coreset.examples import Examples
from ntk_aug.coreset.facility.facility_location import (
    DEFAULT_ALGORITHM,
    DEFAULT_EPSILON,
    check_algorithm,
)
from ntk_aug.coreset.facility.per_class import check_backend
from ntk_aug.coreset.gradient_errors import error_of_checked
from ntk_aug.coreset.selectors import DEFAULT_SELECTOR, Selector, find_selector
from ntk_aug.coreset.subset import Subset, places_by_class
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key
from ntk_aug.threads import map_classes, usable_threads


def select(
    key: KeyLike,
    examples: Examples,
    selector: str | Selector = DEFAULT_SELECTOR,
    *,
    fraction: float | None = None,
    count: int | None = None,
    allocation: str = "proportional",
    per_class: bool | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Subset:
    """Selects from each class, or from all examples at once, by one selector.

    Threads share the groups, and each group folds its number into the key, so the result does not
    depend on the number of threads. No example is selected twice.

    Args:
      key: of random selectors.
      examples: properties are computed as the selector uses them.
      selector: a key of `SELECTORS`, or a user's `module:function` or function: see
        `find_selector`.
      fraction: the budget as a share of all examples; see `class_budgets`, also for the next two.
        Either this or the count; "all" and "none" need neither, and ignore it. Gradient matching
        may end with fewer: see `match_gradients`.
      count: the budget in examples.
      allocation: "proportional" or "equal", for selection from each class.
      per_class: from each class, or from all at once; None takes the selector's convention.
      num_threads: None takes the cores that this process may use.
      progress: called with ("classes", done, total); all examples at once count as one.
      **options: those of `facility_location_per_class` for "coreset", and of `match_gradients` for
        "gradient-matching" (whose tolerance applies to each group). A tolerance may replace the
        budget. None counts as not given.

    Raises:
      InputError: an unknown selector or option, a budget out of range, a class that is empty or has
        no budget, values that are not finite, or a user's selector that returns an invalid subset.
    """
    entry, name = find_selector(selector), _name(selector)
    options = {option: value for option, value in options.items() if value is not None}
    per_class = entry.per_class if per_class is None else per_class
    budget: dict[str, Any] = {"fraction": fraction, "count": count, "allocation": allocation}
    labels, num_classes = examples.labels, examples.num_classes
    budgets = selection_budgets(
        labels, num_classes, selector, per_class=per_class, **budget, **options
    )
    key = as_key(key)
    threads = usable_threads(num_threads, len(budgets))
    groups = labels if per_class else np.zeros(len(examples), np.int32)
    if entry.takes_groups:
        options |= {"num_classes": len(budgets), "num_threads": threads, "progress": progress}
        found = entry.select(key, examples, groups, **budget, **options)
        return found._replace(labels=labels[found.indices])
    if entry.uses is not None:
        getattr(examples, entry.uses)  # here, where it can be interrupted
    keys = [jax.random.fold_in(key, number) for number in range(len(budgets))]
    members = places_by_class(groups, len(budgets))

    def select_of_group(number: int) -> tuple[np.ndarray, ...]:
        own, budget = members[number], int(budgets[number])
        part = examples.take(own) if per_class else examples
        subset = entry.select(keys[number], part, budget, **options)
        indices, weights, gains = _complete(subset, len(own), budget, name)
        return own[indices], weights, gains

    parts = map_classes(select_of_group, [1] * len(budgets), num_threads=threads, progress=progress)
    indices, weights, gains = map(np.concatenate, zip(*parts, strict=True))
    error = math.nan
    if entry.uses == "gradients":
        error = error_of_checked(examples.gradients, indices, weights)
    return Subset(indices, weights, gains, labels[indices], gradient_error=error)


def selection_budgets(
    labels: Labels,
    num_classes: int,
    selector: str | Selector = DEFAULT_SELECTOR,
    *,
    fraction: float | None = None,
    count: int | None = None,
    allocation: str = "proportional",
    per_class: bool | None = None,
    **options: Any,
) -> Int[np.ndarray, " groups"]:
    """The most that `select` takes from each group, after all checks that need no network.

    Arguments and errors are those of `select`; a group is a class, or all examples.
    """
    entry, name = find_selector(selector), _name(selector)
    options = {option: value for option, value in options.items() if value is not None}
    for option in options:
        if entry.options is not None and option not in entry.options:
            raise InputError(f"selector {name!r} takes no option {option!r}")
    if entry.options is not None:
        for option, minimum in {"tolerance": 0, "ridge": 0, "memory_bytes": 1}.items():
            check_at_least(options.get(option, minimum), minimum, option)
        check_backend(options.get("backend"), options.get("mesh"))
    labels = check_labels(labels, len(labels), num_classes)
    per_class = entry.per_class if per_class is None else per_class
    sizes = np.bincount(labels, minlength=num_classes) if per_class else np.array([len(labels)])
    by_tolerance = entry.options is not None and "tolerance" in options
    if fraction is None and count is None and (by_tolerance or not entry.takes_budget):
        budgets = class_budgets(sizes, count=int(sizes.sum()), allocation=allocation)
    else:
        budgets = class_budgets(sizes, fraction=fraction, count=count, allocation=allocation)
        if not entry.takes_budget:
            return sizes
        check_budgets_reach_all(budgets, sizes)
    if entry.takes_groups:
        algorithm = options.get("algorithm", DEFAULT_ALGORITHM)
        if "epsilon" in options and algorithm != "stochastic":
            raise InputError(f"epsilon is for algorithm 'stochastic', not {algorithm!r}")
        stated = None if fraction is None and count is None else int(budgets.sum())
        check_algorithm(
            algorithm, jax.random.key(0), stated, options.get("epsilon", DEFAULT_EPSILON)
        )
    return budgets


def _name(selector):
    return selector if isinstance(selector, str) else getattr(selector, "__name__", "of its own")


def _complete(subset, n, budget, name):
    """Checks a subset of at most `budget` of n examples; fills in weights and gains."""
    if not isinstance(subset, Subset):
        raise InputError(f"selector {name!r} returned {type(subset).__name__}, expected a Subset")
    indices = np.asarray(subset.indices)
    whole = indices.ndim == 1 and (np.issubdtype(indices.dtype, np.integer) or not len(indices))
    if not whole or len(indices) > budget:
        raise InputError(
            f"selector {name!r} returned indices of shape {indices.shape} and dtype "
            f"{indices.dtype}, expected at most {budget} integers"
        )
    indices = indices.astype(np.int64)
    if len(indices) and not 0 <= indices.min() <= indices.max() < n:
        raise InputError(
            f"selector {name!r} returned indices {indices.min()} to {indices.max()}, expected "
            f"0 to {n - 1}, within the group"
        )
    if len(np.unique(indices)) < len(indices):
        raise InputError(f"selector {name!r} returned an index twice, expected each at most once")
    values = {"weights": n / max(len(indices), 1), "gains": np.nan}
    for field, default in values.items():
        given = getattr(subset, field)
        values[field] = np.full(len(indices), default) if given is None else np.asarray(given)
        check_same_shape(values[field].shape, indices.shape, f"{field} of selector {name!r}")
    weights = values["weights"].astype(np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"selector {name!r} returned weights that are not finite and at least 0")
    return indices, weights, values["gains"].astype(np.float64)
