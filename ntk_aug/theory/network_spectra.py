"""Singular values of a network's Jacobian: their shifts under augmentation, and for a coreset."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Float64
from ntk_aug.checks import check_count, check_kernel
from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import ArrayLike, finite_array, weighted_subset


class Shifts(NamedTuple):
    """Shifts of singular values over draws of an augmentation.

    Attributes:
      sigma: singular values of J, descending.
      delta: sigma~_i - sigma_i, paired by rank.
      e: ||E|| of each draw.
    """

    sigma: Float64[np.ndarray, " N"]
    delta: Float64[np.ndarray, "draws N"]
    e: Float64[np.ndarray, " draws"]

    @property
    def share_decreased(self) -> Float64[np.ndarray, " N"]:
        """Share of the draws in which a value decreases, an estimate of p_i."""
        return (self.delta < 0).mean(axis=0)

    @property
    def relative(self) -> Float64[np.ndarray, "draws N"]:
        """The shifts divided by ||E||, in [-1, 1]; 0 where E = 0."""
        e = np.broadcast_to(self.e[:, None], self.delta.shape)
        return np.divide(self.delta, e, out=np.zeros_like(self.delta), where=e > 0)

    @property
    def second_moment_ratio(self) -> float:
        """Mean of delta^2 / (e^2 / 3), which is 1 under the law of Lemma 4.1."""
        return float((3 * self.relative**2).mean())


def measure_shifts(J: ArrayLike, augmented: Sequence[ArrayLike]) -> Shifts:
    """Measures the shifts of singular values for which Lemma 4.1 assumes a law.

    Values come from the smaller of J J' and J'J in float64, so values below 1e-7 of the largest are
    rounding errors.

    Args:
      J: [N, P].
      augmented: one Jacobian [N, P] per draw.

    Raises:
      InputError: there are no draws, the shapes differ, or a value is not finite.
    """
    J = finite_array(J, "J", (None, None))
    if not len(augmented):
        raise InputError("there are no draws of the augmentation, expected at least 1")
    sigma = _gram_values(J)
    moved, norms = [], []
    for number, draw in enumerate(augmented):
        draw = finite_array(draw, f"draw {number}", J.shape)
        moved.append(_gram_values(draw) - sigma)
        norms.append(_gram_values(draw - J)[0])
    return Shifts(sigma, np.stack(moved), np.array(norms))


def _gram_values(J):
    return _roots(J @ J.T if J.shape[0] <= J.shape[1] else J.T @ J)


def _roots(gram):
    """Roots of the eigenvalues of a positive semidefinite matrix, descending."""
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0))


class CoresetSpectra(NamedTuple):
    """Singular values of the Jacobians of subsets, descending, at one set of network weights.

    Attributes:
      coreset: values of J_S.
      weighted: values of sqrt(Gamma) J_S.
      random: values of random subsets of the same size.
      everything: values of all examples.
    """

    coreset: Float64[np.ndarray, " kC"]
    weighted: Float64[np.ndarray, " kC"]
    random: Float64[np.ndarray, "draws kC"]
    everything: Float64[np.ndarray, " nC"]

    def compared(self) -> dict[str, dict[str, float]]:
        """Compares the largest, smallest and root mean square value with the random subsets'.

        `random_smaller` is the share of random subsets with a smaller value; 1/2 is no difference.
        """
        summaries: dict[str, Callable] = {
            "largest": lambda values: values[..., 0],
            "smallest": lambda values: values[..., -1],
            "root mean square": lambda values: np.sqrt((values**2).mean(axis=-1)),
        }

        def compare(own, random):
            return {
                "coreset": float(own),
                "random_mean": float(random.mean()),
                "random_std": float(random.std()),
                "random_smaller": float((random < own).mean()),
            }

        return {name: compare(f(self.coreset), f(self.random)) for name, f in summaries.items()}


def coreset_spectra(
    kernel: ArrayLike,
    num_examples: int,
    subset: ArrayLike,
    gamma: ArrayLike,
    random_subsets: Sequence[ArrayLike],
) -> CoresetSpectra:
    """Computes singular values of the Jacobians of a coreset, random subsets and all examples.

    The text of B.3 says that a coreset's Jacobian has large values; the lemma is only about the
    largest. All values come from one kernel, because J_S J_S' is K at the rows of S.

    Args:
      kernel: [n C, n C], K of all examples, with rows i C + c.
      num_examples: n.
      subset: [k], indices of the coreset.
      gamma: [k], weights of the coreset.
      random_subsets: subsets of k indices each.

    Raises:
      InputError: the kernel's side is not a multiple of n, an index is out of range or repeated, or
        a random subset has another size.
    """
    kernel = check_kernel(kernel).astype(np.float64)
    n = check_count(num_examples, len(kernel), "num_examples")
    if len(kernel) % n:
        raise InputError(f"the kernel has {len(kernel)} rows, expected a multiple of {n} examples")
    chosen = weighted_subset(subset, gamma, n)
    k, C = len(chosen.indices), len(kernel) // n
    if not len(random_subsets):
        raise InputError("there are no random subsets, expected at least 1")
    drawn = [weighted_subset(some, np.ones(k), n).indices for some in random_subsets]

    def values(places, weights=None):
        rows = (places[:, None] * C + np.arange(C)).ravel()
        part = kernel[np.ix_(rows, rows)]
        if weights is not None:
            root = np.sqrt(np.repeat(weights, C))
            part = root[:, None] * part * root
        return _roots(part)

    return CoresetSpectra(
        values(chosen.indices),
        values(chosen.indices, chosen.gamma),
        np.stack([values(places) for places in drawn]),
        values(np.arange(n)),
    )
