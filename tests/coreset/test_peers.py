"""Objectives beside those of other libraries on the same similarity; the extra `bench` has them."""

import warnings

import numpy as np
import pytest
from helpers import random_gradients, softmax_gradients

from benchmarks import coreset as benchmark
from benchmarks import coreset_peers
from ntk_aug import coreset

MODULES = {"submodlib": "submodlib", "apricot": "apricot", "numpy lazy": "numpy"}


def mirrored(seed, n):
    """Half of the gradients, and their mirror images at almost the same distances from the rest."""
    half = np.random.default_rng(seed).standard_normal((n // 2, 4))
    return np.concatenate([half, -half * (1 + 1e-7)])


@pytest.mark.parametrize("make", [random_gradients, softmax_gradients, mirrored])
@pytest.mark.parametrize(("n", "k"), [(40, 4), (300, 90)])
@pytest.mark.parametrize("peer", coreset_peers.PEERS)
def test_the_objective_is_that_of_other_libraries(peer, make, n, k):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and others, while they are imported
        pytest.importorskip(MODULES[peer])
    classes = [coreset.GradientFactors(make(0, n))]
    ours = coreset.facility_location(classes[0], count=k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        selected = coreset_peers.PEERS[peer](coreset_peers.similarity(classes[0]), k)
    assert len(set(selected)) == k
    theirs = coreset_peers.objective(classes, [selected])
    assert ours.objective == pytest.approx(
        coreset_peers.objective(classes, [ours.indices]), rel=1e-12
    )
    assert theirs == pytest.approx(ours.objective, rel=1e-6)


def test_the_benchmark_compares_what_it_says():
    case = coreset_peers.Case(3, 20, 4, (0.1, 0.5), paper=(7.0, 8.0))
    options = benchmark.Options(peers=("numpy lazy",), repeats=1)
    results = benchmark.compare("tiny", case, options)
    assert [(r["fraction"], r["method"]) for r in results] == [
        (fraction, method) for fraction in (0.1, 0.5) for method in ("ours", "numpy lazy")
    ]
    for result in results:
        # Of two examples that have only each other, either gains as much: then ways part.
        assert result["objective_ratio"] == pytest.approx(1, rel=1e-4)
        assert result["ratio"] > 0
    assert results[0]["ratio"] == 1
    assert results[0]["paper_ratio"] == pytest.approx(7.0 / results[0]["seconds"])
