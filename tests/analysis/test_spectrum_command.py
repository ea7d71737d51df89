import dataclasses
import inspect
import json
import shutil
import sys

import numpy as np
import pytest

from analysis.__main__ import COMMANDS
from analysis.spectrum.figures import draw_augmentation, draw_overview
from analysis.spectrum.options import SpectrumOptions, memory_bytes
from analysis.spectrum.output import table_rows
from ntk_aug import data, spectrum
from ntk_aug.errors import InputError
from ntk_aug.programs import run_program
from ntk_aug.spectrum import SpectrumStudy
from ntk_aug.spectrum.cost import StudyCost


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
    error = max(study.left_baseline_error.max(), study.right_baseline_error.max())
    assert f"standard error of their mean angle: at most {error:.2g} degrees" in report


def test_accuracy_is_printed_reported_and_summarised(finished, capsys):
    study = SpectrumStudy.load(finished / "spectrum.npz")
    accuracy = json.loads((finished / "summary.json").read_text())["accuracy"]
    assert accuracy["values"] == 36
    assert accuracy["uncertain_values"] == study.uncertain.sum()
    assert accuracy["masks"] == 12 * 8  # eight ReLUs in each of twelve images
    assert accuracy["masks_flipped"] == study.masks_flipped.sum()
    augmented = accuracy["augmented"]
    assert augmented["values"] == 2 * 2 * 36  # augmentations and draws
    assert augmented["uncertain_values"] == study.augmented_uncertain.sum()
    assert augmented["masks"] == 2 * 2 * 96
    assert augmented["masks_flipped"] == study.augmented_masks_flipped.sum()
    sentence = (
        f"float32 rows: {study.uncertain.sum()} of 36 plain and {study.augmented_uncertain.sum()} "
        "of 144 augmented values have an estimated error above 10 %; masks that flip within "
        f"rounding: {study.masks_flipped.sum()} of 96 in plain and "
        f"{study.augmented_masks_flipped.sum()} of 384 in augmented images"
    )
    assert sentence in (finished / "report.html").read_text()
    assert analysis("--from", finished) == 0
    printed = capsys.readouterr().out
    assert sentence in printed
    for cell in (cell for row in table_rows(study) for cell in row):
        assert f" {cell} " in printed  # whole, whatever the terminal's width


def test_bins_with_an_uncertain_value_are_grey_hollow_and_starred(finished):
    study = SpectrumStudy.load(finished / "spectrum.npz")
    plain = np.zeros_like(study.uncertain)
    plain[0, 8] = True  # four bins of nine
    augmented = np.zeros_like(study.augmented_uncertain)
    augmented[0, 1, 0, 35] = True  # of the rotation
    for uncertain, grey, stars in (
        ((plain, augmented), ([0.5, 3.5], [0.5], [0.5, 3.5]), (1, 2)),
        ((np.zeros_like(plain), augmented), ([3.5], [], [3.5]), (0, 1)),
        ((np.zeros_like(plain), np.zeros_like(augmented)), ([], [], []), (0, 0)),
    ):
        marked = dataclasses.replace(
            study, uncertain=uncertain[0], augmented_uncertain=uncertain[1]
        )
        items = spectrum.summarize_study(marked)
        figures = [draw_overview(marked), *(draw_augmentation(marked, item) for item in items)]
        for figure, spans in zip(figures, grey, strict=True):
            for axes in figure.axes:
                assert [p.get_x() for p in axes.patches] == spans
        hollow = [
            line.get_xdata().tolist()
            for line in figures[0].axes[0].lines
            if line.get_markerfacecolor() == "white"
        ]
        assert hollow == [[int(x + 0.5) for x in spans] for spans in grey[1:] if spans]
        # Once in the column of changes and once in that of angles.
        found = ["".join(row).count("*") for row in table_rows(marked)]
        assert found == [2 * count for count in stars]


