"""Facts F5 and F6, and the exact second moments of SGD on weighted least squares.

There are M weighted records: L = sum_m w_m l_m = (1/M) sum_m L_m with L_m = M w_m l_m. Each step of
SGD draws m uniformly and moves by -eta grad L_m, without momentum or decay. beta is the smoothness
of the L_m, Lam that of L, and alpha the PL constant of L: ||grad L||^2 >= alpha L. (The more common
definition has a factor 1/2 on the left, and half of this constant.)
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float, Float64
from ntk_aug.checks import check_count
from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import ArrayLike, finite_array, number_in
from ntk_aug.theory.sides import Assumptions, Bound, Sides

INTERPOLATION_TOLERANCE = 1e-9
"""Largest residual that counts as interpolation, relative to the largest target or output."""

RANK_TOLERANCE = np.finfo(np.float64).eps
"""Singular values below this times the largest times the longer side count as 0."""

# The second moment rounds in proportion to its first value: a loss below 1e-14 of the first loss is
# noise, and so is a gradient below 1e-7 of the first. These are scales for a tolerance of 1e-9:
ROUNDING_OF_LOSS, ROUNDING_OF_GRADIENT = 1e-5, 1e2


class Moments(NamedTuple):
    """Expectations over the draws of SGD, at steps 0 .. T.

    Attributes:
      loss: E L(W^t).
      squared_gradient: E ||grad L(W^t)||^2.
      least_gradient: a lower bound of E ||grad L(W^t)||, exact at t = 0. It is ||E grad L||, or
        E ||grad L||^2 / (Lam ||W^0 - W*||) where this is larger. The latter holds for
        eta <= 2 / beta and interpolated records: no step then leads away from the minimiser W*.
    """

    loss: Float64[np.ndarray, " steps"]
    squared_gradient: Float64[np.ndarray, " steps"]
    least_gradient: Float64[np.ndarray, " steps"]


@dataclass(frozen=True)
class WeightedLeastSquares:
    """The loss L(W) = sum_m w_m ||W'x_m - y_m||^2 / 2 and its constants.

    Attributes:
      X: records x_m.
      Y: targets y_m.
      w: weights w_m, at least 0.
      W0: initial weights of SGD.
    """

    X: Float64[np.ndarray, "M d"]
    Y: Float64[np.ndarray, "M C"]
    w: Float64[np.ndarray, " M"]
    W0: Float64[np.ndarray, "d C"]

    @classmethod
    def from_arrays(cls, X: Any, Y: Any, w: Any, W0: Any) -> "WeightedLeastSquares":
        """Checks arrays; with one output, Y may be [M] and W0 [d].

        Raises InputError if the shapes do not match, a value is not finite, or weights are negative
        or all 0.
        """
        X = finite_array(X, "X", (None, None))
        Y = _as_columns(Y, "Y", len(X), None)
        w = finite_array(w, "w", (len(X),))
        W0 = _as_columns(W0, "W0", X.shape[1], Y.shape[1])
        if w.min() < 0 or w.max() == 0:
            raise InputError(
                f"w ranges from {w.min():g} to {w.max():g}, expected at least 0, not all 0"
            )
        return cls(X, Y, w, W0)

    @cached_property
    def H(self) -> Float64[np.ndarray, "d d"]:
        """The Hessian sum_m w_m x_m x_m', the same for each output."""
        return (self.X.T * self.w) @ self.X

    @cached_property
    def eigenvalues(self) -> Float64[np.ndarray, " rank"]:
        """The non-zero eigenvalues of the Hessian, ascending.

        They are squares of singular values, which resolve eigenvalues down to 1e-30 of the largest.
        """
        values = np.linalg.svd(np.sqrt(self.w)[:, None] * self.X, compute_uv=False)[::-1]
        return values[values > RANK_TOLERANCE * max(self.X.shape) * values[-1]] ** 2

    @property
    def Lam(self) -> float:
        """Smoothness of L: the largest eigenvalue of the Hessian."""
        return float(self.eigenvalues.max(initial=0))

    @property
    def alpha(self) -> float:
        """The largest PL constant: twice the smallest non-zero eigenvalue.

        Raises InputError if all eigenvalues are 0.
        """
        if not self.Lam > 0:
            raise InputError("every record is 0 or has the weight 0, expected one that is not")
        return float(2 * self.eigenvalues[0])

    @property
    def beta(self) -> float:
        """Smoothness of the L_m: the largest M w_m ||x_m||^2."""
        return float(len(self.w) * (self.w * (self.X**2).sum(axis=1)).max())

    @cached_property
    def solution(self) -> Float64[np.ndarray, "d C"]:
        """The minimiser of L with the least norm."""
        return self._least_norm(self.Y)

    @cached_property
    def to_nearest(self) -> Float64[np.ndarray, "d C"]:
        """W^0 - W* for the minimiser W* nearest to W^0.

        It is computed from the residuals at W^0, so it stays accurate if SGD starts near W*.
        """
        return self._least_norm(self.X @ self.W0 - self.Y)

    def _least_norm(self, targets):
        root = np.sqrt(self.w)[:, None]
        return np.linalg.lstsq(root * self.X, root * targets, rcond=None)[0]

    @property
    def interpolation_residual(self) -> float:
        """Largest residual at the solution, over records with w > 0, relative to the outputs."""
        used = self.w > 0
        residuals = np.abs(self.X @ self.solution - self.Y)[used].max()
        scale = max(np.abs(self.Y).max(), np.abs(self.X @ self.W0).max())
        return float(residuals / scale) if scale else 0.0

    def loss(self, W: Float[np.ndarray, "d C"]) -> float:
        """L(W)."""
        return float(self.w @ ((self.X @ W - self.Y) ** 2).sum(axis=1) / 2)

    def gradient(self, W: Float[np.ndarray, "d C"]) -> Float64[np.ndarray, "d C"]:
        """The gradient of L at W."""
        return self.X.T @ (self.w[:, None] * (self.X @ W - self.Y))

    def moments(self, eta: float, steps: int) -> Moments:
        """Computes exact expectations for t = 0 .. steps, with step size eta >= 0.

        With D = W - W*, A = E D D' and r_m the residuals of record m, one step maps A to
            A - eta (H A + A H) + (1/M) sum_m (eta M w_m)^2 E||r_m||^2 x_m x_m'.
        Then E L = L(W*) + tr(H A) / 2 and E ||grad L||^2 = tr(H^2 A). W* is the minimiser nearest
        to W^0. Raises InputError if eta or steps is negative, or SGD diverges beyond float64.
        """
        eta, steps = number_in(eta, "eta", 0), check_count(steps, 10**6, "steps", minimum=0)
        H, X, D = self.H, self.X, self.to_nearest
        misfit = X @ D - (X @ self.W0 - self.Y)
        least = float(self.w @ (misfit**2).sum(axis=1) / 2)
        squares = (eta * len(self.w) * self.w) ** 2 / len(self.w)
        mean, A = D, D @ D.T
        H2 = H @ H
        found = []
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps + 1):
                found.append(((H * A).sum() / 2, (H2 * A).sum(), np.linalg.norm(H @ mean)))
                errors = (misfit - 2 * X @ mean) * misfit
                residuals = ((X @ A) * X).sum(axis=1) + errors.sum(axis=1)
                moved = H @ A
                A = A - eta * (moved + moved.T) + (X.T * (squares * residuals)) @ X
                mean = mean - eta * (H @ mean)
        if not np.isfinite(found).all():
            raise InputError(f"SGD diverges beyond float64 with eta {eta:.6g} in {steps} steps")
        loss, gradient, of_mean = np.maximum(np.array(found).T, 0)
        longest = self.Lam * np.linalg.norm(D)
        contracts = eta * self.beta <= 2 * (1 + 1e-12)
        if contracts and longest > 0 and self.interpolation_residual < INTERPOLATION_TOLERANCE:
            of_mean = np.maximum(of_mean, gradient / longest)
        return Moments(least + loss, gradient, of_mean)


