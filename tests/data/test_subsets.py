import jax
import numpy as np
import pytest

from ntk_aug.data import Dataset, draw_examples, select_classes
from ntk_aug.errors import InputError

LABELS = np.array([0, 1, 2, 1, 0, 2, 2, 1, 0, 2])


@pytest.fixture(scope="module")
def animals():
    """Ten images, each filled with its own number, of three classes; a fourth has none."""
    images = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None], (10, 2, 2, 1))
    return Dataset(
        name="animals",
        split="train",
        images=images,
        labels=LABELS,
        class_names=("cat", "dog", "cow", "owl"),
        indices=np.arange(10) + 100,
    )


def numbers(dataset):
    return dataset.images[:, 0, 0, 0].tolist()


# Chosen classes


@pytest.mark.parametrize("classes", [["cow", "cat"], [2, 0], ["2", "cat"], ("cow", 0)])
def test_classes_are_relabelled_in_the_order_given(animals, classes):
    chosen = select_classes(animals, classes)
    assert chosen.class_names == ("cow", "cat")
    assert numbers(chosen) == [0, 2, 4, 5, 6, 8, 9]
    assert chosen.labels.tolist() == [1, 0, 1, 0, 0, 1, 0]
    assert chosen.indices.tolist() == [100, 102, 104, 105, 106, 108, 109]


def test_all_classes_in_their_order_change_nothing_but_the_empty_one(animals):
    chosen = select_classes(animals, ["cat", "dog", "cow"])
    np.testing.assert_array_equal(chosen.labels, animals.labels)
    assert numbers(chosen) == numbers(animals)


def test_a_name_goes_before_a_number(animals):
    # Class "1" is number 0 here: a name that looks like a number is still a name.
    renamed = Dataset("n", "train", animals.images, LABELS, ("1", "0", "2"))
    assert numbers(select_classes(renamed, ["1"])) == [0, 4, 8]
    assert numbers(select_classes(renamed, [1])) == [0, 4, 8]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat", "frog"], "animals has no class 'frog'; it has cat, dog, cow, owl"),
        ([4], "has no class 4"),
        ([-1], "has no class -1"),
        (["cat", 0], r"are \('cat', 0\), expected at least one, and none twice"),
        ([], r"are \(\), expected at least one"),
        ("cat", "are the text 'cat', expected a list of names"),
        (["cat", "owl"], r"class 3 has no image in animals \(train\)"),
    ],
)
def test_impossible_classes_are_refused(animals, classes, message):
    with pytest.raises(InputError, match=message):
        select_classes(animals, classes)


# Drawn examples


def test_a_draw_is_decided_by_its_key(animals):
    draws = [numbers(draw_examples(jax.random.key(seed), animals, 5)) for seed in (0, 0, 1, 2, 3)]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) > 1


def test_a_draw_is_without_replacement_and_in_the_order_of_the_data(animals):
    drawn = draw_examples(jax.random.key(0), animals, 7)
    assert numbers(drawn) == sorted(set(numbers(drawn)))
    assert len(drawn) == 7
    np.testing.assert_array_equal(drawn.labels, LABELS[numbers(drawn)])
    np.testing.assert_array_equal(drawn.indices, np.array(numbers(drawn)) + 100)


def test_drawing_all_is_the_data_set(animals):
    drawn = draw_examples(jax.random.key(0), animals, 10)
    assert drawn.fingerprint() == animals.fingerprint()


def test_a_draw_per_class_has_as_many_of_each(animals):
    chosen = select_classes(animals, ["cow", "dog", "cat"])
    drawn = draw_examples(jax.random.key(0), chosen, 2, per_class=True)
    assert np.bincount(drawn.labels).tolist() == [2, 2, 2]
    assert numbers(drawn) == sorted(set(numbers(drawn)))
    assert drawn.class_names == ("cow", "dog", "cat")


def within_five_standard_errors(counts, draws, probability):
    error = np.sqrt(draws * probability * (1 - probability))
    return (np.abs(counts - draws * probability) < 5 * error).all()


def test_every_example_is_drawn_equally_often(animals):
    draws = 400
    counts, pairs = np.zeros(10), np.zeros((10, 10))
    for key in jax.random.split(jax.random.key(0), draws):
        drawn = numbers(draw_examples(key, animals, 3))
        counts[drawn] += 1
        pairs[np.ix_(drawn, drawn)] += 1
    assert within_five_standard_errors(counts, draws, 3 / 10)
    # Independent of each other, too: pairs without replacement have probability 3/10 * 2/9.
    assert within_five_standard_errors(pairs[np.triu_indices(10, 1)], draws, 3 / 10 * 2 / 9)


def test_every_example_of_a_class_is_drawn_equally_often(animals):
    three = select_classes(animals, ["cat", "dog", "cow"])
    draws = 300
    counts = np.zeros(10)
    for key in jax.random.split(jax.random.key(1), draws):
        counts[numbers(draw_examples(key, three, 1, per_class=True))] += 1
    sizes = np.bincount(LABELS)[LABELS]
    assert sizes.tolist() == [3, 3, 4, 3, 3, 4, 4, 3, 3, 4]
    assert within_five_standard_errors(counts, draws, 1 / sizes)


@pytest.mark.parametrize("n", [0, 11])
def test_a_number_that_there_is_not_is_refused(animals, n):
    with pytest.raises(InputError, match=f"drawn from animals.* is {n}, expected 1 to 10"):
        draw_examples(jax.random.key(0), animals, n)


def test_the_class_that_is_too_small_is_named(animals):
    with pytest.raises(InputError, match=r"class 'cat'\) is 4, expected 1 to 3"):
        draw_examples(jax.random.key(0), animals, 4, per_class=True)


def test_each_class_is_drawn_from_by_itself():
    # Two classes of 40 in turns: independent draws of 8 places of each share 8 * 8 / 40 on average.
    labels = np.arange(80) % 2
    pairs = Dataset.from_arrays(np.arange(80.0)[:, None], labels)
    shared = []
    for seed in range(20):
        drawn = draw_examples(jax.random.key(seed), pairs, 8, per_class=True)
        first, second = (set(drawn.indices[drawn.labels == own] // 2) for own in (0, 1))
        shared.append(len(first & second))
    # Hypergeometric: mean 1.6, variance 8 * 0.2 * 0.8 * 32 / 39.
    error = np.sqrt(8 * 0.2 * 0.8 * 32 / 39 / 20)
    assert abs(np.mean(shared) - 1.6) < 4 * error


def test_draws_of_other_keys_are_others(animals):
    three = select_classes(animals, ["cat", "dog", "cow"])
    keys = jax.random.split(jax.random.key(3), 20)
    for per_class in (False, True):
        drawn = [numbers(draw_examples(key, three, 2, per_class=per_class)) for key in keys]
        assert len({tuple(own) for own in drawn}) > 10
