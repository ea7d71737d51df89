import jax
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment.floats import cropping
from ntk_aug.augment.floats.cropping import PADDINGS, draw_crop_offset, pad, random_crop
from ntk_aug.errors import InputError

IMAGE = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)


def test_a_crop_is_a_window_of_the_image():
    np.testing.assert_array_equal(cropping.crop(IMAGE, np.array([1, 2]), 3, 4), IMAGE[1:4, 2:6])


def test_random_windows_are_at_every_place_equally_often():
    windows = np.stack([IMAGE[r : r + 4, c : c + 4] for r in range(2) for c in range(3)])
    keys = jax.random.split(jax.random.key(0), 1200)
    crops = jax.jit(jax.vmap(lambda key: random_crop(key, IMAGE, 4, 4)))(keys)
    matches = (np.asarray(crops)[:, None] == windows).all(axis=(2, 3, 4))
    assert (matches.sum(axis=1) == 1).all()
    assert (np.abs(matches.sum(axis=0) - 200) < 5 * np.sqrt(200)).all()


def test_padding_by_reflection_does_not_repeat_the_edge():
    padded = np.asarray(pad(IMAGE, 2, mode="reflect"))
    np.testing.assert_array_equal(padded[0, 2:-2], IMAGE[2])
    np.testing.assert_array_equal(padded[2:-2, -1], IMAGE[:, 3])


@pytest.mark.parametrize("mode", PADDINGS)
def test_a_random_padded_crop_is_the_window_at_its_drawn_offset(mode):
    padded = np.pad(IMAGE, ((2, 2), (2, 2), (0, 0)), "constant" if mode == "zero" else mode)
    crop = jax.jit(lambda key: augment.random_crop_padded(key, IMAGE, 2, mode=mode))
    for key in jax.random.split(jax.random.key(1), 4):
        row, column = draw_crop_offset(key, 2)
        np.testing.assert_array_equal(crop(key), padded[row : row + 5, column : column + 6])


@pytest.mark.parametrize("side", [(6, 6), (5, 7), (0, 3)])
def test_a_window_larger_than_the_image_is_refused(side):
    message = f"the crop is {side[0]} x {side[1]}, expected 1 x 1 to 5 x 6"
    with pytest.raises(InputError, match=message):
        random_crop(jax.random.key(0), IMAGE, *side)


def test_more_to_mirror_than_there_is_is_refused():
    with pytest.raises(InputError, match="padding is 5, expected at most 4 to mirror the image"):
        pad(IMAGE, 5, mode="reflect")
    with pytest.raises(InputError, match="unknown mode of padding 'edge'; known: reflect, zero"):
        pad(IMAGE, 1, mode="edge")
