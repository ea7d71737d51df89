import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ntk_aug import augment
from ntk_aug.augment.floats.noise import apply_linear_map, random_noise_on_sphere
from ntk_aug.errors import InputError

SHAPE = (2, 3, 1)
DIMENSION = 6
DRAWS = 2000


def noises(shape, draws, *settings):
    """What is added with each (radius, value of all pixels), from the same keys, in float64."""

    @jax.jit
    @jax.vmap
    def noisy(key):
        return [
            augment.random_noise_in_ball(key, jnp.full(shape, pixel), radius)
            for radius, pixel in settings
        ]

    results = noisy(jax.random.split(jax.random.key(0), draws))
    return [
        np.asarray(result, np.float64).reshape(draws, -1) - np.float32(pixel)
        for result, (_, pixel) in zip(results, settings, strict=True)
    ]


@pytest.fixture(scope="module")
def three_noises():
    """Draws with radius 1, with radius 1/4, and with radius 1 on grey pixels."""
    return noises(SHAPE, DRAWS, (1.0, 0.0), (0.25, 0.0), (1.0, 0.5))


@pytest.fixture(scope="module")
def unit_noises(three_noises):
    return three_noises[0]


def test_the_noise_never_leaves_its_ball_and_nearly_attains_its_radius(unit_noises):
    norms = np.linalg.norm(unit_noises, axis=1)
    assert norms.max() <= 1 + 1e-6  # the float32 rounding of six pixels
    # The largest of 2000 uniform U^(1/6) is 1 - 1/(6 * 2000) in the mean.
    assert norms.max() > 0.999


def test_noise_of_many_pixels_is_close_to_its_radius():
    # In d = 192 dimensions U^(1/d) is above 0.97 but for a share 0.97^192 = 0.003 of the draws.
    norms = np.linalg.norm(noises((8, 8, 3), 300, (0.5, 0.0))[0], axis=1)
    assert norms.max() <= 0.5 * (1 + 1e-6)
    assert np.mean(norms > 0.5 * 0.97) > 0.98


def test_the_volume_inside_a_draw_is_uniform(unit_noises):
    # (norm / radius)^d is the share of the ball's volume that lies nearer to the centre.
    shares = np.linalg.norm(unit_noises, axis=1) ** DIMENSION
    assert stats.kstest(shares, "uniform").pvalue > 0.01


def test_directions_have_no_preference(unit_noises):
    directions = unit_noises / np.linalg.norm(unit_noises, axis=1, keepdims=True)
    # Each coordinate has mean 0 and variance 1/d, and any two of them are uncorrelated.
    error = np.sqrt(1 / DIMENSION / DRAWS)
    assert np.abs(directions.mean(axis=0)).max() < 5 * error
    second = directions.T @ directions / DRAWS
    assert np.abs(second - np.eye(DIMENSION) / DIMENSION).max() < 5 * error
    # The square of one coordinate of a uniform direction is Beta(1/2, (d - 1)/2) distributed.
    law = stats.beta(0.5, (DIMENSION - 1) / 2)
    assert stats.kstest(directions[:, 2] ** 2, law.cdf).pvalue > 0.01


def test_direction_and_length_are_independent(unit_noises):
    norms = np.linalg.norm(unit_noises, axis=1)
    directions = unit_noises / norms[:, None]
    for column in directions.T:
        for power in (1, 2):
            assert abs(stats.spearmanr(norms, column**power).statistic) < 5 / np.sqrt(DRAWS)


def test_noise_scales_with_the_radius_and_is_added_to_the_image(three_noises):
    unit, quarter, on_grey = three_noises
    np.testing.assert_allclose(quarter, unit / 4, rtol=1e-6, atol=1e-9)
    # On pixels of 0.5 the sum is rounded to 2^-24 below 1 and 2^-23 above; nothing is clipped.
    np.testing.assert_allclose(on_grey, unit, rtol=0, atol=1.2e-7)
    assert (unit + 0.5).min() < 0 < 1 < (unit + 0.5).max()


def test_no_radius_is_no_noise():
    image = jnp.linspace(0, 1, 6).reshape(SHAPE)
    noisy = augment.random_noise_in_ball(jax.random.key(0), image, 0.0)
    np.testing.assert_array_equal(noisy, image)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_the_type_of_the_image_is_kept(dtype):
    image, key = jnp.zeros(SHAPE, dtype), jax.random.key(0)
    noisy = jax.eval_shape(lambda: augment.random_noise_in_ball(key, image, 1.0))
    assert (noisy.dtype, noisy.shape) == (dtype, SHAPE)


def noise_of(random_noise, size):
    """Noise on 400 images of 2 x 3 x 1 zeros, [400, 6]."""
    keys = jax.random.split(jax.random.key(0), 400)
    zeros = jnp.zeros((2, 3, 1))
    noise = jax.jit(jax.vmap(lambda key: random_noise(key, zeros, size)))(keys)
    return np.asarray(noise).reshape(400, 6)


def test_noise_on_the_sphere_has_that_length_and_every_direction():
    noise = noise_of(random_noise_on_sphere, 0.7)
    np.testing.assert_allclose(np.linalg.norm(noise, axis=1), 0.7, rtol=1e-5)
    # A uniform point of the sphere in d dimensions has mean 0 and covariance radius^2 / d.
    covariance = noise.T @ noise / 400
    np.testing.assert_allclose(covariance, np.eye(6) * 0.49 / 6, atol=5 * 0.49 / 6 / 20)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=5 * 0.7 / np.sqrt(6 * 400))


def test_gaussian_noise_is_normal_and_independent():
    noise = noise_of(augment.random_gaussian_noise, 0.3)
    assert stats.kstest(noise.ravel(), stats.norm(0, 0.3).cdf).pvalue > 0.01
    np.testing.assert_allclose(noise.T @ noise / 400, np.eye(6) * 0.09, atol=5 * 0.09 / 14)


@pytest.mark.parametrize(
    ("random_noise", "message"),
    [
        (augment.random_gaussian_noise, "the deviation of the noise is -1, expected at least 0"),
        (random_noise_on_sphere, "the radius of the noise is -1, expected at least 0"),
        (augment.random_noise_in_ball, "the radius of the noise is -1, expected at least 0"),
    ],
)
def test_a_negative_size_of_the_noise_is_refused(random_noise, message):
    with pytest.raises(InputError, match=message):
        random_noise(jax.random.key(0), jnp.zeros((2, 3, 1)), -1)


def test_a_linear_map_acts_on_rows_columns_and_channels_in_this_order():
    image = jnp.arange(12.0).reshape(2, 2, 3)
    reversal = np.eye(12, dtype=np.float32)[::-1]
    mapped = apply_linear_map(image, reversal)
    np.testing.assert_array_equal(mapped, image[::-1, ::-1, ::-1])
    F = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    both = apply_linear_map(image + mapped, F)
    parts = apply_linear_map(image, F) + apply_linear_map(mapped, F)
    np.testing.assert_allclose(both, parts, rtol=1e-4)
    np.testing.assert_allclose(np.ravel(both), F @ np.ravel(image + mapped), rtol=1e-4)


def test_a_linear_map_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"the linear map has shape .*4, 4.* expected .*12, 12"):
        apply_linear_map(jnp.zeros((2, 2, 3)), np.eye(4, dtype=np.float32))
