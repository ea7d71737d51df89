"""Augmentation of single images on the device, each with a key of its own.

Images are floats in [0, 1], [h, w, c]; nothing is clipped. A random operation takes the key first.
"""

from ntk_aug.augment.blur import gaussian_blur, random_gaussian_blur
from ntk_aug.augment.cropping import (
    PADDINGS,
    center_crop,
    crop,
    crop_padded,
    draw_crop_offset,
    pad,
    random_crop,
    random_crop_padded,
)
from ntk_aug.augment.dispatch import DISPATCHES, use_dispatch
from ntk_aug.augment.geometry import (
    INTERPOLATIONS,
    flip_horizontal,
    flip_vertical,
    random_flip_horizontal,
    random_rotate,
    rotate,
)
from ntk_aug.augment.keys import augment_batch, example_key
from ntk_aug.augment.noise import (
    apply_linear_map,
    random_gaussian_noise,
    random_noise_in_ball,
    random_noise_on_sphere,
)
from ntk_aug.augment.operations import (
    OPERATIONS,
    Operation,
    apply_operation,
    operation_parameters,
    place_operation,
)
from ntk_aug.augment.registry import AUGMENTATIONS, AugmentationEntry, build_augmentation
from ntk_aug.augment.resizing import (
    crop_and_resize,
    draw_resized_crop,
    random_resized_crop,
    resize,
    resize_short_side,
)

__all__ = [
    "AUGMENTATIONS",
    "DISPATCHES",
    "INTERPOLATIONS",
    "OPERATIONS",
    "PADDINGS",
    "AugmentationEntry",
    "Operation",
    "apply_linear_map",
    "apply_operation",
    "augment_batch",
    "build_augmentation",
    "center_crop",
    "crop",
    "crop_and_resize",
    "crop_padded",
    "draw_crop_offset",
    "draw_resized_crop",
    "example_key",
    "flip_horizontal",
    "flip_vertical",
    "gaussian_blur",
    "operation_parameters",
    "pad",
    "place_operation",
    "random_crop",
    "random_crop_padded",
    "random_flip_horizontal",
    "random_gaussian_blur",
    "random_gaussian_noise",
    "random_noise_in_ball",
    "random_noise_on_sphere",
    "random_resized_crop",
    "random_rotate",
    "resize",
    "resize_short_side",
    "rotate",
    "use_dispatch",
]
