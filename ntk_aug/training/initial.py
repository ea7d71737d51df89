"""The initial state of a network, and checks of its inputs and outputs."""

from typing import Any

import jax
import jax.numpy as jnp

from ntk_aug.checks import check_same_shape
from ntk_aug.data import Dataset
from ntk_aug.inputs import as_example_shapes
from ntk_aug.models import Network
from ntk_aug.models.outputs import check_logits, network_takes
from ntk_aug.training.config import TrainingConfig
from ntk_aug.training.optimizer import build_optimizer
from ntk_aug.training.step import Keys, TrainState


def initial_state(network: Network, image_shape: Any, config: TrainingConfig) -> TrainState:
    """Initialises the state before the first epoch, from the shape of the images and the seed.

    `image_shape` is (h, w, c), or the shape and type of another example, as `data.Dataset.example`
    gives it. Raises InputError if the network does not take such examples.
    """
    example = zero_examples(image_shape, 1)
    with network_takes(example):
        params, state = network.init(Keys.of_seed(config.seed).init, example)
    opt_state = build_optimizer(config).init(params)
    initial = TrainState(params, state, opt_state, jnp.zeros((), jnp.int32))
    # Steps donate their buffers, and a network may hold one array under two names.
    return jax.tree.map(jnp.copy, initial)


def zero_examples(example: Any, n: int) -> Any:
    """Makes a batch of n zero examples; `example` is as in `initial_state`."""
    shapes = as_example_shapes(example, "float32")
    return jax.tree.map(lambda leaf: jnp.zeros((n, *leaf.shape), leaf.dtype), shapes)


def check_outputs(network: Network, train_state: TrainState, train_set: Dataset) -> None:
    """Raises InputError unless the network returns one logit per class of the data set."""
    image = zero_examples(train_set.example, 1)
    logits = jax.eval_shape(
        lambda: network.apply(train_state.params, train_state.state, image, False, None)[0]
    )
    check_logits(logits, 1)
    check_same_shape(logits.shape, (1, train_set.num_classes), "the network's output for one image")
