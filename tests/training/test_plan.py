"""The plan of an epoch, by hand: rows, versions, weights, and how they are divided into steps."""

import dataclasses

import jax
import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.errors import InputError
from ntk_aug.training import MethodConfig, TrainingConfig
from ntk_aug.training.plan import (
    PLAIN,
    WEAK,
    batch_sizes,
    plan_epoch,
    shuffle,
    steps_per_epoch,
    versions_per_example,
)

CONFIG = TrainingConfig(weak="flip-crop")
SUBSET = coreset.Subset(np.array([4, 1]), np.array([4.0, 2.0]))  # of 6 examples
STRONG = MethodConfig(selector="coreset", fraction=0.3, augment="rotation")


def rows_of(method, *, config=CONFIG, epoch=0, subset=SUBSET):
    """(place, version, weight) of each row, sorted."""
    plan = plan_epoch(config, method, 6, epoch, subset)
    return sorted(zip(*(field.tolist() for field in plan[:3]), strict=True))


def changed(**options):
    return dataclasses.replace(STRONG, **options)


def full(version=WEAK, *, without=()):
    return [(place, version, 1.0) for place in range(6) if place not in without]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # Published: 1 on everything; appended draws, r = 2.
        (changed(draws=2), [*full(), (1, 0, 1.0), (1, 1, 1.0), (4, 0, 1.0), (4, 1, 1.0)]),
        # Algorithm 1: gamma / r on the draws, 1 on the data.
        (
            changed(draws=2, weights="algorithm1"),
            [*full(), (1, 0, 1.0), (1, 1, 1.0), (4, 0, 2.0), (4, 1, 2.0)],
        ),
        # On the subset alone: gamma scaled to mean 1 on the trained part, 1 on what is appended.
        (
            changed(train_on="subset"),
            [(1, WEAK, 2 / 3), (1, 0, 1.0), (4, WEAK, 4 / 3), (4, 0, 1.0)],
        ),
        (
            changed(train_on="subset", weights="algorithm1"),
            [(1, WEAK, 2.0), (1, 0, 2.0), (4, WEAK, 4.0), (4, 0, 4.0)],
        ),
        # In place: the strong version instead of the selected example.
        (changed(placement="in-place"), [*full(without=(1, 4)), (1, 0, 1.0), (4, 0, 1.0)]),
        (
            changed(placement="in-place", train_on="subset", draws=2),
            [(1, 0, 2 / 3), (1, 1, 2 / 3), (4, 0, 4 / 3), (4, 1, 4 / 3)],
        ),
        (
            changed(placement="in-place-twice", train_on="subset", weights="algorithm1"),
            [(1, 0, 2.0), (4, 0, 4.0)],
        ),
        # Without strong augmentation: the subset, or all.
        (changed(augment="none", train_on="subset"), [(1, WEAK, 2 / 3), (4, WEAK, 4 / 3)]),
        (changed(augment="none"), full()),
        # Of Wu et al. S are kept of each draw.
        (
            changed(augment="wu-digits", keep=2, weights="algorithm1"),
            [*full(), (1, 0, 1.0), (1, 1, 1.0), (4, 0, 2.0), (4, 1, 2.0)],
        ),
    ],
)
def test_rows_are_as_the_method_says(method, expected):
    found = rows_of(method)
    assert [row[:2] for row in found] == [row[:2] for row in sorted(expected)]
    np.testing.assert_allclose([r[2] for r in found], [r[2] for r in sorted(expected)], rtol=1e-6)


def test_without_a_weak_augmentation_rows_are_plain_and_without_a_selection_they_are_all():
    plain = rows_of(MethodConfig(), config=TrainingConfig(), subset=None)
    assert plain == full(PLAIN)
    assert rows_of(changed(selector="none", augment="none"), subset=None) == full()


def test_versions_are_redrawn_in_their_own_periods():
    config = dataclasses.replace(CONFIG, weak_every=3)
    plans = [
        plan_epoch(config, changed(strong_every=2), 6, epoch, SUBSET, subset_epoch=1)
        for epoch in range(5)
    ]
    assert [plan.weak_epoch for plan in plans] == [0, 0, 0, 3, 3]
    assert [plan.strong_epoch for plan in plans] == [0, 0, 2, 2, 4]
    assert [plan.selection_epoch for plan in plans] == [1] * 5


def test_an_epoch_on_nothing_is_refused():
    empty = coreset.Subset(np.empty(0, np.int64), np.empty(0))
    with pytest.raises(InputError, match="'coreset' selected no example after 3 epochs"):
        plan_epoch(CONFIG, changed(train_on="subset"), 6, 3, empty)
    assert rows_of(STRONG, subset=empty) == full()  # appended to all, nothing is missing


@pytest.mark.parametrize(
    ("rows", "batch", "full_steps", "rest"),
    [
        *[(12, 5, 2, 2), (10, 5, 2, 0), (11, 5, 1, 6), (3, 5, 0, 3), (1, 5, 0, 1), (6, 5, 0, 6)],
        *[(5, 1, 5, 0), (5, 2, 1, 3)],
    ],
)
def test_an_epoch_is_divided_into_full_batches_and_what_is_left(rows, batch, full_steps, rest):
    assert batch_sizes(rows, batch) == (full_steps, rest)
    assert full_steps * batch + rest == rows
    assert steps_per_epoch(rows, batch) == full_steps + (rest > 0)


def test_the_order_is_another_in_each_epoch_and_the_same_again():
    key = jax.random.key(0)
    orders = [shuffle(key, epoch, 50) for epoch in (0, 1, 0)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert (orders[0] != orders[1]).any()
    np.testing.assert_array_equal(orders[0], orders[2])


@pytest.mark.parametrize("n", [1, 2, 50, 3000])  # of no, one, one and two rounds of sorting
def test_the_order_is_that_of_jax(n):
    key = jax.random.key(3)
    expected = jax.random.permutation(jax.random.fold_in(key, 7), n)
    np.testing.assert_array_equal(shuffle(key, 7, n), expected)


def test_the_number_of_strong_versions():
    assert versions_per_example(MethodConfig()) == 0
    assert versions_per_example(changed(draws=3)) == 3
    assert versions_per_example(changed(draws=3, keep=4)) == 3  # keep is of Wu et al.
    assert versions_per_example(changed(draws=3, keep=4, augment="wu-digits", candidates=8)) == 12
