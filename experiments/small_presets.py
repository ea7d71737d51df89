"""Presets that run on a laptop: digits, MNIST, and a table row of CIFAR-10 on CPUs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from experiments.paper_presets import subset_experiment
from experiments.settings import Experiment, Preset
from ntk_aug.training import MethodConfig, TrainingConfig

SMALL_METHODS: Mapping[str, dict[str, Any]] = {
    "none": {"selector": "none"},
    "random-10": {"selector": "random", "fraction": 0.1},
    "max-loss-10": {"selector": "max-loss", "fraction": 0.1},
    "coreset-10": {"selector": "coreset", "fraction": 0.1},
    "all": {"selector": "all"},
}
DIGITS = TrainingConfig(
    epochs=40,
    batch_size=32,
    learning_rate=0.05,
    decay_epochs=(20, 30),
    weak="weak-digits",
    weak_every=5,
)
MNIST = TrainingConfig(
    epochs=20,
    batch_size=128,
    learning_rate=0.05,
    decay_epochs=(10, 15),
    weak="weak-mnist",
    weak_every=5,
)


def small_experiment(data: str, training: TrainingConfig, **method: Any) -> Experiment:
    """An MLP with 128 ReLUs; a selector is augmented by AutoAugment with SVHN's table.

    Args:
      data: name of the data set.
      training: its settings.
      **method: fields of `MethodConfig`; R is 5 unless given.
    """
    strong = {} if method["selector"] == "none" else {"augment": "autoaugment-svhn"}
    return Experiment(
        data=data,
        model="mlp",
        width=128,
        activation="relu",
        training=training,
        method=MethodConfig(**{"reselect_every": 5, **strong, **method}),
    )


def of_mlps(prefix: str, data: str, training: TrainingConfig) -> Iterator[tuple[str, Preset]]:
    """T1's methods at 10 %, with an MLP: `prefix`-none, -random-10, -max-loss-10, ..."""
    for name, method in SMALL_METHODS.items():
        selector, _, percent = name.rpartition("-")
        what = {"none": "weak augmentation only", "all": "all images augmented as well"}
        yield (
            f"{prefix}-{name}",
            Preset(
                small_experiment(data, training, **method),
                f"T1's methods, small: {name}",
                what.get(name, f"all images, and {percent} % by {selector} augmented as well"),
            ),
        )


def digits_by_network() -> Iterator[tuple[str, Preset]]:
    """Selection by exact gradients of the whole network."""
    for proxy, dimension in (("network", None), ("network-projected", 512)):
        method = {**SMALL_METHODS["coreset-10"], "proxy": proxy, "dimension": dimension}
        yield (
            f"digits-coreset-10-{proxy}",
            Preset(
                small_experiment("digits", DIGITS, **method),
                "",
                "coreset by exact gradients of the whole network"
                + ("" if dimension is None else f", projected to {dimension} dimensions"),
            ),
        )


def cifar10_on_cpus() -> Iterator[tuple[str, Preset]]:
    """T2's row of 0.2 % with fewer selections and evaluations: half an hour on CPUs."""
    for selector in ("random", "coreset"):
        for version in ("weak", "strong"):
            experiment = subset_experiment(selector, version, 100, reselect_every=20)
            yield (
                f"cifar10-resnet20-cpu-{selector}-{version}",
                Preset(
                    replace(experiment, training=replace(experiment.training, eval_every=50)),
                    f"T2: 0.2 %, {selector} {version}, but for R = 20 in place of 1",
                    "10 images per class only; evaluated every 50 epochs",
                ),
            )


def plain_networks() -> Iterator[tuple[str, Preset]]:
    """Networks that the spectrum study starts from."""
    digits = TrainingConfig(epochs=15, learning_rate=0.05)
    three = ("0", "1", "2")
    of_digits: dict[str, Any] = {"data": "digits", "width": 128, "training": digits}
    yield (
        "digits-mlp",
        Preset(
            Experiment(**of_digits, activation="relu"),
            "",
            "an MLP on all ten digits; seconds, works without a download",
        ),
    )
    yield (
        "digits-mlp-3",
        Preset(
            Experiment(**of_digits, activation="tanh", classes=three),
            "",
            "the demo's network: tanh MLP on the digits 0, 1, 2",
        ),
    )
    yield (
        "mnist-mlp-3",
        Preset(
            Experiment(data="mnist", classes=three, width=128, activation="relu", training=digits),
            "F1: MNIST's network",
            "one hidden layer, on the digits 0, 1, 2",
        ),
    )
    yield (
        "cifar10-resnet20-3",
        Preset(
            Experiment(
                data="cifar10",
                classes=("airplane", "automobile", "bird"),
                model="resnet20",
                training=TrainingConfig(epochs=15, learning_rate=0.1),
            ),
            "F1: CIFAR-10's network",
            "airplane, automobile, bird",
        ),
    )
