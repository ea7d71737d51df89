"""Strengths, defaults and parameters of policies, each with its source: a change is seen here."""

import inspect
import math

import jax
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment import AUGMENTATIONS, POLICIES, weak
from ntk_aug.augment.batches import candidates, mixing
from ntk_aug.augment.floats import blur, cropping, geometry
from ntk_aug.augment.floats.noise import random_noise_on_sphere
from ntk_aug.augment.pixels import operations, resizing
from ntk_aug.augment.policies import magnitudes, policy
from ntk_aug.augment.policies.magnitudes import magnitude_of
from ntk_aug.augment.weak import WEAK, random_part, random_shift, random_window, random_zoom

MODULES = (augment, candidates, mixing, blur, cropping, geometry, operations, resizing, magnitudes)
PUBLIC = {
    name: value
    for module in (*MODULES, policy, weak)
    for name, value in vars(module).items()
    if not name.startswith("_") and getattr(value, "__module__", "").startswith("ntk_aug.augment")
}

STRENGTHS = {
    "rotation": (30, 180),
    "rotation-bilinear": (30, 180),
    "flip-crop": (1 / 8, 1),  # 4 pixels of 32
    "noise": (0.5, math.inf),
    "noise-sphere": (0.5, math.inf),
    "noise-gaussian": (0.1, math.inf),
    "blur": (2, 100),  # sigma 0.1 to 2, torchvision's
    "color-jitter": (0.2, 10),
    "cutout": (0.5, 2),  # 16 pixels of 32
    "randaugment": (9, 30),  # torchvision's level
    "augmix": (3, 10),  # of CIFAR; 1 of ImageNet
}
"""(default, largest) of each augmentation that takes a strength."""

# Mean colours of the train splits in whole values, and whether the chain mirrors.
WU = {
    "digits": (78, False),
    "mnist": (33, False),  # 255 * 0.1307
    "fashion_mnist": (73, True),  # 255 * 0.2860
    "svhn_cropped": ((110, 110, 114), False),  # 109.9, 109.7, 113.8
    "svhn": ((110, 110, 114), False),
    "cifar10": ((125, 123, 114), True),  # 255 * (0.4914, 0.4822, 0.4465)
    "cifar100": ((129, 124, 112), True),  # 255 * (0.5071, 0.4865, 0.4409)
    "imagenet": ((124, 116, 104), True),  # 255 * (0.485, 0.456, 0.406)
}

ROWS = {"autoaugment": 25, "trivialaugment": 14, "randaugment": 14, "augmix": 9}
ROUNDS = {"autoaugment": 1, "trivialaugment": 1, "randaugment": 2, "augmix": 9}

ARGUMENTS = {
    "augment_batch": {"epoch": 0, "draw": 0},
    "augment_by_loss": {
        "num_candidates": 4,  # K and S of the published command
        "keep": 1,
        "selection": "proportional",  # as the published code draws
        "epoch": 0,
        "draw": 0,
    },
    "crop_padded": {"mode": "zero"},
    "draw_cutmix": {"alpha": 1.0, "probability": 1.0},
    "draw_mixup": {"alpha": 1.0},
    "draw_resized_crop": {"area": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)},  # torchvision's
    "example_key": {"draw": 0},
    "gaussian_blur": {"size": 5},
    "magnitude_of": {"sign": 1},
    "mix_batch": {"epoch": 0, "draw": 0},
    "operation_parameters": {"fill": 0},
    "pad": {"mode": "zero"},
    "randaugment": {"rounds": 2},
    "random_color_jitter": {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0},
    "random_crop_padded": {"mode": "zero"},
    "random_cutmix": {"alpha": 1.0, "probability": 1.0},
    "random_gaussian_blur": {"sigma": (0.1, 2.0), "size": 5},  # the paper's noise_only
    "random_mixup": {"alpha": 1.0},
    "random_operation": {"minimum": None, "maximum": None, "levels": 1001, "fill": 0},
    "random_resized_crop": {"area": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)},
    "random_rotate": {"interpolation": "bilinear"},
    "random_shift": {"share": 1 / 8, "mirror": True, "mode": "zero"},
    "rotate": {"interpolation": "bilinear"},
    "select_candidates": {"selection": "proportional"},
    "AugMixAugmentation": {"width": 3, "depth": 3},
    "Policy": {
        "rounds": 1,
        "magnitudes": "torchvision",
        "interpolation": "nearest",
        "fill": 0,
        "cutout_fill": 0,
    },
    "Step": {"probability": 1.0, "level": None},
    "WuAugmentation": {"mirror": True},
}
"""All arguments that have a default, by function or class."""


