"""Neural tangent kernels of a network on finite sets of images."""

from ntk_aug.ntk.kernels import (
    DEFAULT_MEMORY_BYTES,
    KernelTriple,
    images_per_tile,
    kernel_triples,
    row_products,
)

__all__ = [
    "DEFAULT_MEMORY_BYTES",
    "KernelTriple",
    "images_per_tile",
    "kernel_triples",
    "row_products",
]
