"""Estimates memory and time of a selection."""

import time
from dataclasses import replace

import jax
import numpy as np

from analysis.common.networks import model_options, training_config
from analysis.select.inputs import examples_program, group_budgets, select
from analysis.select.options import SelectOptions, budget, memory_bytes, per_class
from ntk_aug import coreset, data, models
from ntk_aug.coreset.facility.facility_location import DEFAULT_ALGORITHM
from ntk_aug.coreset.selectors import find_selector
from ntk_aug.threads import num_cores
from ntk_aug.training.cost import estimate_training_seconds

# Images of which examples are computed, and gradients that are selected from, to take the time.
_TIMED_IMAGES, _TIMED_GRADIENTS = 256, 1000
_SHOWN_BUDGETS = 20


def print_cost(
    options: SelectOptions, train: data.Dataset, view: models.ModelView, *, pretrained: bool
) -> None:
    """Prints the budget, the memory, and, after a few seconds of measurement, the time.

    Args:
      options: of the command.
      train: the training split.
      view: the network, or one of the same kind.
      pretrained: whether `view` is the trained network.
    """
    budgets = group_budgets(options, train, budget(options))
    sizes = np.bincount(train.labels) if per_class(options) else np.array([len(train)])
    shown = ", ".join(map(str, budgets[:_SHOWN_BUDGETS]))
    more = ", ..." if len(budgets) > _SHOWN_BUDGETS else ""
    print(
        f"images      {len(train):,} in {train.num_classes} classes\n"
        f"groups      {len(sizes)} of {sizes.min():,} to {sizes.max():,} images\n"
        f"budget      {budgets.sum():,} ({shown}{more})"
    )
    seconds, gradients = _time_examples(options, train, view)
    columns = sum(part.shape[1] for part in (gradients.outer, gradients.inner) if part is not None)
    held = f"{8 * len(train) * columns / 2**30:.2g} GiB of gradients"
    print(f"memory      {held}{_distances(options, sizes)}")
    if not pretrained:
        network = models.build_network(options.model, train.num_classes, **model_options(options))
        training_seconds = estimate_training_seconds(network, train, training_config(options))
        print(f"pretraining {_duration(training_seconds)} (none where it is found pretrained)")
    print(f"gradients   {_duration(seconds)}")
    if find_selector(options.selector).uses == "gradients":
        share = budgets.sum() / len(train)
        once = _time_selection(options, gradients, sizes, (share, *options.sizes))
        print(f"selection   {_duration(once)} ({1 + len(options.sizes)} sizes)")


def _distances(options, sizes):
    """Whether facility location keeps the distances of the largest class."""
    if options.selector != "coreset" or options.algorithm not in (None, DEFAULT_ALGORITHM):
        return ""
    needed = 4 * int(sizes.max()) ** 2
    fits = needed <= memory_bytes(options) // min(num_cores(), len(sizes))
    kept = "kept" if fits else "computed again as they are needed"
    return f"; the distances of the largest group, {needed / 2**30:.2g} GiB, are {kept}"


def _time_examples(options, train, view):
    """Estimated seconds for all images, and the gradients of a few."""
    some = data.draw_examples(jax.random.key(0), train, min(_TIMED_IMAGES, len(train)))
    program = examples_program(options, view, some)
    uses = find_selector(options.selector).uses or "gradients"
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        examples = program(view.params)
        for name in ("losses", "gradients", uses):
            getattr(examples, name)
        seconds = time.perf_counter() - start
    return seconds * len(train) / len(some), examples.gradients


def _time_selection(options, gradients, sizes, shares):
    """Estimated seconds for all groups, which grow with the squares of their sizes."""
    n = min(_TIMED_GRADIENTS, int(sizes.max()))
    rng = np.random.default_rng(0)
    factors = [
        None if part is None else rng.standard_normal((n, part.shape[1]))
        for part in (gradients.outer, gradients.inner)
    ]
    examples = coreset.Examples.from_arrays(
        np.zeros(n, np.int32), 1, gradients=coreset.GradientFactors(*factors)
    )
    options = replace(options, tolerance=None)
    start = time.perf_counter()
    for share in shares:
        select(options, examples, {"fraction": share})
    seconds = time.perf_counter() - start
    return seconds * float((sizes / n).astype(float) @ (sizes / n)) / min(num_cores(), len(sizes))


def _duration(seconds):
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.2g} seconds"
