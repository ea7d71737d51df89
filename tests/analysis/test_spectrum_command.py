import dataclasses
import json

import numpy as np
import pytest

from analysis.__main__ import COMMANDS
from analysis.spectrum_figures import draw_overview
from ntk_aug.programs import run_program
from ntk_aug.spectrum import SpectrumStudy


def analysis(*arguments):
    return run_program("analysis", "", COMMANDS, arguments=["spectrum", *map(str, arguments)])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def small(cache):
    small = ["--n", 12, "--epochs", 1, "--width", 8, "--augment", "noise:0.5", "rotation"]
    return [*small, "--bins", 4, "--cache", cache]


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    assert analysis(*small, "--draws", 2, "--out", out) == 0
    return out


def test_everything_is_written_and_can_be_read_again(finished):
    study = SpectrumStudy.load(finished / "spectrum.npz")
    assert study.difference.shape == (1, 2, 2, 4)
    summary = json.loads((finished / "summary.json").read_text())
    item = summary["augmentations"][0]
    assert item["name"] == "noise:0.5"
    np.testing.assert_allclose(
        item["bins"]["difference"]["mean"], study.difference[:, 0].mean(axis=(0, 1))
    )
    names = {path.name for path in (finished / "figures").iterdir()}
    stems = ("overview", "noise-0.5", "rotation")
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("png", "pdf")}
    report = (finished / "report.html").read_text()
    assert report.count("data:image/png;base64,") == 3
    assert 'src="http' not in report


def test_accuracy_is_printed_reported_and_summarised(finished, capsys):
    study = SpectrumStudy.load(finished / "spectrum.npz")
    accuracy = json.loads((finished / "summary.json").read_text())["accuracy"]
    assert accuracy["values"] == 36
    assert accuracy["uncertain_values"] == study.uncertain.sum()
    assert accuracy["masks"] == 12 * 8  # eight ReLUs in each of twelve images
    assert accuracy["masks_flipped"] == study.masks_flipped.sum()
    sentence = (
        f"float32 rows: {study.uncertain.sum()} of 36 values have an estimated error above 10 %; "
        f"{study.masks_flipped.sum()} masks of 96 flip within rounding"
    )
    assert sentence in (finished / "report.html").read_text()
    assert analysis("--from", finished) == 0
    assert sentence in capsys.readouterr().out


def test_bins_with_an_uncertain_value_are_grey(finished):
    study = SpectrumStudy.load(finished / "spectrum.npz")
    uncertain = np.zeros_like(study.uncertain)
    uncertain[0, [8, 35]] = True  # four bins of nine
    for marked, spans in ((uncertain, 2), (np.zeros_like(uncertain), 0)):
        figure = draw_overview(dataclasses.replace(study, uncertain=marked))
        for axes in figure.axes:
            assert [p.get_x() for p in axes.patches] == [0.5, 3.5][:spans]


def test_from_redraws_the_same_without_computing(finished, capsys):
    report = (finished / "report.html").read_bytes()
    (finished / "report.html").unlink()
    (finished / "figures" / "rotation.png").unlink()
    assert analysis("--from", finished) == 0
    assert (finished / "report.html").read_bytes() == report
    assert "noise:0.5" in capsys.readouterr().out


def test_the_network_is_found_again_for_other_augmentations(small, cache, finished, tmp_path):
    before = set(cache.iterdir())
    others = ("--augment", "identity", "autoaugment-svhn")
    assert analysis(*small, *others, "--out", tmp_path / "out") == 0
    assert set(cache.iterdir()) == before


@pytest.mark.parametrize("rows", ["cross-entropy", "true-logit"])
def test_dry_run_with_labelled_rows(small, rows, capsys):
    assert analysis(*small, "--dry-run", "--rows", rows, "--per-class") == 0
    assert "rows        36 (36 images x 1)" in capsys.readouterr().out


def test_dry_run_writes_nothing(small, tmp_path, capsys):
    assert analysis(*small, "--dry-run", "--out", tmp_path / "out") == 0
    assert "rows        36 (12 images x 3)" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_neural_tangents_says_how_long_it_takes_and_gives_the_same_table(small, tmp_path, capsys):
    exact = [*small, "--dtype", "float64"]
    assert analysis(*exact, "--out", tmp_path / "ours") == 0
    expected = capsys.readouterr().out.splitlines()
    theirs = [*exact, "--backend", "neural_tangents"]
    assert analysis(*theirs, "--dry-run") == 0
    assert "minutes by neural_tangents' structured-derivatives" in capsys.readouterr().out
    assert analysis(*theirs, "--out", tmp_path / "theirs") == 0
    _, estimate, *table = capsys.readouterr().out.splitlines()
    assert "minutes by neural_tangents' structured-derivatives" in estimate
    assert table[:-2] == expected[1:-2]  # all but the line of the data, and the folders


def test_kernels_by_both_routes_are_compared_where_asked(small, tmp_path, capsys):
    assert analysis(*small, "--compare-kernels", 5, "--out", tmp_path / "out") == 0
    agreement = json.loads((tmp_path / "out" / "summary.json").read_text())["kernel_agreement"]
    assert (agreement["num_examples"], agreement["augmentation"]) == (5, "noise:0.5")
    assert 0 < agreement["largest"] < 1e-3  # a ReLU at its kink may differ in float32
    sentence = f"differs from ours by at most {agreement['largest']:.1e} of the largest entry"
    assert sentence in capsys.readouterr().out
    assert sentence in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "digts"], "did you mean 'digits'"),
        (["--model", "mpl"], "did you mean 'mlp'"),
        (["--augment", "nois"], "did you mean 'noise'"),
        (["--augment", "weak-tinyimagenet"], "--augment weak-tinyimagenet: "),
        (["--classes", "0", "77"], "has no class '77'"),
        (["--n", "100000"], "is 100000, expected 1 to 455"),
        (["--checkpoint", "."], "holds no training run"),
        (["--from", "nowhere"], "is no folder"),
        (["--images", "nowhere.npz"], "nowhere.npz is missing"),
        (["--bins", "0"], "--bins is 0"),
        (["--backend", "svd"], "needs --dtype float64"),
        (
            ["--backend", "neural_tangents", "--keep-blocks", "blocks"],
            "--keep-blocks is for --backend kernel, not neural_tangents",
        ),
        (["--keep-blocks", "/dev/null"], "/dev/null"),
        (["--epoch", "3"], "not given"),
        (["--memory-gib", "inf"], "--memory-gib is inf, expected a number above 0"),
        (["--memory-gib", "1e-6"], "GiB does not hold the Jacobian rows of 2 images"),
        (["--checkpoint", ".", "--epochs", "3"], "--epochs is of pretraining"),
        (["--implementation", "autos"], "did you mean 'auto'"),
        (["--drws", "2"], "Unrecognized options: --drws, 2 (did you mean --draws?); see analysis"),
        (["--n", "some"], "Error parsing --n: "),
        (["--fast"], "Unrecognized options: --fast"),
        (["--n", "5", "--compare-kernels", "6"], "--compare-kernels is 6, expected 0 to 5"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert analysis("--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_study_is_not_replaced_unless_asked(small, finished, capsys):
    before = (finished / "spectrum.npz").read_bytes()
    assert analysis(*small, "--out", finished) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert (finished / "spectrum.npz").read_bytes() == before
