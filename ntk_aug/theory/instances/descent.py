"""Instances of the statements on SGD: F5, F6, 5.2, B.2, B.6."""

from collections.abc import Callable

import numpy as np

from ntk_aug.theory.descent import WeightedLeastSquares, fact_5, fact_6
from ntk_aug.theory.equation_44 import assign
from ntk_aug.theory.instances.gradients import linear_family
from ntk_aug.theory.instances.spectral import directions
from ntk_aug.theory.sides import Sides
from ntk_aug.theory.theorem_5_2 import theorem_5_2, theorem_b_2
from ntk_aug.theory.theorem_b_6 import theorem_b_6


def _problem(rng):
    M, d, C = rng.integers(2, 7), rng.integers(6, 12), rng.integers(1, 4)
    X = rng.standard_normal((M, d))
    Y, w = rng.standard_normal((M, C)), rng.uniform(0.1, 2, M)
    return WeightedLeastSquares.from_arrays(X, Y, w, rng.standard_normal((d, C)))


def f5_random(rng: np.random.Generator) -> Sides:
    """Weighted least squares with 2 to 6 records, at random weights of the model."""
    problem = _problem(rng)
    return fact_5(problem, rng.standard_normal(problem.W0.shape))


def f5_single_record() -> Sides:
    """One record: its loss is a parabola along its input, so F5 is an equality."""
    problem = WeightedLeastSquares.from_arrays([[2.0, 1.0]], [1.0], [3.0], [0.0, 0.0])
    return fact_5(problem, [[0.0], [0.0]])


def f6_random(rng: np.random.Generator) -> Sides:
    """Weighted least squares with fewer records than parameters, 200 steps."""
    return fact_6(_problem(rng))


def _orthonormal(d=4):
    """Every unit vector twice, targets 1, start 0: Lam = 2, alpha = 4, beta = 2 M = 16."""
    return WeightedLeastSquares.from_arrays(
        np.vstack([np.eye(d)] * 2), np.ones(2 * d), np.ones(2 * d), np.zeros(d)
    )


def f6_orthonormal() -> Sides:
    """CE-2: the printed step size never changes the loss; half of it gives equality."""
    return fact_6(_orthonormal(), steps=30)


def f6_without_pl() -> Sides:
    """Two directions of curvature 1 and 0.01, with the PL constant of the first claimed."""
    X, ones = np.diag([1.0, 0.1]), np.ones(2)
    problem = WeightedLeastSquares.from_arrays(X, ones, ones, np.zeros(2))
    return fact_6(problem, alpha=2.0, drop=("PL",))


def f6_without_interpolation() -> Sides:
    """One input with targets 1 and -1."""
    problem = WeightedLeastSquares.from_arrays([[1.0], [1.0]], [1.0, -1.0], np.ones(2), [3.0])
    return fact_6(problem, drop=("interpolation",))


def f6_without_eta() -> Sides:
    """CE-2 with the printed step size in the corrected form."""
    problem = _orthonormal()
    eta = problem.alpha / (problem.Lam * problem.beta)
    return fact_6(problem, steps=30, eta=eta, drop=("eta",))


def _regression(rng):
    """N = 6 examples in d = 14 and a random coreset of 2 with the weights of (44)."""
    n, k, d = 6, 2, 14
    X, W0 = rng.standard_normal((n, d)), rng.standard_normal((d, 1))
    Y = rng.standard_normal((n, 1))
    subset = rng.choice(n, size=k, replace=False)
    gamma = assign(X * (X @ W0 - Y), subset).gamma
    return X, Y, subset, gamma, W0


def t52_random(rng: np.random.Generator) -> Sides:
    """Six examples in 14 dimensions, a coreset of 2, eps0 up to 0.2, 200 steps."""
    X, Y, subset, gamma, W0 = _regression(rng)
    X_aug = X[subset] + directions(rng, 2, 14, 0.2 * rng.uniform())
    return theorem_5_2(X, Y, X_aug, subset, gamma, W0)


def b2_random(rng: np.random.Generator) -> Sides:
    """As `t52_random`, with the printed eps0 of Theorem B.2."""
    X, Y, subset, gamma, W0 = _regression(rng)
    eps0 = 1 / (np.linalg.norm(X[subset], 2) * np.sqrt(len(X)))
    X_aug = X[subset] + directions(rng, 2, 14, eps0 * rng.uniform())
    return theorem_b_2(X, Y, X_aug, subset, gamma, W0)


def _everything(d=4):
    """CE-2: orthonormal examples, eps0 = 0, the coreset is everything."""
    return np.eye(d), np.ones(d), np.eye(d), range(d), np.ones(d), np.zeros(d)


def t52_prefactor() -> Sides:
    """CE-1: one example x = 10, y = 1, its own coreset, alpha = 20 (at most 400): 20 > 4.472."""
    one = [[10.0]]
    return theorem_5_2(one, [1.0], one, [0], [1], [0.0], steps=30, alpha=20.0)


def t52_step_size() -> Sides:
    """CE-2: SGD never changes the loss, but the printed side tends to 0. Corrected: equality."""
    return theorem_5_2(*_everything(), steps=30)


def b2_step_size() -> Sides:
    """CE-2 of 5.2 applies for any constant in O(.), here a million times Lbar / sigma_max."""
    return theorem_b_2(*_everything(), steps=60, order_constant=1e6)


def b2_equality() -> Sides:
    """CE-2: the corrected form is an equality at all times."""
    return theorem_b_2(*_everything(), steps=30)


