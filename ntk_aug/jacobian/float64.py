"""A network in float64 throughout, even where its layers fix a lower precision.

Float64 parameters and inputs are not enough: `nn.Dense(10, dtype=jnp.float32)` rounds them back,
and the state of an LSTM stays float32. So the network is traced into JAX's primitive operations,
and these are evaluated in float64: conversions to a lower precision do nothing, and loops carry
float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from ntk_aug.aliases import ApplyFn
from ntk_aug.errors import PrecisionError
from ntk_aug.jacobian.sites import apply_operation, inside_wrapper, run_operation, shape_of

_SCATTERS = {
    "scatter": jax.lax.scatter,
    "scatter-add": jax.lax.scatter_add,
    "scatter-sub": jax.lax.scatter_sub,
    "scatter-mul": jax.lax.scatter_mul,
    "scatter-min": jax.lax.scatter_min,
    "scatter-max": jax.lax.scatter_max,
}
# Parameters of operations that name the type of the result.
_TYPE_PARAMETERS = ("new_dtype", "preferred_element_type", "dtype")


@dataclass(frozen=True)
class InFloat64:
    """A function with every floating-point operation in float64; two of one function are equal.

    Call it under `jax.enable_x64(True)` with floating-point arguments in float64. It raises
    PrecisionError if an operation has no known float64 version.

    Attributes:
      function: of pytrees of arrays, traceable by JAX. If it cannot be traced with float64
        arguments, it is traced with float32 ones, and its constants are rounded to float32.
    """

    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """The function's results, floating-point ones in float64."""
        leaves, treedef = jax.tree.flatten(arguments)
        closed, shape = _traced(self.function, leaves, treedef)
        results = _evaluate(closed.jaxpr, closed.consts, leaves)
        return jax.tree.unflatten(jax.tree.structure(shape), results)


def network_in(apply_fn: ApplyFn, dtype: str) -> ApplyFn:
    """The network itself for "float32"; the network in float64 throughout for "float64"."""
    return InFloat64(apply_fn) if dtype == "float64" else apply_fn


def _traced(function, leaves, treedef):
    """The program and the structure of its result, traced in float64 or else in float32."""

    def trace(dtype):
        shapes = [
            jax.ShapeDtypeStruct(leaf.shape, dtype if is_floating(leaf.dtype) else leaf.dtype)
            for leaf in leaves
        ]
        return jax.make_jaxpr(
            lambda *flat: function(*jax.tree.unflatten(treedef, flat)), return_shape=True
        )(*shapes)

    try:
        return trace(jnp.float64)
    except (TypeError, ValueError) as error:
        # Float32 arrays inside a network may not mix with float64 ones.
        try:
            with jax.enable_x64(False):
                return trace(jnp.float32)
        except (TypeError, ValueError):
            raise error from None  # it fails in any precision


def is_floating(dtype: Any) -> bool:
    """Whether the dtype is floating point, including bfloat16."""
    return jnp.issubdtype(dtype, jnp.floating)


def _is_lower(dtype):
    return is_floating(dtype) and dtype != jnp.float64


def _promoted(value):
    return jnp.asarray(value, jnp.float64) if _is_lower(value.dtype) else value


