"""The inputs of a study and their augmented versions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx

from ntk_aug.aliases import Array, Augmentation, Float64, Inputs, Int, KeyLike
from ntk_aug.augment import augment_batch, build_augmentation
from ntk_aug.augment.value_range import may_leave_unit_range
from ntk_aug.checks import check_images, check_same_shape
from ntk_aug.errors import InputError, UserCodeError
from ntk_aug.inputs import cast_inputs, check_inputs, num_examples
from ntk_aug.models import ModelView, as_view
from ntk_aug.randomness import as_key

# Interpolation may round above 1; a step between two pixel values is 1 / 255.
_ROUNDING = 1e-4

AugmentationsLike = Any
"""A name, names, or a mapping from names; see `named_augmentations`."""


def as_views(networks: Any) -> list[ModelView]:
    """The evaluation views of one network, or of several.

    A tuple is one network if it is a `ModelView`, (Linen module, variables) or (function,
    parameters); any other tuple or list is several.
    """
    if not isinstance(networks, list | tuple) or isinstance(networks, ModelView):
        return [as_view(networks)]
    first = networks[0] if networks else None
    is_pair = isinstance(networks, tuple) and len(networks) == 2
    of_module = isinstance(first, nn.Module) and isinstance(networks[-1], Mapping)
    of_function = callable(first) and not isinstance(first, nn.Module | nnx.Module)
    if is_pair and (of_module or of_function):
        return [as_view(networks)]
    return [as_view(network) for network in networks]


def named_augmentations(augmentations: AugmentationsLike) -> dict[str, Augmentation]:
    """The augmentations by their names in the result.

    They are given as a name such as "noise:0.5" (see `augment.build_augmentation`), several names,
    or a mapping from your own names to functions (key, image) -> image, or to such names. Raises
    InputError for anything else, or a repeated name.
    """
    if isinstance(augmentations, str):
        augmentations = [augmentations]
    if not isinstance(augmentations, Mapping | Sequence):
        raise InputError(
            f"augmentations are {type(augmentations).__name__}, expected a name such as "
            "'noise:0.5', a list of names, or a mapping from names to functions (key, image)"
        )
    if not isinstance(augmentations, Mapping):
        for name in augmentations:
            if not isinstance(name, str):
                raise InputError(
                    f"the list of augmentations holds {type(name).__name__}, expected names such "
                    "as 'noise:0.5'; pass functions in a mapping from names"
                )
        if len(set(augmentations)) < len(augmentations):
            raise InputError(f"the augmentations are {list(augmentations)}: one is repeated")
        augmentations = {name: name for name in augmentations}
    found = {}
    for name, augmentation in augmentations.items():
        built = build_augmentation(augmentation) if isinstance(augmentation, str) else augmentation
        if not callable(built):
            raise InputError(
                f"augmentation {name!r} is {type(built).__name__}, expected a function "
                "(key, image) -> image"
            )
        found[str(name)] = built
    return found


def check_study_inputs(inputs: Any) -> Inputs:
    """The inputs, with floating-point leaves in float32.

    Raises InputError as `check_inputs`, and for images of uint8 or outside [0, 1].
    """
    if not is_images(inputs):
        return cast_inputs(check_inputs(inputs, "inputs"), "float32")
    images = check_images(inputs)
    if images.dtype == np.uint8:
        raise InputError("images are uint8, expected floats in [0, 1]: see data.unit_range")
    if not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            f"images range from {images.min():g} to {images.max():g}, expected 0 to 1; normalise "
            "them in preprocess"
        )
    return images.astype(np.float32)


def is_images(inputs: Any) -> bool:
    """Whether the inputs are one array [n, h, w, c] of floats or uint8."""
    if not hasattr(inputs, "dtype") or np.ndim(inputs) != 4:
        return False
    return inputs.dtype == np.uint8 or jnp.issubdtype(inputs.dtype, jnp.floating)


class AugmentedVersions:
    """Network inputs of every augmentation and draw, in this order; each pass draws anew."""

    def __init__(
        self,
        augmentations: Mapping[str, Augmentation],
        key: KeyLike,
        inputs: Inputs,
        indices: Int[Array, " n"],
        preprocess: Callable[[Inputs], Inputs],
    ):
        """Compiles nothing yet; arguments are those of `study_spectrum`."""
        check_same_shape(indices.shape, (num_examples(inputs),), "indices")
        self._augmentations = augmentations
        self._programs = {
            name: jax.jit(partial(augment_batch, augmentation, as_key(key)))
            for name, augmentation in augmentations.items()
        }
        self._inputs, self._indices, self._preprocess = inputs, indices, preprocess

    def __call__(self, draws: int) -> Iterator[Inputs]:
        """Yields the versions.

        Raises InputError that names an augmentation that fails, leaves [0, 1], or is not finite.
        """
        for name, program in self._programs.items():
            for draw in range(draws):
                try:
                    version = program(self._inputs, self._indices, draw=draw)
                except UserCodeError as error:
                    if str(error).startswith(name):  # of module:function
                        raise
                    message = f"augmentation {name!r}: {error}"
                    traceback = error.user_traceback
                    raise UserCodeError(message, user_traceback=traceback) from error.__cause__
                except InputError as error:
                    raise InputError(f"augmentation {name!r}: {error}") from error
                self._check_range(name, version)
                yield check_inputs(
                    jax.tree.map(np.asarray, self._preprocess(version)),
                    f"images augmented by {name}",
                )

    def _check_range(self, name, version):
        if not is_images(version) or may_leave_unit_range(self._augmentations[name]):
            return
        lowest, highest = float(version.min()), float(version.max())
        if not np.isfinite([lowest, highest]).all():
            return  # check_inputs names the first such image
        if lowest < -_ROUNDING or highest > 1 + _ROUNDING:
            raise InputError(
                f"images augmented by {name!r} range from {lowest:g} to {highest:g}, expected 0 to "
                "1; if that is intended, declare it by augment.leaves_unit_range(function)"
            )


def distances(inputs: Inputs, others: Inputs | None = None) -> Float64[np.ndarray, " n"]:
    """Euclidean distance of each example from its counterpart, or from zero, over all float leaves.

    NaN for integer inputs, such as token ids.
    """
    total, counted = np.zeros(num_examples(inputs)), False
    pairs = jax.tree.leaves(inputs), jax.tree.leaves(inputs if others is None else others)
    for leaf, other in zip(*pairs, strict=True):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            difference = leaf if others is None else leaf - other
            flat = difference.reshape(len(leaf), -1).astype(np.float64)
            total += (flat**2).sum(axis=1)
            counted = True
    return np.sqrt(total) if counted else np.full_like(total, np.nan)
