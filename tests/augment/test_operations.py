import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pillow_operations import extreme_images, pillow_operation, to_pillow

from ntk_aug import augment, data
from ntk_aug.augment.pixels import color
from ntk_aug.augment.pixels.operations import apply_operation, operation_parameters, place_operation
from ntk_aug.errors import InputError

pytestmark = pytest.mark.usefixtures("optimized_compiler")

NAMES = tuple(name for name in augment.OPERATIONS if not name.startswith("Cutout"))
NO_MAGNITUDE = (0,)
FACTORS = (-0.5, 0, 0.01, 0.1, 0.28, 0.46, 0.9, 1, 1.1, 1.27, 1.9, 3)
SHEARS = (-0.99, -0.3, -0.2, 0, 1e-6, 0.0333, 0.1, 0.15, 0.3)
SHIFTS = (-9.67, -3, -0.5, np.nextafter(-0.5, -1), 0, 0.49, np.nextafter(0.5, 0), 0.5, 3.5, 6.45)
FAST = {
    "Posterize": (1, 3, 4, 8),
    "Solarize": (0, 0.5, 77, 141.67, 255, 256),
    "SolarizeAdd": (0, 11, 110, 255),
    "Rotate": (-135, -30, -16.67, 0, 3.33, 13.3, 45, 90, 180, 270),
    **dict.fromkeys(("Brightness", "Contrast", "Color", "Sharpness"), FACTORS),
    **dict.fromkeys(("ShearX", "ShearY"), SHEARS),
    **dict.fromkeys(("TranslateX", "TranslateY"), SHIFTS),
}


def wide(side):
    """All that the policies and papers use, and more between."""
    shear = np.r_[np.linspace(-0.99, 0.99, 41), 0.3 * np.arange(1, 10) / 9]
    shift = np.r_[
        np.linspace(-side / 2, side / 2, 41), 150 / 331 * side * np.arange(10) / 9, SHIFTS
    ]
    factor = np.r_[np.linspace(-1, 3, 41), 1 + 0.1 * np.arange(-9, 10), 0.1 + 0.18 * np.arange(10)]
    return {
        "Posterize": range(1, 9),
        "Solarize": np.r_[np.linspace(0, 256, 37), np.linspace(255, 0, 10)],
        "SolarizeAdd": range(0, 256, 15),
        "Rotate": np.r_[np.linspace(-360, 360, 49), np.linspace(-30, 30, 31), 135 / 30 * 7],
        **dict.fromkeys(("Brightness", "Contrast", "Color", "Sharpness"), factor),
        **dict.fromkeys(("ShearX", "ShearY"), shear),
        **dict.fromkeys(("TranslateX", "TranslateY"), shift),
    }


@jax.jit
def apply_all(images, place, operations, parameters):
    """One case for each place in `images`, all operations in one program."""

    def one(place, operation, parameters):
        return apply_operation(images[place], operation, parameters, operations=NAMES)

    return jax.vmap(one)(place, operations, parameters)


def differing(images, grid, fill=0, pillow_fill=None):
    """From each operation to the values that differ from Pillow's, and how many were compared."""
    images = np.asarray(images)
    n, (height, width, _) = len(images), images.shape[1:]
    found = collections.Counter()
    cases, operations, tables = [], [], []
    for number, name in enumerate(NAMES):
        magnitudes = [float(m) for m in grid.get(name.split("-")[0], NO_MAGNITUDE)]
        table = operation_parameters(name, magnitudes, height, width, fill=fill)
        tables.append(np.repeat(table, n, axis=0))
        operations += [number] * (n * len(magnitudes))
        cases += [(name, magnitude, image) for magnitude in magnitudes for image in range(n)]
    place = np.asarray([image for _, _, image in cases])
    tables = np.concatenate(tables)
    compared = 0
    for start in range(0, len(cases), 5000):  # bounds the memory
        block = slice(start, start + 5000)
        # The last block is filled up, so that all are of one program.
        size = min(5000, len(cases))
        filled = np.resize(np.arange(len(cases))[block], size)
        ours = np.asarray(
            apply_all(images, place[filled], np.asarray(operations)[filled], tables[filled])
        )
        for (name, magnitude, image), changed in zip(cases[block], ours, strict=False):
            expected = pillow_operation(name, magnitude, images[image], pillow_fill)
            difference = np.abs(changed.astype(int) - expected)
            compared += difference.size
            if difference.any():
                found[name] += int((difference > 0).sum())
                assert name.endswith("bicubic"), (name, magnitude, image)
                assert difference.max() == 1
    return found, compared


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 12, 3), (1, 1, 3), (2, 5, 1)])
def test_every_operation_is_that_of_pillow_pixel_by_pixel(shape):
    found, compared = differing(extreme_images(*shape), FAST)
    assert sum(found.values()) <= 1e-5 * compared + 5  # bicubic alone, by one level


