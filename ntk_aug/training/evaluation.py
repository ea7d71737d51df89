"""Evaluation of a network on a data set: each example once, in evaluation mode."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.data import Dataset
from ntk_aug.losses import per_example_loss
from ntk_aug.models import as_view
from ntk_aug.models.evaluation import StreamedProgram, logits_program


class Evaluation(NamedTuple):
    """Loss and accuracies on a data set; accuracies are in [0, 1].

    Attributes:
      loss: mean cross-entropy.
      accuracy: share of examples whose largest logit is that of their class.
      balanced_accuracy: mean of the class accuracies, without NaN.
      class_accuracy: accuracy per class; NaN for a class without examples.
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    class_accuracy: tuple[float, ...]


class EvaluationProgram:
    """Evaluates a network on one data set, for any weights; compiled once."""

    def __init__(
        self, apply_fn: Callable[..., Any], dataset: Dataset, *, batch_size: int | None = None
    ):
        """Prepares the program of `apply_fn`, (variables, network inputs) -> logits.

        The batch size does not change the result; by default it follows from the examples' size.
        """
        self._dataset = dataset
        self.program: StreamedProgram = logits_program(
            apply_fn, mean=dataset.mean, std=dataset.std, batch_size=batch_size
        )

    def __call__(self, variables: Any) -> Evaluation:
        """Evaluates the network at these weights, with sums in float64."""
        labels, num_classes = self._dataset.labels, self._dataset.num_classes
        logits = self.program(variables, self._dataset.images)
        losses = np.asarray(per_example_loss("cross-entropy")(logits, labels), np.float64)
        hits = logits.argmax(axis=1) == labels
        sizes = np.bincount(labels, minlength=num_classes)
        of_class = np.bincount(labels, weights=hits, minlength=num_classes)
        with np.errstate(invalid="ignore"):
            by_class = of_class / sizes
        return Evaluation(
            float(losses.mean()),
            float(hits.mean()),
            float(by_class[sizes > 0].mean()),
            tuple(by_class.tolist()),
        )


def evaluate(view: Any, dataset: Dataset, *, batch_size: int | None = None) -> Evaluation:
    """Evaluates a network once.

    Args:
      view: a `ModelView`, or what `models.as_view` takes.
      dataset: data set to evaluate on.
      batch_size: examples per batch; it does not change the result.

    Raises:
      InputError: as `models.as_view`.

    Example:
      training.evaluate((module, variables), test_set).balanced_accuracy
    """
    view = as_view(view)
    return EvaluationProgram(view.apply_fn, dataset, batch_size=batch_size)(view.params)
