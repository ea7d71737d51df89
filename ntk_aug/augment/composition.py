"""Composition of several augmentations, each with its own key."""

import functools
import re
from contextlib import suppress
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from ntk_aug.aliases import Augmentation, Image, KeyLike
from ntk_aug.augment.policies.augmentation import Drawing
from ntk_aug.augment.value_range import CHANNELS, may_leave_unit_range
from ntk_aug.errors import InputError, UserCodeError
from ntk_aug.randomness import as_key

# A part ends at a "+" or at the end, but the sign and exponent of a strength may hold a "+".
_PART = re.compile(r"((?::[+-]?[\d._]+(?:[eE][+-]?\d+)?|[^+])*)(?:\+|$)")


def split_parts(spec: str) -> list[str]:
    """Splits "name+name:strength+module:function"; raises InputError if a part is empty."""
    parts, end = [], -1  # as if a "+" stood before the first part
    while end < len(spec):
        found = _PART.match(spec, end + 1)
        assert found is not None  # the pattern matches at every place
        parts.append(found.group(1))
        end = found.end(1)
    if len(parts) > 1 and "" in parts:
        raise InputError(f"augmentation {spec!r} has an empty part, expected names joined by '+'")
    return parts


@dataclass(frozen=True)
class ComposedAugmentation:
    """Applies its parts in order, each with its own key split from the given one.

    Attributes:
      names: names of the parts, for messages.
      parts: augmentations of one image.
      leaves_unit_range: whether a part may leave [0, 1].
    """

    names: tuple[str, ...]
    parts: tuple[Augmentation, ...]
    leaves_unit_range: bool = field(init=False)

    def __post_init__(self):
        leaves = any(map(may_leave_unit_range, self.parts))
        object.__setattr__(self, "leaves_unit_range", leaves)

    def __call__(self, key: KeyLike, image: Image) -> Image:
        """Augments an image; an InputError of a part names the part."""
        keys = jax.random.split(as_key(key), len(self.parts))
        for name, part, own in zip(self.names, self.parts, keys, strict=True):
            try:
                image = part(own, image)
            except UserCodeError:  # names the user's function itself
                raise
            except InputError as error:
                raise InputError(f"part {name!r}: {error}") from error
        return image

    def describe(self, key: KeyLike, height: int, width: int) -> str:
        """Describes a call with this key; parts without `describe` give their name."""
        keys = jax.random.split(as_key(key), len(self.parts))
        sizes = _sizes(self.parts, height, width)
        told = []
        for name, part, own, size in zip(self.names, self.parts, keys, sizes, strict=True):
            describe = getattr(part, "describe", None)
            told.append(name if describe is None else describe(own, *size))
        return " + ".join(told)


def holds_policy(augmentation: Augmentation) -> bool:
    """Whether the augmentation is or contains a policy, which acts on uint8 pixels."""
    if isinstance(augmentation, ComposedAugmentation):
        return any(map(holds_policy, augmentation.parts))
    return isinstance(augmentation, Drawing)


@functools.lru_cache(maxsize=16)
def _sizes(parts, height, width):
    """(h, w) of the image that each part takes."""
    sizes = [(height, width)]
    for part in parts[:-1]:
        sizes.append(_size_after(part, *sizes[-1]))
    return sizes


def _size_after(part, height, width):
    for channels in CHANNELS:
        image = jax.ShapeDtypeStruct((height, width, channels), jnp.float32)
        with suppress(InputError):  # a user's function may take only one number of channels
            return jax.eval_shape(part, jax.random.key(0), image).shape[:2]
    return height, width
