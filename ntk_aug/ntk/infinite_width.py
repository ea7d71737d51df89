"""Kernels of infinite width, and the convergence of empirical kernels to them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Images, KeyLike, Progress
from ntk_aug.checks import check_at_least, check_choice, check_network_inputs
from ntk_aug.errors import InputError
from ntk_aug.jacobian import JacobianRows
from ntk_aug.ntk.blocks import counter
from ntk_aug.ntk.empirical import empirical_kernel
from ntk_aug.ntk.neural_tangents.bridge import load_neural_tangents
from ntk_aug.precision import derivative_precision
from ntk_aug.randomness import as_key

StaxNetwork = tuple[Callable, Callable, Callable]
_STAX_ACTIVATIONS = {"relu": "Relu", "erf": "Erf"}
_STAX_LAYERS = {"Dense": {}, "Conv": {"filter_shape": (3, 3), "padding": "SAME"}}


class InfiniteWidthKernels(NamedTuple):
    """Kernels of one output; outputs are alike and do not interact.

    Attributes:
      nngp: covariance of the outputs of random networks.
      ntk: the tangent kernel.
    """

    nngp: Float64[np.ndarray, "n m"]
    ntk: Float64[np.ndarray, "n m"]


class WidthDistance(NamedTuple):
    """||K - Theta (x) I|| / ||Theta (x) I|| in the Frobenius norm, for networks of one width.

    Attributes:
      width: as `build` took it.
      distances: of each network.
      mean: of the distances.
      std: of the distances (seeds - 1 in the denominator); NaN for a single one.
    """

    width: int
    distances: Float64[np.ndarray, " seeds"]
    mean: float
    std: float


def stax_mlp(
    width: int,
    num_outputs: int,
    *,
    depth: int = 1,
    activation: str = "relu",
    W_std: float = 2**0.5,
    b_std: float = 0.0,
) -> StaxNetwork:
    """An MLP on flattened images as neural_tangents' (init_fn, apply_fn, kernel_fn).

    In NTK parameterisation: z = W_std / sqrt(inputs) W x + b_std b, with W and b from N(0, 1).

    Args:
      width: hidden units of each layer.
      num_outputs: C.
      depth: hidden layers.
      activation: "relu" or "erf".
      W_std: of the weights.
      b_std: of the biases; 0 for none.

    Raises:
      InputError: an unknown activation, no unit, layer or output, or a deviation that is negative
        or not finite.
    """
    hidden, output = _layers("Dense", width, num_outputs, depth, activation, W_std, b_std)
    stax = load_neural_tangents().stax
    return stax.serial(stax.Flatten(), *hidden, output)


def stax_cnn(
    width: int,
    num_outputs: int,
    *,
    depth: int = 1,
    activation: str = "relu",
    pooling: bool = False,
    W_std: float = 2**0.5,
    b_std: float = 0.0,
) -> StaxNetwork:
    """3 x 3 convolutions of `width` channels at stride 1, padded with zeros, and a dense layer.

    With `pooling` the dense layer sees the mean over positions, otherwise all positions, each with
    its own weights. Pooling raises the infinite-width kernel's memory from h w to (h w)^2 numbers
    for a pair of images. Other arguments and errors are those of `stax_mlp`; `depth` counts
    convolutions.
    """
    hidden, output = _layers("Conv", width, num_outputs, depth, activation, W_std, b_std)
    stax = load_neural_tangents().stax
    return stax.serial(*hidden, stax.GlobalAvgPool() if pooling else stax.Flatten(), output)


def infinite_width_kernels(
    kernel_fn: Callable[..., Any], images: Images, others: Float[Array, "m h w c"] | None = None
) -> InfiniteWidthKernels:
    """NNGP and NTK in float64, by the kernel_fn of a neural_tangents `stax` network."""
    with derivative_precision("float64"):
        first, second = (
            None if x is None else jnp.asarray(check_network_inputs(x), "float64")
            for x in (images, others)
        )
        kernels = kernel_fn(first, second, ("nngp", "ntk"))
        return InfiniteWidthKernels(np.asarray(kernels.nngp), np.asarray(kernels.ntk))


def width_convergence(
    key: KeyLike,
    build: Callable[[int], StaxNetwork],
    images: Images,
    widths: Sequence[int],
    *,
    seeds: int = 10,
    progress: Progress | None = None,
) -> Iterator[WidthDistance]:
    """Yields for each width how far kernels of random networks are from the infinite-width kernel.

    Args:
      key: of the initial parameters; each network's key depends on its width and number.
      build: from a width to a network, such as `lambda width: stax_mlp(width, 10)`.
      images: network inputs [n, h, w, c].
      widths: in any order.
      seeds: networks of each width.
      progress: called with ("networks", networks done, total).

    Raises:
      InputError: no seed, no width or one below 1, or images that a network does not take.
    """
    check_at_least(seeds, 1, "seeds")
    check_at_least(len(widths), 1, "the number of widths")
    check_at_least(min(widths), 1, "a width")
    images = check_network_inputs(images)
    key = as_key(key)
    report = counter(progress, "networks", seeds * len(widths))
    return (_distance(key, build, images, width, seeds, report) for width in widths)


def _distance(key, build, images, width, seeds, report):
    init_fn, apply_fn, kernel_fn = build(width)
    theta = infinite_width_kernels(kernel_fn, images).ntk
    rows, distances = None, []
    for seed in range(seeds):
        own = jax.random.fold_in(jax.random.fold_in(key, width), seed)
        params = init_fn(own, (1, *images.shape[1:]))[1]
        if rows is None:
            rows = JacobianRows((apply_fn, params), images.shape[1:], dtype="float64")
            limit = np.kron(theta, np.eye(rows.outputs_per_example))
        # One compiled program for all networks of a width.
        with derivative_precision("float64"):
            rows.leaves = [jnp.asarray(leaf, "float64") for leaf in jax.tree.leaves(params)]
        kernel = empirical_kernel(rows, images)
        distances.append(np.linalg.norm(kernel - limit) / np.linalg.norm(limit))
        report(1)
    found = np.array(distances)
    std = float(found.std(ddof=1)) if seeds > 1 else float("nan")
    return WidthDistance(width, found, float(found.mean()), std)


def _layers(kind, width, num_outputs, depth, activation, W_std, b_std):
    """Hidden layers with their activations, and the output layer."""
    for value, what in ((width, "width"), (depth, "depth"), (num_outputs, "num_outputs")):
        check_at_least(value, 1, what)
    check_choice(activation, _STAX_ACTIVATIONS, "activation")
    for value, what in ((W_std, "W_std"), (b_std, "b_std")):
        if not 0 <= value < np.inf:
            raise InputError(f"{what} is {value}, expected a finite number from 0 on")
    stax = load_neural_tangents().stax
    options = {"W_std": W_std, "b_std": b_std or None}
    nonlinearity = getattr(stax, _STAX_ACTIVATIONS[activation])
    hidden = []
    for _ in range(depth):
        linear = getattr(stax, kind)(width, **_STAX_LAYERS[kind], **options)
        hidden += [linear, nonlinearity()]
    return hidden, stax.Dense(num_outputs, **options)
