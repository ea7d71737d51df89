import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ntk_aug import jacobian, losses, models
from ntk_aug.errors import InputError

SHAPE, C = (8, 8, 1), 3


class ConvNet(nn.Module):
    """A convolution with BatchNorm, then a dense layer."""

    bias: bool = True
    temperature: float = 1.0

    @nn.compact
    def __call__(self, images, train=False):
        x = nn.Conv(4, (3, 3))(images)
        x = nn.tanh(nn.BatchNorm(use_running_average=not train)(x)).mean(axis=(1, 2))
        return nn.Dense(C, use_bias=self.bias, name="output")(x) / self.temperature


class HalfPrecision(nn.Module):
    """A dense layer that computes in bfloat16."""

    @nn.compact
    def __call__(self, images):
        output = nn.Dense(C, dtype=jnp.bfloat16, name="output")
        return output(images.reshape(len(images), -1)).astype(images.dtype)


class NNXNet(nnx.Module):
    """Two dense layers."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 5, rngs=rngs)
        self.output = nnx.Linear(5, C, rngs=rngs)

    def __call__(self, images):
        return self.output(nnx.tanh(self.hidden(images.reshape(len(images), -1))))


def linen(module):
    return models.linen_network(module)


def pure(apply, **shapes):
    """A network of a pure function with random parameters of the shapes."""
    keys = dict(zip(shapes, jax.random.split(jax.random.key(1), len(shapes)), strict=True))

    def init(key, images):
        return {name: jax.random.normal(keys[name], s) / 4 for name, s in shapes.items()}

    return models.pure_network(init, apply)


def flat(images):
    return images.reshape(len(images), -1)


OFFSET_AFTER_TANH = pure(
    lambda p, x: jnp.tanh(flat(x) @ p["w"]) + p["offset"], w=(64, C), offset=(C,)
)
NETWORKS = {
    "mlp": (linen(models.MLP(C, width=6, activation="tanh")), "['output']['kernel']", "bias"),
    "convolutions": (linen(ConvNet()), "['output']['kernel']", "bias"),
    "no bias": (linen(ConvNet(bias=False)), "['output']['kernel']", None),
    "temperature": (linen(ConvNet(temperature=4.0)), "['output']['kernel']", "bias"),
    "nnx": (models.nnx_network(NNXNet), "['output']['kernel']", "bias"),
    "pure": (pure(lambda p, x: flat(x) @ p["w"] + p["b"], w=(64, C), b=(C,)), "['w']", "b"),
    "transposed": (
        pure(lambda p, x: flat(x) @ p["w"].T + p["b"], w=(C, 64), b=(C,)),
        "['w']",
        "b",
    ),
    "kernel first": (
        pure(jax.vmap(lambda p, x: p["w"] @ x.ravel(), (None, 0)), w=(C, 64)),
        "['w']",
        None,
    ),
    "scale": (pure(lambda p, x: (flat(x) @ p["w"]) * p["s"], w=(64, C), s=(C,)), "['w']", None),
}
SOFT = np.random.default_rng(0).dirichlet(np.ones(C), 12).astype(np.float32)


def view_of(network, images):
    """A view at perturbed initial weights, so that biases and statistics are not 0 and 1."""
    params, state = network.init(jax.random.key(0), images[:1])
    rng = np.random.default_rng(0)

    def move(leaf):
        return (leaf + 0.2 * rng.random(leaf.shape)).astype(np.float32)

    return network.view(jax.tree.map(move, params), jax.tree.map(move, state))


def gradients_by_parameter(view, images, targets, loss):
    """From a parameter's path to the gradient of each image's loss, by JAX in float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.float64, view.params)

        def loss_of(params, image, target):
            return losses.per_example_loss(loss)(view.apply_fn(params, image[None])[0], target)

        gradients = jax.vmap(jax.grad(loss_of), (None, 0, 0))(
            params, jnp.float64(images), jnp.asarray(targets)
        )
        found = jax.tree_util.tree_leaves_with_path(gradients)
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in found}


@pytest.mark.parametrize("name", NETWORKS)
def test_factors_are_the_gradients_by_kernel_and_bias(name, digit_images, digits):
    network, kernel, bias = NETWORKS[name]
    view = view_of(network, digit_images)
    layer = jacobian.LastLayer(view, SHAPE)
    assert layer.kernel.startswith(kernel)
    assert (layer.bias is None) if bias is None else (f"['{bias}']" in layer.bias)
    for loss, targets in [("cross-entropy", digits.labels), ("squared", SOFT)]:
        program = jax.jit(lambda p, x, y, loss=loss: layer.gradients(loss, p, x, y))
        found = program(view.params, digit_images, targets)
        expected = gradients_by_parameter(view, digit_images, targets, loss)
        product = np.einsum("na,nb->nab", found.inputs, found.cotangents)
        if expected[layer.kernel].shape != product.shape:
            product = product.transpose(0, 2, 1)
        np.testing.assert_allclose(product, expected[layer.kernel], rtol=1e-4, atol=1e-5)
        if layer.bias is not None:
            np.testing.assert_allclose(found.cotangents, expected[layer.bias], rtol=1e-4, atol=1e-5)
            np.testing.assert_array_equal(found.of_bias, found.cotangents)
        logits = view.apply_fn(view.params, digit_images)
        np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-5)


