"""What is recorded of each epoch, and of a whole run."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class EpochRecord(NamedTuple):
    """One line of metrics.jsonl: after `epoch` epochs; accuracies in [0, 1], None if not measured.

    Attributes:
      epoch: epochs done.
      train_loss: weighted mean over the images of this epoch, each measured on its batch before
        the batch's step, of the loss that is trained on.
      train_accuracy: of the same images, in the versions that were trained on.
      test_loss: mean cross-entropy on the test set, in evaluation mode.
      test_accuracy: share of right predictions.
      test_balanced_accuracy: the same, with each class counting the same.
      test_class_accuracy: of each class; None of a class without a test example.
      learning_rate: of the last step.
      examples: images that steps were taken on since the start, augmented ones included.
      steps: of the optimiser since the start.
      distinct_used: different examples of the data set that were trained on since the start.
      distinct_selected: different examples that were ever selected.
      seconds_training: of this epoch, and so the next three.
      seconds_selection: gradients included.
      seconds_augmentation: drawing weak and strong versions.
      seconds_evaluation: on the test set.
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
        """The record of a line; raises TypeError if it has other fields."""
        classes = values.get("test_class_accuracy")
        return cls(**{**values, "test_class_accuracy": classes and tuple(classes)})

    def without_seconds(self) -> "EpochRecord":
        """The same without what differs whenever a run is repeated."""
        return self._replace(
            seconds_training=0.0,
            seconds_selection=0.0,
            seconds_augmentation=0.0,
            seconds_evaluation=0.0,
        )


def none_if_nan(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


def summarize_history(history: Sequence[EpochRecord]) -> dict[str, Any]:
    """The result of a run: its last evaluation, its best, and what it took.

    Args:
      history: of all epochs.

    Returns:
      "last" and "best" (by test accuracy; the first of equal ones) with epoch, test loss and
      accuracies, or None without a test set; the numbers of epochs, steps, examples and distinct
      ones; and "seconds" in all, by what they were spent on.
    """
    evaluated = [record for record in history if record.test_accuracy is not None]
    best = max(evaluated, key=lambda record: record.test_accuracy or 0.0, default=None)
    names = [name for name in EpochRecord._fields if name.startswith("seconds_")]
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
            for name in names
        },
    }


def _evaluation(record: EpochRecord) -> dict[str, Any]:
    names = ("epoch", *(name for name in EpochRecord._fields if name.startswith("test_")))
    return {name: getattr(record, name) for name in names}
