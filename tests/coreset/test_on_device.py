"""Against the host's selection, which has a greedy of its own and is tested by itself."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import orthogonal, random_gradients, softmax_gradients
from jax.sharding import Mesh

from ntk_aug import coreset
from ntk_aug.coreset.facility import on_device
from ntk_aug.coreset.facility.on_device import device_bytes, facility_location_on_device
from ntk_aug.errors import InputError

SIZES = (40, 1, 17, 30, 12, 24)
COUNTS = (9, 1, 3, 20, 5, 24)
MIB = 2**20
TESTS = Path(__file__).parents[1]


def gradients_of(kind):
    """One class of each of `SIZES`; in two of them, some are equal, and all are."""
    rng = np.random.default_rng(0)
    classes = []
    for seed, size in enumerate(SIZES):
        outer = (softmax_gradients if kind == "softmax" else random_gradients)(seed, size)
        inner = rng.standard_normal((size, 3)) if kind == "factors" else None
        classes.append(coreset.GradientFactors(outer, inner))
    classes[3] = classes[3].take(np.arange(30) // 3)
    classes[4] = classes[4].take(np.zeros(12, int))
    return classes


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        for name in ("indices", "weights", "assignment"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        atol = 1e-12 * len(other.assignment) * other.constant
        np.testing.assert_allclose(one.gains, other.gains, atol=atol)
        for name in ("objective", "estimate", "gradient_error", "constant"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12, abs=atol)


def on_host(classes, counts=COUNTS, tolerances=(None,) * 6):
    return [
        coreset.facility_location(own, count=count, tolerance=tolerance)
        for own, count, tolerance in zip(classes, counts, tolerances, strict=True)
    ]


@pytest.mark.parametrize("kind", ["rows", "softmax", "factors"])
def test_each_class_is_selected_as_on_the_host(kind):
    classes = gradients_of(kind)
    found = facility_location_on_device(classes, COUNTS, memory_bytes=MIB)
    assert_same(found, on_host(classes))
    assert found[4].indices.tolist() == [0, 1, 2, 3, 4]
    assert found[4].estimate == 0


def test_of_examples_that_gain_the_same_up_to_rounding_the_first_is_taken():
    # Eight groups, each the corners of a regular simplex of its own size.
    rng = np.random.default_rng(0)
    centres = np.repeat(100 * np.eye(8, 48), 5, axis=0)
    corners = np.eye(40, 48, k=8) * np.repeat(rng.uniform(0.5, 2, 8), 5)[:, None]
    simplices = coreset.GradientFactors((centres + corners) @ orthogonal(rng, 48))
    (found,) = facility_location_on_device([simplices], [8])
    assert sorted(found.indices) == list(range(0, 40, 5))


def test_each_class_stops_by_its_own_tolerance_or_count():
    classes = gradients_of("rows")
    firsts = np.array([one.estimate for one in on_host(classes, (1,) * 6)])
    tolerances = firsts * [0.01, 1, 1.01, 0, 0.5, 0.3]
    counts = (*SIZES[:5], 2)
    found = facility_location_on_device(classes, counts, memory_bytes=MIB, tolerances=tolerances)
    assert_same(found, on_host(classes, counts, tolerances.tolist()))
    lengths = [len(one.indices) for one in found]
    assert lengths[1:] == [1, 1, 10, 1, 2]
    assert on_device._STEPS_PER_LOOK < lengths[0] < 40


def test_the_budget_of_memory_divides_the_classes_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(on_device, "_SMALL_CLASS", 17)
    classes = gradients_of("rows")
    told = []
    needed = device_bytes(classes[0], 40)
    found = facility_location_on_device(
        classes, COUNTS, memory_bytes=needed, progress=lambda *now: told.append(now)
    )
    assert_same(found, on_host(classes))
    # 40 and 30 one by one, 24 and 17 together, 12 and 1 together.
    assert told == [("classes", done, 6) for done in (1, 2, 4, 6)]


def test_classes_of_similar_sizes_share_one_compilation():
    rng = np.random.default_rng(1)
    sizes = [300, 290, 215, 300, 60, 50, 3]
    classes = [coreset.GradientFactors(rng.standard_normal((size, 2))) for size in sizes]
    program = on_device._program(None)
    before = program._cache_size()
    for counts in ([2] * 7, [3, 1, 2, 9, 9, 9, 3]):
        found = facility_location_on_device(classes, counts, memory_bytes=300 * MIB)
        assert [len(one.indices) for one in found] == counts
    assert program._cache_size() == before + 2
    # Two at once, twice: the same program for both.
    budget = 2 * device_bytes(classes[0], 300)
    facility_location_on_device(classes[:4], [2] * 4, memory_bytes=budget)
    assert program._cache_size() == before + 3


def compiled(kind, columns):
    """The program of four classes of 200, of which distances are the most."""
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal((200, columns)) for _ in range(2 if kind == "factors" else 1)]
    classes = [coreset.GradientFactors(*factors)] * 4
    batch = on_device._side_by_side(classes, np.full(4, 9), np.full(4, -1.0), (4, 200))
    with jax.enable_x64(True):
        return on_device._program(None).lower(batch).compile(), device_bytes(classes[0], 200)


@pytest.mark.parametrize("kind", ["rows", "factors"])
def test_a_class_takes_at_most_what_it_is_said_to(kind):
    program, said = compiled(kind, 100)
    memory = program.memory_analysis()
    assert memory.temp_size_in_bytes + memory.argument_size_in_bytes <= 4 * said


def test_the_host_is_asked_for_nothing_between_steps():
    text = compiled("rows", 2)[0].as_text()
    assert not any(word in text for word in ("callback", "infeed", "outfeed"))
    # A loop whose length is not known has its condition read by the host: that around the steps.
    assert text.count(" while(") == 2
    assert text.count(f'"known_trip_count":{{"n":"{on_device._STEPS_PER_LOOK}"}}') == 1


PROGRAM = """
import jax, numpy as np
from jax.sharding import Mesh
from test_on_device import *

