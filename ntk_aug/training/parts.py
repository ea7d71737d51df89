"""The parts that a run's time consists of, and what they add up to."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ntk_aug.training.config import GIVEN_SELECTION, MethodConfig, TrainingConfig
from ntk_aug.training.history import EpochRecord

TIMING_FILE = "timing.json"
"""Record of a run's parts, beside config.json and environment.json of the whole run."""
TIMING_VERSION = 1
_SELECT_ONCE = (GIVEN_SELECTION, "all")


class PartSeconds(NamedTuple):
    """Seconds of each part of a run, each measured a few times after its compilation.

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
        """Seconds of a whole run, without evaluation: its parts' medians, as often as they occur.

        Args:
          config: settings of the training.
          method: settings of selection and augmentation.
        """
        times = part_counts(config, method)
        return sum(count * median(getattr(self, name)) for name, count in times.items() if count)


def part_counts(config: TrainingConfig, method: MethodConfig) -> dict[str, int]:
    """How often each part, by its name in `PartSeconds`, occurs in a run.

    Args:
      config: settings of the training.
      method: settings of selection and augmentation.
    """
    epochs = range(config.epochs)
    selected = set(epochs if method.selector != "none" else ())
    if method.selector in _SELECT_ONCE:
        selected &= {0}
    else:
        selected = {epoch for epoch in selected if epoch % method.reselect_every == 0}
    weak, strong = (
        {epoch for epoch in epochs if epoch % every == 0}
        for every in (config.weak_every, method.strong_every)
    )
    # Newly selected examples have no versions yet; on the full data all have weak ones.
    strong |= selected
    if method.train_on == "subset":
        weak |= selected
    return {
        "training": config.epochs,
        "selection": len(selected),
        "weak": 0 if config.weak == "identity" else len(weak),
        "strong": len(strong) if method.augments else 0,
    }


def parts_of_histories(
    redrawing: Sequence[EpochRecord], strong_only: Sequence[EpochRecord]
) -> PartSeconds:
    """Takes the parts from epochs that have compiled.

    Args:
      redrawing: epochs that select, and draw weak and strong versions.
      strong_only: epochs that draw strong versions alone.
    """
    strong = [record.seconds_augmentation for record in strong_only]
    both = [record.seconds_augmentation for record in redrawing]
    return PartSeconds(
        [record.seconds_training for record in redrawing],
        [record.seconds_selection for record in redrawing],
        [max(0.0, one - median(strong)) for one in both],
        strong,
    )
