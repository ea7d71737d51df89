"""Augmentation of single images on the device, each with a key of its own.

Images are floats in [0, 1], [h, w, c]; nothing is clipped. A random operation takes the key first.
"""

from ntk_aug.augment.batches.candidates import (
    PUBLISHED_CANDIDATES,
    SELECTIONS,
    augment_by_loss,
    select_candidates,
)
from ntk_aug.augment.batches.mixing import (
    MixDraw,
    cutmix,
    draw_cutmix,
    draw_mixup,
    mix_batch,
    mixup,
    random_cutmix,
    random_mixup,
)
from ntk_aug.augment.batches.per_example import augment_batch, example_key
from ntk_aug.augment.floats.blur import gaussian_blur, random_gaussian_blur
from ntk_aug.augment.floats.cropping import (
    PADDINGS,
    center_crop,
    crop,
    crop_padded,
    draw_crop_offset,
    pad,
    random_crop,
    random_crop_padded,
)
from ntk_aug.augment.floats.geometry import (
    INTERPOLATIONS,
    flip_horizontal,
    flip_vertical,
    random_flip_horizontal,
    random_flip_vertical,
    random_rotate,
    rotate,
)
from ntk_aug.augment.floats.noise import (
    apply_linear_map,
    random_gaussian_noise,
    random_noise_in_ball,
    random_noise_on_sphere,
)
from ntk_aug.augment.pixels.color_jitter import color_jitter, random_color_jitter
from ntk_aug.augment.pixels.dispatch import DISPATCHES, use_dispatch
from ntk_aug.augment.pixels.operations import (
    OPERATIONS,
    Operation,
    apply_operation,
    operation_parameters,
    place_operation,
    random_operation,
)
from ntk_aug.augment.pixels.resizing import (
    crop_and_resize,
    draw_resized_crop,
    random_resized_crop,
    resize,
    resize_short_side,
)
from ntk_aug.augment.policies.augmentation import AugMixAugmentation, AugMixDraw, PolicyAugmentation
from ntk_aug.augment.policies.magnitudes import (
    MAGNITUDES,
    Magnitudes,
    augmix_magnitudes,
    magnitude_of,
)
from ntk_aug.augment.policies.policy import (
    POLICIES,
    Policy,
    Step,
    parse_table,
    randaugment,
    wu_policy,
)
from ntk_aug.augment.policies.sampling import (
    Plan,
    PolicyDraw,
    apply_policy,
    describe_draw,
    draw_policy,
)
from ntk_aug.augment.policies.wu import (
    CandidateDraw,
    ChainDraw,
    StageDraw,
    WuAugmentation,
    WuDraw,
    mixup_truncated,
)
from ntk_aug.augment.registry import (
    AUGMENTATIONS,
    AugmentationEntry,
    build_augmentation,
    describe_augmentation,
)
from ntk_aug.augment.value_range import (
    from_pixels,
    leaves_unit_range,
    may_leave_unit_range,
    to_pixels,
)
from ntk_aug.augment.weak import (
    WEAK,
    random_part,
    random_shift,
    random_window,
    random_zoom,
    weak_augmentation,
)

__all__ = [
    "AUGMENTATIONS",
    "DISPATCHES",
    "INTERPOLATIONS",
    "MAGNITUDES",
    "OPERATIONS",
    "PADDINGS",
    "POLICIES",
    "PUBLISHED_CANDIDATES",
    "SELECTIONS",
    "WEAK",
    "AugMixAugmentation",
    "AugMixDraw",
    "AugmentationEntry",
    "CandidateDraw",
    "ChainDraw",
    "Magnitudes",
    "MixDraw",
    "Operation",
    "Plan",
    "Policy",
    "PolicyAugmentation",
    "PolicyDraw",
    "StageDraw",
    "Step",
    "WuAugmentation",
    "WuDraw",
    "apply_linear_map",
    "apply_operation",
    "apply_policy",
    "augment_batch",
    "augment_by_loss",
    "augmix_magnitudes",
    "build_augmentation",
    "center_crop",
    "color_jitter",
    "crop",
    "crop_and_resize",
    "crop_padded",
    "cutmix",
    "describe_augmentation",
    "describe_draw",
    "draw_crop_offset",
    "draw_cutmix",
    "draw_mixup",
    "draw_policy",
    "draw_resized_crop",
    "example_key",
    "flip_horizontal",
    "flip_vertical",
    "from_pixels",
    "gaussian_blur",
    "leaves_unit_range",
    "magnitude_of",
    "may_leave_unit_range",
    "mix_batch",
    "mixup",
    "mixup_truncated",
    "operation_parameters",
    "pad",
    "parse_table",
    "place_operation",
    "randaugment",
    "random_color_jitter",
    "random_crop",
    "random_crop_padded",
    "random_cutmix",
    "random_flip_horizontal",
    "random_flip_vertical",
    "random_gaussian_blur",
    "random_gaussian_noise",
    "random_mixup",
    "random_noise_in_ball",
    "random_noise_on_sphere",
    "random_operation",
    "random_part",
    "random_resized_crop",
    "random_rotate",
    "random_shift",
    "random_window",
    "random_zoom",
    "resize",
    "resize_short_side",
    "rotate",
    "select_candidates",
    "to_pixels",
    "use_dispatch",
    "weak_augmentation",
    "wu_policy",
]
