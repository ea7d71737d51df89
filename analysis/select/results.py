"""The gradient error of a selection beside that of random subsets of the same size."""

import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from analysis.select.inputs import OF_RANDOM_SUBSETS, group_budgets, key_of, select
from analysis.select.options import SelectOptions, budget, per_class
from ntk_aug import coreset, data
from ntk_aug.aliases import Progress
from ntk_aug.coreset.gradient_errors import error_estimate
from ntk_aug.coreset.selectors import find_selector
from ntk_aug.errors import InputError


def errors_by_class(
    options: SelectOptions,
    dataset: data.Dataset,
    examples: coreset.Examples,
    selection: coreset.Subset,
) -> list[dict[str, Any]]:
    """The budget and the gradient error of each class."""
    assert selection.labels is not None  # as of everything that `coreset.select` returns
    assert selection.weights is not None
    budgets = group_budgets(options, dataset, budget(options))
    rows = []
    for number, name in enumerate(dataset.class_names):
        own = np.flatnonzero(dataset.labels == number)
        chosen = selection.labels == number
        positions, weights = np.searchsorted(own, selection.indices[chosen]), selection.weights
        gradients = examples.gradients.take(own)
        errors = _errors(options, number, gradients, np.zeros_like(own), positions, weights[chosen])
        by_class = per_class(options)
        rows.append(
            {
                "class": name,
                "budget": budgets[number] if by_class else None,
                **errors,
                "estimate": _estimate(options, gradients, positions) if by_class else None,
            }
        )
    return rows


def errors_of_all(
    options: SelectOptions,
    examples: coreset.Examples,
    selection: coreset.Subset,
    by_class: list[dict[str, Any]],
) -> dict[str, Any]:
    """The gradient error of the whole selection.

    If each class has a budget of its own, the estimate is the sum of the classes' estimates.
    """
    errors = _errors_of_all(options, examples, selection)
    if not per_class(options):
        found = _estimate(options, examples.gradients, selection.indices)
    else:
        estimates = [row["estimate"] for row in by_class]
        found = None if None in estimates else sum(estimates)
    return {**errors, "estimate": found}


def errors_by_size(
    options: SelectOptions,
    dataset: data.Dataset,
    examples: coreset.Examples,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The gradient errors at each of --sizes; skips sizes that give some class nothing."""
    if not find_selector(options.selector).takes_budget:
        return []
    options = replace(options, tolerance=None)  # type: ignore[call-arg]
    points = []
    for number, size in enumerate(options.sizes):
        try:
            group_budgets(options, dataset, {"fraction": size})
        except InputError:
            continue
        start = time.perf_counter()
        selection = select(options, examples, {"fraction": size})
        seconds = time.perf_counter() - start
        errors = _errors_of_all(options, examples, selection)
        points.append({"fraction": size, "seconds": seconds, **errors})
        if progress:
            progress("sizes", number + 1, len(options.sizes))
    return points


def _errors_of_all(options, examples, selection):
    """If each class has its own budget, random subsets have as many examples of each class."""
    groups = examples.labels if per_class(options) else np.zeros_like(examples.labels)
    number = examples.num_classes
    weights = selection.weights
    return _errors(options, number, examples.gradients, groups, selection.indices, weights)


def _errors(options, number, gradients, groups, indices, weights):
    """The errors of a selection, and of random subsets with as many examples of each group."""
    drawn = coreset.random_gradient_errors(
        jax.random.fold_in(key_of(options, OF_RANDOM_SUBSETS), number),
        gradients,
        groups,
        np.bincount(groups[indices], minlength=groups.max() + 1),
        draws=options.random_subsets,
    )
    return {
        "size": len(gradients),
        "selected": len(indices),
        "gradient_error": coreset.gradient_error(gradients, indices, weights),
        "random_mean": drawn.mean(),
        "random_std": drawn.std(ddof=1),
        "random_least": drawn.min(),
        "largest_weight": weights.max(initial=0),
        "zero_weights": int((weights == 0).sum()),
    }


def _estimate(options, gradients, indices):
    """Facility location's bound on its gradient error (to 1e-7 of the norms); None for others."""
    return error_estimate(gradients, indices) if options.selector == "coreset" else None
