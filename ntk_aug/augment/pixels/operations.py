"""The operations of policies, by name: a new operation is one more entry of `OPERATIONS`.

They act on uint8 images [h, w, c] with 1 or 3 channels, and equal Pillow's pixel by pixel.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ntk_aug.aliases import Image, Int, IntLike, KeyArray, KeyLike, PixelImage
from ntk_aug.augment.pixels import affine, color, cutout
from ntk_aug.augment.pixels.dispatch import choose_by_image
from ntk_aug.augment.pixels.packing import PARAMETER_COUNT, Fill, Parameters, pack, pack_fill
from ntk_aug.augment.value_range import check_pixels, from_pixels, to_pixels
from ntk_aug.checks import check_at_least, check_choice
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key


class Operation(NamedTuple):
    """A named operation.

    Attributes:
      parameters: (magnitude, height, width, packed fill value) -> integers for `apply`, computed on
        the host in float64.
      apply: (image, parameters) -> image, on the device. Operations that share it share a branch.
      minimum: smallest magnitude.
      maximum: largest magnitude; equal to the smallest if the operation takes none.
      unit: unit of the magnitude, in words.
      place: (key, parameters, height, width) -> parameters, if the operation draws a position.
    """

    parameters: Callable[[float, int, int, int], np.ndarray]
    apply: Callable[[PixelImage, Parameters], PixelImage]
    minimum: float = 0
    maximum: float = 0
    unit: str = ""
    place: Callable[[KeyArray, Parameters, int, int], Parameters] | None = None


def _identity(image, parameters):
    del parameters
    return image


def _plain(function, *, apply=color.apply_pointwise, **options):
    """An operation whose parameters do not depend on the image's size."""
    if options.get("maximum", 0) == options.get("minimum", 0):
        return Operation(lambda magnitude, height, width, fill: function(), apply, **options)
    return Operation(lambda magnitude, height, width, fill: function(magnitude), apply, **options)


def _enhancer(apply):
    unit = "factor, 1 changes nothing"
    return _plain(color.blend_parameters, apply=apply, minimum=-100, maximum=100, unit=unit)


def _geometric(matrix, maximum, unit, interpolation):
    """An affine map; `matrix` takes the magnitude and the size."""
    make, apply = affine.RESAMPLING[interpolation]

    def parameters(magnitude, height, width, fill):
        return make(matrix(magnitude, height, width), height, width, fill)

    return Operation(parameters, apply, -maximum, maximum, unit)


def _cutout(rule):
    def parameters(magnitude, height, width, fill):
        return cutout.cutout_parameters(int(magnitude), rule=rule, fill=fill)

    options = {"maximum": 2**14, "unit": "side in pixels", "place": cutout.place_cutout}
    return Operation(parameters, cutout.apply_cutout, **options)


_GEOMETRIC = {
    "Rotate": (360, "degrees, counter-clockwise"),
    "ShearX": (10, "columns per row"),
    "ShearY": (10, "rows per column"),
    "TranslateX": (2**14, "pixels to the left"),
    "TranslateY": (2**14, "pixels up"),
}

OPERATIONS = {
    "Identity": _plain(pack, apply=_identity),
    "AutoContrast": _plain(pack, apply=color.apply_autocontrast),
    "Equalize": _plain(pack, apply=color.apply_equalize),
    "Invert": _plain(color.invert_parameters),
    "Posterize": _plain(color.posterize_parameters, maximum=8, unit="bits kept, 0 is black"),
    "Solarize": _plain(color.solarize_parameters, maximum=256, unit="threshold"),
    "SolarizeAdd": _plain(color.solarize_add_parameters, maximum=255, unit="addend"),
    "Brightness": _enhancer(color.apply_brightness),
    "Contrast": _enhancer(color.apply_contrast),
    "Color": _enhancer(color.apply_color),
    "Sharpness": _enhancer(color.apply_sharpness),
    **{
        name if interpolation == "nearest" else f"{name}-{interpolation}": _geometric(
            affine.MATRICES[name], maximum, unit, interpolation
        )
        for interpolation in affine.RESAMPLING
        for name, (maximum, unit) in _GEOMETRIC.items()
    },
    "Cutout": _cutout("clipped"),
    "Cutout-shifted": _cutout("shifted"),
}


