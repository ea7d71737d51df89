"""Augmentations by name: a new augmentation is one more entry of `AUGMENTATIONS`."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ntk_aug.aliases import Augmentation
from ntk_aug.augment.composition import ComposedAugmentation, holds_policy, split_parts
from ntk_aug.augment.floats.blur import random_gaussian_blur
from ntk_aug.augment.floats.geometry import random_rotate
from ntk_aug.augment.floats.noise import (
    random_gaussian_noise,
    random_noise_in_ball,
    random_noise_on_sphere,
)
from ntk_aug.augment.pixels.color_jitter import random_color_jitter
from ntk_aug.augment.pixels.operations import random_operation
from ntk_aug.augment.policies.augmentation import AugMixAugmentation, Drawing, PolicyAugmentation
from ntk_aug.augment.policies.magnitudes import augmix_magnitudes, mapping_name
from ntk_aug.augment.policies.policy import AUGMIX, POLICIES, randaugment, wu_policy
from ntk_aug.augment.policies.wu import WuAugmentation
from ntk_aug.augment.value_range import may_leave_unit_range
from ntk_aug.augment.weak import WEAK, random_shift, random_window, random_zoom
from ntk_aug.checks import check_choice
from ntk_aug.errors import InputError, UserCodeError
from ntk_aug.imports import guarded, import_function, is_import_path


class AugmentationEntry(NamedTuple):
    """A named augmentation.

    Attributes:
      build: builds the augmentation from its strength.
      default: default strength; None if the augmentation takes none.
      maximum: largest strength allowed.
      description: one line, with the unit of the strength.
      whole_values: whether it acts on uint8 pixels, so its images must be in [0, 1].
    """

    build: Callable[[float], Augmentation]
    default: float | None
    maximum: float
    description: str
    whole_values: bool = False


def _rotation(interpolation):
    return lambda max_degrees: partial(
        random_rotate, max_degrees=max_degrees, interpolation=interpolation
    )


def _fixed(augmentation, description, whole_values=False):
    """An entry without a strength."""
    return AugmentationEntry(lambda strength: augmentation, None, 0, description, whole_values)


def _whole(strength, what):
    if strength != int(strength):
        raise InputError(f"the strength of {what} is {strength:g}, expected a whole number")
    return int(strength)


def _cutout(share):
    def augment(key, image):
        length = int(share * min(image.shape[:2]))
        return random_operation(key, image, "Cutout", minimum=length, maximum=length, levels=1)

    return augment


def _randaugment(level):
    return PolicyAugmentation(randaugment(_whole(level, "randaugment")))


def _augmix(severity):
    policy = dataclasses.replace(AUGMIX, magnitudes=augmix_magnitudes(severity))
    return AugMixAugmentation(policy)


def _policy_entry(method, policy):
    rows = f"{policy.rounds} of {len(policy.table)} rows"
    description = f"{method}: {rows}, magnitudes {mapping_name(policy.magnitudes)}"
    return _fixed(PolicyAugmentation(policy), description, True)


_METHODS = {"autoaugment": "AutoAugment", "trivialaugment": "TrivialAugment"}

# Options of Wu et al.: the mean colour (0 .. 255) of the train split, which fills Cutout's squares,
# and whether the chain mirrors.
_WU = {
    "digits": (78, False),
    "mnist": (33, False),
    "fashion_mnist": (73, True),
    "svhn_cropped": ((110, 110, 114), False),
    "svhn": ((110, 110, 114), False),  # a short name of svhn_cropped
    "cifar10": ((125, 123, 114), True),
    "cifar100": ((129, 124, 112), True),
    "imagenet": ((124, 116, 104), True),
}


_RESIZING = (random_zoom, random_window)  # they resize uint8 pixels, as Pillow does


def _wu_entry(fill, mirror):
    chain = "shift, mirror, Cutout" if mirror else "shift, Cutout"
    description = f"Wu et al. 2020, one candidate, without Mixup: 2 of 16 operations, {chain}"
    return _fixed(WuAugmentation(wu_policy(fill), mirror), description, True)


AUGMENTATIONS = {
    "identity": _fixed(lambda key, image: image, "the image itself: no augmentation"),
    "rotation": AugmentationEntry(
        _rotation("nearest"), 30, 180, "angle uniform in +- STRENGTH degrees, black outside"
    ),
    "rotation-bilinear": AugmentationEntry(
        _rotation("bilinear"), 30, 180, "rotation with bilinear interpolation, which blurs"
    ),
    "flip-crop": AugmentationEntry(
        lambda share: partial(random_shift, share=share),
        1 / 8,
        1,
        "random mirror, then zero padding by STRENGTH of the side and a crop",
    ),
    "noise": AugmentationEntry(
        lambda radius: partial(random_noise_in_ball, radius=radius),
        0.5,
        math.inf,
        "uniform in the ball of radius STRENGTH (Euclidean, pixels in 0..1)",
    ),
    "noise-sphere": AugmentationEntry(
        lambda radius: partial(random_noise_on_sphere, radius=radius),
        0.5,
        math.inf,
        "uniform on the sphere of radius STRENGTH",
    ),
    "noise-gaussian": AugmentationEntry(
        lambda deviation: partial(random_gaussian_noise, deviation=deviation),
        0.1,
        math.inf,
        "normal noise of standard deviation STRENGTH in each pixel",
    ),
    "blur": AugmentationEntry(
        lambda sigma: partial(random_gaussian_blur, sigma=(min(0.1, sigma), sigma)),
        2,
        100,
        "Gaussian, 5 x 5 pixels, of standard deviation uniform in 0.1 .. STRENGTH pixels",
    ),
    "color-jitter": AugmentationEntry(
        lambda s: partial(random_color_jitter, brightness=s, contrast=s, saturation=s),
        0.2,
        10,
        "brightness, contrast and colour by factors uniform in 1 +- STRENGTH, in random order",
        True,
    ),
    "cutout": AugmentationEntry(
        _cutout, 0.5, 2, "a black square of STRENGTH of the side about a random pixel", True
    ),
    "randaugment": AugmentationEntry(
        _randaugment, 9, 30, "RandAugment: 2 of 14 operations at level STRENGTH of 0 .. 30", True
    ),
    "augmix": AugmentationEntry(
        _augmix, 3, 10, "AugMix of severity STRENGTH: 3 chains of 1 to 3 operations, mixed", True
    ),
    **{
        name: _policy_entry(_METHODS[name.partition("-")[0]], policy)
        for name, policy in POLICIES.items()
        if name not in ("randaugment", "augmix")
    },
    **{f"wu-{name}": _wu_entry(*options) for name, options in _WU.items()},
    **{
        f"weak-{name}": _fixed(augmentation, description, augmentation in _RESIZING)
        for name, (augmentation, description) in WEAK.items()
    },
}


def build_augmentation(spec: str) -> Augmentation:
    """Builds an augmentation from its name, `name:strength`, or a user's `module:function`.

    Several joined by "+", as in "weak-cifar10+autoaugment-cifar10", are applied in order, each with
    a key split from the given one. A user's function is function(key, image) -> image; if its
    images may leave [0, 1], it declares that by `leaves_unit_range`.

    Raises:
      InputError: a name is unknown (the message lists the known ones), a strength is not a number
        or out of range, or a part that acts on uint8 pixels, such as a policy, follows one that may
        leave [0, 1]. The message names the part.
      UserCodeError: the user's function fails when it is called.
    """
    names = split_parts(spec)
    if len(names) == 1:
        return _build_part(spec)
    parts: list[Augmentation] = []
    for name in names:
        try:
            parts.append(_build_part(name))
        except UserCodeError:  # already names the part
            raise
        except InputError as error:
            raise InputError(f"part {name!r} of augmentation {spec!r}: {error}") from error
        leaving = [
            n for n, part in zip(names, parts[:-1], strict=False) if may_leave_unit_range(part)
        ]
        if leaving and _acts_on_whole_values(name, parts[-1]):
            raise InputError(
                f"part {name!r} of augmentation {spec!r} acts on uint8 pixels, but follows a part "
                f"whose images may leave [0, 1]: put {leaving[-1]!r} after it"
            )
    return ComposedAugmentation(tuple(names), tuple(parts))


def describe_augmentation(spec: str) -> str:
    """Describes a spec of `build_augmentation` in one line; a user's function is "your own".

    Raises:
      InputError: a part is empty.
    """
    entries = [AUGMENTATIONS.get(name.partition(":")[0]) for name in split_parts(spec)]
    return "; then ".join(entry.description if entry else "your own" for entry in entries)


def _acts_on_whole_values(name, augmentation):
    entry = AUGMENTATIONS.get(name.partition(":")[0])
    return holds_policy(augmentation) if entry is None else entry.whole_values


def _build_part(spec):
    if is_import_path(spec, AUGMENTATIONS):
        function = import_function(spec)
        own = isinstance(function, Drawing | ComposedAugmentation)  # already checks and describes
        return function if own else guarded(spec, function)
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
