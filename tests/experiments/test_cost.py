"""Estimates against hand calculations."""

import jax
import numpy as np
import pytest

from experiments import cost
from experiments.known_data import known_sizes
from experiments.presets import PRESETS
from experiments.settings import with_overrides

WEAK, STRONG = "cifar10-resnet20-cpu-coreset-weak", "cifar10-resnet20-cpu-coreset-strong"


def cost_of(name, **overrides):
    experiment = with_overrides(PRESETS[name].experiment, overrides)
    return cost.estimate_cost(experiment, known_sizes(experiment))


def test_operations_of_an_mlp():
    flops, num_params = cost.forward_flops(
        "mlp", (("width", 128),), 10, jax.ShapeDtypeStruct((8, 8, 1), np.float32)
    )
    products = 2 * (64 * 128 + 128 * 10)
    assert num_params == 64 * 128 + 128 + 128 * 10 + 10
    assert products <= flops <= 1.05 * products  # biases and ReLU besides


def test_operations_of_resnet20():
    flops, num_params = cost.forward_flops(
        "resnet20", (), 10, jax.ShapeDtypeStruct((32, 32, 3), np.float32)
    )
    # 40.6 million multiply-adds (He et al.), of which XLA leaves out those with padding.
    assert 0.85 < flops / (2 * 40.6e6) < 1
    assert num_params == pytest.approx(0.27e6, rel=0.01)


@pytest.mark.parametrize(
    ("name", "images", "steps", "forward", "drawn"),
    [
        # 100 images in 200 epochs; 4 evaluations of 10,000 and 10 selections from 50,000.
        (WEAK, 200 * 100, 200, 4 * 10_000 + 10 * 50_000, 0),
        # As many strong ones, each chosen of 4 candidates in every epoch.
        (STRONG, 200 * 200, 400, 4 * 10_000 + 10 * 50_000 + 200 * 100 * 4, 200 * 100 * 4),
        ("cifar10-resnet20-cpu-random-weak", 200 * 100, 200, 4 * 10_000, 0),
        ("digits-none", 40 * 1438, 40 * 45, 40 * 359, 0),
        ("digits-all", 40 * 2876, 40 * 90, 40 * 359, 40 * 1438),
        ("digits-coreset-10", 40 * 1582, 40 * 50, 40 * 359 + 8 * 1438, 40 * 144),
        ("digits-coreset-10-network", 40 * 1582, 40 * 50, 40 * 359 + 8 * 3 * 1438, 40 * 144),
    ],
)
def test_images_steps_and_passes(name, images, steps, forward, drawn):
    found = cost_of(name)
    assert (found.images, found.steps) == (images, steps)
    assert (found.forward_images, found.drawn_images) == (forward, drawn)


def test_seconds_are_those_of_the_stated_rates():
    found = cost_of(WEAK)
    flops = 74_760_168
    assert found.training_flops == 3 * flops * found.images
    assert found.forward_flops == flops * found.forward_images
    expected = (
        found.training_flops / cost.TRAINING_FLOPS
        + found.forward_flops / cost.FORWARD_FLOPS
        + 200 * cost.STEP_SECONDS
        + 10 * 10 * 5000**2 * cost.DISTANCE_SECONDS
    )
    assert found.seconds == pytest.approx(expected)
    # 250 images/s in training
    assert cost.TRAINING_FLOPS / (3 * flops) == pytest.approx(250, rel=0.01)


def test_settings_that_change_the_cost():
    plain = cost_of("digits-coreset-10")
    assert cost_of("digits-coreset-10", draws=2).drawn_images == 2 * plain.drawn_images
    assert cost_of("digits-coreset-10", strong_every=4).drawn_images == plain.drawn_images / 4
    twice = cost_of("digits-coreset-10", placement="in-place-twice")
    assert (twice.selected, twice.images) == (288, 40 * 1438)
    fewer = cost_of("digits-coreset-10", reselect_every=100)
    assert plain.forward_images - fewer.forward_images == 7 * 1438
    recorded = cost_of("digits-random-10", also_record=("max-loss",))
    assert recorded.forward_images == plain.forward_images
    assert cost_of("digits-coreset-10", tolerance=1.0, fraction=None).selected == 1438


def test_a_given_subset_is_counted():
    experiment = with_overrides(
        PRESETS["digits-none"].experiment, {"selector": "given", "train_on": "subset"}
    )
    found = cost.estimate_cost(experiment, known_sizes(experiment), given=50)
    assert (found.selected, found.images) == (50, 40 * 50)