def operation_parameters(
    name: str, magnitudes: ArrayLike, height: int, width: int, *, fill: Fill = 0
) -> Int[np.ndarray, "*grid 13"]:
    """Computes the parameters of `apply_operation` for one magnitude or an array, on the host.

    Magnitudes are signed and in the operation's unit; an operation that takes none ignores them.
    `fill` is the colour of pixels from outside the image, or of Cutout's square. Raises InputError
    if the name is unknown, or a magnitude is out of range.
    """
    operation = OPERATIONS[check_choice(name, OPERATIONS, "operation")]
    packed = pack_fill(fill)
    grid = np.asarray(magnitudes, np.float64)
    if operation.minimum < operation.maximum:
        for magnitude in grid.ravel():
            if not operation.minimum <= magnitude <= operation.maximum:
                raise InputError(
                    f"magnitude {magnitude:g} of {name} is outside "
                    f"{operation.minimum:g} .. {operation.maximum:g} ({operation.unit})"
                )
    rows = [operation.parameters(float(m), height, width, packed) for m in grid.flat]
    return np.stack(rows).reshape(*grid.shape, PARAMETER_COUNT)


def place_operation(
    key: KeyLike,
    operation: IntLike,
    parameters: Parameters,
    height: int,
    width: int,
    *,
    operations: Sequence[str],
) -> Parameters:
    """Draws the position of an operation that has one, Cutout; others keep their parameters."""
    key, parameters = as_key(key), jnp.asarray(parameters)
    for index, name in enumerate(operations):
        place = OPERATIONS[name].place
        if place is not None:
            placed = place(key, parameters, height, width)
            parameters = jnp.where(operation == index, placed, parameters)
            key = jax.random.clone(key)  # only one position is used, so they may share a key
    return parameters


def branches_of(operations: Sequence[str]) -> tuple[list, np.ndarray]:
    """The distinct functions of the operations, and the index of each operation's function."""
    functions = list(dict.fromkeys(OPERATIONS[name].apply for name in operations))
    return functions, np.asarray([functions.index(OPERATIONS[name].apply) for name in operations])


def apply_operation(
    image: PixelImage, operation: IntLike, parameters: Parameters, *, operations: Sequence[str]
) -> PixelImage:
    """Applies one of several operations, chosen on the device.

    `operation` is an index into `operations`, which are keys of OPERATIONS; `parameters` come from
    `operation_parameters`. Under `vmap` this is a loop or computes all operations, as suits the
    backend: see `dispatch`. Raises InputError if the image is not uint8 [h, w, 1 or 3], or a name
    is unknown.
    """
    check_pixels(image)
    for name in operations:
        check_choice(name, OPERATIONS, "operation")
    functions, branch = branches_of(operations)
    return choose_by_image(functions, jnp.asarray(branch)[operation], image, parameters)


def random_operation(
    key: KeyLike,
    image: Image,
    name: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    levels: int = 1001,
    fill: Fill = 0,
) -> Image:
    """Applies a named operation with a random magnitude, and at a random position if it has one.

    The magnitude is one of `levels` equally spaced ones, whose parameters the host computes in
    float64, so the pixels equal Pillow's for the same draw.

    Args:
      key: random key of this image.
      image: floats in [0, 1], 1 or 3 channels; rounded to uint8.
      name: a key of OPERATIONS.
      minimum: smallest magnitude, in the operation's unit; defaults to the operation's.
      maximum: largest magnitude; defaults to the operation's.
      levels: number of magnitudes.
      fill: colour of pixels from outside the image, or of Cutout's square.

    Raises:
      InputError: the name is unknown, a magnitude is out of range, or the image is not in [0, 1].
    """
    operation = OPERATIONS[check_choice(name, OPERATIONS, "operation")]
    check_at_least(levels, 1, "the number of levels")
    low = operation.minimum if minimum is None else minimum
    high = operation.maximum if maximum is None else maximum
    if not low <= high:
        raise InputError(f"magnitudes of {name} are {low:g} to {high:g}, expected low <= high")
    pixels = to_pixels(image)
    height, width, _ = pixels.shape
    table = operation_parameters(name, np.linspace(low, high, levels), height, width, fill=fill)
    level_key, place_key = jax.random.split(as_key(key))
    drawn = jnp.asarray(table)[jax.random.randint(level_key, (), 0, levels)]
    parameters = place_operation(place_key, 0, drawn, height, width, operations=(name,))
    changed = apply_operation(pixels, 0, parameters, operations=(name,))
    return from_pixels(changed, image.dtype)
