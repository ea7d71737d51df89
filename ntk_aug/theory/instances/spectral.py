"""Instances of the statements on singular values and vectors: F1 to F4, 4.1, 4.2, C.2."""

import numpy as np

from ntk_aug.aliases import Float64
from ntk_aug.theory.corollary_4_2 import arora_kernel, equation_18, equation_19
from ntk_aug.theory.lemma_4_1 import lemma_4_1
from ntk_aug.theory.perturbation import fact_1, fact_2, fact_3, fact_4
from ntk_aug.theory.second_order import claim_c_2
from ntk_aug.theory.sides import Sides
from ntk_aug.theory.smooth_network import random_network


def directions(
    rng: np.random.Generator, n: int, d: int, lengths: float
) -> Float64[np.ndarray, "n d"]:
    """Random directions with lengths uniform in [0, lengths]; one has the full length."""
    drawn = rng.standard_normal((n, d))
    sizes = lengths * rng.uniform(size=n)
    sizes[rng.integers(n)] = lengths
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True) * sizes[:, None]


def _matrices(rng, *, wide=False):
    N, P = rng.integers(2, 10), rng.integers(2, 20)
    if wide:
        N, P = min(N, P), max(N, P)
    J = rng.standard_normal((N, P))
    return J, rng.standard_normal((N, P)) * 10 ** rng.uniform(-4, 0.5)


def f1_random(rng: np.random.Generator) -> Sides:
    """Normal J and E of any shape, E of size 1e-4 to 3."""
    return fact_1(*_matrices(rng))


def f1_aligned() -> Sides:
    """E = e u_1 v_1' moves the first singular value by ||E||: equality."""
    return fact_1(np.diag([3.0, 2.0, 1.0]), np.diag([0.5, 0.0, 0.0]))


def f2_random(rng: np.random.Generator) -> Sides:
    """A tanh network with certified constants, inputs moved by up to eps0 between 0.001 and 1."""
    network = random_network(rng, 6, 16, 3)
    X = rng.standard_normal((12, 6))
    X_aug = X + directions(rng, 12, 6, 10 ** rng.uniform(-3, 0))
    radius = float(np.linalg.norm(np.concatenate([X, X_aug]), axis=1).max())
    return fact_2(
        network.jacobians(X_aug) - network.jacobians(X),
        np.linalg.norm(X_aug - X, axis=1),
        jacobian_lipschitz=network.jacobian_lipschitz(radius),
        output_lipschitz=network.output_lipschitz,
    )


def _relu_jump(t):
    """The unit max(u.x, 0), u = (1, 0), at x = (-t, 1) and x~ = (t, 1): J jumps from 0 to x~."""
    x, x_aug = np.array([-t, 1.0]), np.array([t, 1.0])
    u = np.array([1.0, 0.0])
    return ((u @ x_aug > 0) * x_aug - (u @ x > 0) * x)[None, None], np.linalg.norm(x_aug - x)


def f2_relu() -> Sides:
    """A ReLU unit that switches between x and x~, 0.002 apart: ||E|| = 1, Lf = 1, no LJ exists."""
    E, distance = _relu_jump(1e-3)
    return fact_2(E, [distance], jacobian_lipschitz=np.inf, output_lipschitz=1.0)


def f2_relu_without_lipschitz() -> Sides:
    """The ReLU unit with a claimed LJ = 100."""
    E, distance = _relu_jump(1e-3)
    return fact_2(E, [distance], jacobian_lipschitz=100.0, drop=("lipschitz",))


def f2_linear() -> Sides:
    """A linear model, J = X and LJ = 1, whose inputs all move in the same direction: equality."""
    E = np.full((9, 1, 4), 0.1) / 2
    return fact_2(E, np.full(9, 0.1), jacobian_lipschitz=1.0)


def f3_random(rng: np.random.Generator) -> Sides:
    """Normal J and E of any shape, E of size 1e-4 to 3."""
    return fact_3(*_matrices(rng))


def f3_swap() -> Sides:
    """J = diag(2, 1), E = diag(-.5001, .5001) swap the vectors: sin = 1 at ||E|| / gap = .5001."""
    return fact_3(np.diag([2.0, 1.0]), np.diag([-0.5001, 0.5001]))


