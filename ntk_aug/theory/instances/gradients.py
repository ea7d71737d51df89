"""Instances of the statements on coreset gradients: 5.1, A.5, B.3, B.4, B.5."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ntk_aug.coreset import facility_location
from ntk_aug.theory.equation_44 import assign, equation_44
from ntk_aug.theory.instances.spectral import directions
from ntk_aug.theory.lemma_5_1 import AugmentedExamples, lemma_5_1, lemma_5_1_gradients
from ntk_aug.theory.lemma_b_3 import lemma_b_3
from ntk_aug.theory.lemma_b_4 import corollary_b_5, lemma_b_4
from ntk_aug.theory.sides import Sides
from ntk_aug.theory.smooth_network import random_network, softmax


def lemma_5_1_random(rng: np.random.Generator) -> Sides:
    """A tanh network with softmax residuals, n = 15, and a greedy coreset of 4.

    The form, (a) or (b), is random, and so is whether the coreset has perturbations of its own.
    """
    n, k, eps0 = 15, 4, 10 ** rng.uniform(-3, 0)
    network = random_network(rng, 6, 16, 3)
    X, y = rng.standard_normal((n, 6)), np.eye(3)[rng.integers(3, size=n)]
    J, r = network.jacobians(X), softmax(network.outputs(X)) - y
    chosen = facility_location(np.einsum("icp,ic->ip", J, r), count=k)
    places, gamma = chosen.indices, chosen.weights
    X_aug = X + directions(rng, n, 6, eps0)
    X_own = X[places] + directions(rng, k, 6, eps0)
    radius = np.linalg.norm(np.concatenate([X, X_aug, X_own]), axis=1).max()
    LJ = network.jacobian_lipschitz(float(radius))
    options: dict[str, Any] = {"jacobian_lipschitz": LJ, "eps0": eps0}
    fresh, frozen = rng.integers(2, size=2)
    J_aug, J_own = network.jacobians(X_aug), network.jacobians(X_own)
    if frozen:
        options["J_subset"] = J_own if fresh else None
        return lemma_5_1(J, r, J_aug, places, gamma, **options)
    augmented = AugmentedExamples(J_aug, softmax(network.outputs(X_aug)) - y)
    own = AugmentedExamples(J_own, softmax(network.outputs(X_own)) - y[places])
    options |= {"output_lipschitz": network.output_lipschitz, "of_subset": own if fresh else None}
    return lemma_5_1_gradients(J, r, augmented, places, gamma, **options)


def _scalars(x, r):
    """Jacobians and residuals of f = w x, by example."""
    return np.asarray(x, np.float64)[:, None, None], np.asarray(r, np.float64)[:, None]


def lemma_5_1_large_residuals(**options: Any) -> Sides:
    """CE-A: f = w x at w = 0, x = (0, 0), y = (-100, -100), S = {0}, gamma = 2, eps0 = 0.1.

    The squared loss does not bound residuals: the left side is 20, but (26) is 0.57 and (27) 2.
    """
    J, r = _scalars([0, 0], [100, 100])
    J_aug, _ = _scalars([-0.1, 0.1], [0, 0])
    return lemma_5_1(J, r, J_aug, [0], [2], **{"jacobian_lipschitz": 1.0, "eps0": 0.1} | options)


def lemma_5_1_true_gradients(**options: Any) -> Sides:
    """CE-B: f = w'x at w = (0, 100), both x = (10, 0), fitted; x~ = x +- (0, .01), all ||r~|| = 1.

    The gradient of the augmented loss differs by 20 although residuals are bounded; printed: 2.
    """
    w, x = np.array([0.0, 100.0]), np.array([[10.0, 0.0], [10.0, 0.0]])
    x_aug = x + np.array([[0.0, -0.01], [0.0, 0.01]])
    augmented = AugmentedExamples(x_aug[:, None, :], (x_aug @ w - x @ w)[:, None])
    options = {"jacobian_lipschitz": 1.0, "output_lipschitz": 100.0, "eps0": 0.01} | options
    return lemma_5_1_gradients(x[:, None, :], np.zeros((2, 1)), augmented, [0], [2], **options)


def lemma_5_1_attained(**options: Any) -> Sides:
    """With n = 9, k = 2, all inputs move by 0.1, the coreset's in the other direction: equality."""
    n, k, rho = 9, 2, 1.3
    x_aug = np.full(n, 0.1)
    x_aug[:k] = -0.1
    J, r = _scalars(np.zeros(n), np.full(n, rho))
    given = {"jacobian_lipschitz": 1.0, "eps0": 0.1} | options
    return lemma_5_1(J, r, _scalars(x_aug, r)[0], [0, 1], [1, n - 1], **given)


