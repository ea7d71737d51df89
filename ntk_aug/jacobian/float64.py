"""A network in float64 throughout, whatever precision its layers fix for themselves.

Parameters and inputs in float64 are not enough: `nn.Dense(10, dtype=jnp.float32)` rounds them back,
and the float32 state of an LSTM does not go with them. So the network is traced into JAX's list of
primitive operations, and these are evaluated with every floating-point number in float64: a
conversion to a lower precision does nothing, and loops carry float64. Operations that are in
float64 already stay as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from ntk_aug.aliases import ApplyFn
from ntk_aug.errors import PrecisionError
from ntk_aug.jacobian.sites import apply_operation, inside_wrapper, shape_of

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

    It is called under `jax.enable_x64(True)` with floating-point arguments in float64, and raises
    PrecisionError where an operation has no float64 version that is known here.

    Attributes:
      function: of pytrees of arrays, traceable by JAX. Where it cannot be traced with float64
        arguments, it is traced with float32 ones, so that its constants are rounded to float32.
    """

    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """The function's results, floating-point ones in float64."""
        leaves, treedef = jax.tree.flatten(arguments)
        closed, shape = _traced(self.function, leaves, treedef)
        results = _evaluate(closed.jaxpr, closed.consts, leaves)
        return jax.tree.unflatten(jax.tree.structure(shape), results)


def network_in(apply_fn: ApplyFn, dtype: str) -> ApplyFn:
    """The network as it is for "float32"; in float64 throughout, its own precisions included."""
    return InFloat64(apply_fn) if dtype == "float64" else apply_fn


def _traced(function, leaves, treedef):
    """The program and the result's structure, traced in float64 or, where that fails, float32."""

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
        # A network may fail in float64 alone: its own float32 arrays do not go with it.
        try:
            with jax.enable_x64(False):
                return trace(jnp.float32)
        except (TypeError, ValueError):
            raise error from None  # it fails in any precision


def is_floating(dtype: Any) -> bool:
    """Whether it is a floating-point type, bfloat16 included."""
    return jnp.issubdtype(dtype, jnp.floating)


def _is_lower(dtype):
    return is_floating(dtype) and dtype != jnp.float64


def _promoted(value):
    return jnp.asarray(value, jnp.float64) if _is_lower(value.dtype) else value


def _evaluate(jaxpr, constants, arguments):
    """The results of a program, all of its floating-point values in float64."""
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
    # A program of an operation that is not known here; the bits of a number in another precision.
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
    """The results of one operation on operands of any type, its literals among them."""
    # Variables of their own, since a literal is an operand here and one variable may stand twice.
    fresh = jax.make_jaxpr(lambda *values: values)(*operands).jaxpr.invars
    renamed = equation.replace(invars=list(fresh), params=params)
    program = _EMPTY_PROGRAM.replace(
        invars=list(fresh), outvars=equation.outvars, eqns=[renamed], effects=equation.effects
    )
    return core.jaxpr_as_fun(core.ClosedJaxpr(program, ()))(*operands)


def _unknown(equation):
    return PrecisionError(
        f"the network's operation {equation.primitive.name} has no float64 version here, so the "
        "network cannot be computed in float64"
    )


def _scatter(name, params, operands):
    options = {
        key: params[key]
        for key in ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
    }
    return _SCATTERS[name](*operands, **options)


# Functions with a derivative of their own keep it: the rule is traced in its own precision, and
# the traced rule is evaluated in float64.


def _native(equation):
    """The operation as a function of its operands, in its own precision, and their shapes."""
    shapes = [_shape(variable) for variable in equation.invars]
    return lambda *operands: _bound(equation, operands, equation.params), shapes


def _shape(variable):
    return jax.ShapeDtypeStruct(shape_of(variable).shape, shape_of(variable).dtype)


def _body(equation):
    program = equation.params.get("call_jaxpr", equation.params.get("fun_jaxpr"))
    return lambda *operands: _evaluate(program.jaxpr, program.consts, operands)


def _of_floats(function, shapes):
    """The function of its floating-point operands alone, for given values of the others."""
    places = [i for i, shape in enumerate(shapes) if is_floating(shape.dtype)]

    def of_floats(operands):
        def inner(*floats):
            merged = list(operands)
            for place, value in zip(places, floats, strict=True):
                merged[place] = value
            return function(*merged)

        return inner, [operands[place] for place in places]

    return of_floats, places


def _custom_jvp(equation):
    native, shapes = _native(equation)
    of_floats, places = _of_floats(native, shapes)
    lifted = jax.custom_jvp(_body(equation))

    def rule(primals, tangents):
        def both(operands, own_tangents):
            inner, floats = of_floats(operands)
            return jax.jvp(inner, floats, own_tangents)

        own_shapes = [shapes[place] for place in places]
        traced = jax.make_jaxpr(both)(shapes, own_shapes)
        own = [tangents[place] for place in places]
        results = _evaluate(traced.jaxpr, traced.consts, [*primals, *own])
        half = len(results) // 2
        return results[:half], results[half:]

    lifted.defjvp(rule)
    return lifted


def _custom_vjp(equation):
    native, shapes = _native(equation)
    of_floats, places = _of_floats(native, shapes)
    body = _body(equation)
    lifted = jax.custom_vjp(body)
    results = [_shape(variable) for variable in equation.outvars]

    def backward(primals, cotangents):
        def pull_back(operands, own_cotangents):
            inner, floats = of_floats(operands)
            return jax.vjp(inner, *floats)[1](own_cotangents)

        traced = jax.make_jaxpr(pull_back)(shapes, results)
        own = _evaluate(traced.jaxpr, traced.consts, [*primals, *cotangents])
        found: list[Any] = [None] * len(primals)
        for place, value in zip(places, own, strict=True):
            found[place] = value
        return tuple(found)

    lifted.defvjp(lambda *operands: (body(*operands), operands), backward)
    return lifted


def _scan(equation, operands):
    params, program = equation.params, equation.params["jaxpr"]
    # What is stacked has one axis more outside than inside; how their numbers are called changes
    # with the release of JAX.
    num_stacked = _num_of_another_rank(equation.invars, program.jaxpr.invars)
    num_carry = len(equation.outvars)
    num_carry -= _num_of_another_rank(equation.outvars, program.jaxpr.outvars)
    num_constants = len(operands) - num_stacked - num_carry
    constants = operands[:num_constants]
    carry = operands[num_constants : num_constants + num_carry]

    def step(carry, values):
        results = _evaluate(program.jaxpr, program.consts, [*constants, *carry, *values])
        return results[:num_carry], results[num_carry:]

    last, stacked = jax.lax.scan(
        step,
        carry,
        operands[num_constants + num_carry :],
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
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

    return jax.lax.switch(
        index, [branch(program) for program in equation.params["branches"]], *others
    )


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


_EMPTY_PROGRAM = jax.make_jaxpr(lambda: ())().jaxpr
