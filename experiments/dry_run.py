"""`--dry-run`: prints what a run would do and cost."""

import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from experiments.cost import estimate_cost
from experiments.known_data import sizes_of
from experiments.settings import Experiment, flat_settings
from ntk_aug import coreset, data, models, training
from ntk_aug.coreset.facility.facility_location import DEFAULT_MEMORY_BYTES
from ntk_aug.training.plan import plan_epoch

_FLOAT32_BYTES = 4
# Parameters, their gradient, and the momentum.
_COPIES_OF_PARAMS = 3


def print_plan(
    experiment: Experiment,
    train_set: data.Dataset,
    test_set: data.Dataset,
    *,
    selection: coreset.Subset | None = None,
) -> None:
    """Prints every setting, images, parameters, memory and an estimate of the time.

    Args:
      experiment: all settings.
      train_set: the training split.
      test_set: the test split.
      selection: for selector "given".

    Raises:
      InputError: the run itself would refuse these settings.
    """
    config, method = experiment.training, experiment.method
    # A run of no epoch is refused for the same reasons, and compiles no step.
    training.train(
        models.build_network(experiment.model, train_set.num_classes, **experiment.options),
        train_set,
        replace(config, epochs=0, warmup_epochs=0),
        method=method,
        test_set=test_set,
        selection=selection,
    )
    for name, value in flat_settings(experiment).items():
        print(f"{name:<19} {format_setting(value)}")
    given = None if selection is None else len(selection.indices)
    cost = estimate_cost(experiment, sizes_of(train_set, test_set), given=given)
    stored = stored_bytes(experiment, train_set, test_set, cost.selected, cost.num_params)
    print(
        f"{'selected':<19} {cost.selected:,} of {len(train_set):,} at a time\n"
        f"{'images':<19} {cost.images:,} in {cost.steps:,} steps; {cost.forward_images:,} pass "
        "forward only\n"
        f"{'parameters':<19} {cost.num_params:,}\n"
        f"{'memory':<19} {stored / 2**30:.2g} GiB, besides the activations of a batch\n"
        f"{'time':<19} about {cost.seconds / 60:.2g} minutes on two CPU cores"
    )


def stored_bytes(
    experiment: Experiment,
    train_set: data.Dataset,
    test_set: data.Dataset,
    selected: int,
    num_params: int,
) -> int:
    """Bytes of images, augmented versions, parameters, and distances of facility location."""
    config, method = experiment.training, experiment.method
    pixels = sum(leaf.nbytes for s in (train_set, test_set) for leaf in jax.tree.leaves(s.images))
    values = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(train_set.example))
    trained = len(train_set) if method.train_on == "full" else selected
    weak = 0 if config.weak == "identity" else trained
    subset = coreset.Subset(np.arange(selected), np.ones(selected))
    plan = plan_epoch(config, method, len(train_set), 0, subset)
    strong = int((plan.versions >= 0).sum())
    versions = (weak + strong) * values * _FLOAT32_BYTES
    distances = 0
    if "coreset" in (method.selector, *method.also_record):
        largest = int(np.bincount(train_set.labels).max())
        distances = min(_FLOAT32_BYTES * largest**2, DEFAULT_MEMORY_BYTES)
    return pixels + versions + _COPIES_OF_PARAMS * _FLOAT32_BYTES * num_params + distances


def format_setting(value: Any) -> str:
    """A setting as text; None and an empty tuple are "-"."""
    if value is None or (isinstance(value, tuple | list) and not value):
        return "-"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
