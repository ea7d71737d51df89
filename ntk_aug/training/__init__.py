"""Training: a plan of each epoch, one pure step, one folder per run, trained networks by name."""

from ntk_aug.training.config import MethodConfig, TrainingConfig
from ntk_aug.training.evaluation import evaluate
from ntk_aug.training.loop import train
from ntk_aug.training.pretrained import load_trained_model, train_named_model
from ntk_aug.training.run import TrainedNetwork
from ntk_aug.training.run_folder import RunFolder

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "train",
    "TrainingConfig",
    "MethodConfig",
    "TrainedNetwork",
    "evaluate",
    "RunFolder",
    "load_trained_model",
    "train_named_model",
]
