"""The parts that a run's time consists of, and what they add up to."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ntk_aug.training.config import GIVEN_SELECTION, MethodConfig, TrainingConfig
from ntk_aug.training.history import EpochRecord

TIMING_FILE = "timing.json"
"""Record of a run's parts, beside config.json and environment.json of the whole run."""
TIMING_VERSION = 1


class PartSeconds(NamedTuple):
    """Seconds of each part of a run after its compilation, one value for each repeat.

    Attributes:
      training: of the steps of an epoch.
      selection: of a selection, gradients included.
      weak: of a redraw of the weak versions.
      strong: of a redraw of the strong versions.
    """

    training: Sequence[float]
    selection: Sequence[float]
    weak: Sequence[float]
    strong: Sequence[float]

    def whole(self, config: TrainingConfig, method: MethodConfig) -> float:
        """Adds up a whole run: the median of each part, as often as the part occurs.

        Args:
          config: settings of the training.
          method: settings of selection and augmentation.

        Returns:
          Seconds of the run, without evaluation.
        """
        counts = part_counts(config, method)
        return sum(count * median(getattr(self, name)) for name, count in counts.items() if count)


def part_counts(config: TrainingConfig, method: MethodConfig) -> dict[str, int]:
    """Counts how often each part, by its name in `PartSeconds`, occurs in a run.

    Args:
      config: settings of the training.
      method: settings of selection and augmentation.
    """
    epochs = range(config.epochs)
    if method.selector == "none":
        selected = set()
    elif method.selector == GIVEN_SELECTION:
        selected = set(epochs[:1])
    else:
        selected = set(epochs[:: method.reselect_every])
    weak, strong = set(epochs[:: config.weak_every]), set(epochs[:: method.strong_every])
    # Newly selected examples have no versions yet. On the full data all have weak ones.
    if method.selector not in ("none", "all"):
        strong |= selected
        weak |= selected if method.train_on == "subset" else set()
    only_strong = method.placement != "append" and (
        method.train_on == "subset" or method.selector == "all"
    )
    return {
        "training": len(epochs),
        "selection": len(selected),
        "weak": 0 if config.weak == "identity" or only_strong else len(weak),
        "strong": len(strong) if method.augments else 0,
    }


def parts_of_histories(
    redrawing: Sequence[EpochRecord], strong_only: Sequence[EpochRecord]
) -> PartSeconds:
    """Takes the seconds of the parts from epochs that compile nothing.

    Args:
      redrawing: at least one epoch that selects, and draws weak and strong versions.
      strong_only: at least one epoch that draws strong versions alone.

    Returns:
      The seconds, where a weak redraw is what drawing both takes longer than strong versions alone.
    """
    strong = [record.seconds_augmentation for record in strong_only]
    both = [record.seconds_augmentation for record in redrawing]
    return PartSeconds(
        [record.seconds_training for record in redrawing],
        [record.seconds_selection for record in redrawing],
        [max(0.0, one - median(strong)) for one in both],
        strong,
    )
