"""Sites: the operations of a traced network at which parameters meet the example.

A network's function of one image is traced into JAX's primitive operations. A value depends on
parameters alone (a kernel, a BatchNorm factor scale / sqrt(var + eps)), on the example, or on
neither. A *site* joins the first kind with the second: the product of a dense layer, a convolution,
the addition of a bias. All of the Jacobian passes through the sites, so rows need derivatives by
the sites' outputs only, and these are ordinary backward passes over a batch. It does not matter
whether the network is written in Linen, in NNX, or as a plain function.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

# Operations that only wrap others.
_WRAPPERS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2")
# Operations that keep the entries of their operand.
_CONVERSION = "convert_element_type"
_REARRANGING = ("transpose", _CONVERSION)
# Wrappers with a custom derivative, which is lost inside: only values may be read there.
_OWN_DERIVATIVE = ("custom_jvp_call", "custom_vjp_call")


class Value(NamedTuple):
    """A value while a network is interpreted.

    Attributes:
      value: an array, or None if it was not computed.
      leaves: the parameters that it depends on without an example; empty otherwise.
      example: whether it depends on the example.
      unchanged: whether it is a parameter itself, perhaps in another precision.
      rearranged: whether it is a parameter, perhaps transposed or in another precision.
    """

    value: Any
    leaves: frozenset[int] = frozenset()
    example: bool = False
    unchanged: bool = False
    rearranged: bool = False


class Site(NamedTuple):
    """An operation that joins parameters with values that depend on the example.

    Attributes:
      equation: of the traced network.
      positions: of its operands that depend on parameters alone.
      leaves, unchanged, rearranged: those of each such operand's `Value`.
    """

    equation: core.JaxprEqn
    positions: tuple[int, ...]
    leaves: tuple[frozenset[int], ...]
    unchanged: tuple[bool, ...]
    rearranged: tuple[bool, ...]


class SiteTrace:
    """A function of parameters and one example, with its sites.

    Attributes:
      sites: in the order of computation.
    """

    def __init__(
        self, function: Callable[..., jax.Array], leaves: Sequence[Any], example: Sequence[Any]
    ):
        """Traces function(leaves, *example) -> an array; arguments are arrays or their shapes."""
        closed = jax.make_jaxpr(function)(list(leaves), *example)
        self._jaxpr, self._constants = closed.jaxpr, closed.consts
        self.sites: list[Site] = []
        jax.eval_shape(lambda values: self.parameters_at_sites(values, self.sites), list(leaves))

    def _inputs(self, leaves, example):
        parameters = [
            Value(leaf, frozenset([i]), unchanged=True, rearranged=True)
            for i, leaf in enumerate(leaves)
        ]
        missing = [None] * (len(self._jaxpr.invars) - len(leaves))
        rest = missing if example is None else jax.tree.leaves(list(example))
        return [*parameters, *(Value(value, example=True) for value in rest)]

    def parameters_at_sites(
        self, leaves: Sequence[jax.Array], sites: list[Site] | None = None
    ) -> list[list[jax.Array]]:
        """For each site, the operands that depend on parameters alone; appends to `sites`."""
        found = []

        def at_site(equation, operands):
            positions = tuple(i for i, operand in enumerate(operands) if operand.leaves)
            own = [operands[i] for i in positions]
            if sites is not None:
                kinds = ("leaves", "unchanged", "rearranged")
                fields = (tuple(getattr(operand, kind) for operand in own) for kind in kinds)
                sites.append(Site(equation, positions, *fields))
            found.append([operand.value for operand in own])
            return [None] * len(equation.outvars)

        _interpret(self._jaxpr, self._constants, self._inputs(leaves, None), at_site)
        return found

    def forward(
        self,
        leaves: Sequence[jax.Array],
        example: Sequence[Any],
        perturbations: Sequence[Sequence[jax.Array | None]],
    ) -> tuple[jax.Array, list[list[Any]]]:
        """The function with perturbations added to the results of each site (None adds nothing).

        Returns:
          Its value, and the operands of each site.
        """
        operands_of_sites = []
        remaining = iter(perturbations)

        def at_site(equation, operands):
            values = [operand.value for operand in operands]
            operands_of_sites.append(values)
            results = apply_operation(equation, values)
            return [
                r if p is None else r + p for r, p in zip(results, next(remaining), strict=True)
            ]

        inputs = self._inputs(leaves, example)
        (output,) = _interpret(self._jaxpr, self._constants, inputs, at_site)
        return output.value, operands_of_sites

    @property
    def num_outputs(self) -> int:
        """The number of entries of all sites' results, for one example."""
        return sum(shape_of(v).size for site in self.sites for v in site.equation.outvars)

    def zero_perturbations(self) -> list[list[jax.Array | None]]:
        """Zeros for `forward`; None for results without a derivative."""
        return [
            [
                jnp.zeros(shape_of(v).shape, shape_of(v).dtype) if is_differentiable(v) else None
                for v in site.equation.outvars
            ]
            for site in self.sites
        ]


