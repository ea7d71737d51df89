"""Selection during a training run, by the current network every R epochs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ntk_aug import coreset
from ntk_aug.aliases import Float, Progress
from ntk_aug.coreset.network_gradients import ExamplesProgram
from ntk_aug.coreset.selection import selection_budgets
from ntk_aug.coreset.selectors import find_selector
from ntk_aug.data import Dataset
from ntk_aug.errors import InputError
from ntk_aug.models import Network
from ntk_aug.training.config import GIVEN_SELECTION, MethodConfig
from ntk_aug.training.step import Keys


class RecordedSelection(NamedTuple):
    """One selection of a run.

    Attributes:
      epoch: epochs done at the selection.
      subset: the selected examples; indices are positions in the data set.
      others: selections of other selectors from the same network, by name.
    """

    epoch: int
    subset: coreset.Subset
    others: dict[str, coreset.Subset]


class SubsetSelection:
    """Selects from a data set by a network, for any weights; compiled once."""

    def __init__(
        self,
        network: Network,
        dataset: Dataset,
        soft_labels: Float[np.ndarray, "n C"] | None,
        method: MethodConfig,
        keys: Keys,
        *,
        given: coreset.Subset | None = None,
        progress: Progress | None = None,
    ):
        """Prepares the programs.

        `soft_labels` replace the labels in the loss, `given` is the subset of selector "given", and
        `progress` is called with (stage, done, total).

        Raises:
          InputError: the budget is missing, out of range, or 0 for a class; a subset is given
            without selector "given", or missing with it, or does not fit the data set.
        """
        self._dataset, self._method = dataset, method
        self._select_key, projection_key = jax.random.split(keys.selection)
        self._given, self._progress = given, progress
        if (given is None) == (method.selector == GIVEN_SELECTION):
            raise InputError(
                f"selector is {method.selector!r} and {'no' if given is None else 'a'} subset is "
                "given, expected a subset with selector 'given' only"
            )
        selectors = method.also_record
        if given is not None:
            _check_given(given, dataset)
            self.max_selected = len(given.indices)
        else:
            selectors = (method.selector, *selectors)
        self._budget = _budget(method)
        budgets = [self._limit(selector) for selector in selectors]
        if given is None:
            self.max_selected = budgets[0]
        self._examples: ExamplesProgram | None = None
        self._selects = selectors != ("none",) or given is not None
        if selectors and self._selects:
            self._examples = ExamplesProgram(
                lambda variables, inputs: network.apply(*variables, inputs, False, None)[0],
                dataset,
                proxy=method.proxy,
                soft_labels=soft_labels,
                dimension=method.dimension,
                projection_key=projection_key if method.dimension is not None else None,
                view_of=lambda variables: network.view(*variables),
                progress=progress,
            )

    def is_due(self, epoch: int) -> bool:
        """Whether a selection is due after `epoch` epochs."""
        if not self._selects:
            return False
        return epoch == 0 if self._given is not None else epoch % self._method.reselect_every == 0

    def __call__(self, epoch: int, variables: Any) -> RecordedSelection:
        """Selects after `epoch` epochs, by the network's (parameters, state).

        Raises InputError if gradients or losses are not finite or do not fit in memory.
        """
        examples = None if self._examples is None else self._examples(variables)
        found = self._given or self._select(self._method.selector, epoch, examples)
        others = {name: self._select(name, epoch, examples) for name in self._method.also_record}
        return RecordedSelection(epoch, found, others)

    def _select(self, selector: str, epoch: int, examples: Any) -> coreset.Subset:
        return coreset.select(
            jax.random.fold_in(self._select_key, epoch),
            examples,
            selector,
            allocation=self._method.allocation,
            per_class=self._method.per_class,
            progress=self._progress,
            **self._options(selector),
        )

    def _limit(self, selector: str) -> int:
        labels, num_classes = self._dataset.labels, self._dataset.num_classes
        if selector == "none":
            return 0
        budgets = selection_budgets(
            labels,
            num_classes,
            selector,
            allocation=self._method.allocation,
            per_class=self._method.per_class,
            **self._options(selector),
        )
        return int(budgets.sum())

    def _options(self, selector: str) -> dict[str, Any]:
        """The budget, and the tolerance if the selector has one."""
        entry = find_selector(selector)
        if not entry.takes_budget:
            return {}
        knows_tolerance = entry.options is not None and "tolerance" in entry.options
        if selector == self._method.selector or knows_tolerance:
            return {**self._budget, "tolerance": self._method.tolerance}
        return dict(self._budget)


def _budget(method: MethodConfig) -> Mapping[str, Any]:
    factor = 2 if method.placement == "in-place-twice" else 1
    return {
        name: None if value is None else factor * value
        for name, value in (("fraction", method.fraction), ("count", method.count))
    }


def _check_given(given: coreset.Subset, dataset: Dataset) -> None:
    indices, weights = np.asarray(given.indices), np.asarray(given.weights)
    n = len(dataset)
    if not len(indices) or indices.ndim != 1 or len(np.unique(indices)) < len(indices):
        raise InputError(
            f"the given subset has indices of shape {indices.shape}, expected positions in the "
            "data set, at least one, each at most once"
        )
    if not np.issubdtype(indices.dtype, np.integer) or indices.min() < 0 or indices.max() >= n:
        raise InputError(
            f"the given subset has indices {indices.min()} to {indices.max()}, expected integers "
            f"from 0 to {n - 1}"
        )
    if weights.shape != indices.shape or not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(
            f"the given subset has weights of shape {weights.shape}, expected one finite number of "
            f"at least 0 for each of its {len(indices)} examples"
        )
