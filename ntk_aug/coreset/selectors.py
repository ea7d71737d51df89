"""Selectors by name; to add a selector, add an entry to `SELECTORS`.

References:
  Liu, Mirzasoleiman: Data-efficient augmentation for training neural networks, 2022. Loshchilov,
  Hutter: Online batch selection for faster training of neural networks, 2016. Paul, Ganguli,
  Dziugaite: Deep learning on a data diet, 2021 (EL2N and GraNd; here GraNd is at the current
  weights, there in expectation over initial ones).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ntk_aug.checks import check_choice
from ntk_aug.coreset.baselines import herd, k_center_greedy, largest_scores, random_subset
from ntk_aug.coreset.facility.per_class import facility_location_per_class
from ntk_aug.coreset.gradient_matching import match_gradients
from ntk_aug.coreset.subset import Subset
from ntk_aug.imports import guarded, import_function, is_import_path

Selector = Callable[..., Subset]
"""selector(key, examples, count, **options) -> Subset of at most `count` of the examples."""


class SelectorEntry(NamedTuple):
    """A named selector.

    Attributes:
      select: select(key, examples, count, **options) -> Subset, of one group of examples.
      description: the selection criterion, in one line.
      source: who published it.
      uses: the property of `Examples` that it selects by; None if none, or unknown.
      per_class: each class is a group with its own budget; otherwise all examples are one group.
      options: names of its options; None accepts any.
      takes_budget: False if the selector decides how many it selects.
      takes_groups: select(key, examples, groups, **options) -> Subset selects from all groups at
        once; options are those of `facility_location_per_class`.
    """

    select: Selector
    description: str
    source: str
    uses: str | None = None
    per_class: bool = False
    options: tuple[str, ...] | None = ()
    takes_budget: bool = True
    takes_groups: bool = False


def _coreset(key, examples, groups, **options):
    return facility_location_per_class(examples.gradients, groups, algorithm_key=key, **options)


def _by_gradients(function):
    return lambda key, examples, count, **options: function(examples.gradients, count, **options)


def _largest(scores):
    return lambda key, examples, count: largest_scores(scores(examples), count)


def _random(key, examples, count):
    return random_subset(key, len(examples), count)


def _all(key, examples, count):
    return Subset(np.arange(len(examples)))


def _none(key, examples, count):
    return Subset(np.empty(0, np.int64))


DEFAULT_SELECTOR = "coreset"

SELECTORS = {
    "coreset": SelectorEntry(
        _coreset,
        "facility location: each example is close to a selected one",
        "Liu and Mirzasoleiman 2022",
        uses="gradients",
        per_class=True,
        options=("tolerance", "algorithm", "epsilon", "memory_bytes", "backend", "mesh"),
        takes_groups=True,
    ),
    "random": SelectorEntry(_random, "uniformly, without replacement", "a baseline"),
    "max-loss": SelectorEntry(
        _largest(lambda examples: examples.losses),
        "the largest losses",
        "Loshchilov and Hutter 2016",
        uses="losses",
    ),
    "all": SelectorEntry(_all, "every example", "a baseline", takes_budget=False),
    "none": SelectorEntry(_none, "no example", "a baseline", takes_budget=False),
    "el2n": SelectorEntry(
        _largest(lambda examples: np.linalg.norm(examples.residuals, axis=1)),
        "the largest ||softmax(f) - y|| (||f - y|| for the squared loss)",
        "Paul, Ganguli and Dziugaite 2021",
        uses="residuals",
    ),
    "grad-norm": SelectorEntry(
        _largest(lambda examples: examples.gradient_norms),
        "the largest gradients by all parameters (GraNd at the current weights)",
        "Paul, Ganguli and Dziugaite 2021",
        uses="gradient_norms",
    ),
    "k-center": SelectorEntry(
        _by_gradients(k_center_greedy),
        "no example is far from all selected ones",
        "Gonzalez 1985; Sener and Savarese 2018",
        uses="gradients",
        per_class=True,
    ),
    "herding": SelectorEntry(
        _by_gradients(herd),
        "the mean of the selected stays close to the mean of all",
        "Welling 2009; Rebuffi et al. 2017 (iCaRL)",
        uses="gradients",
        per_class=True,
    ),
    "gradient-matching": SelectorEntry(
        _by_gradients(match_gradients),
        "the weighted sum of gradients is close to that of all, with nonnegative weights",
        "Killamsetty et al. 2021 (GRAD-MATCH)",
        uses="gradients",
        per_class=True,
        options=("ridge", "tolerance"),
    ),
}


def find_selector(spec: str | Selector) -> SelectorEntry:
    """The entry of a name, a user's `module:function`, or a function.

    A user's selector is called for one group of examples, by default for each class. It uses the
    properties of `Examples` that it needs and returns indices within the group, with or without
    weights and gains. This one takes the examples closest to the decision boundary:

        def smallest_margins(key, examples, count):
            logits = np.sort(examples.logits, axis=1)
            margins = logits[:, -1] - logits[:, -2]
            return coreset.Subset(np.argsort(margins, kind="stable")[:count])

        selection = coreset.select(key, examples, smallest_margins, fraction=0.1)

    In a program it is `my_module:smallest_margins`; an entry in `SELECTORS` gives it a name.

    Raises:
      InputError: an unknown name (the known ones are listed), or a function that is not found.
    """
    if callable(spec):
        return _own_entry(spec)
    if is_import_path(spec, SELECTORS):
        return _own_entry(guarded(spec, import_function(spec)))
    return SELECTORS[check_choice(spec, SELECTORS, "selector")]


def _own_entry(function):
    return SelectorEntry(function, "a user's own", "", per_class=True, options=None)