def visit_operations(
    function: Callable[..., Any],
    params: Any,
    example: Any,
    visit: Callable[[core.JaxprEqn, list[Any]], None],
) -> None:
    """Evaluates function(params, example), and shows `visit` each operation on the example.

    Wrappers are entered, including those with a custom derivative (`jax.nn.relu` is one); loops and
    branches count as one operation.
    """
    closed = jax.make_jaxpr(function)(params, example)
    of_example = [Value(leaf, example=True) for leaf in jax.tree.leaves(example)]
    inputs = [*map(Value, jax.tree.leaves(params)), *of_example]
    _interpret(closed.jaxpr, closed.consts, inputs, visit=visit)


def _interpret(jaxpr, constants, inputs, at_site=None, visit=None):
    """Evaluates operations one by one; `at_site` returns the results of the sites.

    If the example is None, only values that depend on parameters alone are computed. `visit` is
    called as in `visit_operations`.
    """
    environment = {}

    def read(variable):
        if isinstance(variable, core.Literal):
            return Value(variable.val)
        return environment[variable]

    for variable, constant in zip(jaxpr.constvars, constants, strict=True):
        environment[variable] = Value(constant)
    environment.update(zip(jaxpr.invars, inputs, strict=True))
    for equation in jaxpr.eqns:
        operands = [read(variable) for variable in equation.invars]
        leaves = frozenset().union(*(operand.leaves for operand in operands))
        example = any(operand.example for operand in operands)
        inside = inside_wrapper(equation) if leaves else None
        if visit and example:
            inside = inside_wrapper(equation, (*_WRAPPERS, *_OWN_DERIVATIVE))
            if inside is None:
                visit(equation, [operand.value for operand in operands])
        if inside is not None:
            results = _interpret(*inside, operands, at_site, visit)
        elif leaves and example and any(is_differentiable(v) for v in equation.outvars):
            results = [Value(r, example=True) for r in at_site(equation, operands)]
        elif any(operand.example and operand.value is None for operand in operands):
            results = [Value(None, example=True)] * len(equation.outvars)
        else:
            results = [
                # Integers have no derivative; nor have comparisons of parameters with the example.
                Value(
                    r,
                    leaves if is_differentiable(v) and not example else _NONE,
                    example,
                    unchanged=equation.primitive.name == _CONVERSION and operands[0].unchanged,
                    rearranged=equation.primitive.name in _REARRANGING and operands[0].rearranged,
                )
                for r, v in zip(
                    apply_operation(equation, [operand.value for operand in operands]),
                    equation.outvars,
                    strict=True,
                )
            ]
        environment.update(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def inside_wrapper(
    equation: core.JaxprEqn, wrappers: tuple[str, ...] = _WRAPPERS
) -> tuple[core.Jaxpr, Sequence[Any]] | None:
    """The operations and constants inside a wrapper; None for any other operation."""
    if equation.primitive.name not in wrappers:
        return None
    wrapped: Any = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    if isinstance(wrapped, core.ClosedJaxpr):
        return wrapped.jaxpr, wrapped.consts
    return wrapped, ()


def apply_operation(equation: core.JaxprEqn, operands: Sequence[Any]) -> list[Any]:
    """The results of one operation; operands of its literals are ignored."""
    operand_of = {
        variable: operand
        for variable, operand in zip(equation.invars, operands, strict=True)
        if not isinstance(variable, core.Literal)
    }
    return run_operation(equation, list(operand_of), list(operand_of.values()))


def run_operation(
    equation: core.JaxprEqn, variables: Sequence[Any], operands: Sequence[Any]
) -> list[Any]:
    """The results of one operation, by a program of it alone with these input variables."""
    program = _EMPTY_PROGRAM.replace(
        invars=list(variables), outvars=equation.outvars, eqns=[equation], effects=equation.effects
    )
    return core.jaxpr_as_fun(core.ClosedJaxpr(program, ()))(*operands)


def shape_of(variable: Any) -> Any:
    """Shape and dtype of a traced value, with `shape`, `size`, `ndim` and `dtype`."""
    return variable.aval


def is_differentiable(variable: Any) -> bool:
    """Whether a traced value is floating point or complex."""
    return jnp.issubdtype(shape_of(variable).dtype, jnp.inexact)


_NONE: frozenset[int] = frozenset()
_EMPTY_PROGRAM = jax.make_jaxpr(lambda: ())().jaxpr
