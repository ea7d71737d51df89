"""Random draws on the host, decided by a JAX key."""

import jax
import numpy as np

from ntk_aug.aliases import KeyLike
from ntk_aug.checks import as_key


def generator(key: KeyLike) -> np.random.Generator:
    """NumPy's generator, seeded with a JAX key.

    For drawing on the host: JAX's own permutations are compiled again for every number of examples,
    which takes longer than all the draws where classes are many.
    """
    return np.random.default_rng(np.asarray(jax.random.key_data(as_key(key))).ravel())
