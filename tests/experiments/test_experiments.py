import dataclasses

import pytest

from experiments.__main__ import COMMANDS
from experiments.presets import PRESETS
from ntk_aug import models, training
from ntk_aug.checks import InputError
from ntk_aug.data import DATASETS
from ntk_aug.programs import run_program


@pytest.fixture(autouse=True)
def own_compilation_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("jax")))


def experiments(*arguments):
    return run_program("experiments", "", COMMANDS, arguments=list(arguments))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built(name):
    preset = PRESETS[name]
    assert preset.data in DATASETS
    assert models.build_network(preset.model, 3, **preset.options)


def test_a_preset_trains_and_can_be_shown(tmp_path, capsys):
    out = str(tmp_path / "run")
    arguments = ("run", "digits-mlp-3", "--epochs", "1", "--keep-epochs", "0", "--out", out)
    assert experiments(*arguments) == 0
    assert experiments("show", out) == 0
    assert "after epochs 0, 1" in capsys.readouterr().out
    assert experiments("list") == 0
    assert "digits-mlp" in capsys.readouterr().out


def test_an_unknown_preset_is_told_in_one_line(capsys):
    assert experiments("run", "digits") == 2
    assert (
        "did you mean 'digits-mlp'?); known: cifar10-resnet20-3, digits-mlp"
        in capsys.readouterr().err
    )


def test_presets_and_overrides_arrive_at_the_training(monkeypatch, tmp_path):
    calls = []

    def train(*args, **options):
        calls.append((args, options))
        raise InputError("enough")

    monkeypatch.setattr(training, "train_named_model", train)
    zeros = ("--epochs", "0", "--momentum", "0", "--learning-rate", "0", "--seed", "4")
    more = ("--augmentation", "rotation", "--keep-epochs", "1", "3", "--out", str(tmp_path))
    assert experiments("run", "digits-mlp-3", *zeros, *more) == 2
    assert experiments("run", "digits-mlp") == 2
    (model, train_set, config), options = calls[0]
    preset = PRESETS["digits-mlp-3"]
    assert model == "mlp"
    assert train_set.class_names == options["test_set"].class_names == ("0", "1", "2")
    assert (train_set.split, options["test_set"].split) == ("train", "test")
    assert config == dataclasses.replace(
        preset.config, epochs=0, momentum=0.0, learning_rate=0.0, seed=4, augmentation="rotation"
    )
    assert options["options"] == preset.options
    assert (options["folder"], options["keep_epochs"]) == (str(tmp_path), (1, 3))
    (_, all_digits, config), options = calls[1]
    assert all_digits.num_classes == 10
    assert config == PRESETS["digits-mlp"].config
    assert options["folder"] == "runs/digits-mlp/0"
