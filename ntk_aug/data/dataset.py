"""Labelled images in memory: what every data set becomes."""

from dataclasses import dataclass, field, replace

import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Images, Shaped
from ntk_aug.checks import InputError, check_images, check_labels
from ntk_aug.records import fingerprint

SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)  # arrays have no single truth value: compare fingerprints
class Dataset:
    """One split of a data set, or a subset of it.

    Attributes:
      name: the name it is loaded by, or the file it came from.
      split: "train" or "test".
      images: [n, h, w, c], uint8 (0 .. 255) or floating point (0 .. 1).
      labels: int32 [n], each in 0 .. num_classes - 1.
      class_names: one name per class.
      indices: int32 [n], the place of each example in its whole split. Augmentation keys are folded
        from it, so that an example keeps its augmentation in every subset and batch.
        Empty: 0 .. n - 1.
      mean, std: per channel, of pixels in [0, 1]: the network's input is (pixel - mean) / std.
        Empty: 0 and 1.
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    indices: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self):
        images = check_images(self.images, f"images of {self.name}")
        if images.dtype != np.uint8 and not (images.min() >= 0 and images.max() <= 1):
            raise InputError(
                f"images of {self.name} range from {images.min():g} to {images.max():g}, "
                "expected floating point in [0, 1], or uint8"
            )
        if len(set(self.class_names)) < len(self.class_names):
            raise InputError(f"class names of {self.name} are {self.class_names}: one stands twice")
        channels = images.shape[-1]
        fields = {
            "images": images,
            "labels": check_labels(self.labels, len(images), len(self.class_names)),
            "indices": self.indices if np.size(self.indices) else np.arange(len(images)),
            "mean": self.mean or (0.0,) * channels,
            "std": self.std or (1.0,) * channels,
        }
        fields["indices"] = np.asarray(fields["indices"], np.int32)
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        if self.indices.shape != (len(images),) or self.indices.min() < 0:
            raise InputError(
                f"indices of {self.name} have shape {self.indices.shape}, expected {len(images)} "
                "places from 0"
            )
        numbers = np.array([*self.mean, *self.std])
        fits = len(self.mean) == len(self.std) == channels and np.isfinite(numbers).all()
        if not fits or min(self.std) <= 0:
            raise InputError(
                f"normalisation of {self.name} is mean {self.mean}, std {self.std}; expected "
                f"{channels} numbers each, the std positive"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """How many classes there are: the outputs C of a network for it."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.images.shape[1:]

    def take(self, positions: np.ndarray) -> "Dataset":
        """The examples at these positions, in their order; classes and indices are kept."""
        return replace(
            self,
            images=self.images[positions],
            labels=self.labels[positions],
            indices=self.indices[positions],
        )

    def fingerprint(self) -> str:
        """A sha256 of everything that a network trained on it can depend on."""
        arrays = [fingerprint(a) for a in (self.images, self.labels, self.indices)]
        return fingerprint([arrays, self.class_names, self.mean, self.std])


def unit_range(images: Shaped[Array, "n h w c"]) -> Images:
    """Images as float32 in [0, 1]: uint8 is divided by 255, floating point only cast."""
    if images.dtype == np.uint8:
        return jnp.asarray(images, jnp.float32) / 255
    return jnp.asarray(images, jnp.float32)


def normalize(images: Images, mean: tuple[float, ...], std: tuple[float, ...]) -> Images:
    """The network's input (x - mean) / std, per channel, from images [..., h, w, c] in [0, 1]."""
    return (images - jnp.asarray(mean, images.dtype)) / jnp.asarray(std, images.dtype)
