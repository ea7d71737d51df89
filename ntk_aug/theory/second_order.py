"""C.2: "small singular values grow relatively more; prominent vectors move less".

An observation in Figure 1, not a theorem: it follows neither from Lemma 4.1, whose law is assumed,
nor from F3, where gaps decide and not sizes. What can be proved is about perturbations with mean
zero: the trace grows, and to second order every eigenvalue gains about P s^2.
"""

from typing import NamedTuple

import jax
import numpy as np

from ntk_aug.aliases import Float64, KeyLike
from ntk_aug.checks import check_count
from ntk_aug.errors import InputError
from ntk_aug.randomness import as_key
from ntk_aug.theory.arrays import ArrayLike, finite_array, number_in
from ntk_aug.theory.sides import Bound, Sides


class Expansion(NamedTuple):
    """Means to second order in s, of E with iid N(0, s^2) entries.

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
      share_decreased: of the draws with sigma~_i < sigma_i.
    """

    gain: Float64[np.ndarray, " N"]
    gain_error: Float64[np.ndarray, " N"]
    squared_sine: Float64[np.ndarray, " N"]
    squared_sine_error: Float64[np.ndarray, " N"]
    share_decreased: Float64[np.ndarray, " N"]


def second_order(sigma: ArrayLike, num_params: int, s: float) -> Expansion:
    """The expansions.

    For P much larger than N every eigenvalue gains about P s^2, which relative to lambda_i is most
    for the smallest; and large eigenvalues that are well apart turn least.

    Args:
      sigma: [N], distinct singular values of J [N, P], from the largest.
      num_params: P, at least N.
      s: standard deviation of the entries.

    Raises:
      InputError: values that are negative or not descending, two equal ones, P below N, a
        negative s.
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
    sigma = finite_array(sigma, "sigma", (None,))
    if sigma.min() < 0 or (np.diff(sigma) > 0).any():
        raise InputError("sigma has to be at least 0 and descending")
    if (np.diff(sigma) == 0).any():
        raise InputError("two singular values are equal, expected distinct ones")
    check_count(num_params, 2**62, "num_params", minimum=len(sigma))
    return sigma, number_in(s, "s", 0)


def measure_perturbed(
    key: KeyLike, sigma: ArrayLike, num_params: int, s: float, *, draws: int
) -> MeasuredGains:
    """Means of exact decompositions over draws of E, which come in pairs of E and -E.

    The pairs cancel the terms of odd order, whose means are 0 and whose spread is the largest. J is
    [diag(sigma), 0], which stands for any J with these singular values: the law of E does not
    change under rotations.

    Args:
      key: of the draws.
      sigma: [N], distinct singular values of J, from the largest.
      num_params: P, at least N.
      s: standard deviation of the entries.
      draws: pairs.

    Raises:
      InputError: as `second_order`; fewer than 2 pairs.
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
            # u_i is the i-th unit vector
            cosines = np.einsum("bii->bi", vectors) ** 2
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
    """C.2's claim on values for one perturbation, and what holds in its place. FALSE in general.

    Printed: sigma~_1 / sigma_1 <= sigma~_N / sigma_N, the largest value grows relatively less.
    Corrected, for the pair E and -E, whose mean is zero: the mean trace of K~ grows by exactly
    ||E||_F^2. `further` "top": the mean of sum_{i <= k} lambda~_i is at least sum_{i <= k}
    lambda_i for every k, since top-k sums are convex. Nothing follows for single small values.

    Args:
      J: [N, P] with a smallest singular value above 0.
      E: [N, P], J~ - J.

    Raises:
      InputError: matrices of different shapes, values that are not finite; a singular value of 0.
    """
    J = finite_array(J, "J", (None, None))
    E = finite_array(E, "E", J.shape)
    sigma, moved, back = (np.linalg.svd(A, compute_uv=False) for A in (J, J + E, J - E))
    if not sigma[-1] > 0:
        raise InputError("the smallest singular value of J is 0: its relative change is undefined")
    mean = (moved**2 + back**2) / 2
    return Sides(
        "C.2",
        mean.sum(),
        moved[-1] / sigma[-1],
        (sigma**2).sum() + (E**2).sum(),
        relation="==",
        printed_lhs=moved[0] / sigma[0],
        printed_relation="<=",
        further={
            "top": Bound(
                np.cumsum(mean), np.cumsum(sigma**2), ">=", tolerance=1e-12, scale=mean.sum()
            )
        },
        constants={"||E||_F^2": (E**2).sum()},
        tolerance=1e-12,
    )