def _as_columns(values, what, rows, columns):
    """Checks values [rows, columns], or [rows] for one column."""
    try:
        single = np.ndim(values) == 1
    except ValueError:  # rows of different lengths, which finite_array reports
        single = False
    if single:
        return finite_array(values, what, (rows,))[:, None]
    return finite_array(values, what, (rows, columns))


def check_descent(
    problem: WeightedLeastSquares, assumptions: Assumptions, alpha: float | None, eta: float | None
) -> tuple[float, float]:
    """Checks the assumptions of F6 and returns (alpha, eta).

    None stands for the largest PL constant, and for the largest step size that F6 allows,
    alpha / (2 Lam beta).
    """
    alpha = problem.alpha if alpha is None else number_in(alpha, "alpha", 0, above=True)
    assumptions.check("PL", "alpha, at most twice the least eigenvalue", alpha, "<=", problem.alpha)
    text, residual = "residual of the best weights", problem.interpolation_residual
    assumptions.check("interpolation", text, residual, "<=", 0, tolerance=INTERPOLATION_TOLERANCE)
    limit = alpha / (2 * problem.Lam * problem.beta)
    eta = limit if eta is None else number_in(eta, "eta", 0, above=True)
    assumptions.check("eta", f"eta in (0, {limit:.6g}]", eta, "<=", limit)
    return alpha, eta


