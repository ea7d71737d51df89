"""Augmentations whose images may leave [0, 1] say so, and those that say nothing stay inside."""

from functools import partial

import jax
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment.value_range import may_leave_unit_range

KEYS = jax.random.split(jax.random.key(0), 3)
IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype("f4")
IMAGES[:, :3], IMAGES[:, 5:] = 0, 1  # both ends, where noise and overshoot show
LEAVING = {"noise", "noise-sphere", "noise-gaussian"}


def test_what_leaves_the_unit_range_is_what_declares_it():
    declared = {
        name
        for name in augment.AUGMENTATIONS
        if may_leave_unit_range(augment.build_augmentation(name))
    }
    assert declared == LEAVING


# One for each kind of arithmetic on pixels; policies act on whole values 0 .. 255.
@pytest.mark.parametrize("name", [*sorted(LEAVING), "rotation-bilinear", "blur", "color-jitter"])
def test_images_are_where_they_are_said_to_be(name):
    found = np.asarray(jax.jit(jax.vmap(augment.build_augmentation(name)))(KEYS, IMAGES))
    inside = found.min() >= -1e-6 and found.max() <= 1 + 1e-6
    assert inside == (name not in LEAVING)


def test_any_callable_can_declare_it():
    policy = augment.PolicyAugmentation(augment.POLICIES["autoaugment-svhn"])
    for own in (lambda key, image: 2 * image, partial(lambda key, x, a: a * x, a=2), policy):
        assert not may_leave_unit_range(own)
        assert may_leave_unit_range(augment.leaves_unit_range(own))
    assert may_leave_unit_range(partial(augment.random_noise_in_ball, radius=1))
    assert not may_leave_unit_range(policy)  # a frozen one is wrapped, not changed