def lemma_5_1_without_lipschitz() -> Sides:
    """The case of equality with a claimed LJ = 1/2."""
    return lemma_5_1_attained(jacobian_lipschitz=0.5, drop=("lipschitz",))


def lemma_5_1_without_output_lipschitz() -> Sides:
    """CE-B with a claimed Lf = 1."""
    return lemma_5_1_true_gradients(output_lipschitz=1.0, drop=("output lipschitz",))


def lemma_5_1_without_xi() -> Sides:
    """Two clean gradients that differ by 1, with a claimed xi = 0 and no augmentation."""
    J, r = _scalars([0, 1], [1, 1])
    return lemma_5_1(J, r, J, [0], [2], jacobian_lipschitz=1.0, eps0=0.0, xi=0.0, drop=("xi",))


def eq44_random(rng: np.random.Generator) -> Sides:
    """25 gradients of very different lengths, sometimes with duplicates, and S of 1 to 9."""
    G = rng.standard_normal((25, 7)) * np.exp(rng.standard_normal((25, 1)))
    if rng.integers(2):
        G[rng.integers(25, size=8)] = G[rng.integers(25, size=8)]
    return equation_44(G, rng.choice(25, size=rng.integers(1, 10), replace=False))


def eq44_zero_gradient() -> Sides:
    """Gradients 0 and 1, S = {0}, gamma = 2: the error is 1, the printed side 0."""
    return equation_44(np.array([[0.0], [1.0]]), [0])


def eq44_equal_differences() -> Sides:
    """CE-2: differences 0, 1, 1. ||D||_F is too small without sqrt(n - k), and exact with it."""
    return equation_44(np.array([[0.0], [1.0], [1.0]]), [0])


def b3_random(rng: np.random.Generator) -> Sides:
    """A tanh network on 20 clustered inputs, the squared loss, and a greedy coreset of 1 to 5."""
    network = random_network(rng, 6, 16, 3)
    centres = rng.standard_normal((4, 6))
    X = centres[rng.integers(4, size=20)] + 0.1 * rng.standard_normal((20, 6))
    y = np.eye(3)[rng.integers(3, size=20)]
    J, r = network.jacobians(X), network.outputs(X) - y
    chosen = facility_location(np.einsum("icp,ic->ip", J, r), count=int(rng.integers(1, 6)))
    error = None if rng.integers(2) else chosen.estimate
    return lemma_b_3(J, r, chosen.indices, chosen.weights, xi=error)


def b3_equal_points() -> Sides:
    """CE-1: 1,000 equal points, S = {0} with gamma = 1,000: printed sides 1 and 1,000."""
    return lemma_b_3(np.ones((1000, 1, 1)), np.ones((1000, 1)), [0], [1000])


def b3_loose_xi() -> Sides:
    """CE-2: one point, its own coreset; xi = 100 is a bound of the error 0: printed 1 >= 99."""
    return lemma_b_3(np.ones((1, 1, 1)), np.ones((1, 1)), [0], [1], xi=100.0)


