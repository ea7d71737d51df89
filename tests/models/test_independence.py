import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import models
from ntk_aug.errors import InputError
from ntk_aug.models.independence import check_examples_independent
from ntk_aug.models.outputs import count_outputs

IMAGES = np.random.default_rng(0).uniform(size=(6, 4, 4, 2)).astype(np.float32)


def flat(images):
    return images.reshape(len(images), -1)


WEIGHTS = np.random.default_rng(1).normal(size=(32, 3)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_a_linear_network_passes_with_its_number_of_outputs(n):
    assert check_examples_independent((lambda p, x: flat(x) @ p, WEIGHTS), IMAGES[:n]) == 3


def test_networks_of_the_library_pass(digit_images, tanh_mlp, small_resnet):
    for view in (tanh_mlp, small_resnet):
        assert check_examples_independent(view, digit_images) == 3


def test_constant_logits_pass():
    constant = check_examples_independent((lambda p, x: jnp.zeros((len(x), 2)), WEIGHTS), IMAGES)
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
        check_examples_independent((apply_fn, variables["params"]), IMAGES[:n])


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
        check_examples_independent((lambda p, x: MIXING[name](flat(x) @ p), WEIGHTS), IMAGES)


MISSED = {
    # The only other batch holds the negatives, whose squares are the same.
    "divided by the norm over the batch": lambda x: x / jnp.linalg.norm(x, axis=0),
    # Only the first image is compared, which has none before it.
    "the sum of all images up to this one": lambda x: jnp.cumsum(x, axis=0),
}


@pytest.mark.parametrize("name", MISSED)
def test_mixing_that_is_even_or_leaves_the_first_image_alone_is_caught(name):
    with pytest.raises(InputError, match="depends on the other images"):
        check_examples_independent((lambda p, x: MISSED[name](flat(x) @ p), WEIGHTS), IMAGES)


@pytest.mark.parametrize(
    ("apply_fn", "message"),
    [
        (lambda p, x: x @ p[:2], r"maps 5 images to shape \(5, 4, 4, 3\), expected logits \[n, C"),
        (lambda p, x: (flat(x) @ p)[:, 0], r"maps 5 images to shape \(5,\)"),
        (lambda p, x: (flat(x) @ p)[:1], r"maps 5 images to shape \(1, 3\)"),
        (lambda p, x: (flat(x) @ p, 0), r"returns a tuple of 2, expected logits \[n, C\]"),
        (lambda p, x: {"logits": flat(x) @ p}, r"returns a dict of 1, expected logits \[n, C\]"),
        (lambda p, x: None, r"maps 5 images to NoneType, expected logits"),
        (lambda p, x: x["text"], r"does not take images of shape \(4, 4, 2\): "),
        (lambda p, x: flat(x.pixels) @ p, r"\(4, 4, 2\): AttributeError: .*pixels"),
        (lambda p, x: flat(x) @ p * jnp.nan, "logits hold NaN or infinity"),
        (lambda p, x: (flat(x) @ p).astype(int), "logits are int32, expected floating point"),
        (lambda p, x: flat(x)[:, :5] @ p, r"does not take images of shape \(4, 4, 2\): "),
    ],
)
def test_what_is_no_logits_is_refused_in_one_line(apply_fn, message):
    with pytest.raises(InputError, match=message) as caught:
        check_examples_independent((apply_fn, WEIGHTS), IMAGES)
    assert "\n" not in str(caught.value)


def test_a_flax_network_for_images_of_another_size_is_named():
    network = models.build_network("mlp", 3, width=4)
    view = network.view(*network.init(jax.random.key(0), IMAGES))
    with pytest.raises(InputError, match=r"does not take images of shape \(2, 4, 2\)"):
        check_examples_independent(view, IMAGES[:, :2])


def test_the_network_is_compiled_once():
    traces = []

    def apply_fn(params, images):
        traces.append(images.shape)
        return flat(images) @ params

    check_examples_independent((apply_fn, WEIGHTS), IMAGES)
    assert traces == [(5, 4, 4, 2)]


TOKENS = np.array([[5, 1, 1], [0, 2, 7], [7, 7, 3], [5, 1, 1]])
TABLE = np.random.default_rng(2).normal(size=(8, 3)).astype(np.float32)


def embedded(table, tokens):
    """What `nn.Embed` gives; an id out of range is not a number, as there."""
    return jnp.take(table, tokens, axis=0, mode="fill").mean(axis=1)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_token_ids_keep_their_range(n):
    assert check_examples_independent((embedded, TABLE), TOKENS[:n]) == 3


def test_mixing_of_token_ids_is_caught():
    def mixed(table, tokens):
        logits = embedded(table, tokens)
        return logits + 0.1 * logits.mean(axis=0)

    with pytest.raises(InputError, match="depends on the other images of its batch"):
        check_examples_independent((mixed, TABLE), TOKENS)
    # Two examples of which one is like the first, and only a later one differs.
    with pytest.raises(InputError, match="depends on the other images of its batch"):
        check_examples_independent((mixed, TABLE), TOKENS[[0, 3, 0, 3, 0, 1]])


@pytest.mark.parametrize("part", ["tokens", "numbers"])
def test_every_array_of_a_dictionary_is_changed(part):
    inputs = {"tokens": TOKENS, "numbers": TABLE[:4]}

    def apply_fn(table, inputs):
        logits = embedded(table, inputs["tokens"]) + inputs["numbers"]
        return logits + 0.1 * inputs[part].mean()

    with pytest.raises(InputError, match="depends on the other images of its batch"):
        check_examples_independent((apply_fn, TABLE), inputs)
    alone = lambda table, inputs: embedded(table, inputs["tokens"]) + inputs["numbers"]  # noqa: E731
    assert check_examples_independent((alone, TABLE), inputs) == 3
    with pytest.raises(
        InputError,
        match=r"of \['numbers'\] float32 \(3,\), \['tokens'\] int32 \(3,\): KeyError: 'text'",
    ):
        check_examples_independent((lambda p, x: embedded(p, x["text"]), TABLE), inputs)


def test_outputs_are_counted_without_running_the_network():
    never = jax.eval_shape(lambda: jnp.zeros((32, 3)))
    assert count_outputs((lambda p, x: flat(x) @ p, never), (4, 4, 2)) == 3
    example = jax.ShapeDtypeStruct((3,), np.int32)
    assert count_outputs((embedded, jax.eval_shape(lambda: TABLE)), example) == 3
    with pytest.raises(InputError, match=r"does not take images of shape \(5, 4, 2\): "):
        count_outputs((lambda p, x: flat(x) @ p, never), (5, 4, 2))
    with pytest.raises(InputError, match="returns a tuple of 1"):
        count_outputs((lambda p, x: (flat(x) @ p,), never), (4, 4, 2))
