"""How the outputs of a linearised network change during training, from its kernel alone.

A network that is linear in its parameters, trained by gradient descent on a loss L of its outputs f
[n, C], satisfies in continuous time
    df/dt = -eta K dL/df,    df*/dt = -eta K* dL/df,
with K on the training set and K* between other examples and it. Time t counts steps of learning
rate eta. The solution is the limit of small steps: eta times the largest eigenvalue of K d^2L/df^2
should be far below 1; from 2 on, steps diverge but the solution does not.

neural_tangents solves the equations, in float64.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Int
from ntk_aug.checks import check_choice, check_same_shape
from ntk_aug.errors import InputError
from ntk_aug.losses import per_example_loss
from ntk_aug.models import ModelView, as_view
from ntk_aug.ntk.neural_tangents.bridge import load_neural_tangents
from ntk_aug.ntk.output_kernels import finite_values, in_axes, kernel_form, targets_of_outputs
from ntk_aug.precision import derivative_precision

DYNAMICS_LOSSES = {
    "squared": "the mean over examples of ||f - y||^2 / (2 C); closed form",
    "cross-entropy": "the mean over examples of -sum_c y_c log softmax(f)_c; an ODE solver",
}

LossFn = Callable[[Float[Array, "n C"], Float[Array, "n C"]], Float[Array, ""]]
_LOSSES: dict[str, LossFn] = {
    "squared": lambda f, y: jnp.mean((f - y) ** 2) / 2,
    "cross-entropy": lambda f, y: jnp.mean(per_example_loss("cross-entropy")(f, y)),
}


class LinearizedPredictions(NamedTuple):
    """Outputs during training of a network linearised at its start.

    Attributes:
      times: in steps of gradient descent.
      train: outputs on the training set.
      test: outputs on the other examples; None if there are none.
      train_loss: loss on the training set.
    """

    times: Float64[np.ndarray, " T"]
    train: Float64[np.ndarray, "T n C"]
    test: Float64[np.ndarray, "T m C"] | None
    train_loss: Float64[np.ndarray, " T"]


def linearized_predictions(
    kernel: Float[Array, "N N"],
    targets: Float[Array, "n C"] | Int[Array, " n"],
    outputs: Float[Array, "n C"],
    times: Sequence[float] | Float[Array, " T"],
    *,
    learning_rate: float,
    test_kernel: Float[Array, "M N"] | None = None,
    test_outputs: Float[Array, "m C"] | None = None,
    traced: bool | None = None,
    loss: str | LossFn = "squared",
    momentum: float = 0.0,
) -> LinearizedPredictions:
    """Outputs at the given times of full-batch gradient descent with small steps.

    The mean squared error without momentum has a closed form in the eigenvectors of K, exact to
    about 1e-13. Otherwise an ODE is solved by Runge-Kutta steps of tolerance 1.4e-8, whose errors
    add up: relative to the largest output, 2e-8 was measured without momentum, 2e-7 for mu = 0.9,
    and 2e-6 for mu = 0.99. Momentum mu is heavy-ball, v <- mu v - eta grad L, W <- W + v, in its
    limit for small eta and 1 - mu: in s = sqrt(eta) t,  f'' = -(1 - mu) / sqrt(eta) f' - K dL/df.

    Args:
      kernel: K(X, X) of the training set: [n * C, n * C] with rows i * C + c, or [n, n] if it acts
        on each output alike.
      targets: [n, C], or labels [n], which become one-hot.
      outputs: at time 0 on the training set.
      times: finite, increasing, not negative; in steps.
      learning_rate: eta.
      test_kernel: K(X*, X), [m * C, n * C] or [m, n], in the form of `kernel`.
      test_outputs: at time 0 on the examples X*.
      traced: needed for [n, n] if C > 1. True: a sum over outputs, as `empirical_kernel(...,
        traced=True)` gives; its mean is used, an approximation at finite width. False: the kernel
        of one output, as `infinite_width_kernels` gives.
      loss: a key of `DYNAMICS_LOSSES`; or a function (outputs, targets) -> number, whose scale is
        that of the learning rate.
      momentum: mu.

    Raises:
      InputError: shapes that do not fit together, values that are not finite, a kernel that is not
        symmetric, times that do not increase, an unknown loss, or predictions that are not finite.

    Reference:
      Lee, Xiao, Schoenholz, Bahri, Novak, Sohl-Dickstein, Pennington: Wide Neural Networks of Any
      Depth Evolve as Linear Models Under Gradient Descent, 2019.
    """
    loss_fn = loss if callable(loss) else _LOSSES[check_choice(loss, _LOSSES, "loss")]
    if not 0 < learning_rate < np.inf:
        raise InputError(f"learning_rate is {learning_rate}, expected a positive number")
    if not 0 <= momentum < 1:
        raise InputError(f"momentum is {momentum}, expected 0 to below 1")
    times = np.asarray(times, np.float64)
    if not (times.size and times[0] >= 0 and (np.diff(times) > 0).all() and times[-1] < np.inf):
        raise InputError(f"times are {times.tolist()}, expected finite, increasing ones from 0 on")
    outputs = finite_values(outputs, "outputs")
    n, C = outputs.shape
    y = targets_of_outputs(targets, n, C)
    kernel = finite_values(kernel, "kernel")
    k, divisor = kernel_form(kernel, n, C, traced)
    alike = k < C
    kernel = in_axes(kernel / divisor, k, alike)
    if (test_kernel is None) != (test_outputs is None):
        raise InputError("a test set needs both test_kernel and test_outputs")
    if test_outputs is not None and test_kernel is not None:
        test_outputs = finite_values(test_outputs, "test_outputs")
        m = len(test_outputs)
        check_same_shape(test_outputs.shape, (m, C), "test_outputs")
        check_same_shape(np.shape(test_kernel), (m * k, n * k), "test_kernel")
        test_kernel = in_axes(finite_values(test_kernel, "test_kernel") / divisor, k, alike)
    with derivative_precision("float64"):
        predict = load_neural_tangents().predict
        options = {"learning_rate": learning_rate, "trace_axes": (-1,) if alike else ()}
        if loss == "squared" and momentum == 0:
            solution = predict.gradient_descent_mse(jnp.asarray(kernel), jnp.asarray(y), **options)
        else:
            solution = predict.gradient_descent(
                loss_fn, jnp.asarray(kernel), jnp.asarray(y), momentum=momentum or None, **options
            )
        given = (times, outputs, test_outputs, test_kernel)
        found = solution(*(x if x is None else jnp.asarray(x) for x in given))
        train, test = (found, None) if test_outputs is None else found
        losses = jax.vmap(lambda f: loss_fn(f, y))(train)
        train, losses = finite_values(train, "predictions"), np.asarray(losses)
    return LinearizedPredictions(times, train, None if test is None else np.asarray(test), losses)


def linearized_view(view: Any) -> ModelView:
    """The network that is linear in its parameters: f(W0, x) + J(W0, x) (W - W0).

    At its initial parameters, those of the view, it has the view's outputs and kernel. The kernel
    stays constant during training. The view may be anything that `models.as_view` takes.
    """
    view = as_view(view)

    def apply_fn(params, images):
        # A float64 Jacobian needs the start in float64 too.
        start = jax.tree.map(lambda leaf, own: jnp.asarray(own, leaf.dtype), params, view.params)
        change = jax.tree.map(jnp.subtract, params, start)
        outputs, moved = jax.jvp(lambda p: view.apply_fn(p, images), (start,), (change,))
        return outputs + moved

    return ModelView(apply_fn, view.params)
