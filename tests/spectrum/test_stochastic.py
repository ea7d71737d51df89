import jax
import numpy as np
import pytest
from helpers import matrix_with_singular_values
from scipy.sparse import linalg
from scipy.sparse.linalg import aslinearoperator

from ntk_aug import jacobian, spectrum
from ntk_aug.errors import InputError

VALUES = np.geomspace(3, 0.1, 24)
MOMENTS = ("trace", "frobenius_norm", "participation_ratio")


@pytest.fixture(scope="module")
def matrix():
    return matrix_with_singular_values(np.random.default_rng(0), VALUES, (24, 40))[0]


def exact_moments(values):
    squares = values**2
    norm = np.linalg.norm(squares)
    return {
        "trace": squares.sum(),
        "frobenius_norm": norm,
        "participation_ratio": squares.sum() ** 2 / norm**2,
    }


def exact_entropy_rank(values):
    p = values**2 / np.sum(values**2)
    return np.exp(-np.sum(p * np.log(p)))


@pytest.mark.parametrize("seed", range(3))
def test_estimates_for_a_network_are_within_four_standard_errors(seed, tanh_mlp, digit_images):
    view, key = tanh_mlp, jax.random.key(seed)
    J = jacobian.JacobianRows(view, (8, 8, 1), dtype="float64")(digit_images)
    values = np.linalg.svd(J, compute_uv=False)
    operator = jacobian.JacobianOperator(view, digit_images, dtype="float64", batch_size=12)
    found = spectrum.estimate_moments(key, operator, num_samples=40)
    for name, exact in exact_moments(values).items():
        estimate = getattr(found, name)
        assert abs(estimate.value - exact) <= 4 * estimate.standard_error
        assert 0 < estimate.relative_error < 0.4
    # From the kernel itself the same numbers come.
    by_kernel = spectrum.estimate_moments(key, J @ J.T, num_samples=40)
    np.testing.assert_allclose(by_kernel.trace, found.trace, rtol=1e-9)


def test_the_standard_error_is_that_of_the_samples(matrix):
    samples = []

    def product(v):
        samples.append(np.sum((matrix.T @ v) ** 2))
        return matrix.T @ v

    recorded = linalg.LinearOperator((40, 24), product, lambda u: matrix @ u, dtype=np.float64)
    found = spectrum.estimate_moments(jax.random.key(0), recorded, num_samples=5)
    assert len(samples) == 5
    assert found.trace.value == pytest.approx(np.mean(samples), rel=1e-12)
    expected = np.std(samples, ddof=1) / np.sqrt(5)
    assert found.trace.standard_error == pytest.approx(expected, rel=1e-9)


def test_error_bars_cover_the_truth_as_often_as_they_should(matrix):
    K = matrix @ matrix.T
    z = {name: [] for name in MOMENTS}
    for seed in range(200):
        found = spectrum.estimate_moments(jax.random.key(seed), K, num_samples=60)
        for name, exact in exact_moments(VALUES).items():
            estimate = getattr(found, name)
            z[name].append((estimate.value - exact) / estimate.standard_error)
    for name, scores in z.items():
        # 95.4 % of a normal variable; 200 repeats know that to 1.5 %, and a few samples lose some.
        assert 0.88 <= np.mean(np.abs(scores) < 2) <= 0.99, name
        assert 0.8 < np.std(scores) < 1.35, name


def test_the_trace_of_a_diagonal_kernel_has_no_variance():
    K = np.diag(np.arange(1.0, 9))
    found = spectrum.estimate_moments(jax.random.key(0), K, num_samples=5)
    assert found.trace.value == pytest.approx(36)
    assert found.trace.standard_error == 0
    assert found.frobenius_norm.value == pytest.approx(np.linalg.norm(K))
    assert found.trace.relative_error == 0


def test_the_smaller_side_is_sampled(matrix):
    # Of one row, J J' is a number, and nothing is left to chance on either side.
    for J in (matrix[:1], matrix[:1].T):
        found = spectrum.estimate_moments(
            jax.random.key(0), linalg.aslinearoperator(J), num_samples=2
        )
        assert found.trace.value == pytest.approx(np.sum(matrix[0] ** 2))
        assert found.participation_ratio.value == pytest.approx(1)
        assert found.participation_ratio.standard_error < 1e-12


def test_sampling_goes_on_until_the_error_is_as_wanted_or_samples_end(matrix):
    operator, key = linalg.aslinearoperator(matrix), jax.random.key(0)
    calls = []
    rough, fine = (
        spectrum.estimate_moments(
            key,
            operator,
            num_samples=2000,
            relative_error=wanted,
            progress=lambda *call: calls.append(call),
        )
        for wanted in (0.2, 0.05)
    )
    assert rough.converged
    assert fine.converged
    assert rough.num_samples < fine.num_samples < 2000
    for found, wanted in ((rough, 0.2), (fine, 0.05)):
        assert max(getattr(found, name).relative_error for name in MOMENTS) <= wanted
    assert calls[-2:] == [
        ("products", fine.num_samples, total) for total in (2000, fine.num_samples)
    ]
    short = spectrum.estimate_moments(key, operator, num_samples=15, relative_error=0.01)
    assert (short.num_samples, short.converged) == (15, False)


