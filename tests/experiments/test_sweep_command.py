"""`sweep`: several seeds, their mean and standard deviation, and what fails."""

import dataclasses
import json
import os
import statistics

import pytest

from experiments import presets
from experiments.sweep import format_spread, spread
from ntk_aug import training

SMALL = ("--width", 4, "--epochs", 1)


def row_of(shown, name):
    """The cells of a preset's row."""
    line = next(line for line in shown.splitlines() if f" {name} " in line)
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_mean_and_standard_deviation_of_three_seeds(experiments, tmp_path, capsys):
    out = tmp_path / "runs"
    sweep = ("sweep", "digits-mlp-3", *SMALL, "--out", out)
    assert experiments(*sweep, "--seeds", 2) == 0
    finished = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert experiments(*sweep, "--seeds", 3, "--figure", tmp_path / "dots.png") == 0
    assert (tmp_path / "dots.png").read_bytes().startswith(b"\x89PNG")
    name, seeds, last, best, seconds = row_of(capsys.readouterr().out, "digits-mlp-3")
    results = [
        json.loads((out / "digits-mlp-3" / str(seed) / "result.json").read_text())
        for seed in range(3)
    ]
    accuracies = [100 * result["last"]["test_accuracy"] for result in results]
    mean, std = statistics.mean(accuracies), statistics.stdev(accuracies)
    assert (name, seeds) == ("digits-mlp-3", "3")
    assert last == best == f"{mean:.2f} +- {std:.2f}"
    assert std > 0
    spent = statistics.mean(sum(result["seconds"].values()) for result in results)
    assert seconds == f"{spent:.1f}"
    # The finished runs were not written again.
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    for seed in range(3):
        config = training.RunFolder.read(out / "digits-mlp-3" / str(seed)).config
        assert config["training"]["seed"] == seed
        assert config["overrides"] == {"width": 4, "epochs": 1, **({"seed": seed} if seed else {})}
    # The same folders with other settings: told, and nothing is lost.
    assert experiments(*sweep, "--seeds", 1, "--momentum", 0.5) == 2
    error = capsys.readouterr().err
    assert "holds another run (it differs in overrides.momentum, training.momentum)" in error
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def test_a_run_that_fails_does_not_end_the_others(experiments, tmp_path, monkeypatch, capsys):
    good = presets.PRESETS["digits-mlp-3"]
    diverging = dataclasses.replace(good.experiment.training, learning_rate=1e38)
    bad = dataclasses.replace(
        good, experiment=dataclasses.replace(good.experiment, training=diverging)
    )
    monkeypatch.setitem(presets.PRESETS, "bad", bad)
    monkeypatch.setitem(presets.GROUPS, "both", ("bad", "digits-mlp-3"))
    sweep = ("sweep", "both", *SMALL, "--seeds", 1, "--first-seed", 7, "--out", tmp_path)
    assert experiments(*sweep) == 2
    captured = capsys.readouterr()
    told, ended = captured.err.splitlines()
    assert told.startswith(f"{tmp_path / 'bad' / '7'} failed: the training loss of step")
    assert "not finite" in told
    assert ended == "error: 1 of 2 runs failed, as told above"
    assert row_of(captured.out, "bad")[1:] == ["0", "-", "-", "-"]
    seeds, accuracy = row_of(captured.out, "digits-mlp-3")[1:3]
    assert seeds == "1"
    assert "+-" not in accuracy  # one seed has no standard deviation
    assert float(accuracy) > 10


def test_a_group_comes_seed_by_seed_and_costs_are_told_without_a_run(
    experiments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert experiments("sweep", "t7", "--seeds", 2, "--dry-run") == 0
    shown = capsys.readouterr().out
    for name in presets.GROUPS["t7"]:
        assert f" {name} " in shown
    assert "hours in all" in shown
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits-quik"], "unknown preset or group 'digits-quik'; the nearest are digits-quick"),
        (["digits-quick", "--seeds", "0"], "--seeds is 0, expected at least 1"),
        (["digits-quick", "--draws", "0"], "draws is 0, expected at least 1"),
        (["digits-quick", "--seed", "1"], "Unrecognized or misplaced options: --seed"),
    ],
)
def test_what_is_wrong_is_told_before_any_run(
    experiments, tmp_path, arguments, message, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert experiments("sweep", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_spreads_are_those_of_a_sample():
    assert spread([1.0, 2.0, 6.0]) == pytest.approx((3.0, 7**0.5))
    assert format_spread(spread([1.0, 2.0, 6.0])) == "3.00 +- 2.65"
    assert format_spread(spread([1.0])) == "1.00"
    assert format_spread(spread([])) == "-"
