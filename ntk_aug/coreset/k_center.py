"""The examples from which none is far: greedy k-center."""

import numpy as np

from ntk_aug.checks import check_count
from ntk_aug.coreset.similarity import Gradients, as_factors
from ntk_aug.coreset.subset import Subset


def k_center_greedy(gradients: Gradients, count: int) -> Subset:
    """Selects the example nearest to the mean, then each time the one farthest from the selected.

    The covering radius max_i min_{j in S} ||g_i - g_j|| is at most twice the smallest that k
    examples can have, whatever the first is: the most central one makes the result depend on
    nothing but the gradients. Of equals the first is taken. Memory is that of the gradients.

    Args:
      gradients: [n, P], or factors of them; or proxies of gradients.
      count: k.

    Returns:
      Weights are the numbers of examples whose nearest selected one it is, the earliest on ties;
      gains are the covering radius once the example is in: they never increase.

    Raises:
      InputError: a count out of range, gradients that are not finite.

    References:
      Gonzalez: Clustering to minimize the maximum intercluster distance, 1985. Sener, Savarese:
      Active learning for convolutional neural networks: a core-set approach, 2018.
    """
    factors = as_factors(gradients)
    n = len(factors)
    check_count(count, n, "count (examples to select)")
    mean = factors.combination(np.full(n, 1 / n))
    # ||g - mean||^2 without the last term, which is the same for all.
    index = int(np.argmin(factors.squared_norms - 2 * factors.along(mean)))
    indices = np.empty(count, np.int64)
    radii = np.empty(count)
    assignment = np.zeros(n, np.int64)
    nearest = np.full(n, np.inf)
    selected = np.zeros(n, bool)
    for step in range(count):
        indices[step], selected[index] = index, True
        distances = factors.distances(np.array([index]))[0]
        nearer = distances < nearest
        assignment[nearer] = step
        nearest[nearer] = distances[nearer]
        radii[step] = nearest.max()
        # A duplicate of a selected one is at distance 0: selected ones are below that.
        index = int(np.argmax(np.where(selected, -1, nearest)))
    return Subset(indices, np.bincount(assignment, minlength=count).astype(np.float64), radii)
