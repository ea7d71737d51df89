"""The statements on any network and its coreset, from exact Jacobians.

Jacobians come from the kernel engine in float64. Lipschitz constants are certified if the view has
them (tanh MLPs). Otherwise they are the steepest slopes between the given pairs of inputs: these
are not certified, but the bounds hold, because each uses them at these pairs only.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Float64, Inputs
from ntk_aug.checks import check_choice
from ntk_aug.errors import InputError
from ntk_aug.inputs import cast_inputs, check_inputs, check_same_batch, example_shapes, num_examples
from ntk_aug.jacobian import JacobianRows
from ntk_aug.jacobian.float64 import network_in
from ntk_aug.losses import check_targets, loss_residuals
from ntk_aug.models import ModelView, as_view
from ntk_aug.precision import derivative_precision
from ntk_aug.spectrum.augmented_versions import distances
from ntk_aug.theory.arrays import (
    ArrayLike,
    finite_array,
    row_norms,
    steepest_slope,
    weighted_subset,
)
from ntk_aug.theory.equation_44 import equation_44
from ntk_aug.theory.lemma_5_1 import AugmentedExamples, lemma_5_1, lemma_5_1_gradients
from ntk_aug.theory.lemma_b_3 import lemma_b_3
from ntk_aug.theory.perturbation import fact_1, fact_2, fact_3
from ntk_aug.theory.sides import Sides
from ntk_aug.theory.smooth_network import TanhMLP

MEMORY_BYTES = 8 * 2**30
"""Limit on the memory of both Jacobians of a measured network together."""


class MeasuredNetwork(NamedTuple):
    """A network on n examples and on an augmented version of each.

    Attributes:
      J: Jacobians by example.
      J_augmented: Jacobians of the augmented versions.
      residuals: residuals of the loss on the plain examples.
      residuals_augmented: residuals on the augmented versions.
      distances: ||x~_i - x_i|| of the network's inputs.
      radius: the largest norm of an input, plain or augmented.
      jacobian_lipschitz: LJ.
      output_lipschitz: Lf.
      certified: whether LJ and Lf hold for all inputs within the radius, not only for these pairs.
    """

    J: Float64[np.ndarray, "n C P"]
    J_augmented: Float64[np.ndarray, "n C P"]
    residuals: Float64[np.ndarray, "n C"]
    residuals_augmented: Float64[np.ndarray, "n C"]
    distances: Float64[np.ndarray, " n"]
    radius: float
    jacobian_lipschitz: float
    output_lipschitz: float
    certified: bool

    @property
    def gradients(self) -> Float64[np.ndarray, "n P"]:
        """g_i = J_i' r_i."""
        return np.einsum("icp,ic->ip", self.J, self.residuals)


def measure_network(
    network: Any, inputs: Inputs, augmented: Inputs, targets: Any, *, loss: str = "cross-entropy"
) -> MeasuredNetwork:
    """Measures a network on examples and on an augmented version of each, in float64.

    Args:
      network: a `ModelView`, or what `models.as_view` takes.
      inputs: [n, ...], inputs of the network.
      augmented: [n, ...], augmented inputs.
      targets: labels [n], or soft labels [n, C].
      loss: a key of `losses.LOSSES`.

    Raises:
      InputError: the inputs do not fit the network or each other, the targets are out of range, or
        the Jacobians do not fit in memory.
    """
    view = as_view(network)
    inputs, augmented = check_inputs(inputs), check_inputs(augmented, "augmented images")
    check_same_batch(augmented, inputs, "an augmented image")
    rows = JacobianRows(view, example_shapes(inputs), dtype="float64")
    n, C = num_examples(inputs), rows.outputs_per_example
    check_memory(n, C, rows.num_params)
    targets = check_targets(targets, n, C, loss)
    J, J_aug = (rows(batch).reshape(n, C, -1) for batch in (inputs, augmented))
    outputs, outputs_aug = (network_outputs(view, batch) for batch in (inputs, augmented))
    residuals, residuals_aug = (_residuals(f, targets, loss) for f in (outputs, outputs_aug))
    exact, exact_aug = (cast_inputs(batch, "float64") for batch in (inputs, augmented))
    moved = distances(exact_aug, exact)
    radius = float(max(distances(exact).max(), distances(exact_aug).max()))
    if view.jacobian_lipschitz is not None:
        LJ = view.jacobian_lipschitz(radius)
        Lf, certified = TanhMLP.from_params(view.params).output_lipschitz, True
    else:
        LJ = steepest_slope(row_norms(J_aug - J), moved)
        Lf = steepest_slope(np.linalg.norm(outputs_aug - outputs, axis=1), moved)
        certified = False
    return MeasuredNetwork(J, J_aug, residuals, residuals_aug, moved, radius, LJ, Lf, certified)


