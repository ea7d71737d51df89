"""Options that the commands share, and their checks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

import tyro

from ntk_aug.checks import check_at_least
from ntk_aug.errors import InputError
from ntk_aug.options import given_overrides, override_options
from ntk_aug.training import TrainingConfig

PretrainingOptions = override_options(
    TrainingConfig,
    "Training of a network that is not given; by default without augmentation, at the model's "
    "learning rate (MLP 0.05, ResNets 0.1).",
    leave_out=("seed", "epochs"),
)


@dataclass(frozen=True)
class NetworkOptions:
    """Options of data and of a network, which is pretrained or comes from a checkpoint."""

    data: str | None = None
    """Data set by name (digits works without a download); default: digits, or the checkpoint's.
    Without a test split of its own, every fifth image of it is the test split."""
    data_dir: str | None = None
    """Where prepared data sets lie; default: the environment variable TFDS_DATA_DIR."""
    images: str | None = None
    """Your own examples: an npz file with images [n, h, w(, c)] and labels [n], or x and y; labels
    are integers or texts. Without test_images and test_labels (x_test, y_test) every fifth image is
    the test split. In place of images: a table [n, d], or token ids [n, t]."""
    model: str = "mlp"
    """Network by name, or module:function for your own."""
    width: int | None = None
    """Hidden units of the MLP; default 128."""
    activation: str | None = None
    """Activation of the MLP, relu or tanh; default relu."""
    weights: tuple[str, ...] = ()
    """Trained weights of --model, instead of pretraining: an npz file of named arrays, or a folder
    of orbax; several are several networks. See models.load_weights for the names."""
    epochs: int | None = None
    """Epochs of pretraining, by default 15; or which checkpoint of --checkpoint, by default the
    last."""
    cache: str = "runs/pretrained"
    """Folder of pretrained networks, found again by their full configuration."""
    seed: int = 0
    """Seed of every random draw."""
    pretraining: Annotated[PretrainingOptions, tyro.conf.OmitArgPrefixes] = field(
        default_factory=PretrainingOptions
    )


OF_MODEL = ("model", "width", "activation")


def check_network_options(
    options: NetworkOptions, checkpoint: bool, *, networks: int | None = None
) -> None:
    """Checks the options that need no data, before any long work.

    Args:
      options: of any command.
      checkpoint: whether the network comes from one.
      networks: how many networks the command takes at most; None: any number.
    """
    if options.images and options.data:
        raise InputError("--images and --data exclude each other")
    if checkpoint and options.weights:
        raise InputError("--checkpoint and --weights exclude each other")
    if networks is not None and len(options.weights) > networks:
        raise InputError(f"--weights are {len(options.weights)}, expected at most {networks}")
    if checkpoint or options.weights:
        source = "--checkpoint" if checkpoint else "--weights"
        names = ("networks", *(OF_MODEL if checkpoint else ()))
        defaults = {option.name: option.default for option in fields(options)}
        given = [
            *(name for name in names if getattr(options, name, None) != defaults.get(name)),
            *given_overrides(options.pretraining),
        ]
        for name in given:
            raise InputError(
                f"--{name.replace('_', '-')} is for pretraining, but the networks of {source} are "
                "trained already"
            )
    if options.weights and given_epochs(options):
        raise InputError("--epochs is for pretraining or --checkpoint, not for --weights")
    for epochs in given_epochs(options):
        check_at_least(epochs, 0, "--epochs")


def given_epochs(options: NetworkOptions) -> tuple[int, ...]:
    """The numbers of --epochs, of which a command may take several; empty if not given."""
    if options.epochs is None:
        return ()
    return options.epochs if isinstance(options.epochs, tuple) else (options.epochs,)


def check_memory(memory_gib: float) -> None:
    """Raises InputError unless --memory-gib is a finite number above 0."""
    if not (memory_gib > 0 and math.isfinite(memory_gib)):
        raise InputError(f"--memory-gib is {memory_gib}, expected a number above 0")


def check_augmentations_once(specs: Sequence[str]) -> None:
    """Raises InputError unless --augment names at least one augmentation, and none twice."""
    if len(set(specs)) < len(specs) or not specs:
        raise InputError(f"--augment is {tuple(specs)}, expected at least one, and none twice")


def earlier_output(folder: str) -> Path:
    """The folder of --from; raises InputError if there is none."""
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{folder} is no folder, expected one that this command wrote")
    return path
