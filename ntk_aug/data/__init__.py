"""Named data sets, a user's own arrays and files, and their subsets, in memory."""

from ntk_aug.data.dataset import Dataset, normalize, unit_range
from ntk_aug.data.files import load_images_file
from ntk_aug.data.label_noise import corrupt_labels
from ntk_aug.data.registry import DATASETS, load_dataset
from ntk_aug.data.subsets import draw_examples, long_tailed, select_classes
from ntk_aug.data.tfds import load_tfds

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "load_dataset",
    "DATASETS",
    "Dataset",
    "load_images_file",
    "load_tfds",
    "unit_range",
    "normalize",
    "draw_examples",
    "select_classes",
    "long_tailed",
    "corrupt_labels",
]
