import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theory_checks import (
    SEEDS,
    assumption,
    check_corrected,
    check_enforced,
    check_tight,
    check_violated,
    examples,
)

from ntk_aug.coreset import facility_location
from ntk_aug.theory import AugmentedExamples, lemma_5_1, lemma_5_1_gradients
from ntk_aug.theory.smooth_network import random_network, softmax


def total(J, r, weights):
    """sum_i weights_i J_i'r_i, example by example."""
    return sum(w * J_i.T @ r_i for J_i, r_i, w in zip(J, r, weights, strict=True))


def with_length(rng, shape, lengths):
    """Matrices or vectors of given spectral norms, some of them exactly so."""
    drawn = rng.standard_normal(shape)
    norms = np.array([np.linalg.norm(one, 2) for one in drawn])
    return drawn * (lengths / norms).reshape(-1, *[1] * (len(shape) - 1))


def weights_of(rng, k, n, kind):
    """Weights of k of n examples: whole with sum n, any with sum n, any, some of them 0."""
    if kind == "whole":
        return rng.multinomial(n, np.full(k, 1 / k)).astype(float)
    gamma = rng.dirichlet(np.ones(k)) * n * (1 if kind == "sum n" else rng.uniform(0, 2))
    gamma[rng.uniform(size=k) < 0.2] = 0
    return gamma


KINDS = st.sampled_from(["whole", "sum n", "any"])


