"""Augmentations by name: one table; one more augmentation is one more entry."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax

from ntk_aug.aliases import Augmentation
from ntk_aug.augment.cropping import random_crop_padded
from ntk_aug.augment.geometry import random_flip_horizontal, random_rotate
from ntk_aug.augment.noise import random_noise_in_ball
from ntk_aug.checks import InputError, check_choice
from ntk_aug.imports import import_function, is_import_path


class AugmentationEntry(NamedTuple):
    """A named augmentation.

    Attributes:
      build: from a strength to an augmentation.
      default: the strength if none is given; None if it takes none.
      maximum: the largest strength allowed.
      description: one line, with the unit of the strength.
    """

    build: Callable[[float], Augmentation]
    default: float | None
    maximum: float
    description: str


def _rotation(interpolation):
    return lambda max_degrees: partial(
        random_rotate, max_degrees=max_degrees, interpolation=interpolation
    )


def _noise(radius):
    return partial(random_noise_in_ball, radius=radius)


def _flip_crop(share_of_side):
    def augment(key, image):
        flip_key, crop_key = jax.random.split(key)
        padding = int(max(image.shape[:2]) * share_of_side)
        return random_crop_padded(crop_key, random_flip_horizontal(flip_key, image), padding)

    return augment


AUGMENTATIONS = {
    "identity": AugmentationEntry(
        lambda _: lambda key, image: image, None, 0, "the image itself: what no augmentation does"
    ),
    "rotation": AugmentationEntry(
        _rotation("nearest"), 30, 180, "angle uniform in +- STRENGTH degrees, black outside"
    ),
    "rotation-bilinear": AugmentationEntry(
        _rotation("bilinear"), 30, 180, "the same with bilinear interpolation, which blurs"
    ),
    "flip-crop": AugmentationEntry(
        _flip_crop, 1 / 8, 1, "random mirror, then zero padding by STRENGTH of the side and a crop"
    ),
    "noise": AugmentationEntry(
        _noise, 0.5, math.inf, "uniform in the ball of radius STRENGTH (Euclidean, pixels in 0..1)"
    ),
}


def build_augmentation(spec: str) -> Augmentation:
    """Builds an augmentation from its name, `name:strength`, or a user's `module:function`.

    A user's function is an augmentation itself: function(key, image) -> image.

    Raises:
      InputError: an unknown name (the known ones are listed), or a strength that is no number or
        out of range.
    """
    if is_import_path(spec, AUGMENTATIONS):
        return import_function(spec)
    name, _, strength_text = spec.partition(":")
    entry = AUGMENTATIONS[check_choice(name, AUGMENTATIONS, "augmentation")]
    if entry.default is None:
        if strength_text:
            raise InputError(f"augmentation {name!r} takes no strength, but {spec!r} gives one")
        return entry.build(0)
    try:
        strength = float(strength_text) if strength_text else float(entry.default)
    except ValueError:
        raise InputError(f"strength of augmentation {spec!r} is not a number") from None
    if not 0 <= strength <= entry.maximum or not math.isfinite(strength):
        raise InputError(f"strength of augmentation {spec!r} is not in 0 .. {entry.maximum:g}")
    return entry.build(strength)
