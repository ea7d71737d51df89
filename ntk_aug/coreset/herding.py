"""The examples whose mean stays near that of all: herding."""

import numpy as np

from ntk_aug.checks import check_count
from ntk_aug.coreset.similarity import Gradients, as_factors
from ntk_aug.coreset.subset import Subset


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
