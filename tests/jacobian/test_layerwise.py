"""Every kind of layer against `jax.jacrev` in float64, which knows nothing of layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ntk_aug import jacobian, models
from ntk_aug.jacobian.routes import ROUTES

IMAGE_SHAPE = (6, 5, 2)
OUTPUTS = 3


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(3, *IMAGE_SHAPE)).astype("f4")


def randomised(tree, seed=1):
    """Values away from zeros and ones, so that no term of a derivative vanishes by chance."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: (x + 0.3 * rng.normal(size=x.shape)).astype("f4"), tree)


def linen(layers):
    """A Linen network: these layers, then a mean over pixels and a dense layer."""

    class Wrapped(nn.Module):
        @nn.compact
        def __call__(self, x):
            for layer in layers(self):
                x = layer(x)
            return nn.Dense(OUTPUTS)(jnp.tanh(x).reshape(len(x), -1))

    module = Wrapped()
    variables = module.init(jax.random.key(0), jnp.zeros((1, *IMAGE_SHAPE)))
    params = randomised(variables["params"])
    rest = {name: value for name, value in variables.items() if name != "params"}
    if "batch_stats" in rest:
        # Variances are positive. In float32 1 / sqrt(variance) would be rounded, in either route.
        rest["batch_stats"] = jax.tree.map(
            lambda leaf: np.abs(leaf).astype("f8"), randomised(rest["batch_stats"])
        )
    return models.linen_view(module, {"params": params, **rest})


def conv(*args, **options):
    return lambda module: [nn.Conv(*args, **options)]


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x):
        tokens = nn.Dense(4)(x.reshape(len(x), 6, 10))
        return nn.MultiHeadDotProductAttention(num_heads=2)(nn.LayerNorm()(tokens))


class Embedded(nn.Module):
    @nn.compact
    def __call__(self, x):
        tokens = (x.reshape(len(x), -1) > 0).astype(int) + (x.reshape(len(x), -1) > 1)
        return nn.Embed(3, 4)(tokens)


class UsedTwice(nn.Module):
    @nn.compact
    def __call__(self, x):
        layer = nn.Conv(2, (3, 3))
        return layer(jnp.tanh(layer(x)))


class WeightNormed(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.WeightNorm(nn.Dense(3))(x.reshape(len(x), -1))


class Frames(nn.Module):
    """Several images of one example in the batch of one convolution."""

    @nn.compact
    def __call__(self, x):
        frames = jnp.stack([x, 2 * x, x[:, ::-1]], axis=1)
        return nn.Conv(3, (3, 3), strides=2)(frames).mean(axis=1)


class MappedConv(nn.Module):
    @nn.compact
    def __call__(self, x):
        conv = nn.vmap(
            nn.Conv,
            variable_axes={"params": None},
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
        )(3, (3, 3))
        return conv(jnp.stack([x, x**2], axis=1))


NETWORKS = {
    "dense": lambda m: [nn.Dense(4)],
    "convolution": conv(3, (3, 3)),
    "strided": conv(3, (3, 2), strides=(2, 1), padding=1),
    "strided past the end": conv(3, (2, 2), strides=(2, 3), padding="VALID"),
    "dilated": conv(3, (2, 2), kernel_dilation=(2, 3), padding="SAME"),
    "dilated input": conv(3, (3, 3), input_dilation=(2, 1), padding=((1, 1), (0, 2))),
    "grouped": conv(6, (3, 3), feature_group_count=2),
    "depthwise": conv(4, (3, 3), feature_group_count=2, use_bias=False),
    "padded unevenly": conv(3, (3, 3), padding=((2, 0), (0, 1))),
    "circular": conv(3, (3, 3), padding="CIRCULAR"),
    "one-dimensional": lambda m: [lambda x: x[:, :, 0], nn.Conv(3, (3,), strides=(2,))],
    "transposed": lambda m: [nn.ConvTranspose(3, (3, 3), strides=(2, 2))],
    "batch norm": lambda m: [nn.Conv(3, (1, 1)), nn.BatchNorm(use_running_average=True)],
    "layer norm": lambda m: [nn.LayerNorm()],
    "group norm": lambda m: [nn.Dense(4), nn.GroupNorm(2)],
    "local": lambda m: [nn.ConvLocal(2, (3, 3), padding="VALID")],
    "attention": lambda m: [Attention()],
    "embedding": lambda m: [Embedded()],
    "used twice": lambda m: [UsedTwice()],
    "weight norm": lambda m: [WeightNormed()],
    "convolution of frames": lambda m: [Frames()],
    "convolution under vmap": lambda m: [MappedConv()],
    "rematerialised": lambda m: [nn.remat(nn.Conv)(3, (3, 3))],
}


def jacrev_rows(view, images):
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, "float64"), view.params)
        found = jax.jit(jax.jacrev(view.apply_fn))(params, jnp.asarray(images, "float64"))
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(found)]
    return np.concatenate([leaf.reshape(len(images) * OUTPUTS, -1) for leaf in leaves], axis=1)


def check_rows(view, images):
    rows = jacobian.JacobianRows(view, IMAGE_SHAPE, dtype="float64", block_size=2)
    expected = jacrev_rows(view, images)
    np.testing.assert_allclose(rows(images), expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    return rows.routes


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_those_of_jacrev(name, images):
    check_rows(linen(NETWORKS[name]), images)


@pytest.mark.parametrize("name", ["attention", "used twice", "depthwise"])
def test_norms_are_those_of_jacrev_rows(name, images):
    view = linen(NETWORKS[name])
    rows = jacobian.JacobianRows(view, IMAGE_SHAPE, dtype="float64", block_size=2)
    expected = np.linalg.norm(jacrev_rows(view, images), axis=1)
    np.testing.assert_allclose(jacobian.row_norms(rows, images), expected, rtol=1e-12)


class NnxNetwork(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 4, (3, 3), strides=2, padding=1, rngs=rngs)
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.output = nnx.Linear(36, OUTPUTS, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x)))
        return self.output(x.reshape(len(x), -1))


