"""Random keys over the whole library, in tables: no key is used twice, and each axis has its own.

A function that uses one key for two things correlates them, and no value looks wrong. JAX's
checker finds that from the trace alone. It does not find a key that misses what it stands for (an
epoch, a class): for that, the second table says over which axes a draw differs and over which not.
That numbers drawn with one key are independent is tested in `augment/test_randomness.py`.
"""

import importlib
import inspect
import pkgutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

import ntk_aug
from ntk_aug import augment, data, jacobian, models, spectrum, theory, training
from ntk_aug.augment import Policy, WuAugmentation, parse_table
from ntk_aug.augment.batches import candidates
from ntk_aug.augment.batches import candidates as candidates_module
from ntk_aug.augment.batches.mixing import draw_cutmix, draw_mixup
from ntk_aug.augment.floats.cropping import draw_crop_offset, random_crop
from ntk_aug.augment.floats.noise import random_noise_on_sphere
from ntk_aug.augment.pixels.operations import place_operation
from ntk_aug.augment.pixels.resizing import draw_resized_crop, random_resized_crop
from ntk_aug.augment.policies.sampling import draw_policy
from ntk_aug.augment.weak import random_part, random_shift, random_window, random_zoom
from ntk_aug.training.step import Keys

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(size=(12, 16, 3)).astype(np.float32)
PIXELS = RNG.integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
IMAGES = (PIXELS / 255).astype(np.float32)
LABELS = np.arange(6) % 3
POLICY = Policy(parse_table("Cutout 0.5 *\nCutout-shifted * *\nRotate 1 *"), 3, magnitudes="wu")
WU = WuAugmentation(Policy(parse_table("Mixup * *\nCutout-shifted 0.5 *"), 2, magnitudes="wu"))
AUGMIX = augment.build_augmentation("augmix")
COMPOSED = augment.build_augmentation("weak-cifar10+augmix+noise")
TRAINING_SET = {"train_images": PIXELS, "train_labels": LABELS, "num_classes": 3}


def by_loss(key, **options):
    options = {"per_example_loss": lambda images, soft: images.mean((1, 2, 3)), **options}
    return augment.augment_by_loss(
        WU, key, PIXELS[:2], LABELS[:2], np.arange(2), **TRAINING_SET, **options
    )


def mixed(mixing, key, **options):
    return augment.mix_batch(mixing, key, IMAGES, LABELS, np.arange(6), **TRAINING_SET, **options)


# --- No key is used twice ---------------------------------------------------------------------

PARTNERS = (IMAGES, LABELS)

TRACED = {
    "augment_batch": lambda key: augment.augment_batch(WU, key, IMAGES, np.arange(6)),
    "augment_by_loss": by_loss,
    "draw_crop_offset": lambda key: draw_crop_offset(key, 4),
    "draw_cutmix": lambda key: draw_cutmix(key, 9, 8, 8, alpha=0.5, probability=0.5),
    "draw_mixup": lambda key: draw_mixup(key, 9, 8, 8),
    "draw_policy": lambda key: draw_policy(key, POLICY, 8, 8),
    "draw_resized_crop": lambda key: draw_resized_crop(key, 12, 16),
    "example_key": lambda key: jax.random.bits(augment.example_key(key, 1, 2, 3)),
    "mix_batch": partial(mixed, augment.random_cutmix),
    "place_operation": lambda key: place_operation(
        key, 1, np.zeros(13, int), 8, 8, operations=("Cutout", "Cutout-shifted")
    ),
    "random_color_jitter": lambda key: augment.random_color_jitter(key, IMAGE, brightness=0.5),
    "random_crop": lambda key: random_crop(key, IMAGE, 4, 4),
    "random_crop_padded": lambda key: augment.random_crop_padded(key, IMAGE, 2),
    "random_cutmix": lambda key: augment.random_cutmix(
        key, IMAGES[0], 1, *PARTNERS, num_classes=3, probability=0.5
    ),
    "random_flip_horizontal": lambda key: augment.random_flip_horizontal(key, IMAGE),
    "random_gaussian_blur": lambda key: augment.random_gaussian_blur(key, IMAGE),
    "random_gaussian_noise": lambda key: augment.random_gaussian_noise(key, IMAGE, 0.1),
    "random_mixup": lambda key: augment.random_mixup(key, IMAGES[0], 1, *PARTNERS, num_classes=3),
    "random_noise_in_ball": lambda key: augment.random_noise_in_ball(key, IMAGE, 0.1),
    "random_noise_on_sphere": lambda key: random_noise_on_sphere(key, IMAGE, 0.1),
    "random_operation": lambda key: augment.random_operation(key, IMAGE, "Cutout", maximum=8),
    "random_part": lambda key: random_part(key, IMAGE),
    "random_resized_crop": lambda key: random_resized_crop(
        key, (IMAGE * 255).astype(np.uint8), 8, 8
    ),
    "random_rotate": lambda key: augment.random_rotate(key, IMAGE, 30),
    "random_shift": lambda key: random_shift(key, IMAGE),
    "random_window": lambda key: random_window(key, IMAGE),
    "random_zoom": lambda key: random_zoom(key, IMAGE),
    "select_candidates": lambda key: candidates_module.select_candidates(key, jnp.arange(4.0), 2),
    "PolicyAugmentation.draw": lambda key: augment.PolicyAugmentation(POLICY).draw(key, 8, 8),
    "ComposedAugmentation.__call__": lambda key: COMPOSED(key, IMAGE),
    "AugMixAugmentation.draw": lambda key: AUGMIX.draw(key, 8, 8),
    "WuAugmentation.draw": lambda key: WU.draw(key, 8, 8),
    "WuAugmentation.draw_candidate": lambda key: WU.draw_candidate(key, 9, 8, 8),
}
"""Functions of a key that can be traced; the checker sees all uses of it and of what is derived."""

