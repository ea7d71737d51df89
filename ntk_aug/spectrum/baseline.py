"""What the mean principal angle would be if the augmented subspace were a random one."""

import jax
import numpy as np
from scipy import linalg

from ntk_aug.aliases import KeyArray
from ntk_aug.checks import check_at_least, check_count


def random_subspace_angle(key: KeyArray, dimension: int, size: int, *, num_draws: int = 8) -> float:
    """Mean principal angle, in degrees, between independent uniform subspaces.

    The squared cosines between a fixed and a uniform m-subspace of R^d are the eigenvalues of
    (A + B)^-1 A for independent Wishart matrices A (m degrees of freedom) and B (d - m)
    (Absil, Edelman and Koev 2006). B is drawn by Bartlett's decomposition, so that the cost does
    not grow with d, which is the number of parameters on the right side of the Jacobian.

    Args:
      key: of the draws.
      dimension: d.
      size: m, of both subspaces.
      num_draws: pairs of subspaces that are averaged over.

    Raises:
      InputError: m outside 1 .. d.
    """
    check_count(size, dimension, "the size of the subspaces")
    check_at_least(num_draws, 1, "num_draws")
    if 2 * size > dimension:
        # 2 m - d directions are shared by any two such subspaces; the others have the angles of
        # the orthogonal complements.
        complement = dimension - size
        if complement == 0:
            return 0.0
        smaller = random_subspace_angle(key, dimension, complement, num_draws=num_draws)
        return smaller * complement / size

    normal_key, lower_key, diagonal_key = jax.random.split(key, 3)
    shape = (num_draws, size, size)
    normal = np.asarray(jax.random.normal(normal_key, shape), np.float64)
    lower = np.tril(np.asarray(jax.random.normal(lower_key, shape), np.float64), -1)
    freedom = np.float32(dimension - size - np.arange(size))
    chi_square = np.asarray(jax.random.chisquare(diagonal_key, freedom, shape[:2]), np.float64)
    means = []
    for G, L, squares in zip(normal, lower, chi_square, strict=True):
        L = L + np.diag(np.sqrt(squares))
        A, B = G @ G.T, L @ L.T
        cosines = np.sqrt(np.clip(linalg.eigvalsh(A, A + B), 0, 1))
        means.append(np.rad2deg(np.arccos(cosines)).mean())
    return float(np.mean(means))
