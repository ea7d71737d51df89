import inspect
from functools import partial

import jax
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment.batches.mixing import draw_cutmix, draw_mixup, mixup
from ntk_aug.errors import InputError

KEY = jax.random.key(5)
KEYS = jax.random.split(KEY, 2000)
RNG = np.random.default_rng(0)
TRAIN_IMAGES = RNG.uniform(size=(12, 6, 8, 3)).astype(np.float32)
TRAIN_LABELS = np.arange(12) % 4
INDICES = np.array([3, 0, 7, 11])
IMAGES, LABELS = TRAIN_IMAGES[INDICES], TRAIN_LABELS[INDICES]


def drawn(draw, **options):
    draws = jax.jit(jax.vmap(lambda key: draw(key, 12, 6, 8, **options)))(KEYS)
    return jax.device_get(draws)


def mixed(mixing, members=slice(None), **options):
    images, soft = augment.mix_batch(
        mixing,
        KEY,
        IMAGES[members],
        LABELS[members],
        INDICES[members],
        train_images=TRAIN_IMAGES,
        train_labels=TRAIN_LABELS,
        num_classes=4,
        **options,
    )
    return np.asarray(images), np.asarray(soft)


def draws_of_the_batch(draw):
    keys = [augment.example_key(KEY, 0, int(index)) for index in INDICES]
    return [jax.device_get(draw(key, 12, 6, 8)) for key in keys]


def test_mixup_is_the_weighted_mean_of_images_and_labels():
    images, soft = mixed(augment.random_mixup)
    for i, draw in enumerate(draws_of_the_batch(draw_mixup)):
        share = draw.share
        expected = share * IMAGES[i] + (1 - share) * TRAIN_IMAGES[draw.partner]
        np.testing.assert_allclose(images[i], expected, atol=1e-6)
        label = share * np.eye(4)[LABELS[i]] + (1 - share) * np.eye(4)[TRAIN_LABELS[draw.partner]]
        np.testing.assert_allclose(soft[i], label, atol=1e-6)


def test_cutmix_pastes_a_window_and_labels_by_its_area():
    images, soft = mixed(augment.random_cutmix)
    areas = []
    for i, draw in enumerate(draws_of_the_batch(draw_cutmix)):
        top, bottom, left, right = draw.window
        expected = IMAGES[i].copy()
        expected[top:bottom, left:right] = TRAIN_IMAGES[draw.partner][top:bottom, left:right]
        np.testing.assert_array_equal(images[i], expected)
        areas.append((bottom - top) * (right - left) / 48)
        other = np.eye(4)[TRAIN_LABELS[draw.partner]]
        label = (1 - areas[-1]) * np.eye(4)[LABELS[i]] + areas[-1] * other
        np.testing.assert_allclose(soft[i], label, atol=1e-6)
    assert max(areas) > 0


@pytest.mark.parametrize("mixing", [augment.random_mixup, augment.random_cutmix])
def test_a_partner_does_not_depend_on_the_batch(mixing):
    images, soft = mixed(mixing)
    some, some_soft = mixed(mixing, [2, 1])
    np.testing.assert_array_equal(some, images[[2, 1]])
    np.testing.assert_array_equal(some_soft, soft[[2, 1]])
    other, _ = mixed(mixing, draw=1)
    assert (other != images).any(axis=(1, 2, 3)).sum() >= 3  # a window may be empty twice


@pytest.mark.parametrize("draw", [draw_mixup, draw_cutmix])
def test_partners_are_uniform_over_the_whole_training_set(draw):
    counts = np.bincount(drawn(draw).partner, minlength=12)
    assert len(counts) == 12
    # 2000 / 12 with a standard deviation of 12.4: 4.5 of them.
    assert (np.abs(counts - 2000 / 12) < 56).all()


def test_the_share_of_mixup_is_beta_distributed():
    uniform = drawn(draw_mixup).share  # Beta(1, 1)
    assert abs(uniform.mean() - 1 / 2) < 4.5 * np.sqrt(1 / 12 / 2000)
    assert abs((uniform < 0.25).mean() - 1 / 4) < 4.5 * np.sqrt(3 / 16 / 2000)
    spread = drawn(draw_mixup, alpha=0.2).share.var()
    assert abs(spread - 1 / 4 / 1.4) < 0.02  # 1 / (4 (2 alpha + 1))


