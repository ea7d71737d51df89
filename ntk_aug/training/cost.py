"""Estimate of a training run's time from one measured step."""

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
    """Times one compiled training step and scales it to all steps, without evaluation."""
    batch = train_set.take(np.arange(min(config.batch_size, len(train_set))))
    trained = train(network, batch, replace(config, epochs=2, warmup_epochs=0))
    second = trained.history[1]  # the first compiles
    seconds_per_step = second.seconds_training + second.seconds_augmentation
    steps = steps_per_epoch(len(train_set), config.batch_size)
    return config.epochs * steps * seconds_per_step
