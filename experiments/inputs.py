"""The inputs of a run: training and test split, and a subset that was selected elsewhere."""

import jax
import numpy as np

from experiments.settings import Experiment
from ntk_aug import coreset, data
from ntk_aug.data.splits import SPLITS
from ntk_aug.errors import InputError
from ntk_aug.records import read_npz

SHOWN_CLASSES = 20
"""Names of classes in a line."""

# What the key of `data_seed` is folded with.
_OF_LONG_TAIL, _OF_LABEL_NOISE = 0, 1


def load_splits(
    experiment: Experiment, *, images: str | None = None, data_dir: str | None = None
) -> tuple[data.Dataset, data.Dataset]:
    """Loads the test split, and the training split with its long tail and wrong labels.

    Args:
      experiment: names the data set and its classes.
      images: an npz file of a user's own, in place of the data set.
      data_dir: where prepared data sets lie.

    Raises:
      InputError: data that are missing or broken, an unknown class, or a long tail that the classes
        do not allow.
    """
    if images is None:
        train_set, test_set = (
            data.load_dataset(experiment.data, split, data_dir=data_dir) for split in SPLITS
        )
    else:
        train_set, test_set = (data.load_images_file(images, split) for split in SPLITS)
    return prepared_splits(experiment, train_set, test_set)


def prepared_splits(
    experiment: Experiment, train_set: data.Dataset, test_set: data.Dataset
) -> tuple[data.Dataset, data.Dataset]:
    """The chosen classes of both splits, and the training split's long tail and wrong labels."""
    if experiment.classes:
        train_set = data.select_classes(train_set, experiment.classes)
        test_set = data.select_classes(test_set, experiment.classes)
    key = jax.random.key(experiment.data_seed)
    if experiment.imbalance is not None:
        own_key = jax.random.fold_in(key, _OF_LONG_TAIL)
        train_set = data.long_tailed(own_key, train_set, experiment.imbalance)
    if experiment.label_noise:
        own_key = jax.random.fold_in(key, _OF_LABEL_NOISE)
        train_set = data.corrupt_labels(own_key, train_set, experiment.label_noise)
    return train_set, test_set


def data_line(experiment: Experiment, train_set: data.Dataset, test_set: data.Dataset) -> str:
    """One line: both splits, and which label is which output of the network."""
    names = train_set.class_names
    numbered = names == tuple(map(str, range(len(names))))
    shown = [name if numbered else f"{number} = {name}" for number, name in enumerate(names)]
    cut = ", ..." if len(shown) > SHOWN_CLASSES else ""
    of_fifths = bool((test_set.indices % 5 == 4).all())
    line = (
        f"data     {train_set.name}: {len(train_set):,} training and {len(test_set):,} test "
        f"{'images' if train_set.are_images else 'examples'}"
        f"{' (every fifth of the file)' if of_fifths else ''}; "
        f"classes {', '.join(shown[:SHOWN_CLASSES])}{cut}"
    )
    if experiment.imbalance is not None:
        line += f"; long tail of imbalance {experiment.imbalance:g}"
    if experiment.label_noise:
        line += f"; {100 * experiment.label_noise:g} % of the training labels are wrong"
    return line


def read_selection(path: str, train_set: data.Dataset) -> coreset.Subset:
    """A weighted subset from an npz file, such as `python -m analysis select` writes.

    Args:
      path: a file with indices, places in the training split, and optionally weights (default: 1)
        and labels.
      train_set: what it is a subset of.

    Raises:
      InputError: a missing or broken file, a place that is not in the training set, or labels that
        are not those of the training set.
    """
    arrays = read_npz(path)
    if "indices" not in arrays:
        raise InputError(f"{path} has no array 'indices'; it has {', '.join(sorted(arrays))}")
    places = np.atleast_1d(arrays["indices"])
    if places.ndim != 1 or not np.issubdtype(places.dtype, np.integer):
        raise InputError(
            f"indices of {path} are {places.dtype} {places.shape}, expected integers [k]"
        )
    positions = _positions_of(places, train_set.indices)
    if (positions < 0).any():
        outside = places[positions < 0]
        raise InputError(
            f"{path} selects place {outside[0]} ({len(outside)} such of {len(places)}), which is "
            f"not among the {len(train_set)} training examples of {train_set.name}"
        )
    labels = train_set.labels[positions]
    if "labels" in arrays and not np.array_equal(arrays["labels"], labels):
        raise InputError(
            f"{path} has other labels than {train_set.name} at the same places, expected a "
            "selection from the same data and classes"
        )
    weights = np.asarray(arrays.get("weights", np.ones(len(places))), np.float64)
    gains = np.asarray(arrays.get("gains", np.full(len(places), np.nan)), np.float64)
    return coreset.Subset(positions, weights, gains, labels)


def _positions_of(places: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The position of each place in `indices`; -1 if it is not there."""
    order = np.argsort(indices, kind="stable")
    found = np.minimum(np.searchsorted(indices[order], places), len(indices) - 1)
    positions = order[found]
    return np.where(indices[positions] == places, positions, -1)