assert jax.device_count() == 8
mesh = Mesh(np.array(jax.devices()), ("classes",))
classes = gradients_of("factors") * 2  # two on some devices, one on others
given = (classes, COUNTS * 2)
one = facility_location_on_device(*given, memory_bytes=MIB)
for memory_bytes in (MIB, device_bytes(classes[0], 40)):
    found = facility_location_on_device(*given, memory_bytes=memory_bytes, mesh=mesh)
    assert_same(found, one)
batch = on_device._side_by_side(classes, np.array(COUNTS * 2), np.full(12, -1.0), (16, 40))
with jax.enable_x64(True):
    text = on_device._program(mesh).lower(batch).compile().as_text()
assert "f64[2,40,40]" in text  # two of sixteen places on each device
assert not any(word in text for word in ("all-reduce", "all-gather", "collective-permute"))
labels = np.repeat(np.arange(6), SIZES)
gradients = np.concatenate([own.outer for own in gradients_of("rows")])
found = [
    coreset.facility_location_per_class(gradients, labels, fraction=0.6, **options)
    for options in ({"mesh": mesh}, {"backend": "host"})
]
np.testing.assert_array_equal(found[0].indices, found[1].indices)
np.testing.assert_array_equal(found[0].weights, found[1].weights)
print("all equal")
"""


def test_eight_devices_select_what_one_does():
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS), str(TESTS / "coreset")]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "all equal\n", done.stderr


def test_per_class_selects_the_same_on_the_device_and_takes_it_for_a_mesh():
    classes = gradients_of("rows")
    labels = np.repeat(np.arange(6), SIZES)
    gradients = np.concatenate([own.outer for own in classes])
    options = {"fraction": 0.6, "tolerance": 20.0}
    expected = coreset.facility_location_per_class(gradients, labels, **options)
    told = []
    for chosen in ({"backend": "device"}, {"mesh": Mesh(np.array(jax.devices()[:1]), ("x",))}):
        found = coreset.facility_location_per_class(
            gradients, labels, progress=lambda *now: told.append(now), **chosen, **options
        )
        for name in ("indices", "weights", "labels", "assignment"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_allclose(found.gains, expected.gains, atol=1e-10 * expected.gains.max())
        for name in ("objective", "estimate", "gradient_error"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-10)
    assert told == [("classes", 6, 6)] * 2


def test_by_default_a_gpu_is_used_where_the_largest_class_fits(monkeypatch):
    used = []

    def select(*given, **options):
        used.append(True)
        return facility_location_on_device(*given, **options)

    monkeypatch.setattr("ntk_aug.coreset.facility.per_class.facility_location_on_device", select)
    gradients = gradients_of("rows")[0]
    for name, memory_bytes, expected in (
        ("cpu", MIB, []),
        ("gpu", device_bytes(gradients, 40) - 1, []),
        ("gpu", device_bytes(gradients, 40), [True]),
    ):
        monkeypatch.setattr(jax, "default_backend", lambda name=name: name)
        coreset.facility_location_per_class(
            gradients, np.zeros(40, int), count=3, memory_bytes=memory_bytes
        )
        assert used == expected


def test_bad_input_is_told():
    classes = gradients_of("rows")

    def select(classes=classes, counts=COUNTS, memory_bytes=MIB, **options):
        facility_location_on_device(classes, counts, memory_bytes=memory_bytes, **options)

    with pytest.raises(InputError, match=r"class 2 is 18, expected 1 to 17"):
        select(counts=(9, 1, 18, 1, 1, 1))
    with pytest.raises(InputError, match=r"counts has shape \(2,\), expected \(6,\)"):
        select(counts=(9, 1))
    with pytest.raises(InputError, match=r"tolerances has shape \(1,\), expected \(6,\)"):
        select(tolerances=(9.0,))
    with pytest.raises(InputError, match="tolerance of class 1 is -1"):
        select(tolerances=(0, -1.0, 0, 0, 0, 0))
    with pytest.raises(InputError, match=r"class 1 have columns \(5, 3\), expected .* \(5,\)"):
        select([classes[0], gradients_of("factors")[1]], (1, 1))
    with pytest.raises(InputError, match=r"class 0 of 40 examples takes .* 'host' needs fewer"):
        select(memory_bytes=100)
    with pytest.raises(InputError, match=r"expected one$"):
        select(mesh=Mesh(np.array(jax.devices())[:, None], ("a", "b")))
    with pytest.raises(InputError, match="NaN or infinity in 1 of 2 examples, first in example 1"):
        select([coreset.GradientFactors(np.array([[0.0], [np.nan]]))], (1,))
    gradients, labels = classes[0], np.zeros(40, int)
    with pytest.raises(InputError, match="unknown backend 'gpu'; known: device, host"):
        coreset.facility_location_per_class(gradients, labels, count=2, backend="gpu")
    with pytest.raises(InputError, match="a mesh is given for backend 'host'"):
        coreset.facility_location_per_class(
            gradients, labels, count=2, backend="host", mesh=Mesh(np.array(jax.devices()), ("x",))
        )
