"""Options of the command line that replace a preset's settings."""

from experiments.settings import Experiment
from ntk_aug.options import override_options
from ntk_aug.training import MethodConfig, TrainingConfig

ExperimentOverrides = override_options(Experiment, "Data and network, in place of the preset's.")
TrainingOverrides = override_options(TrainingConfig, "Training, in place of the preset's.")
MethodOverrides = override_options(
    MethodConfig, "Selection and strong augmentation, in place of the preset's."
)
