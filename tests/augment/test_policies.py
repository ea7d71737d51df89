import inspect

import jax
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment import POLICIES, Policy, parse_table
from ntk_aug.augment.pixels.packing import pack_fill
from ntk_aug.augment.policies.policy import Step
from ntk_aug.augment.policies.sampling import draw_policy
from ntk_aug.errors import InputError

# The three tables side by side, transcribed by hand and compared with four public copies.
TRANSCRIPTION = """
| 0 | Invert 0.1 7 ; Contrast 0.2 6 | ShearX 0.9 4 ; Invert 0.2 3 | Posterize 0.4 8 ; Rotate 0.6 9 |
| 1 | Rotate 0.7 2 ; TranslateX 0.3 9 | ShearY 0.9 8 ; Invert 0.7 5 | Solarize 0.6 5 ; AutoContrast 0.6 5 |
| 2 | Sharpness 0.8 1 ; Sharpness 0.9 3 | Equalize 0.6 5 ; Solarize 0.6 6 | Equalize 0.8 8 ; Equalize 0.6 3 |
| 3 | ShearY 0.5 8 ; TranslateY 0.7 9 | Invert 0.9 3 ; Equalize 0.6 3 | Posterize 0.6 7 ; Posterize 0.6 6 |
| 4 | AutoContrast 0.5 8 ; Equalize 0.9 2 | Equalize 0.6 1 ; Rotate 0.9 3 | Equalize 0.4 7 ; Solarize 0.2 4 |
| 5 | ShearY 0.2 7 ; Posterize 0.3 7 | ShearX 0.9 4 ; AutoContrast 0.8 3 | Equalize 0.4 4 ; Rotate 0.8 8 |
| 6 | Color 0.4 3 ; Brightness 0.6 7 | ShearY 0.9 8 ; Invert 0.4 5 | Solarize 0.6 3 ; Equalize 0.6 7 |
| 7 | Sharpness 0.3 9 ; Brightness 0.7 9 | ShearY 0.9 5 ; Solarize 0.2 6 | Posterize 0.8 5 ; Equalize 1 2 |
| 8 | Equalize 0.6 5 ; Equalize 0.5 1 | Invert 0.9 6 ; AutoContrast 0.8 1 | Rotate 0.2 3 ; Solarize 0.6 8 |
| 9 | Contrast 0.6 7 ; Sharpness 0.6 5 | Equalize 0.6 3 ; Rotate 0.9 3 | Equalize 0.6 8 ; Posterize 0.4 6 |
| 10 | Color 0.7 7 ; TranslateX 0.5 8 | ShearX 0.9 4 ; Solarize 0.3 3 | Rotate 0.8 8 ; Color 0.4 0 |
| 11 | Equalize 0.3 7 ; AutoContrast 0.4 8 | ShearY 0.8 8 ; Invert 0.7 4 | Rotate 0.4 9 ; Equalize 0.6 2 |
| 12 | TranslateY 0.4 3 ; Sharpness 0.2 6 | Equalize 0.9 5 ; TranslateY 0.6 6 | Equalize 0 7 ; Equalize 0.8 8 |
| 13 | Brightness 0.9 6 ; Color 0.2 8 | Invert 0.9 4 ; Equalize 0.6 7 | Invert 0.6 4 ; Equalize 1 8 |
| 14 | Solarize 0.5 2 ; Invert 0 3 | Contrast 0.3 3 ; Rotate 0.8 4 | Color 0.6 4 ; Contrast 1 8 |
| 15 | Equalize 0.2 0 ; AutoContrast 0.6 0 | Invert 0.8 5 ; TranslateY 0 2 | Rotate 0.8 8 ; Color 1 2 |
| 16 | Equalize 0.2 8 ; Equalize 0.6 4 | ShearY 0.7 6 ; Solarize 0.4 8 | Color 0.8 8 ; Solarize 0.8 7 |
| 17 | Color 0.9 9 ; Equalize 0.6 6 | Invert 0.6 4 ; Rotate 0.8 4 | Sharpness 0.4 7 ; Invert 0.6 8 |
| 18 | AutoContrast 0.8 4 ; Solarize 0.2 8 | ShearY 0.3 7 ; TranslateX 0.9 3 | ShearX 0.6 5 ; Equalize 1 9 |
| 19 | Brightness 0.1 3 ; Color 0.7 0 | ShearX 0.1 6 ; Invert 0.6 5 | Color 0.4 0 ; Equalize 0.6 3 |
| 20 | Solarize 0.4 5 ; AutoContrast 0.9 3 | Solarize 0.7 2 ; TranslateY 0.6 7 | Equalize 0.4 7 ; Solarize 0.2 4 |
| 21 | TranslateY 0.9 9 ; TranslateY 0.7 9 | ShearY 0.8 4 ; Invert 0.8 8 | Solarize 0.6 5 ; AutoContrast 0.6 5 |
| 22 | AutoContrast 0.9 2 ; Solarize 0.8 3 | ShearX 0.7 9 ; TranslateY 0.8 3 | Invert 0.6 4 ; Equalize 1 8 |
| 23 | Equalize 0.8 8 ; Invert 0.1 3 | ShearY 0.8 5 ; AutoContrast 0.7 3 | Color 0.6 4 ; Contrast 1 8 |
| 24 | TranslateY 0.7 9 ; AutoContrast 0.9 1 | ShearX 0.7 2 ; Invert 0.1 5 | Equalize 0.8 8 ; Equalize 0.6 3 |
"""  # noqa: E501
NAMES = ("cifar10", "svhn", "imagenet")
KEYS = jax.random.split(jax.random.key(0), 4000)