def _near(gamma=1.0):
    """One fitted example x = (1, 0), whose augmentation (1, 0.1) is not fitted."""
    return [[1.0, 0.0]], [0.0], [[1.0, 0.1]], [0], [gamma], [0.0, 1.0]


def _cancelling():
    """Two nearly equal examples with opposite residuals: large gradients with a small sum."""
    X = np.array([[1.0, 0.0], [1.0, 1e-3]])
    return X, [-1.0, 1.0], X[:1], [0], [2], [0.0, 0.0]


def _flat():
    """Curvatures 1 and 1e-4, both examples in the coreset."""
    X = np.diag([1.0, 1e-2])
    return X, [1.0, 1.0], X, [0, 1], [1, 1], [0.0, 0.0]


def _contradicting():
    """One input with targets 1 and -1, and initial weights far from the minimiser."""
    X = np.array([[1.0], [1.0]])
    return X, [1.0, -1.0], X, [0, 1], [1, 1], [3.0]


def without_assumptions(theorem: Callable[..., Sides]) -> dict[str, Callable[[], Sides]]:
    """Instances of a theorem with the arguments of `theorem_5_2`, each without one assumption."""

    def without_gamma() -> Sides:
        """A single example with a weight of 100."""
        return theorem(*_near(100.0), drop=("gamma",))

    def without_xi() -> Sides:
        """Gradients that cancel, a coreset of one of them, and a claimed xi = 0."""
        return theorem(*_cancelling(), xi=0.0, drop=("xi",))

    def without_eps0() -> Sides:
        """A perturbation of 0.1 with a claimed eps0 = 0."""
        return theorem(*_near(), eps0=0.0, drop=("eps0",))

    def without_pl() -> Sides:
        """Two directions, with the PL constant of the steeper one claimed."""
        return theorem(*_flat(), alpha=2.0, drop=("PL",))

    def without_interpolation() -> Sides:
        """No weights fit both targets of one input."""
        return theorem(*_contradicting(), drop=("interpolation",))

    def without_eta() -> Sides:
        """CE-2 with the printed step size in the corrected form."""
        return theorem(*_everything(), steps=30, eta=0.25, drop=("eta",))

    return {
        "gamma": without_gamma,
        "xi": without_xi,
        "eps0": without_eps0,
        "PL": without_pl,
        "interpolation": without_interpolation,
        "eta": without_eta,
    }


def b6_random(rng: np.random.Generator) -> Sides:
    """Six examples in d = 14, k = 2; F keeps the outputs of a target W_t, and y = X W_t."""
    n, k, d = 6, 2, 14
    X, target = rng.uniform(size=(n, d)), rng.standard_normal((d, 1))
    F = np.eye(d) + 0.3 * rng.standard_normal((d, d))
    F -= target @ (target.T @ (F - np.eye(d))) / (target.T @ target)
    W0 = target + rng.standard_normal((d, 1)) * 10 ** rng.uniform(-2, 0.3)
    Y = X @ target
    subset = rng.choice(n, size=k, replace=False)
    gamma = assign(X * (X @ W0 - Y), subset).gamma
    return theorem_b_6(X, Y, W0, F, subset, gamma)


def b6_step_size() -> Sides:
    """CE-2 of 5.2 with F = I, omega = xi = 0: SGD never changes the loss. Corrected: equality."""
    return _unaugmented(*_everything(), steps=60)


def _bracket(**options):
    d, n, first = 8, 40, 2
    family, _, W, F, *_ = linear_family(d, 2, tau=1e4)
    x_first, x_other = family
    X = np.vstack([x_other] * (n - first) + [x_first] * first)
    total = np.linalg.lstsq(
        np.stack([(np.eye(d) + F) @ x for x in (x_other, x_first)], axis=1),
        -F @ ((n - first) * x_other - first * x_first),
        rcond=None,
    )[0]
    residuals = np.zeros(n)
    residuals[0], residuals[n - first] = total[0], total[1] / (n - 1)
    residuals[n - first + 1] = total[1] - residuals[n - first]
    Y = X @ W - residuals[:, None]
    return theorem_b_6(X, Y, W, F, [0, n - first], [1, n - 1], **options)


def b6_bracket() -> Sides:
    """The bracket itself: 38 examples of one kind, 2 of the other, full gradient near 0.

    The left side 188.4 exceeds the printed 113.1. All assumptions hold. alpha is 1e-8 Lam, since F
    moves inputs by 1e-4, so the weights stay, and only the brackets at W^0 are compared.
    """
    return _bracket(steps=0)


def b6_without_omega() -> Sides:
    """As `b6_bracket`, with a claimed omega = 0."""
    return _bracket(steps=0, omega=0.0, drop=("omega",))


def _unaugmented(X, Y, _, subset, gamma, W0, **options):
    """Theorem B.6 with F = I, from arguments of `theorem_5_2`."""
    Y, W0 = np.asarray(Y)[:, None], np.asarray(W0)[:, None]
    return theorem_b_6(np.asarray(X), Y, W0, np.eye(len(W0)), subset, gamma, **options)


def b6_without_gamma() -> Sides:
    """A weight of 100 for one fitted example, which F moves away from its target."""
    F = np.array([[1.0, 0.0], [0.1, 1.0]])
    return theorem_b_6([[1.0, 0.0]], [[0.0]], [[0.0], [1.0]], F, [0], [100], drop=("gamma",))


B6_WITHOUT = {
    "gamma": b6_without_gamma,
    "omega": b6_without_omega,
    **{
        name: make
        for name, make in without_assumptions(_unaugmented).items()
        if name in ("xi", "PL", "interpolation", "eta")
    },
}
"""Instances of Theorem B.6, each without one assumption."""
