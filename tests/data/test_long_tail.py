import jax
import numpy as np
import pytest

from ntk_aug.data import Dataset, long_tailed
from ntk_aug.errors import InputError


def labelled(sizes, seed=0):
    """Examples of one number each, their place; classes of these sizes, in random order."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    names = tuple(f"class {number}" for number in range(len(sizes)))
    examples = np.arange(float(len(labels)))[:, None]
    return Dataset("own", "train", examples, labels, names, indices=np.arange(len(labels)) + 100)


def sizes_of(dataset):
    return np.bincount(dataset.labels, minlength=dataset.num_classes).tolist()


def published(largest, imbalance, num_classes):
    """As the authors' code computes class sizes, in Python's own floats."""
    factor = 1 / imbalance
    return [int(largest * factor ** (k / (num_classes - 1.0))) for k in range(num_classes)]


def test_cifar10_at_imbalance_100_has_the_published_12406_examples():
    tail = long_tailed(0, labelled([5000] * 10), 100)
    assert sizes_of(tail) == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert len(tail) == 12_406


@pytest.mark.parametrize("imbalance", [1, 10, 20, 50, 100, 200])
@pytest.mark.parametrize(("largest", "num_classes"), [(5000, 10), (500, 100)])
def test_class_sizes_are_the_published_ones(largest, num_classes, imbalance):
    tail = long_tailed(0, labelled([largest] * num_classes), imbalance)
    assert sizes_of(tail) == published(largest, imbalance, num_classes)


def test_rounding_takes_no_example_from_the_last_class():
    assert published(49, 49, 2) == [49, 0]  # 1 / 49 is a little less in floats
    assert sizes_of(long_tailed(0, labelled([49, 49]), 49)) == [49, 1]


def test_examples_stay_as_they_are_in_the_order_of_the_data():
    dataset = labelled([20, 20, 20])
    tail = long_tailed(0, dataset, 4)
    places = tail.images[:, 0].astype(int)
    assert sizes_of(tail) == [20, 10, 5]
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(tail.labels, dataset.labels[places])
    np.testing.assert_array_equal(tail.indices, places + 100)
    assert (tail.name, tail.class_names) == (dataset.name, dataset.class_names)


def test_a_longer_tail_is_a_subset_of_a_shorter_one():
    dataset = labelled([30, 30, 30])
    chosen = [set(long_tailed(3, dataset, imbalance).indices) for imbalance in (1, 2, 5, 30)]
    assert [len(own) for own in chosen] == [90, 30 + 21 + 15, 30 + 13 + 6, 30 + 5 + 1]
    assert chosen[0] > chosen[1] > chosen[2] > chosen[3]


def test_the_key_decides_who_is_kept():
    dataset = labelled([30, 30])
    keys = [jax.random.key(0), 0, 1, 2]
    first, same, *others = (long_tailed(key, dataset, 3).indices.tolist() for key in keys)
    assert first == same
    assert first not in others


def test_every_example_of_a_class_is_kept_equally_often():
    dataset, draws = labelled([12, 12]), 400
    counts = np.zeros(24)
    for seed in range(draws):
        counts[long_tailed(seed, dataset, 4).indices - 100] += 1
    assert (counts[dataset.labels == 0] == draws).all()
    of_tail = counts[dataset.labels == 1]
    error = np.sqrt(draws * 0.25 * 0.75)  # 3 of 12
    assert (np.abs(of_tail - draws / 4) < 5 * error).all()


@pytest.mark.parametrize("imbalance", [1, 2, 3.7, 10])
@pytest.mark.parametrize("sizes", [[151, 161, 143], [90, 20, 30, 40], [10, 99, 99]])
def test_unequal_classes_keep_the_most_that_leaves_each_its_share(sizes, imbalance):
    kept = sizes_of(long_tailed(0, labelled(sizes), imbalance))

    def fits(largest):
        shares = published(largest, imbalance, len(sizes))
        return all(share <= size for share, size in zip(shares, sizes, strict=True))

    largest = max(n for n in range(1, 200) if fits(n))
    assert kept == published(largest, imbalance, len(sizes))


def test_the_size_of_the_first_class_can_be_stated():
    assert sizes_of(long_tailed(0, labelled([30, 20, 15]), 4, largest=16)) == [16, 8, 4]


@pytest.mark.parametrize(
    ("sizes", "imbalance", "options", "message"),
    [
        ([9, 9], 0.99, {}, r"imbalance is 0\.99, expected a number of at least 1"),
        ([9, 9], float("nan"), {}, "imbalance is nan"),
        ([9, 9], float("inf"), {}, "imbalance is inf"),
        ([9], 2, {}, "own has 1 class, expected at least 2"),
        ([9, 0, 9], 2, {}, r"class 'class 1' has no example in own \(train\)"),
        ([9, 9], 10, {}, "imbalance is 10, which leaves class 'class 1' no example, expected at m"),
        ([9, 9, 9], 30, {"largest": 8}, "class 'class 2' no example, expected at most 8"),
        ([9, 5], 1, {"largest": 8}, "class 'class 1' has 5 examples in own, expected at least 8"),
        ([9, 5], 2, {"largest": 10}, "class 'class 0' has 9 examples in own, expected at least 10"),
        ([9, 5], 2, {"largest": 0}, r"largest \(examples of the first class\) is 0, expected 1 to"),
    ],
)
def test_an_impossible_tail_is_refused_in_one_line(sizes, imbalance, options, message):
    with pytest.raises(InputError, match=message) as caught:
        long_tailed(0, labelled(sizes), imbalance, **options)
    assert "\n" not in str(caught.value)