def b3_without_xi() -> Sides:
    """Two points, the smaller one as the coreset, with a claimed xi = 0."""
    J, r = np.array([[[0.1]], [[1.0]]]), np.ones((2, 1))
    return lemma_b_3(J, r, [0], [2], xi=0.0, drop=("xi",))


def _linear(rng):
    n, d, C = rng.integers(4, 12), rng.integers(2, 8), 3
    X, W = rng.uniform(size=(n, d)), rng.standard_normal((d, C))
    Y = X @ W - rng.standard_normal((n, C)) * 10 ** rng.uniform(-2, 0.5)
    F = np.eye(d) + 10 ** rng.uniform(-2, 0) * rng.standard_normal((d, d))
    subset = rng.choice(n, size=rng.integers(1, min(n, 5)), replace=False)
    if rng.integers(2):
        gamma = assign((X[:, :, None] * (X @ W - Y)[:, None]).reshape(n, -1), subset).gamma
    else:
        gamma = rng.dirichlet(np.ones(len(subset))) * n * rng.uniform()
    return X, Y, W, F, subset, gamma


def b4_random(rng: np.random.Generator) -> Sides:
    """Pixels in [0, 1], three outputs, F near or far from I, and weights of (44) or random ones."""
    return lemma_b_4(*_linear(rng))


def b5_random(rng: np.random.Generator) -> Sides:
    """As `b4_random`."""
    return corollary_b_5(*_linear(rng))


def linear_family(d: int, n: int, *, tau: float = 100.0) -> tuple[Any, ...]:
    """Arguments of `lemma_b_4` that violate the printed form, with pixels in [0, 1].

    There are two nearly equal inputs on which z has opposite signs; the second stands n - 1 times.
    All clean gradients are 0, so xi = 0, and S = {0} with gamma = n is a valid coreset.
    """
    first, others = np.ones(d), np.ones(d)
    first[0] = others[0] = 0.99
    first[-2], others[-1] = 0, 0
    X = np.vstack([first, *[others] * (n - 1)])
    a, w = np.zeros(d), np.zeros(d)
    a[-2], a[-1], w[0] = 1, -1, tau
    F = np.eye(d) + np.outer(w, a) / (w @ w)
    return X, (X @ w)[:, None], w[:, None], F, [0], [n]


def b4_family() -> Sides:
    """The family with d = 3, n = 4: 7.2996 exceeds the printed 6.9774."""
    return lemma_b_4(*linear_family(3, 4))


def b4_large_family() -> Sides:
    """The family with d = 64, n = 100: 1.94 times the printed side, 0.99 of the corrected one."""
    return lemma_b_4(*linear_family(64, 100))


def b5_family() -> Sides:
    """The family of B.4 with d = 8, n = 10."""
    return corollary_b_5(*linear_family(8, 10))


def b5_large_family() -> Sides:
    """The family of B.4 with d = 64, n = 100."""
    return corollary_b_5(*linear_family(64, 100))


def _heavy():
    """Two examples with clean gradient 0; the coreset gives one of them the weight 200."""
    X, _, W, F, *_ = linear_family(3, 4)
    X = X[:2]
    return X, X @ W, W, F, [0], [200.0]


def _uneven():
    return np.eye(2), np.array([[1.0], [0.0]]), np.zeros((2, 1)), np.eye(2), [1], [2]


def without_assumptions(form: Callable[..., Sides]) -> dict[str, Callable[[], Sides]]:
    """Instances of `lemma_b_4` or `corollary_b_5`, each without one assumption."""

    def without_gamma() -> Sides:
        """Weights that sum to 100 n."""
        return form(*_heavy(), drop=("gamma",))

    def without_xi() -> Sides:
        """F = I and a coreset without the only gradient, with a claimed xi = 0."""
        return form(*_uneven(), xi=0.0, drop=("xi",))

    def without_omega() -> Sides:
        """The family with a claimed omega = 0."""
        return form(*linear_family(8, 10), omega=0.0, drop=("omega",))

    return {"gamma": without_gamma, "xi": without_xi, "omega": without_omega}