FOUR = data.Dataset("four", "train", PIXELS[:4], LABELS[:4], tuple("abc"))
OPERATOR = aslinearoperator(RNG.standard_normal((9, 12)))

ON_HOST = {
    "draw_examples": lambda key: data.draw_examples(key, FOUR, 1, per_class=True),
    "draw_shifts": lambda key: theory.draw_shifts(key, 0.5, 0.3, 4),
    "estimate_entropy_rank": lambda key: spectrum.estimate_entropy_rank(
        key, OPERATOR, num_samples=2
    ),
    "estimate_moments": lambda key: spectrum.estimate_moments(key, OPERATOR, num_samples=2),
    "largest_singular_triplets": lambda key: spectrum.largest_singular_triplets(key, OPERATOR, 2),
    "measure_perturbed": lambda key: theory.measure_perturbed(key, [2.0, 1.0], 3, 0.1, draws=2),
    "projected_rows": lambda key: jacobian.projected_rows(
        key,
        jacobian.JacobianRows(
            (lambda w, x: x[:, 0, 0] @ w, np.ones((1, 2), np.float32)), (1, 1, 1)
        ),
        IMAGES[:, :1, :1],
        dimension=3,
    ),
    "random_subspace_angle": lambda key: spectrum.random_subspace_angle(key, 9, 3),
    "smallest_singular_triplets": lambda key: spectrum.smallest_singular_triplets(key, OPERATOR, 2),
}
"""Functions that work on the host, where the checker looks at each use as it comes."""

SEEDS_NUMPY = {
    "check_statement",
    "random_instances",
    "corrupt_labels",
    "long_tailed",
    "random_gradient_errors",
    "random_subset",
    "select",
    "facility_location",
    "facility_location_per_class",
}
"""They seed NumPy's generator with the key: see `AXES`, and `coreset/test_randomness.py`."""

# To projected_rows, and to augment_batch.
HANDS_ON = {"network_examples", "ExamplesProgram", "AugmentedVersions", "study_spectrum"}
# Parts of functions in the tables above, and what draws nothing by itself.
PARTS = {
    *("KrylovBasis", "StochasticGreedy", "two_stage_greedy"),
    *("draw_plan", "draw_steps", "place_cutout", "shuffle"),
    *("as_key", "generator", "check_algorithm"),
}
ELSEWHERE = {"width_convergence"}  # tested with the kernels of infinite width


def public_functions_of_a_key():
    for found in pkgutil.walk_packages(ntk_aug.__path__, "ntk_aug."):
        module = importlib.import_module(found.name)
        for name, public in vars(module).items():
            is_own = not name.startswith("_") and getattr(public, "__module__", "") == found.name
            is_class = inspect.isclass(public) and not issubclass(public, Exception)
            if is_own and (inspect.isfunction(public) or is_class):
                parameters = inspect.signature(public).parameters
                if any(p == "key" or p.endswith("_key") for p in parameters):
                    yield name


def test_the_tables_name_every_public_function_that_takes_a_key():
    named = {name for name in {**TRACED, **ON_HOST} if "." not in name}
    assert set(public_functions_of_a_key()) == named | SEEDS_NUMPY | HANDS_ON | PARTS | ELSEWHERE


def check_no_key_is_used_twice(run):
    """JAX's checker raises KeyReuseError if one is."""
    with jax.debug_key_reuse(True):
        run()


@pytest.mark.parametrize("name", TRACED)
def test_no_key_is_used_twice(name):
    check_no_key_is_used_twice(lambda: jax.jit(TRACED[name]).trace(KEY))


