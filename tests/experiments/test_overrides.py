"""Options that are generated from the configurations, and what they change."""

import dataclasses
import re

import pytest

from experiments.overrides import ExperimentOverrides, MethodOverrides, TrainingOverrides
from experiments.presets import PRESETS
from experiments.run import RunOptions, resolve, resolve_options
from experiments.settings import Experiment, flat_settings, with_overrides
from ntk_aug.errors import InputError
from ntk_aug.options import attribute_texts, given_overrides
from ntk_aug.training import MethodConfig, TrainingConfig

PARTS = {
    Experiment: ExperimentOverrides,
    TrainingConfig: TrainingOverrides,
    MethodConfig: MethodOverrides,
}


@pytest.mark.parametrize("kind", PARTS)
def test_every_field_of_a_configuration_is_an_option_with_its_text(kind):
    own = {field.name for field in dataclasses.fields(kind)} - {"training", "method"}
    options = {field.name: field for field in dataclasses.fields(PARTS[kind])}
    assert set(options) == own
    assert all(field.default is None for field in options.values())
    assert set(attribute_texts(kind)) >= own
    assert all(len(text) > 10 for text in attribute_texts(kind).values())


def test_no_two_parts_have_a_setting_of_the_same_name():
    names = [field.name for kind in PARTS.values() for field in dataclasses.fields(kind)]
    assert len(set(names)) == len(names) == len(flat_settings(Experiment()))


def test_help_says_what_the_docstrings_say(experiments, capsys):
    with pytest.raises(SystemExit, match="0"):
        experiments("run", "--help")
    shown = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    for text in ("--nesterov True|False", "--decay-epochs [INT ...]", "--clip-norm FLOAT"):
        assert text in shown
    assert "largest norm of a gradient; a longer one is scaled down." in shown


def test_texts_of_several_lines_become_one():
    class Shown:
        """A class.

        Attributes:
          first: one
            and more.
          second: other.
        """

    assert attribute_texts(Shown) == {"first": "one and more.", "second": "other."}


def test_overrides_reach_the_part_that_they_are_of():
    preset = PRESETS["digits-coreset-10"].experiment
    changed = with_overrides(preset, {"width": 4, "epochs": 1, "draws": 3})
    assert changed == dataclasses.replace(
        preset,
        width=4,
        training=dataclasses.replace(preset.training, epochs=1),
        method=dataclasses.replace(preset.method, draws=3),
    )


@pytest.mark.parametrize(
    ("preset", "overrides", "expected"),
    [
        ("digits-coreset-10", {"count": 50}, {"count": 50, "fraction": None}),
        ("t2-cifar10-random-weak-1", {"fraction": 0.1}, {"count": None, "fraction": 0.1}),
        ("digits-coreset-10-network-projected", {"proxy": "network"}, {"dimension": None}),
        ("digits-mlp", {"model": "resnet4"}, {"width": None, "activation": None}),
        ("digits-mlp", {"model": "mlp", "width": 8}, {"width": 8, "activation": None}),
        ("digits-none", {"schedule": "cosine"}, {"decay_epochs": ()}),
        ("digits-none", {"schedule": "step"}, {"decay_epochs": (20, 30)}),
        ("digits-none", {"decay_epochs": ()}, {"decay_epochs": ()}),
    ],
)
def test_a_setting_resets_what_only_made_sense_before(preset, overrides, expected):
    settings = flat_settings(with_overrides(PRESETS[preset].experiment, overrides))
    assert {name: settings[name] for name in expected} == expected


def test_settings_that_do_not_fit_together_are_told():
    preset = PRESETS["digits-coreset-10"].experiment
    with pytest.raises(InputError, match=r"fraction is 0\.2 and count is 5, expected at most one"):
        with_overrides(preset, {"fraction": 0.2, "count": 5})
    with pytest.raises(InputError, match="label_noise is 2, expected 0 to 1"):
        with_overrides(preset, {"label_noise": 2})
    with pytest.raises(InputError, match=r"imbalance is 0\.5, expected at least 1"):
        with_overrides(preset, {"imbalance": 0.5})


def test_only_overrides_that_change_something_are_recorded():
    preset = PRESETS["digits-mlp"].experiment
    resolved = resolve("digits-mlp", preset, {"epochs": 15, "seed": 3, "classes": ("1", "2")})
    assert resolved.overrides == {"classes": ("1", "2"), "seed": 3}
    assert resolved.description["overrides"] == {"classes": ["1", "2"], "seed": 3}
    assert resolved.description["preset"] == "digits-mlp"
    assert resolved.description["experiment"]["classes"] == ["1", "2"]
    assert resolved.recorded["training"]["seed"] == 3
    assert resolved.recorded["method"]["selector"] == "none"


def test_zeros_and_false_are_given():
    given = given_overrides(TrainingOverrides(epochs=0, momentum=0.0, nesterov=False))
    assert given == {"epochs": 0, "momentum": 0.0, "nesterov": False}


def test_without_a_preset_the_model_has_its_own_learning_rate():
    def rate(**options):
        return resolve_options(RunOptions(**options)).experiment.training.learning_rate

    assert rate() == 0.05
    assert rate(experiment=ExperimentOverrides(model="resnet20")) == 0.1
    assert rate(experiment=ExperimentOverrides(model="own:network")) == 0.1
    assert rate(training=TrainingOverrides(learning_rate=0.2)) == 0.2
    assert rate(preset="cifar10-resnet20-3") == 0.1