def f4_random(rng: np.random.Generator) -> Sides:
    """Normal J and E with no more rows than columns, targets uniform in [-1, 1]."""
    J, E = _matrices(rng, wide=True)
    return fact_4(J, E, rng.uniform(-1, 1, len(J)))


def f4_swap() -> Sides:
    """The pair that swaps its vectors, with y along the second one: equality."""
    return fact_4(np.diag([2.0, 1.0]), np.diag([-0.5001, 0.5001]), [0.0, 1.0])


def f4_targets() -> Sides:
    """Targets of norm 100: the printed slack has n instead of ||y||^2."""
    return fact_4(np.diag([2.0, 1.0]), [[0.0, 0.05], [0.05, 0.0]], [0.0, 100.0])


def lemma_4_1_random(rng: np.random.Generator) -> Sides:
    """Uniform sigma and e in [0, 2], p in [0, 1]: half of the instances have sigma < e."""
    sigma, e, p = rng.uniform([0, 0, 0], [2, 2, 1])
    return lemma_4_1(sigma, e, p)


def lemma_4_1_truncated() -> Sides:
    """For sigma = .3 < e = .8, p = .6: printed 0.255333; without values below 0, 0.235333."""
    return lemma_4_1(0.3, 0.8, 0.6)


def lemma_4_1_inside() -> Sides:
    """With sigma >= e the printed mean is exact."""
    return lemma_4_1(2.0, 0.5, 0.3)


def eq18_random(rng: np.random.Generator) -> Sides:
    """The infinite-width kernel of 12 unit vectors, y uniform in [-1, 1]."""
    X = directions(rng, 12, 8, 1.0)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return equation_18(arora_kernel(X), rng.uniform(-1, 1, 12))


def eq18_scaled() -> Sides:
    """K = 0.5 I and targets of +-1: all three terms are equal."""
    return equation_18(0.5 * np.eye(4), [1.0, -1.0, 1.0, 1.0])


def eq18_targets() -> Sides:
    """Targets of norm 3 sqrt n."""
    return equation_18(0.5 * np.eye(4), np.full(4, 3.0), drop=("targets",))


def eq19_random(rng: np.random.Generator) -> Sides:
    """J [8, 40] normal, E normal and scaled to ||E|| below sigma_min."""
    J, E = rng.standard_normal((2, 8, 40))
    smallest = np.linalg.svd(J, compute_uv=False)[-1]
    return equation_19(J, E * rng.uniform(0.02, 0.98) * smallest / np.linalg.norm(E, 2))


def eq19_shrunk() -> Sides:
    """J = (1), E = (-1/2): augmentation doubles the main term; by (19) it falls to 2/3."""
    return equation_19([[1.0]], [[-0.5]])


def eq19_understated() -> Sides:
    """As `eq19_shrunk`, with a claimed e = 0.1 for ||E|| = 1/2."""
    return equation_19([[1.0]], [[-0.5]], e=0.1, drop=("e",))


def eq19_beyond() -> Sides:
    """J = (1), E = (-3/2): e exceeds sigma_min."""
    return equation_19([[1.0]], [[-1.5]], drop=("sigma_min > e",))


def c2_random(rng: np.random.Generator) -> Sides:
    """J [6, 60] with singular values 6 .. 1 and normal E of size 0.001 to 0.3."""
    U = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    V = np.linalg.qr(rng.standard_normal((60, 6)))[0]
    J = (U * np.arange(6.0, 0, -1)) @ V.T
    return claim_c_2(J, 10 ** rng.uniform(-3, -0.5) * rng.standard_normal((6, 60)))


def c2_merging() -> Sides:
    """Two inputs 0.1 apart become equal by an augmentation of size 0.05: sigma_2 falls to 0."""
    X, X_aug = np.array([[1.0, 0.05], [1.0, -0.05]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    return claim_c_2(X, X_aug - X)


def c2_always_down() -> Sides:
    """diag(3, 2, 1) with +-.3 at (3, 1), mean zero: the smallest value falls with probability 1."""
    E = np.zeros((3, 3))
    E[2, 0] = 0.3
    return claim_c_2(np.diag([3.0, 2.0, 1.0]), E)
