import json

import numpy as np
import pytest
from PIL import Image

from analysis.__main__ import COMMANDS
from ntk_aug.augment import AUGMENTATIONS, POLICIES
from ntk_aug.programs import run_program


def analysis(*arguments):
    return run_program("analysis", "", COMMANDS, arguments=["augment", *map(str, arguments)])


SMALL = ("--n", 2, "--draws", 3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("augment") / "out"
    assert analysis(*SMALL, "--augment", "autoaugment-svhn", "--out", out) == 0
    return out


def test_the_sheet_and_what_was_drawn_are_written(finished):
    assert {path.name for path in finished.iterdir()} == {"sheet.png", "sheet.pdf", "summary.json"}
    with Image.open(finished / "sheet.png") as sheet:
        assert min(sheet.size) > 200
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["options"]["augment"] == "autoaugment-svhn"
    assert len(summary["data"]["indices"]) == 2
    told = summary["drawn"]
    assert np.shape(told) == (2, 3)
    known = {"nothing", *POLICIES["autoaugment-svhn"].operations}
    assert {step.split()[0] for row in told for text in row for step in text.split(", ")} <= known


def test_an_augmentation_that_cannot_tell_is_shown_alone(tmp_path):
    assert analysis(*SMALL, "--augment", "noise:2", "--out", tmp_path / "out") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["drawn"] == [[""] * 3] * 2


def test_the_list_names_every_augmentation(capsys):
    assert analysis("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(AUGMENTATIONS)
    assert sum("AutoAugment: 1 of 25 rows" in line for line in lines) == 3 * 6


def test_the_table_is_printed(capsys):
    assert analysis("--augment", "autoaugment-cifar10", "--table") == 0
    assert capsys.readouterr().out == f"{POLICIES['autoaugment-cifar10']}\n"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("wu-cifar10", "then: a crop after padding by reflection, a mirror"),
        ("augmix", "mixed with the image itself: 3 chains of the first 1 to 3"),
    ],
)
def test_the_table_also_tells_what_comes_after_it(policy, told, capsys):
    assert analysis("--augment", policy, "--table") == 0
    table, rest = capsys.readouterr().out.split("\n" + told)
    assert "TranslateY" in table
    assert rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--augment", "autoaugment"], "did you mean 'autoaugment-svhn'"),
        (["--augment", "noise", "--table"], "augmentation 'noise' has no table"),
        (["--data", "digts"], "did you mean 'digits'"),
        (["--n", "0"], "--n is 0"),
        (["--n", "2000"], "--n is 2000, expected 1 to 50"),
        (["--draws", "0"], "--draws is 0, expected 1 to 50"),
        (["--images", "a.npz", "--data", "digits"], "--images and --data exclude each other"),
        (["--images", "nowhere.npz"], "nowhere.npz is missing"),
        (["--drws", "2"], "did you mean --draws?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert analysis("--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_sheet_is_not_replaced_unless_asked(finished, capsys):
    before = (finished / "sheet.png").read_bytes()
    assert analysis(*SMALL, "--augment", "identity", "--out", finished) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert (finished / "sheet.png").read_bytes() == before
