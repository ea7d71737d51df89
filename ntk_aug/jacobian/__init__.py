"""The Jacobian of a network's outputs with respect to its parameters."""

from ntk_aug.jacobian.outputs import ROWS, output_function
from ntk_aug.jacobian.rows import JacobianRows

__all__ = ["ROWS", "JacobianRows", "output_function"]