def test_what_is_added_after_something_else_shows(digit_images, digits):
    view = view_of(OFFSET_AFTER_TANH, digit_images)
    layer = jacobian.LastLayer(view, SHAPE)
    assert layer.bias == "['offset']"
    found = layer.gradients("squared", view.params, digit_images, digits.labels)
    expected = gradients_by_parameter(view, digit_images, digits.labels, "squared")
    np.testing.assert_allclose(found.of_bias, expected["['offset']"], rtol=1e-4, atol=1e-6)
    assert not np.allclose(found.of_bias, found.cotangents, rtol=0.1)


def test_a_layer_in_another_precision_is_found(digit_images, digits):
    view = view_of(linen(HalfPrecision()), digit_images)
    layer = jacobian.LastLayer(view, SHAPE)
    assert (layer.kernel, layer.bias) == ("['output']['kernel']", "['output']['bias']")
    found = layer.gradients("squared", view.params, digit_images, digits.labels)
    expected = gradients_by_parameter(view, digit_images, digits.labels, "squared")[layer.kernel]
    product = np.einsum("na,nb->nab", *(np.float32(a) for a in found[1:3]))
    np.testing.assert_allclose(product, expected, rtol=0, atol=0.02 * np.abs(expected).max())


def test_another_layer_may_be_named(digit_images, digits):
    view = view_of(NETWORKS["mlp"][0], digit_images)
    layer = jacobian.LastLayer(view, SHAPE, layer="['hidden']")
    assert layer.kernel == "['hidden']['kernel']"
    found = layer.gradients("cross-entropy", view.params, digit_images, digits.labels)
    expected = gradients_by_parameter(view, digit_images, digits.labels, "cross-entropy")
    product = np.einsum("na,nb->nab", found.inputs, found.cotangents)
    np.testing.assert_allclose(product, expected[layer.kernel], rtol=1e-4, atol=1e-6)


def test_other_weights_take_the_same_layer(digit_images, digits):
    view = view_of(NETWORKS["convolutions"][0], digit_images)
    layer = jacobian.LastLayer(view, SHAPE)
    other = view._replace(params=jax.tree.map(lambda leaf: 0.7 * leaf, view.params))
    found = layer.gradients("squared", other.params, digit_images, digits.labels)
    expected = gradients_by_parameter(other, digit_images, digits.labels, "squared")
    product = np.einsum("na,nb->nab", found.inputs, found.cotangents)
    np.testing.assert_allclose(product, expected[layer.kernel], rtol=1e-4, atol=1e-6)


class ConvolutionLast(nn.Module):
    """Logits are the means of the channels of a convolution."""

    @nn.compact
    def __call__(self, images):
        x = nn.relu(nn.Dense(4, name="pixelwise")(images))
        return nn.Conv(C, (3, 3), name="conv")(x).mean(axis=(1, 2))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (linen(ConvolutionLast()), r"is conv_general_dilated of \['conv'\]\['kernel'\], expected"),
        (
            pure(lambda p, x: jnp.tanh(flat(x) @ p["w"] @ p["v"]) @ p["v"], w=(64, 3), v=(3, 3)),
            r"is dot_general of \['v'\], expected a dense layer applied once",
        ),
        (pure(lambda p, x: flat(x)[:, :3] + p["b"], b=(3,)), "the network has no dense layer"),
        (
            pure(lambda p, x: flat(x) @ jnp.tanh(p["w"]), w=(64, C)),
            r"is dot_general of \['w'\], expected a dense layer",
        ),
    ],
)
def test_a_network_that_ends_otherwise_is_refused(network, message, digit_images):
    view = view_of(network, digit_images)
    with pytest.raises(InputError, match=message):
        jacobian.LastLayer(view, SHAPE)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "['last']",
            r"fits 0 dense layers, expected one of \['hidden'\]\['kernel'\], \['output'\]",
        ),
        ("[", "fits 2 dense layers"),
    ],
)
def test_a_name_that_does_not_fit_one_layer_is_refused(layer, message, digit_images):
    view = view_of(NETWORKS["mlp"][0], digit_images)
    with pytest.raises(InputError, match=message):
        jacobian.LastLayer(view, SHAPE, layer=layer)


def test_one_number_that_is_added_to_all_outputs_is_no_bias():
    def apply(params, images):  # its gradient is the sum of the cotangents, not they themselves
        return images.reshape(len(images), -1) @ params["kernel"] + params["offset"]

    params = {"kernel": jnp.ones((8, 3)), "offset": jnp.ones(1)}
    assert jacobian.LastLayer((apply, params), (2, 4, 1)).bias is None
    with_bias = {"kernel": jnp.ones((8, 3)), "offset": jnp.ones(3)}
    assert jacobian.LastLayer((apply, with_bias), (2, 4, 1)).bias == "['offset']"
