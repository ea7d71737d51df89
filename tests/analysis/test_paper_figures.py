"""The paper's figures from synthetic records with known answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from paper_records import write_run, write_timing

from analysis.__main__ import COMMANDS
from analysis.figures.curves import draw_losses, draw_over_max_loss, draw_shares, same_sizes
from analysis.figures.images import indices_csv, load_images, most_selected
from analysis.figures.overlaps import draw_epoch_overlaps, draw_top_overlaps
from analysis.figures.speed import draw_speed_ups
from analysis.recorded.families import find_families
from analysis.recorded.groups import group_runs
from analysis.recorded.measures import (
    gain_shares,
    image_speed_ups,
    recorded_overlaps,
    speed_up,
    times_selected,
    top_overlaps,
)
from analysis.recorded.reading import read_runs
from ntk_aug import data
from ntk_aug.programs import run_program
from ntk_aug.training import MethodConfig

DIGITS = data.load_dataset("digits", "train").fingerprint()
ROOT = Path(__file__).parents[2]
DRAWN = ["F2", "F3", "F5", "F6", "F7a", "F7bc"]


def families_in(folder):
    found = read_runs(str(folder))
    return find_families(group_runs(found.runs, found.timings))


def method(selector, **others):
    budget = {} if selector in ("none", "all") else {"fraction": 0.04}
    strong = {} if selector == "none" else {"augment": "identity"}
    return MethodConfig(selector, reselect_every=2, **{**budget, **strong, **others})


@pytest.fixture
def compared(tmp_path):
    """Five methods on 100 digits, four of which are selected twice."""
    for name, accuracies, images, selections in (
        ("none", (0.1, 0.2, 0.3, 0.4), 400, None),
        ("random", (0.1, 0.2, 0.3, 0.4), 420, {0: [0, 1, 2, 3], 2: [4, 5, 6, 7]}),
        ("max-loss", (0.1, 0.2, 0.3, 0.5), 420, {0: [0, 1, 2, 3], 2: [0, 1, 2, 4]}),
        ("coreset", (0.2, 0.3, 0.5, 0.7), 420, {0: [0, 1, 5, 6], 2: [0, 1, 7, 8]}),
        ("all", (0.2, 0.3, 0.4, 0.8), 800, None),
    ):
        if name == "coreset":
            others = {0: [0, 1, 2, 3], 2: [0, 9, 10, 11]}
            selections = {
                epoch: {"indices": own, "max-loss/indices": others[epoch]}
                for epoch, own in selections.items()
            }
        write_run(
            tmp_path / name,
            method=method(name, also_record=("max-loss",) if name == "coreset" else ()),
            accuracies=accuracies,
            images=images,
            selections=selections,
            fingerprint=DIGITS,
        )
    return tmp_path


def test_speed_ups_and_gains_are_exact(compared):
    (family,) = families_in(compared)
    (coreset,), (random,) = family.of("coreset"), family.of("random")
    assert image_speed_ups(coreset, family.all) == [800 / 420]
    assert speed_up(coreset, family.all) is None
    (axes,) = draw_speed_ups(family).axes
    assert axes.get_xlabel() == "speed-up by images processed"
    assert gain_shares(coreset, family.none, family.all) == [pytest.approx(75)]
    assert gain_shares(random, family.none, family.all) == [0]
    assert gain_shares(coreset, family.all, family.none) == []
    # 4 epochs and redraws, 2 selections: 16 and 64 seconds.
    write_timing(compared / "t1", compared / "coreset", seconds=(1, 3, 1, 0.5))
    write_timing(compared / "t2", compared / "all", seconds=(7, 0, 1, 8))
    (family,) = families_in(compared)
    (coreset,) = family.of("coreset")
    assert speed_up(coreset, family.all).ratio == 4
    panels = draw_speed_ups(family).axes
    texts = {text.get_text(): text.xy for text in panels[1].texts if text.get_text()}
    assert texts == {"4 %": (4, pytest.approx(75))}
    handles = draw_speed_ups(family).legends[0].get_texts()
    assert [text.get_text() for text in handles] == ["none", "random", "max-loss", "coreset", "all"]
    assert [axes.get_xlabel() for axes in panels] == [
        "speed-up by images processed",
        "speed-up by measured seconds",
    ]


def test_overlaps_are_exact(compared):
    (family,) = families_in(compared)
    ((coreset, max_loss),) = same_sizes(family)
    places, times = times_selected(coreset.runs[0])
    assert dict(zip(places.tolist(), times.tolist(), strict=True)) == {
        0: 2,
        1: 2,
        5: 1,
        6: 1,
        7: 1,
        8: 1,
    }
    # Twice: 0 and 1 by the coreset, 0, 1 and 2 by max-loss.
    measured = top_overlaps(coreset, max_loss, [1, 2, 3, 100])[0]
    np.testing.assert_allclose(measured, [1 / 3, 2 / 3, 2 / 3, 1])
    assert recorded_overlaps(coreset.runs[0], "max-loss") == {0: 0.5, 2: 0.25}
    line = draw_epoch_overlaps(family).axes[0].lines[0]
    assert line.get_xydata().tolist() == [[0, 50], [2, 25]]
    chance = draw_top_overlaps(family).axes[0].lines[-1].get_xydata()
    np.testing.assert_array_equal(chance[:, 0], chance[:, 1])


def test_places_of_a_part_of_the_split_count_as_its_examples_only(tmp_path):
    for selector, chosen in (("coreset", [10, 20]), ("max-loss", [30, 20])):
        write_run(
            tmp_path / selector,
            method=method(selector, fraction=0.5),
            num_examples=4,
            selections={0: chosen},
        )
    (family,) = families_in(tmp_path)
    (pair,) = same_sizes(family)
    # Two of four: 20 is in both, and 10 and 30 tie with nothing; of all four, all are in both.
    np.testing.assert_allclose(top_overlaps(*pair, [2, 4]), [[0.5, 1]])


def test_families_of_one_title_do_not_write_over_each_others_places(tmp_path):
    for name, own in (("t1", {}), ("t2", {"train_on": "subset"})):
        write_run(tmp_path / "runs" / name, method=method("coreset", **own), selections={0: [1, 2]})
    assert run("figures", "--runs", tmp_path / "runs", "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").glob("f6-*.csv"))) == 2


def test_accuracy_over_max_loss_is_that_of_the_same_seed(compared):
    for seed in (1, 2):
        folder = compared / f"c{seed}"
        write_run(
            folder,
            method=method("coreset"),
            seed=seed,
            fingerprint=DIGITS,
            accuracies=(0.1, 0.1, 0.1, 0.1),
        )
    write_run(
        compared / "m1",
        method=method("max-loss"),
        seed=1,
        fingerprint=DIGITS,
        accuracies=(0.1, 0, 0.1, 0.2),
    )
    (family,) = families_in(compared)
    over, share = draw_over_max_loss(family).axes
    mean = over.lines[0].get_ydata()
    np.testing.assert_allclose(mean, [5, 10, 10, 5])  # seeds 0 and 1; seed 2 has no max-loss run
    labels = [text.get_text() for text in share.get_legend().get_texts()]
    assert labels == ["random 4 %", "max-loss 4 %", "coreset 4 %"]


def test_a_subset_that_is_trained_on_is_drawn_against_its_share(tmp_path):
    subset = {"train_on": "subset"}
    for name, strong in (("weak", "none"), ("strong", "identity")):
        own = method("coreset", augment=strong, **subset)
        write_run(tmp_path / name, method=own, distinct=8)
    (family,) = families_in(tmp_path)
    assert [family.row(group) for group in family.subsets] in (
        ["coreset 4 % weak", "coreset 4 % strong"],
        ["coreset 4 % strong", "coreset 4 % weak"],
    )
    lines = draw_shares(family).axes[0].lines
    np.testing.assert_allclose(lines[0].get_xdata(), [2, 4, 6, 8])
    assert draw_over_max_loss(family) is None


def test_the_most_often_selected_are_counted(compared):
    (family,) = families_in(compared)
    rows = {row.row: row for row in most_selected(family)}
    assert set(rows) == {"max-loss 4 %", "coreset 4 %"}
    assert rows["coreset 4 %"].places[:6].tolist() == [0, 1, 5, 6, 7, 8]
    assert rows["max-loss 4 %"].counts[:5].tolist() == [2, 2, 2, 1, 1]
    assert "coreset 4 %,5,1,2\n" in indices_csv(list(rows.values()))
    assert load_images(family, None) is not None
    write_run(compared / "copy", method=method("coreset"), fingerprint="another")
    (copy,) = (own for own in families_in(compared) if own.none is None)
    assert load_images(copy, None) is None


def run(*arguments):
    return run_program("analysis", "", COMMANDS, arguments=list(map(str, arguments)))


def test_figures_are_written_as_png_and_pdf_and_missing_ones_are_told(
    compared, tmp_path_factory, capsys
):
    out = tmp_path_factory.mktemp("figures") / "out"
    assert run("figures", "--runs", compared, "--out", out) == 0
    told = json.loads((out / "figures.json").read_text())
    assert [name for name, files in told["drawn"].items() if files] == DRAWN
    for names in told["drawn"].values():
        for name in names:
            assert (out / f"{name}.png").stat().st_size > 1000
            assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert told["not_drawn"].keys() == {"F1", "F4", "Epochs"}
    assert "not drawn: no spectrum study" in capsys.readouterr().out


def test_the_recorded_runs_give_their_figures(monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    families = {family.title: family for family in families_in(ROOT / "results/training")}
    cifar10 = families.pop("comparison on cifar10, resnet20, R = 20")
    assert draw_shares(cifar10) is not None
    assert draw_speed_ups(cifar10) is None
    assert len(most_selected(cifar10)) == len(cifar10.of("coreset")) > 1
    assert load_images(cifar10, None) is None
    assert {family.name for family in families.values()} >= {"digits, mlp", "mnist, mlp"}
    of_mnist = families["comparison on mnist, mlp, R = 5"]
    for family in (of_mnist, families["comparison on digits, mlp, R = 5"]):
        for draw in (draw_losses, draw_speed_ups, draw_over_max_loss):
            assert draw(family) is not None
    for draw in (draw_top_overlaps, draw_epoch_overlaps):
        assert draw(of_mnist) is not None


def test_a_broken_study_is_named_and_left_out(tmp_path, capsys):
    write_run(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "study").mkdir()
    (tmp_path / "runs" / "study" / "spectrum.npz").write_bytes(b"nothing")
    assert run("figures", "--runs", tmp_path / "runs", "--out", tmp_path / "out") == 0
    assert "left out: study: " in capsys.readouterr().err
