"""Facility location by the peers of `benchmarks.coreset`: one class, given its similarity."""

import functools
import heapq
import warnings

import numpy as np


def similarity(gradients: np.ndarray) -> np.ndarray:
    """The largest D minus D, float32 [n, n], from float64: what every peer is given."""
    squares = np.einsum("ij,ij->i", gradients, gradients)
    D = gradients @ gradients.T
    D *= -2
    D += squares
    D += squares[:, None]
    np.fill_diagonal(D, 0)
    np.sqrt(np.maximum(D, 0, out=D), out=D)
    return (D.max() - D).astype(np.float32)


def objective(gradients: np.ndarray, selected: np.ndarray) -> float:
    """sum_i max_{j in S} (max D - D_ij) in float64, from the distances and not from a method."""
    from scipy.spatial.distance import cdist

    nearest = np.full(len(gradients), np.inf)
    largest = 0.0
    for start in range(0, len(gradients), 500):
        distances = cdist(gradients[start : start + 500], gradients)
        largest = max(largest, float(distances.max()))
        nearest[start : start + 500] = distances[:, selected].min(axis=1)
    return float((largest - nearest).sum())


def numpy_lazy(S: np.ndarray, k: int) -> list[int]:
    """The textbook's lazy greedy: a heap of upper bounds, of which the largest is made exact."""
    best = np.zeros(len(S), S.dtype)
    heap = [(-float(bound), j) for j, bound in enumerate(S.sum(axis=0, dtype=np.float64))]
    heapq.heapify(heap)
    selected: list[int] = []
    while len(selected) < k:
        _, j = heapq.heappop(heap)
        gain = float(np.maximum(S[j] - best, 0).sum(dtype=np.float64))
        if not heap or gain >= -heap[0][0]:
            selected.append(j)
            np.maximum(best, S[j], out=best)
        else:
            heapq.heappush(heap, (-gain, j))
    return selected


def submodlib(S: np.ndarray, k: int) -> list[int]:
    """Its LazyGreedy, given the similarity."""
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(n=len(S), mode="dense", sijs=S, separate_rep=False)
    return _maximize(function, k)


def submodlib_own_kernel(gradients: np.ndarray, k: int) -> list[int]:
    """Its LazyGreedy with its own kernel, exp(-d / number of features): another objective."""
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(
        n=len(gradients),
        mode="dense",
        data=gradients,
        separate_rep=False,
        metric="euclidean",
    )
    return _maximize(function, k)


def _maximize(function, k):
    found = function.maximize(
        budget=k,
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        verbose=False,
        show_progress=False,
    )
    return [index for index, _ in found]


def apricot(S: np.ndarray, k: int) -> list[int]:
    """Its lazy greedy, given the similarity; it compiles in every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba, on the way it compiles
        from apricot import FacilityLocationSelection

        selector = FacilityLocationSelection(k, metric="precomputed", optimizer="lazy")
        return selector.fit(S).ranking.tolist()


def apricot_warm(S: np.ndarray, k: int) -> list[int]:
    """The same, where what the first call compiled is kept: its time without compilation."""
    from apricot.functions import facilityLocation as module  # noqa: N813

    factories = ("calculate_gains", "calculate_gains_sieve")
    own = {name: getattr(module, name) for name in factories}
    try:
        for name, factory in own.items():
            setattr(module, name, _kept(factory))
        return apricot(S, k)
    finally:
        for name, factory in own.items():
            setattr(module, name, factory)


_kept = functools.cache(functools.cache)  # of each factory, one cache for all calls

PEERS = {
    "submodlib": submodlib,
    "apricot": apricot,
    "apricot, warm": apricot_warm,
    "numpy, lazy": numpy_lazy,
}
"""From a name to the function (similarity, k) -> selected."""
