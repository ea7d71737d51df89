"""The Jacobian of a network's outputs with respect to its parameters."""

from ntk_aug.jacobian.last_layer import LastLayer
from ntk_aug.jacobian.masks import flipped_masks
from ntk_aug.jacobian.operator import JacobianOperator
from ntk_aug.jacobian.outputs import ROWS
from ntk_aug.jacobian.reductions import projected_rows, row_norms
from ntk_aug.jacobian.rows import JacobianRows

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "JacobianRows",
    "JacobianOperator",
    "ROWS",
    "row_norms",
    "projected_rows",
    "LastLayer",
    "flipped_masks",
]
