"""The optimiser of every run, as one optax chain."""

import optax

from ntk_aug.training.config import TrainingConfig


def build_optimizer(config: TrainingConfig, steps_per_epoch: int) -> optax.GradientTransformation:
    """SGD with momentum, weight decay and a step-wise learning rate.

    Weight decay comes before momentum and the learning rate, as in torch.optim.SGD; behind them it
    would have the wrong sign.
    """
    schedule = optax.piecewise_constant_schedule(
        config.learning_rate,
        {epoch * steps_per_epoch: config.decay_factor for epoch in config.decay_epochs},
    )
    return optax.chain(
        optax.add_decayed_weights(config.weight_decay),
        optax.sgd(schedule, momentum=config.momentum),
    )
