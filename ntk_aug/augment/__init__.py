"""Augmentation of single images on the device, each with a key of its own.

Images are floats in [0, 1], [h, w, c]; nothing is clipped. A random operation takes the key first.
"""

from ntk_aug.augment.geometry import (
    INTERPOLATIONS,
    crop_padded,
    flip_horizontal,
    random_crop_padded,
    random_flip_horizontal,
    random_rotate,
    rotate,
)
from ntk_aug.augment.keys import augment_batch, example_key
from ntk_aug.augment.noise import random_noise_in_ball
from ntk_aug.augment.operations import (
    OPERATIONS,
    Operation,
    apply_operation,
    operation_parameters,
    place_operation,
)
from ntk_aug.augment.registry import AUGMENTATIONS, AugmentationEntry, build_augmentation

__all__ = [
    "AUGMENTATIONS",
    "INTERPOLATIONS",
    "OPERATIONS",
    "AugmentationEntry",
    "Operation",
    "apply_operation",
    "augment_batch",
    "build_augmentation",
    "crop_padded",
    "example_key",
    "flip_horizontal",
    "operation_parameters",
    "place_operation",
    "random_crop_padded",
    "random_flip_horizontal",
    "random_noise_in_ball",
    "random_rotate",
    "rotate",
]
