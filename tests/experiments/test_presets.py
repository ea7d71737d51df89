"""The presets against the paper's settings, which are written out here once more."""

import dataclasses

import numpy as np
import pytest

from experiments.cost import num_selected
from experiments.known_data import KNOWN_DATA, known_sizes
from experiments.presets import GROUPS, PRESETS, find_preset, find_presets, matching_presets
from ntk_aug import data, models
from ntk_aug.errors import InputError

T1_METHODS = [
    "none",
    *(f"{m}-{size}" for m in ("random", "max-loss", "coreset") for size in (5, 10, 30)),
    "all",
]
PAPER = [name for name in PRESETS if name[:3] in ("t1-", "t2-", "t4-", "t7-", "f2-", "f5-", "lab")]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_what_exists_and_its_budget_can_be_kept(name):
    experiment = PRESETS[name].experiment
    sizes = known_sizes(experiment)
    assert experiment.data in data.DATASETS
    assert models.build_network(experiment.model, len(sizes.class_sizes), **experiment.options)
    selected = num_selected(experiment, sizes.class_sizes)
    method = experiment.method
    n = sum(sizes.class_sizes)
    expected = {"none": 0, "all": n}.get(method.selector)
    if expected is None:
        share = None if method.fraction is None else int(np.floor(method.fraction * n + 0.5))
        expected = method.count if share is None else share
    assert selected == expected
    assert PRESETS[name].description


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_runs_have_the_settings_of_its_section_d1(name):
    training = PRESETS[name].experiment.training
    assert (training.epochs, training.learning_rate, training.schedule) == (200, 0.1, "step")
    assert (training.decay_epochs, training.decay_factor) == ((100, 150), 0.1)
    assert (training.batch_size, training.momentum, training.weight_decay) == (128, 0.9, 1e-4)
    assert not training.nesterov
    assert PRESETS[name].reproduces


def test_table_1_has_every_row_and_column():
    columns = {
        "cifar10": ("cifar10", "resnet20", None),
        "cifar10-imb100": ("cifar10", "resnet32", 100),
        "cifar10-imb10": ("cifar10", "resnet32", 10),
        "svhn": ("svhn_cropped", "resnet32", None),
    }
    assert set(GROUPS["t1"]) == {f"t1-{c}-{m}" for c in columns for m in T1_METHODS}
    for column, (name, model, imbalance) in columns.items():
        assert GROUPS[f"t1-{column}"] == tuple(f"t1-{column}-{m}" for m in T1_METHODS)
        for row in T1_METHODS:
            experiment = PRESETS[f"t1-{column}-{row}"].experiment
            method, training = experiment.method, experiment.training
            assert (experiment.data, experiment.model) == (name, model)
            assert experiment.imbalance == imbalance
            assert (training.weak, training.weak_every) == (f"weak-{name}", 20)
            assert (method.train_on, method.placement) == ("full", "append")
            assert method.augment == ("none" if row == "none" else f"wu-{name}")
            selector, _, size = row.rpartition("-")
            assert method.selector == (selector or row)
            assert method.fraction == (int(size) / 100 if selector else None)
            assert method.reselect_every == 20


def test_table_4_adds_the_sizes_that_table_1_has_not():
    added = [f"{m}-{size}" for m in ("random", "max-loss", "coreset") for size in (15, 20, 25)]
    for column in ("cifar10", "svhn"):
        names = [f"t1-{column}-{m}" for m in T1_METHODS] + [f"t4-{column}-{m}" for m in added]
        assert GROUPS[f"t4-{column}"] == tuple(names)
        for size in (15, 20, 25):
            one = PRESETS[f"t4-{column}-coreset-{size}"].experiment
            other = PRESETS[f"t1-{column}-coreset-10"].experiment
            method = dataclasses.replace(other.method, fraction=size / 100)
            assert one == dataclasses.replace(other, method=method)


@pytest.mark.parametrize(
    ("percent", "count"), [("0.1", 50), ("0.2", 100), ("0.5", 250), ("1", 500)]
)
@pytest.mark.parametrize("selector", ["random", "coreset"])
@pytest.mark.parametrize("version", ["weak", "strong"])
def test_table_2_trains_on_the_subset_alone(percent, count, selector, version):
    name = f"t2-cifar10-{selector}-{version}-{percent}"
    assert name in GROUPS["t2"]
    assert name in GROUPS["f4"]
    preset = PRESETS[name]
    method = preset.experiment.method
    assert "T2" in preset.reproduces
    assert "F4" in preset.reproduces
    assert (method.selector, method.count, method.allocation) == (selector, count, "equal")
    assert (method.train_on, method.reselect_every, method.placement) == ("subset", 1, "append")
    assert method.augment == {"weak": "none", "strong": "wu-cifar10"}[version]
    if percent == "0.2":
        cheaper = PRESETS[f"cifar10-resnet20-cpu-{selector}-{version}"].experiment
        expected = dataclasses.replace(
            preset.experiment,
            method=dataclasses.replace(method, reselect_every=20),
            training=dataclasses.replace(preset.experiment.training, eval_every=50),
        )
        assert cheaper == expected


