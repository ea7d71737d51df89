"""Weak and strong versions inside of training: their keys, their periods, Wu et al. as a whole."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import training_parts

from ntk_aug import augment, coreset, data, losses, models
from ntk_aug.errors import InputError
from ntk_aug.training import MethodConfig, TrainingConfig
from ntk_aug.training.epoch import STRONG_STORE, WEAK_STORE
from ntk_aug.training.initial import initial_state
from ntk_aug.training.plan import WEAK, plan_epoch
from ntk_aug.training.step import Keys
from ntk_aug.training.versions import ExampleVersions

CONFIG = TrainingConfig(weak="noise:0.5", seed=5)
METHOD = MethodConfig(selector="coreset", fraction=0.3, augment="noise:0.5", draws=2)
SUBSET = coreset.Subset(np.array([7, 2, 5]), np.ones(3))
KEYS = Keys.of_seed(5)


@pytest.fixture(scope="module")
def network():
    return models.build_network("mlp", 3, width=4, activation="tanh")


def versions_of(dataset, network, config=CONFIG, method=METHOD):
    return ExampleVersions(
        network, dataset, np.eye(3, dtype=np.float32)[dataset.labels], config, method,
        max_selected=3,
    )  # fmt: skip


def drawn(versions, epoch=0, *, config=CONFIG, method=METHOD, subset=SUBSET, variables=None):
    """The plan of an epoch, its rows, and the image of each row."""
    plan = plan_epoch(config, method, 12, epoch, subset)
    sources = versions.draw(plan, variables)
    rows = versions.rows(plan)
    original = np.asarray(data.unit_range(sources.original))
    stores = [original, np.asarray(sources.weak), np.asarray(sources.strong)]
    images = np.stack([stores[s][p] for s, p in zip(rows.source, rows.place, strict=True)])
    return plan, rows, images


def test_each_row_is_its_examples_augmentation_by_the_key_of_its_version(digits, network):
    plan, rows, images = drawn(versions_of(digits, network))
    pixels = data.unit_range(digits.images)
    noise = augment.build_augmentation("noise:0.5")
    for place, version, source, image in zip(
        plan.positions, plan.versions, rows.source, images, strict=True
    ):
        key, draw = (KEYS.weak, 0) if version == WEAK else (KEYS.strong, version)
        assert source == (WEAK_STORE if version == WEAK else STRONG_STORE)
        own = augment.example_key(key, 0, int(digits.indices[place]), int(draw))
        np.testing.assert_allclose(image, noise(own, pixels[place]), rtol=1e-5, atol=1e-6)
    # The same augmentation, and yet weak and strong version 0 of an example are different draws.
    selected = np.isin(plan.positions, SUBSET.indices)
    by_place = np.argsort(plan.positions)
    weak, first = (
        images[by_place[(selected & (plan.versions == version))[by_place]]] for version in (WEAK, 0)
    )
    assert (np.abs(weak - first).max(axis=(1, 2, 3)) > 1e-3).all()
    np.testing.assert_array_equal(rows.soft_labels, np.eye(3)[digits.labels[plan.positions]])
    np.testing.assert_array_equal(rows.weights, plan.weights)


def test_versions_are_drawn_anew_in_their_periods_and_kept_between(digits, network):
    config = dataclasses.replace(CONFIG, weak_every=2)
    method = dataclasses.replace(METHOD, strong_every=3)
    versions = versions_of(digits, network, config, method)
    images = [drawn(versions, e, config=config, method=method)[2] for e in range(4)]
    weak, strong = slice(0, 12), slice(12, 18)
    for epoch, (new_weak, new_strong) in enumerate([(False, False), (True, False), (False, True)]):
        one, other = images[epoch], images[epoch + 1]
        assert (one[weak] != other[weak]).any() == new_weak
        assert (one[strong] != other[strong]).any() == new_strong
    # Another selection within the period draws the same versions for who is selected again.
    moved = coreset.Subset(np.array([2, 9, 5]), np.ones(3))
    again = drawn(versions, 3, config=config, method=method, subset=moved)[2][strong]
    np.testing.assert_array_equal(again[[0, 2, 3, 5]], images[3][strong][[1, 2, 4, 5]])


def test_a_version_does_not_depend_on_who_else_is_there(digits, network):
    method = dataclasses.replace(METHOD, train_on="subset")
    whole = drawn(versions_of(digits, network))
    plan, _, images = drawn(versions_of(digits, network, method=method), method=method)
    for place, version, image in zip(plan.positions, plan.versions, images, strict=True):
        same = (whole[0].positions == place) & (whole[0].versions == version)
        np.testing.assert_array_equal(whole[2][same][0], image)


@pytest.fixture(scope="module")
def wu_setting(digits, network):
    pixels = np.asarray(np.round(data.unit_range(digits.images) * 255), np.uint8)
    whole = dataclasses.replace(digits, images=pixels)
    method = dataclasses.replace(
        METHOD, augment="training_parts:wu_candidate", draws=1, candidates=3, keep=2
    )
    state = initial_state(network, digits.image_shape, CONFIG)
    return whole, method, (state.params, state.state)


def test_wu_is_the_whole_method_mixup_and_the_choice_by_the_loss_included(wu_setting, network):
    whole, method, variables = wu_setting
    versions = versions_of(whole, network, method=method)
    plan, rows, images = drawn(versions, method=method, variables=variables)

    def loss(candidates, soft_labels):
        logits = network.apply(*variables, candidates, False, None)[0]
        return losses.per_example_loss("cross-entropy")(logits, soft_labels)

    places = SUBSET.indices
    expected, labels = jax.jit(
        partial(
            augment.augment_by_loss,
            training_parts.wu_candidate,
            per_example_loss=loss,
            num_classes=3,
            num_candidates=3,
            keep=2,
            epoch=0,
        )
    )(
        KEYS.strong,
        whole.images[places],
        whole.labels[places],
        whole.indices[places],
        train_images=jnp.asarray(whole.images),
        train_labels=jnp.asarray(whole.labels),
    )
    for number in range(2):
        own = plan.versions == number
        np.testing.assert_array_equal(plan.positions[own], places)
        np.testing.assert_array_equal(images[own], expected[:, number])
        np.testing.assert_allclose(rows.soft_labels[own], labels[:, number], rtol=1e-6)
    assert (np.sort(rows.soft_labels[plan.versions >= 0], axis=1)[:, -1] < 1).any()  # mixed
    # Floats in [0, 1] give the same as the whole values that they are.
    floats = dataclasses.replace(whole, images=np.asarray(data.unit_range(whole.images)))
    again = drawn(versions_of(floats, network, method=method), method=method, variables=variables)
    np.testing.assert_array_equal(again[2], images)
    np.testing.assert_array_equal(again[1].soft_labels, rows.soft_labels)
    # What was chosen by a network that is gone is kept, exactly, if it is needed after a stop.
    assert not versions.kept()
    slow = dataclasses.replace(method, strong_every=5)
    before = versions_of(whole, network, method=slow)
    drawn(before, method=slow, variables=variables)
    after = versions_of(whole, network, method=slow)
    after.restore(before.kept())
    other = jax.tree.map(lambda leaf: leaf + 1, variables)
    restored = drawn(after, 1, config=dataclasses.replace(CONFIG, weak_every=5), method=slow,
                     variables=other)  # fmt: skip
    np.testing.assert_array_equal(restored[2], images)
    np.testing.assert_array_equal(restored[1].soft_labels, rows.soft_labels)


def test_uint8_and_floats_are_augmented_alike(digits, network):
    pixels = np.asarray(np.round(data.unit_range(digits.images) * 255), np.uint8)
    whole = dataclasses.replace(digits, images=pixels)
    floats = dataclasses.replace(digits, images=np.asarray(data.unit_range(pixels)))
    method = dataclasses.replace(METHOD, augment="rotation", draws=1)
    ends = [
        drawn(versions_of(d, network, method=method), method=method)[2] for d in (whole, floats)
    ]
    np.testing.assert_array_equal(*ends)


def test_augmentation_of_what_is_no_image_is_refused(network):
    table = data.Dataset.from_arrays(np.zeros((12, 5)), np.arange(12) % 3)
    for config, method in (
        (TrainingConfig(weak="rotation"), MethodConfig()),
        (TrainingConfig(), dataclasses.replace(METHOD, augment="wu-digits")),
    ):
        with pytest.raises(InputError, match=r"is for images .* only 'identity' fits"):
            versions_of(table, network, config, method)
