"""The optimiser of all runs, an optax chain, and its learning rate."""

import numpy as np
import optax

from ntk_aug.aliases import Float32
from ntk_aug.training.config import TrainingConfig


def build_optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Builds the direction of a step, to be scaled by -rate: clipping, weight decay, momentum.

    Weight decay comes before momentum, as in torch.optim.SGD. The learning rate is an argument of
    each step, because the number of steps per epoch changes with the selection: see
    `learning_rates`.
    """
    clipping = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    return optax.chain(
        *clipping,
        optax.add_decayed_weights(config.weight_decay),
        optax.trace(decay=config.momentum, nesterov=config.nesterov),
    )


def learning_rate_schedule(config: TrainingConfig) -> optax.Schedule:
    """Builds the learning rate as a function of the (fractional) epochs done."""
    peak, warmup = config.learning_rate, config.warmup_epochs
    left = max(config.epochs - warmup, 1)
    if config.schedule == "step":
        # After the warm-up, optax counts from its end; a decay during it applies from there on.
        drops: dict[int, float] = {}
        for epoch in config.decay_epochs:
            begin = max(epoch - warmup, 0)
            drops[begin] = drops.get(begin, 1.0) * config.decay_factor
        main = optax.piecewise_constant_schedule(peak, drops)
    elif config.schedule == "cosine":
        main = optax.cosine_decay_schedule(peak, left)
    else:
        main = optax.linear_schedule(peak, 0.0, left)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])


def learning_rates(
    config: TrainingConfig, epoch: int, num_steps: int
) -> Float32[np.ndarray, " steps"]:
    """Returns the learning rates of the steps after `epoch` epochs, at epoch + k / num_steps."""
    at = epoch + np.arange(num_steps) / max(num_steps, 1)
    rates = learning_rate_schedule(config)(at.astype(np.float32))
    return np.broadcast_to(np.asarray(rates, np.float32), (num_steps,))
