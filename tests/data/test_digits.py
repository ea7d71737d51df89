import numpy as np
import pytest
from sklearn.datasets import load_digits as sklearn_digits

from ntk_aug.data.digits import load_digits


@pytest.fixture(scope="module")
def splits():
    return {split: load_digits(split) for split in ("train", "test")}


def test_the_splits_are_every_fifth_image_and_the_others(splits):
    images = sklearn_digits().images / 16
    assert (len(splits["train"]), len(splits["test"])) == (1438, 359)
    np.testing.assert_array_equal(splits["test"].images[..., 0], images[4::5].astype(np.float32))
    rest = np.delete(images, np.s_[4::5], axis=0)
    np.testing.assert_array_equal(splits["train"].images[..., 0], rest.astype(np.float32))


def test_labels_go_with_their_images(splits):
    target = sklearn_digits().target
    np.testing.assert_array_equal(splits["test"].labels, target[4::5])
    np.testing.assert_array_equal(splits["train"].labels, np.delete(target, np.s_[4::5]))


@pytest.mark.parametrize("split", ["train", "test"])
def test_indices_count_within_the_split(splits, split):
    np.testing.assert_array_equal(splits[split].indices, np.arange(len(splits[split])))


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_split_has_every_digit(splits, split):
    dataset = splits[split]
    assert dataset.class_names == tuple("0123456789")
    assert dataset.image_shape == (8, 8, 1)
    assert dataset.images.dtype == np.float32
    assert dataset.images.max() == 1
    assert dataset.split == split
    counts = np.bincount(dataset.labels, minlength=10)
    assert counts.min() >= 20


def test_reading_twice_gives_the_same_images(splits):
    assert load_digits("test").fingerprint() == splits["test"].fingerprint()
    assert splits["train"].fingerprint() != splits["test"].fingerprint()


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="unknown split 'validation'"):
        load_digits("validation")
