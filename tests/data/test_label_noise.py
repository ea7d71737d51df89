import dataclasses

import jax
import numpy as np
import pytest

from ntk_aug.data import Dataset, corrupt_labels
from ntk_aug.errors import InputError

CLASSES = tuple("abcd")


def labelled(labels, names=CLASSES):
    examples = np.arange(float(len(labels)))[:, None]
    return Dataset("own", "test", examples, np.asarray(labels), names, np.arange(len(labels)) + 7)


BALANCED = labelled(np.arange(400) % 4)


# 0.00125 and 0.00375 of 400 are 0.5 and 1.5, which round to the even 0 and 2.
@pytest.mark.parametrize("fraction", [0, 0.00125, 0.00375, 0.1, 0.333, 0.5, 1])
def test_the_share_of_changed_labels_is_exact(fraction):
    noisy = corrupt_labels(0, BALANCED, fraction)
    assert (noisy.labels != BALANCED.labels).sum() == round(400 * fraction)
    assert set(noisy.labels) <= set(range(4))


def test_only_labels_change():
    noisy = corrupt_labels(0, BALANCED, 0.5)
    for field in dataclasses.fields(Dataset):
        if field.name != "labels":
            own, before = (getattr(dataset, field.name) for dataset in (noisy, BALANCED))
            np.testing.assert_array_equal(own, before)
    assert noisy.labels.dtype == BALANCED.labels.dtype
    np.testing.assert_array_equal(BALANCED.labels, np.arange(400) % 4)  # the given set


def test_a_wrong_label_is_each_other_class_equally_often():
    dataset = labelled(np.repeat(np.arange(4), 3000))
    wrong = corrupt_labels(5, dataset, 1.0).labels
    counts = np.histogram2d(dataset.labels, wrong, bins=(4, 4))[0]
    assert (np.diag(counts) == 0).all()
    others = counts[~np.eye(4, dtype=bool)]
    # Chi-square of four rows of three equally likely cells, 8 degrees of freedom: above 31.8 once
    # in 10,000.
    assert ((others - 1000) ** 2 / 1000).sum() < 31.8


def test_every_example_is_changed_equally_often():
    dataset, draws = labelled(np.zeros(20, int)), 400
    counts = sum(
        (corrupt_labels(seed, dataset, 0.25).labels > 0).astype(int) for seed in range(draws)
    )
    assert (np.abs(counts - draws / 4) < 5 * np.sqrt(draws * 0.25 * 0.75)).all()


def test_the_key_decides():
    keys = [jax.random.key(0), 0, 1, 2]
    first, same, *others = (corrupt_labels(key, BALANCED, 0.3).labels.tolist() for key in keys)
    assert first == same
    assert first not in others


@pytest.mark.parametrize("fraction", [-0.1, 1.01, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(
        InputError, match=rf"fraction \(of wrong labels\) is {fraction}, expected 0"
    ):
        corrupt_labels(0, BALANCED, fraction)


def test_one_class_has_no_wrong_labels():
    alone = labelled(np.zeros(5, int), names=("a",))
    with pytest.raises(InputError, match="own has 1 class, expected at least 2"):
        corrupt_labels(0, alone, 0.5)
    assert corrupt_labels(0, alone, 0.0).fingerprint() == alone.fingerprint()
