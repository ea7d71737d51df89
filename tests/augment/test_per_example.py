import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.errors import InputError

KEY = jax.random.key(7)
IMAGES = np.random.default_rng(0).uniform(size=(6, 4, 4, 1)).astype(np.float32)
INDICES = np.array([3, 0, 40_000, 7, 8, 1])


def noise(key, image):
    """An augmentation that tells any two keys apart, and shows the image it was given."""
    return image + jax.random.uniform(key, image.shape)


def augmented(members, **options):
    return np.asarray(
        augment.augment_batch(noise, KEY, IMAGES[members], INDICES[members], **options)
    )


@pytest.fixture(scope="module")
def whole():
    return augmented(np.arange(6))


@pytest.mark.parametrize("members", [[4], [5, 4, 3, 2, 1, 0]])
def test_an_image_is_augmented_alike_in_any_batch_and_order(whole, members):
    np.testing.assert_array_equal(augmented(np.array(members)), whole[members])


def test_an_image_is_augmented_alike_inside_of_jit(whole):
    compiled = jax.jit(
        lambda images, indices, epoch, draw: augment.augment_batch(
            noise, KEY, images, indices, epoch=epoch, draw=draw
        )
    )
    np.testing.assert_array_equal(compiled(IMAGES, INDICES, 0, 0), whole)
    later = augmented(np.arange(6), epoch=2, draw=3)
    np.testing.assert_array_equal(compiled(IMAGES, INDICES, 2, 3), later)
    assert compiled._cache_size() == 1  # epoch and draw are no reason to compile again


def test_an_image_is_augmented_alike_alone(whole):
    for image, index, expected in zip(IMAGES, INDICES, whole, strict=True):
        key = augment.example_key(KEY, 0, int(index))
        np.testing.assert_array_equal(noise(key, image), expected)


def test_images_with_one_index_get_one_augmentation(whole):
    batch = augment.augment_batch(noise, KEY, IMAGES, jnp.full(6, 3))
    np.testing.assert_allclose(
        np.asarray(batch) - IMAGES, np.broadcast_to(whole[0] - IMAGES[0], IMAGES.shape), atol=1e-6
    )


@pytest.mark.parametrize("change", [{"epoch": 1}, {"draw": 1}])
def test_another_epoch_or_draw_is_another_augmentation(whole, change):
    other = augmented(np.arange(6), **change)
    assert not np.isclose(other, whole).all(axis=(1, 2, 3)).any()


def test_another_run_is_another_augmentation(whole):
    other = np.asarray(augment.augment_batch(noise, jax.random.key(8), IMAGES, INDICES))
    assert not np.isclose(other, whole).all(axis=(1, 2, 3)).any()


def test_no_two_of_epoch_index_and_draw_share_a_key():
    numbers = jnp.array(list(itertools.product(range(4), range(5), range(3))))
    folded = jax.vmap(lambda epoch, index, draw: augment.example_key(KEY, epoch, index, draw))
    # Nor do they meet the key itself, or what is split off it for another use.
    keys = jnp.concatenate([folded(*numbers.T), KEY[None], jax.random.split(KEY, 4)])
    assert len(np.unique(jax.random.key_data(keys), axis=0)) == 4 * 5 * 3 + 1 + 4


def test_the_first_draw_of_an_example_needs_no_number():
    one, other = augment.example_key(KEY, 2, 5), augment.example_key(KEY, 2, 5, 0)
    np.testing.assert_array_equal(jax.random.key_data(one), jax.random.key_data(other))


def test_a_batch_outside_of_the_unit_range_is_refused_for_a_policy():
    policy = augment.build_augmentation("autoaugment-svhn")
    with pytest.raises(InputError, match="the image ranges from 255 to 255, expected 0 to 1"):
        augment.augment_batch(policy, KEY, np.full((2, 4, 4, 1), 255, np.float32), np.arange(2))


def test_an_integer_is_a_seed(whole):
    np.testing.assert_array_equal(augment.augment_batch(noise, 7, IMAGES, INDICES), whole)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (lambda image: image, r"takes \(image\), expected \(key, image\)"),
        (lambda key, image: np.sort(image), "TracerArrayConversionError.*jax.numpy"),
        (lambda key, image: image if image[0, 0, 0] else 0, "TracerBoolConversionError.*jnp.where"),
    ],
)
def test_an_augmentation_that_cannot_run_on_the_device_is_told(augmentation, message):
    with pytest.raises(InputError, match=message) as caught:
        augment.augment_batch(augmentation, KEY, IMAGES, INDICES)
    assert "\n" not in str(caught.value)
