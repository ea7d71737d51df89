"""Networks that a user may bring: idioms of Flax that have made trouble, and some that have not.

Each is a name, a function that gives (network, inputs), and notes on what the tests may expect of
it. Everything is small: compilation is the cost.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

NUM_CLASSES = 3
IMAGE = (6, 6, 1)
STEPS, FEATURES, VOCABULARY = 4, 3, 11


class AwkwardNetwork(NamedTuple):
    """A network with inputs.

    Attributes:
      build: () -> what `models.as_view` takes, with its initial weights.
      inputs: () -> a batch of its inputs, four examples.
      twin: () -> the same network with layers that follow the precision of the parameters: what
        jax.jacrev is taken of. None: the network itself.
      constants: relative error of the network's own constants, where its layers round them.
    """

    build: Callable[[], Any]
    inputs: Callable[[], Any]
    twin: Callable[[], Any] | None = None
    constants: float = 0.0


def images():
    return np.random.default_rng(0).standard_normal((4, *IMAGE)).astype(np.float32)


def sequences():
    return np.random.default_rng(0).standard_normal((4, STEPS, FEATURES)).astype(np.float32)


def table():
    return np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)


def tokens():
    return np.random.default_rng(0).integers(0, VOCABULARY, (4, STEPS))


def named_arrays():
    return {"numbers": table(), "tokens": tokens()}


def linen(module, inputs):
    """(module, variables), biases and statistics drawn at random: their zeros would hide errors."""
    variables = module.init(jax.random.key(0), jax.tree.map(jnp.asarray, inputs))

    def drawn(path, leaf):
        if "kernel" in jax.tree_util.keystr(path) or leaf.ndim > 1:
            return leaf
        key = jax.random.fold_in(jax.random.key(1), sum(map(ord, jax.tree_util.keystr(path))))
        return jax.random.uniform(key, leaf.shape, leaf.dtype, 0.5, 1.5)

    return module, jax.tree_util.tree_map_with_path(drawn, variables)


class Layers(nn.Module):
    """A sequence of layers and functions, the inputs flattened before the first dense layer."""

    layers: tuple[Any, ...]

    @nn.compact
    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def flat(x):
    return x.reshape(len(x), -1)


def mean_over_pixels(x):
    return x.mean(axis=(1, 2))


class ConvInScan(nn.Module):
    """One convolution applied three times by `nn.scan`, with weights of its own each time."""

    @nn.compact
    def __call__(self, x):
        class Step(nn.Module):
            @nn.compact
            def __call__(self, carry, _):
                return nn.tanh(nn.Conv(4, (3, 3))(carry)), None

        steps = nn.scan(Step, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        x, _ = steps()(nn.Conv(4, (3, 3))(x), None)
        return nn.Dense(NUM_CLASSES)(mean_over_pixels(x))


class SharedLayer(nn.Module):
    @nn.compact
    def __call__(self, x):
        shared = nn.Dense(5)
        return nn.Dense(NUM_CLASSES)(shared(nn.tanh(shared(x))))


class Remat(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.remat(nn.Dense)(6)(x))
        return nn.Dense(NUM_CLASSES)(x)


class LastState(nn.Module):
    """The last output of a recurrent cell over the sequence."""

    cell: Any

    @nn.compact
    def __call__(self, x):
        return nn.Dense(NUM_CLASSES)(nn.RNN(self.cell)(x)[:, -1])


class Attention(nn.Module):
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        x = nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=4, dtype=self.dtype)(x)
        return nn.Dense(NUM_CLASSES)(nn.LayerNorm()(x).mean(axis=1))


class TokenClassifier(nn.Module):
    """An embedding of token ids, their mean, and a head."""

    dtype: Any = None

    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(VOCABULARY, 6, dtype=self.dtype)(ids).mean(axis=1)
        return nn.Dense(NUM_CLASSES)(nn.tanh(nn.Dense(5)(x)))


class NamedArrays(nn.Module):
    """A dictionary of a table and of token ids."""

    @nn.compact
    def __call__(self, inputs):
        x = nn.Embed(VOCABULARY, 4)(inputs["tokens"]).mean(axis=1)
        x = jnp.concatenate([x, nn.Dense(4)(inputs["numbers"])], axis=1)
        return nn.Dense(NUM_CLASSES)(nn.tanh(x))


class NnxNorm(nnx.Module):
    """Convolution and BatchNorm with float32 statistics, one of them tiny."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 5, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(5, rngs=rngs)
        self.head = nnx.Linear(5, NUM_CLASSES, rngs=rngs)
        self.norm.mean[...] = jnp.linspace(-1, 1, 5)
        self.norm.var[...] = jnp.array([1e-5, 0.1, 0.5, 1.0, 2.0])

    def __call__(self, x):
        return self.head(nnx.tanh(self.norm(self.conv(x))).mean((1, 2)))


def nnx_dense(dtype):
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.hidden = nnx.Linear(36, 6, rngs=rngs)
            self.head = nnx.Linear(6, NUM_CLASSES, dtype=dtype, rngs=rngs)

        def __call__(self, x):
            return self.head(nnx.relu(self.hidden(flat(x))))

    return Net(nnx.Rngs(0))


def plain_function(dtype):
    """A pure function with a derivative rule of its own, which rounds in between."""

    @jax.custom_vjp
    def doubled(x):
        return 2 * x

    # Not the derivative of 2 x, so that it shows if the rule is lost.
    doubled.defvjp(lambda x: (2 * x, None), lambda _, cotangent: (3 * cotangent,))
    rng = np.random.default_rng(0)
    params = {
        "w": rng.standard_normal((36, 5)).astype(np.float32),
        "v": rng.standard_normal((5, NUM_CLASSES)).astype(np.float32),
    }

    def apply_fn(params, x):
        hidden = doubled((flat(x) @ params["w"]).astype(dtype or x.dtype))
        return jax.nn.relu(hidden) @ params["v"]

    return apply_fn, params


