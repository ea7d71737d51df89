import functools
import sys

import jax
import numpy as np
import pytest

from ntk_aug.augment import AUGMENTATIONS, build_augmentation
from ntk_aug.augment.floats.geometry import rotate
from ntk_aug.errors import InputError

KEYS = jax.random.split(jax.random.key(0), 3)
IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype(np.float32)


@functools.cache
def distances(spec):
    """How far each image is moved by an augmentation, in the Euclidean norm."""
    moved = jax.jit(jax.vmap(build_augmentation(spec)))(KEYS, IMAGES)
    return np.linalg.norm((np.asarray(moved) - IMAGES).reshape(3, -1), axis=1)


# The candidates of Wu et al. differ by data set in fill and mirroring alone, and take seconds to
# trace: two of them stand for the others.
QUICK = ("wu-cifar10", "wu-digits")
SLOW_TO_TRACE = {name for name in AUGMENTATIONS if name.startswith("wu-") and name not in QUICK}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW_TO_TRACE else name
        for name in AUGMENTATIONS
    ],
)
def test_every_entry_augments_an_image_by_its_name_alone(name):
    augmentation = build_augmentation(name)
    result = jax.eval_shape(augmentation, KEYS[0], IMAGES[0])
    shape = {"weak-tinyimagenet": (7, 7, 3), "weak-imagenet": (224, 224, 3)}
    assert (result.shape, result.dtype) == (shape.get(name, IMAGES[0].shape), IMAGES.dtype)
    assert AUGMENTATIONS[name].description


CHANGED = ("rotation", "rotation-bilinear", "flip-crop", "noise", "noise-sphere", "noise-gaussian")
CHANGED += ("randaugment", "weak-caltech256", "blur", "color-jitter", "cutout")


@pytest.mark.parametrize("name", CHANGED)
def test_what_is_no_identity_changes_images(name):
    assert distances(name).max() > 0.1


@pytest.mark.parametrize("spec", ["identity", "rotation:0", "noise:0"])
def test_no_strength_is_no_change(spec):
    np.testing.assert_allclose(distances(spec), 0, atol=1e-5)


def test_the_strength_of_noise_is_its_radius():
    # U^(1/128) is above 0.9 but for one draw in 700,000.
    for spec, radius in (("noise:3", 3), ("noise", AUGMENTATIONS["noise"].default)):
        assert (distances(spec) < radius * (1 + 1e-5)).all()
        assert (distances(spec) > radius * 0.9).all()


def test_the_strength_of_a_rotation_is_in_degrees():
    def expected(key, image):
        return rotate(image, jax.random.uniform(key, (), minval=-20, maxval=20))

    turned, by_hand = (
        jax.jit(jax.vmap(f))(KEYS, IMAGES)
        for f in (build_augmentation("rotation-bilinear:20"), expected)
    )
    np.testing.assert_allclose(turned, by_hand, atol=1e-6)


def test_a_rotation_takes_whole_pixels_unless_it_is_bilinear():
    def new_values(spec):
        turned = jax.jit(jax.vmap(build_augmentation(spec)))(KEYS, IMAGES)
        return ~np.isin(turned, [0, *IMAGES.ravel()])

    assert not new_values("rotation:20").any()
    assert new_values("rotation-bilinear:20").mean() > 0.5


@pytest.mark.parametrize(("spec", "padding"), [("flip-crop", 1), ("flip-crop:0.25", 2)])
def test_flip_and_crop_mirror_and_shift_by_a_share_of_the_side(spec, padding):
    image = IMAGES[0]
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    flipped = padded[:, ::-1]
    places = range(2 * padding + 1)
    windows = {
        (mirror, row, column): source[row : row + 8, column : column + 8].tobytes()
        for mirror, source in enumerate((padded, flipped))
        for row in places
        for column in places
    }
    keys = jax.random.split(jax.random.key(1), 400)
    crops = np.asarray(jax.jit(jax.vmap(build_augmentation(spec), (0, None)))(keys, image))
    seen = {crop.tobytes() for crop in crops}
    # 50 windows in 400 draws: that one is missing has probability 50 * 0.98^400 = 0.015.
    assert seen == set(windows.values())


def test_without_padding_there_is_only_a_flip():
    results = jax.vmap(build_augmentation("flip-crop:0"))(KEYS, IMAGES)
    for result, image in zip(np.asarray(results), IMAGES, strict=True):
        assert np.array_equal(result, image) or np.array_equal(result, image[:, ::-1])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rotatoin", r"unknown augmentation 'rotatoin' \(did you mean 'rotation'\?\); known: aug"),
        ("", "unknown augmentation ''; known: .*identity, noise, noise-g"),
        ("autoaugment-cifar", r"did you mean 'autoaugment-cifar10'\?"),
        ("autoaugment-svhn:3", "'autoaugment-svhn' takes no strength"),
        ("randaugment:31", r"is not in 0 \.\. 30"),
        ("randaugment:2.5", r"strength of randaugment is 2\.5, expected a whole number"),
        ("augmix:0", r"the severity of AugMix is 0, expected 0\.1 to 10"),
        ("identity:1", "'identity' takes no strength, but 'identity:1' gives one"),
        ("rotation:much", "strength of augmentation 'rotation:much' is not a number"),
        ("rotation:-1", r"strength of augmentation 'rotation:-1' is not in 0 \.\. 180"),
        ("rotation:181", r"is not in 0 \.\. 180"),
        ("rotation:nan", r"is not in 0 \.\. 180"),
        ("flip-crop:1.5", r"is not in 0 \.\. 1$"),
        ("noise:inf", r"'noise:inf' is not in 0 \.\. inf"),
        ("no_such_module_here:f", "cannot import 'no_such_module_here' of .*ModuleNotFoundError"),
        ("json:no_such_function", "module 'json' has no function 'no_such_function'"),
        ("json:__doc__", "module 'json' has no function '__doc__'"),
    ],
)
def test_a_bad_description_is_refused_in_one_line(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        build_augmentation(spec)
    assert "\n" not in str(caught.value)


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A function that writes a module of the user's into the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the library adds to it

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(source)

    return write


def test_a_user_s_function_is_found_in_the_working_directory(own_module):
    own_module("own_augmentation", "def invert(key, image):\n    return 1 - image\n")
    invert = build_augmentation("own_augmentation:invert")
    np.testing.assert_array_equal(invert(KEYS[0], IMAGES[0]), 1 - IMAGES[0])


def test_what_a_user_s_module_raises_is_shown(own_module):
    own_module("own_broken", "raise RuntimeError('no data here')\n")
    with pytest.raises(InputError, match=r"'own_broken' of .*: RuntimeError: no data here"):
        build_augmentation("own_broken:f")


def test_an_error_of_many_lines_is_shown_in_one(own_module):
    own_module("own_long", "raise RuntimeError('first\\nsecond')\n")
    with pytest.raises(InputError, match="RuntimeError: first") as caught:
        build_augmentation("own_long:f")
    assert "\n" not in str(caught.value)
