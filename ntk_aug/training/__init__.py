"""Training: a plan of each epoch, one pure step, one folder per run, trained networks by name."""

from ntk_aug.training.checkpoint import (
    Checkpoint,
    checkpoint_epochs,
    restore_checkpoint,
    save_checkpoint,
)
from ntk_aug.training.config import (
    PLACEMENTS,
    PRECISIONS,
    SCHEDULES,
    TRAINED_PARTS,
    WEIGHTINGS,
    MethodConfig,
    TrainingConfig,
)
from ntk_aug.training.cost import estimate_training_seconds
from ntk_aug.training.epoch import EpochProgram, EpochResult, Rows, Sources
from ntk_aug.training.evaluation import Evaluation, EvaluationProgram, evaluate
from ntk_aug.training.history import EpochRecord, summarize_history
from ntk_aug.training.initial import initial_state, zero_examples
from ntk_aug.training.loop import train
from ntk_aug.training.optimizer import build_optimizer, learning_rate_schedule, learning_rates
from ntk_aug.training.plan import (
    PLAIN,
    WEAK,
    BatchSizes,
    EpochPlan,
    SelectedSubset,
    batch_sizes,
    plan_epoch,
    steps_per_epoch,
)
from ntk_aug.training.pretrained import (
    PretrainedNetwork,
    load_trained_model,
    network_fingerprint,
    train_named_model,
)
from ntk_aug.training.run import TrainedNetwork
from ntk_aug.training.run_folder import RunFolder, recorded_example, run_configuration
from ntk_aug.training.step import Keys, MetricSums, TrainState, training_step
from ntk_aug.training.versions import check_augmentation

__all__ = [
    "PLACEMENTS",
    "PLAIN",
    "PRECISIONS",
    "SCHEDULES",
    "TRAINED_PARTS",
    "WEAK",
    "WEIGHTINGS",
    "BatchSizes",
    "Checkpoint",
    "EpochPlan",
    "EpochProgram",
    "EpochRecord",
    "EpochResult",
    "Evaluation",
    "EvaluationProgram",
    "Keys",
    "MethodConfig",
    "MetricSums",
    "PretrainedNetwork",
    "Rows",
    "RunFolder",
    "SelectedSubset",
    "Sources",
    "TrainState",
    "TrainedNetwork",
    "TrainingConfig",
    "batch_sizes",
    "build_optimizer",
    "check_augmentation",
    "checkpoint_epochs",
    "estimate_training_seconds",
    "evaluate",
    "initial_state",
    "learning_rate_schedule",
    "learning_rates",
    "load_trained_model",
    "network_fingerprint",
    "plan_epoch",
    "recorded_example",
    "restore_checkpoint",
    "run_configuration",
    "save_checkpoint",
    "steps_per_epoch",
    "summarize_history",
    "train",
    "train_named_model",
    "training_step",
    "zero_examples",
]