def scattered(dtype):
    """Loops, branches and a scatter in a precision of their own."""
    params = {"w": np.random.default_rng(0).standard_normal((5, 5)).astype(np.float32)}

    def apply_fn(params, x):
        w = params["w"].astype(dtype or x.dtype)
        x = jax.lax.fori_loop(0, 2, lambda _, y: jnp.tanh(y @ w), x.astype(w.dtype))
        x = jax.lax.cond(w[0, 0] > 10, lambda y: y, lambda y: y * w[0, 1], x)
        return jnp.zeros((len(x), NUM_CLASSES), w.dtype).at[:, jnp.array([0, 1, 2, 0, 1])].add(x)

    return apply_fn, params


def dense_head(dtype):
    return Layers((*DENSE, nn.Dense(NUM_CLASSES, dtype=dtype)))


def convolution(dtype):
    return Layers((nn.Conv(4, (3, 3), dtype=dtype), nn.relu, flat, nn.Dense(NUM_CLASSES)))


def all_dense(dtype):
    hidden, head = (nn.Dense(size, dtype=dtype) for size in (6, NUM_CLASSES))
    return Layers((flat, hidden, nn.relu, head))


def normalised(dtype):
    norm = nn.BatchNorm(use_running_average=True, dtype=dtype)
    convolution = nn.Conv(4, (3, 3), dtype=dtype)
    return Layers((convolution, norm, nn.relu, largest, mean_over_pixels, nn.Dense(NUM_CLASSES)))


def largest(x):
    return nn.max_pool(x, (2, 2), (2, 2))


def _layers(*layers, inputs=images):
    return AwkwardNetwork(lambda: linen(Layers(layers), inputs()), inputs)


def _module(module, inputs):
    return AwkwardNetwork(lambda: linen(module, inputs()), inputs)


def _fixed(module_in, dtype, inputs=images, constants=0.0):
    """A Linen module whose layers round to `dtype`, and its twin, whose layers do not."""

    def build():
        return linen(module_in(dtype), inputs())

    return AwkwardNetwork(build, inputs, lambda: (module_in(None), build()[1]), constants)


def _recurrent(cell):
    def build():
        return linen(LastState(cell(4)), sequences())

    # The cell's first state has the parameters' type.
    return AwkwardNetwork(
        build, sequences, lambda: (LastState(cell(4, param_dtype=jnp.float64)), build()[1])
    )


F32, BF16 = jnp.float32, jnp.bfloat16
DENSE = (flat, nn.Dense(6), nn.relu)

NETWORKS = {
    "dense": _layers(*DENSE, nn.Dense(NUM_CLASSES)),
    "depthwise and grouped convolutions": _layers(
        *(nn.Conv(4, (3, 3)), nn.Conv(4, (3, 3), feature_group_count=4), nn.relu),
        *(nn.Conv(6, (2, 2), strides=2, feature_group_count=2), flat, nn.Dense(NUM_CLASSES)),
    ),
    "transposed convolution": _layers(
        nn.ConvTranspose(3, (3, 3), strides=(2, 2)), nn.relu, flat, nn.Dense(NUM_CLASSES)
    ),
    "batch statistics": _layers(
        *(nn.Conv(4, (3, 3)), nn.BatchNorm(use_running_average=True), nn.relu),
        *(mean_over_pixels, nn.Dense(NUM_CLASSES)),
    ),
    "shared layer": _module(SharedLayer(), table),
    "remat": _module(Remat(), table),
    "weight norm": _layers(
        nn.WeightNorm(nn.Dense(6)), nn.tanh, nn.Dense(NUM_CLASSES), inputs=table
    ),
    "attention": _module(Attention(), sequences),
    "convolution in a scan": _module(ConvInScan(), images),
    "nnx statistics": AwkwardNetwork(lambda: NnxNorm(nnx.Rngs(0)), images),
    "tokens": _module(TokenClassifier(), tokens),
    "dictionary of arrays": _module(NamedArrays(), named_arrays),
    # Layers that fix a precision of their own.
    "float32 head": _fixed(dense_head, F32),
    "float32 convolution": _fixed(convolution, F32),
    "bfloat16 dense": _fixed(all_dense, BF16),
    "bfloat16 norm": _fixed(normalised, BF16, constants=1e-6),
    "float32 attention": _fixed(Attention, F32, sequences, constants=1e-6),
    "bfloat16 tokens": _fixed(TokenClassifier, BF16, tokens),
    "nnx float32 head": AwkwardNetwork(lambda: nnx_dense(F32), images, lambda: nnx_dense(None)),
    "plain function": AwkwardNetwork(
        lambda: plain_function(BF16), images, lambda: plain_function(None)
    ),
    "loops and branches": AwkwardNetwork(lambda: scattered(F32), table, lambda: scattered(None)),
    "lstm": _recurrent(nn.LSTMCell),
    "gru": _recurrent(nn.GRUCell),
}


# The idioms as a user's own models for the command line, of digits 8 x 8 x 1.


def float32_head(num_classes):
    return Layers((flat, nn.Dense(6), nn.relu, nn.Dense(num_classes, dtype=F32)))


def bfloat16_dense(num_classes):
    hidden, head = (nn.Dense(size, dtype=BF16) for size in (6, num_classes))
    return Layers((flat, hidden, nn.relu, head))


def lstm_over_rows(num_classes):
    assert num_classes == NUM_CLASSES
    return Layers((lambda images: images[..., 0], LastState(nn.LSTMCell(4))))


def convolution_in_a_scan(num_classes):
    assert num_classes == NUM_CLASSES
    return ConvInScan()
