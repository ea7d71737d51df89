import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ntk_aug import augment

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
