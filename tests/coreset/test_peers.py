"""The objective beside those of the libraries that select by facility location."""

import numpy as np
import pytest

from benchmarks import coreset_peers
from ntk_aug import coreset


def softmax_gradients(seed, n):
    logits = 2 * np.random.default_rng(seed).standard_normal((n, 6))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities - np.eye(6)[0]


def lengths_apart(seed, n):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 5)) * np.exp(2 * rng.standard_normal((n, 1)))


def near_ties(seed, n):
    """Each point and nearly its mirror image: float32 cannot say which of them is first."""
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((n // 2, 3))
    return np.concatenate([half, -half * (1 + 1e-8 * rng.standard_normal((n // 2, 1)))])


CASES = [(softmax_gradients, 150, 15), (softmax_gradients, 60, 45), (lengths_apart, 120, 40)]
PEERS = [
    pytest.param(
        "submodlib",
        # It asks for scipy's old names.
        marks=pytest.mark.filterwarnings("ignore:Please import.*:DeprecationWarning"),
    ),
    "apricot",
    "numpy, lazy",
]


def selected_by(peer, gradients, k):
    if peer in ("submodlib", "apricot"):
        pytest.importorskip(peer)
    selected = coreset_peers.PEERS[peer](coreset_peers.similarity(gradients), k)
    assert len(set(selected)) == k
    return selected


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(("make", "n", "k"), CASES)
def test_the_objective_is_that_of_the_peer(peer, make, n, k):
    gradients = make(0, n)
    selected = selected_by(peer, gradients, k)
    found = coreset.facility_location(gradients, count=k)
    expected = coreset_peers.objective(gradients, selected)
    assert coreset_peers.objective(gradients, found.indices) == pytest.approx(expected, rel=1e-6)
    assert found.objective == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("peer", PEERS)
def test_near_ties_may_fall_otherwise_and_leave_the_objective(peer):
    gradients = near_ties(1, 100)
    selected = selected_by(peer, gradients, 20)
    found = coreset.facility_location(gradients, count=20)
    assert found.objective == pytest.approx(coreset_peers.objective(gradients, selected), rel=1e-6)


def test_near_ties_do_fall_otherwise():
    gradients = near_ties(1, 100)
    selected = selected_by("numpy, lazy", gradients, 20)
    assert selected != coreset.facility_location(gradients, count=20).indices.tolist()