def test_the_window_of_cutmix_is_the_published_one():
    draws = drawn(draw_cutmix)
    heights, widths = (draws.window[:, k + 1] - draws.window[:, k] for k in (0, 2))
    # Clipped, of even sides int(6 sqrt(u)) and int(8 sqrt(u)) rounded down to even, u uniform.
    assert heights.max() <= 6
    assert widths.max() <= 8
    inner = (draws.window[:, 0] > 0) & (draws.window[:, 1] < 6)
    assert (heights[inner] % 2 == 0).all()
    np.testing.assert_allclose(draws.share, 1 - heights * widths / 48, atol=1e-6)
    # Empty where int(8 sqrt(u)) < 2 or int(6 sqrt(u)) < 2, that is u < 1/9, but for clipping.
    empty = (heights * widths == 0).mean()
    assert abs(empty - 1 / 9) < 4.5 * np.sqrt(1 / 9 * 8 / 9 / 2000)


def test_the_probability_of_cutmix_is_that_of_mixing():
    whole = drawn(draw_cutmix).share < 1
    half = drawn(draw_cutmix, probability=0.5).share < 1
    assert abs(half.sum() / whole.sum() - 1 / 2) < 0.06
    assert (drawn(draw_cutmix, probability=0.0).share == 1).all()


@pytest.mark.parametrize(
    ("mixing", "message"),
    [
        (partial(augment.random_mixup, alpha=0), "alpha of the Beta distribution is 0, expected"),
        (partial(augment.random_cutmix, alpha=-1), "alpha of the Beta distribution is -1"),
        (partial(augment.random_cutmix, probability=2), "probability of mixing is 2, expected 0"),
    ],
)
def test_a_bad_option_is_refused(mixing, message):
    with pytest.raises(InputError, match=message):
        mixed(mixing)


def test_a_partner_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"the partner of Mixup has shape \(6, 8, 1\)"):
        mixup(IMAGES[0], IMAGES[0, ..., :1], 0.5)


@pytest.mark.parametrize("mixing", [augment.random_mixup, augment.random_cutmix])
def test_partners_of_whole_values_are_those_of_floats(mixing):
    pixels = (TRAIN_IMAGES * 255).astype(np.uint8)
    options = {"num_classes": 4}
    whole, _ = mixing(KEY, IMAGES[0], 0, pixels, TRAIN_LABELS, **options)
    floats, _ = mixing(KEY, IMAGES[0], 0, pixels / np.float32(255), TRAIN_LABELS, **options)
    np.testing.assert_allclose(whole, floats, atol=1e-6)


def test_a_label_that_no_class_has_is_refused():
    with pytest.raises(InputError, match=r"label 4 of image 2 is outside 0 .. 3"):
        augment.mix_batch(
            augment.random_mixup,
            KEY,
            IMAGES,
            np.array([0, 1, 4, 2]),
            INDICES,
            train_images=TRAIN_IMAGES,
            train_labels=TRAIN_LABELS,
            num_classes=4,
        )


@pytest.mark.parametrize("mixing", [augment.random_mixup, augment.random_cutmix])
def test_an_image_of_whole_values_is_refused(mixing):
    pixels = (TRAIN_IMAGES * 255).astype(np.uint8)
    # Without the checks of types that are on in tests: a user has none.
    with pytest.raises(InputError, match="the image has type uint8, expected floats from 0 to 1"):
        inspect.unwrap(mixing)(KEY, pixels[0], 0, pixels, TRAIN_LABELS, num_classes=4)


def test_an_index_is_needed_for_each_image():
    with pytest.raises(InputError, match=r"the array of indices has shape \(3,\), expected \(4,\)"):
        inspect.unwrap(augment.mix_batch)(
            augment.random_mixup,
            KEY,
            IMAGES,
            LABELS,
            INDICES[:3],
            train_images=TRAIN_IMAGES,
            train_labels=TRAIN_LABELS,
            num_classes=4,
        )
