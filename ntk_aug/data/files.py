"""A user's own images, from one npz file."""

from pathlib import Path

import numpy as np

from ntk_aug.checks import InputError, check_choice, check_images
from ntk_aug.data.dataset import SPLITS, Dataset
from ntk_aug.records import StrPath, read_npz


def load_images_file(path: StrPath, split: str) -> Dataset:
    """Reads labelled images from an npz file.

    Keys: `images` [n, h, w] or [n, h, w, c], uint8 or floating point in [0, 1]; `labels` [n],
    integers from 0; optionally `test_images` and `test_labels`, and `class_names`. Without test
    images every fifth image, in file order, is the test split.

    Args:
      path: the file.
      split: "train" or "test".

    Raises:
      InputError: a missing or broken file, a missing key, or arrays that do not fit.
    """
    check_choice(split, SPLITS, "split")
    arrays = read_npz(path)
    own_test = "test_images" in arrays
    prefix = "test_" if own_test and split == "test" else ""
    for key in ("images", "labels", f"{prefix}images", f"{prefix}labels"):
        if key not in arrays:
            raise InputError(f"{path} has no array {key!r}; it has {', '.join(sorted(arrays))}")
    images, labels = arrays[f"{prefix}images"], arrays[f"{prefix}labels"]
    if images.ndim == 3:
        images = images[..., None]
    check_images(images, f"images of {path}")
    if np.issubdtype(images.dtype, np.floating):
        images = images.astype(np.float32)
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels of {path} are {labels.dtype} {labels.shape}, expected {len(images)} integers"
        )
    if not own_test and len(images) < 5:
        raise InputError(
            f"{path} holds {len(images)} images: without test_images every fifth is the test "
            "split, so at least 5 are needed"
        )
    names = np.atleast_1d(arrays.get("class_names", np.arange(arrays["labels"].max() + 1)))
    dataset = Dataset(
        name=Path(path).name,
        split=split,
        images=images,
        labels=labels,
        class_names=tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names),
    )
    if own_test:
        return dataset
    held_out = np.arange(len(dataset)) % 5 == 4
    return dataset.take(np.flatnonzero(held_out == (split == "test")))
