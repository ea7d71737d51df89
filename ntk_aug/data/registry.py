"""Named data sets: one table, one loader."""

from collections.abc import Callable
from typing import NamedTuple

from ntk_aug.checks import check_choice
from ntk_aug.data.dataset import Dataset
from ntk_aug.data.digits import load_digits
from ntk_aug.records import StrPath

SPLITS = ("train", "test")


class DatasetEntry(NamedTuple):
    """A named data set: `load(split, data_dir)` and one line that says what it is."""

    load: Callable[[str, StrPath | None], Dataset]
    description: str


DATASETS = {
    "digits": DatasetEntry(
        lambda split, data_dir: load_digits(split),
        "1,797 real 8x8 digits inside scikit-learn; every fifth image is the test split",
    ),
}


def load_dataset(name: str, split: str, *, data_dir: StrPath | None = None) -> Dataset:
    """Loads one split of a named data set into memory.

    Args:
      name: a key of `DATASETS`.
      split: "train" or "test".
      data_dir: where prepared data sets lie, for those that are not part of a package.

    Raises:
      InputError: unknown name (the known ones are listed) or split, or data that is not there.
    """
    entry = DATASETS[check_choice(name, DATASETS, "data set")]
    return entry.load(check_choice(split, SPLITS, "split"), data_dir)
