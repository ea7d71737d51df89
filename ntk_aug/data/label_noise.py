"""Label noise: wrong labels for an exact fraction of the examples."""

from dataclasses import replace

from ntk_aug.aliases import KeyLike
from ntk_aug.data.dataset import Dataset
from ntk_aug.errors import InputError
from ntk_aug.randomness import generator


def corrupt_labels(key: KeyLike, dataset: Dataset, fraction: float) -> Dataset:
    """Gives exactly round(fraction * n) examples a wrong label, uniform over the other classes.

    The examples are drawn uniformly without replacement. Everything but the labels is kept, also
    the name.

    Raises:
      InputError: the fraction is not in [0, 1], or the data set has only one class.
    """
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction (of wrong labels) is {fraction}, expected 0 to 1")
    count = round(fraction * len(dataset))
    if count and dataset.num_classes < 2:
        raise InputError(f"{dataset.name} has 1 class, expected at least 2 for wrong labels")
    draws = generator(key)
    places = draws.choice(len(dataset), count, replace=False)
    labels = dataset.labels.copy()
    if count:
        # A step of 1 .. C - 1 classes never returns to the old label.
        steps = draws.integers(1, dataset.num_classes, count)
        labels[places] = (labels[places] + steps) % dataset.num_classes
    return replace(dataset, labels=labels)