@pytest.mark.parametrize("name", ON_HOST)
def test_no_key_is_used_twice_on_the_host(name):
    check_no_key_is_used_twice(lambda: ON_HOST[name](jax.random.clone(KEY)))


def test_the_checker_sees_what_it_is_there_for():
    def one_key_for_two(key):
        keys = jax.random.split(key, 2)
        return jax.random.randint(keys[0], (), 0, 5), jax.random.uniform(keys[0])

    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(one_key_for_two).trace(KEY)


# --- Each axis has a key of its own ------------------------------------------------------------


class KeyAsImage(WuAugmentation):
    """A candidate is the bits of its key, as an image of 8 bytes."""

    def draw_candidate(self, key, *arguments):
        return jax.lax.bitcast_convert_type(jax.random.key_data(key), jnp.uint8).reshape(2, 4, 1)

    def apply_candidate(self, image, label, draw, images, labels, *, num_classes):
        return draw, jax.nn.one_hot(label, num_classes)


def test_every_candidate_and_every_choice_has_a_key_of_its_own(monkeypatch):
    choices = []

    def select_candidates(key, losses, keep, *, selection):
        jax.debug.callback(lambda bits: choices.append(bits.tobytes()), jax.random.key_data(key))
        return jnp.arange(keep)

    monkeypatch.setattr(candidates, "select_candidates", select_candidates)
    augmentation = KeyAsImage(WU.policy)

    @jax.jit
    def kept(key, epoch, draw):
        return augment.augment_by_loss(
            augmentation,
            key,
            PIXELS[:2, :2, :4],
            LABELS[:2],
            np.arange(2),
            **TRAINING_SET | {"train_images": PIXELS[:, :2, :4]},
            per_example_loss=lambda images, soft: images.mean((1, 2, 3)),
            keep=4,
            epoch=epoch,
            draw=draw,
        )[0]

    drawn = [
        kept(jax.random.key(seed), epoch, draw)
        for seed, epoch, draw in [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    ]
    jax.effects_barrier()
    keys = np.round(255 * np.concatenate(drawn)).astype(np.uint8).reshape(-1, 8)
    # Of two images, four candidates each and one choice for each, four times.
    assert [len(keys), len(choices)] == [4 * 2 * 4, 4 * 2]
    assert len({*choices, *(key.tobytes() for key in keys)}) == 4 * 2 * 5


def mixup_of(seed=0, epoch=0, draw=0, index=5, beside=(1, 2)):
    """The partner's share and label of one example, by the soft label of its mixture."""
    indices = np.array([index, *beside])
    _, soft = augment.mix_batch(
        augment.random_mixup,
        jax.random.key(seed),
        IMAGES[:3],
        np.array([0, 1, 2]),
        indices,
        train_images=IMAGES,
        train_labels=np.array([1, 2, 1, 2, 1, 2]),
        num_classes=3,
        epoch=epoch,
        draw=draw,
    )
    return soft[0]


def noise_of(seed=0, epoch=0, draw=0, index=5, beside=(1, 2)):
    indices = np.array([index, *beside])
    return augment.augment_batch(
        partial(augment.random_gaussian_noise, deviation=1.0),
        jax.random.key(seed),
        IMAGES[:3],
        indices,
        epoch=epoch,
        draw=draw,
    )[0]


def class_of(seed=0, number=0, classes=2, per_class=4):
    """Places within one class of what `draw_examples` draws of it."""
    labels = np.arange(20 * classes) % classes
    images = np.zeros((len(labels), 1, 1, 1), np.uint8)
    dataset = data.Dataset("own", "train", images, labels, tuple(map(str, range(classes))))
    drawn = data.draw_examples(jax.random.key(seed), dataset, per_class, per_class=True)
    return drawn.indices[drawn.labels == number] // classes


def tail_of(seed=0, number=0, imbalance=2, classes=3):
    """The first ten places within one class that `long_tailed` keeps; of class 0 it keeps 20."""
    labels = np.repeat(np.arange(classes), 40)
    dataset = data.Dataset.from_arrays(np.zeros((len(labels), 1, 1, 1), np.uint8), labels)
    drawn = data.long_tailed(seed, dataset, imbalance, largest=20)
    places = drawn.indices[drawn.labels == number] % 40
    return places[:10]


def wrong_labels_of(seed=0):
    """The labels of forty examples of class 0, half of which `corrupt_labels` changes."""
    dataset = data.Dataset("own", "train", np.zeros((40, 1, 1, 1)), np.zeros(40, int), tuple("abc"))
    return data.corrupt_labels(seed, dataset, 0.5).labels


AXES = {
    "augment_batch": (
        noise_of,
        {"seed": 1, "epoch": 1, "draw": 1, "index": 6},
        {"beside": (7, 0)},
    ),
    "mix_batch": (
        mixup_of,
        {"seed": 1, "epoch": 1, "draw": 1, "index": 6},
        {"beside": (7, 0)},
    ),
    "draw_examples": (class_of, {"seed": 1, "number": 1}, {"classes": 2}),
    "long_tailed": (tail_of, {"seed": 1, "number": 1}, {"imbalance": 4, "classes": 2}),
    "corrupt_labels": (wrong_labels_of, {"seed": 1}, {}),
}
"""What is drawn: (function, axes over which it differs, axes over which it does not)."""


@pytest.mark.parametrize("name", AXES)
def test_a_draw_differs_over_its_axes_and_over_no_others(name):
    draw, differs, same = AXES[name]
    drawn = np.asarray(draw())
    for axis, value in differs.items():
        assert not np.allclose(draw(**{axis: value}), drawn), axis
    for axis, value in same.items():
        np.testing.assert_array_equal(draw(**{axis: value}), drawn, err_msg=axis)


# --- Training ----------------------------------------------------------------------------------


def two_epochs(seed):
    """What two epochs draw: the order of images, the mark of each version, the dropout keys.

    Each of twelve images has a weak version and two strong ones, all by one augmentation.
    """
    images = np.zeros((12, 2, 1, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(12)
    dataset = data.Dataset("own", "train", images, np.arange(12) % 2, ("a", "b"))
    steps = 2 * 9  # of four rows each

    def init(key, inputs):
        zeros = jnp.zeros((steps, 4))
        return jnp.ones(()), {"step": jnp.zeros((), int), "seen": (zeros, zeros, zeros)}

    def apply(params, state, inputs, train, key):
        logits = params * jnp.zeros((len(inputs), 2))
        if not train:
            return logits, state
        kept = (inputs[:, 0, 0, 0], inputs[:, 1, 0, 0], jax.random.uniform(key, (4,)))
        seen = jax.tree.map(lambda all, one: all.at[state["step"]].set(one), state["seen"], kept)
        return logits, {"step": state["step"] + 1, "seen": seen}

    config = training.TrainingConfig(
        epochs=2, batch_size=4, learning_rate=0.0, weak="training_parts:marked", seed=seed
    )
    method = training.MethodConfig(selector="all", augment="training_parts:marked", draws=2)
    trained = training.train(models.Network(init, apply), dataset, config, method=method)
    order, marks, dropout = (np.asarray(x) for x in trained.state["seen"])
    order = np.round(order * 255).astype(int).reshape(2, 36)
    return order, marks.reshape(2, 36), dropout


def test_epochs_steps_and_versions_of_a_training_have_keys_of_their_own():
    order, marks, dropout = two_epochs(0)
    np.testing.assert_array_equal(np.sort(order), np.tile(np.repeat(np.arange(12), 3), (2, 1)))
    assert (order[0] != order[1]).any()
    assert len(np.unique(marks)) == 72  # weak and strong versions of each image in each epoch
    assert len(np.unique(dropout)) == 72  # of each step
    again, other = two_epochs(0), two_epochs(1)
    for one, same, different in zip((order, marks, dropout), again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert (one != different).any()


def test_what_a_training_run_draws_has_six_keys():
    keys = [key for seed in (0, 1) for key in Keys.of_seed(seed)]
    bits = [tuple(np.asarray(jax.random.key_data(key))) for key in keys]
    assert len(set(bits)) == 12


# --- A projection ------------------------------------------------------------------------------


def test_signs_and_places_of_a_projection_are_independent():
    """The rows of the identity are those of S: one random sign at one random place each."""
    size, dimension = 1000, 5
    rows = jacobian.JacobianRows(
        (lambda w, x: x.reshape(len(x), -1) @ w, jnp.zeros((size, 1), jnp.float32)), (size, 1, 1)
    )
    identity = np.eye(size, dtype=np.float32)[:, :, None, None]
    S = jacobian.projected_rows(KEY, rows, identity, dimension=dimension)
    assert ((S != 0).sum(axis=1) == 1).all()
    places, positive = np.argmax(S != 0, axis=1), S.sum(axis=1) > 0
    counts = np.histogram2d(places, positive, bins=(dimension, 2))[0]
    # Chi-square of 10 equally likely cells, 9 degrees of freedom: above 33.7 once in 10,000.
    assert ((counts - size / 10) ** 2 / (size / 10)).sum() < 33.7
    other = jacobian.projected_rows(jax.random.key(4), rows, identity, dimension=dimension)
    assert (np.argmax(other != 0, axis=1) == places).mean() < 0.3  # 1 / 5, deviation 0.013
