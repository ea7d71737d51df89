"""Masks that flip within rounding: units where float32 and float64 choose differently.

The derivative of a ReLU, a maximum or a clip jumps where two values are equal. Within rounding of
that point, two correct computations of a row of J differ by a whole term.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from ntk_aug.aliases import Inputs, Int
from ntk_aug.checks import check_params
from ntk_aug.errors import InputError
from ntk_aug.inputs import cast_inputs, check_inputs, num_examples, take_examples
from ntk_aug.jacobian.float64 import network_in
from ntk_aug.jacobian.outputs import one_example
from ntk_aug.jacobian.sites import apply_operation, shape_of, visit_operations
from ntk_aug.models import as_view
from ntk_aug.precision import DTYPES, derivative_precision

_COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne", "argmax", "argmin")
# Operations that choose one of their operands, and operations that choose one of many entries.
_ELEMENTWISE = ("max", "min", "clamp", "abs")
_REDUCTIONS = ("reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min")
_CUMULATIVE = ("cummax", "cummin")
# Images at once; one number is held for each unit of each image.
_BLOCK = 16


class FlippedMasks(NamedTuple):
    """How many units of each image choose differently in float32 and in float64.

    Attributes:
      flipped: [n], the number of such units.
      units: all units of one image.
    """

    flipped: Int[np.ndarray, " n"]
    units: int


class MaskCounter:
    """Counts flipped masks of one network for any inputs, with programs compiled once."""

    def __init__(self, network: Any):
        """Takes the network as `flipped_masks` does; nothing is compiled before the first call."""
        apply_fn, self._params, _ = as_view(network)
        check_params(self._params)
        self._choices = {dtype: _choices_program(network_in(apply_fn, dtype)) for dtype in DTYPES}

    def __call__(self, images: Inputs) -> FlippedMasks:
        """The flipped masks of each image; arguments and errors as `flipped_masks`."""
        images = check_inputs(images)
        n = num_examples(images)
        size = min(_BLOCK, n)
        flipped = np.zeros(n, int)
        for first in range(0, n, size):
            # The block is padded with its last image, so that one program serves all.
            members = np.minimum(np.arange(first, first + size), n - 1)
            inputs = take_examples(images, members)
            single, double = (self._choices_of(inputs, dtype) for dtype in DTYPES)
            if [choice.shape for choice in single] != [choice.shape for choice in double]:
                raise InputError("the network compares other values in float64 than in float32")
            for one, other in zip(single, double, strict=True):
                flipped[members] += (one != other).reshape(size, -1).sum(axis=1)
        return FlippedMasks(flipped, sum(choice[0].size for choice in single))

    def _choices_of(self, inputs, dtype):
        with derivative_precision(dtype):
            params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), self._params)
            found = self._choices[dtype](params, cast_inputs(inputs, dtype))
            return [np.asarray(choice) for choice in found]


def flipped_masks(network: Any, images: Inputs) -> FlippedMasks:
    """Counts the units that choose differently in float32 and in float64, for each image.

    A unit is one result of a comparison, maximum, minimum, clip, absolute value, or maximum over
    axes or pooling windows, of floating-point values that depend on the image. It chooses the
    operand that the derivative goes to; a tie is a choice of its own. A choice that does not change
    the derivative (ELU at zero) counts too. Loops are not inspected. A program that rounds in
    another order may flip other units within rounding. Network and images are as `JacobianOperator`
    takes them.

    Raises:
      InputError: bad parameters or images, or a network that compares other values in float64 than
        in float32.
      PrecisionError: an operation cannot be computed in float64.
    """
    return MaskCounter(network)(images)


def _choices_program(apply_fn):
    """A compiled program (params, images) -> the choice of each unit, arrays [n, ...]."""

    def choices(params, image):
        found = []

        def visit(equation, operands):
            if _is_choice(equation):
                found.append(_choice(equation, operands))

        visit_operations(lambda p, x: apply_fn(p, one_example(x)), params, image, visit)
        return found

    return jax.jit(jax.vmap(choices, (None, 0)))


def _is_choice(equation: core.JaxprEqn) -> bool:
    known = (*_COMPARISONS, *_ELEMENTWISE, *_REDUCTIONS, *_CUMULATIVE)
    floating = jnp.issubdtype(shape_of(equation.invars[0]).dtype, jnp.floating)
    return floating and equation.primitive.name in known


def _choice(equation, operands):
    """A number for each result of an operation, which differs if the choice does."""
    name = equation.primitive.name
    if name in _COMPARISONS:
        return apply_operation(equation, operands)[0]
    values = [jnp.asarray(operand) for operand in operands]
    # The derivative along distinct numbers is the chosen candidate's number. Numbers are small, so
    # that the mean over a tie rounds to float32 in one way only.
    if name in _ELEMENTWISE:
        variables = [not isinstance(variable, core.Literal) for variable in equation.invars]
        marked = 1 if name == "clamp" else variables.index(True)
        numbers = [jnp.full_like(v, i == marked) for i, v in enumerate(values)]
    else:
        numbers = [(jnp.arange(v.size) % 1021).astype(v.dtype).reshape(v.shape) for v in values]
    _, chosen = jax.jvp(lambda *v: apply_operation(equation, v)[0], values, numbers)
    return chosen.astype(jnp.float32)