def check_memory(n: int, C: int, P: int) -> None:
    """Raises InputError if two Jacobians [n C, P] in float64 take more than `MEMORY_BYTES`."""
    needed = 2 * n * C * P * 8
    if needed > MEMORY_BYTES:
        raise InputError(
            f"both Jacobians of {n} examples take {needed / 2**30:.1f} GiB, expected at most "
            f"{MEMORY_BYTES / 2**30:.0f}: take fewer examples"
        )


def network_outputs(view: ModelView, inputs: Inputs) -> Float64[np.ndarray, "n C"]:
    """f(W, x_i) in float64."""
    with derivative_precision("float64"):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), view.params)
        outputs = network_in(view.apply_fn, "float64")(params, cast_inputs(inputs, "float64"))
        return finite_array(outputs, "the network's outputs", (None, None))


NETWORK_STATEMENTS = ("F1", "F2", "F3", "5.1 (a)", "5.1 (b)", "A.5", "B.3")
"""Statements that `network_sides` can evaluate; A.5 and B.3 use clean examples only."""


def network_sides(
    measured: MeasuredNetwork,
    subset: ArrayLike,
    gamma: ArrayLike,
    *,
    only: Collection[str] = NETWORK_STATEMENTS,
) -> dict[str, Sides]:
    """Evaluates F1 to F3, both forms of Lemma 5.1, Eq. (44) and B.3 on a measured network.

    Args:
      measured: the measured network.
      subset: [k], indices of a coreset.
      gamma: [k], weights of the coreset; Eq. (44) defines its own weights.
      only: keys of `NETWORK_STATEMENTS` to evaluate.

    Raises:
      InputError: an index is out of range or repeated, a weight is negative, or a statement is
        unknown.
    """
    chosen = weighted_subset(subset, gamma, len(measured.J))
    n, C, P = measured.J.shape
    J = measured.J.reshape(-1, P)
    E = measured.J_augmented.reshape(-1, P) - J
    if 2 * len(J) < P and {"F1", "F2", "F3"} & set(only):
        # In an orthonormal basis of their rows both are narrow, with the same singular values and
        # angles: one QR decomposition replaces seven wide singular value decompositions.
        narrow = np.asarray(np.linalg.qr(np.concatenate([J, E]).T, mode="r")).T
        J, E = narrow[: len(J)], narrow[len(J) :]
    eps0 = float(measured.distances.max())
    LJ: dict[str, Any] = {"jacobian_lipschitz": measured.jacobian_lipschitz}
    both = LJ | {"output_lipschitz": measured.output_lipschitz}
    clean, coreset = (measured.J, measured.residuals), (chosen.indices, chosen.gamma)
    J_aug = measured.J_augmented
    augmented = AugmentedExamples(J_aug, measured.residuals_augmented)
    sides: dict[str, Callable[[], Sides]] = {
        "F1": lambda: fact_1(J, E),
        "F2": lambda: fact_2(E.reshape(n, C, -1), measured.distances, **both),
        "F3": lambda: fact_3(J, E),
        "5.1 (a)": lambda: lemma_5_1(*clean, J_aug, *coreset, eps0=eps0, **LJ),
        "5.1 (b)": lambda: lemma_5_1_gradients(*clean, augmented, *coreset, eps0=eps0, **both),
        "A.5": lambda: equation_44(measured.gradients, chosen.indices),
        "B.3": lambda: lemma_b_3(*clean, *coreset),
    }
    return {check_choice(name, sides, "statement on networks"): sides[name]() for name in only}


def _residuals(outputs, targets, loss):
    with jax.enable_x64(True):
        return np.asarray(loss_residuals(loss)(jnp.asarray(outputs), targets))
