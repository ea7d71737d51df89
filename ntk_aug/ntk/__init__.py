"""Neural tangent kernels of a network on finite sets of images."""

from ntk_aug.ntk.dynamics import linearized_predictions, linearized_view
from ntk_aug.ntk.empirical import empirical_kernel, kernel_diagonal, parameter_kernels
from ntk_aug.ntk.infinite_width import infinite_width_kernels, stax_cnn, stax_mlp, width_convergence
from ntk_aug.ntk.neural_tangents.agreement import compare_with_neural_tangents
from ntk_aug.ntk.neural_tangents.bridge import load_neural_tangents
from ntk_aug.ntk.neural_tangents.kernels import neural_tangents_kernel
from ntk_aug.ntk.regression import kernel_regression
from ntk_aug.ntk.triples import KernelTriple, kernel_triples

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "empirical_kernel",
    "kernel_triples",
    "KernelTriple",
    "kernel_diagonal",
    "parameter_kernels",
    "kernel_regression",
    "linearized_predictions",
    "linearized_view",
    "infinite_width_kernels",
    "stax_mlp",
    "stax_cnn",
    "width_convergence",
    "neural_tangents_kernel",
    "compare_with_neural_tangents",
    "load_neural_tangents",
]
