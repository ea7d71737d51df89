import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.coreset.facility.lockstep import classes_in_step, facility_location_in_lockstep

SIZES = np.array([30, 1, 12, 25, 6, 30])


def classes(kind):
    """Gradients of classes of `SIZES`: of the third all are equal, in the fourth each is double."""
    rng = np.random.default_rng(0)
    found = []
    for size in SIZES:
        outer = rng.standard_normal((size, 3)) * np.exp(2 * rng.standard_normal((size, 1)))
        inner = rng.standard_normal((size, 4)) if kind == "factors" else None
        found.append(coreset.GradientFactors(outer, inner))
    found[2] = found[2].take(np.zeros(12, int))
    found[3] = found[3].take(np.arange(25) // 2)
    return found


def in_lockstep(classes, *arguments):
    """With the examples of all classes mixed."""
    order = np.random.default_rng(1).permutation(SIZES.sum())
    inner = None if classes[0].inner is None else np.concatenate([own.inner for own in classes])
    factors = coreset.GradientFactors(np.concatenate([own.outer for own in classes]), inner)
    members = np.split(np.argsort(order), np.cumsum(SIZES)[:-1])
    return facility_location_in_lockstep(factors.take(order), members, *arguments)


def assert_same(found, classes, counts, tolerances):
    """What one class after another gives, each from float32 and near ties."""
    for one, gradients, count, tolerance in zip(found, classes, counts, tolerances, strict=True):
        alone = coreset.facility_location(gradients, count=int(count), tolerance=tolerance)
        for name in ("indices", "weights", "assignment"):
            np.testing.assert_array_equal(getattr(one, name), getattr(alone, name), err_msg=name)
        atol = 1e-12 * len(gradients) * alone.constant
        np.testing.assert_allclose(one.gains, alone.gains, atol=atol)
        for name in ("objective", "estimate", "gradient_error", "constant"):
            assert getattr(one, name) == pytest.approx(getattr(alone, name), rel=1e-9, abs=atol)


@pytest.mark.parametrize("kind", ["rows", "factors"])
def test_each_class_is_selected_as_by_itself(kind, monkeypatch):
    monkeypatch.setattr("ntk_aug.coreset.facility.lockstep._BLOCK_ENTRIES", 300)  # ten rows a time
    gradients = classes(kind)
    counts = np.array([9, 1, 3, 20, 6, 30])
    found = in_lockstep(gradients, counts)
    assert_same(found, gradients, counts, [None] * 6)


def test_each_class_stops_by_its_own_tolerance_or_count():
    gradients = classes("rows")
    estimates = [coreset.facility_location(own, count=1).estimate for own in gradients]
    tolerances = np.array(estimates) * [0.1, 1, 0, 0, 0.5, 0.3]
    counts = np.array([30, 1, 12, 25, 2, 30])
    found = in_lockstep(gradients, counts, tolerances)
    assert_same(found, gradients, counts, tolerances.tolist())
    lengths = [len(one.indices) for one in found]
    assert lengths[1:5] == [1, 1, 13, 2]
    assert 1 < lengths[5] < lengths[0] < 30


def test_classes_go_together_as_far_as_the_budget_reaches():
    parts = [list(part) for part in classes_in_step(SIZES, memory_bytes=8 * 2 * 30**2)]
    assert parts == [[0, 5], [3, 2], [4, 1]]
    assert [list(part) for part in classes_in_step(SIZES, memory_bytes=1)] == [
        [number] for number in (0, 5, 3, 2, 4, 1)
    ]
    large = classes_in_step(np.array([5, 701, 5]), memory_bytes=2**40)
    assert [list(part) for part in large] == [[1], [0, 2]]
