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
    """What a step carries to the next.

    Attributes:
      params: trained parameters.
      state: what is updated but not trained, such as batch statistics.
      opt_state: of the optimiser.
      epoch: epochs done, an int32 scalar.
    """

    params: Params
    state: Any
    opt_state: optax.OptState
    epoch: Int[Array, ""]


class Keys(NamedTuple):
    """Separate keys, so that one kind of randomness can be changed while the others are kept."""

    init: KeyArray
    order: KeyArray
    weak: KeyArray
    dropout: KeyArray
    strong: KeyArray
    selection: KeyArray

    @classmethod
    def of_seed(cls, seed: int) -> "Keys":
        """The keys of a run's seed."""
        return cls(*jax.random.split(jax.random.key(seed), len(cls._fields)))


class MetricSums(NamedTuple):
    """Sums over the images of some steps, to be divided once at the end.

    They are of what each image had when its own batch was processed.

    Attributes:
      loss: of weight times cross-entropy, with smoothed targets where these are trained on.
      weight: of the weights.
      hits: number of images whose largest logit is that of their most likely class.
      num_images: of images.
    """

    loss: Float[Array, ""]
    weight: Float[Array, ""]
    hits: Int[Array, ""]
    num_images: Int[Array, ""]

    @classmethod
    def zero(cls) -> "MetricSums":
        """The sums of no step."""
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
    sums). Every row counts: none is a filling, because a batch's statistics are those of all its
    images. Weights act on the loss alone.

    Args:
      network: to be trained.
      optimizer: of its parameters, see `build_optimizer`.
      preprocess: from images in [0, 1] to the network's inputs.
      label_smoothing: share of each target that is spread over all classes.
      precision: "float32" or "bfloat16": of forward and backward pass. Parameters, state and loss
        are float32 in either.
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
    """Statistics of a bfloat16 pass in the type in which they are kept."""
    return new.astype(old.dtype) if jnp.issubdtype(old.dtype, jnp.floating) else new
