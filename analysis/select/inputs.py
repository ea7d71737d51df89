"""Turns the options of a selection into examples, budgets and a selection."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from analysis.select.options import SelectOptions, memory_bytes, per_class, selector_options
from ntk_aug import coreset, data, models
from ntk_aug.aliases import KeyArray, Progress
from ntk_aug.coreset.network_gradients import ExamplesProgram
from ntk_aug.coreset.selection import selection_budgets
from ntk_aug.coreset.selectors import find_selector

# What the seed's key is folded with: all that is drawn has a key of its own.
OF_SELECTION, OF_RANDOM_SUBSETS, OF_PROJECTION = 3, 4, 5


def key_of(options: SelectOptions, purpose: int) -> KeyArray:
    """The key of one of the purposes above."""
    return jax.random.fold_in(jax.random.key(options.seed), purpose)


def examples_program(
    options: SelectOptions,
    view: models.ModelView,
    dataset: data.Dataset,
    progress: Progress | None = None,
) -> ExamplesProgram:
    """The program from a network's parameters to its `Examples`."""
    projected = options.proxy == "network-projected"
    return ExamplesProgram(
        view.apply_fn,
        dataset,
        proxy=options.proxy,
        loss=options.loss,
        dimension=options.dimension,
        projection_key=key_of(options, OF_PROJECTION) if projected else None,
        memory_bytes=memory_bytes(options),
        progress=progress,
    )


def group_budgets(
    options: SelectOptions, dataset: data.Dataset, budget: Mapping[str, Any]
) -> np.ndarray:
    """The budget of each class, or of all; raises InputError for one that is impossible."""
    return selection_budgets(
        dataset.labels,
        dataset.num_classes,
        options.selector,
        allocation=options.allocation,
        per_class=per_class(options),
        **budget,
        **selector_options(options),
    )


def select(
    options: SelectOptions,
    examples: coreset.Examples,
    budget: Mapping[str, Any],
    *,
    progress: Progress | None = None,
) -> coreset.Subset:
    """Selects by the options, with a budget as `options.budget` gives it."""
    known = find_selector(options.selector).options or ()
    memory = {"memory_bytes": memory_bytes(options)} if "memory_bytes" in known else {}
    return coreset.select(
        key_of(options, OF_SELECTION),
        examples,
        options.selector,
        allocation=options.allocation,
        per_class=per_class(options),
        progress=progress,
        **budget,
        **selector_options(options),
        **memory,
    )
