"""The splits of a data set, and the rule for data without a test split."""

import numpy as np

from ntk_aug.aliases import Int

SPLITS = ("train", "test")


def every_fifth(n: int, split: str) -> Int[np.ndarray, " m"]:
    """Returns the positions of a split among n examples in file order: every fifth is "test"."""
    positions = np.arange(n)
    return positions[(positions % 5 == 4) == (split == "test")]
