import itertools

import jax
import numpy as np
import pytest
from pillow_operations import ENHANCERS, extreme_images, pillow_operation, to_pillow

from ntk_aug import augment
from ntk_aug.augment.pixels.color_jitter import color_jitter
from ntk_aug.errors import InputError

IMAGE = extreme_images(7, 9, 3)[0]
UNIT = IMAGE.astype(np.float32) / 255


@pytest.mark.parametrize(
    ("name", "low", "high"), [("Rotate", -30, 30), ("Contrast", 0.2, 1.8), ("Posterize", 2, 5)]
)
def test_a_random_operation_is_that_of_pillow_at_one_of_its_magnitudes(name, low, high):
    operate = jax.jit(
        jax.vmap(
            lambda key: augment.random_operation(
                key, UNIT, name, minimum=low, maximum=high, levels=4
            )
        )
    )
    images = np.round(255 * np.asarray(operate(jax.random.split(jax.random.key(0), 400))))
    expected = [pillow_operation(name, m, IMAGE) for m in np.linspace(low, high, 4)]
    matches = (images[:, None] == np.stack(expected)).all(axis=(2, 3, 4))
    assert (matches.sum(axis=1) == 1).all()
    assert np.abs(matches.sum(axis=0) - 100).max() < 45


def test_a_random_cutout_is_somewhere_else_for_each_key():
    keys = jax.random.split(jax.random.key(0), 30)
    cut = jax.jit(
        jax.vmap(
            lambda key: augment.random_operation(
                key, np.ones_like(UNIT), "Cutout", minimum=4, maximum=4
            )
        )
    )(keys)
    holes = {tuple(np.argwhere(np.asarray(image)[..., 0] == 0)[0]) for image in cut}
    assert len(holes) > 10
    assert (np.asarray(cut) == 0).sum(axis=(1, 2, 3)).max() == 16 * 3


def test_jitter_changes_brightness_contrast_and_saturation_in_the_given_order():
    jitter = jax.jit(color_jitter)
    factors = np.asarray([1.37, 0.61, 1.73], np.float32)
    for order in itertools.permutations(range(3)):
        picture = to_pillow(IMAGE)
        for place in order:
            enhancer = ENHANCERS[("Brightness", "Contrast", "Color")[place]]
            picture = enhancer(picture).enhance(float(factors[place]))
        np.testing.assert_array_equal(jitter(IMAGE, factors, np.asarray(order)), picture)


def test_random_jitter_draws_factors_about_one():
    grey = np.full((2, 2, 3), 100 / 255, np.float32)
    keys = jax.random.split(jax.random.key(0), 600)
    jitter = jax.jit(jax.vmap(lambda key: augment.random_color_jitter(key, grey, brightness=0.2)))
    values = 255 * np.asarray(jitter(keys))[:, 0, 0, 0]
    # int(100 factor) with a factor uniform in [0.8, 1.2]
    counts = np.histogram(values, bins=4, range=(80, 120))[0]
    assert counts.sum() == 600
    assert np.abs(counts - 150).max() < 55


def test_what_cannot_be_drawn_is_refused():
    key = jax.random.key(0)
    with pytest.raises(InputError, match="unknown operation 'Turn'"):
        augment.random_operation(key, UNIT, "Turn")
    with pytest.raises(InputError, match="magnitudes of Rotate are 3 to -3, expected low <= high"):
        augment.random_operation(key, UNIT, "Rotate", minimum=3, maximum=-3)
    with pytest.raises(InputError, match=r"magnitude 9 of Posterize is outside 0 .. 8"):
        augment.random_operation(key, UNIT, "Posterize", maximum=9, levels=2)
    with pytest.raises(InputError, match=r"the jitter is -0.5, expected at least 0"):
        augment.random_color_jitter(key, UNIT, contrast=-0.5)
    with pytest.raises(InputError, match=r"the jitter is nan, expected at least 0"):
        augment.random_color_jitter(key, UNIT, contrast=float("nan"))
    with pytest.raises(InputError, match=r"the image ranges from .* expected 0 to 1"):
        augment.random_operation(key, UNIT * 2, "Invert")
