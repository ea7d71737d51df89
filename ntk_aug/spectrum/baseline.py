"""The mean principal angle between random subspaces, a baseline for augmented subspaces."""

import jax
import numpy as np

from ntk_aug.aliases import KeyLike
from ntk_aug.checks import check_count
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key
from ntk_aug.spectrum.matrix_free.stochastic import Estimate

DEFAULT_STANDARD_ERROR = 0.1
"""In degrees: too small to show in a figure of angles from 0 to 90."""

# Draws at once: enough to estimate their spread, in matrices of a few MB.
_FEWEST_DRAWS, _MOST_DRAWS, _BATCH_ENTRIES = 8, 4096, 2**18


def random_subspace_angle(
    key: KeyLike, dimension: int, size: int, *, standard_error: float = DEFAULT_STANDARD_ERROR
) -> Estimate:
    """Mean principal angle, in degrees, between independent uniform subspaces, and its error.

    The squared cosines between a fixed and a uniform m-subspace of R^d are the eigenvalues of (A +
    B)^-1 A for independent Wishart matrices A (m degrees of freedom) and B (d - m) (Absil, Edelman
    and Koev 2006). Bartlett's decomposition of B makes the cost independent of d.

    Args:
      key: of the draws; an integer is a seed.
      dimension: d.
      size: m, of both subspaces.
      standard_error: the largest standard error of the mean, in degrees; sets the number of draws.

    Returns:
      The mean with its standard error; (0, 0) for m = d.

    Raises:
      InputError: m outside 1 .. d, or a standard error that is not positive.
    """
    check_count(size, dimension, "the size of the subspaces")
    if not standard_error > 0:
        raise InputError(f"standard_error is {standard_error}, expected more than 0 degrees")
    key = as_key(key)
    if 2 * size > dimension:
        # Two such subspaces share 2 m - d directions; the other angles are those of the orthogonal
        # complements.
        share = (dimension - size) / size
        if share == 0:
            return Estimate(0.0, 0.0)
        smaller = random_subspace_angle(
            key, dimension, dimension - size, standard_error=standard_error / share
        )
        return Estimate(share * smaller.value, share * smaller.standard_error)

    num_draws = int(np.clip(_BATCH_ENTRIES // size**2, _FEWEST_DRAWS, _MOST_DRAWS))
    means = np.empty(0)
    while True:
        batch_key = jax.random.fold_in(key, len(means) // num_draws)
        means = np.append(means, _draw_means(batch_key, dimension, size, num_draws))
        error = float(means.std(ddof=1) / np.sqrt(len(means)))
        if error <= standard_error:
            return Estimate(float(means.mean()), error)


def _draw_means(key, dimension, size, num_draws):
    """The mean angles of some pairs of m-subspaces of R^d, 2 m <= d."""
    normal_key, lower_key, diagonal_key = jax.random.split(key, 3)
    shape = (num_draws, size, size)
    G = np.asarray(jax.random.normal(normal_key, shape), np.float64)
    L = np.tril(np.asarray(jax.random.normal(lower_key, shape), np.float64), -1)
    freedom = np.float32(dimension - size - np.arange(size))
    chi_square = np.asarray(jax.random.chisquare(diagonal_key, freedom, shape[:2]), np.float64)
    diagonal = np.arange(size)
    L[:, diagonal, diagonal] = np.sqrt(chi_square)
    A = G @ G.swapaxes(1, 2)
    C = np.linalg.cholesky(A + L @ L.swapaxes(1, 2))
    cosines = np.linalg.solve(C, G)  # C^-1 A C^-T has the eigenvalues of (A + B)^-1 A
    squares = np.linalg.eigvalsh(cosines @ cosines.swapaxes(1, 2))
    return np.rad2deg(np.arccos(np.sqrt(np.clip(squares, 0, 1)))).mean(axis=1)
