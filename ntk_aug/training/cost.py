"""How long a training run will take, from one measured step."""

from dataclasses import replace

import numpy as np

from ntk_aug.data import Dataset
from ntk_aug.models import Network
from ntk_aug.training.config import TrainingConfig
from ntk_aug.training.loop import train
from ntk_aug.training.plan import steps_per_epoch


def estimate_training_seconds(
    network: Network, train_set: Dataset, config: TrainingConfig
) -> float:
    """Trains on one batch, compiled and timed, and scales to all steps; evaluation is left out."""
    batch = train_set.take(np.arange(min(config.batch_size, len(train_set))))
    trained = train(network, batch, replace(config, epochs=2, warmup_epochs=0))
    second = trained.history[1]  # the first compiles
    seconds_per_step = second.seconds_training + second.seconds_augmentation
    steps = steps_per_epoch(len(train_set), config.batch_size)
    return config.epochs * steps * seconds_per_step
