"""The Jacobian of a network's outputs with respect to its parameters."""

from ntk_aug.checks import check_mesh
from ntk_aug.jacobian.last_layer import LastLayer, LayerGradients
from ntk_aug.jacobian.masks import FlippedMasks, flipped_masks
from ntk_aug.jacobian.operator import JacobianOperator
from ntk_aug.jacobian.outputs import LABELLED_ROWS, ROWS, output_function
from ntk_aug.jacobian.reductions import projected_rows, row_norms
from ntk_aug.jacobian.routes import ROUTES, SlowRowsWarning
from ntk_aug.jacobian.row_factors import RowFactors
from ntk_aug.jacobian.rows import JacobianRows
from ntk_aug.jacobian.sharded import ShardedRows

__all__ = [
    "LABELLED_ROWS",
    "ROUTES",
    "ROWS",
    "FlippedMasks",
    "JacobianOperator",
    "JacobianRows",
    "LastLayer",
    "LayerGradients",
    "RowFactors",
    "ShardedRows",
    "SlowRowsWarning",
    "check_mesh",
    "flipped_masks",
    "output_function",
    "projected_rows",
    "row_norms",
]
