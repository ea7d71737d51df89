"""What commands hand to the library: every option, and a key for each thing that is drawn."""

from pathlib import Path

import jax
import numpy as np
import pytest

from analysis.common import networks
from analysis.common.options import PretrainingOptions
from analysis.select import cost as select_cost
from analysis.select import inputs as select_inputs
from analysis.select import results as select_results
from analysis.select.options import SelectOptions
from analysis.spectrum.options import SpectrumOptions
from ntk_aug import coreset, models, training
from ntk_aug.training.cost import estimate_training_seconds
from ntk_aug.training.pretrained import PretrainedNetwork

GIVEN = SelectOptions(
    width=3,
    activation="tanh",
    epochs=4,
    pretraining=PretrainingOptions(
        batch_size=7,
        learning_rate=0.3,
        momentum=0.4,
        weight_decay=0.02,
        weak="rotation:5",
    ),
    cache="elsewhere",
    seed=11,
    selector="coreset",
    algorithm="stochastic",
    epsilon=0.2,
    allocation="equal",
    per_class=False,
    proxy="network-projected",
    dimension=9,
    loss="squared",
    memory_gib=0.5,
    random_subsets=3,
)


class Recorder:
    """Stands in for a function: keeps what it is called with."""

    def __init__(self, result=None):
        self.calls, self.result = [], result

    def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        return self.result


def test_every_option_of_pretraining_arrives(digits, tanh_mlp, monkeypatch):
    assert networks.training_config(GIVEN, 2) == training.TrainingConfig(
        epochs=4,
        batch_size=7,
        learning_rate=0.3,
        momentum=0.4,
        weight_decay=0.02,
        weak="rotation:5",
        seed=13,
    )
    for model, rate in (("mlp", 0.05), ("resnet20", 0.1), ("own:net", 0.1)):
        assert networks.training_config(SpectrumOptions(model=model)).learning_rate == rate
    config = {"model": {"name": "mlp", "options": {}}, "training": {}, "data": {}}
    run = training.RunFolder(Path("folder"), config)
    recorder = Recorder(PretrainedNetwork(tanh_mlp, run, []))
    monkeypatch.setattr(training, "train_named_model", recorder)
    test_set = digits.take(np.arange(3))
    assert len(networks.pretrain(GIVEN, digits, test_set, networks=3)) == 3
    assert [args[2].seed for args, _ in recorder.calls] == [11, 12, 13]
    for args, options in recorder.calls:
        assert args[:2] == ("mlp", digits)
        assert options["test_set"] is test_set
        assert options["options"] == {"width": 3, "activation": "tanh"}
        assert options["cache"] == "elsewhere"


def data_of(key):
    return tuple(jax.random.key_data(key).tolist())


def test_every_option_of_a_selection_arrives(digits, tanh_mlp, monkeypatch):
    recorders = {name: Recorder() for name in ("ExamplesProgram", "selection_budgets")}
    for name, recorder in recorders.items():
        monkeypatch.setattr(select_inputs, name, recorder)
    monkeypatch.setattr(coreset, "select", Recorder())
    told = Recorder()
    select_inputs.examples_program(GIVEN, tanh_mlp, digits, told)
    ((args, options),) = recorders["ExamplesProgram"].calls
    assert args == (tanh_mlp.apply_fn, digits)
    key = options.pop("projection_key")
    assert options == {
        "proxy": "network-projected",
        "loss": "squared",
        "dimension": 9,
        "memory_bytes": 2**29,
        "progress": told,
    }
    selector = {
        "allocation": "equal",
        "per_class": False,
        "algorithm": "stochastic",
        "epsilon": 0.2,
    }
    select_inputs.select(GIVEN, "examples", {"count": 5}, progress=told)
    ((args, options),) = coreset.select.calls
    assert args[1:] == ("examples", "coreset")
    assert options == {**selector, "count": 5, "memory_bytes": 2**29, "progress": told}
    select_inputs.group_budgets(GIVEN, digits, {"fraction": 0.5})
    ((budget_args, options),) = recorders["selection_budgets"].calls
    assert budget_args[1:] == (3, "coreset")
    assert options == {**selector, "fraction": 0.5}
    assert data_of(args[0]) != data_of(key)


def test_all_that_is_drawn_has_a_key_of_its_own(digits, monkeypatch):
    drawn = np.array([3.0, 1.0, 2.0])
    recorder = Recorder(drawn)
    monkeypatch.setattr(coreset, "random_gradient_errors", recorder)
    gradients = np.random.default_rng(0).normal(size=(12, 3))
    examples = coreset.Examples.from_arrays(digits.labels, 3, gradients=gradients)
    places = np.array([np.flatnonzero(digits.labels == number)[0] for number in range(3)])
    ones = np.ones(3)
    selection = coreset.Subset(places, ones, ones, np.arange(3))
    purposes = ("OF_SELECTION", "OF_RANDOM_SUBSETS", "OF_PROJECTION")
    keys = []
    for seed in (0, 1):
        options = SelectOptions(count=3, random_subsets=3, seed=seed)
        keys += [select_inputs.key_of(options, getattr(select_inputs, name)) for name in purposes]
        rows = select_results.errors_by_class(options, digits, examples, selection)
        select_results.errors_of_all(options, examples, selection, rows)
    keys += [args[0] for args, _ in recorder.calls]
    assert len(recorder.calls) == 2 * (3 + 1)
    assert len({data_of(key) for key in keys}) == len(keys)
    for row in rows:  # of three draws; their standard deviation with 2 in the denominator
        assert (row["random_mean"], row["random_std"], row["random_least"]) == (2, 1, 1)
    assert {options["draws"] for _, options in recorder.calls} == {3}


class Clock:
    """A clock that goes on by a second each time that it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


def test_measured_times_are_scaled_to_all_images(tanh_mlp, monkeypatch, digits):
    monkeypatch.setattr(select_cost.time, "perf_counter", Clock())
    many = digits.take(np.tile(np.arange(12), 50))
    options = SelectOptions()
    seconds, _ = select_cost._time_examples(options, many, tanh_mlp)
    assert seconds == pytest.approx(600 / 256)
    config = training.TrainingConfig(epochs=7, batch_size=5)
    network = models.build_network("mlp", 3, width=2)
    found = estimate_training_seconds(network, digits, config)
    # Epochs of 5, 5 and 2 images: for each step a second for the images, and one for the step.
    assert found == 7 * 3 * 2
