"""The settings of a training run, known before any data is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ntk_aug.checks import check_at_least
from ntk_aug.errors import InputError
from ntk_aug.options import setting_names
from ntk_aug.training import MethodConfig, TrainingConfig


@dataclass(frozen=True)
class Experiment:
    """Data, network, training and method of a run.

    Attributes:
      data: data set by name.
      classes: classes to keep, by name or number; none keeps all.
      imbalance: of a long tail, the largest class's size over the smallest's; None keeps all
        training images.
      label_noise: share of the training labels to make wrong, in [0, 1].
      data_seed: seed of the long tail and of the wrong labels, which the runs of a sweep share.
      model: network by name, or module:function for your own.
      width: hidden units of the MLP; None takes the model's default.
      activation: of the MLP, relu or tanh; None takes the model's default.
      training: settings of the training.
      method: settings of selection and augmentation.
    """

    data: str = "digits"
    classes: tuple[str, ...] = ()
    imbalance: float | None = None
    label_noise: float = 0.0
    data_seed: int = 0
    model: str = "mlp"
    width: int | None = None
    activation: str | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    method: MethodConfig = field(default_factory=MethodConfig)

    def __post_init__(self):
        if self.imbalance is not None:
            check_at_least(self.imbalance, 1, "imbalance")
        if not 0 <= self.label_noise <= 1:
            raise InputError(f"label_noise is {self.label_noise}, expected 0 to 1")

    @property
    def options(self) -> dict[str, Any]:
        """The options of the model that are set."""
        given = {"width": self.width, "activation": self.activation}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Preset:
    """An experiment with a name.

    Attributes:
      experiment: all of its settings.
      reproduces: the table row or figure of the paper that it reproduces, or empty.
      description: one line.
    """

    experiment: Experiment
    reproduces: str
    description: str


PARTS = {"training": TrainingConfig, "method": MethodConfig}
"""The fields of an experiment that are configurations themselves."""

# A setting that is given resets those that only make sense with what was there before.
_RESETS = {
    "fraction": ("count",),
    "count": ("fraction",),
    "proxy": ("dimension",),
    "model": ("width", "activation"),
}


def flat_settings(experiment: Experiment) -> dict[str, Any]:
    """Every setting of an experiment by name; the names of its parts do not collide."""
    flat: dict[str, Any] = {}
    for part in (experiment, *(getattr(experiment, name) for name in PARTS)):
        flat |= {name: getattr(part, name) for name in setting_names(type(part))}
    return flat


def with_overrides(experiment: Experiment, overrides: Mapping[str, Any]) -> Experiment:
    """The experiment with other values of some settings.

    A fraction replaces a count and a count a fraction. A new proxy resets the dimension, a new
    model the width and activation, a new schedule the decay epochs, unless they are given, too.

    Args:
      experiment: any.
      overrides: values by the name of the setting, of any part.

    Raises:
      InputError: a value is out of range, or two do not go together.
    """
    values = dict(overrides)
    for name, others in _RESETS.items():
        if overrides.get(name) is not None:
            values |= {other: None for other in others if other not in overrides}
    if overrides.get("schedule", "step") != "step" and "decay_epochs" not in overrides:
        values["decay_epochs"] = ()
    changed = {}
    for name, kind in PARTS.items():
        own = {key: values.pop(key) for key in setting_names(kind) if key in values}
        changed[name] = replace(getattr(experiment, name), **own)
    return replace(experiment, **values, **changed)
