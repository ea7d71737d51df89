"""Augmentation of single images on the device, each with a key of its own.

Images are floats in [0, 1], [h, w, c]; nothing is clipped. A random operation takes the key first.
"""

from ntk_aug.augment.batches.candidates import augment_by_loss
from ntk_aug.augment.batches.mixing import mix_batch, random_cutmix, random_mixup
from ntk_aug.augment.batches.per_example import augment_batch, example_key
from ntk_aug.augment.floats.blur import random_gaussian_blur
from ntk_aug.augment.floats.cropping import random_crop_padded
from ntk_aug.augment.floats.geometry import random_flip_horizontal, random_rotate
from ntk_aug.augment.floats.noise import random_gaussian_noise, random_noise_in_ball
from ntk_aug.augment.pixels.color_jitter import random_color_jitter
from ntk_aug.augment.pixels.operations import OPERATIONS, random_operation
from ntk_aug.augment.policies.augmentation import AugMixAugmentation, PolicyAugmentation
from ntk_aug.augment.policies.magnitudes import MAGNITUDES
from ntk_aug.augment.policies.policy import POLICIES, Policy, parse_table, randaugment
from ntk_aug.augment.policies.wu import WuAugmentation
from ntk_aug.augment.registry import AUGMENTATIONS, build_augmentation, describe_augmentation
from ntk_aug.augment.value_range import from_pixels, leaves_unit_range, to_pixels
from ntk_aug.augment.weak import weak_augmentation

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "build_augmentation",
    "describe_augmentation",
    "AUGMENTATIONS",
    "augment_batch",
    "example_key",
    "leaves_unit_range",
    "weak_augmentation",
    "Policy",
    "parse_table",
    "PolicyAugmentation",
    "POLICIES",
    "randaugment",
    "AugMixAugmentation",
    "WuAugmentation",
    "augment_by_loss",
    "MAGNITUDES",
    "OPERATIONS",
    "random_operation",
    "mix_batch",
    "random_mixup",
    "random_cutmix",
    "random_rotate",
    "random_flip_horizontal",
    "random_crop_padded",
    "random_gaussian_blur",
    "random_color_jitter",
    "random_gaussian_noise",
    "random_noise_in_ball",
    "to_pixels",
    "from_pixels",
]
