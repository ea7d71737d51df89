import tracemalloc

import jax
import numpy as np
import pytest
from helpers import pairwise, random_gradients, softmax_gradients

from ntk_aug import coreset
from ntk_aug.coreset.facility.growing import GrowingSelection
from ntk_aug.errors import InputError
from ntk_aug.randomness import generator

KEY = jax.random.key(0)


def test_candidates_of_stochastic_greedy_are_the_keys_and_all_of_them_make_it_exact():
    gradients = random_gradients(8, 60)
    options = {"count": 6, "algorithm": "stochastic"}
    one, again, other = (
        coreset.facility_location(gradients, algorithm_key=jax.random.key(seed), **options)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.indices, again.indices)
    assert one.indices.tolist() != other.indices.tolist()
    # log(1 / epsilon) >= k: every example is a candidate.
    exact = coreset.facility_location(gradients, algorithm_key=KEY, epsilon=1e-3, **options)
    assert exact.indices.tolist() == coreset.facility_location(gradients, count=6).indices.tolist()


def test_stochastic_greedy_is_within_epsilon_of_the_exact_in_the_mean():
    gradients = softmax_gradients(1, 150)
    options = {"count": 15, "constant": 10.0}
    exact = coreset.facility_location(gradients, **options)
    mean, rest = {}, exact.estimate
    for epsilon in (0.5, 0.05):
        estimates = [
            coreset.facility_location(
                gradients,
                algorithm="stochastic",
                algorithm_key=jax.random.key(seed),
                epsilon=epsilon,
                **options,
            ).estimate
            for seed in range(20)
        ]
        mean[epsilon] = np.mean(estimates)
        assert exact.objective - (mean[epsilon] - rest) >= (1 - epsilon) * exact.objective
    # The more candidates, the nearer; and both are much nearer than chance.
    rng = np.random.default_rng(0)
    D = pairwise(gradients)
    by_chance = np.mean([D[:, rng.choice(150, 15, False)].min(axis=1).sum() for _ in range(50)])
    assert rest < mean[0.05] < mean[0.5] < by_chance


def test_two_stages_select_from_parts_what_stands_for_all():
    gradients = softmax_gradients(2, 200)
    exact = coreset.facility_location(gradients, count=20)
    two = {"count": 20, "algorithm": "two-stage", "algorithm_key": KEY}
    whole = coreset.facility_location(gradients, **two)  # all fits: one part
    np.testing.assert_array_equal(whole.indices, exact.indices)
    told = []
    found = coreset.facility_location(
        gradients, memory_bytes=4 * 50**2, progress=lambda *x: told.append(x), **two
    )
    assert told[:4] == [("parts", done, 4) for done in (1, 2, 3, 4)]
    assert len(set(found.indices)) == 20
    D = pairwise(gradients)[:, found.indices]
    np.testing.assert_array_equal(found.assignment, D.argmin(axis=1))
    assert found.estimate == pytest.approx(D.min(axis=1).sum(), rel=1e-12)
    assert exact.estimate < found.estimate < 1.1 * exact.estimate


# Whose estimate is least: that of the second stage, or that of a part. With three parts, a later
# one than the best is also better than the second stage.
@pytest.mark.parametrize(
    ("seed", "num_parts", "least"),
    [(4, 2, 1), (6, 2, 2), (10, 2, 1), (1, 2, 0), (82, 3, 1), (204, 3, 2), (350, 3, 1)],
)
def test_two_stages_give_the_best_of_the_second_and_of_each_part(seed, num_parts, least):
    gradients = np.random.default_rng(seed).standard_normal((12, 2))
    D = pairwise(gradients)
    parts = np.array_split(generator(KEY).permutation(12), num_parts)
    own = [part[coreset.facility_location(gradients[part], count=2).indices] for part in parts]
    union = np.concatenate(own)
    first = union[D[:, union].sum(axis=0).argmin()]
    second = union[np.minimum(D[:, union], D[:, [first]]).sum(axis=0).argmin()]
    estimates = [D[:, two].min(axis=1).sum() for two in ([first, second], *own)]
    memory_bytes = 4 * (12 // num_parts) ** 2
    found = coreset.facility_location(
        gradients, count=2, algorithm="two-stage", algorithm_key=KEY, memory_bytes=memory_bytes
    )
    assert found.estimate == pytest.approx(min(estimates), rel=1e-12)
    assert np.argmin(estimates) == least
    assert found.constant >= D.max()
    assert found.weights.sum() == 12


def test_two_stages_stop_within_the_tolerance():
    gradients = softmax_gradients(2, 60)
    options = {"algorithm": "two-stage", "algorithm_key": KEY, "memory_bytes": 4 * 20**2}
    found = coreset.facility_location(gradients, count=20, tolerance=20.0, **options)
    assert len(found.indices) < 20
    assert found.estimate <= 20 < found.estimate + found.gains[-1]
    # Parts that are smaller than the count give all that they have.
    most = coreset.facility_location(gradients, count=40, **options)
    exact = coreset.facility_location(gradients, count=40)
    np.testing.assert_array_equal(most.indices, exact.indices)


def test_stochastic_greedy_takes_the_best_of_each_draw():
    gradients = softmax_gradients(4, 80)
    found = coreset.facility_location(
        gradients, count=10, algorithm="stochastic", algorithm_key=KEY, epsilon=0.3
    )
    rng, D, nearest, left = generator(KEY), pairwise(gradients), np.full(80, np.inf), np.arange(80)
    size = int(np.ceil(8 * np.log(1 / 0.3)))
    for index in found.indices:  # every gain computed anew, whatever was known before
        drawn = np.sort(rng.choice(left, size, replace=False))
        assert index == drawn[np.minimum(nearest[:, None], D[:, drawn]).sum(axis=0).argmin()]
        nearest = np.minimum(nearest, D[:, index])
        left = left[left != index]


def test_the_first_stands_for_all_even_beyond_a_bound_that_rounding_made_too_small():
    class ByHand(GrowingSelection):
        def step(self):
            raise AssertionError("examples are added by hand")

    growing = ByHand(coreset.GradientFactors(np.zeros((2, 1))), largest=1.0)
    assert growing.add(0, np.array([0.0, 1.5])) == 1.5


def test_no_algorithm_keeps_more_distances_than_the_budget():
    gradients = softmax_gradients(3, 3000)
    budgets = {"lazy": 1, "stochastic": 1, "incremental": 1, "two-stage": 4 * 1500**2}
    for algorithm, budget in budgets.items():
        tracemalloc.start()
        coreset.facility_location(
            gradients,
            count=3,
            algorithm=algorithm,
            algorithm_key=KEY,
            memory_bytes=budget,
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * 3000**2 / 2, algorithm  # blocks of a megabyte, and not 36 MB


def test_bad_input_is_told_before_anything_is_selected():
    gradients = random_gradients(0, 8)
    with pytest.raises(
        InputError, match=r"unknown algorithm of facility location 'lasy' \(did.*'lazy'"
    ):
        coreset.facility_location(gradients, count=2, algorithm="lasy")
    with pytest.raises(InputError, match="'stochastic' needs algorithm_key"):
        coreset.facility_location(gradients, count=2, algorithm="stochastic")
    with pytest.raises(InputError, match="'two-stage' needs a count"):
        coreset.facility_location(
            gradients, tolerance=1.0, algorithm="two-stage", algorithm_key=KEY
        )
    for epsilon in (0.0, 1.0, np.nan):
        with pytest.raises(InputError, match=f"epsilon is {epsilon}, expected more than 0"):
            coreset.facility_location(gradients, count=2, epsilon=epsilon)
