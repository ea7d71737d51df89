"""Named training runs: one entry per network that a figure or table stands on."""

from dataclasses import dataclass

from ntk_aug.training import TrainingConfig


@dataclass(frozen=True)
class Preset:
    """One training run.

    Attributes:
      description: what it is for.
      data: name of the data set.
      classes: names of the classes; empty for all.
      model: a spec for `models.build_network`.
      options: of the model.
      config: of the training.
    """

    description: str
    data: str
    classes: tuple[str, ...]
    model: str
    options: dict
    config: TrainingConfig


PRESETS = {
    "digits-mlp": Preset(
        description="an MLP on all ten digits; seconds, works without a download",
        data="digits",
        classes=(),
        model="mlp",
        options={"width": 128, "activation": "relu"},
        config=TrainingConfig(epochs=15, learning_rate=0.05),
    ),
    "digits-mlp-3": Preset(
        description="the demo's network: tanh MLP on the digits 0, 1, 2",
        data="digits",
        classes=("0", "1", "2"),
        model="mlp",
        options={"width": 128, "activation": "tanh"},
        config=TrainingConfig(epochs=15, learning_rate=0.05),
    ),
    "mnist-mlp-3": Preset(
        description="Figure 1's MNIST network: one hidden layer, on the digits 0, 1, 2",
        data="mnist",
        classes=("0", "1", "2"),
        model="mlp",
        options={"width": 128, "activation": "relu"},
        config=TrainingConfig(epochs=15, learning_rate=0.05),
    ),
    "cifar10-resnet20-3": Preset(
        description="Figure 1's CIFAR-10 network: airplane, automobile, bird",
        data="cifar10",
        classes=("airplane", "automobile", "bird"),
        model="resnet20",
        options={},
        config=TrainingConfig(epochs=15, learning_rate=0.1),
    ),
}
