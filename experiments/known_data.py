"""Published sizes of the named data sets, to check and cost presets without loading data."""

from typing import NamedTuple

import jax
import numpy as np

from experiments.cost import Sizes
from experiments.inputs import prepared_splits
from experiments.settings import Experiment
from ntk_aug import data


class KnownData(NamedTuple):
    """A published data set.

    Attributes:
      class_names: in the order of the labels.
      train: images of each class in the training split.
      test: the same of the test split.
      image_shape: (height, width, channels).
    """

    class_names: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    image_shape: tuple[int, int, int]


_NUMBERS = tuple("0123456789")
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"

KNOWN_DATA = {
    "digits": KnownData(
        _NUMBERS,
        (151, 161, 143, 131, 147, 154, 150, 136, 127, 138),
        (27, 21, 34, 52, 34, 28, 31, 43, 47, 42),
        (8, 8, 1),
    ),
    "mnist": KnownData(
        _NUMBERS,
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        (28, 28, 1),
    ),
    "cifar10": KnownData(tuple(_CIFAR10.split()), (5000,) * 10, (1000,) * 10, (32, 32, 3)),
    "svhn_cropped": KnownData(
        _NUMBERS,
        (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
        (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
        (32, 32, 3),
    ),
}


def known_sizes(experiment: Experiment) -> Sizes:
    """The sizes of an experiment's data set, one of `KNOWN_DATA`."""
    known = KNOWN_DATA[experiment.data]
    splits = [
        _stand_in(experiment.data, split, known.class_names, sizes)
        for split, sizes in (("train", known.train), ("test", known.test))
    ]
    sizes = sizes_of(*prepared_splits(experiment, splits[0], splits[1]))
    return sizes._replace(example=jax.ShapeDtypeStruct(known.image_shape, np.float32))


def sizes_of(train_set: data.Dataset, test_set: data.Dataset) -> Sizes:
    """The sizes of loaded data."""
    counts = np.bincount(train_set.labels, minlength=train_set.num_classes)
    return Sizes(tuple(map(int, counts)), len(test_set), train_set.example)


def _stand_in(
    name: str, split: str, class_names: tuple[str, ...], sizes: tuple[int, ...]
) -> data.Dataset:
    """A data set with these labels, and images of one pixel."""
    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    images = np.zeros((len(labels), 1, 1, 1), np.uint8)
    return data.Dataset(name, split, images, labels, class_names)
