import math
from fractions import Fraction

import numpy as np
import pytest

from ntk_aug.augment import MAGNITUDES
from ntk_aug.augment.policies.magnitudes import augmix_magnitudes, magnitude_of
from ntk_aug.errors import InputError

# The published mappings by value, levels 0 .. 9 from left to right.
AUTOAUGMENT_VALUES = """
ShearX     | research       | 0 .03 .06 .09 .12 .15 .18 .21 .24 .27
ShearY     | torchvision    | 0 .0333 .0667 .1 .1333 .1667 .2 .2333 .2667 .3
ShearX     | timm-original  | 0 .03 .06 .09 .12 .15 .18 .21 .24 .27
ShearX     | timm-v0        | 0 .03 .06 .09 .12 .15 .18 .21 .24 .27
Rotate     | research       | 0 3 6 9 12 15 18 21 24 27
Rotate     | torchvision    | 0 3.33 6.67 10 13.33 16.67 20 23.33 26.67 30
Rotate     | deepvoltaire   | 0 3.33 6.67 10 13.33 16.67 20 23.33 26.67 30
Rotate     | timm-v0        | 0 3 6 9 12 15 18 21 24 27
TranslateX | research       | 0 1 2 3 4 5 6 7 8 9
TranslateY | deepvoltaire   | 0 1.61 3.22 4.83 6.45 8.06 9.67 11.28 12.89 14.50
TranslateX | torchvision    | 0 1 3 4 6 8 9 11 12 14
TranslateY | timm-v0        | 0 1.44 2.88 4.32 5.76 7.2 8.64 10.08 11.52 12.96
Brightness | research       | .1 .28 .46 .64 .82 1 1.18 1.36 1.54 1.72
Color      | timm-original  | .1 .28 .46 .64 .82 1 1.18 1.36 1.54 1.72
Contrast   | timm-v0        | .1 .28 .46 .64 .82 1 1.18 1.36 1.54 1.72
Sharpness  | torchvision    | 1 1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 1.9
Solarize   | research       | 256 231 205 180 154 128 103 77 52 26
Solarize   | torchvision    | 255 226.67 198.33 170 141.67 113.33 85 56.67 28.33 0
Solarize   | deepvoltaire   | 256 227.56 199.11 170.67 142.22 113.78 85.33 56.89 28.44 0
Solarize   | timm-original  | 0 25 51 76 102 128 153 179 204 230
Solarize   | timm-v0        | 0 25 51 76 102 128 153 179 204 230
Posterize  | research       | 4 4 4 3 3 2 2 2 1 1
Posterize  | torchvision    | 8 8 7 7 6 6 5 5 4 4
Posterize  | deepvoltaire   | 8 8 7 7 6 6 5 5 4 4
Posterize  | timm-original  | 4 4 4 5 5 6 6 6 7 7
Posterize  | timm-originalr | 4 4 4 3 3 2 2 2 1 1
Posterize  | timm-v0        | 0 0 0 1 1 2 2 2 3 3
Cutout     | research       | 0 2 4 6 8 10 12 14 16 18
SolarizeAdd| timm-original  | 0 11 22 33 44 55 66 77 88 99
""".strip().splitlines()


def magnitude(operation, level, mapping, *, side=32, sign=1):
    return magnitude_of(operation, level, sign=sign, height=side, width=side, mapping=mapping)


@pytest.mark.parametrize("line", AUTOAUGMENT_VALUES)
def test_magnitudes_are_the_published_values(line):
    operation, mapping, values = (part.strip() for part in line.split("|"))
    ours = [magnitude(operation, level, mapping) for level in range(10)]
    for value, printed in zip(ours, values.split(), strict=True):
        decimals = len(printed.partition(".")[2])
        assert abs(value - float(printed)) <= 0.5 * 10**-decimals * bool(decimals) + 1e-9


