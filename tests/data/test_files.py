import numpy as np
import pytest

from ntk_aug.data import load_images_file
from ntk_aug.errors import BrokenFileError, InputError

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
        (
            {"pixels": GREY, "labels": LABELS},
            r"no array 'images' \(or 'x', 'x_train'\); it has labels, pixels",
        ),
        ({"images": GREY}, "no array 'labels'; it has images"),
        (
            {"images": GREY, "labels": LABELS, "test_images": GREY},
            "no array 'test_labels'; it has images, labels, test_images",
        ),
        ({"images": GREY, "labels": LABELS[:5]}, "labels of .* are 5, expected 12: one for each"),
        ({"x": GREY, "y": LABELS[:5]}, "y of .* are 5, expected 12: one for each of x"),
        ({"images": GREY, "labels": LABELS / 1}, r"float64 \(12,\), expected one integer or text"),
        ({"images": GREY, "labels": LABELS[:, None]}, r"int64 \(12, 1\), expected one integer"),
        ({"images": GREY, "labels": np.full(12, b"\xff")}, "bytes that are not UTF-8"),
        ({"images": GREY.astype(int), "labels": LABELS}, "have dtype int64, expected uint8"),
        ({"images": LABELS / 1, "labels": LABELS}, r"have shape \(12,\), expected \[n, \.\.\.\]"),
        ({"images": GREY, "labels": LABELS, "mean": GREY}, r"mean of .* uint8 .* \[channels\]"),
        ({"images": GREY, "labels": LABELS, "mean": [0.5, 0.5]}, "expected 1 numbers each"),
        ({"x": GREY[:, 0] / 1, "y": LABELS, "mean": 0.5}, "expected none, as its examples are no"),
        ({"images": GREY / 1, "labels": LABELS}, r"expected floating point in \[0, 1\]"),
        ({"images": GREY / np.nan, "labels": LABELS}, "NaN or infinity in 12 of 12 images"),
        (
            {"images": GREY, "labels": LABELS, "class_names": np.array(["a", "b"])},
            "are 3 different ones, 0 to 2, for 2 class names: expected 0 .. 1, or as many",
        ),
        (
            {"images": GREY, "labels": LABELS, "class_names": np.array("a")},
            "are 3 different ones, 0 to 2, for 1 class names",
        ),
        ({"images": GREY[:4], "labels": LABELS[:4]}, "mine.npz holds 4 examples.* at least 5 are"),
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
    message = r"label 3 of example 1 of test_labels of .*mine\.npz is none of the 3 known: 0, 1, 2"
    with pytest.raises(InputError, match=message):
        load_images_file(path, "test")


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"mine\.npz is missing"):
        load_images_file(tmp_path / "mine.npz", "train")
    (tmp_path / "mine.npz").write_text("no arrays")
    with pytest.raises(BrokenFileError, match=r"mine\.npz is not a readable npz file"):
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


@pytest.mark.parametrize(
    "keys",
    [
        ("images", "labels", "test_images", "test_labels"),
        ("x", "y", "x_test", "y_test"),
        ("X", "y", "X_test", "y_test"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
def test_examples_and_labels_have_the_usual_names(save, keys):
    arrays = (GREY, LABELS, GREY[:2], LABELS[1:3])
    path = save(**dict(zip(keys, arrays, strict=True)))
    train, test = load_images_file(path, "train"), load_images_file(path, "test")
    np.testing.assert_array_equal(train.images[..., 0], GREY)
    np.testing.assert_array_equal(test.images[..., 0], GREY[:2])
    np.testing.assert_array_equal(test.labels, [1, 2])


TEXTS = np.array(["owl", "cat", "dog"])


@pytest.mark.parametrize(
    ("of_classes", "names"),
    [
        (np.array([7, 3, 5]), ("3", "5", "7")),
        (np.array([0, -1, 300], np.int16), ("-1", "0", "300")),
        (TEXTS, ("cat", "dog", "owl")),
        (TEXTS.astype("S"), ("cat", "dog", "owl")),
        (np.array(["zwei", "drei", "fünf"]), ("drei", "fünf", "zwei")),
    ],
)
@pytest.mark.parametrize("own_test", [False, True])
def test_labels_of_any_kind_are_classes_in_sorted_order_in_both_splits(
    save, of_classes, names, own_test
):
    labels = of_classes[LABELS]
    arrays = {"images": GREY, "labels": labels}
    if own_test:  # in which one class does not occur
        arrays |= {"test_images": GREY[:3], "test_labels": of_classes[[2, 2, 1]]}
    path = save(**arrays)
    train, test = load_images_file(path, "train"), load_images_file(path, "test")
    assert train.class_names == test.class_names == names
    decoded = of_classes.astype(str).tolist()
    rest = [i for i in range(12) if own_test or i % 5 != 4]
    expected = [decoded[LABELS[i]] for i in rest]
    assert [names[label] for label in train.labels] == expected
    expected = [decoded[i] for i in ([2, 2, 1] if own_test else LABELS[[4, 9]])]
    assert [names[label] for label in test.labels] == expected


def test_names_are_of_numbers_or_in_sorted_order_or_the_labels_themselves(save):
    names = np.array(["owl", "cat", "dog"])
    for labels, expected in [
        (LABELS, LABELS),
        (LABELS % 2 * 2, LABELS % 2 * 2),  # a class that does not occur keeps its number
        (LABELS + 1, LABELS),  # 1 .. 3: no numbers of three names
        (names[LABELS], LABELS),
    ]:
        path = save(x=GREY, y=labels, class_names=names)
        train = load_images_file(path, "train")
        assert train.class_names == ("owl", "cat", "dog")
        np.testing.assert_array_equal(train.labels, np.delete(expected, [4, 9]))
    path = save(x=GREY, y=np.array(["owl", "elk", "cat"])[LABELS], class_names=names)
    with pytest.raises(InputError, match=r"label elk of example 1 of y of .* is none of the 3"):
        load_images_file(path, "train")


def test_normalisation_may_stand_in_the_file(save):
    images = RNG.integers(0, 256, (5, 4, 4, 2), np.uint8)
    path = save(images=images, labels=np.arange(5), mean=[0.25, 0.5], std=[2, 4])
    train = load_images_file(path, "train")
    assert (train.mean, train.std) == ((0.25, 0.5), (2.0, 4.0))


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
def test_tables_and_token_ids_are_examples_too(save, dtype):
    rows = RNG.integers(0, 200, (12, 7)).astype(dtype)
    path = save(x=rows, y=LABELS)
    train, test = load_images_file(path, "train"), load_images_file(path, "test")
    assert not train.are_images
    np.testing.assert_array_equal(test.images, rows[[4, 9]])
    expected = np.float32 if dtype == np.float64 else np.int32
    assert (train.example.shape, train.example.dtype) == ((7,), expected)