def test_default_strengths_are_the_published():
    found = {
        name: (entry.default, entry.maximum)
        for name, entry in AUGMENTATIONS.items()
        if entry.default is not None
    }
    assert found == STRENGTHS


def test_the_strength_of_an_entry_is_handed_on():
    found = {
        name: AUGMENTATIONS[name].build(0.3).keywords
        for name in STRENGTHS
        if name not in ("cutout", "randaugment", "augmix")
    }
    assert found == {
        "rotation": {"max_degrees": 0.3, "interpolation": "nearest"},
        "rotation-bilinear": {"max_degrees": 0.3, "interpolation": "bilinear"},
        "flip-crop": {"share": 0.3},
        "noise": {"radius": 0.3},
        "noise-sphere": {"radius": 0.3},
        "noise-gaussian": {"deviation": 0.3},
        "blur": {"sigma": (0.1, 0.3)},
        "color-jitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3},
    }
    functions = [AUGMENTATIONS[name].build(0.3).func for name in ("noise", "noise-sphere")]
    assert functions == [augment.random_noise_in_ball, random_noise_on_sphere]
    assert AUGMENTATIONS["randaugment"].build(4).policy == augment.randaugment(4)
    severity = AUGMENTATIONS["augmix"].build(1).policy.magnitudes
    largest = magnitude_of("Rotate", 1000, height=32, width=32, mapping=severity)
    assert largest == 3  # degrees: int(30 * 1 / 10)
    holes = AUGMENTATIONS["cutout"].build(0.5)(jax.random.key(0), np.ones((32, 32, 1), np.float32))
    rows, columns = ((np.asarray(holes)[..., 0] == 0).any(axis=axis).sum() for axis in (1, 0))
    assert 8 <= rows <= 16
    assert 8 <= columns <= 16


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_default_to_the_published(name):
    parameters = inspect.signature(PUBLIC[name]).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == ARGUMENTS[name]


def test_the_table_of_arguments_is_whole():
    with_defaults = set()
    for name, public in PUBLIC.items():
        if inspect.isfunction(public) or (inspect.isclass(public) and name in ARGUMENTS):
            parameters = inspect.signature(public).parameters.values()
            with_defaults |= {name} if any(p.default is not p.empty for p in parameters) else set()
    assert with_defaults == set(ARGUMENTS)


@pytest.mark.parametrize("name", [*POLICIES, *(f"wu-{name}" for name in WU)])
def test_policies_have_the_published_parameters(name):
    policy = AUGMENTATIONS[name].build(AUGMENTATIONS[name].default or 0).policy
    method, _, rest = name.partition("-")
    if method == "wu":
        fill, mirror = WU[rest]
        assert (policy.cutout_fill, policy.fill) == (fill, 0)
        assert AUGMENTATIONS[name].build(0).mirror == mirror
        assert (len(policy.table), policy.rounds, policy.magnitudes) == (16, 2, "wu")
        assert {step for row in policy.table for step in row[0][1:]} == {None}
    else:
        assert (policy.fill, policy.cutout_fill) == (0, 0)  # black, as torchvision
        assert (len(policy.table), policy.rounds) == (ROWS[method], ROUNDS[method])
    assert policy.interpolation == ("bilinear" if method == "augmix" else "nearest")
    if method == "augmix":  # of severity 3: the largest shear is 3 * 0.3 / 10
        largest = magnitude_of("ShearX", 1000, height=32, width=32, mapping=policy.magnitudes)
        np.testing.assert_allclose(largest, 0.09)
    if method == "randaugment":
        assert {(row[0].probability, row[0].level) for row in policy.table} == {(1.0, 9)}


def test_the_weak_augmentations_are_those_of_the_data_sets():
    shifts = {"digits", "mnist", "svhn_cropped", "svhn"}  # digits are not mirrored
    assert {
        name
        for name, (augmentation, _) in WEAK.items()
        if getattr(augmentation, "keywords", None) == {"mirror": False}
    } == shifts
    others = {name: entry[0] for name, entry in WEAK.items() if name not in shifts}
    assert others == {
        "fashion_mnist": random_shift,
        "cifar10": random_shift,
        "cifar100": random_shift,
        "caltech256": random_zoom,
        "tinyimagenet": random_part,
        "imagenet": random_window,
    }
