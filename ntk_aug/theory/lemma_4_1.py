"""Lemma 4.1, Eq. (1)-(15): the mean eigenvalue after augmentation, in the paper's model.

The model: delta = sigma~ - sigma has density p / e on [-e, 0) and (1 - p) / e on [0, e], where
e = ||E|| is fixed and p is the probability that the singular value decreases.
"""

from typing import NamedTuple

import jax
import numpy as np

from ntk_aug.aliases import Float64, KeyLike
from ntk_aug.checks import check_count
from ntk_aug.randomness import as_key
from ntk_aug.theory.arrays import number_in
from ntk_aug.theory.sides import Assumptions, Bound, Sides


class ShiftMoments(NamedTuple):
    """Moments of delta and of lambda~ = (sigma + delta)^2.

    Attributes:
      first: E delta = (1 - 2p) e / 2, Eq. (5).
      second: E delta^2 = e^2 / 3, Eq. (9).
      third: E delta^3 = (1 - 2p) e^3 / 4.
      fourth: E delta^4 = e^4 / 5.
      eigenvalue: E lambda~ = sigma^2 + sigma (1 - 2p) e + e^2 / 3, Eq. (15).
      eigenvalue_variance: sigma^2 e^2 (4/3 - (1 - 2p)^2) + sigma (1 - 2p) e^3 / 3 + 4 e^4 / 45.
    """

    first: float
    second: float
    third: float
    fourth: float
    eigenvalue: float
    eigenvalue_variance: float


def shift_moments(sigma: float, e: float, p: float) -> ShiftMoments:
    """Computes the moments for sigma >= 0, half-width e >= 0 and probability p, in closed form.

    Raises:
      InputError: a number is out of its range.
    """
    sigma, e, p = _checked(sigma, e, p)
    q = 1 - 2 * p
    variance = sigma**2 * e**2 * (4 / 3 - q**2) + sigma * q * e**3 / 3 + 4 * e**4 / 45
    mean = sigma**2 + sigma * q * e + e**2 / 3
    return ShiftMoments(q * e / 2, e**2 / 3, q * e**3 / 4, e**4 / 5, mean, variance)


def draw_shifts(key: KeyLike, e: float, p: float, count: int) -> Float64[np.ndarray, " count"]:
    """Draws `count` independent deltas, Eq. (1), for half-width e >= 0 and probability p.

    Raises:
      InputError: a number is out of its range.
    """
    _, e, p = _checked(0.0, e, p)
    count = check_count(count, 2**31, "count (draws)")
    with jax.enable_x64(True):
        sign, size = jax.random.uniform(as_key(key), (2, count), np.float64)
    return np.where(np.asarray(sign) < p, -e, e) * np.asarray(size)


def lemma_4_1(sigma: float, e: float, p: float) -> Sides:
    """Lemma 4.1: E lambda~ = sigma^2 + sigma (1 - 2p) e + e^2 / 3. SILENT: sigma >= e.

    The algebra is exact, but for sigma < e the law gives probability p (e - sigma) / e to
    sigma + delta < 0, which no singular value can be. The corrected form draws decreases from
    U[-sigma, 0) there:
        E lambda~ = sigma^2 + sigma (-p m + (1 - p) e) + (p m^2 + (1 - p) e^2) / 3,
    with m = min(sigma, e). Both sides hold in the model alone: real singular values do not follow
    this law (see `measure_shifts`). The left side integrates the density by quadrature.

    Args:
      sigma: singular value, at least 0.
      e: half-width of the law, at least 0.
      p: probability of a decrease, in [0, 1].

    Raises:
      InputError: a number is out of its range.
    """
    sigma, e, p = _checked(sigma, e, p)
    lowest = min(sigma, e)
    assumptions = Assumptions()
    assumptions.check("sigma >= e", "the singular value", sigma, ">=", e, silent=True)
    nodes, weights = np.polynomial.legendre.leggauss(2)  # exact for the square
    down = (sigma - lowest / 2 + lowest / 2 * nodes) ** 2 @ weights / 2
    up = (sigma + e / 2 + e / 2 * nodes) ** 2 @ weights / 2
    mean = p * down + (1 - p) * up
    negative = p * (e - sigma) / e if sigma < e else 0.0
    step = -p * lowest + (1 - p) * e
    return Sides(
        "4.1",
        mean,
        shift_moments(sigma, e, p).eigenvalue,
        sigma**2 + sigma * step + (p * lowest**2 + (1 - p) * e**2) / 3,
        relation="==",
        further={"Weyl": Bound(mean, (sigma + e) ** 2)},
        assumptions=assumptions.finish(),
        constants={"sigma": sigma, "e": e, "p": p, "mass below 0": negative},
        tolerance=1e-12,
        scale=(sigma + e) ** 2,
    )


def _checked(sigma, e, p):
    return (
        number_in(sigma, "sigma", 0),
        number_in(e, "e (half-width of the law)", 0),
        number_in(p, "p (probability of a decrease)", 0, 1),
    )
