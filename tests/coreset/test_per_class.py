import jax
import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.coreset.facility import per_class as classes
from ntk_aug.coreset.gradient_errors import error_estimate
from ntk_aug.errors import InputError

SIZES = (40, 10, 25)


@pytest.fixture(scope="module")
def labelled():
    """Gradients of three mixed classes, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), SIZES))
    return rng.standard_normal((75, 4)) + 3 * np.eye(3, 4)[labels], labels


def test_each_class_is_selected_by_itself(labelled):
    gradients, labels = labelled
    found = coreset.facility_location_per_class(gradients, labels, count=15)
    assert np.bincount(found.labels).tolist() == [8, 2, 5]
    start = 0
    for number, size in enumerate(SIZES):
        own = np.flatnonzero(labels == number)
        alone = coreset.facility_location(gradients[own], count=[8, 2, 5][number])
        part = slice(start, start + len(alone.indices))
        np.testing.assert_array_equal(found.indices[part], own[alone.indices])
        np.testing.assert_allclose(found.gains[part], alone.gains, atol=1e-12 * alone.gains[0])
        np.testing.assert_array_equal(found.weights[part], alone.weights)
        assert found.weights[part].sum() == size
        start = part.stop
    np.testing.assert_array_equal(found.labels, labels[found.indices])
    error = gradients.sum(axis=0) - found.weights @ gradients[found.indices]
    assert found.gradient_error == pytest.approx(np.linalg.norm(error), rel=1e-9)
    assert found.gradient_error <= found.estimate
    assert found.estimate == pytest.approx(sum(class_estimates(gradients, labels, found)))
    assert found.estimate == pytest.approx(
        np.linalg.norm(gradients - gradients[found.indices[found.assignment]], axis=1).sum()
    )
    assert found.objective == pytest.approx(found.gains.sum(), rel=1e-12)


def class_estimates(gradients, labels, found):
    """The sum of distances to the nearest selected one, of each class."""
    return [
        error_estimate(
            gradients[labels == number],
            np.searchsorted(
                np.flatnonzero(labels == number), found.indices[found.labels == number]
            ),
        )
        for number in range(labels.max() + 1)
    ]


def select(labelled, **options):
    return coreset.facility_location_per_class(*labelled, fraction=0.3, **options)


def test_any_number_of_threads_gives_the_same(labelled):
    for memory_bytes in (2**30, 1):
        found = [select(labelled, num_threads=n, memory_bytes=memory_bytes) for n in (1, 2, 3)]
        for other in found[1:]:
            for one, two in zip(found[0][:7], other[:7], strict=True):
                np.testing.assert_array_equal(one, two)


def test_within_any_budget_of_memory_the_selection_is_the_same(labelled):
    found = select(labelled)
    for memory_bytes in (8 * 40 * 40 * 2, 1):  # in parts of two, one by one
        other = select(labelled, num_threads=1, memory_bytes=memory_bytes)
        for name in ("indices", "weights", "labels"):
            np.testing.assert_array_equal(getattr(other, name), getattr(found, name))
        np.testing.assert_allclose(other.gains, found.gains, atol=1e-12 * found.gains[0])


def test_equal_budgets_take_all_of_a_small_class(labelled):
    found = coreset.facility_location_per_class(*labelled, count=36, allocation="equal")
    assert np.bincount(found.labels).tolist() == [13, 10, 13]
    assert class_estimates(*labelled, found)[1] == 0


def test_the_estimates_of_all_classes_are_within_the_tolerance(labelled):
    found = coreset.facility_location_per_class(*labelled, tolerance=40.0)
    assert found.estimate <= 40
    estimates = class_estimates(*labelled, found)
    for number, (estimate, size) in enumerate(zip(estimates, SIZES, strict=True)):
        assert estimate <= 40 * size / 75
        # With one less it would not have been.
        assert estimate + found.gains[found.labels == number][-1] > 40 * size / 75
    bounded = coreset.facility_location_per_class(
        *labelled, tolerance=40.0, count=3, allocation="equal"
    )
    assert len(bounded.indices) == 3


@pytest.mark.parametrize(("memory_bytes", "done"), [(1, (1, 2, 3)), (2**30, (3,))])
def test_progress_is_told_for_each_class_or_for_those_in_step(labelled, memory_bytes, done):
    told = []
    select(labelled, memory_bytes=memory_bytes, progress=lambda *x: told.append(x))
    assert told == [("classes", number, 3) for number in done]


def test_bad_input_is_told(labelled):
    gradients, labels = labelled
    select = coreset.facility_location_per_class
    with pytest.raises(InputError, match=r"label 2 of image .* outside 0 .. 1"):
        select(gradients, labels, num_classes=2, count=9)
    with pytest.raises(InputError, match="class 3 has 0 examples"):
        select(gradients, labels, num_classes=4, count=9)
    with pytest.raises(InputError, match="class 3 has 0 examples"):
        select(gradients, labels, num_classes=4, tolerance=1.0)
    with pytest.raises(InputError, match=r"budget of 2 leaves class 1 \(10 examples\) without"):
        select(gradients, labels, count=2)
    with pytest.raises(InputError, match="exactly one of them"):
        select(gradients, labels)
    with pytest.raises(InputError, match="labels have shape"):
        select(coreset.GradientFactors(gradients), labels[1:], count=9)
    with pytest.raises(InputError, match="tolerance is -1"):
        select(gradients, labels, tolerance=-1.0)
    with pytest.raises(InputError, match="num_threads is 0"):
        select(gradients, labels, count=9, num_threads=0)
    wrong = gradients.copy()
    wrong[60] = np.nan
    with pytest.raises(InputError, match="first in example 60"):
        select(wrong, labels, count=9)


@pytest.mark.parametrize("algorithm", ["lazy", "stochastic", "two-stage"])
def test_each_class_is_selected_by_the_algorithm_with_a_key_of_its_own(labelled, algorithm):
    gradients, labels = labelled
    key = jax.random.key(3)
    options = {"algorithm": algorithm, "memory_bytes": 4 * 13**2}
    found = select(labelled, algorithm_key=key, num_threads=1, **options)
    for number in range(3):
        of_class, selected = np.flatnonzero(labels == number), found.labels == number
        alone = coreset.facility_location(
            gradients[of_class],
            count=int(selected.sum()),
            algorithm_key=jax.random.fold_in(key, number),
            **options,
        )
        np.testing.assert_array_equal(found.indices[selected], of_class[alone.indices])
        np.testing.assert_array_equal(found.weights[selected], alone.weights)
    if algorithm == "lazy":
        np.testing.assert_array_equal(found.indices, select(labelled).indices)


def test_what_is_asked_of_a_class_reaches_it(labelled, monkeypatch):
    asked = []

    def facility_location(gradients, **options):
        asked.append(options)
        return coreset.facility_location(gradients, **options)

    monkeypatch.setattr(classes, "facility_location", facility_location)
    key = jax.random.key(1)
    given = {"algorithm": "stochastic", "epsilon": 0.3, "tolerance": 30.0, "memory_bytes": 1001}
    select(labelled, algorithm_key=key, num_threads=1, **given)
    select(labelled, algorithm_key=key, num_threads=2, **given)
    for number, options in enumerate(asked[:3]):
        own_key = options.pop("algorithm_key")
        assert own_key == jax.random.fold_in(key, number)
        expected = {**given, "count": (12, 3, 8)[number], "tolerance": 30 * SIZES[number] / 75}
        assert options == pytest.approx(expected)
    assert [options["memory_bytes"] for options in asked[3:]] == [500] * 3  # of two threads


def test_an_algorithm_that_lacks_something_is_told(labelled):
    with pytest.raises(InputError, match="'stochastic' needs algorithm_key"):
        select(labelled, algorithm="stochastic")
    with pytest.raises(InputError, match="'two-stage' needs a count"):
        coreset.facility_location_per_class(
            *labelled, tolerance=1.0, algorithm="two-stage", algorithm_key=jax.random.key(0)
        )
    with pytest.raises(InputError, match="algorithm 'lazy' is the host's"):
        select(labelled, algorithm="lazy", backend="device")
