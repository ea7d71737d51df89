"""`run` on the embedded digits: trained, found again, resumed, and refused in one line."""

import json
import os

import numpy as np
import pytest

from experiments.inputs import load_splits
from experiments.presets import PRESETS
from experiments.run import EpochTeller
from experiments.settings import with_overrides
from ntk_aug import data, training
from ntk_aug.errors import InputError
from ntk_aug.training.history import EpochRecord

SMALL = ("--width", 4, "--classes", 0, 1, 2, "--augment", "none", "--weak", "identity")


def files(folder):
    """Every file below a folder with its content, but for locks."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in found if path.name != ".lock"}


def test_a_run_is_recorded_with_its_preset_and_overrides(finished):
    run = training.RunFolder.read(finished)
    assert run.config["preset"] == "digits-coreset-10"
    assert run.config["overrides"] == {
        "classes": ["0", "1", "2"],
        "width": 4,
        "epochs": 2,
        "weak": "identity",
        "augment": "none",
        "reselect_every": 1,
        "also_record": ["max-loss"],
    }
    assert run.config["experiment"]["data"] == run.config["data"]["name"] == "digits"
    assert run.config["model"]["options"] == {"width": 4, "activation": "relu"}
    assert (run.config["training"]["epochs"], run.config["training"]["batch_size"]) == (2, 32)
    assert run.config["method"]["fraction"] == 0.1
    assert run.epochs() == [1, 2]
    assert [record.epoch for record in run.history()] == [1, 2]
    assert run.selection_epochs() == [0, 1]


def test_the_same_command_finds_the_finished_run(experiments, finished, capsys):
    before = files(finished)
    options = ("--epochs", 2, "--reselect-every", 1, "--also-record", "max-loss")
    arguments = ("digits-coreset-10", *SMALL, *options, "--keep-epochs", 1, "--out", finished)
    assert experiments("run", *arguments) == 0
    assert files(finished) == before
    shown = capsys.readouterr().out
    last = json.loads((finished / "result.json").read_text())["last"]
    assert f"accuracy {100 * last['test_accuracy']:.2f} % after 2 epochs" in shown
    assert "digits: 455 training and 82 test images" in shown


def test_another_command_does_not_touch_it(experiments, finished, capsys):
    before = files(finished)
    assert experiments("run", "digits-coreset-10", *SMALL, "--out", finished) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "holds another run (it differs in" in error
    assert "training.epochs" in error
    assert files(finished) == before


def test_a_stopped_run_goes_on_to_the_same_end(experiments, finished, tmp_path, monkeypatch):
    options = ("--epochs", 2, "--reselect-every", 1, "--also-record", "max-loss")
    arguments = ("digits-coreset-10", *SMALL, *options, "--keep-epochs", 1, "--out", tmp_path)
    with monkeypatch.context() as patch:

        def stop_after_one(teller, record):
            raise KeyboardInterrupt

        patch.setattr(EpochTeller, "__call__", stop_after_one)
        assert experiments("run", *arguments) == 130
    assert not (tmp_path / "result.json").exists()
    assert experiments("run", *arguments) == 0
    whole, resumed = (training.RunFolder.read(folder) for folder in (finished, tmp_path))
    assert resumed.environment["resumed"][0]["epoch"] == 1
    histories = [[record.without_seconds() for record in r.history()] for r in (whole, resumed)]
    assert histories[0] == histories[1]
    for epoch in (0, 1):
        selections = [run.selection(epoch)["indices"] for run in (whole, resumed)]
        np.testing.assert_array_equal(*selections)


def test_the_default_folder_has_the_names_of_preset_and_seed(experiments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert experiments("run", "digits-mlp-3", "--epochs", 0, "--seed", 4) == 0
    assert training.RunFolder.read("runs/digits-mlp-3/4").config["training"]["seed"] == 4
    assert experiments("run", "--epochs", 0) == 0
    assert training.RunFolder.read("runs/digits-mlp/0").config["preset"] is None


def test_a_dry_run_says_what_it_comes_to_and_writes_nothing(
    experiments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    arguments = ("digits-coreset-10", "--count", 50, "--epochs", 4, "--also-record", "max-loss")
    assert experiments("run", *arguments, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line[:20].strip(): line[20:] for line in lines}
    assert (shown["count"], shown["fraction"], shown["also_record"]) == ("50", "-", "max-loss")
    assert shown["selected"] == "50 of 1,438 at a time"
    assert shown["images"].startswith(f"{4 * (1438 + 50):,} in {4 * 47} steps")
    assert shown["parameters"] == "9,610"
    # Images of 64 floats, of which the weak and the strong versions are kept; three times the
    # parameters; the distances of the largest class.
    stored = 4 * (64 * (1797 + 1438 + 50) + 3 * 9610 + 161**2)
    assert shown["memory"].startswith(f"{stored / 2**30:.2g} GiB")
    assert "minutes on two CPU cores" in shown["time"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits"], "unknown preset 'digits'; the nearest are digits-"),
        (["digits-mlp", "--epoch", "3"], "did you mean --epochs?"),
        (["digits-mlp", "--learning-rate", "fast"], "Error parsing --learning-rate"),
        (["digits-mlp", "--momentum", "2"], "momentum is 2.0, expected 0 <= momentum < 1"),
        (["digits-mlp", "--schedule", "cosin"], "did you mean 'cosine'?"),
        (["digits-mlp", "--weak", "weak-digit"], "did you mean 'weak-digits'?"),
        (["digits-mlp", "--activation", "rel"], "unknown activation 'rel'"),
        (["digits-mlp", "--selector", "corset"], "did you mean 'coreset'?"),
        (["digits-mlp", "--selector", "random"], "expected exactly one of them"),
        (["digits-mlp", "--selector", "given"], "expected a subset with selector 'given'"),
        (["digits-coreset-10", "--count", "9"], "a budget of 9 leaves class"),
        (["digits-coreset-10", "--fraction", "0"], "fraction is 0.0, expected more than 0"),
        (["digits-coreset-10", "--count", "5000"], "count (examples to select) is 5000"),
        (["digits-mlp", "--classes", "0", "ten"], "digits has no class 'ten'"),
        (["digits-mlp", "--imbalance", "9999"], "imbalance is 9999, which leaves class"),
        (["digits-mlp", "--data", "mnisst"], "unknown data set 'mnisst' (did you mean 'mnist'?)"),
        (["digits-mlp", "--model", "resnet21"], "did you mean 'resnet"),
        (["mnist-mlp-all", "--data-dir", "nowhere"], "'mnist' is not prepared in nowhere"),
        (["--images", "none.npz"], "none.npz is missing"),
        (["--selection", "none.npz"], "none.npz is missing"),
        (["--images", "none.npz", "--data", "digits"], "--images and --data exclude each other"),
        (["--selection", "s.npz", "--selector", "all"], "--selector is 'all', expected one of"),
        (["--model", "no_such_module_of_anybody:f"], "cannot import 'no_such_module_of_anybody'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    experiments, arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert experiments("run", *arguments, "--out", "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_long_tail_and_wrong_labels_are_of_the_data_seed_alone():
    digits = PRESETS["digits-none"].experiment
    settings = {"imbalance": 10.0, "label_noise": 0.5}
    one, same, other = (
        load_splits(with_overrides(digits, {**settings, **more}))[0]
        for more in ({"seed": 0}, {"seed": 1}, {"data_seed": 1})
    )
    true_labels = data.load_dataset("digits", "train").labels
    places = data.load_dataset("digits", "train").indices
    assert one.fingerprint() == same.fingerprint()
    assert one.fingerprint() != other.fingerprint()
    wrong = one.labels != true_labels[np.searchsorted(places, one.indices)]
    assert wrong.sum() == round(0.5 * len(one))
    whole = load_splits(with_overrides(digits, {"imbalance": 10.0}))[0]
    sizes = np.bincount(whole.labels)
    assert sizes[0] / sizes[-1] == pytest.approx(10, rel=0.05)
    with pytest.raises(InputError, match="which leaves class"):
        load_splits(with_overrides(digits, {"imbalance": 1e4}))


def test_an_epoch_is_told_with_loss_accuracy_and_pace():
    told = []
    teller = EpochTeller(type("Progress", (), {"tell": staticmethod(told.append)}), 4)
    common = {"train_accuracy": 0.5, "seconds_training": 2.0}
    for record in (
        EpochRecord(1, 1.25, examples=100, **common),
        EpochRecord(2, 1.0, test_accuracy=0.625, examples=600, **common),
        EpochRecord(3, 0.75, examples=5000, **common),
    ):
        teller(record)
    assert told == [
        "epoch 1/4, loss 1.250, training accuracy 50.0 %, 50 images/s",
        "epoch 2/4, loss 1.000, test accuracy 62.5 %, 250 images/s",
        "epoch 3/4, loss 0.750, test accuracy 62.5 %, 2,200 images/s",
    ]
    # The first epoch of a resumed run: how many images it took is not known.
    EpochTeller(type("Progress", (), {"tell": staticmethod(told.append)}), 4)(
        EpochRecord(3, 0.75, examples=5000, **common)
    )
    assert told[-1] == "epoch 3/4, loss 0.750, training accuracy 50.0 %"
