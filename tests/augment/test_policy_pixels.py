import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from pillow_operations import extreme_images, pillow_operation

from ntk_aug import augment, data
from ntk_aug.augment import POLICIES, AugMixAugmentation, PolicyAugmentation, WuAugmentation
from ntk_aug.augment.policies.magnitudes import magnitude_of
from ntk_aug.augment.policies.policy import wu_policy

pytestmark = pytest.mark.usefixtures("optimized_compiler")

KEYS = jax.random.split(jax.random.key(3), 60)
MEAN_COLOUR = (125, 123, 114)


def some_images(height, width, channels):
    """Hard images, and real ones where the size is that of the digits; uint8 [60, ...]."""
    hard = extreme_images(height, width, channels)
    if (height, width, channels) == (8, 8, 1):
        digits = data.load_dataset("digits", "train").images[:6]
        hard = np.concatenate([hard, np.round(255 * digits).astype(np.uint8)])
    return np.concatenate([hard] * 10)[:60]


def by_pillow(policy, draw, image):
    """The steps of a draw by Pillow, one after the other; Mixup does nothing."""
    height, width, _ = image.shape
    for step in np.flatnonzero(draw.applied):
        name = policy.operations[draw.plan.operation[step]]
        magnitude = magnitude_of(
            name,
            int(draw.plan.level[step]),
            sign=-1 if draw.negative[step] else 1,
            height=height,
            width=width,
            mapping=policy.magnitudes,
        )
        if name == "Posterize" and magnitude == 0:
            image = np.zeros_like(image)  # as older Pillow; it refuses 0 bits now
        elif name == "Cutout-shifted":
            image = cutout_shifted(image, magnitude, draw.parameters[step][3:5] / 65536)
        elif name != "Mixup":
            fill = policy.fill or None
            image = pillow_operation(policy.full_name(name), magnitude, image, fill=fill)
    return image


def cutout_shifted(image, length, centre):
    """A hole of length + 1, shifted at the first edges and clipped at the last ones."""
    y, x = (int(max(0, c - length / 2)) for c in centre)
    image = image.copy()
    image[y : y + length + 1, x : x + length + 1] = MEAN_COLOUR[: image.shape[2]]
    return image


def device_draws(augmentation, height, width):
    draws = jax.jit(jax.vmap(lambda key: augmentation.draw(key, height, width)))(KEYS)
    draws = jax.device_get(draws)
    return [jax.tree.map(lambda x, i=i: x[i], draws) for i in range(len(KEYS))]


def device_pixels(augmentation, images):
    unit = images.astype(np.float32) / 255
    return np.asarray(jax.jit(jax.vmap(augmentation))(KEYS, unit))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("autoaugment-cifar10", (12, 10, 3)),
        ("autoaugment-svhn-research", (8, 8, 1)),
        ("autoaugment-imagenet-timm-v0", (7, 9, 3)),
        ("trivialaugment", (16, 16, 3)),
    ],
)
def test_a_policy_is_pillow_s_pixel_by_pixel(name, shape):
    assert_as_by_pillow(POLICIES[name], some_images(*shape))


def test_fill_and_interpolation_are_those_of_the_policy():
    # Red alone is what an integer as Pillow's fill value gives on a colour image.
    policy = dataclasses.replace(
        POLICIES["autoaugment-svhn-deepvoltaire"], interpolation="bicubic", fill=(128, 0, 0)
    )
    assert_as_by_pillow(policy, some_images(10, 12, 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dataset"),
    [("autoaugment-svhn", "mnist"), ("autoaugment-cifar10", "cifar10"), ("randaugment", "cifar10")],
)
def test_a_policy_is_pillow_s_on_real_images(name, dataset):
    assert_as_by_pillow(POLICIES[name], data.load_dataset(dataset, "train").images[: len(KEYS)])


def assert_as_by_pillow(policy, images):
    augmentation = PolicyAugmentation(policy)
    draws = device_draws(augmentation, *images.shape[1:3])
    expected = [by_pillow(policy, *both) for both in zip(draws, images, strict=True)]
    pixels = np.round(255 * device_pixels(augmentation, images))
    np.testing.assert_array_equal(pixels, expected)
    changed = (pixels != images).any(axis=(1, 2, 3)).mean()
    assert changed > 0.4  # the comparison is not of identities


def test_augmix_is_pillow_s_chains_mixed():
    augmentation = AugMixAugmentation(POLICIES["augmix"])
    images = some_images(12, 16, 3)
    mixed = device_pixels(augmentation, images)
    depths = []
    for image, draw, result in zip(images, device_draws(augmentation, 12, 16), mixed, strict=True):
        expected = (1 - draw.share) * image / 255
        for number, weight in enumerate(draw.weights):
            part = slice(3 * number, 3 * number + 3)
            steps = jax.tree.map(lambda x, part=part: x[part], draw.steps)
            expected += draw.share * weight * by_pillow(augmentation.policy, steps, image) / 255
            depths.append(steps.applied.sum())
        assert np.isclose(draw.weights.sum(), 1)
        np.testing.assert_allclose(result, expected, atol=1e-6)
    # Of 180 chains each depth has a third, with a standard deviation of 6.3.
    assert set(depths) == {1, 2, 3}
    assert (np.abs(np.bincount(depths)[1:] - 60) < 30).all()


def test_a_candidate_is_pillow_s_operations_and_the_fixed_chain():
    augmentation = WuAugmentation(wu_policy(MEAN_COLOUR))
    images = some_images(16, 16, 3)
    results = np.round(255 * device_pixels(augmentation, images))
    mirrored = 0
    for image, draw, result in zip(
        images, device_draws(augmentation, 16, 16), results, strict=True
    ):
        expected = by_pillow(augmentation.policy, draw.steps, image)
        np.testing.assert_array_equal(result, by_numpy_chain(augmentation, draw.chain, expected))
        mirrored += int(draw.chain.mirrored)
    assert 15 < mirrored < 45


def by_numpy_chain(augmentation, draw, image):
    """Padding by reflection and a crop, the mirror, Cutout: up to Mixup."""
    height, width, _ = image.shape
    padding = height // 8
    row, column = draw.offset
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    image = padded[row : row + height, column : column + width]
    image = image[:, ::-1] if draw.mirrored else image
    level = int(draw.cutout.plan.level[0])
    length = int(16 * level / 1000 * min(height, width) / 32)
    return cutout_shifted(image, length, draw.cutout.parameters[0][3:5] / 65536)


def test_an_image_gets_the_same_policy_wherever_it_stands():
    augmentation = PolicyAugmentation(POLICIES["autoaugment-svhn"])
    images = some_images(8, 8, 1).astype(np.float32) / 255
    augmented = jax.jit(partial(augment.augment_batch, augmentation, KEYS[0]))
    whole = np.asarray(augmented(images, np.arange(60)))
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_array_equal(augmented(images[order], order), whole[order])
    one_image = np.asarray(augmented(images[:1].repeat(60, 0), np.arange(60)))
    assert len({image.tobytes() for image in one_image}) > 20


def test_digits_are_not_mirrored():
    augmentation = WuAugmentation(wu_policy(0), mirror=False)
    assert not any(draw.chain.mirrored for draw in device_draws(augmentation, 8, 8))
