"""Baseline selectors: herding, greedy k-center, largest scores, and random."""

import numpy as np

from ntk_aug.aliases import Array, Float, KeyLike
from ntk_aug.checks import check_count, check_finite_rows
from ntk_aug.coreset.gradient_factors import Gradients, as_factors
from ntk_aug.coreset.subset import Subset
from ntk_aug.randomness import generator


def herd(gradients: Gradients, count: int) -> Subset:
    """Repeatedly selects the example that brings the selected mean closest to the mean of all.

    With s the sum of the t - 1 selected so far and m the mean of all, the t-th example minimises
    ||m - (s + g) / t||. Times t^2 and up to a constant that is ||g||^2 - 2 t <m, g> + 2 <s, g>;
    each step adds one row of inner products to <s, g>. Ties go to the first example.

    Args:
      gradients: [n, P], or factors of them; or proxies of gradients.
      count: k.

    Returns:
      Weights are n / k each. Gains are decreases of the distance between the two means (the mean of
      none is zero), negative if every example increases it.

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
    """Selects the example closest to the mean, then repeatedly the one farthest from the selected.

    The covering radius max_i min_{j in S} ||g_i - g_j|| is at most twice the smallest possible with
    k examples, for any first example; the most central one makes the result depend on the gradients
    alone. Ties go to the first example. Memory is that of the gradients. Arguments and errors are
    those of `herd`.

    Returns:
      Weights count the examples whose nearest selected one it is (the earliest on ties). Gains are
      the covering radius once the example is selected, which never increases.

    References:
      Gonzalez: Clustering to minimize the maximum intercluster distance, 1985. Sener, Savarese:
      Active learning for convolutional neural networks: a core-set approach, 2018.
    """
    factors = as_factors(gradients)
    n = len(factors)
    check_count(count, n, "count (examples to select)")
    mean = factors.combination(np.full(n, 1 / n))
    # ||g - mean||^2 up to a constant.
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
        # -1 for the selected, because duplicates of them are at distance 0.
        index = int(np.argmax(np.where(selected, -1, nearest)))
    return Subset(indices, np.bincount(assignment, minlength=count).astype(np.float64), radii)


def largest_scores(scores: Float[Array, " n"], count: int) -> Subset:
    """Selects the examples with the largest scores, in decreasing order; ties go to the first.

    Weights are n / k each; gains are the scores. Raises InputError for a count out of range, or
    scores that are not finite.
    """
    scores = np.asarray(scores, np.float64)
    check_finite_rows(scores, "scores")
    check_count(count, len(scores), "count (examples to select)")
    indices = np.argsort(-scores, kind="stable")[:count]
    return Subset(indices, np.full(count, len(scores) / count), scores[indices])


def random_subset(key: KeyLike, n: int, count: int) -> Subset:
    """Draws `count` of n examples without replacement; raises InputError if out of range."""
    check_count(count, n, "count (examples to select)")
    return Subset(generator(key).choice(n, count, replace=False).astype(np.int64))
