"""The paper's comparisons with an MLP, on MNIST and digits: minutes on CPUs in place of days."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from experiments.paper_presets import METHODS
from experiments.settings import Preset
from experiments.small_presets import DIGITS, MNIST, small_experiment
from ntk_aug.training import TrainingConfig

T1_PERCENT = (5, 30)
T3_FRACTION = 0.01
T7_PERCENT = {"mnist": (0.2, 0.5), "digits": (1, 5)}
_OTHER = {"coreset": ("max-loss",), "max-loss": ("coreset",)}
# As long as the 600 selected images need, about 1,000 steps.
_ALONE = replace(MNIST, epochs=100, decay_epochs=(50, 75), weak_every=1, eval_every=10)


def mnist_table_1() -> Iterator[tuple[str, Preset]]:
    """T1's sizes beside the 10 % of `mnist-mlp`; at 30 % both choices are recorded, for F5, F7."""
    for selector in METHODS:
        for percent in T1_PERCENT:
            others = _OTHER.get(selector, ()) if percent == max(T1_PERCENT) else ()
            method = {"selector": selector, "fraction": percent / 100, "also_record": others}
            yield (
                f"mnist-t1-{selector}-{percent}",
                Preset(
                    small_experiment("mnist", MNIST, **method),
                    f"T1's methods, small: {selector} {percent} %",
                    f"all images, and {percent} % by {selector} augmented as well",
                ),
            )


def mnist_table_3() -> Iterator[tuple[str, Preset]]:
    """T3's placements: training on a subset that is not augmented, in place, or appended to."""
    versions: Mapping[str, dict[str, Any]] = {
        "none": {"augment": "none"},
        "in-place": {"placement": "in-place"},
        "in-place-twice": {"placement": "in-place", "fraction": 2 * T3_FRACTION},
        "append": {},
    }
    for selector in ("coreset", "random"):
        for name, settings in versions.items():
            method = {"fraction": T3_FRACTION, "train_on": "subset", "reselect_every": 10}
            experiment = small_experiment(
                "mnist", _ALONE, selector=selector, **{**method, **settings}
            )
            percent = 100 * (experiment.method.fraction or 0)
            yield (
                f"mnist-t3-{selector}-{name}",
                Preset(
                    experiment,
                    f"T3's placements, small: {selector}, {name}",
                    f"{percent:g} % by {selector} only",
                ),
            )


def table_7(data: str, training: TrainingConfig) -> Iterator[tuple[str, Preset]]:
    """T7's comparison: the full data and a small subset, selected anew every epoch.

    Args:
      data: "mnist" or "digits".
      training: its usual settings, with the weak augmentation drawn in every epoch.
    """
    every_epoch = replace(training, weak_every=1)
    yield (
        f"{data}-t7-none",
        Preset(
            small_experiment(data, every_epoch, selector="none"),
            "T7's methods, small: none",
            "weak augmentation only, drawn in every epoch",
        ),
    )
    for percent in T7_PERCENT[data]:
        for selector in METHODS:
            method = {"selector": selector, "fraction": percent / 100, "reselect_every": 1}
            yield (
                f"{data}-t7-{selector}-{percent}",
                Preset(
                    small_experiment(data, every_epoch, **method),
                    f"T7's methods, small: {selector} {percent} %",
                    "all images, and the subset augmented as well",
                ),
            )


def families() -> dict[str, dict[str, Preset]]:
    """The presets of this file by group."""
    return {
        "mnist-t1": dict(mnist_table_1()),
        "mnist-t3": dict(mnist_table_3()),
        "mnist-t7": dict(table_7("mnist", MNIST)),
        "digits-t7": dict(table_7("digits", DIGITS)),
    }
