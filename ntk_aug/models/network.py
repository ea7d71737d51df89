"""Networks as pure functions: `Network` can be initialised and trained, `ModelView` evaluates one.

Linen modules, NNX modules and pure functions are converted to either.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from ntk_aug.aliases import ApplyFn, Array, Float, Images, KeyArray, Params
from ntk_aug.errors import InputError


class ModelView(NamedTuple):
    """A network with its weights, in evaluation mode.

    Attributes:
      apply_fn: apply_fn(params, images) -> logits [n, C].
      params: pytree of the trainable parameters, with respect to which the Jacobian is taken.
      jacobian_lipschitz: from the largest input norm to a certified Lipschitz constant of x -> J(W,
        x), for smooth networks; None if none is known.
    """

    apply_fn: ApplyFn
    params: Params
    jacobian_lipschitz: Callable[[float], float] | None = None


class Network(NamedTuple):
    """Pure functions of a trainable network.

    Attributes:
      init: init(key, images) -> (params, state). The state is updated but not trained, such as
        batch statistics.
      apply: apply(params, state, images, train, key) -> (logits, new_state).
      jacobian_lipschitz: (params, radius) -> a certified constant, or None.
    """

    init: Callable[[KeyArray, Images], tuple[Params, Any]]
    apply: Callable[..., tuple[Float[Array, "n C"], Any]]
    jacobian_lipschitz: Callable[[Params, float], float] | None = None

    def view(self, params: Params, state: Any) -> ModelView:
        """The evaluation view at these weights."""

        def apply_fn(params, images):
            return self.apply(params, _as_precise(state, params), images, False, None)[0]

        lipschitz = self.jacobian_lipschitz
        return ModelView(apply_fn, params, lipschitz and partial(lipschitz, params))


def _as_precise(state: Any, params: Params) -> Any:
    """Promotes the state to the precision of the parameters, so that float64 runs do not round."""
    dtype = jnp.result_type(bool, *jax.tree.leaves(params))  # bool: there may be none

    def promoted(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return jnp.asarray(leaf, jnp.promote_types(leaf.dtype, dtype))

    return jax.tree.map(promoted, state)


def _mode_argument(call: Callable, train: bool) -> dict[str, bool]:
    """The keyword that puts a Flax module into training or evaluation mode, if it has one."""
    parameters = inspect.signature(call).parameters
    for name, value in {
        "train": train,
        "training": train,
        "deterministic": not train,
        "use_running_average": not train,
    }.items():
        if name in parameters:
            return {name: value}
    return {}


def linen_network(
    module: nn.Module, jacobian_lipschitz: Callable[[Params, float], float] | None = None
) -> Network:
    """A Flax Linen module as a `Network`; every collection but "params" is its state.

    If the module behaves differently in training, its call takes one of the keywords train,
    training, deterministic, use_running_average.
    """

    def init(key, images):
        variables = module.init(key, images, **_mode_argument(module.__call__, False))
        params = variables["params"]
        return params, {name: value for name, value in variables.items() if name != "params"}

    def apply(params, state, images, train, key):
        variables = {"params": params, **state}
        mode = _mode_argument(module.__call__, train)
        if not train:
            return module.apply(variables, images, **mode), state
        logits, updated = module.apply(
            variables, images, **mode, mutable=list(state), rngs={"dropout": key}
        )
        return logits, {**state, **updated}

    return Network(init, apply, jacobian_lipschitz)


def nnx_network(build: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    """A Flax NNX module as a `Network`, from a function nnx.Rngs -> module that builds it.

    `nnx.Param` variables are trained, all others are state; `train()` and `eval()` set the mode.
    """
    # The structure alone: weights come in as arguments.
    graphdef = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))), nnx.Param, ...)[0]

    def init(key, images):
        del images  # an NNX module knows its sizes
        return tuple(nnx.split(build(nnx.Rngs(key)), nnx.Param, ...)[1:])

    def apply(params, state, images, train, key):
        del key  # the random streams of an NNX module are part of its state
        module = nnx.merge(graphdef, params, state, copy=True)
        if not train:
            module.eval()
            return module(images), state
        module.train()
        logits = module(images)
        return logits, nnx.split(module, nnx.Param, ...)[2]

    return Network(init, apply)


def pure_network(
    init: Callable[[KeyArray, Images], Params], apply: Callable[[Params, Images], Array]
) -> Network:
    """A stateless network from two pure functions: init(key, images), apply(params, images)."""
    return Network(
        init=lambda key, images: (init(key, images), {}),
        apply=lambda params, state, images, train, key: (apply(params, images), state),
    )


def linen_view(module: nn.Module, variables: Mapping[str, Any]) -> ModelView:
    """The evaluation view of a Linen module with its variables ("params", "batch_stats", ...)."""
    if "params" not in variables:
        raise InputError(f"variables have {sorted(variables)}, expected a collection 'params'")
    state = {name: value for name, value in variables.items() if name != "params"}
    return linen_network(module).view(variables["params"], state)


def nnx_view(module: nnx.Module) -> ModelView:
    """The evaluation view of an NNX module; later changes of the module do not reach it."""
    graphdef, params, state = nnx.split(nnx.clone(module), nnx.Param, ...)

    def apply_fn(params, images):
        merged = nnx.merge(graphdef, params, _as_precise(state, params), copy=True)
        merged.eval()
        return merged(images)

    return ModelView(apply_fn, params)


def as_view(network: Any) -> ModelView:
    """The evaluation view of a network in any supported form.

    Args:
      network: a `ModelView`; an NNX module; a pair (Linen module, variables); or a pair of a
        function (params, inputs) -> logits [n, C] and its parameters.

    Raises:
      InputError: anything else; a Linen module without variables.
    """
    match network:
        case ModelView():
            return network
        case nnx.Module():
            return nnx_view(network)
        case (nn.Module() as module, variables):
            if not isinstance(variables, Mapping):
                raise InputError(
                    f"variables of the Linen module are {type(variables).__name__}, expected a "
                    "dictionary such as module.init gives"
                )
            return linen_view(module, variables)
        case (function, params) if callable(function) and not isinstance(function, type):
            return ModelView(function, params)
        case nn.Module():
            raise InputError(
                f"the network is a Linen module {type(network).__name__} without its variables; "
                "expected (module, variables), or models.linen_view(module, variables)"
            )
    raise InputError(
        f"the network is {type(network).__name__}, expected a ModelView, an NNX module, "
        "(Linen module, variables), or (function, parameters)"
    )


def num_params(params: Params) -> int:
    """P, the number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
