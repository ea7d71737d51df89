"""The optimiser of every run, as one optax chain, and its learning rate."""

import numpy as np
import optax

from ntk_aug.aliases import Float32
from ntk_aug.training.config import TrainingConfig


def build_optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Clipping, weight decay and momentum: the direction of a step, to be scaled by -rate.

    Weight decay comes before momentum and the learning rate, as in torch.optim.SGD; behind them it
    would have the wrong sign. The rate is an argument of each step, because an epoch's number of
    steps changes with what is selected: see `learning_rates`.
    """
    clipping = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    return optax.chain(
        *clipping,
        optax.add_decayed_weights(config.weight_decay),
        optax.trace(decay=config.momentum, nesterov=config.nesterov),
    )


def learning_rate_schedule(config: TrainingConfig) -> optax.Schedule:
    """The learning rate as a function of the epochs done, fractions included."""
    peak, warmup = config.learning_rate, config.warmup_epochs
    left = max(config.epochs - warmup, 1)
    if config.schedule == "step":
        # Behind the warm-up, optax counts from its end; a decay within it holds from there on.
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
    """The learning rate of each step of an epoch.

    Args:
      config: settings of the training.
      epoch: epochs done before.
      num_steps: of this epoch; step k is at epoch + k / num_steps.
    """
    at = epoch + np.arange(num_steps) / max(num_steps, 1)
    rates = learning_rate_schedule(config)(at.astype(np.float32))
    return np.broadcast_to(np.asarray(rates, np.float32), (num_steps,))
