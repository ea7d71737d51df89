"""Makes neural_tangents 0.6 work with a current JAX; nothing else in this project imports it.

The package is unmaintained and asks for names that JAX has moved or removed. They are supplied
while it is imported and removed again, so other libraries see JAX unchanged. Internals that its
structured derivatives use at run time are replaced permanently, inside neural_tangents alone. Its
`experimental` part, which would import TensorFlow, is left out.
"""

import contextlib
import importlib
import importlib.metadata
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.core
import jax.extend.core
import jax.extend.source_info_util
import jax.interpreters.ad
import numpy as np

from ntk_aug.errors import InputError

_LOCK = threading.RLock()


class _DShapedArray:
    """Stands for JAX's removed arrays of dynamic shape: nothing is an instance."""


def _safe_map(function: Callable, *sequences: Any) -> list:
    """The former `jax.util.safe_map`: map over sequences of equal length, to a list."""
    return [function(*members) for members in zip(*sequences, strict=True)]


def _safe_zip(*sequences: Any) -> list:
    """The former `jax.util.safe_zip`: zip of sequences of equal length, to a list."""
    return list(zip(*sequences, strict=True))


_CORE_NAMES = {
    **{
        name: getattr(jax.extend.core, name)
        for name in ("Jaxpr", "JaxprEqn", "Literal", "Primitive", "Var")
    },
    "DShapedArray": _DShapedArray,
}
# Only a key in its table of derivative rules, so any unused primitive will do.
_AD_NAMES = {"zeros_like_p": jax.extend.core.Primitive("zeros_like")}


class _Overlay:
    """A module with some of its attributes replaced; the module itself stays as it is."""

    def __init__(self, module: ModuleType, **attributes: Any):
        self._module = module
        vars(self).update(attributes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@contextlib.contextmanager
def _attributes(module: ModuleType, values: Mapping[str, Any]) -> Iterator[None]:
    """Gives a module the attributes that it lacks, for the duration of the context."""
    missing = {name: value for name, value in values.items() if not hasattr(module, name)}
    for name, value in missing.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name in missing:
            delattr(module, name)


@contextlib.contextmanager
def _stand_in(name: str, **attributes: Any) -> Iterator[None]:
    """Puts a module under this name, unless one is already there, for the duration."""
    if name in sys.modules:
        yield
        return
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    try:
        yield
    finally:
        del sys.modules[name]


def load_neural_tangents() -> ModuleType:
    """Imports neural_tangents, adapted to the installed JAX; returns the same module on every call.

    `empirical_ntk_fn` with all its implementations, `stax` and `predict` work. JAX stays as it is,
    and TensorFlow is not imported.

    Known limit: on the CPU, XLA of JAX 0.10 crashes in float64 on consecutive one-channel
    convolutions over a thousand images or more, as convolutional `stax` kernels have them. Float32,
    no `jax.jit`, or JAX 0.12 avoid it.

    Raises:
      InputError: the package is not installed, or is not a 0.6 release.
    """
    with _LOCK:
        loaded = sys.modules.get("neural_tangents")
        if loaded is not None and getattr(loaded, "_adapted_by_ntk_aug", False):
            return loaded
        try:
            version = importlib.metadata.version("neural-tangents")
        except importlib.metadata.PackageNotFoundError as error:
            raise InputError(
                "neural_tangents is not installed: pip install 'neural-tangents >= 0.6.5, < 0.7'"
            ) from error
        if version.split(".")[:2] != ["0", "6"]:
            raise InputError(f"neural_tangents has version {version}, expected 0.6.x")
        with contextlib.ExitStack() as stack:
            stack.enter_context(_attributes(jax.core, _CORE_NAMES))
            stack.enter_context(_attributes(jax.interpreters.ad, _AD_NAMES))
            stack.enter_context(_stand_in("jax.util", safe_map=_safe_map, safe_zip=_safe_zip))
            stack.enter_context(_stand_in("neural_tangents.experimental"))
            import neural_tangents
        _adapt_empirical(importlib.import_module("neural_tangents._src.empirical"))
        _adapt_predict(importlib.import_module("neural_tangents._src.predict"))
        neural_tangents._adapted_by_ntk_aug = True
        return neural_tangents


def _adapt_predict(predict: Any) -> None:
    """Repairs the largest learning rate, which does not run, and kernels with eigenvalue 0."""
    # Its route on the host passes scipy a removed argument; the other route works everywhere.
    predict._is_on_cpu = lambda array: False

    def make_inv_expm1_fn(normalization):
        expm1_fn = predict._make_expm1_fn(normalization)

        def inv_expm1_fn(eigenvalues, t):
            # Avoids 0 / 0; nothing is learnt along these eigenvectors.
            null = eigenvalues <= 0
            return expm1_fn(eigenvalues, t) / jax.numpy.where(null, 1, eigenvalues)

        return inv_expm1_fn

    predict._make_inv_expm1_fn = make_inv_expm1_fn


def _adapt_empirical(empirical: Any) -> None:
    """Replaces JAX internals that the module of empirical kernels uses at run time."""
    empirical.core = _Overlay(jax.core, **_CORE_NAMES)
    empirical.ad = _Overlay(
        jax.interpreters.ad,
        config=SimpleNamespace(jax_enable_checks=False),
        source_info_util=jax.extend.source_info_util,
    )
    # jax.numpy's versions refuse shapes without values.
    empirical.jnp = _Overlay(
        jax.numpy, shape=np.shape, size=np.size, dtype=lambda array: array.dtype
    )
    # Its automatic choice prints counts of operations.
    empirical.print = lambda *values: None

    def primals_out_and_pullback(fn, mode, _j_rules, _s_rules, _fwd, *primals_in):
        # Inlined, because its rules do not know jitted functions.
        with jax.disable_jit():
            primals_out, linear = jax.linearize(fn, *primals_in)
            closed = jax.make_jaxpr(linear)(*primals_in)

        def pullback(*cotangents):
            undefined = [empirical.UndefinedPrimal(v.aval) for v in closed.jaxpr.invars]
            collected = empirical._backward_pass(
                closed.jaxpr,
                mode=mode,
                consts=closed.consts,
                primals_in=undefined,
                cotangents_in=tuple(jax.tree.leaves(cotangents)),
                _j_rules=_j_rules,
                _s_rules=_s_rules,
                _fwd=_fwd,
            )
            return jax.tree.unflatten(jax.tree.structure(primals_in), collected)

        return primals_out, pullback

    def transposed_equation(equation, cotangent, *operands):
        if equation is None:  # the identity
            return (cotangent,)
        linear = [i for i, x in enumerate(operands) if isinstance(x, empirical.UndefinedPrimal)]

        def apply(*values):
            inputs = list(operands)
            for i, value in zip(linear, values, strict=True):
                inputs[i] = value
            outputs = equation.primitive.bind(*inputs, **equation.params)
            return outputs[0] if equation.primitive.multiple_results else outputs

        avals = [operands[i].aval for i in linear]
        cotangents = [None] * len(operands)
        transposes = jax.linear_transpose(apply, *avals)(cotangent)
        for i, transpose in zip(linear, transposes, strict=True):
            cotangents[i] = transpose
        return cotangents

    def flops(function, optimize, *args, **kwargs):
        lowered = jax.jit(function).lower(*args, **kwargs)
        analysis = (lowered.compile() if optimize else lowered).cost_analysis()
        return analysis["flops"]

    empirical._get_primals_out_and_pullback = primals_out_and_pullback
    empirical._eqn_vjp_fn = transposed_equation
    empirical._get_flops = flops
