import threading

import jax
import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.coreset import selectors
from ntk_aug.coreset.selection import selection_budgets
from ntk_aug.errors import InputError

KEY = jax.random.key(0)
BUDGETED = [name for name, entry in coreset.SELECTORS.items() if entry.takes_budget]


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("name", BUDGETED)
def test_every_selector_gives_the_budget_and_weights_that_sum_to_each_group(small, name, per_class):
    found = coreset.select(KEY, small, name, count=15, per_class=per_class)
    assert len(np.unique(found.indices)) == len(found.indices) == 15
    np.testing.assert_array_equal(found.labels, small.labels[found.indices])
    assert found.indices.dtype == np.int64
    assert found.weights.dtype == found.gains.dtype == np.float64
    assert np.isfinite(found.gains).all() == (name != "random")
    if per_class:
        assert found.labels.tolist() == [0] * 8 + [1] * 2 + [2] * 5
    if name != "gradient-matching":
        sums = np.bincount(found.labels, found.weights) if per_class else [found.weights.sum()]
        np.testing.assert_allclose(sums, [40, 10, 25] if per_class else [75])


@pytest.mark.parametrize("name", BUDGETED)
def test_the_number_of_threads_does_not_matter(small, name):
    one, three = (
        coreset.select(KEY, small, name, count=15, per_class=True, num_threads=threads)
        for threads in (1, 3)
    )
    for first, second in zip(one, three, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", sorted({*BUDGETED} - {"random", "coreset"}))
def test_a_permutation_of_the_examples_leaves_who_is_selected(small, name):
    order = np.random.default_rng(1).permutation(75)
    found = coreset.select(KEY, small, name, count=15)
    permuted = coreset.select(KEY, small.take(order), name, count=15)
    np.testing.assert_array_equal(order[permuted.indices], found.indices)
    np.testing.assert_allclose(permuted.weights, found.weights, rtol=1e-9)


def test_a_permutation_of_the_examples_leaves_the_gains_of_the_coreset(small):
    found = coreset.select(KEY, small, count=15)
    permuted = coreset.select(KEY, small.take(np.random.default_rng(1).permutation(75)), count=15)
    np.testing.assert_allclose(permuted.gains, found.gains, rtol=1e-9)


def test_what_a_network_makes_of_them_is_computed_where_it_can_be_interrupted(small):
    threads = []

    def gradients(examples):
        threads.append(threading.current_thread())
        return small.gradients

    for name in ("coreset", "herding"):
        examples = coreset.Examples(small.labels, 3, {"gradients": gradients})
        coreset.select(KEY, examples, name, count=15)
    assert threads == [threading.main_thread()] * 2


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        (np.array([0, 1]), "returned ndarray, expected a Subset"),
        (coreset.Subset(np.array([0, 0])), "an index twice"),
        (coreset.Subset(np.array([0, 75])), "indices 0 to 75, expected 0 to 74"),
        (coreset.Subset(np.array([-1, 0])), "indices -1 to 0, expected 0 to 74"),
        (coreset.Subset(np.arange(4)), "at most 3 integers"),
        (coreset.Subset(np.array([0.5])), "dtype float64, expected at most 3 integers"),
        (coreset.Subset(np.arange(2), np.ones(3)), "weights of selector 'own' has shape"),
        (coreset.Subset(np.arange(2), gains=np.ones(3)), "gains of selector 'own' has shape"),
        (coreset.Subset(np.arange(2), np.array([1, np.nan])), "weights that are not finite"),
    ],
)
def test_what_is_no_subset_is_refused(small, subset, message):
    def own(key, examples, count):
        return subset

    with pytest.raises(InputError, match=message):
        coreset.select(KEY, small, own, count=3, per_class=False)


