"""Gradient matching: weighted gradients that sum to those of all, by matching pursuit."""

import numpy as np
from scipy.linalg import cholesky
from scipy.linalg.blas import dtpsv

from ntk_aug.checks import check_at_least, check_count
from ntk_aug.coreset.gradient_factors import GradientFactors, Gradients, as_factors
from ntk_aug.coreset.subset import Subset

DEFAULT_RIDGE = 0.5

# Rounding of a product or of the residual, relative to its first value.
_NOISE = 1e-12


def match_gradients(
    gradients: Gradients, count: int, *, ridge: float = DEFAULT_RIDGE, tolerance: float = 0.0
) -> Subset:
    """Selects examples, and weights of at least 0, that together give the sum of all gradients.

    The objective is E(w) = ||sum_i g_i - sum_j w_j g_j||^2 + ridge m ||w||^2, with m the mean of
    ||g_i||^2. Each step takes the example with the largest <g_j, residual>, along which E falls
    fastest, and solves for all weights; an example whose weight would be negative leaves the
    selection (Lawson and Hanson's rule for nonnegative least squares). E never increases. The
    selection ends at k examples, at a residual within the tolerance, or at the optimum, where no
    other example would lower E. Without a ridge the optimum needs at most as many examples as
    gradients have dimensions.

    Args:
      gradients: [n, P], or factors of them; or proxies of gradients.
      count: k, at most.
      ridge: penalty on the weights, as published but for m, which makes the selection independent
        of the gradients' unit.
      tolerance: stop once ||sum_i g_i - sum_j w_j g_j|| is at most this.

    Returns:
      The weights need not sum to n; a gain is the decrease of E when the example was selected.

    Raises:
      InputError: a count out of range, a negative ridge or tolerance, gradients that are not
        finite.

    References:
      Killamsetty, Durga, Ramakrishnan, De, Iyer: GRAD-MATCH: gradient matching based data subset
      selection for efficient deep model training, 2021. Lawson, Hanson: Solving least squares
      problems, 1974, chapter 23.
    """
    factors = as_factors(gradients)
    check_count(count, len(factors), "count (examples to select)")
    check_at_least(ridge, 0, "ridge")
    check_at_least(tolerance, 0, "tolerance")
    ridge *= float(factors.squared_norms.mean())
    target = factors.combination(np.ones(len(factors)))
    tolerance = max(tolerance, _NOISE * float(np.linalg.norm(target)))
    slopes = factors.along(target)
    least_slope = _NOISE * slopes.max()
    weights = _Weights(factors, slopes, ridge, count)
    residual, objective = target, float(np.vdot(target, target))
    gains: dict[int, float] = {}
    useless = np.zeros(len(factors), bool)
    while len(weights.selected) < count and np.linalg.norm(residual) > tolerance:
        slopes = np.where(useless, -np.inf, factors.along(residual))
        slopes[weights.selected] = -np.inf
        index = int(np.argmax(slopes))
        if slopes[index] <= least_slope:
            break
        useless[index] = not weights.add(index)
        own = factors.take(np.array(weights.selected, np.int64))
        residual = target - own.combination(weights.values)
        before, objective = objective, _objective(residual, weights.values, ridge)
        gains[index] = before - objective
    return Subset(
        np.array(weights.selected, np.int64),
        weights.values,
        np.array([gains[index] for index in weights.selected]),
    )


def _objective(residual, weights, ridge):
    return float(np.vdot(residual, residual) + ridge * np.vdot(weights, weights))


class _Weights:
    """The optimal weights of the selected, by a Cholesky factor that grows by a column each step.

    The factor R, with R' R the inner products of the selected plus the ridge, is packed by columns,
    so that appending copies nothing.
    """

    def __init__(self, factors: GradientFactors, along_target, ridge: float, count: int) -> None:
        self.selected: list[int] = []
        self.values = np.empty(0)
        self._factors, self._along_target, self._ridge = factors, along_target, ridge
        self._packed = np.empty(count * (count + 1) // 2)

    def add(self, index: int) -> bool:
        """Solves with one more example; returns False and changes nothing if rounding forbids it.

        That is an example that depends linearly on the selected, or would be the first to leave.
        """
        m = len(self.selected)
        products = self._factors.inner_products(index)
        square = products[index] + self._ridge
        column = self._solve_triangular(products[self.selected], transposed=True)
        rest = square - column @ column
        if rest <= _NOISE * square:
            return False
        start = m * (m + 1) // 2
        self._packed[start : start + m + 1] = np.append(column, np.sqrt(rest))
        self.selected.append(index)
        self.values = np.append(self.values, 0.0)
        self._solve()
        return index in self.selected

    def _solve(self):
        """Moves towards the optimal weights until one is zero, which leaves; repeats.

        At the start, only the last weight may be zero.
        """
        while True:
            right = self._along_target[self.selected]
            best = self._solve_triangular(self._solve_triangular(right, transposed=True))
            if (best > 0).all():
                self.values = best
                return
            shares = np.full(len(best), np.inf)
            falling = best <= 0
            shares[falling] = self.values[falling] / np.maximum(
                self.values[falling] - best[falling], np.finfo(float).tiny
            )
            self.values += shares.min() * (best - self.values)
            self._keep(np.flatnonzero((shares > shares.min()) & (self.values > 0)))

    def _keep(self, positions):
        m = len(positions)
        self.selected = [self.selected[position] for position in positions]
        self.values = self.values[positions]
        own = self._factors.take(np.array(self.selected, np.int64))
        factor = cholesky(own.inner_products(np.arange(m)) + self._ridge * np.eye(m))
        self._packed[: m * (m + 1) // 2] = factor.T[np.tril_indices(m)]

    def _solve_triangular(self, right, *, transposed=False):
        """R^-1 right, or R'^-1 right."""
        if not len(right):
            return right
        return dtpsv(len(right), self._packed, right, trans=int(transposed))
