"""Neural tangent kernels of a network on finite sets of images."""

from ntk_aug.ntk.kernels import (
    DEFAULT_MEMORY_BYTES,
    KernelTriple,
    images_per_tile,
    kernel_triples,
    row_products,
)
from ntk_aug.ntk.neural_tangents import neural_tangents_triples
from ntk_aug.ntk.neural_tangents_bridge import load_neural_tangents

__all__ = [
    "DEFAULT_MEMORY_BYTES",
    "KernelTriple",
    "images_per_tile",
    "kernel_triples",
    "load_neural_tangents",
    "neural_tangents_triples",
    "row_products",
]