def test_an_nnx_network_takes_the_same_routes(images):
    network = models.nnx_network(NnxNetwork)
    view = network.view(*network.init(jax.random.key(0), images[:1]))
    routes = check_rows(view._replace(params=randomised(view.params)), images)
    assert {name: route for name, route in routes.items() if "kernel" in name} == {
        "['conv']['kernel'].value": ("patches",),
        "['output']['kernel'].value": ("product",),
    }
    assert routes["['norm']['scale'].value"] == ("elementwise",)


@jax.custom_vjp
def clipped(x, bound):
    return jnp.clip(x, -bound, bound)


clipped.defvjp(
    lambda x, bound: (clipped(x, bound), ()),
    lambda _, c: (c, c.sum()),  # straight through: not the derivative of clip
)


def pure(name):
    """Plain functions with parameters where no layer of a library has them."""
    w = {"w": np.random.default_rng(2).normal(size=(60, OUTPUTS)).astype("f4")}
    scalar = np.float32(0.7)

    def dense(p, x):
        return x.reshape(len(x), -1) @ p["w"]

    def recurrent(p, x):
        steps = x.reshape(len(x), 6, 10).swapaxes(0, 1)
        state = jnp.zeros((len(x), OUTPUTS), x.dtype)
        step = lambda h, s: (jnp.tanh(s @ p["w"][:10] + h @ p["u"]), None)  # noqa: E731
        return jax.lax.scan(step, state, steps)[0]

    return {
        "a weight computed from weights": (
            lambda p, x: x.reshape(len(x), -1) @ (p["w"] / jnp.linalg.norm(p["w"], axis=0)),
            w,
        ),
        "a bias that no image changes": (
            lambda p, x: jnp.broadcast_to(jnp.tanh(p["b"]), (len(x), OUTPUTS)),
            {"b": np.array([0.1, -0.5, 2], "f4")},
        ),
        "a parameter without effect": (dense, {**w, "unused": np.ones(2, "f4")}),
        "a kernel and an image exchanged": (
            lambda p, x: (p["w"].T @ x.reshape(len(x), -1).T).T,
            w,
        ),
        "a parameter in a choice": (
            lambda p, x: jnp.where(dense(p, x) > 0, p["s"], dense(p, x)),
            {**w, "s": scalar},
        ),
        "a rule of its own": (lambda p, x: clipped(dense(p, x), p["s"]), {**w, "s": scalar}),
        "a power": (lambda p, x: jnp.abs(dense(p, x)) ** p["s"], {**w, "s": scalar}),
        "a loop": (
            lambda p, x: jax.lax.fori_loop(0, 3, lambda i, h: jnp.sin(h * p["s"]), dense(p, x)),
            {**w, "s": scalar},
        ),
        "a recurrent network": (recurrent, {**w, "u": 0.1 * w["w"][:OUTPUTS]}),
        "a filter of frequencies": (
            lambda p, x: jnp.fft.irfft2(
                jnp.fft.rfft2(x, axes=(1, 2)) * jax.lax.complex(p["re"], p["im"]), axes=(1, 2)
            ).reshape(len(x), -1)[:, :OUTPUTS],
            {name: w["w"][:12].reshape(6, 3, 2) * sign for name, sign in (("re", 1), ("im", -2))},
        ),
        "a threshold": (
            lambda p, x: jnp.where(x.mean((1, 2)).sum(1, keepdims=True) > p["s"], dense(p, x), 0.1),
            {**w, "s": np.float32(0)},
        ),
        "a function compiled inside": (
            lambda p, x: jax.jit(lambda q: jnp.tanh(dense(q, x)) * q["s"])(p),
            {**w, "s": scalar},
        ),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "a weight computed from weights",
        "a bias that no image changes",
        "a parameter without effect",
        "a kernel and an image exchanged",
        "a parameter in a choice",
        "a rule of its own",
        "a power",
        "a loop",
        "a recurrent network",
        "a filter of frequencies",
        "a threshold",
        "a function compiled inside",
    ],
)
def test_rows_of_a_plain_function_are_those_of_jacrev(name, images):
    check_rows(models.ModelView(*pure(name)), images)


def test_the_routes_of_each_parameter_are_told(images, small_resnet, digit_images):
    rows = jacobian.JacobianRows(small_resnet, digit_images.shape[1:])
    assert len(rows.routes) == len(jax.tree.leaves(small_resnet.params))
    assert rows.routes["['stem']['kernel']"] == ("patches",)
    assert rows.routes["['stem_norm']['scale']"] == ("elementwise",)
    assert rows.routes["['output']['kernel']"] == ("product",)
    recurrent = jacobian.JacobianRows(pure("a recurrent network"), IMAGE_SHAPE)
    assert recurrent.routes == {"['u']": ("general",), "['w']": ("general",)}
    assert (
        jacobian.JacobianRows(
            pure("a parameter without effect"), IMAGE_SHAPE, select=lambda path: "unused" in path
        )(images).any()
        == np.False_
    )
    without_effect = jacobian.JacobianRows(pure("a parameter without effect"), IMAGE_SHAPE)
    assert without_effect.routes == {"['unused']": (), "['w']": ("product",)}
    assert set().union(*rows.routes.values()) <= set(ROUTES)