def test_a_study_of_the_version_before_is_redrawn_and_says_what_it_lacks(
    finished, tmp_path, capsys
):
    old = tmp_path / "old"
    shutil.copytree(finished, old)
    with np.load(finished / "spectrum.npz") as saved:
        arrays = {
            name: value
            for name, value in saved.items()
            if name == "augmented_values"
            or not (name.startswith("augmented_") or (name.endswith("_error") and "base" in name))
        }
    del arrays["format"], arrays["label_shares"]
    settings = json.loads(str(arrays["settings"]))
    del settings["unknown_errors"]
    np.savez(old / "spectrum.npz", **{**arrays, "settings": np.array(json.dumps(settings))})
    summary = json.loads((old / "summary.json").read_text())
    for gone in ("augmented", "unknown_errors"):
        del summary["accuracy"][gone]
    (old / "summary.json").write_text(json.dumps(summary))
    assert analysis("--from", old) == 0
    printed = capsys.readouterr().out
    assert "of 36 plain values have an estimated error" in printed
    lacking = "the errors of augmented values are not known: an earlier version of ntk_aug"
    assert lacking in printed
    assert lacking in (old / "report.html").read_text()
    assert "/ -" in table_rows(SpectrumStudy.load(old / "spectrum.npz"))[0][-2]


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
        (["--augment", "weak-tinyimagenet"], "augmentation 'weak-tinyimagenet': "),
        (["--classes", "0", "77"], "has no class '77'"),
        (["--n", "100000"], "is 100000, expected 1 to 455"),
        (["--checkpoint", "."], "holds no training run"),
        (["--from", "nowhere"], "is no folder"),
        (["--images", "nowhere.npz"], "nowhere.npz is missing"),
        (["--bins", "0"], "--bins is 0"),
        (["--n", "24", "--bins", "500"], "--bins for 72 singular values is 500, expected 1 to 72"),
        (["--dtype", "bfloat16"], "dtype is 'bfloat16', expected 'float32' or 'float64'"),
        (["--backend", "svd"], "needs --dtype float64"),
        (
            ["--backend", "neural_tangents", "--keep-blocks", "blocks"],
            "--keep-blocks is for --backend kernel, not neural_tangents",
        ),
        (["--keep-blocks", "/dev/null"], "/dev/null"),
        (["--epoch", "3"], "did you mean --epochs?"),
        (["--memory-gib", "inf"], "--memory-gib is inf, expected a number above 0"),
        (["--memory-gib", "1e-6"], "GiB does not hold the Jacobian rows of 2 images"),
        (["--checkpoint", ".", "--momentum", "0.5"], "--momentum is for pretraining"),
        (["--implementation", "autos"], "did you mean 'auto'"),
        (["--drws", "2"], "Unrecognized options: --drws, 2 (did you mean --draws?); see analysis"),
        (["--n", "some"], "Error parsing --n: "),
        (["--fast"], "Unrecognized options: --fast"),
        (["--n", "5", "--compare-kernels", "6"], "--compare-kernels is 6, expected 0 to 5"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # One augmentation is drawn faster than the five by default
    one = [] if "--augment" in arguments or "--from" in arguments else ["--augment", "identity"]
    assert analysis("--out", tmp_path / "out", *one, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_study_is_not_replaced_unless_asked(small, finished, capsys):
    before = (finished / "spectrum.npz").read_bytes()
    assert analysis(*small, "--out", finished) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert (finished / "spectrum.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 2 * image", "images augmented by 'own_broken:augment' range from 0 to 2"),
        ("return numpy.sort(image)", "'own_broken:augment': .* (TracerArrayConversionError)"),
    ],
)
def test_an_own_augmentation_that_cannot_be_used_is_told_before_training(
    body, message, tmp_path, monkeypatch, capsys
):
    source = f"import numpy\n\ndef augment(key, image):\n    {body}\n"
    (tmp_path / "own_broken.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "own_broken", raising=False)
    monkeypatch.setattr("analysis.spectrum.command.pretrain", None)  # training would fail
    assert analysis("--augment", "own_broken:augment", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert all(part in error.splitlines()[-1] for part in message.split(".* "))
    assert error.count("error: ") == 1
    assert ("Traceback" in error) == ("numpy" in body)  # the user's own lines, where they raised it


# What the command hands to the library


@pytest.fixture
def handed(small, monkeypatch, tmp_path):
    """From arguments of the command to what it calls `study_spectrum` with."""

    def call(*arguments):
        calls = []

        def study(*positional, **named):
            calls.append(inspect.signature(original).bind(*positional, **named).arguments)
            raise InputError("this is all that was to be seen")

        original = spectrum.study_spectrum
        with monkeypatch.context() as patch:
            patch.setattr(spectrum, "study_spectrum", study)
            assert analysis(*small, *arguments, "--out", tmp_path / "out") == 2
        return calls[0]

    return call


def test_every_option_reaches_the_study(handed, tmp_path):
    given = handed(
        *("--draws", 3, "--bins", 5, "--rows", "true-logit", "--dtype", "float64", "--seed", 4),
        *("--backend", "svd", "--implementation", "auto", "--memory-gib", 0.5, "--networks", 2),
    )
    expected = {
        "draws": 3,
        "num_bins": 5,
        "rows": "true-logit",
        "dtype": "float64",
        "key": 4,
        "backend": "svd",
        "implementation": "auto",
        "memory_bytes": 2**29,
        "blocks_folder": None,
    }
    assert {name: given[name] for name in expected} == expected
    assert list(given["augmentations"]) == ["noise:0.5", "rotation"]
    assert handed("--keep-blocks", tmp_path / "k")["blocks_folder"] == str(tmp_path / "k")
    # The images, their labels, and their places in the whole split, from which keys are folded.
    whole = data.load_dataset("digits", "train")
    np.testing.assert_array_equal(given["images"], data.unit_range(whole.images[given["indices"]]))
    assert len(set(np.asarray(given["indices"]).tolist())) == 12
    assert max(given["indices"]) > 12
    np.testing.assert_array_equal(
        [whole.class_names[label] for label in whole.labels[given["indices"]]],
        [str(label) for label in given["labels"]],
    )
    normalised = given["preprocess"](given["images"])
    np.testing.assert_allclose(
        normalised, data.normalize(given["images"], whole.mean, whole.std), rtol=1e-6
    )
    # Each network is trained from a seed of its own.
    one, other = given["networks"]
    assert not np.allclose(*(view.params["output"]["kernel"] for view in (one, other)))


def test_defaults_of_the_command_are_those_of_the_library(handed):
    given = handed("--bins", 4)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(spectrum.study_spectrum).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    for name in ("draws", "rows", "backend", "implementation", "dtype", "memory_bytes"):
        assert given[name] == defaults[name], name
    assert SpectrumOptions().bins is defaults["num_bins"] is None
    assert memory_bytes(SpectrumOptions()) == defaults["memory_bytes"]


def test_a_dry_run_counts_networks_augmentations_and_draws(small, monkeypatch, capsys):
    def cost(engine, images, labels, *, memory_bytes):
        return StudyCost(36, 10, 1, 1, seconds_plain=60.0, seconds_per_draw=600.0)

    monkeypatch.setattr(spectrum, "estimate_cost", cost)
    assert analysis(*small, "--dry-run", "--networks", 3, "--draws", 4) == 0
    # 3 x 1 minute, and 3 networks x 2 augmentations x 4 draws of 10 minutes.
    assert (
        "spectra     243.0 minutes by backend kernel (3 networks x 2 augm"
        in capsys.readouterr().out
    )
