"""The settings of the runs behind a cell of the paper, compared field by field with a record's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ntk_aug.augment import weak_augmentation
from ntk_aug.coreset.budgets import budget_of
from ntk_aug.training import MethodConfig, TrainingConfig

DATA_COPIES = {
    "dd5571a7aa945c1142b8a7bd5cd8b32d3d39eaee3c85d8386859d0c8990d3ef8": "JPEG-compressed copy",
    "dc0d8c88db8b933eee837b1bd5ff6d8593a4d688de81a9405e19501b2197b775": "JPEG-compressed copy",
}
"""Copies that are not the published data, by the fingerprint of the training or test split.

A long tail or wrong labels change the fingerprint of the training split, and not that of the test.
"""

NO_EFFECT = ("training.seed", "training.eval_every", "method.also_record")
"""Settings that change no result of the last epoch, or that a mean is taken over."""
_OF_DRAWS = ("draws", "strong_every", "placement", "candidates", "keep", "candidate_selection")
_OF_CANDIDATES = ("candidates", "keep", "candidate_selection")
# Runs that differ in one of these are not of the same cell: they are other methods or data.
_IDENTITY = (
    *("data.name", "data.imbalance", "data.label_noise", "data.classes", "model.name"),
    *("method.selector", "method.budget", "method.train_on", "method.augments"),
    "method.placement",
)
Settings = dict[str, Any]
"""Every setting that a result depends on, by dotted name."""


@dataclass(frozen=True)
class RunSettings:
    """What a cell of the paper was run with.

    Attributes:
      data: name of the data set.
      model: name of the network.
      training: as D.1 and D.2 state it.
      method: selection and augmentation.
      imbalance: of a long tail, or None.
      label_noise: share of wrong labels.
    """

    data: str
    model: str
    training: TrainingConfig
    method: MethodConfig = field(default_factory=MethodConfig)
    imbalance: float | None = None
    label_noise: float = 0.0

    def settings(self, num_examples: int) -> Settings:
        """The settings on a copy of the data set with so many training examples."""
        described = {
            "data.name": self.data,
            "data.imbalance": self.imbalance,
            "data.label_noise": self.label_noise,
            "data.classes": None,
            "data.copy": "as published",
            "data.given": (),
            "model.name": self.model,
        }
        return described | _of_configs(asdict(self.training), asdict(self.method), num_examples)


def paper_settings(
    data: str, model: str, *, weak_every: int = 1, imbalance: float | None = None, **method: Any
) -> RunSettings:
    """The settings of the paper's D.1, with the method of a cell.

    Budgets are divided equally among the classes, as in the authors' code. A selector is augmented
    by Wu et al. unless `method` says otherwise.

    Args:
      data: name of the data set.
      model: name of the network.
      weak_every: epochs after which the weak augmentation is drawn anew.
      imbalance: of a long tail.
      **method: fields of `MethodConfig`.
    """
    strong = {} if method["selector"] == "none" else {"augment": f"wu-{data}"}
    training = TrainingConfig(
        epochs=200,
        learning_rate=0.1,
        decay_epochs=(100, 150),
        batch_size=128,
        momentum=0.9,
        weight_decay=1e-4,
        weak=weak_augmentation(data),
        weak_every=weak_every,
    )
    whole = MethodConfig(**{"allocation": "equal", **strong, **method})
    return RunSettings(data, model, training, whole, imbalance)


def recorded_settings(config: Mapping[str, Any]) -> Settings:
    """The settings of a recorded run, in the form of `RunSettings.settings`.

    Args:
      config: of the run's folder.
    """
    data, experiment = config["data"], config.get("experiment") or {}
    model, given = config.get("model") or {}, config.get("given") or {}
    classes = experiment.get("classes") or None
    splits = (data["fingerprint"], config.get("test"))
    copy = next((DATA_COPIES[split] for split in splits if split in DATA_COPIES), "as published")
    described = {
        "data.name": data["name"],
        "data.imbalance": experiment.get("imbalance"),
        "data.label_noise": experiment.get("label_noise", 0.0),
        "data.classes": classes and tuple(classes),
        "data.copy": copy,
        "data.fingerprint": data["fingerprint"],
        "data.test": config.get("test"),
        "data.given": tuple(sorted((name, one) for name, one in given.items() if one is not None)),
        "model.name": model.get("name", "not by name"),
        "model.fingerprint": model.get("fingerprint"),
    }
    described |= {f"model.{name}": value for name, value in model.get("options", {}).items()}
    training = {**asdict(TrainingConfig()), **config["training"]}
    method = {**asdict(MethodConfig()), **config["method"]}
    return described | _of_configs(training, method, data["num_examples"])


def is_same_cell(recorded: Settings, stated: Settings) -> bool:
    """Whether a run has the data, network and method of a cell, whatever else differs."""
    return all(recorded.get(name) == stated.get(name) for name in _IDENTITY)


def deviations(recorded: Settings, stated: Settings) -> tuple[str, ...]:
    """The settings that differ, such as "epochs 100 instead of 200"; what is not stated is free."""
    found = []
    for name in sorted({*stated, *(n for n in recorded if not n.startswith(("data.", "model.")))}):
        one, other = recorded.get(name), stated.get(name)
        if one == other:
            continue
        if name == "data.copy":
            found.append(f"{one} of the data")
        else:
            shown = "R" if name == "method.reselect_every" else name.partition(".")[2]
            found.append(f"{shown} {_text(one)} instead of {_text(other)}")
    return tuple(found)


def _of_configs(training: Mapping, method: Mapping, num_examples: int) -> Settings:
    """Both configurations without the fields that have no effect beside the others."""
    parts: dict[str, Any] = {f"training.{name}": value for name, value in training.items()}
    own = dict(method)
    selector, augments = own["selector"], own["augment"] != "none"
    budget = own["count"]
    if own["fraction"] is not None:
        budget = budget_of(num_examples, fraction=own["fraction"])
    if selector in ("none", "all"):
        budget = None
        # Neither selects: an "all" has every example at any time.
        own = {
            name: value
            for name, value in own.items()
            if name in ("selector", "train_on", "augment", "weights", *_OF_DRAWS)
        }
    for name in _OF_DRAWS:
        if not augments or (name in _OF_CANDIDATES and "wu-" not in own["augment"]):
            own.pop(name, None)
    for name in ("fraction", "count"):
        own.pop(name, None)
    parts |= {f"method.{name}": value for name, value in own.items()}
    parts |= {"method.budget": budget, "method.augments": augments}
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in parts.items()}
    return {name: value for name, value in plain.items() if name not in NO_EFFECT}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
