"""Data sets by name: a new data set is one more entry of `DATASETS`."""

from collections.abc import Callable
from typing import NamedTuple

from ntk_aug.checks import check_choice
from ntk_aug.data.dataset import Dataset
from ntk_aug.data.digits import load_digits
from ntk_aug.data.splits import SPLITS
from ntk_aug.data.tfds import find_prepared, is_known, load_tfds
from ntk_aug.errors import InputError
from ntk_aug.records import StrPath


class DatasetEntry(NamedTuple):
    """A named data set: its loader load(split, data_dir, cache_dir) and a one-line description."""

    load: Callable[[str, StrPath | None, StrPath | None], Dataset]
    description: str


def _prepared(name, mean, std, description):
    def load(split, data_dir, cache_dir):
        return load_tfds(name, split, data_dir=data_dir, cache_dir=cache_dir, mean=mean, std=std)

    return DatasetEntry(load, f"{description}; prepared by tensorflow-datasets")


# Mean and standard deviation of the pixels of the train split, per channel: MNIST and CIFAR as
# published by Wu et al., Fashion-MNIST as commonly used, SVHN as published with Cutout (there in
# units of 1/255). The common CIFAR-10 std (0.2023, 0.1994, 0.2010) is the mean std of an image, and
# not the std of the pixels.
DATASETS = {
    "digits": DatasetEntry(
        lambda split, data_dir, cache_dir: load_digits(split),
        "1,797 real 8x8 digits inside scikit-learn; every fifth image is the test split",
    ),
    "mnist": _prepared("mnist", (0.1307,), (0.3081,), "70,000 28x28 digits"),
    "fashion_mnist": _prepared(
        "fashion_mnist", (0.2860,), (0.3530,), "70,000 28x28 pieces of clothing, 10 classes"
    ),
    "cifar10": _prepared(
        "cifar10",
        (0.49139968, 0.48215841, 0.44653091),
        (0.24703223, 0.24348513, 0.26158784),
        "60,000 32x32 colour images, 10 classes",
    ),
    "cifar100": _prepared(
        "cifar100",
        (0.50707516, 0.48654887, 0.44091784),
        (0.26733429, 0.25643846, 0.27615047),
        "60,000 32x32 colour images, 100 classes",
    ),
    "svhn_cropped": _prepared(
        "svhn_cropped",
        (109.9 / 255, 109.7 / 255, 113.8 / 255),
        (50.1 / 255, 50.6 / 255, 50.8 / 255),
        "99,289 32x32 colour house-number digits",
    ),
}


def load_dataset(
    name: str, split: str, *, data_dir: StrPath | None = None, cache_dir: StrPath | None = None
) -> Dataset:
    """Loads one split of a named data set into memory. Nothing is downloaded.

    Args:
      name: a key of `DATASETS`, or the name of another image-classification data set in
        tensorflow-datasets, which gets no normalisation (mean 0, std 1).
      split: "train" or "test".
      data_dir: folder of data sets prepared by tensorflow-datasets; defaults to $TFDS_DATA_DIR, or
        else to ~/tensorflow_datasets.
      cache_dir: folder of decoded images; defaults to $NTK_AUG_CACHE, or else to ~/.cache/ntk_aug.

    Raises:
      InputError: the name is unknown (the message lists the known ones), the split is unknown, or
        the data is missing or cannot be read.
    """
    check_choice(split, SPLITS, "split")
    if name in DATASETS:
        return DATASETS[name].load(split, data_dir, cache_dir)
    if find_prepared(name, data_dir=data_dir) is None and not is_known(name):
        try:
            check_choice(name, DATASETS, "data set")
        except InputError as error:
            raise InputError(
                f"{error}, and every image-classification data set of tensorflow-datasets"
            ) from None
    return load_tfds(name, split, data_dir=data_dir, cache_dir=cache_dir)
