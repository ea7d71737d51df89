"""Networks by name; to add a network, add an entry to `MODELS`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
from flax import nnx

from ntk_aug.checks import check_at_least, check_choice
from ntk_aug.errors import InputError
from ntk_aug.imports import guarded, import_function, is_import_path, user_code
from ntk_aug.models.mlp import ACTIVATIONS, MLP, tanh_mlp_jacobian_lipschitz
from ntk_aug.models.network import Network, linen_network, nnx_network
from ntk_aug.models.resnet import CifarResNet


class ModelEntry(NamedTuple):
    """A named network.

    Attributes:
      build: build(num_classes, **options) -> Network.
      learning_rate: a good start for SGD with momentum 0.9.
      options: names of the options of `build`.
      description: one line.
    """

    build: Callable[..., Network]
    learning_rate: float
    options: tuple[str, ...]
    description: str


def _mlp(num_classes: int, width: int = 128, activation: str = "relu") -> Network:
    check_at_least(width, 1, "width")
    check_choice(activation, ACTIVATIONS, "activation")
    lipschitz = tanh_mlp_jacobian_lipschitz if activation == "tanh" else None
    return linen_network(MLP(num_classes, width, activation), lipschitz)


def _cifar_resnet(*stage_sizes: int) -> Callable[[int], Network]:
    return lambda num_classes: linen_network(CifarResNet(num_classes, stage_sizes))


MODELS = {
    "mlp": ModelEntry(_mlp, 0.05, ("width", "activation"), "one hidden layer"),
    "resnet4": ModelEntry(_cifar_resnet(1), 0.1, (), "one residual block: for tests"),
    "resnet20": ModelEntry(_cifar_resnet(3, 3, 3), 0.1, (), "CIFAR ResNet, option-A shortcuts"),
    "resnet32": ModelEntry(_cifar_resnet(5, 5, 5), 0.1, (), "the same, 32 layers"),
    "resnet44": ModelEntry(_cifar_resnet(7, 7, 7), 0.1, (), "the same, 44 layers"),
    "resnet56": ModelEntry(_cifar_resnet(9, 9, 9), 0.1, (), "the same, 56 layers"),
}
DEFAULT_LEARNING_RATE = 0.1


def build_network(spec: str, num_classes: int, **options: Any) -> Network:
    """Builds a network from its name or a user's `module:function`.

    The function is called with `num_classes` and the options, and returns a Flax Linen module, a
    `Network`, or a function from `nnx.Rngs` to an NNX module.

    Args:
      spec: a key of `MODELS`, or module:function.
      num_classes: outputs C.
      **options: for example width and activation; None counts as not given.

    Raises:
      InputError: an unknown name (the known ones are listed), or an unknown option.
      UserCodeError: the user's function or its network raised an error, now or in a later call.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if is_import_path(spec, MODELS):
        return _own_network(spec, num_classes, options)
    entry = MODELS[check_choice(spec, MODELS, "model")]
    for name in options:
        if name not in entry.options:
            raise InputError(f"model {spec!r} takes no option {name!r}")
    return entry.build(num_classes, **options)


def _own_network(spec, num_classes, options):
    function = import_function(spec)
    with user_code(spec):
        network = as_network(function(num_classes=num_classes, **options))
    return network._replace(init=guarded(spec, network.init), apply=guarded(spec, network.apply))


def as_network(value: Any) -> Network:
    """Converts a Linen module or a function from nnx.Rngs to an NNX module to a `Network`."""
    if isinstance(value, Network):
        return value
    if isinstance(value, nn.Module):
        return linen_network(value)
    is_linen_class = isinstance(value, type) and issubclass(value, nn.Module)
    if callable(value) and not is_linen_class and not isinstance(value, nnx.Module):
        return nnx_network(value)
    raise InputError(
        f"a model function returned {type(value).__name__}, expected a Flax Linen module, "
        "a Network, or a function from nnx.Rngs to an NNX module"
    )
