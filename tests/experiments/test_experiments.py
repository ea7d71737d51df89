import pytest

from experiments.__main__ import COMMANDS
from experiments.presets import PRESETS
from ntk_aug import models
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