def test_what_is_asked_of_the_coreset_reaches_it(small, monkeypatch):
    asked = []

    def per_class(gradients, labels, **options):
        asked.append((gradients, labels, options))
        return coreset.facility_location_per_class(gradients, labels, **options)

    monkeypatch.setattr(selectors, "facility_location_per_class", per_class)
    given = {
        "count": 30,
        "allocation": "equal",
        "tolerance": 1.0,
        "algorithm": "stochastic",
        "epsilon": 0.3,
        "memory_bytes": 1001,
        "num_threads": 2,
        "progress": lambda *told: None,
    }
    coreset.select(KEY, small, **given)
    coreset.select(KEY, small, fraction=0.5, per_class=False)
    for (gradients, labels, options), expected in zip(
        asked,
        [
            {**given, "fraction": None, "num_classes": 3},
            {"fraction": 0.5, "count": None, "allocation": "proportional", "num_classes": 1}
            | {"num_threads": 1, "progress": None},
        ],
        strict=True,
    ):
        assert gradients is small.gradients
        assert len(set(labels)) == expected["num_classes"]
        assert options == {**expected, "algorithm_key": KEY}


def test_fewer_than_the_budget_stand_for_the_whole_group(small):
    def half(key, examples, count):
        return coreset.Subset(np.arange(count // 2))

    found = coreset.select(KEY, small, half, count=30)
    np.testing.assert_allclose(np.bincount(found.labels, found.weights), np.bincount(small.labels))


def test_a_random_algorithm_draws_with_the_key(small):
    def selected(key):
        found = coreset.select(key, small, count=30, algorithm="stochastic", epsilon=0.9)
        return found.indices.tolist()

    assert selected(KEY) == selected(KEY)
    assert selected(KEY) != selected(jax.random.fold_in(KEY, 1))


def test_what_is_wrong_is_told_before_a_network_is_evaluated(small):
    def never(examples):
        raise AssertionError("it was evaluated")

    examples = coreset.Examples(small.labels, 3, {"gradients": never})
    for name in ("coreset", "gradient-matching"):
        for per_class in (True, False):
            for wrong, message in [
                ({"fraction": 2.0}, "fraction is 2"),
                ({"count": 76}, "is 76, expected 1 to 75"),
                ({"count": 15, "tolerance": -1.0}, "tolerance is -1"),
                ({"count": 15, "surprise": 1}, "takes no option 'surprise'"),
                ({"count": 15, "allocation": "odd"}, "unknown allocation"),
            ]:
                with pytest.raises(InputError, match=message):
                    coreset.select(KEY, examples, name, per_class=per_class, **wrong)
    with pytest.raises(InputError, match="class 3 has 0 examples"):
        coreset.select(KEY, coreset.Examples(small.labels, 4, {"gradients": never}), tolerance=1.0)
    for name, wrong, message in [
        ("coreset", {"backend": "gpu"}, "unknown backend 'gpu'"),
        ("coreset", {"memory_bytes": 0}, "memory_bytes is 0"),
        ("coreset", {"epsilon": 0.5}, "epsilon is for algorithm 'stochastic', not 'incremental'"),
        ("coreset", {"num_threads": 0}, "num_threads is 0"),
        ("herding", {"num_threads": 0}, "num_threads is 0"),
        ("gradient-matching", {"ridge": -1.0}, "ridge is -1"),
    ]:
        with pytest.raises(InputError, match=message):
            coreset.select(KEY, examples, name, count=15, **wrong)


@pytest.mark.parametrize("name", BUDGETED)
def test_budgets_out_of_range_are_refused(small, name):
    for per_class in (True, False):
        with pytest.raises(InputError, match=r"count .* is 76, expected 1 to 75"):
            coreset.select(KEY, small, name, count=76, per_class=per_class)
        with pytest.raises(InputError, match="exactly one of them"):
            coreset.select(KEY, small, name, per_class=per_class)
        for fraction in (0.0, 1.01, float("nan")):
            with pytest.raises(InputError, match="fraction is"):
                coreset.select(KEY, small, name, fraction=fraction, per_class=per_class)
    with pytest.raises(InputError, match=r"budget of 2 leaves class 1 \(10 examples\) without"):
        coreset.select(KEY, small, name, count=2, per_class=True)


@pytest.mark.parametrize("name", coreset.SELECTORS)
def test_a_class_without_examples_is_refused_where_classes_are_selected_from(small, name):
    one_more = coreset.Examples.from_arrays(
        small.labels,
        4,
        gradients=small.gradients,
        logits=np.pad(small.logits, ((0, 0), (0, 1))),
        gradient_norms=small.gradient_norms,
    )
    with pytest.raises(InputError, match="class 3 has 0 examples"):
        coreset.select(KEY, one_more, name, count=15, per_class=True)
    found = coreset.select(KEY, one_more, name, count=15, per_class=False)
    assert len(found.indices) == {"all": 75, "none": 0}.get(name, 15)


def test_other_bad_input_is_told(small):
    with pytest.raises(InputError, match=r"unknown selector 'coresets' \(did you mean 'coreset'"):
        coreset.select(KEY, small, "coresets", count=3)
    with pytest.raises(InputError, match="selector 'random' takes no option 'tolerance'"):
        coreset.select(KEY, small, "random", count=3, tolerance=1.0)
    with pytest.raises(InputError, match="has no function 'nothing'"):
        coreset.select(KEY, small, "math:nothing", count=3)
    with pytest.raises(InputError, match="num_threads is 0"):
        coreset.select(KEY, small, "herding", count=15, num_threads=0)
    with pytest.raises(InputError, match="no gradients"):
        coreset.select(KEY, coreset.Examples.from_arrays(small.labels, 3), count=15)


def test_values_that_are_not_finite_are_refused(small):
    gradients = small.gradients.outer.copy()
    gradients[7] = np.nan
    for name, entry in coreset.SELECTORS.items():
        if entry.uses is None:
            continue
        values = gradients if entry.uses == "gradients" else gradients[:, :3]
        wrong = coreset.Examples(
            small.labels,
            3,
            {entry.uses: lambda examples, values=values, uses=entry.uses: _wrong(values, uses)},
        )
        with pytest.raises(InputError, match="NaN or infinity"):
            coreset.select(KEY, wrong, name, count=15)


def _wrong(values, uses):
    if uses == "gradients":
        return coreset.GradientFactors(values)
    return values if uses == "residuals" else values[:, 0]


def test_an_interruption_ends_the_selection(small):
    begun = []

    def own(key, examples, count):
        begun.append(count)
        return coreset.Subset(np.arange(count))

    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coreset.select(KEY, small, own, count=15, num_threads=1, progress=interrupt)
    for name in ("coreset", "herding"):
        with pytest.raises(KeyboardInterrupt):
            coreset.select(KEY, small, name, count=15, progress=interrupt)


def test_progress_is_told_for_each_class(small):
    told = []
    coreset.select(KEY, small, "herding", count=9, progress=lambda *x: told.append(x))
    assert told == [("classes", done, 3) for done in (1, 2, 3)]


@pytest.mark.parametrize("per_class", [None, True, False])
@pytest.mark.parametrize("name", sorted({*BUDGETED} - {"gradient-matching"}))
def test_budgets_are_told_without_a_network(small, name, per_class):
    found = coreset.select(KEY, small, name, fraction=0.3, per_class=per_class)
    budgets = selection_budgets(small.labels, 3, name, fraction=0.3, per_class=per_class)
    by_class = coreset.SELECTORS[name].per_class if per_class is None else per_class
    expected = np.bincount(found.labels, minlength=3) if by_class else [len(found.labels)]
    np.testing.assert_array_equal(budgets, expected)


def test_without_a_count_all_of_a_class_may_be_taken(small):
    budgets = selection_budgets
    for name, options in [("coreset", {}), ("gradient-matching", {"ridge": 0.0})]:
        assert budgets(small.labels, 3, name, tolerance=1.0).tolist() == [40, 10, 25]
        found = coreset.select(KEY, small, name, tolerance=1.0, **options)
        assert 3 <= len(found.indices) < 75
        for number in range(3):
            own, chosen = small.labels == number, found.labels == number
            left = small.gradients.outer[own].sum(axis=0)
            left = left - found.weights[chosen] @ small.gradients.outer[found.indices[chosen]]
            assert np.linalg.norm(left) <= 1
    assert budgets(small.labels, 3, "all").tolist() == [75]
    with pytest.raises(InputError, match="'stochastic' needs a count"):
        budgets(small.labels, 3, "coreset", tolerance=1.0, algorithm="stochastic")
    with pytest.raises(InputError, match="epsilon"):
        coreset.select(KEY, small, count=9, algorithm="stochastic", epsilon=2.0)
