"""Networks, and the functional view of any of them: apply_fn(params, images) -> logits."""

from ntk_aug.models.evaluation import StreamedProgram, logits_program
from ntk_aug.models.independence import check_examples_independent
from ntk_aug.models.mlp import MLP, tanh_mlp_jacobian_lipschitz
from ntk_aug.models.network import (
    ModelView,
    Network,
    as_view,
    linen_network,
    linen_view,
    nnx_network,
    nnx_view,
    num_params,
    pure_network,
)
from ntk_aug.models.outputs import check_logits, count_outputs, network_takes
from ntk_aug.models.registry import (
    DEFAULT_LEARNING_RATE,
    MODELS,
    ModelEntry,
    as_network,
    build_network,
)
from ntk_aug.models.resnet import CifarResNet
from ntk_aug.models.weights import load_weights

__all__ = [
    "DEFAULT_LEARNING_RATE",
    "MLP",
    "MODELS",
    "CifarResNet",
    "ModelEntry",
    "ModelView",
    "Network",
    "StreamedProgram",
    "as_network",
    "as_view",
    "build_network",
    "check_examples_independent",
    "check_logits",
    "count_outputs",
    "linen_network",
    "linen_view",
    "load_weights",
    "logits_program",
    "network_takes",
    "nnx_network",
    "nnx_view",
    "num_params",
    "pure_network",
    "tanh_mlp_jacobian_lipschitz",
]