def test_table_7_and_the_figures():
    rows = {"none"} | {f"{m}-{p}" for m in ("random", "max-loss", "coreset") for p in (0.2, 0.5)}
    assert set(GROUPS["t7"]) == {f"t7-cifar10-{row}" for row in rows}
    for name in GROUPS["t7"]:
        experiment = PRESETS[name].experiment
        assert experiment.training.weak_every == experiment.method.reselect_every == 1
        assert experiment.method.train_on == "full"
    assert PRESETS["t7-cifar10-coreset-0.2"].experiment.method.fraction == pytest.approx(0.002)
    with_it = PRESETS["f2-cifar10-all"].experiment.method
    assert with_it.augment == "weak-cifar10+autoaugment-cifar10"
    for own, other in (("coreset", "max-loss"), ("max-loss", "coreset")):
        recorded = PRESETS[f"f5-cifar10-{own}-30"].experiment
        plain = PRESETS[f"t1-cifar10-{own}-30"].experiment
        method = dataclasses.replace(plain.method, also_record=(other,))
        assert recorded == dataclasses.replace(plain, method=method)
    for name in ("random-50", "coreset-50"):
        noisy = PRESETS[f"label-noise-{name}"].experiment
        assert noisy.label_noise == noisy.method.fraction == 0.5
        assert noisy.method.train_on == "subset"
        assert noisy.method.augments


def test_small_groups():
    rows = ["none", "random-10", "max-loss-10", "coreset-10", "all"]
    assert GROUPS["digits-quick"] == tuple(f"digits-{row}" for row in rows)
    assert GROUPS["mnist-mlp"] == tuple(f"mnist-mlp-{row}" for row in rows)
    projected = PRESETS["digits-coreset-10-network-projected"].experiment.method
    assert (projected.proxy, projected.dimension) == ("network-projected", 512)
    assert PRESETS["digits-coreset-10-network"].experiment.method.proxy == "network"


def test_comparisons_with_an_mlp_change_what_the_papers_change():
    tenth = PRESETS["mnist-mlp-coreset-10"].experiment
    for size in (5, 30):
        other = ("max-loss",) if size == 30 else ()
        method = dataclasses.replace(tenth.method, fraction=size / 100, also_record=other)
        expected = dataclasses.replace(tenth, method=method)
        assert PRESETS[f"mnist-t1-coreset-{size}"].experiment == expected
    versions = {
        "none": ("none", "append", 0.01),
        "in-place": ("autoaugment-svhn", "in-place", 0.01),
        "in-place-twice": ("autoaugment-svhn", "in-place", 0.02),
        "append": ("autoaugment-svhn", "append", 0.01),
    }
    for selector in ("random", "coreset"):
        for version, expected in versions.items():
            method = PRESETS[f"mnist-t3-{selector}-{version}"].experiment.method
            assert (method.augment, method.placement, method.fraction) == expected
            assert (method.selector, method.train_on) == (selector, "subset")
    for name, sizes in (("mnist", (0.2, 0.5)), ("digits", (1, 5))):
        rows = [f"{m}-{size}" for size in sizes for m in ("random", "max-loss", "coreset")]
        assert GROUPS[f"{name}-t7"] == tuple(f"{name}-t7-{row}" for row in ("none", *rows))
        for preset in GROUPS[f"{name}-t7"]:
            experiment = PRESETS[preset].experiment
            assert experiment.training.weak_every == 1
            assert experiment.method.selector == "none" or experiment.method.reselect_every == 1


def test_groups_hold_presets_and_hide_none():
    assert not set(GROUPS) & set(PRESETS)
    assert {name for members in GROUPS.values() for name in members} == set(PRESETS)


@pytest.mark.parametrize("name", KNOWN_DATA)
def test_known_sizes_have_the_published_totals(name):
    totals = {"digits": (1438, 359), "mnist": (60000, 10000), "cifar10": (50000, 10000)}
    totals["svhn_cropped"] = (73257, 26032)
    known = KNOWN_DATA[name]
    assert (sum(known.train), sum(known.test)) == totals[name]


@pytest.mark.parametrize(
    "name", ["digits", *(pytest.param(n, marks=pytest.mark.slow) for n in ("mnist", "cifar10"))]
)
def test_known_sizes_are_those_of_the_data(name):
    known = KNOWN_DATA[name]
    for split, sizes in (("train", known.train), ("test", known.test)):
        dataset = data.load_dataset(name, split)
        assert tuple(np.bincount(dataset.labels)) == sizes
        assert dataset.class_names == known.class_names
        assert dataset.image_shape == known.image_shape


def test_a_long_tail_has_the_published_sizes():
    experiment = PRESETS["t1-cifar10-imb100-none"].experiment
    sizes = known_sizes(experiment).class_sizes
    assert sum(sizes) == 12406
    assert (sizes[0], sizes[-1]) == (5000, 50)
    assert known_sizes(experiment).test == 10000  # the test set stays balanced


def test_names_that_are_nearly_right_are_told():
    with pytest.raises(InputError, match="'t1-cifar10-nones'; the nearest are t1-cifar10-none,"):
        find_preset("t1-cifar10-nones")
    with pytest.raises(InputError, match="'t7' is a group of presets, expected one of t7-cifar10"):
        find_preset("t7")
    with pytest.raises(
        InputError, match=r"unknown preset or group 'T7'.*`python -m experiments li"
    ):
        find_presets("T7")
    assert list(find_presets("t7")) == list(GROUPS["t7"])
    assert list(matching_presets("imb10-")) == list(GROUPS["t1-cifar10-imb10"])
    assert matching_presets(None) == PRESETS
