"""Estimates what a run costs: images trained on, floating-point operations, seconds on two cores.

XLA counts the operations of a forward pass, without compiling it. The rates were measured on two
CPU cores; on another machine only ratios between runs are meaningful.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.settings import Experiment
from ntk_aug import augment, coreset, models
from ntk_aug.coreset.selection import selection_budgets
from ntk_aug.coreset.selectors import SelectorEntry, find_selector
from ntk_aug.models import network as network_module
from ntk_aug.training.initial import zero_examples
from ntk_aug.training.plan import plan_epoch, steps_per_epoch

# Measured on two cores of an x86-64 server: ResNet20 at batch 128 trains at about 250 images/s,
# where a step counts three times the operations of its forward pass. Forward alone is faster.
TRAINING_FLOPS = 56e9
FORWARD_FLOPS = 90e9
STEP_SECONDS = 3e-4
"""Of each step besides: almost all of a small network's."""
AUGMENTED_VALUE_SECONDS = 2.5e-8
"""Of a policy, per value of the image."""
WU_VALUE_SECONDS = 1e-7
"""Of a candidate of Wu et al."""
DISTANCE_SECONDS = 5e-9
"""Of facility location, per pair of examples of a class."""

# Backward passes cost about twice the forward pass.
_WITH_BACKWARD = 3


class Sizes(NamedTuple):
    """The sizes of a data set that a run's cost and budgets depend on.

    Attributes:
      class_sizes: training images of each class.
      test: images of the test split.
      example: shape and type of one input of a network.
    """

    class_sizes: tuple[int, ...]
    test: int
    example: Any


class Cost(NamedTuple):
    """The cost of a whole run, without compilation.

    Attributes:
      selected: the most examples selected at a time.
      images: images trained on, over all steps.
      steps: of the optimiser.
      forward_images: images of forward passes only: evaluation, selection, candidates of Wu et al.
      drawn_images: images augmented strongly.
      num_params: of the network.
      training_flops: floating-point operations of the steps.
      forward_flops: floating-point operations of the forward passes alone.
      seconds: on two cores.
    """

    selected: int
    images: int
    steps: int
    forward_images: int
    drawn_images: int
    num_params: int
    training_flops: float
    forward_flops: float
    seconds: float


def estimate_cost(experiment: Experiment, sizes: Sizes, *, given: int | None = None) -> Cost:
    """Estimates a run from its settings and the sizes of its data.

    Args:
      experiment: all settings.
      sizes: of the data.
      given: size of the subset, for selector "given".

    Raises:
      InputError: the classes are too small for the budget.
    """
    config, method = experiment.training, experiment.method
    n, epochs = sum(sizes.class_sizes), config.epochs
    selected = num_selected(experiment, sizes.class_sizes) if given is None else given
    subset = coreset.Subset(np.arange(selected), np.ones(selected))
    rows = len(plan_epoch(config, method, n, 0, subset))
    steps = epochs * steps_per_epoch(rows, config.batch_size)
    flops, num_params = forward_flops(
        experiment.model, tuple(experiment.options.items()), len(sizes.class_sizes), sizes.example
    )
    evaluations = math.ceil(epochs / config.eval_every)
    selections, passes = _selections(experiment, given is not None)
    draws = math.ceil(epochs / method.strong_every) if method.augments else 0
    is_wu = method.augments and _is_wu(method.augment)
    drawn = draws * selected * method.draws * (method.candidates if is_wu else 1)
    forward = evaluations * sizes.test + selections * passes * n + (drawn if is_wu else 0)
    of_training = float(_WITH_BACKWARD * flops * epochs * rows)
    of_forward = float(flops * forward)
    values = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(sizes.example))
    pairs = sum(size**2 for size in sizes.class_sizes)
    by_pairs = [s for s in (method.selector, *method.also_record) if _by_gradients(s)]
    seconds = (
        of_training / TRAINING_FLOPS
        + of_forward / FORWARD_FLOPS
        + steps * STEP_SECONDS
        + drawn * values * (WU_VALUE_SECONDS if is_wu else AUGMENTED_VALUE_SECONDS)
        + selections * len(by_pairs) * pairs * DISTANCE_SECONDS
    )
    return Cost(
        selected, epochs * rows, steps, forward, drawn, num_params, of_training, of_forward, seconds
    )


def num_selected(experiment: Experiment, class_sizes: Sequence[int]) -> int:
    """The most examples that the selector takes; raises InputError as the run itself would."""
    method = experiment.method
    budget: dict[str, Any] = {"fraction": method.fraction, "count": method.count}
    if method.selector == "none":
        return 0
    if method.placement == "in-place-twice":
        budget = {name: value and 2 * value for name, value in budget.items()}
    entry = find_selector(method.selector)
    if not entry.takes_budget:
        budget = {}
    elif method.tolerance is not None:
        budget["tolerance"] = method.tolerance
    labels = np.repeat(np.arange(len(class_sizes), dtype=np.int32), class_sizes)
    budgets = selection_budgets(
        labels,
        len(class_sizes),
        method.selector,
        allocation=method.allocation,
        per_class=method.per_class,
        **budget,
    )
    return int(budgets.sum())


@cache
def forward_flops(
    model: str, options: tuple[tuple[str, Any], ...], num_classes: int, example: Any
) -> tuple[float, int]:
    """Operations of the forward pass of one example, and the network's number of parameters."""
    network = models.build_network(model, num_classes, **dict(options))
    batch = zero_examples(example, 1)
    params, state = jax.eval_shape(network.init, jax.random.key(0), batch)
    lowered = jax.jit(lambda p, s, x: network.apply(p, s, x, False, None)[0]).lower(
        params, state, batch
    )
    analysis = lowered.cost_analysis() or {}
    return float(analysis.get("flops", 0.0)), network_module.num_params(params)


def _is_wu(spec: str) -> bool:
    return isinstance(augment.build_augmentation(spec), augment.WuAugmentation)


def _selections(experiment: Experiment, given: bool) -> tuple[int, int]:
    """How often a run selects, and how many forward passes that takes."""
    method, epochs = experiment.method, experiment.training.epochs
    selectors = (*(() if given else (method.selector,)), *method.also_record)
    uses = [entry for entry in map(find_selector, selectors) if _asks_network(entry)]
    if not uses:
        return 0, 0
    whole = method.proxy.startswith("network") and any(_by_gradients(s) for s in selectors)
    times = 1 if given else math.ceil(epochs / method.reselect_every)
    return times, _WITH_BACKWARD if whole else 1


def _asks_network(entry: SelectorEntry) -> bool:
    return entry.uses is not None or entry.options is None  # a user's own: not known


def _by_gradients(selector: str) -> bool:
    return selector != "given" and find_selector(selector).uses == "gradients"
