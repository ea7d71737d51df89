"""Presets behind the paper's tables and figures, made by loops over their rows and columns."""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.settings import Experiment, Preset
from ntk_aug.augment import weak_augmentation
from ntk_aug.training import MethodConfig, TrainingConfig

METHODS = ("random", "max-loss", "coreset")
T1_PERCENT = (5, 10, 30)
T4_PERCENT = (15, 20, 25)
T4_COLUMNS = ("cifar10", "svhn")
T2_PER_CLASS = {"0.1": 5, "0.2": 10, "0.5": 25, "1": 50}
T7_PERCENT = (0.2, 0.5)

# Budgets are divided equally among classes, as in the authors' code, where the paper says nothing.
ALLOCATION = "equal"

COLUMNS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "cifar10": ("CIFAR10/ResNet20", {"data": "cifar10", "model": "resnet20"}),
    "cifar10-imb100": (
        "CIFAR10-IMB/ResNet32, imbalance 100",
        {"data": "cifar10", "model": "resnet32", "imbalance": 100.0},
    ),
    "cifar10-imb10": (
        "CIFAR10-IMB/ResNet32, imbalance 10",
        {"data": "cifar10", "model": "resnet32", "imbalance": 10.0},
    ),
    "svhn": ("SVHN/ResNet32", {"data": "svhn_cropped", "model": "resnet32"}),
}


def paper_experiment(
    column: str, method: Mapping[str, Any], *, weak_every: int = 1, **settings: Any
) -> Experiment:
    """An experiment with the settings of the paper's D.1.

    Args:
      column: a column of T1, a data set with its network.
      method: settings of the method; a selector other than "none" is augmented by Wu et al. unless
        it says otherwise.
      weak_every: epochs after which the weak augmentation is drawn anew.
      **settings: of the experiment, besides those of the column.
    """
    given = {**COLUMNS[column][1], **settings}
    strong = {} if method["selector"] == "none" else {"augment": f"wu-{given['data']}"}
    return Experiment(
        **given,
        training=TrainingConfig(
            epochs=200,
            learning_rate=0.1,
            decay_epochs=(100, 150),
            batch_size=128,
            momentum=0.9,
            weight_decay=1e-4,
            weak=weak_augmentation(given["data"]),
            weak_every=weak_every,
        ),
        method=MethodConfig(**{"allocation": ALLOCATION, **strong, **method}),
    )


def table_1(column: str) -> Iterator[tuple[str, Preset]]:
    """T1: the full data and an augmented subset, by method and size.

    Args:
      column: a column of the table, a data set with its network.
    """
    for name in ("none", *_methods(T1_PERCENT), "all"):
        yield _t1_preset("T1", column, name)


def table_4(column: str) -> Iterator[tuple[str, Preset]]:
    """T4: the sizes that T1 lacks; T4 shares its other runs with T1.

    Args:
      column: one of `T4_COLUMNS`.
    """
    for name in _methods(T4_PERCENT):
        yield _t1_preset("T4", column, name)


def _methods(sizes: tuple[int, ...]) -> list[str]:
    return [f"{method}-{size}" for method in METHODS for size in sizes]


def _t1_preset(table: str, column: str, method: str) -> tuple[str, Preset]:
    if method in ("none", "all"):
        row = method
        settings: dict[str, Any] = {"selector": method}
        what = "weak augmentation only" if method == "none" else "all images augmented as well"
    else:
        selector, _, percent = method.rpartition("-")
        row = f"{selector} {percent} %"
        settings = {"selector": selector, "fraction": int(percent) / 100}
        what = f"all images, and {percent} % by {selector} augmented as well"
    experiment = paper_experiment(column, {"reselect_every": 20, **settings}, weak_every=20)
    preset = Preset(experiment, f"{table}: {row}, {COLUMNS[column][0]}", what)
    return f"{table.lower()}-{column}-{method}", preset


def table_2() -> Iterator[tuple[str, Preset]]:
    """T2: training on the subset only; F4 shows the same runs by epoch."""
    for percent, per_class in T2_PER_CLASS.items():
        for selector in ("random", "coreset"):
            for version in ("weak", "strong"):
                yield (
                    f"t2-cifar10-{selector}-{version}-{percent}",
                    Preset(
                        subset_experiment(selector, version, 10 * per_class),
                        f"T2: {percent} %, {selector} {version}, CIFAR10/ResNet20; F4",
                        f"{per_class} images per class only",
                    ),
                )


def subset_experiment(selector: str, version: str, count: int, **method: Any) -> Experiment:
    """T2's training on a subset; "strong" appends strong augmentation, "weak" does not.

    The subset is selected anew every epoch, as in F4; the paper does not state it for T2.
    """
    settings = {"selector": selector, "count": count, "train_on": "subset", **method}
    return paper_experiment(
        "cifar10", settings if version == "strong" else {**settings, "augment": "none"}
    )


def table_7() -> Iterator[tuple[str, Preset]]:
    """T7: the full data and a small subset, selected anew every epoch."""
    yield (
        "t7-cifar10-none",
        Preset(
            paper_experiment("cifar10", {"selector": "none"}),
            "T7: 0 %, CIFAR10/ResNet20",
            "weak augmentation only, drawn in every epoch",
        ),
    )
    for percent in T7_PERCENT:
        for selector in METHODS:
            yield (
                f"t7-cifar10-{selector}-{percent}",
                Preset(
                    paper_experiment("cifar10", {"selector": selector, "fraction": percent / 100}),
                    f"T7: {percent} %, {selector}, CIFAR10/ResNet20",
                    "all images, and the subset augmented as well",
                ),
            )


def figure_2() -> Iterator[tuple[str, Preset]]:
    """F2: training loss against accuracy, with and without AutoAugment."""
    strong = "weak-cifar10+autoaugment-cifar10"
    for name, method in (("none", {}), ("all", {"augment": strong})):
        yield (
            f"f2-cifar10-{name}",
            Preset(
                paper_experiment("cifar10", {"selector": name, **method}),
                f"F2: {'with' if method else 'without'} AutoAugment, CIFAR10/ResNet20",
                "all images" + (", and all by AutoAugment as well" if method else ""),
            ),
        )


def figures_5_and_7() -> Iterator[tuple[str, Preset]]:
    """F5 and F7: 30 % by one selector, with the other's choice from the same network recorded."""
    for selector, other in (("coreset", "max-loss"), ("max-loss", "coreset")):
        method = {
            "selector": selector,
            "fraction": 0.3,
            "reselect_every": 20,
            "also_record": (other,),
        }
        yield (
            f"f5-cifar10-{selector}-30",
            Preset(
                paper_experiment("cifar10", method, weak_every=20),
                f"F5, F7: {selector} 30 %, CIFAR10/ResNet20",
                f"T1's run, with the choice of {other} recorded beside",
            ),
        )


def label_noise() -> Iterator[tuple[str, Preset]]:
    """Half of the labels are wrong: training on a subset, or on everything."""
    for name in ("none", "all", "random-50", "coreset-50"):
        selector, _, percent = name.partition("-")
        method: dict[str, Any] = {"selector": selector, "reselect_every": 20}
        if percent:
            method |= {"fraction": int(percent) / 100, "train_on": "subset"}
        what = {"none": "all images, not augmented", "all": "all images, augmented as well"}
        yield (
            f"label-noise-{name}",
            Preset(
                paper_experiment("cifar10", method, label_noise=0.5),
                f"main text: half of the labels wrong, {name}, CIFAR10/ResNet20",
                what.get(name, f"{percent} % by {selector} only, augmented as well"),
            ),
        )
