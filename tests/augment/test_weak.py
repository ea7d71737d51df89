import jax
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.errors import InputError

KEYS = jax.random.split(jax.random.key(2), 300)
RNG = np.random.default_rng(0)


def results(name, image):
    augmentation = augment.build_augmentation(name)
    return np.asarray(jax.jit(jax.vmap(augmentation, (0, None)))(KEYS, image))


@pytest.mark.parametrize(
    ("name", "mirrors"),
    [
        ("digits", 1),
        ("mnist", 1),
        ("svhn", 1),
        ("svhn_cropped", 1),
        ("fashion_mnist", 2),
        ("cifar10", 2),
    ],
)
def test_shifts_are_by_an_eighth_of_the_side_and_digits_are_not_mirrored(name, mirrors):
    image = RNG.uniform(size=(8, 8, 1)).astype(np.float32)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    windows = {
        source[row : row + 8, column : column + 8].tobytes()
        for source in (padded, padded[:, ::-1])[:mirrors]
        for row in range(3)
        for column in range(3)
    }
    # 18 windows in 300 draws: that one is missing has probability 18 (17/18)^300 = 6e-7.
    assert {result.tobytes() for result in results(f"weak-{name}", image)} == windows


def test_tinyimagenet_takes_a_window_of_7_of_8_and_mirrors():
    image = RNG.uniform(size=(16, 16, 1)).astype(np.float32)
    windows = {
        source[row : row + 14, column : column + 14].tobytes()
        for source in (image, image[:, ::-1])
        for row in range(3)
        for column in range(3)
    }
    assert {result.tobytes() for result in results("weak-tinyimagenet", image)} == windows


def test_caltech_zooms_into_the_image_and_mirrors():
    ramp = np.tile(np.linspace(0, 1, 16, dtype=np.float32)[:, None, None], (1, 16, 1))
    ramp = ramp.transpose(1, 0, 2)  # from left to right
    zoomed = results("weak-caltech256", ramp)
    assert zoomed.shape == (300, 16, 16, 1)
    steps = zoomed[:, 0, -1, 0] - zoomed[:, 0, 0, 0]
    assert 0.3 < (steps < 0).mean() < 0.7
    # A box of area a and ratio r spans sqrt(a r) of the width: from 0.24 to all of it.
    assert np.abs(steps).max() > 0.9
    assert 0.1 < np.abs(steps).min() < 0.5
    np.testing.assert_allclose(zoomed, np.broadcast_to(zoomed[:, :1], zoomed.shape), atol=1 / 254)


def test_imagenet_is_resized_and_cropped():
    image = np.full((24, 32, 3), 0.5, np.float32)
    shape = jax.eval_shape(augment.build_augmentation("weak-imagenet"), KEYS[0], image).shape
    assert shape == (224, 224, 3)


def test_a_batch_of_another_shape_is_refused():
    images = np.zeros((2, 16, 16, 1), np.float32)
    augmentation = augment.build_augmentation("weak-tinyimagenet")
    with pytest.raises(InputError, match=r"expected \(2, 16, 16, 1\)"):
        augment.augment_batch(augmentation, KEYS[0], images, np.arange(2))
