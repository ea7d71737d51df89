"""One step of training, as a pure function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ntk_aug.aliases import Array, Float, FloatLike, Inputs, Int, KeyArray, Params
from ntk_aug.inputs import cast_inputs
from ntk_aug.losses import per_example_loss
from ntk_aug.models import Network

_cross_entropy = per_example_loss("cross-entropy")


class TrainState(NamedTuple):
    """The state that a step updates.

    Attributes:
      params: trained parameters.
      state: updated but not trained arrays, such as batch statistics.
      opt_state: state of the optimiser.
      epoch: epochs done, an int32 scalar.
    """

    params: Params
    state: Any
    opt_state: optax.OptState
    epoch: Int[Array, ""]


class Keys(NamedTuple):
    """Separate keys for each kind of randomness, so that one can change without the others."""

    init: KeyArray
    order: KeyArray
    weak: KeyArray
    dropout: KeyArray
    strong: KeyArray
    selection: KeyArray

    @classmethod
    def of_seed(cls, seed: int) -> "Keys":
        """Splits the keys from a run's seed."""
        return cls(*jax.random.split(jax.random.key(seed), len(cls._fields)))


class MetricSums(NamedTuple):
    """Sums over the images of some steps, each measured when its batch was processed.

    Attributes:
      loss: sum of weight times cross-entropy, with smoothed targets if these are trained on.
      weight: sum of the weights.
      hits: number of images whose largest logit is that of their most likely class.
      num_images: number of images.
    """

    loss: Float[Array, ""]
    weight: Float[Array, ""]
    hits: Int[Array, ""]
    num_images: Int[Array, ""]

    @classmethod
    def zero(cls) -> "MetricSums":
        """The sums over no images."""
        return cls(*(jnp.zeros((), dtype) for dtype in (jnp.float32,) * 2 + (jnp.int32,) * 2))

    def means(self) -> tuple[float, float]:
        """Weighted mean of the losses, and the share of hits in [0, 1]."""
        weight, num_images = float(self.weight), float(self.num_images)
        return float(self.loss) / weight if weight else 0.0, float(self.hits) / num_images


Step = Callable[..., tuple[TrainState, MetricSums]]
"""step(state, key, images, soft labels, weights, learning rate) -> (state, sums)."""


def training_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    preprocess: Callable[[Inputs], Inputs],
    *,
    label_smoothing: float = 0.0,
    precision: str = "float32",
) -> Step:
    """Builds one step of SGD on the mean of weight times cross-entropy over a batch.

    The step is step(state, key, images, soft labels [b, C], weights [b], learning rate) -> (state,
    sums). Batches have no padding, because batch statistics are over all images; weights act on the
    loss only. `preprocess` maps images in [0, 1] to the network's inputs. Parameters, state and
    loss are float32 in either precision, "float32" or "bfloat16".
    """

    def cast(tree: Any) -> Any:
        return tree if precision == "float32" else cast_inputs(tree, precision)

    def step(
        state: TrainState,
        key: KeyArray,
        images: Inputs,
        soft_labels: Float[Array, "b C"],
        weights: Float[Array, " b"],
        learning_rate: FloatLike,
    ) -> tuple[TrainState, MetricSums]:
        inputs = cast(preprocess(images))
        targets = optax.smooth_labels(soft_labels, label_smoothing)

        def mean_loss(params):
            logits, new = network.apply(cast(params), state.state, inputs, True, key)
            logits = logits.astype(jnp.float32)
            losses = weights * _cross_entropy(logits, targets)
            return jnp.mean(losses), (logits, losses, new)

        gradient, (logits, losses, new) = jax.grad(mean_loss, has_aux=True)(state.params)
        direction, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        updates = jax.tree.map(lambda d: -learning_rate * d, direction)
        hits = jnp.argmax(logits, axis=-1) == jnp.argmax(soft_labels, axis=-1)
        sums = MetricSums(
            jnp.sum(losses),
            jnp.sum(weights),
            jnp.sum(hits, dtype=jnp.int32),
            jnp.asarray(len(weights), jnp.int32),
        )
        kept = jax.tree.map(_in_the_type_of, new, state.state)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, kept, opt_state, state.epoch), sums

    return step


def _in_the_type_of(new, old):
    """Casts statistics of a bfloat16 pass to the type of the old ones."""
    return new.astype(old.dtype) if jnp.issubdtype(old.dtype, jnp.floating) else new
