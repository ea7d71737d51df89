import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from ntk_aug import augment
from ntk_aug.augment.floats import geometry
from ntk_aug.augment.floats.cropping import crop_padded
from ntk_aug.augment.floats.geometry import flip_horizontal
from ntk_aug.errors import InputError

SHAPES = [(8, 8, 1), (7, 12, 3), (13, 5, 1)]
# No angle for which the source point of a pixel lies on the border of the image, where rounding
# alone decides whether it is inside.
ANGLES = [-171.3, -90.7, -33.1, -0.4, 7.9, 29.6, 61.2, 117.7, 358.9]


def random_image(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


def rotated_by_pillow(image, degrees, resample=Image.Resampling.BILINEAR):
    channels = [
        Image.fromarray(channel).rotate(degrees, resample=resample)
        for channel in np.moveaxis(np.asarray(image), -1, 0)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


rotate = jax.jit(geometry.rotate)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rotation_is_that_of_pillow(shape):
    image = random_image(shape)
    for degrees in ANGLES:
        expected = rotated_by_pillow(image, degrees)
        # Float32 positions are exact to 1e-6 pixels, and pixels differ by up to 1.
        np.testing.assert_allclose(rotate(image, degrees), expected, rtol=0, atol=1e-5)
        assert np.ptp(expected) > 0.3


def clear_of_edges(shape, degrees, margin):
    """Output pixels [h, w] whose source point is not within `margin` of an edge of a pixel."""
    height, width = shape[:2]
    angle = np.deg2rad(degrees)
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
    offset = (columns - width / 2) + 1j * (rows - height / 2)
    source = offset * np.exp(1j * angle) + width / 2 + 1j * height / 2
    from_edge = [np.abs(part - np.round(part)) for part in (source.real, source.imag)]
    return np.minimum(*from_edge) > margin


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rotation_by_whole_pixels_is_that_of_pillow(shape):
    image = random_image(shape)
    turn = jax.jit(lambda degrees: geometry.rotate(image, degrees, interpolation="nearest"))
    for degrees in ANGLES:
        expected = rotated_by_pillow(image, degrees, Image.Resampling.NEAREST)
        # Pillow's source points are multiples of 2^-16, added up along a row.
        clear = clear_of_edges(shape, degrees, margin=3e-4)
        assert clear.mean() > 0.85
        np.testing.assert_array_equal(np.asarray(turn(degrees))[clear], expected[clear])


def test_another_interpolation_is_refused():
    with pytest.raises(InputError, match="unknown interpolation 'cubic'; known: bilinear, nearest"):
        geometry.rotate(random_image((4, 4, 1)), 10.0, interpolation="cubic")


def test_a_rotation_is_counter_clockwise():
    image = np.zeros((5, 5, 1), np.float32)
    image[2, 4] = 1  # at three o'clock
    turned = np.asarray(rotate(image, 90.0))
    np.testing.assert_allclose(turned[0, 2], 1, atol=1e-6)  # at twelve
    np.testing.assert_allclose(turned.sum(), 1, atol=1e-5)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_quarter_turn_is_exact_for_odd_squares(quarters):
    # At the centre pixel's distance the source points are pixel centres, and none is on a border.
    image = random_image((7, 7, 2))
    np.testing.assert_allclose(rotate(image, 90.0 * quarters), np.rot90(image, quarters), atol=1e-5)


def test_corners_are_black_and_the_rest_of_a_white_image_stays_white():
    white = np.ones((9, 9, 1), np.float32)
    turned = np.asarray(rotate(white, 45.0))[..., 0]
    # Bilinear weights add up to 1; a blend with the black outside would be in between.
    assert set(np.round(np.unique(turned), 5)) == {0.0, 1.0}
    assert turned[0, 0] == turned[-1, 0] == 0
    assert turned[4, 4] == 1


def test_a_random_rotation_draws_a_uniform_angle():
    image = random_image((6, 6, 1))
    keys = jax.random.split(jax.random.key(0), 3)
    turn = jax.jit(lambda key: augment.random_rotate(key, image, 30.0))
    for key in keys:
        degrees = jax.random.uniform(key, (), jnp.float32, minval=-30, maxval=30)
        np.testing.assert_allclose(turn(key), rotated_by_pillow(image, float(degrees)), atol=1e-5)


def test_random_angles_fill_their_range_evenly():
    # Pixels that are linear in x, the distance to the right of the centre, are interpolated
    # exactly: the pixel three below the centre, (x, y) = (0, 3), becomes 10 - 3 sin(angle).
    plane = jnp.broadcast_to(jnp.arange(9.0)[:, None] + 6, (9, 9, 1))
    keys = jax.random.split(jax.random.key(0), 500)
    turned = jax.jit(jax.vmap(lambda key: augment.random_rotate(key, plane, 40.0)))(keys)
    degrees = np.rad2deg(np.arcsin((10 - np.asarray(turned, np.float64)[:, 7, 4, 0]) / 3))
    assert stats.kstest(degrees, stats.uniform(-40, 80).cdf).pvalue > 0.01
    assert np.abs(degrees).max() < 40.001


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_mirrors_left_and_right(shape):
    image = random_image(shape)
    np.testing.assert_array_equal(flip_horizontal(jnp.asarray(image)), image[:, ::-1, :])


def test_a_random_flip_is_one_of_the_two_images_half_of_the_time():
    image = random_image((4, 5, 2))
    keys = jax.random.split(jax.random.key(0), 1000)
    flip = jax.jit(jax.vmap(lambda key: augment.random_flip_horizontal(key, image)))
    results = np.asarray(flip(keys))
    flipped = (results == image[:, ::-1]).all(axis=(1, 2, 3))
    kept = (results == image).all(axis=(1, 2, 3))
    assert (flipped ^ kept).all()
    assert abs(flipped.sum() - 500) < 5 * np.sqrt(1000 / 4)


crop = jax.jit(crop_padded, static_argnums=2)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_crop_is_a_window_of_the_padded_image(shape):
    image = random_image(shape)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
    for row, column in [(0, 0), (2, 2), (4, 4), (1, 3), (4, 0)]:
        window = padded[row : row + shape[0], column : column + shape[1]]
        np.testing.assert_array_equal(crop(image, jnp.array([row, column]), 2), window)


def test_padding_by_nothing_crops_nothing():
    image = random_image((4, 5, 2))
    np.testing.assert_array_equal(augment.random_crop_padded(jax.random.key(0), image, 0), image)


def test_random_crops_are_at_every_place_equally_often():
    image = np.arange(1, 21, dtype=np.float32).reshape(4, 5, 1)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    windows = np.stack([padded[r : r + 4, c : c + 5] for r in range(3) for c in range(3)])
    keys = jax.random.split(jax.random.key(0), 1800)
    crops = np.asarray(
        jax.jit(jax.vmap(lambda key: augment.random_crop_padded(key, image, 1)))(keys)
    )
    matches = (crops[:, None] == windows).all(axis=(2, 3, 4))
    assert (matches.sum(axis=1) == 1).all()
    error = np.sqrt(1800 * 1 / 9 * 8 / 9)
    assert (np.abs(matches.sum(axis=0) - 200) < 5 * error).all()


def test_a_negative_padding_is_refused():
    with pytest.raises(InputError, match="padding is -1, expected at least 0"):
        augment.random_crop_padded(jax.random.key(0), random_image((4, 4, 1)), -1)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_the_type_of_the_image_is_kept(dtype):
    image, key = jnp.zeros((4, 4, 1), dtype), jax.random.key(0)
    for augmented in (
        jax.eval_shape(geometry.rotate, image, 10.0),
        jax.eval_shape(lambda: augment.random_rotate(key, image, 10.0)),
        jax.eval_shape(lambda: augment.random_crop_padded(key, image, 1)),
    ):
        assert (augmented.dtype, augmented.shape) == (dtype, image.shape)


def test_a_numpy_image_can_be_turned_inside_jit():
    image = np.asarray(random_image((8, 8, 1)))
    turned = jax.jit(lambda degrees: geometry.rotate(image, degrees))(29.6)
    np.testing.assert_array_equal(turned, rotate(image, 29.6))
