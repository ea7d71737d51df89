import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug.data import Dataset, normalize, unit_range
from ntk_aug.errors import InputError

IMAGES = np.arange(5 * 2 * 3 * 2, dtype=np.uint8).reshape(5, 2, 3, 2)
GOOD = {
    "name": "toy",
    "split": "train",
    "images": IMAGES,
    "labels": np.array([0, 1, 1, 2, 0]),
    "class_names": ("a", "b", "c"),
}


@pytest.fixture
def toy():
    return Dataset(**GOOD, mean=(0.5, 0.25), std=(0.1, 2.0))


def test_what_is_left_out_gets_neutral_values():
    dataset = Dataset(**GOOD)
    np.testing.assert_array_equal(dataset.indices, range(5))
    assert dataset.indices.dtype == dataset.labels.dtype == np.int32
    assert (dataset.mean, dataset.std) == ((0.0, 0.0), (1.0, 1.0))


def test_sizes_are_those_of_the_arrays(toy):
    assert (len(toy), toy.num_classes, toy.image_shape) == (5, 3, (2, 3, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": IMAGES[0, 0, 0]}, r"examples of toy have shape \(2,\), expected \[n, \.\.\.\]"),
        ({"images": IMAGES[:0]}, r"images of toy have shape \(0, 2, 3, 2\): no axis may be empty"),
        ({"images": IMAGES.astype(np.int64)}, "images of toy have dtype int64"),
        ({"images": IMAGES / 30}, r"range from 0 to 1\.96667, expected floating point in \[0, 1\]"),
        ({"images": IMAGES / 59 - 0.01}, r"range from -0\.01 to 0\.99, expected"),
        ({"images": np.where(IMAGES == 13, np.nan, 0.5)}, "in 1 of 5 images, first in image 1"),
        ({"labels": np.arange(4)}, r"labels have shape \(4,\), expected \(5,\)"),
        ({"labels": np.array([0, 1, 2, 3, 0])}, r"label 3 of image 3 is outside 0 \.\. 2"),
        ({"labels": np.zeros(5)}, "labels have dtype float64, expected integers"),
        ({"mean": (0.5,)}, r"mean \(0\.5,\), std \(1\.0, 1\.0\); expected 2 numbers each"),
        ({"std": (1.0, 1.0, 1.0)}, "expected 2 numbers each"),
        ({"std": (1.0, 0.0)}, "the std positive"),
        ({"std": (1.0, -1.0)}, "the std positive"),
        ({"class_names": ("a", "b", "a")}, r"are \('a', 'b', 'a'\): one is repeated"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message) as caught:
        Dataset(**(GOOD | change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("indices", [np.arange(4), np.arange(10).reshape(5, 2), np.full(5, -1)])
def test_indices_that_do_not_fit_are_refused(indices):
    with pytest.raises(InputError, match="indices"):
        Dataset(**GOOD, indices=indices)


@pytest.mark.parametrize("field", ["mean", "std"])
def test_a_normalisation_that_is_not_finite_is_refused(field):
    with pytest.raises(InputError, match="normalisation of toy"):
        Dataset(**GOOD, **{field: (np.nan, 1.0)})


def test_taken_examples_keep_label_and_index(toy):
    taken = toy.take(np.array([4, 0, 3]))
    again = taken.take(np.array([2, 0]))
    np.testing.assert_array_equal(taken.images, IMAGES[[4, 0, 3]])
    np.testing.assert_array_equal(taken.labels, [0, 0, 2])
    np.testing.assert_array_equal(taken.indices, [4, 0, 3])
    np.testing.assert_array_equal(again.indices, [3, 4])
    np.testing.assert_array_equal(again.images, IMAGES[[3, 4]])
    assert (taken.class_names, taken.mean, taken.std) == (toy.class_names, toy.mean, toy.std)


def test_a_dataset_cannot_be_changed_by_assignment(toy):
    with pytest.raises(dataclasses.FrozenInstanceError):
        toy.labels = np.zeros(5, int)


def test_the_fingerprint_sees_all_that_training_can_depend_on(toy):
    pixel = IMAGES.copy()
    pixel[4, 1, 2, 1] += 1
    changes = [
        {},
        {"images": pixel},
        {"labels": np.array([0, 1, 1, 2, 1])},
        {"indices": np.array([0, 1, 2, 4, 3])},
        {"class_names": ("a", "b", "d")},
        {"class_names": ("a", "b", "c", "d")},
        {"mean": (0.5, 0.26)},
        {"std": (0.1, 2.1)},
    ]
    prints = [dataclasses.replace(toy, **change).fingerprint() for change in changes]
    assert len(set(prints)) == len(changes)
    assert toy.take(np.arange(4)).fingerprint() not in prints
    assert toy.take(np.arange(5)).fingerprint() == prints[0]


def test_bytes_become_fractions_of_255():
    every_byte = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    images = unit_range(every_byte)
    assert isinstance(images, jax.Array)
    assert images.dtype == np.float32
    exact = np.arange(256) / 255
    # One rounding of the quotient: half a unit in the last place of a number up to 1.
    np.testing.assert_allclose(np.asarray(images).ravel(), exact, rtol=2**-23, atol=0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_is_only_cast(dtype):
    images = np.linspace(0, 1, 12).reshape(1, 2, 3, 2).astype(dtype)
    np.testing.assert_array_equal(unit_range(images), images.astype(np.float32))


def test_normalised_pixels_have_the_mean_and_std_that_were_divided_out():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(50, 4, 4, 2)).astype(np.float32)
    mean, std = images.mean((0, 1, 2), np.float64), images.std((0, 1, 2), np.float64)
    result = np.asarray(normalize(images, tuple(mean.tolist()), tuple(std.tolist())))
    assert result.dtype == np.float32
    # 1600 float32 pixels of size 1: rounding, not statistics.
    np.testing.assert_allclose(result.mean((0, 1, 2), np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(result.std((0, 1, 2), np.float64), 1, atol=1e-6)
    np.testing.assert_allclose(result[3, 1, 2], (images[3, 1, 2] - mean) / std, rtol=1e-5)


def test_normalisation_keeps_the_type_of_the_images():
    images = jnp.ones((1, 2, 2, 1), jnp.bfloat16)
    assert normalize(images, (0.5,), (0.5,)).dtype == jnp.bfloat16


# Of a user's own arrays


def test_own_arrays_become_a_data_set_in_one_call():
    animals = Dataset.from_arrays(IMAGES[..., 0], ["dog", "cat", "dog", "owl", "cat"])
    assert animals.images.shape == (5, 2, 3, 1)
    assert animals.class_names == ("cat", "dog", "owl")
    assert animals.labels.tolist() == [1, 0, 1, 2, 0]
    assert (animals.name, animals.split, animals.mean) == ("arrays", "train", (0.0,))
    test = Dataset.from_arrays(
        jnp.asarray(IMAGES[:2]),
        np.array(["owl", "cat"]),
        name="zoo",
        split="test",
        class_names=animals.class_names,
        mean=(0.5, 0.5),
        std=(2.0, 2.0),
    )
    assert test.labels.tolist() == [2, 0]
    assert isinstance(test.images, np.ndarray)
    assert (test.name, test.split, test.std) == ("zoo", "test", (2.0, 2.0))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, np.array([1.0] * 5), r"labels of mine are float64 \(5,\), expected one integer"),
        (IMAGES, np.array(["a"] * 5, object), r"labels of mine are object \(5,\), expected one"),
        (IMAGES, np.eye(5, dtype=int), r"int64 \(5, 5\), expected one integer or text per"),
        (IMAGES, [], r"float64 \(0,\), expected one integer"),
        (IMAGES, [1, 2], r"labels have shape \(2,\), expected \(5,\)"),
        (IMAGES / 1.0, [1] * 5, "images of mine range from 0 to 59"),
    ],
)
def test_own_arrays_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(InputError, match=message) as caught:
        Dataset.from_arrays(images, labels, name="mine")
    assert "\n" not in str(caught.value)


# Examples that are no images

TABLE = np.random.default_rng(0).normal(size=(5, 3))
TOKENS = np.arange(20).reshape(5, 4) * 50


@pytest.mark.parametrize(
    ("examples", "shape", "dtype"),
    [
        (TABLE, (3,), np.float32),
        (TOKENS, (4,), np.int32),
        (TOKENS.astype(np.uint8), (4,), np.int32),
        (np.ones((5, 2, 2, 2, 1)), (2, 2, 2, 1), np.float32),
    ],
)
def test_examples_of_another_kind_go_into_the_network_as_they_are(examples, shape, dtype):
    dataset = Dataset.from_arrays(examples, [0, 1, 1, 2, 0])
    assert (dataset.are_images, dataset.image_shape) == (False, shape)
    assert dataset.example == jax.ShapeDtypeStruct(shape, dtype)
    inputs = normalize(unit_range(dataset.images), dataset.mean, dataset.std)
    assert inputs.dtype == dtype
    np.testing.assert_array_equal(inputs, examples.astype(dtype))
    assert dataset.take(np.array([3, 1])).images.tolist() == examples[[3, 1]].tolist()


def test_examples_may_be_pytrees_with_one_leading_axis():
    examples = {"text": TOKENS, "numbers": TABLE}
    dataset = Dataset.from_arrays(examples, [0, 1, 1, 2, 0])
    assert dataset.example["text"] == jax.ShapeDtypeStruct((4,), np.int32)
    assert dataset.example["numbers"] == jax.ShapeDtypeStruct((3,), np.float32)
    taken = dataset.take(np.array([4, 2]))
    assert taken.images["text"].tolist() == TOKENS[[4, 2]].tolist()
    assert taken.indices.tolist() == [4, 2]
    assert normalize(unit_range(dataset.images), (), ())["numbers"].dtype == np.float32
    changed = TABLE.copy()
    changed[4, 2] += 1
    variants = [
        examples,
        {"text": TOKENS, "numbers": changed},
        {"text": TOKENS, "others": TABLE},
        {"text": TOKENS, "numbers": TABLE, "more": TABLE},
    ]
    prints = [Dataset.from_arrays(v, [0, 1, 1, 2, 0]).fingerprint() for v in variants]
    assert len(set(prints)) == len(variants)
    with pytest.raises(InputError, match="are not a single array"):
        _ = dataset.image_shape
    with pytest.raises(InputError, match=r"arrays have \[4, 5\] examples, expected the same"):
        Dataset.from_arrays({"text": TOKENS, "numbers": TABLE[:4]}, [0, 1, 1, 2, 0])


def test_only_images_are_normalised():
    with pytest.raises(InputError, match=r"expected none, as its examples are not images \[n, h,"):
        Dataset.from_arrays(TABLE, [0, 1, 1, 2, 0], mean=(0.5,) * 3)
    with pytest.raises(InputError, match=r"have shape \(5, 4\), expected \[n, height"):
        unit_range(TOKENS.astype(np.uint8))
