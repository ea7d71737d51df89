"""Random keys, and random numbers on the host from a key."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import KeyArray, KeyLike
from ntk_aug.errors import InputError


def as_key(key: Any) -> KeyArray:
    """Returns a JAX random key; an integer is a seed.

    Raises:
      InputError: neither one key nor an integer of at most 64 bits.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if not -(2**63) <= key < 2**64:
            raise InputError(f"the seed is {key}, expected an integer of at most 64 bits")
        return jax.random.key(int(key))
    if isinstance(key, jax.Array):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0:
            return key
        if key.dtype == jnp.uint32 and key.shape == (2,):  # from jax.random.PRNGKey
            return jax.random.wrap_key_data(key)
        if jnp.issubdtype(key.dtype, jnp.integer) and key.ndim == 0:
            return jax.random.key(key)
        given = f"an array {key.dtype} {key.shape}"
    else:
        given = type(key).__name__
    raise InputError(f"the key is {given}, expected jax.random.key(seed) or an integer seed")


def generator(key: KeyLike) -> np.random.Generator:
    """NumPy's generator, seeded with a JAX key.

    Use it to draw on the host: JAX compiles its permutations again for every number of examples,
    which takes longer than the draws of many classes.
    """
    return np.random.default_rng(np.asarray(jax.random.key_data(as_key(key))).ravel())
