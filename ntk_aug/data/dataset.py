"""The type of all data sets: labelled examples in memory, usually images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Inputs, Labels
from ntk_aug.checks import check_images, check_labels
from ntk_aug.data.labels import find_classes
from ntk_aug.errors import InputError
from ntk_aug.inputs import cast_inputs, check_inputs, example_shapes, num_examples, take_examples
from ntk_aug.records import fingerprint


@dataclass(frozen=True, eq=False)  # arrays have no single truth value: compare fingerprints
class Dataset:
    """One split of a data set, or a subset of it.

    Attributes:
      name: name or file that it was loaded from.
      split: "train" or "test".
      images: images [n, h, w, c], uint8 (0 .. 255) or floating point (0 .. 1); or other examples: a
        table [n, d] of floats, token ids [n, t], an array of any rank but 4, or a pytree of arrays
        with one n. A network takes those unchanged, and only images can be augmented.
      labels: int32 [n], each in 0 .. num_classes - 1.
      class_names: one name per class.
      indices: int32 [n], the position of each example in its whole split; defaults to 0 .. n - 1.
        Augmentation keys are folded from it, so an example keeps its augmentation in every subset
        and batch.
      mean, std: per channel, of pixels in [0, 1]: the network's input is (pixel - mean) / std. They
        default to 0 and 1 for images; other examples have none.
    """

    name: str
    split: str
    images: Any
    labels: np.ndarray
    class_names: tuple[str, ...]
    indices: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self):
        images = _checked_examples(self.images, self.name)
        if len(set(self.class_names)) < len(self.class_names):
            raise InputError(f"class names of {self.name} are {self.class_names}: one is repeated")
        channels = images.shape[-1] if _are_images(images) else 0
        n = num_examples(images)
        indices = self.indices if np.size(self.indices) else np.arange(n)
        fields = {
            "images": images,
            "labels": check_labels(self.labels, n, len(self.class_names)),
            "indices": np.asarray(indices, np.int32),
            "mean": self.mean or (0.0,) * channels,
            "std": self.std or (1.0,) * channels,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        if self.indices.shape != (n,) or self.indices.min() < 0:
            raise InputError(
                f"indices of {self.name} have shape {self.indices.shape}, expected {n} positions "
                "from 0"
            )
        given = f"normalisation of {self.name} is mean {self.mean}, std {self.std}; expected"
        if not channels and (self.mean or self.std):
            raise InputError(f"{given} none, as its examples are not images [n, h, w, c]")
        numbers = np.array([*self.mean, *self.std])
        fits = len(self.mean) == len(self.std) == channels and np.isfinite(numbers).all()
        if not fits or min(self.std, default=1) <= 0:
            raise InputError(f"{given} {channels} numbers each, the std positive")

    @classmethod
    def from_arrays(
        cls,
        images: Inputs,
        labels: Labels | Sequence[int] | Sequence[str] | np.ndarray,
        *,
        name: str = "arrays",
        split: str = "train",
        class_names: Sequence[str] = (),
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
    ) -> "Dataset":
        """Makes a data set of your own arrays.

        Args:
          images: [n, h, w, c] or [n, h, w], uint8 or floats in [0, 1]; or other examples (see
            `Dataset`), such as a table [n, d] or token ids [n, t].
          labels: [n], integers or texts. The distinct labels, sorted, are the classes 0, 1, ....
            Give `class_names` to both splits of a data set, so that both have the same classes.
          name: name for messages and records.
          split: "train" or "test".
          class_names: names of the classes in the order of the network's outputs. Labels are names,
            or indices 0 .. C - 1 of names; other integers get the names in sorted order.
          mean: per channel, see `Dataset`.
          std: per channel, see `Dataset`.

        Raises:
          InputError: the arrays do not match.

        Example:
          animals = data.Dataset.from_arrays(images, np.array(["cat", "dog", "cat"]))
        """
        if isinstance(images, np.ndarray | jax.Array | list | tuple):
            images = np.asarray(images)
            images = images[..., None] if images.ndim == 3 else images
        classes = find_classes(labels, class_names, what=f"labels of {name}")
        numbers = classes.numbers(labels, f"labels of {name}")
        return cls(name, split, images, numbers, classes.names, mean=mean, std=std)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """The number of classes C."""
        return len(self.class_names)

    @property
    def are_images(self) -> bool:
        """Whether the examples are images, which can be augmented."""
        return _are_images(self.images)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one example of an array: (height, width, channels) for images."""
        if not isinstance(self.images, np.ndarray):
            raise InputError(f"examples of {self.name} are not a single array: see `example`")
        return self.images.shape[1:]

    @property
    def example(self) -> Any:
        """Shape and type of one network input: a `jax.ShapeDtypeStruct`, or a pytree of them."""
        if self.are_images:
            return jax.ShapeDtypeStruct(self.image_shape, np.float32)
        return example_shapes(cast_inputs(self.images, "float32"))

    def take(self, positions: np.ndarray) -> "Dataset":
        """Takes the examples at these positions in order; they keep their classes and indices."""
        return replace(
            self,
            images=take_examples(self.images, positions),
            labels=self.labels[positions],
            indices=self.indices[positions],
        )

    def fingerprint(self) -> str:
        """Returns a sha256 of everything that training on the data set can depend on."""
        if isinstance(self.images, np.ndarray):
            examples = fingerprint(self.images)
        else:
            leaves = jax.tree_util.tree_leaves_with_path(self.images)
            examples = fingerprint([(jax.tree_util.keystr(p), fingerprint(a)) for p, a in leaves])
        arrays = [examples, *(fingerprint(a) for a in (self.labels, self.indices))]
        return fingerprint([arrays, self.class_names, self.mean, self.std])


