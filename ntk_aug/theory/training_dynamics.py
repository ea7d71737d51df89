"""Theorem B.1 on networks: gradient descent of the network and of its linearisation."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Float64, Inputs, Int, Progress
from ntk_aug.errors import InputError
from ntk_aug.inputs import cast_inputs, check_inputs, check_same_batch, example_shapes, num_examples
from ntk_aug.jacobian import JacobianRows
from ntk_aug.jacobian.float64 import network_in
from ntk_aug.models import ModelView, as_view
from ntk_aug.ntk import linearized_view
from ntk_aug.precision import derivative_precision
from ntk_aug.theory.arrays import ArrayLike, finite_array, number_in, times_of
from ntk_aug.theory.gradient_descent import deterministic_bounds, training_errors
from ntk_aug.theory.network_spectra import measure_shifts
from ntk_aug.theory.perturbation import nearest_gaps


class Dynamics(NamedTuple):
    """Training errors ||y - f(X_aug, W^t)|| per draw of the augmentation, and bounds of their mean.

    Attributes:
      times: step counts.
      formula: ||(I - eta K~)^t y||, the error of a network with constant kernel.
      linearized: error of the linearised network.
      network: error of the network itself.
      printed: right side of Eq. (45), with the measured shares as p_i and the largest ||E|| as e.
      bound_c: deterministic bound (c), which needs gaps.
      bound_d: deterministic bound (d), without gaps.
      eta: learning rate.
      e: the largest ||E||.
      gap0: the smallest gap of singular values of J.
    """

    times: Int[np.ndarray, " T"]
    formula: Float64[np.ndarray, "draws T"]
    linearized: Float64[np.ndarray, "draws T"]
    network: Float64[np.ndarray, "draws T"]
    printed: Float64[np.ndarray, " T"]
    bound_c: Float64[np.ndarray, " T"]
    bound_d: Float64[np.ndarray, " T"]
    eta: float
    e: float
    gap0: float

    @property
    def printed_ratios(self) -> Float64[np.ndarray, " T"]:
        """Mean error of the linearised network / printed bound; a value above 1 violates (45)."""
        return self.linearized.mean(axis=0) / np.maximum(self.printed, np.finfo(np.float64).tiny)

    @property
    def first_violation(self) -> int | None:
        """The first step count at which Eq. (45) is violated; None if there is none."""
        violated = np.flatnonzero(self.printed_ratios > 1 + 1e-9)
        return int(self.times[violated[0]]) if len(violated) else None


def network_dynamics(
    network: Any,
    inputs: Inputs,
    versions: Sequence[Inputs],
    targets: ArrayLike,
    *,
    times: ArrayLike,
    eta: float | None = None,
    progress: Progress | None = None,
) -> Dynamics:
    """Trains on augmented versions of the examples by full-batch gradient descent, in float64.

    The loss is the squared one and augmentation is in place. The network is centred,
    f(W, x) - f(W^0, x), because Theorem B.1 assumes an initial output of 0.

    Args:
      network: a `ModelView`, or what `models.as_view` takes; training starts at its weights.
      inputs: [n, ...], inputs of the network.
      versions: augmented inputs [n, ...], one batch per draw.
      targets: [n, C], y.
      times: [T], step counts, increasing.
      eta: learning rate, in (0, 1 / (sigma_1 + e)^2]; defaults to the largest.
      progress: called with ("gradient descent", runs done, total).

    Raises:
      InputError: there are no versions, the inputs or targets do not match, eta is outside its
        interval (which the message names), or J has more rows than parameters.
    """
    view, times = as_view(network), times_of(times)
    inputs = check_inputs(inputs)
    if not len(versions):
        raise InputError("there are no versions of the examples, expected at least 1")
    versions = [check_inputs(version, "augmented images") for version in versions]
    for version in versions:
        check_same_batch(version, inputs, "an augmented image")
    rows = JacobianRows(view, example_shapes(inputs), dtype="float64")
    n, C = num_examples(inputs), rows.outputs_per_example
    y = finite_array(targets, "targets", (n, C)).ravel()
    if n * C > rows.num_params:
        raise InputError(
            f"J has {n * C} rows and {rows.num_params} columns, expected no more rows than columns"
        )
    J, draws = rows(inputs), [rows(version) for version in versions]
    shifts = measure_shifts(J, draws)
    sigma, e = shifts.sigma, float(shifts.e.max())
    limit = 1 / (sigma[0] + e) ** 2
    eta = limit if eta is None else number_in(eta, "eta", 0, above=True)
    if eta > limit * (1 + 1e-12):
        raise InputError(f"eta is {eta:.6g}, expected in (0, {limit:.6g}]: 1 / (sigma_1 + e)^2")
    coefficients = np.linalg.eigh(J @ J.T)[1][:, ::-1].T @ y
    bounds = deterministic_bounds(sigma, coefficients, e, eta, times, n * C)
    p, gap0 = shifts.share_decreased, float(nearest_gaps(sigma, sigma).min())
    mean = sigma**2 + sigma * (1 - 2 * p) * e + e**2 / 3
    # Equal singular values make the printed slack infinite
    slack = 0.0 if e == 0 else np.inf if gap0 == 0 else 2 * n * np.sqrt(2) * e / gap0
    powers = np.abs(1 - eta * mean)[None] ** (2 * times[:, None])
    terms = powers * (coefficients**2 + (0.0 if np.isinf(slack) else slack))
    printed = np.full(len(times), np.inf) if np.isinf(slack) else np.sqrt(terms.sum(axis=1))
    trained = []
    runs = list(itertools.product((linearized_view(view), view), versions))
    for number, (one, version) in enumerate(runs):
        trained.append(gradient_descent_errors(one, version, y.reshape(n, C), eta, times))
        if progress is not None:
            progress("gradient descent", number + 1, len(runs))
    formula = np.stack([training_errors(draw, y, eta, times) for draw in draws])
    linearized, real = np.stack(trained).reshape(2, *formula.shape)
    c, d = bounds["c"], bounds["d"]
    return Dynamics(times, formula, linearized, real, printed, c, d, eta, e, gap0)


def gradient_descent_errors(
    view: ModelView, inputs: Inputs, targets: ArrayLike, eta: float, times: ArrayLike
) -> Float64[np.ndarray, " T"]:
    """Computes ||y - f(X, W^t) + f(X, W^0)|| during full-batch gradient descent, in float64.

    The loss is the sum of squared errors / 2. Raises InputError if the targets y do not match or an
    error is not finite.
    """
    times = times_of(times)
    with derivative_precision("float64"):
        apply_fn = network_in(view.apply_fn, "float64")
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), view.params)
        batch = jax.tree.map(jnp.asarray, cast_inputs(inputs, "float64"))
        start = apply_fn(params, batch)
        y = jnp.asarray(finite_array(targets, "targets", start.shape))

        def loss(params):
            residuals = apply_fn(params, batch) - start - y
            return jnp.sum(residuals**2) / 2

        @jax.jit
        def step(params):
            value, gradient = jax.value_and_grad(loss)(params)
            return jax.tree.map(lambda w, g: w - eta * g, params, gradient), value

        errors = []
        for t in range(times[-1] + 1):
            params, value = step(params)
            if t in times:
                errors.append(np.sqrt(2 * float(value)))
    return finite_array(errors, "errors of gradient descent", (len(times),))
