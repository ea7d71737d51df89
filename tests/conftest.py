"""Shared fixtures, and the shape and type checks that are on in every test."""

import os

# Tests run on the CPU wherever they are run, and one at a time on each of pytest's workers.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jaxtyping import install_import_hook

# Before ntk_aug is imported: every annotation of it is checked on every call, by beartype.
install_import_hook("ntk_aug", "typechecking.checked")

import jax
import numpy as np
import pytest

from ntk_aug import data, models


@pytest.fixture(scope="session")
def digits():
    """Twelve real digits of three classes, as a Dataset."""
    three = data.select_classes(data.load_dataset("digits", "train"), ["0", "1", "2"])
    return data.draw_examples(jax.random.key(0), three, 12)


@pytest.fixture(scope="session")
def digit_images(digits):
    """Their pixels, [12, 8, 8, 1] float32 in [0, 1]."""
    return np.asarray(data.unit_range(digits.images))


def initialised_view(name, images, num_classes=3, seed=0, **options):
    """A named network with its initial weights, in evaluation mode."""
    network = models.build_network(name, num_classes, **options)
    return network.view(*network.init(jax.random.key(seed), images[:1]))


@pytest.fixture(scope="session")
def tanh_mlp(digit_images):
    """A small smooth network at its initial weights."""
    return initialised_view("mlp", digit_images, width=16, activation="tanh")


@pytest.fixture(scope="session")
def small_resnet(digit_images):
    """One residual block with BatchNorm, at its initial weights."""
    return initialised_view("resnet4", digit_images)