def test_every_operation_on_real_digits_is_that_of_pillow(digit_images):
    found, _ = differing(np.round(255 * digit_images).astype(np.uint8), FAST)
    assert not [name for name in found if not name.endswith("bicubic")]


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [1, 7, 8, 28, 32, 64, 224])
def test_every_operation_is_that_of_pillow_over_its_whole_range(side, channels):
    found, compared = differing(extreme_images(side, side, channels), wide(side))
    assert sum(found.values()) <= 1e-5 * compared + 5
    assert all(name.endswith("bicubic") for name in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10"])
def test_every_operation_on_real_images_is_that_of_pillow(name):
    images = data.unit_range(data.load_dataset(name, "test").images[:40])
    images = np.round(255 * np.asarray(images)).astype(np.uint8)
    found, _ = differing(images, wide(images.shape[1]))
    assert all(name.endswith("bicubic") for name in found)


@pytest.mark.parametrize("fill", [0, 128, 255, (125, 123, 114), (128, 0, 0)])
def test_what_comes_from_outside_has_the_fill_value(fill):
    images = extreme_images(7, 12, 3)
    grid = {"Rotate": (33,), "ShearX": (0.4,), "TranslateY": (2.5,)}
    grid |= {"ShearY": (0,), "TranslateX": (0,)}
    grid |= {name: FAST[name][-1:] for name in FAST if name not in grid}
    pillow_fill = (fill,) * 3 if isinstance(fill, int) else fill
    found, _ = differing(images, grid, fill=fill, pillow_fill=pillow_fill)
    assert not found


def test_a_blend_is_that_of_pillow_for_all_pairs_of_values():
    degenerate, image = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    image = image[..., None].astype(np.uint8)
    rng = np.random.default_rng(0)
    factors = np.r_[1 + 0.1 * np.arange(-9, 10), 0.1 + 0.18 * np.arange(10), 0, 0.01, 1.99, -0.5]
    factors = np.r_[factors, 1 + 0.9 * np.arange(31) / 30, rng.uniform(-1, 3, 20)]
    blend = jax.jit(lambda d, i, p: color.blend(d[..., None], i, p))
    first = to_pillow(degenerate[..., None].astype(np.uint8))
    for factor in factors:
        ours = blend(degenerate, image, color.blend_parameters(factor))
        expected = Image.blend(first, to_pillow(image), factor)
        np.testing.assert_array_equal(np.asarray(ours)[..., 0], expected, err_msg=str(factor))


@pytest.mark.parametrize("factor", [0.28, 1.27])
def test_a_blend_by_a_constant_factor_is_the_same(factor):
    # The compiler may then rewrite the arithmetic with the factor.
    image = extreme_images(7, 12, 3)[0]
    for name in ("Brightness", "Contrast", "Color", "Sharpness"):
        parameters = operation_parameters(name, factor, 7, 12)
        apply = augment.OPERATIONS[name].apply
        np.testing.assert_array_equal(
            jax.jit(lambda i, apply=apply, p=parameters: apply(i, p))(image),
            pillow_operation(name, factor, image),
        )


def test_the_mean_of_contrast_is_rounded_half_up():
    image = np.full((8, 8, 1), 10, np.uint8)
    image[:4] = 11
    parameters = operation_parameters("Contrast", 0, 8, 8)
    constant = np.asarray(color.apply_contrast(image, parameters))
    np.testing.assert_array_equal(constant, 11)
    np.testing.assert_array_equal(constant, pillow_operation("Contrast", 0, image))


def test_autocontrast_is_that_of_pillow_for_all_ranges_and_values():
    pairs = [(low, high) for low in range(256) for high in range(low, 256, 3)]
    values = np.arange(256).reshape(16, 16, 1)
    images = np.stack([np.clip(values, *pair) for pair in pairs]).astype(np.uint8)
    parameters = operation_parameters("AutoContrast", 0, 16, 16)
    ours = jax.jit(
        lambda images: jax.lax.map(lambda i: color.apply_autocontrast(i, parameters), images)
    )(images)
    expected = [pillow_operation("AutoContrast", 0, image) for image in images]
    np.testing.assert_array_equal(ours, np.stack(expected))


def test_no_bits_are_a_black_image():
    image = extreme_images(4, 5, 3)[0]
    parameters = operation_parameters("Posterize", 0, 4, 5)
    assert not np.asarray(color.apply_pointwise(image, parameters)).any()


def cutout(name, image, length, centre, fill=0):
    parameters = operation_parameters(name, length, *image.shape[:2], fill=fill)
    parameters[3:5] = np.round(np.asarray(centre) * 65536)
    return np.asarray(augment.OPERATIONS[name].apply(jnp.asarray(image), parameters))


@pytest.mark.parametrize("length", [0, 1, 2, 5, 6, 40])
def test_cutout_is_a_square_about_a_pixel_clipped_to_the_image(length):
    image = np.full((7, 9, 3), 9, np.uint8)
    for row, column in [(0, 0), (6, 8), (3, 4), (1, 8)]:
        expected = image.copy()
        rows = slice(max(0, row - length // 2), row + length // 2)
        columns = slice(max(0, column - length // 2), column + length // 2)
        expected[rows, columns] = 100
        ours = cutout("Cutout", image, length, (row, column), fill=100)
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("side", [0, 1, 4, 5, 16])
def test_the_shifted_cutout_is_the_rectangle_that_wu_et_al_draw(side):
    image = np.full((8, 8, 3), 9, np.uint8)
    fill = (125, 123, 114)
    for x in np.arange(1, 8.1, 0.25):
        y = 9 - x
        picture = Image.fromarray(image)
        x0, y0 = int(max(0, x - side / 2.0)), int(max(0, y - side / 2.0))
        corners = (x0, y0, min(8, x0 + side), min(8, y0 + side))
        ImageDraw.Draw(picture).rectangle(corners, fill)
        ours = cutout("Cutout-shifted", image, side, (y, x), fill=fill)
        np.testing.assert_array_equal(ours, picture)


@pytest.mark.parametrize(("name", "low"), [("Cutout", 0), ("Cutout-shifted", 1)])
def test_the_place_of_cutout_is_uniform(name, low):
    names = ("Invert", name)
    parameters = operation_parameters(name, 3, 6, 5)
    keys = jax.random.split(jax.random.key(0), 4000)
    placed = jax.jit(
        jax.vmap(lambda key: place_operation(key, 1, parameters, 6, 5, operations=names))
    )(keys)
    centres = np.asarray(placed)[:, 3:5] / 65536
    for centre, side in zip(centres.T, (6, 5), strict=True):
        counts = np.bincount(np.ceil(centre).astype(int) if low else centre.astype(int))
        cells = counts[low + 1 if low else 0 :]
        assert len(cells) == side - low
        assert np.abs(cells - 4000 / (side - low)).max() < 5 * np.sqrt(4000 / side)
    unplaced = place_operation(keys[0], 0, parameters, 6, 5, operations=names)
    np.testing.assert_array_equal(unplaced, parameters)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Rotat", 3, 8, 8), "unknown operation 'Rotat' .did you mean 'Rotate'"),
        (("Posterize", 9, 8, 8), r"magnitude 9 of Posterize is outside 0 .. 8 \(bits"),
        (("Solarize", -1, 8, 8), "magnitude -1 of Solarize is outside 0 .. 256"),
        (("Brightness", np.nan, 8, 8), "magnitude nan of Brightness is outside"),
        (("Rotate", [0, 400], 8, 8), "magnitude 400 of Rotate is outside -360 .. 360"),
        (("ShearX", 10, 8000, 8), "the affine map reaches 80008 pixels, expected less than 32768"),
    ],
)
def test_what_no_operation_can_do_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        operation_parameters(*arguments)


@pytest.mark.parametrize("fill", [-1, 256, (1, 2, 3, 4), ()])
def test_a_fill_value_that_is_no_colour_is_refused(fill):
    with pytest.raises(InputError, match=r"the fill value is .*, expected 0 to 255"):
        operation_parameters("Rotate", 3, 8, 8, fill=fill)


def test_an_image_of_four_channels_and_an_unknown_operation_are_refused():
    parameters = operation_parameters("Invert", 0, 4, 4)
    with pytest.raises(InputError, match=r"the image has shape \(4, 4, 4\), expected"):
        apply_operation(np.zeros((4, 4, 4), np.uint8), 0, parameters, operations=NAMES)
    with pytest.raises(InputError, match="unknown operation 'Spin'"):
        apply_operation(np.zeros((4, 4, 3), np.uint8), 0, parameters, operations=("Spin",))
