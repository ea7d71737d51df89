"""Augmentations joined by "+": their order, their keys, their errors."""

import sys

import jax
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment import AUGMENTATIONS, build_augmentation, describe_augmentation
from ntk_aug.augment.composition import split_parts
from ntk_aug.augment.policies.augmentation import Drawing
from ntk_aug.augment.value_range import may_leave_unit_range
from ntk_aug.augment.weak import WEAK, random_shift
from ntk_aug.errors import InputError, UserCodeError

KEYS = jax.random.split(jax.random.key(0), 8)
IMAGES = np.random.default_rng(0).uniform(size=(8, 8, 8, 3)).astype(np.float32)

OWN = """
import jax
from ntk_aug import augment

def halve(key, image):
    return image / 2

def shift(key, image):
    return image + jax.random.uniform(key)

def broken(key, image):
    raise RuntimeError("no day for it")

def grey_only(key, image):
    return image.reshape(8, 8, 1)

composed = augment.build_augmentation("flip-crop+randaugment")
noisy = augment.build_augmentation("flip-crop+noise")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a module of the user's, and gives its name."""
    (tmp_path / "own_parts_to_join.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    yield "own_parts_to_join"
    sys.modules.pop("own_parts_to_join", None)


def augmented(augmentation):
    return np.asarray(jax.jit(jax.vmap(augmentation))(KEYS, IMAGES))


def test_parts_are_applied_in_order_each_with_its_own_key():
    def by_hand(key, image):
        of_shift, of_square, of_noise = jax.random.split(key, 3)
        shifted = random_shift(of_shift, image)
        square = {"minimum": 4, "maximum": 4, "levels": 1}
        cut = augment.random_operation(of_square, shifted, "Cutout", **square)
        return augment.random_noise_in_ball(of_noise, cut, 0.3)

    found = augmented(build_augmentation("weak-cifar10+cutout:0.5+noise:0.3"))
    # The same function: compilation alone may change the last bit of the noise.
    np.testing.assert_allclose(found, augmented(by_hand), atol=1e-6)


def test_the_published_pipeline_is_a_crop_a_mirror_and_the_policy():
    weak, policy = build_augmentation("weak-cifar10+autoaugment-cifar10").parts
    assert weak is random_shift
    assert policy == augment.PolicyAugmentation(augment.POLICIES["autoaugment-cifar10"])


def test_equal_parts_draw_independently():
    twice = build_augmentation("noise-gaussian:1+noise-gaussian:1")
    added = (augmented(twice) - IMAGES).ravel()  # 1536 values of variance 2, or 4 with one key
    assert abs(added.var() - 2) < 5 * 2 * np.sqrt(2 / added.size)


def test_a_key_or_a_seed_decides():
    both = build_augmentation("flip-crop+blur")
    of_key, of_seed, other = (both(key, IMAGES[0]) for key in (jax.random.key(3), 3, 4))
    np.testing.assert_array_equal(of_key, of_seed)
    assert np.abs(of_key - other).max() > 0.05


def test_a_composition_works_on_a_batch_as_any_augmentation_does():
    both = build_augmentation("flip-crop+cutout")
    batch = augment.augment_batch(both, 1, IMAGES, np.arange(8), epoch=2)
    alone = both(augment.example_key(1, 2, 5), IMAGES[5])
    np.testing.assert_array_equal(batch[5], alone)
    policy = build_augmentation("flip-crop+trivialaugment")
    with pytest.raises(
        InputError, match=r"expected 0 to 1, because the augmentation acts on uint8"
    ):
        augment.augment_batch(policy, 1, 2 * IMAGES, np.arange(8))
    without = build_augmentation("flip-crop+rotation")
    assert augment.augment_batch(without, 1, 2 * IMAGES, np.arange(8)).max() > 1


# --- Names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("noise", ["noise"]),
        ("", [""]),
        ("a-b:3+c", ["a-b:3", "c"]),
        ("a+b+c", ["a", "b", "c"]),
        # A strength has a sign and an exponent of its own.
        ("noise:1e+2", ["noise:1e+2"]),
        ("noise:+0.5", ["noise:+0.5"]),
        ("noise:-1E+2+noise:+1e-2+blur", ["noise:-1E+2", "noise:+1e-2", "blur"]),
        ("noise:.5+blur:1_0+cutout", ["noise:.5", "blur:1_0", "cutout"]),
        # A user's function has none.
        ("my.module:function+noise", ["my.module:function", "noise"]),
        ("weak-svhn+my:e+noise:2", ["weak-svhn", "my:e", "noise:2"]),
        ("my:f1e+noise", ["my:f1e", "noise"]),
        ("noise:+blur", ["noise:", "blur"]),
        ("noise:1e+blur", ["noise:1e", "blur"]),
    ],
)
def test_a_name_is_split_where_another_part_begins(spec, parts):
    assert split_parts(spec) == parts


