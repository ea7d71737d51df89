"""Runs that are followed over epochs: each part of the table is the study of that checkpoint."""

import json
import shutil

import jax
import numpy as np
import pytest

from analysis.__main__ import COMMANDS as ANALYSIS
from analysis.spectrum.followed import followed_runs, summarised_parts
from experiments.__main__ import COMMANDS as EXPERIMENTS
from ntk_aug import data, ntk, training
from ntk_aug.programs import run_program
from ntk_aug.spectrum import SpectrumStudy

EPOCHS = (0, 2)
STUDY = ("--n", 12, "--augment", "noise:0.5", "rotation", "--bins", 4, "--draws", 2)


def run(program, commands, *arguments):
    return run_program(program, "", commands, arguments=[*map(str, arguments)])


def spectrum_of(*arguments):
    return run("analysis", ANALYSIS, "spectrum", *arguments)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    options = ("--width", 8, "--epochs", 2, "--keep-epochs", 0)
    for preset in ("digits-none", "digits-coreset-10"):
        arguments = ("run", preset, *options, "--out", folder / preset)
        assert run("experiments", EXPERIMENTS, *arguments) == 0
    return folder


@pytest.fixture(scope="module")
def followed(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("followed") / "out"
    folders = ("--checkpoint", runs / "digits-none", runs / "digits-coreset-10")
    assert spectrum_of(*folders, "--epochs", *EPOCHS, *STUDY, "--out", out) == 0
    return out


def read(folder):
    study = SpectrumStudy.load(folder / "spectrum.npz")
    return study, json.loads((folder / "summary.json").read_text())


def test_a_run_at_an_epoch_is_the_study_of_that_checkpoint(runs, followed, tmp_path):
    none, coreset = followed_runs(*read(followed))
    assert (none.title, coreset.title) == ("none", "coreset 10 %")
    assert none.epochs == coreset.epochs == EPOCHS
    checkpoint = ("--checkpoint", runs / "digits-coreset-10", "--epochs", 2)
    assert spectrum_of(*checkpoint, *STUDY, "--out", tmp_path / "alone") == 0
    alone, _ = read(tmp_path / "alone")
    np.testing.assert_array_equal(coreset.studies[1].values, alone.values)
    np.testing.assert_array_equal(coreset.studies[1].left_angle, alone.left_angle)
    assert np.abs(coreset.studies[0].values - alone.values).max() > 0


def test_both_runs_begin_with_the_same_network(followed):
    none, coreset = followed_runs(*read(followed))
    np.testing.assert_array_equal(none.studies[0].values, coreset.studies[0].values)
    assert np.abs(none.studies[1].values - coreset.studies[1].values).max() > 0


def test_the_labels_shares_are_those_of_the_kernel_s_eigenvectors(runs, followed):
    """A second route: numpy's eigenvectors of the kernel that the library computes."""
    study, summary = read(followed)
    trained = training.load_trained_model(runs / "digits-none", epoch=2)
    train = data.load_dataset("digits", "train")
    key = jax.random.fold_in(jax.random.key(summary["options"]["seed"]), 2)
    chosen = data.draw_examples(key, train, 12)
    images = data.normalize(data.unit_range(chosen.images), train.mean, train.std)
    kernel = ntk.empirical_kernel(trained.view, np.asarray(images))
    vectors = np.linalg.eigh(kernel)[1][:, ::-1]
    Y = np.eye(10)[chosen.labels]
    y = (Y - Y.mean(axis=0)).ravel()
    expected = (vectors.T @ y) ** 2 / (y @ y)
    found = followed_runs(study, summary)[0].studies[1].label_shares[0]
    assert found.sum() == pytest.approx(1)  # 120 rows, and more parameters
    # Eigenvectors of neighbouring values may mix by rounding, and their span hardly.
    np.testing.assert_allclose(np.cumsum(found), np.cumsum(expected), atol=1e-6)


def test_some_of_the_classes_keep_the_numbers_of_the_networks_outputs(runs, tmp_path):
    some = ("--classes", 3, 5, "--rows", "true-logit", "--out", tmp_path / "some")
    assert spectrum_of("--checkpoint", runs / "digits-none", *some, *STUDY) == 0
    trained = training.load_trained_model(runs / "digits-none")
    key = jax.random.fold_in(jax.random.key(0), 2)
    chosen = data.draw_examples(
        key, data.select_classes(data.load_dataset("digits", "train"), ("3", "5")), 12
    )
    of_run = [tuple(trained.run.config["data"][name]) for name in ("mean", "std")]
    images = data.normalize(data.unit_range(chosen.images), *of_run)
    labels = np.array([3, 5])[chosen.labels]
    kernel = ntk.empirical_kernel(
        trained.view, np.asarray(images), labels=labels, rows="true-logit"
    )
    study, summary = read(tmp_path / "some")
    np.testing.assert_allclose(study.values[0] ** 2, np.linalg.eigvalsh(kernel)[::-1], rtol=1e-6)
    test = data.select_classes(data.load_dataset("digits", "test"), ("3", "5"))
    images = data.normalize(data.unit_range(test.images), *of_run)
    logits = trained.view.apply_fn(trained.view.params, np.asarray(images))
    right = np.array([3, 5])[test.labels] == np.argmax(logits, axis=1)
    assert summary["networks"][0]["test_accuracy"] == pytest.approx(right.mean())


def test_table_report_and_figure_have_a_part_for_each_run_and_epoch(followed, capsys):
    study, summary = read(followed)
    names = [name for name, _ in summarised_parts(study, summary)]
    assert names == [f"{run}, epoch {e}: " for run in ("none", "coreset 10 %") for e in EPOCHS]
    parts = [item["part"] + item["name"] for item in summary["augmentations"]]
    assert parts == [name + one for name in names for one in ("noise:0.5", "rotation")]
    assert {path.name for path in (followed / "figures").iterdir()} == {"epochs.png", "epochs.pdf"}
    report = (followed / "report.html").read_text()
    assert "coreset 10 %, epoch 2: rotation" in report
    assert report.count("data:image/png;base64,") == 1
    assert spectrum_of("--from", followed) == 0
    assert "none, epoch 2: noise:0.5" in capsys.readouterr().out
    item = summary["augmentations"][parts.index("coreset 10 %, epoch 2: rotation")]
    (own,) = [
        part for name, part in summarised_parts(study, summary) if "set 10 %, epoch 2" in name
    ]
    expected = own.relative_difference[0, 1].mean(axis=0)
    found = np.array(item["bins"]["relative_difference"]["mean"], float)  # null of null bins
    np.testing.assert_allclose(found, expected)


def test_figures_of_recorded_studies_tell_both_kinds_apart(followed, tmp_path):
    arguments = ("figures", "--runs", followed.parent, "--out", tmp_path / "figures")
    assert run("analysis", ANALYSIS, *arguments) == 0
    assert (tmp_path / "figures" / "epochs-out.png").is_file()
    told = json.loads((tmp_path / "figures" / "figures.json").read_text())
    assert told["drawn"]["Epochs"] == ["epochs-out"]
    assert "F1" in told["not_drawn"]


def test_a_summary_that_does_not_belong_to_the_study_is_left_out(followed, tmp_path, capsys):
    broken = {"few": lambda s: s["networks"].pop(), "none": lambda s: s.update(options=None)}
    for name, change in broken.items():
        study = tmp_path / "runs" / name
        shutil.copytree(followed, study)
        summary = json.loads((study / "summary.json").read_text())
        change(summary)
        (study / "summary.json").write_text(json.dumps(summary))
        assert spectrum_of("--from", study) == 2
        assert "does not belong to its spectrum.npz" in capsys.readouterr().err
    shutil.copytree(followed, tmp_path / "runs" / "whole")
    arguments = ("figures", "--runs", tmp_path / "runs", "--out", tmp_path / "figures")
    assert run("analysis", ANALYSIS, *arguments) == 0
    told = json.loads((tmp_path / "figures" / "figures.json").read_text())
    assert told["drawn"]["Epochs"] == ["epochs-whole"]
    assert [problem.split(":")[0] for problem in told["left_out"]] == ["few", "none"]


def test_runs_of_different_methods_are_shown_apart_also_at_one_epoch(followed):
    study, summary = read(followed)
    ends = [2 * place + 1 for place in range(2)]
    last = {**summary, "networks": [summary["networks"][place] for place in ends]}
    parts = study.of_networks(np.array(ends))
    assert [run.title for run in followed_runs(parts, last)] == ["none", "coreset 10 %"]
    for network in last["networks"]:  # the same method at two seeds is summarised as one
        network["method"] = None
    assert followed_runs(parts, last) == []


def test_runs_of_one_method_are_told_apart_by_their_folders(followed):
    study, summary = read(followed)
    for network in summary["networks"]:
        network["method"] = None
    titles = [run.title for run in followed_runs(study, summary)]
    assert titles == [f"none ({network['folder']})" for network in summary["networks"][::2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", 1, 2), "several are followed in runs of --checkpoint"),
        (("--checkpoint", "RUNS/digits-none", "--epochs", 1, 2), "has those of [0, 2]"),
        (("--checkpoint", "RUNS/digits-none", "--epochs", 2, 2), "expected none twice"),
        (("--checkpoint", "RUNS/digits-none", "--epochs", -1, 2), "--epochs is -1"),
        (("--checkpoint", "RUNS/digits-none", "RUNS/../runs0/digits-none"), "no folder twice"),
    ],
)
def test_epochs_that_cannot_be_followed_are_told_in_one_line(
    runs, arguments, message, capsys, tmp_path
):
    arguments = [str(argument).replace("RUNS", str(runs)) for argument in arguments]
    assert spectrum_of(*arguments, *STUDY, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
