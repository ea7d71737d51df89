"""An integer in place of a key is its seed, in every part of the library."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from ntk_aug import augment, coreset, data, jacobian, spectrum, theory
from ntk_aug.augment.batches.candidates import select_candidates
from ntk_aug.augment.batches.mixing import draw_cutmix, draw_mixup
from ntk_aug.augment.floats.cropping import draw_crop_offset, random_crop
from ntk_aug.augment.floats.noise import random_noise_on_sphere
from ntk_aug.augment.pixels.resizing import random_resized_crop
from ntk_aug.augment.policies.sampling import draw_policy
from ntk_aug.augment.weak import random_shift
from ntk_aug.coreset.baselines import random_subset

IMAGE = jnp.asarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3)) / 255, jnp.float32)
GRADIENTS = np.random.default_rng(1).normal(size=(90, 4))
LABELS = np.arange(90) % 3
OPERATOR = aslinearoperator(np.random.default_rng(2).normal(size=(6, 8)))
POLICY = augment.POLICIES["trivialaugment"]
PIXELS = np.uint8(255 * np.stack([IMAGE] * 4))


def mixed(key):
    images = np.float32(PIXELS) / 255
    return augment.mix_batch(
        augment.random_mixup,
        key,
        images,
        np.arange(4),
        np.arange(4),
        train_images=images,
        train_labels=np.arange(4),
        num_classes=4,
    )


def of_examples(**options):
    return lambda key: (
        coreset.facility_location(GRADIENTS, count=5, algorithm_key=key, **options).indices
    )


DRAWS = {
    "example_key": lambda key: jax.random.key_data(augment.example_key(key, 1, 2)),
    "rotation": lambda key: augment.random_rotate(key, IMAGE, 30.0),
    "flips": lambda key: random_shift(key, IMAGE),
    "crop": lambda key: random_crop(key, IMAGE, 4, 4),
    "offset": lambda key: draw_crop_offset(key, 400),
    "resized crop": lambda key: random_resized_crop(key, PIXELS[0], 8, 8),
    "noise": lambda key: (
        augment.random_gaussian_noise(key, IMAGE, 0.1),
        random_noise_on_sphere(key, IMAGE, 0.1),
        augment.random_noise_in_ball(key, IMAGE, 0.1),
    ),
    "blur": lambda key: augment.random_gaussian_blur(key, IMAGE),
    "jitter": lambda key: augment.random_color_jitter(key, IMAGE, brightness=0.5),
    "mixed batch": mixed,
    "mixing": lambda key: (draw_mixup(key, 9, 8, 8), draw_cutmix(key, 9, 8, 8)),
    "candidates": lambda key: select_candidates(key, np.arange(9.0), 4),
    "policy": lambda key: draw_policy(key, POLICY, 8, 8),
    "projection": lambda key: jacobian.projected_rows(
        key, linear_rows(), np.float32(PIXELS) / 255, dimension=3
    ),
    "random subset": lambda key: random_subset(key, 50, 9).indices,
    "random errors": lambda key: coreset.random_gradient_errors(
        key, GRADIENTS, LABELS, np.full(3, 2), draws=3
    ),
    "stochastic": of_examples(algorithm="stochastic"),
    "two-stage": of_examples(algorithm="two-stage", memory_bytes=4 * 20**2),
    "by class": lambda key: (
        coreset.facility_location_per_class(
            GRADIENTS, LABELS, count=6, algorithm="stochastic", algorithm_key=key, epsilon=0.9
        ).indices
    ),
    "selection": lambda key: (
        coreset.select(key, coreset.Examples(LABELS, 3, {}), "random", count=6).indices
    ),
    "moments": lambda key: spectrum.estimate_moments(key, OPERATOR, num_samples=3).trace,
    "entropy": lambda key: spectrum.estimate_entropy_rank(key, OPERATOR, num_samples=2).rank,
    "triplets": lambda key: spectrum.largest_singular_triplets(key, OPERATOR, 2).right,
    "shifts": lambda key: theory.draw_shifts(key, 0.5, 0.3, 4),
    "perturbed": lambda key: theory.measure_perturbed(key, [2.0, 1.0], 3, 0.1, draws=2).gain,
    "statement": lambda key: theory.random_instances(key, "F1", 1)[0].lhs,
    "checked": lambda key: theory.check_statement(key, "F1", instances=2).corrected.worst,
    "subspaces": lambda key: spectrum.random_subspace_angle(key, 40, 3),
}


def linear_rows():
    def apply_fn(params, images):
        return images.reshape(len(images), -1) @ params

    return jacobian.JacobianRows((apply_fn, np.ones((192, 2), np.float32)), (8, 8, 3))


@pytest.mark.parametrize("name", DRAWS)
def test_an_integer_gives_what_its_key_gives(name):
    by_key, by_seed, by_other = (
        jax.tree.map(np.asarray, DRAWS[name](key)) for key in (jax.random.key(7), 7, 8)
    )
    jax.tree.map(np.testing.assert_array_equal, by_seed, by_key)
    leaves = zip(jax.tree.leaves(by_other), jax.tree.leaves(by_key), strict=True)
    assert any(not np.array_equal(*pair) for pair in leaves)


def test_seeds_are_taken_inside_of_jit_and_by_digits_and_widths(digits):
    noise = jax.jit(partial(augment.random_gaussian_noise, image=IMAGE, deviation=0.1))
    expected = noise(jax.random.key(3))
    np.testing.assert_array_equal(noise(3), expected)
    np.testing.assert_array_equal(noise(np.int64(3)), expected)
    drawn = [data.draw_examples(key, digits, 5).indices for key in (jax.random.key(3), 3)]
    np.testing.assert_array_equal(*drawn)
    by_class = [
        data.draw_examples(key, digits, 1, per_class=True).indices for key in (jax.random.key(3), 3)
    ]
    np.testing.assert_array_equal(*by_class)
