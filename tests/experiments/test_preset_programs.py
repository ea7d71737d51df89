"""Each distinct program of the presets trains one step on a few images of the right shape."""

import dataclasses

import numpy as np
import pytest

from experiments.known_data import KNOWN_DATA
from experiments.presets import PRESETS
from experiments.run import resolve, train_resolved
from ntk_aug import data
from ntk_aug.data.splits import SPLITS

# Those that are tried by default; all others under -m slow.
QUICK = ("digits-mlp", "digits-coreset-10-network-projected")
PER_CLASS = 2


def program_of(experiment):
    """What decides which programs are compiled, but for sizes."""
    method = experiment.method
    return (
        *(experiment.data, experiment.model, experiment.width, experiment.activation),
        *(experiment.classes, experiment.training.weak, method.augment, method.train_on),
        *(method.selector, method.proxy, method.also_record),
    )


PROGRAMS = {program_of(preset.experiment): name for name, preset in reversed(PRESETS.items())}
PROGRAMS |= {program_of(PRESETS[name].experiment): name for name in QUICK}


def fake_splits(experiment):
    known = KNOWN_DATA[experiment.data]
    names = experiment.classes or known.class_names
    labels = np.tile(np.arange(len(names)), PER_CLASS)
    rng = np.random.default_rng(0)
    return tuple(
        data.Dataset(
            experiment.data,
            split,
            rng.integers(0, 256, (len(labels), *known.image_shape), dtype=np.uint8),
            labels,
            names,
        )
        for split in SPLITS
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in sorted(PROGRAMS.values())
    ],
)
def test_a_step_is_trained(name, tmp_path):
    experiment = PRESETS[name].experiment
    splits = fake_splits(experiment)
    overrides = {"epochs": 1, "batch_size": 64}
    if experiment.method.fraction or experiment.method.count:
        overrides["count"] = len(splits[0].class_names)  # one of each class
    resolved = resolve(name, experiment, overrides)
    assert dataclasses.replace(resolved.experiment.method, fraction=None, count=None) == (
        dataclasses.replace(experiment.method, fraction=None, count=None)
    )
    network = train_resolved(resolved, splits, str(tmp_path / "run"))
    (record,) = network.history
    n, method = len(splits[0]), experiment.method
    selected = {"none": 0, "all": n}.get(method.selector, n // PER_CLASS)
    trained = n if method.train_on == "full" else selected
    assert record.examples == trained + (selected if method.augments else 0)
    assert record.steps == 1
    assert np.isfinite(record.train_loss)
    assert record.distinct_selected == selected


def test_the_programs_are_fewer_than_the_presets():
    assert len(PROGRAMS) < len(PRESETS) / 2
    assert set(QUICK) < set(PROGRAMS.values())