@pytest.mark.parametrize("seed", range(3))
def test_the_entropy_rank_is_within_four_standard_errors(seed, matrix):
    exact = exact_entropy_rank(VALUES)
    found = spectrum.estimate_entropy_rank(
        jax.random.key(seed), linalg.aslinearoperator(matrix), num_samples=60
    )
    # 24 steps on a side of 24 leave the quadrature without an error.
    assert found.lower == pytest.approx(found.upper, rel=1e-10)
    assert abs(found.rank.value - exact) <= 4 * found.rank.standard_error
    assert found.rank.relative_error < 0.1


def test_error_bars_of_the_entropy_rank_are_those_of_repeats():
    K = np.diag(np.geomspace(9, 0.1, 6))
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    K = rotation @ K @ rotation.T
    exact = exact_entropy_rank(np.sqrt(np.linalg.eigvalsh(K)))
    found = [
        spectrum.estimate_entropy_rank(jax.random.key(seed), K, num_samples=30).rank
        for seed in range(60)
    ]
    scores = [(estimate.value - exact) / estimate.standard_error for estimate in found]
    assert 0.75 < np.std(scores) < 1.35
    assert abs(np.mean(scores)) < 0.5


def test_quadratures_bracket_what_more_steps_find(matrix):
    K = matrix @ matrix.T
    runs = [
        spectrum.estimate_entropy_rank(jax.random.key(0), K, num_samples=5, num_steps=steps)
        for steps in (2, 4, 8, 24)
    ]
    exact = runs[-1].rank.value
    widths = [run.upper - run.lower for run in runs]
    for run in runs[:-1]:
        assert run.lower < exact < run.upper
    assert widths == sorted(widths, reverse=True)
    assert widths[2] < 0.02 * exact


def test_equal_eigenvalues_have_the_rank_that_they_are(matrix):
    J = np.linalg.qr(matrix.T)[0][:, :7].T
    K = J.T @ J  # seven times 1, and zeros
    found = spectrum.estimate_entropy_rank(jax.random.key(0), K, num_samples=200)
    assert abs(found.rank.value - 7) <= 4 * found.rank.standard_error
    J = linalg.aslinearoperator(J)  # J J' is the identity, whose estimates have no variance
    assert spectrum.estimate_entropy_rank(jax.random.key(0), J).rank.value == pytest.approx(7)
    assert spectrum.estimate_moments(jax.random.key(0), J).participation_ratio[0] == pytest.approx(
        7
    )


def test_errors_are_looked_at_every_ten_samples(matrix):
    K = matrix @ matrix.T
    counts = [
        spectrum.estimate_moments(
            jax.random.key(seed), K, num_samples=400, relative_error=0.1
        ).num_samples
        for seed in range(12)
    ]
    assert len(set(counts)) > 1
    assert {count % 10 for count in counts} == {0}


def test_progress_of_the_entropy_rank_counts_the_products_that_are_made(matrix):
    operator, calls = linalg.aslinearoperator(matrix), []

    def estimate(**options):
        calls.clear()
        found = spectrum.estimate_entropy_rank(
            jax.random.key(0), operator, progress=lambda *call: calls.append(call), **options
        )
        return found.num_samples

    # No more than the 24 steps that the side of 24 allows.
    assert estimate(num_samples=3) == 3
    assert calls == [("products", done, 3 * 24) for done in range(1, 73)]
    samples = estimate(num_samples=500, num_steps=4, relative_error=0.1)
    assert samples < 500
    assert calls[-2:] == [("products", 4 * samples, total) for total in (2000, 4 * samples)]


def test_vectors_in_place_of_an_invariant_span_have_keys_of_their_own():
    operator = linalg.aslinearoperator(2 * np.eye(6))  # every span is invariant
    key = jax.random.key(0)
    with jax.debug_key_reuse(True):
        found = spectrum.estimate_entropy_rank(
            jax.random.clone(key), operator, num_samples=2, num_steps=4
        )
        top = spectrum.largest_singular_triplets(jax.random.clone(key), operator, 3)
    assert found.rank.value == pytest.approx(6)
    np.testing.assert_allclose(top.values, 2)


def test_what_cannot_be_estimated_is_refused():
    key, K = jax.random.key(0), np.eye(4)
    one_infinite = linalg.LinearOperator(
        (4, 4), lambda v: np.array([1, np.inf, 1, 1]), lambda v: v, dtype=np.float64
    )
    with pytest.raises(InputError, match="num_samples is 1, expected at least 2"):
        spectrum.estimate_moments(key, K, num_samples=1)
    with pytest.raises(InputError, match="num_steps is 0, expected at least 1"):
        spectrum.estimate_entropy_rank(key, K, num_steps=0)
    with pytest.raises(
        InputError, match="the kernel's trace is 0 on 100 samples, expected above 0"
    ):
        spectrum.estimate_moments(key, 0 * K)
    for estimate in (spectrum.estimate_moments, spectrum.estimate_entropy_rank):
        with pytest.raises(InputError, match="a product with the kernel holds NaN or infinity"):
            estimate(key, aslinearoperator(np.nan * K))
        with pytest.raises(InputError, match="a product with the kernel holds NaN or infinity"):
            estimate(key, one_infinite)
