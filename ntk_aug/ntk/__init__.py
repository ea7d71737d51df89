"""Neural tangent kernels of a network on finite sets of images."""

from ntk_aug.ntk.dynamics import (
    DYNAMICS_LOSSES,
    LinearizedPredictions,
    linearized_predictions,
    linearized_view,
)
from ntk_aug.ntk.empirical import empirical_kernel, kernel_diagonal, parameter_kernels
from ntk_aug.ntk.infinite_width import (
    InfiniteWidthKernels,
    WidthDistance,
    infinite_width_kernels,
    stax_cnn,
    stax_mlp,
    width_convergence,
)
from ntk_aug.ntk.neural_tangents.agreement import KernelAgreement, compare_with_neural_tangents
from ntk_aug.ntk.neural_tangents.blocks import NEURAL_TANGENTS_IMPLEMENTATIONS
from ntk_aug.ntk.neural_tangents.bridge import load_neural_tangents
from ntk_aug.ntk.neural_tangents.kernels import (
    DEFAULT_IMPLEMENTATION,
    NeuralTangentsEstimate,
    estimate_neural_tangents,
    neural_tangents_kernel,
    neural_tangents_triples,
)
from ntk_aug.ntk.products import factor_products, row_products
from ntk_aug.ntk.regression import KernelRegression, kernel_regression
from ntk_aug.ntk.row_store import gib_rounded_up, images_per_tile
from ntk_aug.ntk.triples import DEFAULT_MEMORY_BYTES, KernelTriple, kernel_triples

__all__ = [
    "DEFAULT_IMPLEMENTATION",
    "DEFAULT_MEMORY_BYTES",
    "DYNAMICS_LOSSES",
    "NEURAL_TANGENTS_IMPLEMENTATIONS",
    "InfiniteWidthKernels",
    "KernelAgreement",
    "KernelRegression",
    "KernelTriple",
    "LinearizedPredictions",
    "NeuralTangentsEstimate",
    "WidthDistance",
    "compare_with_neural_tangents",
    "empirical_kernel",
    "estimate_neural_tangents",
    "factor_products",
    "gib_rounded_up",
    "images_per_tile",
    "infinite_width_kernels",
    "kernel_diagonal",
    "kernel_regression",
    "kernel_triples",
    "linearized_predictions",
    "linearized_view",
    "load_neural_tangents",
    "neural_tangents_kernel",
    "neural_tangents_triples",
    "parameter_kernels",
    "row_products",
    "stax_cnn",
    "stax_mlp",
    "width_convergence",
]