def _evaluate(jaxpr, constants, arguments):
    """The results of a program with all floating-point values in float64."""
    if not _is_lower_inside(jaxpr):
        return core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, constants))(*arguments)
    values: dict[Any, Any] = {}

    def read(variable):
        if isinstance(variable, core.Literal):
            return _promoted(jnp.asarray(variable.val, shape_of(variable).dtype))
        return values[variable]

    for variable, value in zip(
        [*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True
    ):
        values[variable] = _promoted(jnp.asarray(value))
    for equation in jaxpr.eqns:
        operands = [read(variable) for variable in equation.invars]
        results = _operation(equation, operands)
        for variable, result in zip(equation.outvars, results, strict=True):
            expected = shape_of(variable).dtype
            if _is_lower(result.dtype) or is_floating(result.dtype) != is_floating(expected):
                raise _unknown(equation)
            values[variable] = result
    return [read(variable) for variable in jaxpr.outvars]


def _operation(equation, operands):
    """The results of one operation in float64."""
    name, params = equation.primitive.name, equation.params
    if not _is_lower_operation(equation):
        variables = zip(equation.invars, operands, strict=True)
        return apply_operation(
            equation, [None if isinstance(v, core.Literal) else o for v, o in variables]
        )
    inside = inside_wrapper(equation)
    if inside is not None:
        return _evaluate(*inside, operands)
    if name == "reduce_precision":
        return operands[:1]
    if name == "convert_element_type" and is_floating(params["new_dtype"]):
        return [jnp.asarray(operands[0], jnp.float64)]
    if name == "custom_jvp_call":
        return _custom_jvp(equation)(*operands)
    if name.startswith("custom_vjp_call"):
        return _custom_vjp(equation)(*operands)
    if name in _CONTROL_FLOW:
        return _CONTROL_FLOW[name](equation, operands)
    if name in _SCATTERS:
        return [_scatter(name, params, operands)]
    # An unknown operation with programs inside, or the bits of a number.
    if any(_jaxprs_in(value) for value in params.values()) or name == "bitcast_convert_type":
        raise _unknown(equation)
    typed = {
        key: jnp.dtype(jnp.float64) if key in _TYPE_PARAMETERS and _is_lower_type(value) else value
        for key, value in params.items()
    }
    try:
        return _bound(equation, operands, typed)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise _unknown(equation) from error


def _bound(equation, operands, params):
    """The results of one operation on operands of any dtype, including its literals."""
    # Fresh variables: a literal is an operand here, and one variable may occur twice.
    fresh = jax.make_jaxpr(lambda *values: values)(*operands).jaxpr.invars
    return run_operation(equation.replace(invars=list(fresh), params=params), fresh, operands)


def _unknown(equation):
    return PrecisionError(
        f"the network's operation {equation.primitive.name} has no float64 version here"
    )


def _scatter(name, params, operands):
    names = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
    return _SCATTERS[name](*operands, **{key: params[key] for key in names})


# Custom derivatives are kept: the rule is traced in its own precision and evaluated in float64.


def _native(equation):
    """The operation in its own precision, as a function of its floating-point operands.

    Returns:
      From all operands to that function and the floating-point ones; the shapes of all operands;
      and the positions of the floating-point ones.
    """
    shapes = [_shape(variable) for variable in equation.invars]
    places = [i for i, shape in enumerate(shapes) if is_floating(shape.dtype)]

    def of_floats(operands):
        def function(*floats):
            return _bound(equation, _replaced(operands, places, floats), equation.params)

        return function, [operands[place] for place in places]

    return of_floats, shapes, places


def _replaced(values, places, new):
    found = list(values)
    for place, value in zip(places, new, strict=True):
        found[place] = value
    return found


def _shape(variable):
    return jax.ShapeDtypeStruct(shape_of(variable).shape, shape_of(variable).dtype)


def _body(equation):
    program = equation.params.get("call_jaxpr", equation.params.get("fun_jaxpr"))
    return lambda *operands: _evaluate(program.jaxpr, program.consts, operands)


def _custom_jvp(equation):
    of_floats, shapes, places = _native(equation)
    lifted = jax.custom_jvp(_body(equation))

    def both(operands, tangents):
        return jax.jvp(*of_floats(operands), tangents)

    def rule(primals, tangents):
        traced = jax.make_jaxpr(both)(shapes, [shapes[place] for place in places])
        own = [tangents[place] for place in places]
        results = _evaluate(traced.jaxpr, traced.consts, [*primals, *own])
        half = len(results) // 2
        return results[:half], results[half:]

    lifted.defjvp(rule)
    return lifted


def _custom_vjp(equation):
    of_floats, shapes, places = _native(equation)
    body = _body(equation)
    lifted = jax.custom_vjp(body)
    results = [_shape(variable) for variable in equation.outvars]

    def pull_back(operands, cotangents):
        function, floats = of_floats(operands)
        return jax.vjp(function, *floats)[1](cotangents)

    def backward(primals, cotangents):
        traced = jax.make_jaxpr(pull_back)(shapes, results)
        own = _evaluate(traced.jaxpr, traced.consts, [*primals, *cotangents])
        return tuple(_replaced([None] * len(primals), places, own))

    lifted.defvjp(lambda *operands: (body(*operands), operands), backward)
    return lifted


def _scan(equation, operands):
    params, program = equation.params, equation.params["jaxpr"]
    # Stacked values have one axis more outside than inside. (Names of counts vary with JAX.)
    num_stacked = _num_of_another_rank(equation.invars, program.jaxpr.invars)
    num_carry = len(equation.outvars)
    num_carry -= _num_of_another_rank(equation.outvars, program.jaxpr.outvars)
    num_constants = len(operands) - num_stacked - num_carry
    constants = operands[:num_constants]
    carry = operands[num_constants : num_constants + num_carry]

    def step(carry, values):
        results = _evaluate(program.jaxpr, program.consts, [*constants, *carry, *values])
        return results[:num_carry], results[num_carry:]

    options = {key: params[key] for key in ("length", "reverse", "unroll")}
    last, stacked = jax.lax.scan(step, carry, operands[num_constants + num_carry :], **options)
    return [*last, *stacked]


def _num_of_another_rank(variables, others):
    pairs = zip(variables, others, strict=True)
    return sum(shape_of(one).ndim != shape_of(other).ndim for one, other in pairs)


def _while(equation, operands):
    params = equation.params
    condition, body = params["cond_jaxpr"], params["body_jaxpr"]
    ends = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    of_condition, of_body, start = operands[: ends[0]], operands[slice(*ends)], operands[ends[1] :]
    return jax.lax.while_loop(
        lambda carry: _evaluate(condition.jaxpr, condition.consts, [*of_condition, *carry])[0],
        lambda carry: _evaluate(body.jaxpr, body.consts, [*of_body, *carry]),
        start,
    )


def _cond(equation, operands):
    index, *others = operands

    def branch(program):
        return lambda *values: _evaluate(program.jaxpr, program.consts, values)

    return jax.lax.switch(index, list(map(branch, equation.params["branches"])), *others)


_CONTROL_FLOW: dict[str, Callable[[core.JaxprEqn, Sequence[Any]], Sequence[Any]]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}


def _is_lower_type(value):
    try:
        return _is_lower(jnp.dtype(value))
    except TypeError:
        return False


def _jaxprs_in(value):
    """The programs in a parameter of an operation."""
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [jaxpr for item in value for jaxpr in _jaxprs_in(item)]
    return []


def _is_lower_inside(jaxpr):
    """Whether a program has a floating-point value below float64."""
    variables = [*jaxpr.constvars, *jaxpr.invars]
    return any(_is_lower(shape_of(v).dtype) for v in variables) or any(
        _is_lower_operation(equation) for equation in jaxpr.eqns
    )


def _is_lower_operation(equation):
    variables = [*equation.invars, *equation.outvars]
    return any(_is_lower(shape_of(v).dtype) for v in variables) or any(
        _is_lower_inside(jaxpr) for value in equation.params.values() for jaxpr in _jaxprs_in(value)
    )
