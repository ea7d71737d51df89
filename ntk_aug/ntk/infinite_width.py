"""Kernels of infinite width, and how the empirical kernel nears them as the width grows."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Images, KeyArray
from ntk_aug.checks import check_at_least, check_choice, check_network_inputs
from ntk_aug.jacobian import JacobianRows
from ntk_aug.jacobian.precision import derivative_precision
from ntk_aug.ntk.empirical import empirical_kernel
from ntk_aug.ntk.neural_tangents_bridge import load_neural_tangents

StaxNetwork = tuple[Callable, Callable, Callable]
_STAX_ACTIVATIONS = {"relu": "Relu", "erf": "Erf"}


class InfiniteWidthKernels(NamedTuple):
    """Of one output; outputs are alike and do not interact.

    Attributes:
      nngp: covariance of the outputs of random networks.
      ntk: the tangent kernel.
    """

    nngp: Float64[np.ndarray, "n m"]
    ntk: Float64[np.ndarray, "n m"]


class WidthDistance(NamedTuple):
    """||K - Theta (x) I|| / ||Theta (x) I||, in the Frobenius norm, of networks of one width."""

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

    In NTK parameterisation: z = W_std / sqrt(inputs) W x + b_std b, all of W and b from N(0, 1).

    Args:
      width: hidden units of each layer.
      num_outputs: C.
      depth: hidden layers.
      activation: "relu" or "erf".
      W_std: of the weights.
      b_std: of the biases; 0 for none.

    Raises:
      InputError: an unknown activation, or no hidden unit or layer.
    """
    check_at_least(width, 1, "width")
    check_at_least(depth, 1, "depth")
    check_choice(activation, _STAX_ACTIVATIONS, "activation")
    stax = load_neural_tangents().stax
    options = {"W_std": W_std, "b_std": b_std or None}
    nonlinearity = getattr(stax, _STAX_ACTIVATIONS[activation])
    hidden = [
        layer for _ in range(depth) for layer in (stax.Dense(width, **options), nonlinearity())
    ]
    return stax.serial(stax.Flatten(), *hidden, stax.Dense(num_outputs, **options))


def infinite_width_kernels(
    kernel_fn: Callable[..., Any],
    images: Images,
    others: Float[Array, "m h w c"] | None = None,
) -> InfiniteWidthKernels:
    """NNGP and NTK, in float64, of a network of neural_tangents' `stax`; the last of its three."""
    with derivative_precision("float64"):
        first, second = (
            None if x is None else jnp.asarray(check_network_inputs(x), "float64")
            for x in (images, others)
        )
        kernels = kernel_fn(first, second, ("nngp", "ntk"))
        return InfiniteWidthKernels(np.asarray(kernels.nngp), np.asarray(kernels.ntk))


def width_convergence(
    key: KeyArray,
    build: Callable[[int], StaxNetwork],
    images: Images,
    widths: Sequence[int],
    *,
    seeds: int = 10,
) -> Iterator[WidthDistance]:
    """Yields, for each width, how far kernels of random networks are from that of infinite width.

    Args:
      key: of the networks' initial parameters.
      build: from a width to a network, such as `lambda width: stax_mlp(width, 10)`.
      images: network inputs [n, h, w, c].
      widths: in any order.
      seeds: networks of each width.
    """
    check_at_least(seeds, 1, "seeds")
    for width in widths:
        init_fn, apply_fn, kernel_fn = build(width)
        theta = infinite_width_kernels(kernel_fn, images).ntk
        distances = []
        for seed in range(seeds):
            own = jax.random.fold_in(jax.random.fold_in(key, width), seed)
            params = init_fn(own, (1, *images.shape[1:]))[1]
            rows = JacobianRows(
                lambda p, x, apply_fn=apply_fn: apply_fn(p, x),
                params,
                images.shape[1:],
                dtype="float64",
            )
            limit = np.kron(theta, np.eye(rows.outputs_per_example))
            kernel = empirical_kernel(rows, images)
            distances.append(np.linalg.norm(kernel - limit) / np.linalg.norm(limit))
        found = np.array(distances)
        yield WidthDistance(width, found, float(found.mean()), float(found.std()))
