"""Selectors to compare with: herding, greedy k-center, the largest scores, and chance."""

import numpy as np

from ntk_aug.aliases import Array, Float, KeyLike
from ntk_aug.checks import check_count, check_finite_rows
from ntk_aug.coreset.gradient_factors import Gradients, as_factors
from ntk_aug.coreset.subset import Subset
from ntk_aug.randomness import generator


def herd(gradients: Gradients, count: int) -> Subset:
    """Selects each time the example that brings the mean of the selected nearest to that of all.

    With s the sum of the t - 1 selected so far and m the mean of all, the t-th minimises
    ||m - (s + g) / t|| over those that are left. Times t^2, and without what is the same for all,
    that is ||g||^2 - 2 t <m, g> + 2 <s, g>, whose last term grows by one row of inner products a
    step. Of equals the first is taken.

    Args:
      gradients: [n, P], or factors of them; or proxies of gradients.
      count: k.

    Returns:
      Weights are n / k each; gains are how much nearer the mean of the selected came to that of all
      (of none, the mean is zero): negative where every example would have led away.

    Raises:
      InputError: a count out of range, gradients that are not finite.

    References:
      Welling: Herding dynamical weights to learn, 2009. Rebuffi, Kolesnikov, Sperl, Lampert: iCaRL:
      incremental classifier and representation learning, 2017 (this form of it).
    """
    factors = as_factors(gradients)
    n = len(factors)
    check_count(count, n, "count (examples to select)")
    mean = factors.combination(np.full(n, 1 / n))
    along_mean, along_sum = factors.along(mean), np.zeros(n)
    indices = np.empty(count, np.int64)
    distances = np.empty(count + 1)
    distances[0] = np.linalg.norm(mean)
    left = np.ones(n, bool)
    total = np.zeros_like(mean)
    for step in range(1, count + 1):
        costs = factors.squared_norms + 2 * (along_sum - step * along_mean)
        index = int(np.argmin(np.where(left, costs, np.inf)))
        indices[step - 1], left[index] = index, False
        along_sum += factors.inner_products(index)
        total += factors.take(np.array([index])).combination(np.ones(1))
        distances[step] = np.linalg.norm(mean - total / step)
    return Subset(indices, np.full(count, n / count), -np.diff(distances))


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


def largest_scores(scores: Float[Array, " n"], count: int) -> Subset:
    """Selects the examples with the largest scores, the largest first; of equals the first.

    Returns:
      Weights are n / k each; gains are the scores.

    Raises:
      InputError: a count out of range, scores that are not finite (the first is named).
    """
    scores = np.asarray(scores, np.float64)
    check_finite_rows(scores[:, None], "scores")
    check_count(count, len(scores), "count (examples to select)")
    indices = np.argsort(-scores, kind="stable")[:count]
    return Subset(indices, np.full(count, len(scores) / count), scores[indices])


def random_subset(key: KeyLike, n: int, count: int) -> Subset:
    """Draws `count` of n examples uniformly, without replacement.

    Raises:
      InputError: a count out of range.
    """
    check_count(count, n, "count (examples to select)")
    return Subset(generator(key).choice(n, count, replace=False).astype(np.int64))
