"""What a training run is: every number that its result depends on."""

from dataclasses import dataclass

from ntk_aug.augment import build_augmentation
from ntk_aug.checks import InputError, check_at_least


@dataclass(frozen=True)
class TrainingConfig:
    """SGD with momentum on the cross-entropy loss.

    Attributes:
      epochs: passes over the training images.
      batch_size: images per step; the last step of an epoch takes what is left.
      learning_rate: at the start.
      momentum: heavy-ball, as in torch.optim.SGD.
      weight_decay: added to the gradient as weight_decay * parameter, before momentum.
      decay_epochs: epochs (from 0) from which on the learning rate is multiplied by decay_factor.
      decay_factor: once per decay epoch.
      augmentation: a spec for `augment.build_augmentation`, redrawn every epoch.
      seed: of initialisation, order, augmentation and dropout, each with a key of its own.
    """

    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    decay_epochs: tuple[int, ...] = ()
    decay_factor: float = 0.1
    augmentation: str = "identity"
    seed: int = 0

    def __post_init__(self):
        check_at_least(self.epochs, 0, "epochs")
        check_at_least(self.batch_size, 1, "batch_size")
        check_at_least(self.learning_rate, 0, "learning_rate")
        check_at_least(self.weight_decay, 0, "weight_decay")
        check_at_least(self.decay_factor, 0, "decay_factor")
        for epoch in self.decay_epochs:
            check_at_least(epoch, 0, "an epoch of decay_epochs")
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum is {self.momentum}, expected 0 <= momentum < 1")
        build_augmentation(self.augmentation)