@given(
    SEEDS, st.integers(1, 8), st.data(), KINDS, st.booleans(), st.floats(-5, 1) | st.just(-np.inf)
)
@examples(150)
def test_both_forms_hold_for_any_jacobians_residuals_and_weights(
    seed, n, data, kind, fresh, digits
):
    rng = np.random.default_rng(seed)
    k, C, P = data.draw(st.integers(1, n)), int(rng.integers(1, 4)), int(rng.integers(1, 7))
    eps0, LJ, Lf = 10.0**digits, 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-1, 1)
    J = rng.standard_normal((n, C, P)) * np.exp(rng.standard_normal((n, 1, 1)))
    r = rng.standard_normal((n, C)) * np.exp(rng.standard_normal((n, 1)))
    places, gamma = rng.permutation(n)[:k], weights_of(rng, k, n, kind)

    def moved(count):
        """Changes of rows and residuals, each by up to all that is allowed."""
        share = np.where(rng.uniform(size=count) < 0.5, 1.0, rng.uniform(size=count))
        E = with_length(rng, (count, C, P), LJ * eps0 * share)
        return E, with_length(rng, (count, C), Lf * eps0 * share)

    E, change = moved(n)
    J_aug, r_aug = J + E, r + change
    J_own, r_own = J_aug[places], r_aug[places]
    if fresh:
        E, change = moved(k)
        J_own, r_own = J[places] + E, r[places] + change
    LJ, Lf, size = LJ * (1 + 1e-12), Lf * (1 + 1e-12), np.abs(J).max() * np.abs(r).max()
    xi = np.linalg.norm(total(J, r, np.ones(n)) - total(J[places], r[places], gamma))
    count = np.abs(1 - np.bincount(places, gamma, n)).sum() if not fresh else n + gamma.sum()

    frozen = lemma_5_1(
        J,
        r,
        J_aug,
        places,
        gamma,
        jacobian_lipschitz=LJ,
        eps0=eps0,
        J_subset=J_own if fresh else None,
    )
    check_corrected(frozen)
    lhs = np.linalg.norm(total(J_aug, r, np.ones(n)) - total(J_own, r[places], gamma))
    assert frozen.lhs == pytest.approx(lhs, abs=1e-11 * n * size)
    rho = np.linalg.norm(r, axis=1).max()
    assert frozen.corrected == pytest.approx(xi + rho * LJ * eps0 * count, rel=1e-9, abs=1e-11)
    assert frozen.printed == pytest.approx(xi + 2 * n**1.5 * LJ * eps0, rel=1e-9, abs=1e-11)
    if kind == "whole" and not fresh:
        assert count == pytest.approx(2 * (n - frozen.constants["k+"]))
    residuals = assumption(frozen, "residuals")
    assert residuals.value == pytest.approx(rho)
    if residuals.holds and gamma.sum() <= n * (1 + 1e-12):  # the printed form needs no more
        assert frozen.printed_bound.holds

    augmented = AugmentedExamples(J_aug, r_aug)
    true = lemma_5_1_gradients(
        J,
        r,
        augmented,
        places,
        gamma,
        jacobian_lipschitz=LJ,
        output_lipschitz=Lf,
        eps0=eps0,
        of_subset=AugmentedExamples(J_own, r_own) if fresh else None,
    )
    check_corrected(true)
    lhs = np.linalg.norm(total(J_aug, r_aug, np.ones(n)) - total(J_own, r_own, gamma))
    assert true.lhs == pytest.approx(lhs, abs=1e-11 * n * size * (1 + eps0) ** 2 * 100)
    rho = np.linalg.norm(np.concatenate([r_aug, r_own]), axis=1).max()
    B = max(np.linalg.norm(one, 2) for one in J)
    expected = xi + (rho * LJ + B * Lf) * eps0 * count
    assert true.corrected == pytest.approx(expected, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("seed", range(10))
def test_the_new_bound_is_below_the_printed_one_for_softmax_residuals(seed):
    # A greedy subset of a smooth network with certified constants
    rng = np.random.default_rng(seed)
    n, k, eps0 = 10, 3, 0.1
    network = random_network(rng, 4, 8, 2)
    X, y = rng.standard_normal((n, 4)), np.eye(2)[rng.integers(2, size=n)]
    X_aug = X + with_length(rng, (n, 4), np.full(n, eps0))
    J, r = network.jacobians(X), softmax(network.outputs(X)) - y
    chosen = facility_location(np.einsum("icp,ic->ip", J, r), count=k)
    radius = float(np.linalg.norm([X, X_aug], axis=2).max())
    constants = {"jacobian_lipschitz": network.jacobian_lipschitz(radius), "eps0": eps0}
    J_aug = network.jacobians(X_aug)
    sides = lemma_5_1(J, r, J_aug, chosen.indices, chosen.weights, **constants)
    check_corrected(sides)
    assert sides.printed_holds
    assert sides.corrected <= sides.printed
    true = lemma_5_1_gradients(
        J,
        r,
        AugmentedExamples(J_aug, softmax(network.outputs(X_aug)) - y),
        chosen.indices,
        chosen.weights,
        output_lipschitz=network.output_lipschitz,
        **constants,
    )
    check_corrected(true)


def scalars(x, r):
    """Jacobians and residuals of f = w x."""
    return np.asarray(x, float)[:, None, None], np.asarray(r, float)[:, None]


def test_unbounded_residuals_violate_the_printed_form():
    # CE-A of the guide: the squared loss
    J, r = scalars([0, 0], [100, 100])
    J_aug, _ = scalars([-0.1, 0.1], [0, 0])
    sides = lemma_5_1(J, r, J_aug, [0], [2], jacobian_lipschitz=1.0, eps0=0.1)
    assert sides.lhs == pytest.approx(20)
    assert sides.printed == pytest.approx(0.566, abs=5e-4)
    assert sides.further_printed["27"].rhs == pytest.approx(2)
    assert not sides.further_printed["27"].holds
    check_violated(sides)
    check_corrected(sides)
    assert not assumption(sides, "residuals").holds
    assert assumption(sides, "eps0").holds
    assert assumption(sides, "eps0").limit == pytest.approx(2**-1.5)
    # Where (27) is not claimed it is not compared
    large = lemma_5_1(J, r, J_aug, [0], [2], jacobian_lipschitz=1.0, eps0=0.4)
    assert not large.further_printed
    assert not assumption(large, "eps0").holds


def true_gradients(**options):
    """CE-B of the guide: both x = (10, 0), fitted, and moved by +-0.01 along w = (0, 100)."""
    w, x = np.array([0.0, 100.0]), np.array([[10.0, 0.0], [10.0, 0.0]])
    x_aug = x + np.array([[0.0, -0.01], [0.0, 0.01]])
    augmented = AugmentedExamples(x_aug[:, None], (x_aug @ w - x @ w)[:, None])
    given = {"jacobian_lipschitz": 1.0, "output_lipschitz": 100.0, "eps0": 0.01} | options
    return lemma_5_1_gradients(x[:, None], np.zeros((2, 1)), augmented, [0], [2], **given)


def test_true_gradients_violate_the_printed_form_with_bounded_residuals():
    sides = true_gradients()
    x = np.array([[10.0, -0.01], [10.0, 0.01]])
    g = x * (x @ [0.0, 100.0])[:, None]
    assert sides.lhs == pytest.approx(np.linalg.norm(g.sum(0) - 2 * g[0]))
    assert sides.lhs == pytest.approx(20, abs=0.01)
    assert sides.corrected == pytest.approx(20.02)
    assert sides.printed < 2
    assert not sides.further_printed["27"].holds
    check_violated(sides)
    check_corrected(sides)
    check_tight(sides.corrected_bound)


def attained(*, fresh=False, **options):
    n, k = 9, 2
    x_aug = np.full(n, 0.1)
    if not fresh:
        x_aug[:k] = -0.1
    J, r = scalars(np.zeros(n), np.full(n, 1.3))
    own = scalars([-0.1, -0.1], [0, 0])[0] if fresh else None
    given = {"jacobian_lipschitz": 1.0, "eps0": 0.1, "J_subset": own} | options
    return lemma_5_1(J, r, scalars(x_aug, r)[0], [0, 1], [1, n - 1], **given)


def test_form_a_is_attained_and_so_is_that_with_fresh_perturbations():
    sides = attained()
    assert sides.corrected == pytest.approx(2 * (9 - 2) * 1.3 * 0.1)
    check_tight(sides.corrected_bound)
    fresh = attained(fresh=True)
    assert fresh.corrected == pytest.approx(2 * 9 * 1.3 * 0.1)
    check_tight(fresh.corrected_bound)


def test_a_coreset_of_everything_has_no_error():
    rng = np.random.default_rng(0)
    J, E, r = *rng.standard_normal((2, 4, 2, 3)), rng.standard_normal((4, 2))
    sides = lemma_5_1(J, r, J + E, [2, 0, 1, 3], np.ones(4), jacobian_lipschitz=9.0, eps0=1.0)
    assert sides.lhs == pytest.approx(0, abs=1e-12)
    assert sides.corrected == pytest.approx(0, abs=1e-12)
    check_corrected(sides)


def test_what_both_forms_assume():
    J, r = scalars([0, 1], [1, 1])
    frozen = {"jacobian_lipschitz": 1.0, "eps0": 0.0}
    without = check_enforced("xi", lemma_5_1, J, r, J, [0], [2], xi=0.5, **frozen)
    assert not without.corrected_holds
    assert assumption(without, "xi").limit == pytest.approx(1)
    assert lemma_5_1(J, r, J, [0], [2], xi=1.5, **frozen).corrected == 1.5

    def of_attained(**options):
        return attained(**options)

    assert not check_enforced("lipschitz", of_attained, jacobian_lipschitz=0.5).corrected_holds
    assert not check_enforced("lipschitz", of_attained, eps0=0.09).corrected_holds
    # Of the coreset's own perturbations, too
    own = scalars([-0.2, 0.1], [0, 0])[0]
    check_enforced("lipschitz", of_attained, fresh=True, J_subset=own)
    name = "output lipschitz"
    assert not check_enforced(name, true_gradients, output_lipschitz=1.0).corrected_holds
    check_enforced("lipschitz", true_gradients, jacobian_lipschitz=0.5)
    check_enforced(
        "xi",
        lambda **options: lemma_5_1_gradients(
            J,
            r,
            AugmentedExamples(J, r),
            [0],
            [2],
            xi=0.0,
            output_lipschitz=0.0,
            **frozen,
            **options,
        ),
    )


def test_form_c_is_attained_at_its_largest_perturbation_and_absent_beyond():
    # n = 9, k = 2: rho eps0 2 (n - k) = 2 / sqrt(LJ), and the coreset moves the other way
    n, rho, LJ = 9, 1.3, 4.0
    eps0 = 2 / np.sqrt(LJ) / (rho * 2 * (n - 2))
    moved = np.full(n, LJ * eps0)
    moved[:2] *= -1
    J, r = np.zeros((n, 1, 1)), np.full((n, 1), rho)

    def sides(scale):
        J_aug = scale * moved[:, None, None]
        options = {"jacobian_lipschitz": LJ, "eps0": scale * eps0}
        return lemma_5_1(J, r, J_aug, [0, 1], [1, n - 1], **options)

    attained = sides(1.0)
    assert attained.further["c"].rhs == pytest.approx(2 * np.sqrt(LJ), rel=1e-12)  # xi = 0
    check_tight(attained.further["c"])
    assert "c" in sides(0.5).further
    assert "c" not in sides(1.01).further
