"""A user's own examples, from one npz file."""

from pathlib import Path

import numpy as np

from ntk_aug.checks import check_choice
from ntk_aug.data.dataset import Dataset
from ntk_aug.data.labels import as_labels, find_classes
from ntk_aug.data.splits import SPLITS, every_fifth
from ntk_aug.errors import InputError
from ntk_aug.records import StrPath, read_npz

# Names of the examples, their labels, and those of a test split.
_KEYS = (
    ("images", "labels", "test_images", "test_labels"),
    ("x", "y", "x_test", "y_test"),
    ("X", "y", "X_test", "y_test"),
    ("x_train", "y_train", "x_test", "y_test"),
)


def load_images_file(path: StrPath, split: str) -> Dataset:
    """Reads labelled examples from an npz file.

    Keys: `images` and `labels`, or `x` and `y`. Images are [n, h, w] or [n, h, w, c], uint8 or
    floating point in [0, 1]; other examples are tables [n, d] of floats, or token ids [n, t].
    Labels are integers or texts; those that occur, sorted, are the classes 0, 1, ..., in both
    splits. Optional: `test_images` and `test_labels` (`x_test`, `y_test`); `class_names`; `mean`
    and `std` per channel of pixels in [0, 1]. The keys `x_train`, `y_train`, `x_test`, `y_test`
    serve, too. Without test examples every fifth, in file order, is the test split.

    Args:
      path: the file.
      split: "train" or "test".

    Raises:
      InputError: a missing or broken file, a missing key, or arrays that do not fit.
    """
    check_choice(split, SPLITS, "split")
    arrays = read_npz(path)
    names = next((keys for keys in _KEYS if keys[0] in arrays), _KEYS[0])
    own_test = names[2] in arrays
    for key in (*names[:2], *(names[2:] if own_test else ())):
        if key not in arrays:
            others = " (or 'x', 'x_train')" if key == "images" else ""
            raise InputError(
                f"{path} has no array {key!r}{others}; it has {', '.join(sorted(arrays))}"
            )
    chosen = names[2:] if own_test and split == "test" else names[:2]
    images, labels = (np.atleast_1d(arrays[key]) for key in chosen)
    if np.issubdtype(images.dtype, np.floating):
        images = images.astype(np.float32)
    what, n = f"{chosen[1]} of {path}", len(images)
    if len(as_labels(labels, what)) != n:
        raise InputError(f"{what} are {len(labels)}, expected {n}: one for each of {chosen[0]}")
    if not own_test and n < 5:
        raise InputError(
            f"{path} holds {n} examples: without {names[2]} every fifth is the test split, so at "
            "least 5 are needed"
        )
    # Classes are those of the training labels, so that both splits have the same.
    classes = find_classes(arrays[names[1]], arrays.get("class_names", ()), what=what)
    dataset = Dataset.from_arrays(
        images,
        np.asarray(classes.names)[classes.numbers(labels, what)],
        name=Path(path).name,
        split=split,
        class_names=classes.names,
        mean=_per_channel(arrays, "mean", path),
        std=_per_channel(arrays, "std", path),
    )
    return dataset if own_test else dataset.take(every_fifth(len(dataset), split))


def _per_channel(arrays, key, path):
    values = np.atleast_1d(arrays.get(key, np.empty(0)))
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise InputError(f"{key} of {path} is {values.dtype} {values.shape}, expected [channels]")
    return tuple(float(value) for value in values)