def test_a_strength_with_an_exponent_is_a_strength():
    moved = augmented(build_augmentation("noise-sphere:2e+0")) - IMAGES
    np.testing.assert_allclose(np.linalg.norm(moved.reshape(8, -1), axis=1), 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("weak-cifar10+autoagument-svhn", r"part 'autoagument-svhn' of augmentation 'weak-cifar10"),
        ("flip-crop+rotation:much+noise", "part 'rotation:much' .*strength .* is not a number"),
        ("flip-crop:2+noise", r"part 'flip-crop:2' .*is not in 0 \.\. 1"),
        ("identity+augmix:0", "part 'augmix:0' .*severity of AugMix is 0"),
        ("identity+json:nothing", "part 'json:nothing' .*'json' has no function 'nothing'"),
        ("identity+nowhere_at_all:f", "cannot import 'nowhere_at_all' of 'nowhere_at_all:f'"),
        ("identity+", r"'identity\+' has an empty part, expected names joined by '\+'"),
        ("+identity", r"'\+identity' has an empty part"),
        ("identity++noise", r"'identity\+\+noise' has an empty part"),
    ],
)
def test_a_bad_part_is_named_in_one_line(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        build_augmentation(spec)
    assert "\n" not in str(caught.value)


def test_every_part_is_described():
    for name, entry in AUGMENTATIONS.items():
        assert describe_augmentation(name) == entry.description
    both = describe_augmentation("noise:0.3+mine:function")
    assert both == f"{AUGMENTATIONS['noise'].description}; then your own"


# --- A user's parts ----------------------------------------------------------------------------


def test_a_user_s_function_is_a_part(own):
    found = augmented(build_augmentation(f"{own}:halve+flip-crop:0+{own}:halve"))
    mirrored = IMAGES[:, :, ::-1]
    for one, image, mirror in zip(found, IMAGES / 4, mirrored / 4, strict=True):
        assert np.array_equal(one, image) or np.array_equal(one, mirror)


def test_an_error_of_a_part_is_named_where_it_runs(own):
    with pytest.raises(UserCodeError, match=f"^{own}:broken raised RuntimeError: no day") as caught:
        augment.augment_batch(build_augmentation(f"identity+{own}:broken"), 0, IMAGES, np.arange(8))
    assert "no day for it" in caught.value.user_traceback
    refused = build_augmentation(f"{own}:shift+cutout")  # which says nothing of leaving [0, 1]
    with pytest.raises(InputError, match="part 'cutout': the image ranges from"):
        refused(KEYS[0], IMAGES[0] + 1)


def test_a_composition_of_the_user_s_is_a_part(own):
    again = build_augmentation(f"{own}:composed")
    assert again.names == ("flip-crop", "randaugment")
    assert may_leave_unit_range(build_augmentation(f"identity+{own}:noisy"))
    with pytest.raises(InputError, match=f"'{own}:composed' .* acts on uint8 pixels"):
        build_augmentation(f"noise+{own}:composed")


# --- The range of pixels -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "leaves"),
    [
        ("flip-crop+blur", False),
        ("weak-cifar10+trivialaugment+noise", True),
        ("noise:2+rotation:5", True),  # what is outside stays there
    ],
)
def test_a_composition_leaves_the_unit_range_if_a_part_does(spec, leaves):
    found = build_augmentation(spec)
    assert may_leave_unit_range(found) == leaves
    images = augmented(found)
    assert (images.min() >= -1e-6 and images.max() <= 1 + 1e-6) != leaves