def transcribed(name):
    column = 2 + NAMES.index(name)
    rows = [line.split("|")[column].split(";") for line in TRANSCRIPTION.strip().splitlines()]
    return [[tuple(cell.split()) for cell in row] for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_autoaugment_is_as_transcribed_field_by_field(name):
    table = POLICIES[f"autoaugment-{name}"].table
    fields = [[(s.operation, f"{s.probability:g}", str(s.level)) for s in row] for row in table]
    assert fields == transcribed(name)
    assert len(table) == 25


@pytest.mark.parametrize("name", NAMES)
def test_autoaugment_is_that_of_torchvision(name):
    transforms = pytest.importorskip("torchvision.transforms")
    theirs = transforms.AutoAugment(transforms.AutoAugmentPolicy[name.upper()]).policies
    assert len(theirs) == 25
    for row, other in zip(POLICIES[f"autoaugment-{name}"].table, theirs, strict=True):
        for step, (operation, probability, level) in zip(row, other, strict=True):
            assert (step.operation, step.probability) == (operation, probability)
            assert level in (None, step.level)  # they leave out levels that mean nothing


def test_the_mappings_share_the_tables():
    for name in NAMES:
        for mapping in ("research", "deepvoltaire", "timm-original", "timm-originalr", "timm-v0"):
            policy = POLICIES[f"autoaugment-{name}-{mapping}"]
            assert policy.table == POLICIES[f"autoaugment-{name}"].table
            assert policy.magnitudes == mapping


@pytest.mark.parametrize("name", POLICIES)
def test_a_printed_table_reads_back(name):
    policy = POLICIES[name]
    header, *lines = str(policy).splitlines()
    assert parse_table("\n".join(lines)) == policy.table
    assert f"{policy.rounds} of {len(policy.table)} rows" in header


def test_probability_and_level_may_be_left_out():
    assert parse_table("Rotate ; Invert 0.5 ; Solarize * 3 ; Color 1 *") == (
        (Step("Rotate"), Step("Invert", 0.5), Step("Solarize", None, 3), Step("Color", 1, None)),
    )


def draws_of(policy):
    draw = jax.jit(jax.vmap(lambda key: draw_policy(key, policy, 8, 8)))
    return jax.device_get(draw(KEYS))


def assert_share(hits, share, *, of):
    """Within 4.5 standard deviations: wrong once in 150,000."""
    assert abs(hits - share * of) <= 4.5 * np.sqrt(share * (1 - share) * of) + 1e-9


def test_rows_are_drawn_uniformly_and_steps_with_their_probabilities():
    # Rows that can be told apart by their levels.
    rows = ("Rotate 0.2 1 ; ShearX 1 2", "Rotate 0.9 3 ; ShearX 0 4", "Rotate 0.5 5 ; ShearX 0.7 6")
    policy = Policy(parse_table("\n".join(rows)))
    draw = draws_of(policy)
    for row in policy.table:
        chosen = draw.plan.level[:, 0] == row[0].level
        assert_share(chosen.sum(), 1 / 3, of=len(KEYS))
        for place, step in enumerate(row):
            assert_share(draw.applied[chosen, place].sum(), step.probability, of=chosen.sum())
    assert_share(draw.negative.sum(), 1 / 2, of=draw.negative.size)


def test_open_levels_and_probabilities_are_drawn_uniformly():
    draw = draws_of(Policy(parse_table("Rotate * *"), magnitudes="randaugment"))
    counts = np.bincount(draw.plan.level[:, 0], minlength=31)
    for count in counts:
        assert_share(count, 1 / 31, of=len(KEYS))
    assert_share(draw.applied.sum(), 1 / 2, of=len(KEYS))
    probable = draw.plan.probability[:, 0] > 0.75
    assert_share(probable.sum(), 1 / 4, of=len(KEYS))
    assert_share(draw.applied[probable, 0].sum(), 7 / 8, of=probable.sum())


def test_every_round_is_drawn_anew_and_with_replacement():
    policy = augment.randaugment(9)
    operation = draws_of(policy).plan.operation
    assert operation.shape == (len(KEYS), 2)
    assert_share((operation[:, 0] == operation[:, 1]).sum(), 1 / 14, of=len(KEYS))
    for count in np.bincount(operation.ravel(), minlength=14):
        assert_share(count, 1 / 14, of=operation.size)


def test_rows_of_different_length_may_stand_together():
    policy = Policy(parse_table("Invert 1 0\nInvert 1 0 ; Invert 1 0"))
    image = np.full((2, 2, 1), 0.2, np.float32)
    augmented = jax.vmap(augment.PolicyAugmentation(policy), (0, None))(KEYS[:400], image)
    inverted = np.asarray(augmented)[:, 0, 0, 0] > 0.5
    assert_share(inverted.sum(), 1 / 2, of=400)


def test_a_draw_is_told_in_words():
    policy = Policy(parse_table("Rotate 1 9 ; Invert 0 0 ; Equalize 1 3"), magnitudes="research")
    told = {augment.PolicyAugmentation(policy).describe(key, 8, 8) for key in KEYS[:20]}
    assert told == {"Rotate 27, Equalize", "Rotate -27, Equalize"}
    nothing = augment.PolicyAugmentation(Policy(parse_table("Invert 0 0")))
    assert nothing.describe(KEYS[0], 8, 8) == "nothing"


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("Rotat 1 1", {}, r"unknown operation 'Rotat' \(did you mean 'Rotate'\?\)"),
        ("Rotate 1.5 1", {}, r"probability 1\.5 of Rotate is not in 0 \.\. 1"),
        ("Rotate nan 1", {}, r"probability nan of Rotate is not in 0 \.\. 1"),
        ("Rotate 1 10", {}, r"level 10 of Rotate is not in 0 \.\. 9 of mapping 'torchvision'"),
        ("Rotate 1 1.5", {}, r"cell 'Rotate 1 1\.5' of a policy, expected: operation probability"),
        ("Rotate 1 1 1", {}, "cell 'Rotate 1 1 1' of a policy"),
        ("Rotate often", {}, "cell 'Rotate often' of a policy"),
        ("Rotate 1 1 ;", {}, "unknown operation ''"),
        ("", {}, "a policy has no sub-policy"),
        ("Cutout 1 1", {}, "mapping 'torchvision' has no magnitudes for Cutout"),
        ("Rotate 1 1", {"magnitudes": "torch"}, "unknown mapping of magnitudes 'torch'"),
        ("Rotate 1 1", {"interpolation": "cubic"}, "unknown operation 'Rotate-cubic'"),
        ("Rotate 1 1", {"rounds": 0}, "rounds of a policy is 0, expected at least 1"),
        ("Rotate 1 1", {"fill": 256}, "the fill value is 256, expected 0 to 255"),
    ],
)
def test_a_bad_policy_is_refused_in_one_line(table, options, message):
    with pytest.raises(InputError, match=message) as caught:
        Policy(parse_table(table), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 4, 1), 1.5, np.float32), "the image ranges from 1.5 to 1.5, expected 0 to 1"),
        (np.full((4, 4, 1), np.nan, np.float32), "the image ranges from nan to nan"),
        (
            np.zeros((4, 4, 2), np.float32),
            r"has shape \(4, 4, 2\), expected \[height, width, 1",
        ),
    ],
)
def test_an_image_without_256_values_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        augment.PolicyAugmentation(POLICIES["randaugment"])(KEYS[0], image)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 1.5}, "rounds of a policy is 1.5, expected a whole number"),
        ({"table": [[Step("Rotate")]]}, "the table of a policy is not a tuple of tuples"),
        ({"table": ((Step("Rotate", 1.0, 2.5),),)}, "level 2.5 of Rotate is not a whole number"),
    ],
)
def test_what_types_would_forbid_is_refused_without_type_checks_of_calls(changes, message):
    policy = Policy(parse_table("Rotate"))
    for name, value in changes.items():
        object.__setattr__(policy, name, value)
    with pytest.raises(InputError, match=message):
        inspect.unwrap(Policy.__post_init__)(policy)


@pytest.mark.parametrize("fill", [0.5, None, (1, 2.5), [1, 2, 3]])
def test_a_fill_value_that_is_none_is_refused(fill):
    with pytest.raises(InputError, match=r"the fill value is .*, expected 0 to 255"):
        inspect.unwrap(pack_fill)(fill)