@pytest.mark.parametrize(
    ("operation", "mapping", "level", "value"),
    [
        # RandAugment of torchvision at M = 9, as published with it
        ("ShearX", "randaugment", 9, 0.09),
        ("Rotate", "randaugment", 9, 9),
        ("Color", "randaugment", 9, 1.27),
        ("Posterize", "randaugment", 9, 7),
        ("Solarize", "randaugment", 9, 178.5),
        ("TranslateX", "randaugment", 30, int(150 / 331 * 32)),
        # TrivialAugment, both versions, at the end of the range and where they round otherwise
        ("ShearY", "trivialaugment", 30, 0.99),
        ("TranslateY", "trivialaugment", 29, 30),
        ("Rotate", "trivialaugment", 29, 130.5),
        ("Rotate", "trivialaugment-original", 29, 130),
        ("Color", "trivialaugment", 30, 1.99),
        ("Color", "trivialaugment-original", 0, 0.01),
        ("Posterize", "trivialaugment", 3, 7),
        ("Posterize", "trivialaugment-original", 3, 8),
        ("Solarize", "trivialaugment", 1, 246.5),
        ("Solarize", "trivialaugment-original", 1, 248),
        # Wu et al. at level k / 1000
        ("Brightness", "wu", 500, 1.0),
        ("Posterize", "wu", 999, 3),
        ("Posterize", "wu", 1000, 4),
        ("Solarize", "wu", 250, 64),
        ("Rotate", "wu", 150, 4.5),
        ("ShearX", "wu", 100, 0.03),
        ("TranslateX", "wu", 333, 3.33),
        ("Cutout-shifted", "wu", 999, 15),
        # AugMix: levels 0.1 to the severity, 3
        ("Posterize", "augmix", 1000, 3),
        ("Posterize", "augmix", 500, 4),
        ("Solarize", "augmix", 1000, 180),
        ("Solarize", "augmix", 0, 254),
        ("Rotate", "augmix", 1000, 9),
        ("ShearX-bilinear", "augmix", 1000, 0.09),
        ("TranslateX", "augmix", 1000, 3),
    ],
)
def test_magnitudes_of_the_other_policies(operation, mapping, level, value):
    # The mappings of torchvision are in float32.
    assert math.isclose(magnitude(operation, level, mapping), value, rel_tol=1e-7, abs_tol=1e-12)


def test_posterize_of_trivialaugment_has_the_published_counts():
    def counts(mapping):
        bits = [magnitude("Posterize", level, mapping) for level in range(31)]
        return [bits.count(b) for b in range(8, 1, -1)]

    assert counts("trivialaugment") == [3, 5, 5, 5, 5, 5, 3]
    assert counts("trivialaugment-original") == [5, 5, 5, 5, 5, 5, 1]


def test_posterize_of_augmix_has_the_published_share_of_3_bits():
    bits = [magnitude("Posterize", level, "augmix") for level in range(1001)]
    assert bits.count(4) + bits.count(3) == 1001
    assert abs(bits.count(3) / 1001 - 0.172) < 0.001
    mild = augmix_magnitudes(1)
    assert {magnitude("Posterize", level, mild) for level in range(1001)} == {4}


@pytest.mark.parametrize(
    ("mapping", "signed"),
    [
        ("torchvision", True),
        ("deepvoltaire", True),
        ("randaugment", True),
        ("trivialaugment", True),
        ("research", False),
        ("timm-original", False),
        ("timm-v0", False),
        ("trivialaugment-original", False),
        ("wu", False),
    ],
)
def test_which_operations_draw_a_sign(mapping, signed):
    for operation in ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"):
        plus, minus = (magnitude(operation, 9, mapping, sign=sign) for sign in (1, -1))
        assert plus == -minus != 0 or (operation[:5] == "Trans" and mapping == "wu")
    plus, minus = (magnitude("Color", 9, mapping, sign=sign) for sign in (1, -1))
    assert (plus != minus) is signed
    assert not signed or math.isclose(plus - 1, 1 - minus)
    for operation in ("Solarize", "Posterize"):
        assert magnitude(operation, 9, mapping) == magnitude(operation, 9, mapping, sign=-1)