def _are_images(examples: Any) -> bool:
    return isinstance(examples, np.ndarray) and examples.ndim == 4


def _checked_examples(examples: Any, name: str) -> Any:
    """Checks examples; those that are not images get the types of `check_inputs`."""
    if isinstance(examples, jax.Array | list | tuple):
        examples = np.asarray(examples)
    if not _are_images(examples):
        if isinstance(examples, np.ndarray) and examples.ndim == 1:
            raise InputError(
                f"examples of {name} have shape {examples.shape}, expected [n, ...]; "
                "images are [n, height, width, channels]"
            )
        examples = check_inputs(examples, f"examples of {name}")
        # uint8 that are not images are numbers, such as token ids.
        return jax.tree.map(lambda a: a.astype(np.int32) if a.dtype == np.uint8 else a, examples)
    images = check_images(examples, f"images of {name}")
    if images.dtype != np.uint8 and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            f"images of {name} range from {images.min():g} to {images.max():g}, "
            "expected floating point in [0, 1], or uint8"
        )
    return images


def unit_range(images: Inputs) -> Inputs:
    """Converts images [n, h, w, c] to float32 in [0, 1]: uint8 is divided by 255, floats are cast.

    Quotients are the nearest float32, inside and outside jit. Other examples keep their values;
    floats are cast to float32.

    Raises:
      InputError: uint8 is not [n, h, w, c].
    """
    if getattr(images, "dtype", None) == np.uint8:
        if images.ndim != 4:
            raise InputError(
                f"images have shape {images.shape}, expected [n, height, width, channels]"
            )
        values = jnp.asarray(images, jnp.float32)
        # XLA replaces a division by a constant by a multiplication with its rounded inverse, which
        # is wrong for half of the 256 values. This divisor is not a constant.
        return values / jnp.where(values < 0, 1, 255)
    return cast_inputs(jax.tree.map(jnp.asarray, images), "float32")


def normalize(images: Inputs, mean: tuple[float, ...], std: tuple[float, ...]) -> Inputs:
    """Computes (x - mean) / std per channel, for images [..., h, w, c] in [0, 1].

    Without mean and std, as for examples that are not images, it returns its input.
    """
    if not mean and not std:
        return images
    return (images - jnp.asarray(mean, images.dtype)) / jnp.asarray(std, images.dtype)