def test_entries_that_act_on_whole_values_say_so():
    outside = np.linspace(-0.5, 1.5, 192, dtype=np.float32).reshape(8, 8, 3)
    built = {name: build_augmentation(name) for name in AUGMENTATIONS}
    refusing = {name for name, own in built.items() if isinstance(own, Drawing)}
    for name in {*built} - refusing | {"trivialaugment", "wu-digits", "augmix"}:
        refusing -= {name}
        augmentation = built[name]
        try:  # traced alone; a constant image is seen
            jax.eval_shape(lambda key, augmentation=augmentation: augmentation(key, outside), 0)
        except InputError as error:
            assert "acts on uint8 pixels" in str(error)  # noqa: PT017
            refusing.add(name)
    assert refusing == {name for name, entry in AUGMENTATIONS.items() if entry.whole_values}
    assert {"cutout", "weak-imagenet", "wu-svhn_cropped", "randaugment"} < refusing


@pytest.mark.parametrize("last", ["randaugment", "cutout:0.3", "weak-caltech256", "wu-digits"])
@pytest.mark.parametrize("first", ["noise:0.1", "noise-gaussian+flip-crop"])
def test_whole_values_after_noise_are_refused(first, last):
    noise = first.partition("+")[0]
    message = rf"part '{last}' of .* acts on uint8 pixels, .*: put '{noise}' after it"
    with pytest.raises(InputError, match=message):
        build_augmentation(f"{first}+{last}")
    assert build_augmentation(f"{last}+{first}")


# --- What was drawn ----------------------------------------------------------------------------


def test_a_composition_tells_what_each_part_draws():
    both = build_augmentation("weak-cifar10+trivialaugment+noise:0.1")
    policy = build_augmentation("trivialaugment")
    for key in KEYS:
        told = policy.describe(jax.random.split(key, 3)[1], 8, 8)
        assert both.describe(key, 8, 8) == f"weak-cifar10 + {told} + noise:0.1"


def test_what_is_drawn_is_told_for_the_size_that_a_part_is_given(own):
    policy = build_augmentation("trivialaugment")
    # Of 224 x 224 pixels, magnitudes in pixels are larger than of 8 x 8.
    for first, size in (("weak-imagenet", (224, 224)), (f"{own}:grey_only", (8, 8))):
        both = build_augmentation(f"{first}+trivialaugment")
        told = {both.describe(key, 8, 8) for key in KEYS}
        expected = {policy.describe(jax.random.split(key)[1], *size) for key in KEYS}
        assert told == {f"{first} + {drawn}" for drawn in expected}


# --- The weak augmentation of a data set --------------------------------------------------------


def test_a_data_set_finds_its_weak_augmentation():
    assert augment.weak_augmentation("cifar10") == "weak-cifar10"
    assert augment.weak_augmentation("svhn_cropped") == "weak-svhn_cropped"
    for name in ("horses_or_humans", "own.npz", ""):
        assert augment.weak_augmentation(name) == "identity"
    for name in (*WEAK, "own.npz"):
        assert callable(build_augmentation(augment.weak_augmentation(name)))


def test_svhn_has_a_short_name():
    for kind in ("weak", "wu"):
        full, short = (build_augmentation(f"{kind}-{name}") for name in ("svhn_cropped", "svhn"))
        assert full == short
