"""Subsets of a data set: chosen classes, and images drawn uniformly by seed."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from ntk_aug.aliases import KeyLike
from ntk_aug.checks import InputError, as_key, check_count
from ntk_aug.data.dataset import Dataset


def select_classes(dataset: Dataset, classes: Sequence[str | int]) -> Dataset:
    """The examples of some classes, relabelled 0 .. len(classes) - 1 in the order given.

    Args:
      dataset: any.
      classes: names, or numbers where no class has that name; at least one, none twice.

    Raises:
      InputError: a class that does not exist or is given twice, or has no example; a single text.
    """
    if isinstance(classes, str):  # a sequence of its characters
        raise InputError(f"classes are the text {classes!r}, expected a list of names")
    numbers = [_class_number(dataset, name) for name in classes]
    if not numbers or len(set(numbers)) < len(numbers):
        raise InputError(f"classes are {tuple(classes)}, expected at least one, and none twice")
    positions = np.flatnonzero(np.isin(dataset.labels, numbers))
    for number in numbers:
        if number not in dataset.labels:
            raise InputError(f"class {number} has no image in {dataset.name} ({dataset.split})")
    new_label = np.zeros(dataset.num_classes, np.int32)
    new_label[numbers] = np.arange(len(numbers))
    subset = dataset.take(positions)
    return replace(
        subset,
        labels=new_label[subset.labels],
        class_names=tuple(dataset.class_names[number] for number in numbers),
    )


def _class_number(dataset: Dataset, name: str | int) -> int:
    if str(name) in dataset.class_names:
        return dataset.class_names.index(str(name))
    if str(name).isdecimal() and int(name) < dataset.num_classes:
        return int(name)
    raise InputError(
        f"{dataset.name} has no class {name!r}; it has {', '.join(dataset.class_names)}"
    )


def draw_examples(key: KeyLike, dataset: Dataset, n: int, *, per_class: bool = False) -> Dataset:
    """Draws n examples uniformly without replacement, or n of each class; in data-set order.

    Raises:
      InputError: n is larger than what there is, or below 1.
    """
    key = as_key(key)
    if not per_class:
        check_count(n, len(dataset), f"n (images drawn from {dataset.name})")
        order = np.asarray(jax.random.permutation(key, len(dataset)))
        return dataset.take(np.sort(order[:n]))
    chosen = []
    for number, name in enumerate(dataset.class_names):
        positions = np.flatnonzero(dataset.labels == number)
        check_count(n, len(positions), f"n per class (images of class {name!r})")
        own_key = jax.random.fold_in(key, number)
        order = np.asarray(jax.random.permutation(own_key, len(positions)))
        chosen.append(positions[order[:n]])
    return dataset.take(np.sort(np.concatenate(chosen)))
