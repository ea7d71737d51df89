"""Networks, and a functional view of any network: apply_fn(params, images) -> logits."""

from ntk_aug.models.mlp import MLP
from ntk_aug.models.network import (
    ModelView,
    Network,
    as_view,
    linen_network,
    linen_view,
    nnx_network,
    nnx_view,
    pure_network,
)
from ntk_aug.models.registry import MODELS, build_network
from ntk_aug.models.resnet import CifarResNet
from ntk_aug.models.weights import load_weights

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "ModelView",
    "as_view",
    "linen_view",
    "nnx_view",
    "Network",
    "linen_network",
    "nnx_network",
    "pure_network",
    "load_weights",
    "build_network",
    "MODELS",
    "MLP",
    "CifarResNet",
]
