"""Shared fixtures, and the shape and type checks that are on in every test."""

import os
import tempfile

# Tests run on the CPU wherever they are run, and one at a time on each of pytest's workers.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Set before workers start: threads of BLAS in two of them would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Most programs run once, on small arrays: a quick compilation saves more than it costs. Processes
# that tests start inherit it.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

from jaxtyping import install_import_hook
from typechecking import checked_modules

# Before ntk_aug is imported: annotations are checked on every call, by beartype.
install_import_hook(checked_modules(), "typechecking.checked")

from ntk_aug.compiler import hide_cache_messages

hide_cache_messages()  # before JAX is imported

import jax
import numpy as np
import pytest

from ntk_aug import data, models

# Tests build the same programs again and again: engines of their own for the same few networks.
# Each is compiled once, into a folder that all workers share and that ends with the run.
SHARED = "NTK_AUG_TEST_PROGRAMS"
PROGRAMS = None if SHARED in os.environ else tempfile.TemporaryDirectory(prefix="ntk_aug-tests-")
if PROGRAMS is not None:
    os.environ[SHARED] = PROGRAMS.name  # before workers start
jax.config.update("jax_compilation_cache_dir", os.environ[SHARED])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def pytest_configure(config):
    # Two workers may write one program at once; JAX then compiles it where it cannot be read.
    config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache")


def pytest_unconfigure():
    if PROGRAMS is not None:
        PROGRAMS.cleanup()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives whole files to `-n` workers, so that only one makes a file's fixtures and programs."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="module")
def optimized_compiler():
    """XLA as users have it, which fuses multiplications and additions: for tests of exact pixels.

    Both settings keep their programs apart in the compilation cache, and in JAX's own.
    """
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    jax.clear_caches()


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
