"""Instances of Theorem B.1."""

import numpy as np

from ntk_aug.theory.sides import Sides
from ntk_aug.theory.theorem_b_1 import theorem_b_1, theorem_b_1_deterministic


def b1_random(rng: np.random.Generator) -> Sides:
    """Up to 4 singular values, 2 non-zero targets, e up to 2 sigma_N, 8 step counts up to 60.

    Half of the instances have eta up to 1 / (sigma_1 + e)^2, half up to 1.9 times that. One in
    three instances is the deterministic form with J and E [6, 15].
    """
    if rng.integers(3) == 0:
        J, E = rng.standard_normal((2, 6, 15))
        E *= 10 ** rng.uniform(-2, 0)
        times = np.unique(rng.integers(0, 300, 8))
        return theorem_b_1_deterministic(J, E, rng.uniform(-1, 1, 6), times=times)
    N = int(rng.integers(1, 5))
    sigma = np.sort(rng.uniform(0.3, 2, N))[::-1]
    e = rng.uniform(0.01, 2) * sigma[-1]
    y = np.zeros(N)
    y[rng.choice(N, size=min(2, N), replace=False)] = rng.uniform(-1, 1, min(2, N))
    eta = rng.uniform(0.2, 1) / (sigma[0] + e) ** 2 * (1.9 if rng.integers(2) else 1)
    times = np.unique(rng.integers(0, 61, 8))
    return theorem_b_1(sigma, e, rng.uniform(size=N), y, eta=eta, times=times)


def b1_mean_rate() -> Sides:
    """CE-1: n = 1, x = y = 1, delta uniform in +-1/2, eta = 1 / E lambda~: 0 printed from t = 1."""
    return theorem_b_1([1.0], 0.5, 0.5, [1.0], eta=12 / 13, times=range(10))


def b1_two_rows() -> Sides:
    """CE-2: X = diag(2, 1), delta uniform in +-1/4, y = (0, 1), eta = .19. Violated from t = 16."""
    return theorem_b_1([2.0, 1.0], 0.25, 0.5, [0.0, 1.0], eta=0.19, times=range(41))


def b1_narrow() -> Sides:
    """One row and a narrow law: the mean of the root is nearly the root of the mean."""
    return theorem_b_1([1.0], 0.01, 0.5, [1.0], eta=0.2, times=[0, 1, 2])


def b1_slowed() -> Sides:
    """One row that E shortens: (c) is attained."""
    return theorem_b_1_deterministic([[1.0]], [[-0.5]], [1.0], times=range(20))


def b1_fast_step() -> Sides:
    """Eta = 2.5 / (sigma_1 + e)^2, at which J + E diverges."""
    J, E = np.diag([1.0, 0.5]), np.diag([1.0, 0.0])
    return theorem_b_1_deterministic(J, E, [1.0, 1.0], times=[0, 5, 20], eta=2.5 / 4, drop=("eta",))


def b1_understated() -> Sides:
    """One row that E shortens by half, with a claimed e = 0.1."""
    return theorem_b_1_deterministic(
        [[1.0]], [[-0.5]], [1.0], times=range(20), e=0.1, eta=0.4, drop=("e",)
    )