@pytest.mark.parametrize("mapping", MAGNITUDES)
def test_pixels_scale_with_the_side(mapping):
    last = MAGNITUDES[mapping].num_levels - 1

    def translations(side):
        return [magnitude("TranslateX", level, mapping, side=side) for level in range(last + 1)]

    for small, large in zip(translations(8), translations(32), strict=True):
        assert abs(4 * small - large) < 4  # whole pixels, of either size
    if mapping in ("research", "wu", "augmix"):
        assert max(translations(8)) <= 10 / 32 * 8


def test_each_axis_has_its_own_side():
    def magnitude(operation):
        return magnitude_of(operation, 1000, height=16, width=64, mapping="wu")

    values = [magnitude(name) for name in ("TranslateX", "TranslateY", "Cutout-shifted")]
    assert values == [20, 5, 8]


SIDES = [*range(1, 101), 224, 320, 331, 512]


def torch_linspace(start, end, num):
    """torch.linspace in float32, whose multiplication and addition are one operation."""
    step = (np.float32(end) - np.float32(start)) / np.float32(num - 1)
    assert step.dtype == np.float32
    steps = np.arange(num)
    exact_up = np.float64(np.float32(start)) + steps * np.float64(step)
    exact_down = np.float64(np.float32(end)) - (num - 1 - steps) * np.float64(step)
    return np.where(steps < num // 2, exact_up, exact_down).astype(np.float32).tolist()


def test_float32_is_where_whole_pixels_are_other_than_exact():
    """Two numbers that torchvision gives, and that a double or exact arithmetic does not."""
    assert magnitude("TranslateX", 11, "randaugment", side=331) == 55  # a double: 54
    assert magnitude("TranslateX", 15, "trivialaugment", side=32) == 15  # exactly: 16
    assert magnitude("TranslateX", 15, "trivialaugment-original", side=32) == 16


@pytest.mark.parametrize(("mapping", "num"), [("torchvision", 10), ("randaugment", 31)])
def test_autoaugment_and_randaugment_of_torchvision_are_its_float32(mapping, num):
    ranges = {"ShearX": (0, 0.3), "Rotate": (0, 30), "Color": (0, 0.9), "Solarize": (255, 0)}
    for operation, (start, end) in ranges.items():
        expected = torch_linspace(start, end, num)
        found = [magnitude(operation, level, mapping) for level in range(num)]
        assert found == [e + (operation == "Color") for e in expected], operation
    for side in SIDES:
        expected = [int(e) for e in torch_linspace(0, 150.0 / 331.0 * side, num)]
        assert [magnitude("TranslateX", i, mapping, side=side) for i in range(num)] == expected


def test_trivialaugment_of_torchvision_is_its_float32():
    ranges = {"ShearY": (0, 0.99), "Rotate": (0, 135), "Contrast": (0, 0.99), "Solarize": (255, 0)}
    for operation, (start, end) in ranges.items():
        expected = torch_linspace(start, end, 31)
        found = [magnitude(operation, level, "trivialaugment") for level in range(31)]
        assert found == [e + (operation == "Contrast") for e in expected], operation
    for side in SIDES:
        expected = [int(e) for e in torch_linspace(0, min(32, side), 31)]
        found = [magnitude("TranslateY", i, "trivialaugment", side=side) for i in range(31)]
        assert found == expected


# Whole magnitudes by exact arithmetic: from the level and the side to a number that is cut off
# towards 0, and to the magnitude of that.
EXACT = {
    ("research", "TranslateX"): (lambda i, side: Fraction(i * side, 32), lambda x: x),
    ("research", "Rotate"): (lambda i, side: Fraction(30 * i, 10), lambda x: x),
    ("research", "Solarize"): (lambda i, side: Fraction(256 * i, 10), lambda x: 256 - x),
    ("research", "Posterize"): (lambda i, side: Fraction(4 * i, 10), lambda x: 4 - x),
    ("research", "Cutout"): (lambda i, side: Fraction(2 * i * side, 32), lambda x: x),
    ("timm-original", "Solarize"): (lambda i, side: Fraction(256 * i, 10), lambda x: x),
    ("timm-original", "Posterize"): (lambda i, side: Fraction(4 * i, 10), lambda x: 4 + x),
    ("timm-v0", "Posterize"): (lambda i, side: Fraction(4 * i, 10), lambda x: x),
    ("timm-v0", "Cutout"): (lambda i, side: Fraction(10 * i * side, 224), lambda x: 2 * x),
    ("trivialaugment-original", "TranslateX"): (
        lambda i, side: Fraction(min(32, side) * i, 30),
        lambda x: x,
    ),
    ("trivialaugment-original", "Rotate"): (lambda i, side: Fraction(135 * i, 30), lambda x: x),
    ("trivialaugment-original", "Solarize"): (
        lambda i, side: Fraction(256 * i, 30),
        lambda x: 256 - x,
    ),
    ("trivialaugment-original", "Posterize"): (
        lambda i, side: Fraction(6 * i, 30),
        lambda x: 8 - x,
    ),
    ("wu", "Posterize"): (lambda i, side: Fraction(4 * i, 1000), lambda x: x),
    ("wu", "Cutout"): (lambda i, side: Fraction(16 * i * side, 32_000), lambda x: x),
    ("augmix", "TranslateX"): (lambda i, side: augmix_level(i) * side / 30, lambda x: x),
    ("augmix", "Rotate"): (lambda i, side: augmix_level(i) * 3, lambda x: x),
    ("augmix", "Solarize"): (lambda i, side: augmix_level(i) * 256 / 10, lambda x: 256 - x),
    ("augmix", "Posterize"): (lambda i, side: augmix_level(i) * 4 / 10, lambda x: 4 - x),
}


def augmix_level(i):
    return Fraction(1, 10) + Fraction(29, 10) * Fraction(i, 1000)


@pytest.mark.parametrize(("mapping", "operation"), EXACT)
def test_whole_magnitudes_of_the_other_mappings_are_exact(mapping, operation):
    number, value = EXACT[mapping, operation]
    levels = range(MAGNITUDES[mapping].num_levels)
    sides = SIDES if len(levels) < 100 else [10, 32, 100]
    for side in sides if operation in ("TranslateX", "Cutout") else [32]:
        found = [magnitude(operation, level, mapping, side=side) for level in levels]
        assert found == [value(math.floor(number(level, side))) for level in levels], side


def test_magnitudes_are_those_of_torchvision_itself():
    transforms = pytest.importorskip("torchvision.transforms")
    policy = transforms.AutoAugmentPolicy.CIFAR10
    spaces = {
        "torchvision": transforms.AutoAugment(policy)._augmentation_space(10, (32, 48)),
        "randaugment": transforms.RandAugment()._augmentation_space(31, (32, 48)),
        "trivialaugment": transforms.TrivialAugmentWide()._augmentation_space(31),
    }
    enhancers = ("Brightness", "Color", "Contrast", "Sharpness")
    for mapping, space in spaces.items():
        for operation, (values, _) in space.items():
            if values.ndim == 0:  # takes no magnitude
                continue
            for level, value in enumerate(values.tolist()):
                ours = magnitude_of(operation, level, height=32, width=48, mapping=mapping)
                theirs = 1 + value if operation in enhancers else value
                assert ours == (int(theirs) if operation.startswith("Translate") else theirs)


@pytest.mark.parametrize("severity", [0, 11, math.nan])
def test_a_severity_out_of_range_is_refused(severity):
    with pytest.raises(InputError, match=r"the severity of AugMix is .*, expected 0\.1 to 10"):
        augmix_magnitudes(severity)
