"""The distance between the weighted gradients of a subset and those of all examples."""

import numpy as np
from scipy import sparse

from ntk_aug.aliases import Array, Float, Float64, Int, KeyLike, Labels
from ntk_aug.checks import check_at_least, check_labels, check_same_shape
from ntk_aug.coreset.gradient_factors import GradientFactors, Gradients, as_factors
from ntk_aug.coreset.subset import places_by_class
from ntk_aug.errors import InputError
from ntk_aug.randomness import generator


def gradient_error(
    gradients: Gradients,
    indices: Int[Array, " k"],
    weights: Float[Array, " weights"] | Int[Array, " weights"],
) -> float:
    """||sum_i g_i - sum_j w_j g_j||, over all examples i and the selected ones j.

    Raises:
      InputError: gradients that are not finite, indices outside of them, weights of another shape.
    """
    factors = as_factors(gradients)
    indices, weights = np.asarray(indices, np.int64), np.asarray(weights, np.float64)
    check_same_shape(weights.shape, indices.shape, "the array of weights")
    check_indices(indices, len(factors))
    return error_of_checked(factors, indices, weights)


def error_of_checked(
    factors: GradientFactors,
    indices: Int[np.ndarray, " k"],
    weights: Float[np.ndarray, " k"] | Int[np.ndarray, " k"],
) -> float:
    """As `gradient_error`, for checked input."""
    difference = np.ones(len(factors))
    np.subtract.at(difference, indices, weights)
    return float(np.linalg.norm(factors.combination(difference)))


def error_estimate(gradients: Gradients, indices: Int[Array, " k"]) -> float:
    """sum_i min_{j in S} ||g_i - g_j||, a bound on the error with the weights of facility location.

    The bound holds down to float64's noise, a few 1e-7 sum_i ||g_i||: gradients closer than that
    share of their norm count as equal. It is infinite if nothing is selected. Raises InputError as
    `gradient_error`.
    """
    factors = as_factors(gradients)
    indices = np.asarray(indices, np.int64)
    check_indices(indices, len(factors))
    nearest = np.full(len(factors), np.inf)
    for _, distances in factors.distance_blocks(indices):
        np.minimum(nearest, distances.min(axis=0), out=nearest)
    return float(nearest.sum())


def random_gradient_errors(
    key: KeyLike,
    gradients: Gradients,
    labels: Labels,
    budgets: Int[Array, " classes"],
    *,
    draws: int = 100,
) -> Float64[np.ndarray, " draws"]:
    """The gradient errors of random subsets with given numbers of examples of each class.

    Compare another subset of the same size with them. Examples are drawn uniformly without
    replacement, and weigh size / budget of their class.

    Args:
      key: of the draws.
      gradients: [n, P], or factors of them; or proxies of gradients.
      labels: [n]; all zero to draw from all examples alike.
      budgets: examples of each class, at most its size; a class with 0 contributes its whole
        gradient.
      draws: the number of subsets.

    Raises:
      InputError: gradients that are not finite, labels outside of the budgets, a budget above the
        size of its class, no draws.
    """
    factors = as_factors(gradients)
    budgets = np.asarray(budgets, np.int64)
    labels = check_labels(labels, len(factors), len(budgets))
    check_at_least(draws, 1, "draws")
    sizes = np.bincount(labels, minlength=len(budgets))
    wrong = (budgets < 0) | (budgets > sizes)
    if wrong.any():
        number = int(np.argmax(wrong))
        raise InputError(
            f"the budget of class {number} is {budgets[number]}, expected 0 to {sizes[number]}"
        )
    members = places_by_class(labels, len(budgets))
    rng = generator(key)
    drawn = [
        rng.choice(own, budget, replace=False, shuffle=False)
        for _ in range(draws)
        for own, budget in zip(members, budgets, strict=True)
        if budget
    ]
    weights = np.tile(np.repeat(sizes / np.maximum(budgets, 1), budgets), draws)
    columns = np.concatenate([np.empty(0, np.int64), *drawn])
    entries = (weights, columns, budgets.sum() * np.arange(draws + 1))
    return _errors(factors, sparse.csr_array(entries, shape=(draws, len(factors))))


def check_indices(indices: Int[np.ndarray, " k"], n: int) -> None:
    """Raises InputError unless all are positions among n gradients."""
    outside = (indices < 0) | (indices >= n)
    if outside.any():
        raise InputError(
            f"index {indices[np.argmax(outside)]} is outside 0 .. {n - 1}, the gradients"
        )


def _errors(factors, chosen):
    """The error of each row of sparse weights; for two factors, by columns of the thinner one."""
    if factors.inner is None:
        return np.linalg.norm(factors.outer.sum(axis=0) - chosen @ factors.outer, axis=1)
    thin, thick = sorted((factors.outer, factors.inner), key=lambda factor: factor.shape[1])
    squares = np.zeros(chosen.shape[0])
    for column in thin.T:
        gradients = column[:, None] * thick
        squares += ((gradients.sum(axis=0) - chosen @ gradients) ** 2).sum(axis=1)
    return np.sqrt(squares)
