"""Facility location by ours and by peers on the same gradients, for `benchmarks.coreset`."""

import heapq
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ntk_aug import coreset, data, models, training


class Case(NamedTuple):
    """Gradients of some classes, and what is selected.

    Attributes:
      classes: how many.
      size: examples of each.
      columns: of the logits.
      fractions: to select.
      width: of the last layer, for the gradients by its weights; 0: by the logits.
      peers: whether they are timed too.
      paper: seconds that Table 5 prints, for each of the fractions.
    """

    classes: int
    size: int
    columns: int
    fractions: tuple[float, ...]
    width: int = 0
    peers: bool = True
    paper: tuple[float, ...] = ()


CASES = {
    "one-class": Case(1, 5000, 10, (0.1, 0.3)),
    "one-class-weights": Case(1, 5000, 10, (0.1, 0.3), width=64),
    "tinyimagenet": Case(200, 500, 200, (0.1, 0.3, 0.5), paper=(7.85, 8.09, 8.17)),
    "caltech256": Case(257, 60, 257, (0.1, 0.3, 0.5), paper=(10.50, 10.52, 10.53)),
    "cifar10": Case(10, 5000, 10, (0.3,), peers=False),
    "imagenet": Case(1000, 1300, 64, (0.1,), peers=False),
    "large-class": Case(1, 100_000, 10, (0.01,), peers=False),
}
"""Shapes of data sets. ImageNet's gradients are those of a projection to 64 dimensions."""

Classes = Sequence[coreset.GradientFactors]
"""The gradients of each class."""


def synthetic_gradients(num_classes: int, size: int, columns: int, width: int = 0) -> Classes:
    """softmax(f) - y for random logits, in which the class itself is the more likely.

    Args:
      num_classes: to select from one by one.
      size: examples of each.
      columns: logits.
      width: of the last layer, whose weight gradients are taken; 0: logit gradients.
    """
    rng = np.random.default_rng(0)
    found = []
    for number in range(num_classes):
        logits = 2 * rng.standard_normal((size, columns))
        label = np.full(size, number % columns)
        logits[np.arange(size), label] += 4
        if width:
            inputs = np.maximum(rng.standard_normal((size, width)), 0)
            found.append(coreset.last_layer_weight_gradients(logits, inputs, label))
        else:
            found.append(coreset.last_layer_logit_gradients(logits, label))
    return found


def gradients_of(case: Case) -> Classes:
    """The gradients of a case."""
    return synthetic_gradients(case.classes, case.size, case.columns, case.width)


def real_gradients(name: str, case: Case) -> coreset.GradientFactors:
    """Gradients of the first examples of class 0 of a data set, under an MLP after one epoch."""
    train_set = data.load_dataset(name, "train")
    network = models.build_network("mlp", train_set.num_classes)
    trained = training.train(network, train_set, training.TrainingConfig(epochs=1))
    view = network.view(trained.params, trained.state)
    proxy = "last-layer-weight" if case.width else "last-layer-logit"
    examples = coreset.network_examples(view, train_set, proxy=proxy)
    return examples.gradients.take(np.flatnonzero(train_set.labels == 0)[: case.size])


def similarity(gradients: coreset.GradientFactors) -> np.ndarray:
    """Max distance - distance, in float32 as the peers take it."""
    distances = gradients.distances(slice(None))
    return (distances.max() - distances).astype(np.float32)


def joined(classes: Classes) -> tuple[coreset.GradientFactors, np.ndarray]:
    """All gradients and the number of the class of each, as a labelled data set has them."""
    inner = [own.inner for own in classes if own.inner is not None]
    outer = np.concatenate([own.outer for own in classes])
    factors = coreset.GradientFactors(outer, np.concatenate(inner) if inner else None)
    return factors, np.repeat(np.arange(len(classes)), [len(own) for own in classes])


def select_ours(
    factors: coreset.GradientFactors, labels: np.ndarray, fraction: float, **options
) -> coreset.ClassSelection:
    """From gradients to weights."""
    return coreset.facility_location_per_class(factors, labels, fraction=fraction, **options)


def select_submodlib(S: np.ndarray, k: int) -> list[int]:
    """LazyGreedy of submodlib, given the similarity."""
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(n=len(S), mode="dense", sijs=S, separate_rep=False)
    return [index for index, _ in _maximized(function, k)]


def select_submodlib_from_gradients(gradients: np.ndarray, k: int) -> list[int]:
    """The same with its own kernel, exp(-distance / columns): another objective."""
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(
        n=len(gradients), mode="dense", data=gradients, metric="euclidean", separate_rep=False
    )
    return [index for index, _ in _maximized(function, k)]


def _maximized(function, k):
    return function.maximize(
        budget=k,
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        verbose=False,
        show_progress=False,
    )


def select_apricot(S: np.ndarray, k: int) -> list[int]:
    """Lazy greedy of apricot, given the similarity."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba, about how apricot calls it
        from apricot import FacilityLocationSelection

        selection = FacilityLocationSelection(k, metric="precomputed", optimizer="lazy")
        return selection.fit(S.astype(np.float64)).ranking.tolist()


def select_numpy_lazy(S: np.ndarray, k: int) -> list[int]:
    """The textbook's lazy greedy: a heap of bounds; a gain is computed when it is on top."""
    best = np.zeros(len(S), S.dtype)
    heap = [(-gain, index, -1) for index, gain in enumerate(S.sum(axis=0, dtype=np.float64))]
    heapq.heapify(heap)
    selected: list[int] = []
    while len(selected) < k:
        _, index, step = heapq.heappop(heap)
        if step == len(selected) or not selected:
            selected.append(index)
            np.maximum(best, S[index], out=best)
        else:
            gain = np.maximum(S[index] - best, 0).sum(dtype=np.float64)
            heapq.heappush(heap, (-gain, index, len(selected)))
    return selected


PEERS: dict[str, Callable[[np.ndarray, int], list[int]]] = {
    "submodlib": select_submodlib,
    "apricot": select_apricot,
    "numpy lazy": select_numpy_lazy,
}
"""From a peer to its selection of k, given the similarity."""


def objective(classes: Classes, selected: Sequence[Sequence[int]]) -> float:
    """F of all classes in float64, with each one's largest distance as constant."""
    total = 0.0
    for own, indices in zip(classes, selected, strict=True):
        largest = max(float(distances.max()) for _, distances in own.distance_blocks(_all(own)))
        total += len(own) * largest - coreset.error_estimate(own, np.array(indices))
    return total


def _all(gradients):
    return np.arange(len(gradients))
