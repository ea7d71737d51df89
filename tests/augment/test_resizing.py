import inspect
from functools import partial

import jax
import numpy as np
import pytest
from PIL import Image
from pillow_operations import extreme_images, to_pillow

from ntk_aug import augment
from ntk_aug.augment.pixels import resizing
from ntk_aug.augment.pixels.resizing import (
    crop_and_resize,
    draw_resized_crop,
    random_resized_crop,
    resize_short_side,
)
from ntk_aug.errors import InputError

pytestmark = pytest.mark.usefixtures("optimized_compiler")

BILINEAR = Image.Resampling.BILINEAR


def check_resized(shape, height, width):
    images = extreme_images(*shape)
    resize = jax.jit(partial(resizing.resize, height=height, width=width))
    for image in images:
        expected = np.asarray(to_pillow(image).resize((width, height), BILINEAR))
        np.testing.assert_array_equal(np.asarray(resize(image)).squeeze(), expected.squeeze())


@pytest.mark.parametrize(
    ("shape", "height", "width"),
    [
        ((8, 8, 1), 5, 7),
        ((8, 8, 3), 13, 20),
        ((30, 100, 3), 24, 7),  # columns first: it takes away more of them
        ((100, 30, 1), 7, 24),  # rows first
        ((1, 5, 3), 4, 2),
        ((9, 6, 3), 9, 6),
    ],
)
def test_an_image_is_resized_as_by_pillow_bit_by_bit(shape, height, width):
    check_resized(shape, height, width)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [1, 7, 8, 28, 32, 64, 224])
def test_images_of_all_sides_are_resized_as_by_pillow(side, channels):
    for height, width in [(224, 224), (8, 11), (side + 3, side), (max(1, side // 2), 2 * side)]:
        check_resized((side, side, channels), height, width)
        check_resized((side, 2 * side + 1, channels), height, width)


def test_the_short_side_gets_the_length():
    for shape in ((30, 41, 1), (41, 30, 3)):
        image = extreme_images(*shape)[0]
        expected = np.asarray(
            to_pillow(image).resize((16, 21) if shape[0] > shape[1] else (21, 16), BILINEAR)
        )
        resized = resize_short_side(image, 16)  # 16 * 41 / 30 = 21.87
        np.testing.assert_array_equal(np.asarray(resized).squeeze(), expected)


def test_a_random_box_is_cut_out_and_resized_as_by_pillow():
    image = extreme_images(40, 50, 3)[0]
    draw = jax.jit(lambda key: draw_resized_crop(key, 40, 50))
    cut = jax.jit(lambda key: random_resized_crop(key, image, 16, 12))
    for key in jax.random.split(jax.random.key(0), 60):
        top, left, height, width = (int(number) for number in draw(key))
        box = to_pillow(image).crop((left, top, left + width, top + height))
        np.testing.assert_array_equal(cut(key), box.resize((12, 16), BILINEAR))


def test_random_boxes_have_a_uniform_area_and_a_log_uniform_ratio():
    keys = jax.random.split(jax.random.key(0), 3000)
    boxes = np.asarray(jax.jit(jax.vmap(lambda key: draw_resized_crop(key, 300, 400)))(keys))
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 300).all()
    assert (left + width <= 400).all()
    ratio = width / height
    assert 0.74 < ratio.min() < 0.77
    assert 1.3 < ratio.max() < 1.35
    # Boxes of up to half of the area always fit: their area is uniform and the ratio log-uniform.
    area = width * height / 120_000
    small = area < 0.5
    assert 0.079 < area.min() < 0.09
    counts = np.histogram(area[small], bins=7, range=(0.08, 0.5))[0]
    assert np.abs(counts - counts.mean()).max() < 4.5 * np.sqrt(counts.mean())
    logarithm = np.log(ratio[small]) / np.log(4 / 3)
    assert abs(logarithm.mean()) < 4.5 / np.sqrt(3 * small.sum())


def test_where_no_box_fits_the_largest_central_one_is_taken():
    keys = jax.random.split(jax.random.key(0), 5)
    draw = jax.vmap(lambda key: draw_resized_crop(key, 10, 100, area=(0.9, 1.0)))
    np.testing.assert_array_equal(draw(keys), [[0, 43, 10, 13]] * 5)
    draw = jax.vmap(lambda key: draw_resized_crop(key, 100, 10, area=(0.9, 1.0)))
    np.testing.assert_array_equal(draw(keys), [[43, 0, 13, 10]] * 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"area": (0.0, 1.0)}, "the area is 0.0 to 1.0, expected 0 < low <= high"),
        ({"area": (0.5, 1.1)}, "the area is 0.5 to 1.1"),
        ({"ratio": (2.0, 1.0)}, "the ratio is 2.0 to 1.0"),
    ],
)
def test_ranges_that_are_none_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        draw_resized_crop(jax.random.key(0), 8, 8, **options)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(InputError, match="a side of the resized image is 0, expected at least 1"):
        resizing.resize(extreme_images(8, 8, 1)[0], 0, 4)


def test_an_image_of_another_type_is_refused_without_type_checks_of_calls():
    with pytest.raises(InputError, match="the image has type float32, expected uint8"):
        inspect.unwrap(crop_and_resize)(np.zeros((4, 4, 1), np.float32), [0, 0, 4, 4], 2, 2)
    with pytest.raises(InputError, match="the image has type uint8, expected floats from 0 to 1"):
        inspect.unwrap(augment.to_pixels)(np.zeros((4, 4, 1), np.uint8))
