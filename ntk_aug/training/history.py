"""Records of the epochs of a run, and their summary."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class EpochRecord(NamedTuple):
    """One line of metrics.jsonl; accuracies are in [0, 1], and None if not measured.

    Attributes:
      epoch: epochs done.
      train_loss: weighted mean of the training loss over the images of this epoch, each measured
        before its batch's step.
      train_accuracy: accuracy on the same images, as augmented.
      test_loss: mean cross-entropy on the test set, in evaluation mode.
      test_accuracy: share of correct predictions.
      test_balanced_accuracy: mean of the class accuracies.
      test_class_accuracy: accuracy per class; None for a class without test examples.
      learning_rate: learning rate of the last step.
      examples: images trained on since the start, including augmented ones.
      steps: optimiser steps since the start.
      distinct_used: distinct examples trained on since the start.
      distinct_selected: distinct examples selected since the start.
      seconds_training: time of the steps of this epoch.
      seconds_selection: time of gradients and selection in this epoch.
      seconds_augmentation: time of drawing weak and strong versions in this epoch.
      seconds_evaluation: time of the evaluation on the test set in this epoch.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_balanced_accuracy: float | None = None
    test_class_accuracy: tuple[float | None, ...] | None = None
    learning_rate: float = 0.0
    examples: int = 0
    steps: int = 0
    distinct_used: int = 0
    distinct_selected: int = 0
    seconds_training: float = 0.0
    seconds_selection: float = 0.0
    seconds_augmentation: float = 0.0
    seconds_evaluation: float = 0.0

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "EpochRecord":
        """Converts a line to a record; raises TypeError if it has other fields."""
        classes = values.get("test_class_accuracy")
        return cls(**{**values, "test_class_accuracy": classes and tuple(classes)})

    def without_seconds(self) -> "EpochRecord":
        """Sets all times, which differ between equal runs, to 0."""
        times: dict[str, Any] = dict.fromkeys(_SECONDS, 0.0)
        return self._replace(**times)


_SECONDS = [name for name in EpochRecord._fields if name.startswith("seconds_")]


def none_if_nan(value: float) -> float | None:
    """Replaces NaN, which JSON does not have, by None."""
    return None if math.isnan(value) else value


def summarize_history(history: Sequence[EpochRecord]) -> dict[str, Any]:
    """Summarises the history of a run as result.json.

    "last" and "best" (the first with the best test accuracy) have epoch, test loss and accuracies,
    or are None without a test set. "seconds" are totals by kind.
    """
    evaluated = [record for record in history if record.test_accuracy is not None]
    best = max(evaluated, key=lambda record: record.test_accuracy or 0.0, default=None)
    return {
        "last": _evaluation(evaluated[-1]) if evaluated else None,
        "best": _evaluation(best) if best else None,
        "train_loss": history[-1].train_loss if history else None,
        "train_accuracy": history[-1].train_accuracy if history else None,
        "epochs": len(history),
        **{
            name: getattr(history[-1], name) if history else 0
            for name in ("steps", "examples", "distinct_used", "distinct_selected")
        },
        "seconds": {
            name.removeprefix("seconds_"): sum(getattr(record, name) for record in history)
            for name in _SECONDS
        },
    }


def _evaluation(record: EpochRecord) -> dict[str, Any]:
    names = ("epoch", *(name for name in EpochRecord._fields if name.startswith("test_")))
    return {name: getattr(record, name) for name in names}
