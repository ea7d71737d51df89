"""The data set that needs no download: scikit-learn's 8x8 handwritten digits."""

import numpy as np
from sklearn import datasets

from ntk_aug.checks import check_choice
from ntk_aug.data.dataset import Dataset
from ntk_aug.data.splits import SPLITS, every_fifth


def load_digits(split: str) -> Dataset:
    """Loads 1,797 real digits of 43 writers, 8 x 8 x 1 (UCI, E. Alpaydin and C. Kaynak).

    Pixels count the inked cells of a 4 x 4 square, divided by 16. Every fifth image in file order
    is test (359), the others train (1,438); writers are not separated, because the file does not
    name them.
    """
    check_choice(split, SPLITS, "split")
    bunch = datasets.load_digits()
    chosen = every_fifth(len(bunch.target), split)
    return Dataset(
        name="digits",
        split=split,
        images=(bunch.images[chosen, :, :, None] / 16).astype(np.float32),
        labels=bunch.target[chosen],
        class_names=tuple(str(name) for name in bunch.target_names),
    )
