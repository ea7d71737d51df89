"""Selectors by name: one table; one more selector is one more entry."""

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
      description: what it selects, in one line.
      source: who published it.
      uses: the property of `Examples` that it selects by; None: none, or not known.
      per_class: each class is a group, with a budget of its own; otherwise all are one.
      options: names of the options that it takes; None: whatever it is given.
      takes_budget: False: how many are selected is for it to say.
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
    """Liu, Mirzasoleiman: Data-efficient augmentation for training neural networks, 2022."""
    return facility_location_per_class(examples.gradients, groups, algorithm_key=key, **options)


def _by_gradients(function):
    return lambda key, examples, count, **options: function(examples.gradients, count, **options)


def _largest_losses(key, examples, count):
    """Loshchilov, Hutter: Online batch selection for faster training of neural networks, 2016."""
    return largest_scores(examples.losses, count)


def _largest_residuals(key, examples, count):
    """EL2N of Paul, Ganguli, Dziugaite: Deep learning on a data diet, 2021."""
    return largest_scores(np.linalg.norm(examples.residuals, axis=1), count)


def _largest_gradients(key, examples, count):
    """GraNd of the same, at the weights as they are; there, in expectation over initial ones."""
    return largest_scores(examples.gradient_norms, count)


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
        "facility location: each example has one that is near it",
        "Liu and Mirzasoleiman 2022",
        uses="gradients",
        per_class=True,
        options=("tolerance", "algorithm", "epsilon", "memory_bytes", "backend", "mesh"),
        takes_groups=True,
    ),
    "random": SelectorEntry(_random, "uniformly, without replacement", "a baseline"),
    "max-loss": SelectorEntry(
        _largest_losses, "the largest losses", "Loshchilov and Hutter 2016", uses="losses"
    ),
    "all": SelectorEntry(_all, "every example", "a baseline", takes_budget=False),
    "none": SelectorEntry(_none, "no example", "a baseline", takes_budget=False),
    "el2n": SelectorEntry(
        _largest_residuals,
        "the largest ||softmax(f) - y|| (of the squared loss, ||f - y||)",
        "Paul, Ganguli and Dziugaite 2021",
        uses="residuals",
    ),
    "grad-norm": SelectorEntry(
        _largest_gradients,
        "the largest gradients by all parameters (GraNd at the weights as they are)",
        "Paul, Ganguli and Dziugaite 2021",
        uses="gradient_norms",
    ),
    "k-center": SelectorEntry(
        _by_gradients(k_center_greedy),
        "no example is far from all of them",
        "Gonzalez 1985; Sener and Savarese 2018",
        uses="gradients",
        per_class=True,
    ),
    "herding": SelectorEntry(
        _by_gradients(herd),
        "their mean stays near that of all",
        "Welling 2009; Rebuffi et al. 2017 (iCaRL)",
        uses="gradients",
        per_class=True,
    ),
    "gradient-matching": SelectorEntry(
        _by_gradients(match_gradients),
        "their weighted sum is near that of all, with weights of at least 0",
        "Killamsetty et al. 2021 (GRAD-MATCH)",
        uses="gradients",
        per_class=True,
        options=("ridge", "tolerance"),
    ),
}


def find_selector(spec: str | Selector) -> SelectorEntry:
    """The entry of a name, a user's `module:function`, or a function itself.

    A user's selector works on one group of examples, by default each class in turn. It uses what it
    needs of `Examples` and returns the indices within the group; weights and gains may be left out.
    These are all the lines of one that takes the examples nearest to the decision boundary:

        def smallest_margins(key, examples, count):
            logits = np.sort(examples.logits, axis=1)
            margins = logits[:, -1] - logits[:, -2]
            return coreset.Subset(np.argsort(margins, kind="stable")[:count])

        selection = coreset.select(key, examples, smallest_margins, fraction=0.1)

    In a program it is `my_module:smallest_margins`; and with an entry in `SELECTORS` it has a name.

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
