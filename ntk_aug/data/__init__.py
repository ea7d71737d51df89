"""Named data sets, a user's own arrays and files, and their subsets, in memory."""

from ntk_aug.data.dataset import Dataset, normalize, unit_range
from ntk_aug.data.digits import load_digits
from ntk_aug.data.files import load_images_file
from ntk_aug.data.label_noise import corrupt_labels
from ntk_aug.data.registry import DATASETS, DatasetEntry, load_dataset
from ntk_aug.data.splits import SPLITS
from ntk_aug.data.subsets import draw_examples, long_tailed, select_classes
from ntk_aug.data.tfds import load_tfds

__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "DatasetEntry",
    "corrupt_labels",
    "draw_examples",
    "load_dataset",
    "load_digits",
    "load_images_file",
    "load_tfds",
    "long_tailed",
    "normalize",
    "select_classes",
    "unit_range",
]
