"""`list`, `show` and `compare`, from what is recorded."""

import json
import shutil

import numpy as np
import pytest

from experiments import show
from experiments.compare import differing_settings, selection_overlaps
from experiments.presets import GROUPS
from ntk_aug import training
from ntk_aug.records import write_npz


@pytest.fixture(scope="module")
def other(experiments, tmp_path_factory):
    """A run like `finished`, of another selector and one more epoch."""
    out = tmp_path_factory.mktemp("other") / "run"
    options = ("--width", 4, "--epochs", 3, "--reselect-every", 1)
    small = ("--classes", 0, 1, 2, "--augment", "none", "--weak", "identity")
    assert experiments("run", "digits-random-10", *options, *small, "--out", out) == 0
    return out


def rows_of(shown):
    """The cells of each line, by the first of them."""
    rows = {}
    for line in shown.splitlines():
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        rows.setdefault(cells[0] if cells else "", cells[1:])
    return rows


def test_a_run_is_shown(experiments, finished, capsys):
    assert experiments("show", finished) == 0
    shown = capsys.readouterr().out
    rows = rows_of(shown)
    history = training.RunFolder.read(finished).history()
    assert rows["preset"] == ["digits-coreset-10"]
    assert "width = 4" in rows["overrides"][0]
    assert rows["checkpoints"] == ["after epochs 1, 2"]
    assert (rows["fraction"], rows["count"], rows["decay_epochs"]) == (["0.1"], ["-"], ["20, 30"])
    assert rows["2"][1] == f"{history[1].train_loss:.4f}"
    assert rows["2"][4] == f"{100 * history[1].test_accuracy:.2f}"
    seconds = json.loads((finished / "result.json").read_text())["seconds"]
    assert f"seconds   {sum(seconds.values()):.1f}: training {seconds['training']:.1f}" in shown
    assert f"last      test accuracy {100 * history[1].test_accuracy:.2f} %" in shown


def test_selections_are_shown_with_what_others_chose(experiments, finished, capsys):
    run = training.RunFolder.read(finished)
    first, second = (run.selection(epoch) for epoch in (0, 1))
    common = len({*second["indices"]} & {*first["indices"]}) / len(second["indices"])
    as_max_loss = len({*second["indices"]} & {*second["max-loss/indices"]})
    assert experiments("show", finished) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(" after epoch"))
    cells = lines[start + 2].split()
    assert cells[:2] == ["1", str(len(second["indices"]))]
    assert cells[2] == f"{second['weights'].max():.4g}"
    assert cells[3] == f"{float(second['estimate']):.4g}"
    assert cells[4:] == [
        f"{100 * common:.1f}",
        f"{100 * as_max_loss / len(second['indices']):.1f}",
    ]


def test_a_stopped_run_is_shown_as_far_as_it_went(experiments, finished, tmp_path, capsys):
    stopped = tmp_path / "stopped"
    shutil.copytree(finished, stopped)
    (stopped / "result.json").unlink()
    lines = (stopped / "metrics.jsonl").read_text().splitlines()
    (stopped / "metrics.jsonl").write_text(lines[0] + "\n")
    assert experiments("show", stopped) == 0
    assert "stopped after 1 of 2 epochs" in capsys.readouterr().out
    (stopped / "metrics.jsonl").unlink()
    assert experiments("show", stopped) == 0
    assert "no epoch is recorded yet" in capsys.readouterr().out


def test_two_runs_are_compared(experiments, finished, other, capsys):
    assert experiments("compare", finished, other) == 0
    shown = capsys.readouterr().out
    rows = rows_of(shown)
    runs = [training.RunFolder.read(folder) for folder in (finished, other)]
    results = [run.result() for run in runs]
    assert rows["training.epochs"] == ["2", "3"]
    assert rows["method.selector"] == ["coreset", "random"]
    assert rows["method.also_record"][0] == "max-loss"
    assert "training.batch_size" not in shown
    accuracies = [100 * result["last"]["test_accuracy"] for result in results]
    assert rows["last test accuracy, %"] == [
        f"{accuracies[0]:.4f}",
        f"{accuracies[1]:.4f}",
        f"{accuracies[1] - accuracies[0]:+.4f}",
    ]
    assert rows["epochs"] == ["2", "3", "+1"]
    seconds = [sum(result["seconds"].values()) for result in results]
    assert rows["in all"][2] == f"{seconds[1] / seconds[0]:.3g}"
    chosen = [set(run.selection(1)["indices"]) for run in runs]
    share = len(chosen[0] & chosen[1]) / len(chosen[0])
    assert rows["1"] == ["46", "46", f"{100 * share:.1f}", f"{100 * 46 / 455:.1f}"]


def test_a_run_compared_with_itself_differs_in_nothing(experiments, finished, capsys):
    assert experiments("compare", finished, finished) == 0
    shown = capsys.readouterr().out
    assert "no setting differs" in shown
    assert "mean of 2: 100.0 %" in shown


def test_settings_that_differ_are_found_field_by_field():
    first = {"training": {"epochs": 1, "momentum": 0.9}, "preset": "a", "overrides": {"epochs": 1}}
    second = {"training": {"epochs": 2, "momentum": 0.9}, "preset": "a", "given": {"x": None}}
    assert differing_settings(first, second) == {"training.epochs": (1, 2)}


def test_overlaps_are_of_the_smaller_selection_at_the_same_epochs(finished, tmp_path):
    runs = []
    for name, chosen in (("a", {0: [1, 2, 3, 4], 5: [1, 2]}), ("b", {0: [4, 9], 7: [1]})):
        folder = tmp_path / name
        shutil.copytree(finished, folder)
        shutil.rmtree(folder / "selections")
        for epoch, indices in chosen.items():
            write_npz(folder / "selections" / f"{epoch:05}.npz", {"indices": np.array(indices)})
        runs.append(training.RunFolder.read(folder))
    assert selection_overlaps(*runs) == {0: (4, 2, 0.5)}


def test_long_tables_keep_their_ends():
    assert show.shortened(range(5)) == [0, 1, 2, 3, 4]
    rows = show.shortened(range(200))
    assert (rows[0], rows[-1], len(rows)) == (0, 199, 12)
    assert np.ptp(np.diff(rows)) <= 1


def test_presets_are_listed_by_group_and_by_part(experiments, capsys):
    assert experiments("list", "t7") == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if " t7-" in line] == list(GROUPS["t7"])
    assert "T7: 0.5 %, coreset, CIFAR10/ResNet20" in shown
    assert experiments("list", "coreset-10") == 0
    assert "mnist-mlp-coreset-10" in capsys.readouterr().out
    assert experiments("list", "no-such") == 2
    assert "unknown preset or group 'no-such'" in capsys.readouterr().err


@pytest.mark.slow
def test_all_presets_are_listed_with_their_groups(experiments, capsys):
    assert experiments("list") == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in (*GROUPS, *GROUPS["t1"]))


@pytest.mark.parametrize("command", ["show", "compare"])
def test_a_folder_without_a_run_is_told(experiments, command, tmp_path, capsys):
    second = [tmp_path] if command == "compare" else []
    assert experiments(command, tmp_path / "nothing", *second) == 2
    assert "nothing is no folder, expected one that a training run wrote" in capsys.readouterr().err
    assert experiments(command, tmp_path, *second) == 2
    assert "holds no training run" in capsys.readouterr().err
