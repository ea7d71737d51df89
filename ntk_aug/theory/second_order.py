"""C.2: "small singular values grow relatively more; prominent vectors move less".

This is an observation in Figure 1, not a theorem. It follows neither from Lemma 4.1, whose law is
assumed, nor from F3, which depends on gaps and not on sizes. For perturbations with mean zero one
can prove that the trace grows, and that to second order every eigenvalue gains about P s^2.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from ntk_aug.aliases import Float64, KeyLike
from ntk_aug.checks import check_count
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key
from ntk_aug.theory.arrays import ArrayLike, descending_values, jacobian_pair, number_in
from ntk_aug.theory.sides import Bound, Sides


class Expansion(NamedTuple):
    """Means to second order in s, for E with iid N(0, s^2) entries.

    Attributes:
      gain: E lambda~_i - lambda_i = s^2 (P + sum_{j != i} (lambda_i + lambda_j) /
        (lambda_i - lambda_j)).
      squared_sine: E sin^2 angle(u_i, u~_i) = s^2 sum_{j != i} (lambda_i + lambda_j) /
        (lambda_i - lambda_j)^2.
    """

    gain: Float64[np.ndarray, " N"]
    squared_sine: Float64[np.ndarray, " N"]


class MeasuredGains(NamedTuple):
    """Means over draws of E, with their standard errors.

    Attributes:
      gain: mean of lambda~_i - lambda_i.
      gain_error: its standard error.
      squared_sine: mean of sin^2 angle(u_i, u~_i).
      squared_sine_error: its standard error.
      share_decreased: share of the draws with sigma~_i < sigma_i.
    """

    gain: Float64[np.ndarray, " N"]
    gain_error: Float64[np.ndarray, " N"]
    squared_sine: Float64[np.ndarray, " N"]
    squared_sine_error: Float64[np.ndarray, " N"]
    share_decreased: Float64[np.ndarray, " N"]


def second_order(sigma: ArrayLike, num_params: int, s: float) -> Expansion:
    """Computes the expansions.

    For P much larger than N, every eigenvalue gains about P s^2; relative to lambda_i the smallest
    one gains most. Vectors of large, well separated eigenvalues rotate least.

    Args:
      sigma: [N], distinct singular values of J [N, P], descending.
      num_params: P, at least N.
      s: standard deviation of the entries of E.

    Raises:
      InputError: sigma is negative, not descending or has equal values, P < N, or s < 0.
    """
    sigma, s = _checked(sigma, num_params, s)
    values = sigma**2
    differences = values[:, None] - values[None]
    off = ~np.eye(len(values), dtype=bool)
    sums = values[:, None] + values[None]
    first = np.divide(sums, differences, out=np.zeros_like(sums), where=off).sum(axis=1)
    second = np.divide(sums, differences**2, out=np.zeros_like(sums), where=off).sum(axis=1)
    return Expansion(s**2 * (num_params + first), s**2 * second)


def _checked(sigma, num_params, s):
    sigma = descending_values(sigma)
    if (np.diff(sigma) == 0).any():
        raise InputError("two singular values are equal, expected distinct ones")
    check_count(num_params, 2**62, "num_params", minimum=len(sigma))
    return sigma, number_in(s, "s", 0)


def measure_perturbed(
    key: KeyLike, sigma: ArrayLike, num_params: int, s: float, *, draws: int
) -> MeasuredGains:
    """Measures the means of `second_order` by exact decompositions over random pairs E and -E.

    A pair cancels the terms of odd order, which have mean 0 and the largest variance. J is
    [diag(sigma), 0]; the result is that of any J with these singular values, because the law of E
    is invariant under rotations.

    Args:
      key: random key.
      sigma: [N], distinct singular values of J, descending.
      num_params: P, at least N.
      s: standard deviation of the entries of E.
      draws: number of pairs.

    Raises:
      InputError: as in `second_order`, or there are fewer than 2 pairs.
    """
    sigma, s = _checked(sigma, num_params, s)
    draws = check_count(draws, 2**31, "draws", minimum=2)
    N = len(sigma)
    J = np.zeros((N, num_params))
    J[range(N), range(N)] = sigma
    gains, sines, falls = [], [], np.zeros(N)
    size = max(1, 2**20 // J.size)
    for start in range(0, draws, size):
        count = min(size, draws - start)
        with jax.enable_x64(True):
            part = jax.random.fold_in(as_key(key), start)
            E = s * np.asarray(jax.random.normal(part, (count, *J.shape), np.float64))
        gain, sine = np.zeros((count, N)), np.zeros((count, N))
        for sign in (1, -1):
            moved = J + sign * E
            values, vectors = np.linalg.eigh(moved @ moved.transpose(0, 2, 1))
            values, vectors = values[:, ::-1], vectors[:, :, ::-1]
            cosines = np.einsum("bii->bi", vectors) ** 2  # u_i is the i-th unit vector
            gain, sine = gain + (values - sigma**2) / 2, sine + (1 - cosines) / 2
            falls += (values < sigma**2).sum(axis=0)
        gains.append(gain)
        sines.append(sine)
    gain, sine = np.concatenate(gains), np.concatenate(sines)
    return MeasuredGains(
        gain.mean(axis=0),
        gain.std(axis=0, ddof=1) / np.sqrt(draws),
        sine.mean(axis=0),
        sine.std(axis=0, ddof=1) / np.sqrt(draws),
        falls / (2 * draws),
    )


def claim_c_2(J: ArrayLike, E: ArrayLike) -> Sides:
    """C.2 on values: sigma~_1 / sigma_1 <= sigma~_N / sigma_N for one perturbation. FALSE.

    Corrected, for the pair E and -E, whose mean is zero: the mean trace of K~ grows by exactly
    ||E||_F^2. `further` "top": the mean of sum_{i <= k} lambda~_i is at least sum_{i <= k}
    lambda_i for every k, because top-k sums are convex. Nothing follows for single small values.

    Args:
      J: [N, P], with a smallest singular value above 0.
      E: [N, P], J~ - J.

    Raises:
      InputError: the shapes differ, a value is not finite, or a singular value of J is 0.
    """
    J, E = jacobian_pair(J, E)
    sigma, moved, back = (np.linalg.svd(A, compute_uv=False) for A in (J, J + E, J - E))
    if not sigma[-1] > 0:
        raise InputError("the smallest singular value of J is 0: its relative change is undefined")
    mean = (moved**2 + back**2) / 2
    options: dict[str, Any] = {"tolerance": 1e-12, "scale": mean.sum()}
    return Sides(
        "C.2",
        mean.sum(),
        moved[-1] / sigma[-1],
        (sigma**2).sum() + (E**2).sum(),
        relation="==",
        printed_lhs=moved[0] / sigma[0],
        printed_relation="<=",
        further={"top": Bound(np.cumsum(mean), np.cumsum(sigma**2), ">=", **options)},
        constants={"||E||_F^2": (E**2).sum()},
        tolerance=1e-12,
    )
