"""What a study takes as networks, augmentations and inputs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ntk_aug import augment, models
from ntk_aug.errors import InputError
from ntk_aug.spectrum.augmented_versions import (
    AugmentedVersions,
    as_views,
    check_study_inputs,
    distances,
    named_augmentations,
)

KEY = jax.random.key(0)


def linear(params, x):
    return x @ params


def test_one_network_and_several_are_told_apart():
    view = models.ModelView(linear, np.eye(3))
    module = nn.Dense(3)
    pair = (module, module.init(KEY, np.ones((1, 2))))
    own = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    for one in (view, pair, own, (linear, np.eye(3))):
        assert len(as_views(one)) == 1
        assert isinstance(as_views(one)[0], models.ModelView)
        for several in ([one, one], (one, one), [one]):
            assert len(as_views(several)) == len(several)
    # Two NNX modules are callable, and no function with its parameters.
    assert as_views((own, own))[1].apply_fn is not linear
    assert as_views([]) == []
    with pytest.raises(InputError, match="a Linen module Dense without its variables"):
        as_views((module, module))


def test_augmentations_come_as_a_name_names_or_a_mapping():
    image = np.full((4, 4, 1), 0.5, "f4")
    expected = augment.build_augmentation("noise:2")(KEY, image)
    for given in ("noise:2", ["noise:2"], ("noise:2",), {"noise:2": "noise:2"}):
        found = named_augmentations(given)
        assert list(found) == ["noise:2"]
        np.testing.assert_array_equal(found["noise:2"](KEY, image), expected)
    own = named_augmentations({"mine": lambda key, x: x, "flip-crop": "flip-crop"})
    assert list(own) == ["mine", "flip-crop"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nois", "did you mean 'noise'"),
        (lambda key, x: x, "augmentations are function, expected a name such as 'noise:0.5'"),
        ([lambda key, x: x], "the list of augmentations holds function, expected names"),
        (["noise", "noise"], "one is repeated"),
        ({"mine": 3}, "augmentation 'mine' is int, expected a function"),
    ],
)
def test_what_is_no_augmentation_is_told(given, message):
    with pytest.raises(InputError, match=message) as caught:
        named_augmentations(given)
    assert "\n" not in str(caught.value)


def versions(augmentation, inputs=None, draws=1):
    inputs = np.full((3, 4, 4, 1), 0.5, "f4") if inputs is None else inputs
    indices = jnp.arange(len(jax.tree.leaves(inputs)[0]))
    return list(AugmentedVersions({"mine": augmentation}, KEY, inputs, indices, lambda x: x)(draws))


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (lambda image: image, r"'mine': the augmentation takes \(image\), expected \(key, image\)"),
        (lambda key, image: np.sort(image), r"'mine': .*\(TracerArrayConversionError\).*jax.numpy"),
        (lambda key, image: image if image[0, 0, 0] > 0 else -image, r"TracerBool.*jnp.where"),
        (lambda key, image: image[1:], r"'mine': .*\(3, 3, 4, 1\), expected \(3, 4, 4, 1\)"),
        (lambda key, image: {"x": image}, "'mine': the augmented batch is PyTreeDef"),
        (
            lambda key, image: 3 * image,
            r"by 'mine' range from 1.5 to 1.5, expected 0 to 1; .*leaves",
        ),
        (lambda key, image: image - 1, r"by 'mine' range from -0.5 to -0.5, expected 0 to 1"),
        (lambda key, image: image / 0, "augmented by mine hold NaN or infinity"),
    ],
)
def test_an_augmentation_that_cannot_be_used_is_named_in_one_line(augmentation, message):
    with pytest.raises(InputError, match=message) as caught:
        versions(augmentation)
    assert "\n" not in str(caught.value)


def test_an_augmentation_that_declares_it_may_leave_the_unit_range():
    (version,) = versions(augment.leaves_unit_range(lambda key, image: 3 * image))
    np.testing.assert_array_equal(version, 1.5)
    versions(augment.build_augmentation("noise:40"))


def test_examples_of_any_kind_are_augmented_one_by_one():
    batch = {"ids": np.arange(12).reshape(4, 3), "x": np.ones((4, 2), "f4")}

    def own(key, example):
        return {"ids": example["ids"][::-1], "x": example["x"] + jax.random.normal(key, (2,))}

    first, second = versions(own, batch, draws=2)
    np.testing.assert_array_equal(first["ids"], batch["ids"][:, ::-1])
    noise = np.concatenate([first["x"], second["x"]]) - 1
    assert len(np.unique(noise)) == noise.size  # every example and draw has a key of its own
    np.testing.assert_allclose(
        distances(first, batch), np.linalg.norm(first["x"] - 1, axis=1), rtol=1e-6
    )
    assert np.isnan(distances(batch["ids"], batch["ids"])).all()
    np.testing.assert_allclose(distances(np.full((2, 3), 2.0)), np.sqrt(12))


def test_images_of_a_study_are_in_the_unit_range_and_other_inputs_need_not():
    images = np.full((2, 4, 4, 1), 0.5)
    assert check_study_inputs(images).dtype == np.float32
    for bad, message in (
        (255 * images, "range from 127.5 to 127.5, expected 0 to 1"),
        (images - 1, "range from -0.5 to -0.5"),
        (np.uint8(images), "images are uint8, expected floats"),
    ):
        with pytest.raises(InputError, match=message):
            check_study_inputs(bad)
    table = check_study_inputs({"ids": np.arange(4), "x": np.full((4, 2), 99.0)})
    assert (table["ids"].dtype, table["x"].dtype) == (np.int32, np.float32)


def test_an_augmentation_by_numpy_is_told_by_its_name(digit_images):
    def with_numpy(key, image):
        return np.asarray(image)

    versions = AugmentedVersions(
        {"a": with_numpy}, KEY, digit_images, jnp.arange(12), lambda images: images
    )
    with pytest.raises(InputError, match=r"^augmentation .a.: the augmentation cannot be traced"):
        next(versions(1))
