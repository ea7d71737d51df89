"""The Jacobian of a network's outputs with respect to its parameters."""

from ntk_aug.jacobian.layerwise import ROUTES
from ntk_aug.jacobian.outputs import ROWS, output_function
from ntk_aug.jacobian.rows import JacobianRows, RowFactors

__all__ = ["ROUTES", "ROWS", "JacobianRows", "RowFactors", "output_function"]
