import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment.batches.candidates import select_candidates
from ntk_aug.augment.floats.blur import gaussian_blur
from ntk_aug.augment.floats.cropping import crop, pad, random_crop
from ntk_aug.augment.floats.geometry import rotate
from ntk_aug.augment.pixels.resizing import resize, resize_short_side
from ntk_aug.errors import InputError

KEY = jax.random.key(0)
GREY = np.zeros((8, 8), np.float32)


@pytest.mark.parametrize(
    "operation",
    [
        lambda call: call(rotate)(GREY, 10.0),
        lambda call: call(crop)(GREY, np.zeros(2, int), 4, 4),
        lambda call: call(random_crop)(KEY, GREY, 4, 4),
        lambda call: call(pad)(GREY, 1),
        lambda call: call(gaussian_blur)(GREY, 1.0),
        lambda call: call(resize)(np.uint8(GREY), 4, 4),
        lambda call: call(resize_short_side)(np.uint8(GREY), 4),
    ],
)
def test_an_image_without_channels_is_refused_by_its_shape(operation):
    # Without the checks of types that are on in tests: a user has none.
    with pytest.raises(InputError, match=r"the image has shape \(8, 8\), expected \[height, width"):
        operation(inspect.unwrap)


@pytest.mark.parametrize("sigma", [0, -1.0, float("nan")])
def test_a_blur_needs_a_positive_width(sigma):
    with pytest.raises(InputError, match="expected above 0"):
        gaussian_blur(GREY[..., None], sigma)


@pytest.mark.parametrize("losses", [[1.0, -1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_losses_that_are_no_losses_choose_nothing(losses):
    with pytest.raises(InputError, match="expected finite values of at least 0"):
        select_candidates(KEY, np.float32(losses), 1)


def test_constants_are_checked_inside_of_jit_as_outside():
    image, losses = jnp.full((4, 4, 1), 0.5), jnp.ones(3)
    jitter = jax.jit(lambda key: augment.random_color_jitter(key, image, brightness=0.5))
    assert jitter(KEY).shape == (4, 4, 1)
    assert jax.jit(lambda key: select_candidates(key, losses, 2))(KEY).shape == (2,)
    with pytest.raises(InputError, match=r"the image ranges from 127\.5 to 127\.5"):
        jax.jit(lambda key: augment.random_color_jitter(key, 255 * np.asarray(image)))(KEY)
    with pytest.raises(InputError, match="expected finite values of at least 0"):
        jax.jit(lambda key: select_candidates(key, -np.asarray(losses), 2))(KEY)
