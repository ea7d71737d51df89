import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import models
from ntk_aug.checks import InputError
from ntk_aug.models import check_examples_independent

IMAGES = np.random.default_rng(0).uniform(size=(6, 4, 4, 2)).astype(np.float32)


def flat(images):
    return images.reshape(len(images), -1)


WEIGHTS = np.random.default_rng(1).normal(size=(32, 3)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_a_linear_network_passes_with_its_number_of_outputs(n):
    assert check_examples_independent(lambda p, x: flat(x) @ p, WEIGHTS, IMAGES[:n]) == 3


def test_networks_of_the_library_pass(digit_images, tanh_mlp, small_resnet):
    for view in (tanh_mlp, small_resnet):
        assert check_examples_independent(view.apply_fn, view.params, digit_images) == 3


def test_constant_logits_pass():
    constant = check_examples_independent(lambda p, x: jnp.zeros((len(x), 2)), WEIGHTS, IMAGES)
    assert constant == 2


class TrainingNorm(nn.Module):
    """A network whose BatchNorm was left in training mode."""

    @nn.compact
    def __call__(self, images):
        x = nn.BatchNorm(use_running_average=False)(flat(images))
        return nn.Dense(3)(x)


@pytest.mark.parametrize("n", [1, 6])
def test_batch_statistics_are_caught(n):
    variables = TrainingNorm().init(jax.random.key(0), IMAGES)

    def apply_fn(params, images):
        return TrainingNorm().apply(
            {**variables, "params": params}, images, mutable=["batch_stats"]
        )[0]

    with pytest.raises(InputError, match="depends on the other images of its batch"):
        check_examples_independent(apply_fn, variables["params"], IMAGES[:n])


MIXING = {
    "softmax over the batch": lambda x: jax.nn.softmax(x, axis=0),
    "the mean of the batch taken off": lambda x: x - x.mean(axis=0),
    "the next image": lambda x: x + 0.01 * jnp.roll(x, 1, axis=0),
    "the largest of the batch": lambda x: x - x.max(axis=0),
    "sorted": lambda x: jnp.sort(x, axis=0),
}


@pytest.mark.parametrize("name", MIXING)
def test_mixing_between_examples_is_caught(name):
    with pytest.raises(InputError, match="depends on the other images"):
        check_examples_independent(lambda p, x: MIXING[name](flat(x) @ p), WEIGHTS, IMAGES)


MISSED = {
    # The only other batch holds the negatives, whose squares are the same.
    "divided by the norm over the batch": lambda x: x / jnp.linalg.norm(x, axis=0),
    # Only the first image is compared, which has none before it.
    "the sum of all images up to this one": lambda x: jnp.cumsum(x, axis=0),
}


@pytest.mark.parametrize("name", MISSED)
def test_mixing_that_is_even_or_leaves_the_first_image_alone_is_caught(name):
    with pytest.raises(InputError, match="depends on the other images"):
        check_examples_independent(lambda p, x: MISSED[name](flat(x) @ p), WEIGHTS, IMAGES)


@pytest.mark.parametrize(
    ("apply_fn", "message"),
    [
        (lambda p, x: x @ p[:2], r"maps 5 images to shape \(5, 4, 4, 3\), expected logits \[n, C"),
        (lambda p, x: (flat(x) @ p)[:, 0], r"maps 5 images to shape \(5,\)"),
        (lambda p, x: (flat(x) @ p)[:1], r"maps 5 images to shape \(1, 3\)"),
        (lambda p, x: (flat(x) @ p, 0), "returns a tuple, expected one array of logits"),
        (lambda p, x: {"logits": flat(x) @ p}, "returns a dict, expected one array of logits"),
        (lambda p, x: flat(x) @ p * jnp.nan, "logits hold NaN or infinity"),
        (lambda p, x: (flat(x) @ p).astype(int), "logits are int32, expected floating point"),
        (lambda p, x: flat(x)[:, :5] @ p, r"does not take images of shape \(4, 4, 2\): "),
    ],
)
def test_what_is_no_logits_is_refused_in_one_line(apply_fn, message):
    with pytest.raises(InputError, match=message) as caught:
        check_examples_independent(apply_fn, WEIGHTS, IMAGES)
    assert "\n" not in str(caught.value)


def test_a_flax_network_for_images_of_another_size_is_named():
    network = models.build_network("mlp", 3, width=4)
    view = network.view(*network.init(jax.random.key(0), IMAGES))
    with pytest.raises(InputError, match=r"does not take images of shape \(2, 4, 2\)"):
        check_examples_independent(view.apply_fn, view.params, IMAGES[:, :2])


def test_the_network_is_compiled_once():
    traces = []

    def apply_fn(params, images):
        traces.append(images.shape)
        return flat(images) @ params

    check_examples_independent(apply_fn, WEIGHTS, IMAGES)
    assert traces == [(5, 4, 4, 2)]
