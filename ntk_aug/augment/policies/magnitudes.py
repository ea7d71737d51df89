"""Mappings from a policy's levels to magnitudes, by name, because implementations differ.

A mapping also says which operations draw a sign. Lengths in pixels scale with the image's side:
those published for 32 pixels are shares of the side.

Integer magnitudes (pixels, bits) are truncated from numbers that may be within rounding of the next
integer. The mappings of torchvision ("torchvision", "randaugment", "trivialaugment") truncate the
float32 of `torch.linspace`: 15 pixels, not 16, at TrivialAugment's level 15. All others use exact
arithmetic.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ntk_aug.checks import check_choice
from ntk_aug.errors import InputError


class Magnitudes(NamedTuple):
    """A mapping from levels to magnitudes.

    Attributes:
      num_levels: levels are 0 .. num_levels - 1.
      compute: (level, sign +1 or -1, side in pixels) -> magnitude by family of operations (shear,
        translate, rotate, enhance, solarize, posterize, ...). A policy draws the sign with
        probability 1/2; families without a sign ignore it.
      description: one line.
    """

    num_levels: int
    compute: Callable[[int, int, int], Mapping[str, float]]
    description: str


FAMILIES = {
    **dict.fromkeys(("ShearX", "ShearY"), "shear"),
    **dict.fromkeys(("TranslateX", "TranslateY"), "translate"),
    **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), "enhance"),
    "Rotate": "rotate",
    "Solarize": "solarize",
    "SolarizeAdd": "solarize_add",
    "Posterize": "posterize",
    "Cutout": "cutout",
}
"""Family of each operation that takes a magnitude; "ShearX-bilinear" is in that of "ShearX"."""


def family_of(operation: str) -> str | None:
    """The family of an operation, or None if it takes no magnitude."""
    return FAMILIES.get(operation.partition("-")[0])


def _research(i, sign, side):
    return {
        "shear": sign * 0.3 * i / 10,
        "translate": sign * int(i * side / 32),
        "rotate": sign * int(30 * i / 10),
        "enhance": 1.8 * i / 10 + 0.1,
        "solarize": 256 - int(256 * i / 10),
        "posterize": 4 - int(4 * i / 10),
        "cutout": int(2 * i * side / 32),
    }


def _deepvoltaire(i, sign, side):
    t = i / 9
    return {
        "shear": sign * 0.3 * t,
        "translate": sign * 150 / 331 * side * t,
        "rotate": sign * 30 * t,
        "enhance": 1 + sign * 0.9 * t,
        "solarize": 256 * (9 - i) / 9,
        "posterize": 8 - round(4 * t),
    }


def _torchvision(num_levels):
    """AutoAugment and RandAugment of torchvision, whose last level is the end of the range."""

    def compute(i, sign, side):
        return {
            "shear": sign * _linspace(0, 0.3, num_levels, i),
            "translate": sign * int(_linspace(0, 150 / 331 * side, num_levels, i)),
            "rotate": sign * _linspace(0, 30, num_levels, i),
            "enhance": 1 + sign * _linspace(0, 0.9, num_levels, i),
            "solarize": _linspace(255, 0, num_levels, i),
            "posterize": 8 - round(4 * i / (num_levels - 1)),
        }

    return compute


def _linspace(start: float, end: float, num: int, i: int) -> float:
    """Value i of torch.linspace(start, end, num), which is in float32.

    It counts steps from the nearer end. The step is rounded to float32. Product and sum are rounded
    once, as processors fuse them.
    """
    first, last = np.float32(start), np.float32(end)
    step = float((last - first) / np.float32(num - 1))
    near, steps = (first, i) if i < num // 2 else (last, i - (num - 1))
    return float(np.float32(float(near) + steps * step))


def _timm(i, sign, side):
    return {
        "shear": sign * 0.3 * i / 10,
        "translate": sign * 25 * i * side / 224,
        "rotate": sign * 3 * i,
        "enhance": 1.8 * i / 10 + 0.1,
        "solarize": int(256 * i / 10),
        "posterize": 4 + int(4 * i / 10),
        "solarize_add": min(128, int(110 * i / 10)),
    }


def _timm_reversed(i, sign, side):
    return {**_timm(i, sign, side), "posterize": 4 - int(4 * i / 10)}


def _timm_v0(i, sign, side):
    return {
        **_timm(i, sign, side),
        "translate": sign * 0.045 * i * side,
        "posterize": int(4 * i / 10),
        "solarize_add": int(110 * i / 10),
        "cutout": 2 * int(100 * i / 10 * side / 224),
    }


def _trivialaugment(s, sign, side):
    return {
        "shear": sign * _linspace(0, 0.99, 31, s),
        "translate": sign * int(_linspace(0, min(32, side), 31, s)),
        "rotate": sign * _linspace(0, 135, 31, s),
        "enhance": 1 + sign * _linspace(0, 0.99, 31, s),
        "solarize": _linspace(255, 0, 31, s),
        "posterize": 8 - round(6 * s / 30),
    }


def _trivialaugment_original(s, sign, side):
    return {
        "shear": sign * 0.99 * s / 30,
        "translate": sign * int(min(32, side) * s / 30),
        "rotate": sign * int(135 * s / 30),
        "enhance": 0.01 + 1.99 * s / 30,
        "solarize": 256 - int(256 * s / 30),
        "posterize": 8 - int(6 * s / 30),
    }


def _wu(k, sign, side):
    t = k / 1000
    return {
        "shear": sign * 0.3 * t,
        "translate": sign * 10 * t * side / 32,
        "rotate": sign * 30 * t,
        "enhance": 0.1 + 1.8 * t,
        "solarize": 256 * t,
        "posterize": int(4 * k / 1000),
        "cutout": int(16 * k * side / 32_000),
    }


AUGMIX_LEVELS = 1001


def augmix_magnitudes(severity: float) -> Magnitudes:
    """AugMix's mapping: levels from 0.1 to the severity (published: 3 for CIFAR, 1 for ImageNet).

    The published level is any real number of that range; here it is one of 1,001. Raises InputError
    if the severity is not in 0.1 .. 10.
    """
    if not 0.1 <= severity <= 10:
        raise InputError(f"the severity of AugMix is {severity:g}, expected 0.1 to 10")

    def compute(k, sign, side):
        level = 0.1 + (severity - 0.1) * k / (AUGMIX_LEVELS - 1)
        return {
            "shear": sign * level * 0.3 / 10,
            "translate": sign * int(level * (side / 3) / 10),
            "rotate": sign * int(level * 30 / 10),
            "enhance": level * 1.8 / 10 + 0.1,
            "solarize": 256 - int(level * 256 / 10),
            "posterize": 4 - int(level * 4 / 10),
        }

    return Magnitudes(AUGMIX_LEVELS, compute, f"AugMix, severity {severity:g}")


MAGNITUDES = {
    "torchvision": Magnitudes(
        10, _torchvision(10), "shares i/9 of the range; enhancers 1 +- 0.9 i/9; the default"
    ),
    "deepvoltaire": Magnitudes(
        10, _deepvoltaire, "as torchvision, but fractional translations and thresholds from 256"
    ),
    "research": Magnitudes(
        10, _research, "the authors' code: shares i/10; enhancers 0.1 + 0.18 i; no sign"
    ),
    "timm-original": Magnitudes(
        10, _timm, "literal ranges: posterize and solarize get weaker with the level"
    ),
    "timm-originalr": Magnitudes(
        10, _timm_reversed, "as timm-original, but posterize of the authors' code"
    ),
    "timm-v0": Magnitudes(11, _timm_v0, "of the TPU models: posterize 0 to 4 bits; levels to 10"),
    "randaugment": Magnitudes(
        31, _torchvision(31), "RandAugment of torchvision: as torchvision, with 31 levels"
    ),
    "trivialaugment": Magnitudes(
        31,
        _trivialaugment,
        "TrivialAugment-Wide of torchvision; translation by 32 pixels, or the side if it is less",
    ),
    "trivialaugment-original": Magnitudes(
        31, _trivialaugment_original, "TrivialAugment-Wide of its authors"
    ),
    "wu": Magnitudes(1001, _wu, "Wu et al. 2020: level k/1000"),
    "augmix": augmix_magnitudes(3),
}


def magnitude_of(
    operation: str, level: int, *, sign: int = 1, height: int, width: int, mapping: str | Magnitudes
) -> float | None:
    """Returns the magnitude of an operation at a level, or None if it takes none.

    A sign of 1 or -1 has no effect on operations without a sign in this mapping. Height and width
    of the image are in pixels: TranslateX is relative to the width, TranslateY to the height, and
    others to the shorter side. The mapping is a key of MAGNITUDES, or your own. Raises InputError
    if the mapping is unknown, lacks the operation, or does not have this level.
    """
    magnitudes = find_magnitudes(mapping)
    family = family_of(operation)
    if family is None:
        return None
    if not 0 <= level < magnitudes.num_levels:
        raise InputError(
            f"level {level} of {operation} is not in 0 .. {magnitudes.num_levels - 1} of mapping "
            f"{mapping_name(mapping)!r}"
        )
    sides = {"TranslateX": width, "TranslateY": height}
    side = sides.get(operation.partition("-")[0], min(height, width))
    values = magnitudes.compute(level, sign, side)
    if family not in values:
        raise InputError(f"mapping {mapping_name(mapping)!r} has no magnitudes for {operation}")
    return values[family]


def find_magnitudes(mapping: str | Magnitudes) -> Magnitudes:
    """Returns the mapping of that name, or the mapping itself."""
    if isinstance(mapping, Magnitudes):
        return mapping
    return MAGNITUDES[check_choice(mapping, MAGNITUDES, "mapping of magnitudes")]


def mapping_name(mapping: str | Magnitudes) -> str:
    """Returns the name of a mapping for messages and tables."""
    return mapping if isinstance(mapping, str) else mapping.description
