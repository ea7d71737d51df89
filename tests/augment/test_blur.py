import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from ntk_aug import augment
from ntk_aug.augment.floats.blur import gaussian_blur
from ntk_aug.errors import InputError

IMAGE = np.random.default_rng(0).uniform(size=(7, 9, 3)).astype(np.float32)


@pytest.mark.parametrize(("sigma", "size"), [(0.1, 5), (0.7, 5), (2.0, 5), (1.3, 3), (5.0, 1)])
def test_a_blur_is_a_normalised_gaussian_with_a_mirrored_border(sigma, size):
    place = np.arange(size) - size // 2
    weights = np.exp(-(place[:, None] ** 2 + place**2) / (2 * sigma**2))
    expected = ndimage.convolve(
        IMAGE.astype(np.float64), (weights / weights.sum())[..., None], mode="mirror"
    )
    blurred = gaussian_blur(IMAGE, sigma, size=size)
    np.testing.assert_allclose(blurred, expected, rtol=0, atol=1e-6)


def test_the_deviation_is_uniform_in_its_range():
    # The centre of a blurred point is the weight there, from which sigma is found again.
    point = jnp.zeros((5, 5, 1)).at[2, 2].set(1)
    keys = jax.random.split(jax.random.key(0), 400)
    blurred = jax.jit(
        jax.vmap(lambda key: augment.random_gaussian_blur(key, point, sigma=(0.5, 1.5)))
    )(keys)
    ratio = np.asarray(blurred)[:, 2, 1, 0] / np.asarray(blurred)[:, 2, 2, 0]
    sigma = np.sqrt(-0.5 / np.log(ratio))
    assert sigma.min() > 0.499
    assert sigma.max() < 1.501
    counts = np.histogram(sigma, bins=4, range=(0.5, 1.5))[0]
    assert np.abs(counts - 100).max() < 45


@pytest.mark.parametrize("size", [0, 4])
def test_an_even_size_is_refused(size):
    with pytest.raises(InputError, match=f"the size of the blur is {size}, expected an odd"):
        gaussian_blur(IMAGE, 1.0, size=size)


def test_a_blur_beyond_the_image_and_no_deviation_are_refused():
    with pytest.raises(InputError, match="padding is 7, expected at most 6 to mirror"):
        gaussian_blur(IMAGE, 1.0, size=15)
    with pytest.raises(InputError, match="sigma is 0 to 2 pixels, expected 0 < low <= high"):
        augment.random_gaussian_blur(jax.random.key(0), IMAGE, sigma=(0, 2))
