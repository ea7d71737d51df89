import numpy as np
import pytest

from ntk_aug.checks import InputError
from ntk_aug.data import load_images_file

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 4, 5), np.uint8)
LABELS = np.arange(12) % 3


@pytest.fixture
def save(tmp_path):
    """A function that saves arrays and gives the path of the file."""

    def save(**arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return save


def test_without_test_images_every_fifth_is_the_test_split(save):
    path = save(images=GREY, labels=LABELS)
    train, test = load_images_file(path, "train"), load_images_file(path, "test")
    np.testing.assert_array_equal(test.images[..., 0], GREY[[4, 9]])
    np.testing.assert_array_equal(test.labels, LABELS[[4, 9]])
    rest = [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]
    np.testing.assert_array_equal(train.images[..., 0], GREY[rest])
    np.testing.assert_array_equal(train.labels, LABELS[rest])
    assert train.class_names == test.class_names == ("0", "1", "2")
    assert (train.name, train.split, test.split) == ("mine.npz", "train", "test")


def test_no_example_is_in_both_splits(save):
    path = save(images=GREY, labels=LABELS)
    indices = [load_images_file(path, split).indices for split in ("train", "test")]
    np.testing.assert_array_equal(np.sort(np.concatenate(indices)), np.arange(12))


def test_own_test_images_are_the_test_split(save):
    path = save(
        images=GREY,
        labels=LABELS,
        test_images=GREY[:2] // 2,
        test_labels=np.array([2, 0]),
        class_names=np.array(["cat", "dog", "cow"]),
    )
    train, test = load_images_file(path, "train"), load_images_file(path, "test")
    np.testing.assert_array_equal(train.images[..., 0], GREY)
    np.testing.assert_array_equal(test.images[..., 0], GREY[:2] // 2)
    np.testing.assert_array_equal(test.labels, [2, 0])
    assert train.class_names == test.class_names == ("cat", "dog", "cow")


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64])
def test_colour_images_are_read_as_bytes_or_float32(save, dtype):
    images = RNG.integers(0, 2, (5, 4, 4, 3)).astype(dtype)
    dataset = load_images_file(save(images=images, labels=np.zeros(5, int)), "train")
    assert dataset.images.dtype == (np.uint8 if dtype == np.uint8 else np.float32)
    np.testing.assert_array_equal(dataset.images, images[:4])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": GREY, "labels": LABELS}, "no array 'images'; it has labels, pixels"),
        ({"images": GREY}, "no array 'labels'; it has images"),
        (
            {"images": GREY, "labels": LABELS, "test_images": GREY},
            "no array 'test_labels'; it has images, labels, test_images",
        ),
        ({"images": GREY, "labels": LABELS[:5]}, r"labels of .* int64 \(5,\), expected 12 integ"),
        ({"images": GREY, "labels": LABELS / 1}, r"float64 \(12,\), expected 12 integers"),
        ({"images": GREY, "labels": LABELS[:, None]}, r"int64 \(12, 1\), expected 12 integers"),
        ({"images": GREY, "labels": LABELS - 1}, "label -1 of image 0"),
        ({"images": GREY[0], "labels": LABELS}, r"have shape \(4, 5\), expected \[n, height"),
        ({"images": GREY.astype(int), "labels": LABELS}, "have dtype int64, expected uint8"),
        ({"images": GREY / 1, "labels": LABELS}, r"expected floating point in \[0, 1\]"),
        ({"images": GREY / np.nan, "labels": LABELS}, "NaN or infinity in 12 of 12 images"),
        (
            {"images": GREY, "labels": LABELS, "class_names": np.array(["a", "b"])},
            r"label 2 of image 2 is outside 0 \.\. 1",
        ),
        (
            {"images": GREY, "labels": LABELS, "class_names": np.array("a")},
            r"label 1 of image 1 is outside 0 \.\. 0",
        ),
        ({"images": GREY[:4], "labels": LABELS[:4]}, "mine.npz holds 4 images.* at least 5 are"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_one_line(save, arrays, message):
    path = save(**arrays)
    with pytest.raises(InputError, match=message) as caught:
        load_images_file(path, "test" if "test_images" in arrays else "train")
    assert "\n" not in str(caught.value)
    assert "mine.npz" in str(caught.value) or "label" in message


def test_a_test_label_beyond_the_training_classes_is_refused(save):
    path = save(images=GREY, labels=LABELS, test_images=GREY[:2], test_labels=np.array([0, 3]))
    with pytest.raises(InputError, match=r"label 3 of image 1 is outside 0 \.\. 2"):
        load_images_file(path, "test")


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"mine\.npz is missing"):
        load_images_file(tmp_path / "mine.npz", "train")
    (tmp_path / "mine.npz").write_text("no arrays")
    with pytest.raises(InputError, match=r"mine\.npz is not a readable npz file"):
        load_images_file(tmp_path / "mine.npz", "train")


def test_test_images_alone_are_refused(save):
    path = save(test_images=GREY, test_labels=LABELS)
    with pytest.raises(InputError, match="no array 'images'"):
        load_images_file(path, "test")


def test_another_split_is_refused(save):
    with pytest.raises(InputError, match="unknown split 'validation'"):
        load_images_file(save(images=GREY, labels=LABELS), "validation")


def test_class_names_may_be_byte_strings(save):
    path = save(images=GREY, labels=LABELS % 2, class_names=np.array([b"cat", b"dog"]))
    assert load_images_file(path, "train").class_names == ("cat", "dog")
