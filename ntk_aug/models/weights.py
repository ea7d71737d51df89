"""Loads a user's trained weights by name, from an npz file or an orbax folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from ntk_aug.errors import BrokenFileError, InputError
from ntk_aug.inputs import as_example_shapes
from ntk_aug.models.network import ModelView, Network
from ntk_aug.models.outputs import network_takes
from ntk_aug.records import StrPath, orbax_in_silence, read_npz

_SHOWN_NAMES = 5


def load_weights(network: Network, example: Any, path: StrPath) -> ModelView:
    """The evaluation view of a network at weights that were saved by name.

    Names are paths such as "hidden/kernel". Parameters may start with "params/". Other variables
    start with their collection in Linen ("batch_stats/norm/mean"), but not in NNX ("norm/mean"). An
    npz file is saved by one of

        np.savez(path, **flatten_dict(variables, sep="/"))  # of flax.traverse_util
        state = nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngState)))
        np.savez(path, **{"/".join(map(str, k)): v for k, v in flatten_dict(state).items()})

    and a folder by `orbax.checkpoint.StandardCheckpointer().save(path, variables)`, or `state`.
    Random streams of NNX are not read: evaluation does not use them.

    Args:
      network: see `linen_network`, `nnx_network` and `as_network`.
      example: shape (h, w, c) of one input, or its shape and dtype as `data.Dataset.example` has
        it.
      path: the file or folder. Values are cast to the network's own dtypes.

    Raises:
      BrokenFileError: it cannot be read.
      InputError: it does not exist; names are missing or unknown, or shapes differ (they are
        listed); values are not numbers, or not finite.

    Example:
      network = models.linen_network(module)
      view = models.load_weights(network, (28, 28, 1), "weights.npz")
    """
    stored = _read_named(path)
    zeros = jax.tree.map(
        lambda leaf: jnp.zeros((1, *leaf.shape), leaf.dtype), as_example_shapes(example, "float32")
    )
    with network_takes(zeros):
        shapes = jax.eval_shape(network.init, jax.random.key(0), zeros)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(tuple(shapes), is_leaf=_is_random)
    names = [_name(keys[1:]) for keys, _ in leaves]
    expected = {
        name: leaf for name, (_, leaf) in zip(names, leaves, strict=True) if not _is_random(leaf)
    }
    found = _matched(stored, expected, set(names), path)
    arrays = {name: _checked(found[name], leaf, name, path) for name, leaf in expected.items()}
    if len(expected) < len(names):  # random streams keep their initial values
        initial = jax.tree.leaves(network.init(jax.random.key(0), zeros), is_leaf=_is_random)
        values = [arrays.get(name, own) for name, own in zip(names, initial, strict=True)]
    else:
        values = [arrays[name] for name in names]
    return network.view(*jax.tree.unflatten(treedef, values))


def _is_random(leaf):
    return isinstance(leaf, nnx.RngState)


def _name(keys) -> str:
    """The name, such as "hidden/kernel", of a path in a tree; NNX ends each with ".value"."""
    parts = [getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))) for key in keys]
    if keys and isinstance(keys[-1], jax.tree_util.GetAttrKey) and parts[-1] == "value":
        del parts[-1]
    return "/".join(map(str, parts))


def _read_named(path: StrPath) -> dict[str, np.ndarray]:
    """All arrays of an npz file or an orbax folder, by name."""
    if not Path(path).is_dir():
        return read_npz(path)
    with orbax_in_silence():
        try:
            with ocp.StandardCheckpointer() as checkpointer:
                tree = checkpointer.restore(Path(path).absolute())
        except Exception as error:  # orbax, tensorstore and json raise their own
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            raise BrokenFileError(f"{path} is no readable folder of orbax: {first_line}") from None
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(keys): np.asarray(leaf) for keys, leaf in leaves}


def _matched(
    stored: Mapping[str, np.ndarray], expected: Mapping[str, Any], names: set[str], path: StrPath
) -> dict[str, np.ndarray]:
    """The stored arrays by the network's names; raises InputError that lists every mismatch."""
    found: dict[str, np.ndarray] = {}
    superfluous = []
    for name, array in stored.items():
        bare = name.removeprefix("params/")
        readings = [name, bare, name.removesuffix("/value"), bare.removesuffix("/value")]
        own = next((reading for reading in readings if reading in names), None)
        if own is None or own in found:
            superfluous.append(name)
        elif own in expected:
            found[own] = array
    missing = [name for name in expected if name not in found]
    reshaped = [
        f"{name} is {found[name].shape}, expected {leaf.shape}"
        for name, leaf in expected.items()
        if name in found and found[name].shape != leaf.shape
    ]
    kinds = {"missing": missing, "not the network's": superfluous, "of another shape": reshaped}
    told = [f"{kind}: {_listed(which)}" for kind, which in kinds.items() if which]
    if told:
        raise InputError(f"{path} does not fit the network; {'; '.join(told)}")
    return found


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _checked(array: np.ndarray, leaf: Any, name: str, path: StrPath) -> jax.Array:
    floating = jnp.issubdtype(leaf.dtype, jnp.floating)
    if not jnp.issubdtype(array.dtype, jnp.floating if floating else jnp.integer):
        raise InputError(f"{name} of {path} has dtype {array.dtype}, expected {leaf.dtype}")
    if floating and not np.isfinite(array.astype(np.float64)).all():
        raise InputError(f"{name} of {path} holds NaN or infinity")
    return jnp.asarray(array, leaf.dtype)
