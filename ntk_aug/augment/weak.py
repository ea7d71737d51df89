"""The weak augmentations of the data sets: shifts, mirrors, and resized crops.

Lengths are shares of the side: 4 pixels of 32 are 1/8. All but two keep the image's shape.
"""

from functools import partial

import jax

from ntk_aug.aliases import Image, KeyLike
from ntk_aug.augment.floats.cropping import Window, random_crop, random_crop_padded
from ntk_aug.augment.floats.geometry import random_flip_horizontal
from ntk_aug.augment.pixels.resizing import random_resized_crop, resize_short_side
from ntk_aug.augment.value_range import from_pixels, to_pixels
from ntk_aug.randomness import as_key


def random_shift(
    key: KeyLike, image: Image, *, share: float = 1 / 8, mirror: bool = True, mode: str = "zero"
) -> Image:
    """Mirrors with probability 1/2, pads, and crops to the original size at a uniform position.

    `share` is the padding relative to the longer side, `mode` its kind, "zero" or "reflect".
    """
    flip_key, crop_key = jax.random.split(as_key(key))
    padding = int(max(image.shape[:2]) * share)
    mirrored = random_flip_horizontal(flip_key, image) if mirror else image
    return random_crop_padded(crop_key, mirrored, padding, mode=mode)


def random_zoom(key: KeyLike, image: Image) -> Image:
    """Resizes a crop of 8 to 100 % of the area to the image's size, and mirrors at random."""
    flip_key, crop_key = jax.random.split(as_key(key))
    zoomed = random_resized_crop(crop_key, to_pixels(image), *image.shape[:2])
    return random_flip_horizontal(flip_key, from_pixels(zoomed, image.dtype))


def random_part(key: KeyLike, image: Image) -> Window:
    """Crops to 7/8 of each side (56 of 64 pixels), and mirrors at random."""
    flip_key, crop_key = jax.random.split(as_key(key))
    height, width = (side * 7 // 8 for side in image.shape[:2])
    return random_flip_horizontal(flip_key, random_crop(crop_key, image, height, width))


def random_window(key: KeyLike, image: Image) -> Window:
    """Resizes the short side to 256, crops to 224 x 224, and mirrors at random."""
    flip_key, crop_key = jax.random.split(as_key(key))
    window = random_crop(crop_key, resize_short_side(to_pixels(image), 256), 224, 224)
    return random_flip_horizontal(flip_key, from_pixels(window, image.dtype))


_shift = (partial(random_shift, mirror=False), "shift by up to 1/8 of the side")
_mirror_and_shift = (random_shift, "mirror, shift by up to 1/8 of the side")

WEAK = {
    **dict.fromkeys(("digits", "mnist", "svhn_cropped", "svhn"), _shift),
    **dict.fromkeys(("fashion_mnist", "cifar10", "cifar100"), _mirror_and_shift),
    "caltech256": (random_zoom, "random crop resized to the image's size, mirror"),
    "tinyimagenet": (random_part, "crop of 7/8 of the side, mirror; the result is smaller"),
    "imagenet": (random_window, "short side to 256, crop of 224, mirror; the result is 224 x 224"),
}
"""Weak augmentation and description by data set; "svhn" is a short name of "svhn_cropped"."""


def weak_augmentation(dataset_name: str) -> str:
    """Returns the name of a data set's weak augmentation, for `build_augmentation`.

    It is "weak-cifar10" for "cifar10", and "identity" for a data set that is not in `WEAK`.
    """
    return f"weak-{dataset_name}" if dataset_name in WEAK else "identity"