def fact_5(problem: WeightedLeastSquares, W: ArrayLike) -> Sides:
    """F5: ||grad h||^2 <= 2 beta h for h >= 0 with a beta-Lipschitz gradient. HOLDS.

    The sides are arrays [M + 1]: every component L_m with its smoothness M w_m ||x_m||^2, then L
    with Lam.

    Args:
      problem: weighted least squares of M records.
      W: [d, C], weights of the model.

    Raises:
      InputError: W has another shape, or a value that is not finite.
    """
    W = finite_array(W, "W", problem.W0.shape)
    M, residuals = len(problem.w), problem.X @ W - problem.Y
    lengths = (problem.X**2).sum(axis=1)
    scaled = M * problem.w
    squares = scaled**2 * lengths * (residuals**2).sum(axis=1)
    losses = scaled * (residuals**2).sum(axis=1) / 2
    of_all = np.linalg.norm(problem.gradient(W)) ** 2
    return Sides(
        "F5",
        np.append(squares, of_all),
        None,
        np.append(2 * scaled * lengths * losses, 2 * problem.Lam * problem.loss(W)),
        constants={"Lam": problem.Lam, "beta": problem.beta},
        tolerance=1e-9,
    )


def fact_6(
    problem: WeightedLeastSquares,
    *,
    steps: int = 200,
    alpha: float | None = None,
    eta: float | None = None,
    drop: Collection[str] = (),
) -> Sides:
    """F6: E L(W^t) <= (1 - alpha eta / 2)^t L(W^0) for 0 < eta <= alpha / (2 Lam beta). FALSE.

    This corrected form follows from E L(W^{t+1}) <= (1 - eta alpha + Lam beta eta^2) L and F5. The
    printed form, step (28) as a bound of the loss, has the step size alpha / (Lam beta), with which
    that factor is 1: there is no contraction. `further` "rate" is alpha eta / 2 <= 1.

    Args:
      problem: weighted least squares that some weights interpolate.
      steps: T; the sides are arrays [T + 1].
      alpha: PL constant; defaults to the largest.
      eta: step size; defaults to the largest allowed.
      drop: see `Assumptions`; "PL", "interpolation" and "eta".

    Raises:
      InputError: a number is out of range.
      AssumptionError: alpha or eta is too large (the message names the interval), or no weights
        interpolate.
    """
    assumptions = Assumptions(drop)
    alpha, eta = check_descent(problem, assumptions, alpha, eta)
    t = np.arange(steps + 1)
    start = problem.loss(problem.W0)
    printed_eta = alpha / (problem.Lam * problem.beta)
    return Sides(
        "F6",
        problem.moments(eta, steps).loss,
        contraction(alpha, printed_eta) ** t * start,
        contraction(alpha, eta) ** t * start,
        printed_lhs=problem.moments(printed_eta, steps).loss,
        further={"rate": Bound(alpha * eta / 2, 1.0)},
        assumptions=assumptions.finish(),
        constants=constants_of(problem, alpha, eta),
        tolerance=1e-9,
        scale=ROUNDING_OF_LOSS * start,
    )


def contraction(alpha: float, eta: float) -> float:
    """1 - alpha eta / 2, or 0 if the printed step size makes it negative."""
    return max(1 - alpha * eta / 2, 0.0)


def constants_of(problem: WeightedLeastSquares, alpha: float, eta: float) -> dict[str, float]:
    """The constants of a statement on SGD, by symbol."""
    return {"Lam": problem.Lam, "beta": problem.beta, "alpha": alpha, "eta": eta}
