"""Training: one compiled program per epoch, one folder per run, trained networks by name."""

from ntk_aug.training.checkpoint import checkpoint_epochs, restore_checkpoint, save_checkpoint
from ntk_aug.training.config import TrainingConfig
from ntk_aug.training.cost import estimate_training_seconds
from ntk_aug.training.loop import (
    TrainedNetwork,
    check_augmentation,
    evaluate_view,
    initial_state,
    train,
    zero_examples,
)
from ntk_aug.training.optimizer import build_optimizer
from ntk_aug.training.pretrained import (
    PretrainedNetwork,
    load_trained_model,
    network_fingerprint,
    train_named_model,
)
from ntk_aug.training.run_folder import (
    EpochRecord,
    RunFolder,
    recorded_example,
    run_configuration,
)
from ntk_aug.training.step import (
    Keys,
    MetricSums,
    TrainState,
    epoch_program,
    evaluation_program,
    steps_per_epoch,
)

__all__ = [
    "EpochRecord",
    "Keys",
    "MetricSums",
    "PretrainedNetwork",
    "RunFolder",
    "TrainState",
    "TrainedNetwork",
    "TrainingConfig",
    "build_optimizer",
    "check_augmentation",
    "checkpoint_epochs",
    "epoch_program",
    "estimate_training_seconds",
    "evaluate_view",
    "evaluation_program",
    "initial_state",
    "load_trained_model",
    "network_fingerprint",
    "recorded_example",
    "restore_checkpoint",
    "run_configuration",
    "save_checkpoint",
    "steps_per_epoch",
    "train",
    "train_named_model",
    "zero_examples",
]
