"""Your own examples from one npz file."""

from pathlib import Path

import numpy as np

from ntk_aug.checks import check_choice
from ntk_aug.data.dataset import Dataset
from ntk_aug.data.labels import as_labels, find_classes
from ntk_aug.data.splits import SPLITS, every_fifth
from ntk_aug.errors import InputError
from ntk_aug.records import StrPath, read_npz

# Keys of the examples, the labels, and those of the test split.
_KEYS = (
    ("images", "labels", "test_images", "test_labels"),
    ("x", "y", "x_test", "y_test"),
    ("X", "y", "X_test", "y_test"),
    ("x_train", "y_train", "x_test", "y_test"),
)


def load_images_file(path: StrPath, split: str) -> Dataset:
    """Reads labelled examples from an npz file.

    The keys are `images` and `labels`, `x` and `y`, or `x_train` and `y_train`. Images are
    [n, h, w] or [n, h, w, c], uint8 or floating point in [0, 1]; other examples are tables [n, d]
    of floats, or token ids [n, t]. Labels are integers or texts; the distinct labels, sorted, are
    the classes 0, 1, ... of both splits. Optional keys are `test_images` and `test_labels` (or
    `x_test`, `y_test`), `class_names`, and `mean` and `std` per channel of pixels in [0, 1].
    Without test examples every fifth example in file order is the test split.

    Args:
      path: the file.
      split: "train" or "test".

    Raises:
      InputError: the file or a key is missing, or the arrays do not match.
      BrokenFileError: the file is broken.
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
    # Training labels define the classes of both splits.
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
