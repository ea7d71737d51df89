"""Subsets of a data set: selected classes, random examples, and long tails."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from ntk_aug.aliases import KeyLike
from ntk_aug.checks import check_count
from ntk_aug.data.dataset import Dataset
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key, generator


def select_classes(dataset: Dataset, classes: Sequence[str | int]) -> Dataset:
    """Takes the examples of some classes, relabelled 0, 1, ... in the given order.

    Classes are given by distinct names, or by numbers where no class has that name.

    Raises:
      InputError: a class does not exist, is repeated or has no example, or `classes` is a text.
    """
    if isinstance(classes, str):  # a sequence of characters
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
    """Draws n examples, or n per class, uniformly without replacement, in data-set order.

    Raises:
      InputError: n is below 1 or larger than the number of examples.
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


def long_tailed(
    key: KeyLike, dataset: Dataset, imbalance: float, *, largest: int | None = None
) -> Dataset:
    """Draws a subset whose class sizes decrease exponentially, in data-set order.

    Class k of C keeps int(n_max * mu**(k / (C - 1))) examples, with mu = 1 / imbalance. Each class
    is drawn uniformly with its own key, and a longer tail is a subset of a shorter one.

    Args:
      key: random key.
      dataset: a data set with at least two classes, each with examples.
      imbalance: size of the largest class over that of the smallest, at least 1.
      largest: n_max, the size of class 0; defaults to the largest for which each class has enough
        examples.

    Raises:
      InputError: the imbalance is below 1 or leaves a class without examples, a class has fewer
        examples than its share, or there are fewer than two classes.

    Reference:
      Cui, Jia, Lin, Song, Belongie: Class-balanced loss based on effective number of samples, 2019.
    """
    names = dataset.class_names
    if not 1 <= imbalance < np.inf:
        raise InputError(f"imbalance is {imbalance}, expected a number of at least 1")
    if len(names) < 2:
        raise InputError(f"{dataset.name} has 1 class, expected at least 2 for a long tail")
    sizes = np.bincount(dataset.labels, minlength=len(names))
    if not sizes.all():
        empty = names[int(np.argmin(sizes))]
        raise InputError(f"class {empty!r} has no example in {dataset.name} ({dataset.split})")
    shares = (1 / imbalance) ** (np.arange(len(names)) / (len(names) - 1))
    if largest is None:
        largest = int(min(sizes[0], ((sizes + 1) / shares).min()))
        while (_kept(largest, shares) > sizes).any():
            largest -= 1
    check_count(largest, len(dataset), "largest (examples of the first class)")
    kept = _kept(largest, shares)
    lacking = np.flatnonzero(kept > sizes)
    if len(lacking):
        first = lacking[0]
        raise InputError(
            f"class {names[first]!r} has {sizes[first]} examples in {dataset.name}, expected at "
            f"least {kept[first]}: its share where the first class has {largest}"
        )
    if not kept.all():
        raise InputError(
            f"imbalance is {imbalance:g}, which leaves class {names[int(np.argmin(kept))]!r} no "
            f"example, expected at most {largest}: the examples of the first class"
        )
    key = as_key(key)
    chosen = []
    for number, count in enumerate(kept):
        order = generator(jax.random.fold_in(key, number)).permutation(sizes[number])
        chosen.append(np.flatnonzero(dataset.labels == number)[order[:count]])
    return dataset.take(np.sort(np.concatenate(chosen)))


def _kept(largest: int, shares: np.ndarray) -> np.ndarray:
    """The published class sizes; the margin keeps 49 * (1 / 49), which rounds below 1, at 1."""
    return np.floor(largest * shares * (1 + 1e-12)).astype(np.int64)
