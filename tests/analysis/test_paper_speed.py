"""T4 and T5 from synthetic records and timings with known answers."""

import numpy as np
import pytest
from paper_records import lines_of, write_run, write_t1_run, write_timing

from analysis.paper import values
from analysis.recorded.reading import read_runs
from ntk_aug.training import MethodConfig


def test_speed_ups_and_shares_of_the_gain_are_exact(tmp_path):
    # 200 epochs, 10 selections and weak redraws: 200, 400 and 2,000 seconds in all.
    for name, accuracy, images, seconds in (
        ("none", 0.80, 100, (0.95, 0, 1, 0)),
        ("coreset", 0.85, 110, (1.5, 6, 1, 0.15)),
        ("all", 0.90, 200, (7.95, 0, 1, 2)),
    ):
        size = 0.1 if name == "coreset" else None
        run = tmp_path / name
        write_t1_run(run, name, size=size, accuracy=accuracy, images=images, seconds=(9, 9, 9))
        write_timing(tmp_path / f"{name}-timing", run, seconds=seconds)
    lines = lines_of(tmp_path)
    seconds = lines["T4", values.CIFAR10, "coreset 10 %, by seconds"]
    assert seconds.ours.mean == pytest.approx(5)
    assert seconds.difference == pytest.approx(5 - 6.31)
    assert seconds.remark == "timed by its parts on 2 processors"
    images = lines["T4", values.CIFAR10, "coreset 10 %, by images processed"]
    assert images.ours.mean == pytest.approx(200 / 110)
    gain = lines["T4", values.CIFAR10, "coreset 10 %, share of the gain"]
    assert gain.ours.mean == pytest.approx(50)
    told = {row: line.ours for (_, part, row), line in lines.items() if "sentences" in part}
    assert told["CIFAR10, coreset 10 %: share of the gain"].mean == pytest.approx(50)
    assert told["CIFAR10, all: time of training"].mean == pytest.approx(2000 / 3600)
    over = told["CIFAR10, all: time of training over that without augmentation"]
    assert over.mean == pytest.approx(10)
    assert [row for row, ours in told.items() if ours is None] == [
        "SVHN, 30 %: gain of the coreset over that of a random subset",
        "SVHN, 30 %: speed-up of a random subset that the coreset gives up",
    ]


def test_the_sentence_on_svhn_is_that_of_the_papers_own_means(tmp_path):
    """D.7: 24.8 % more gain than random; T1's means give 24.9."""
    svhn = {"data": "svhn_cropped", "model": "resnet32", "num_examples": 73_257}
    changed = {"weak": "weak-svhn_cropped", "augment": "wu-svhn_cropped"}
    for name, size in (("none", None), ("random", 0.3), ("coreset", 0.3), ("all", None)):
        row = name if size is None else f"{name} 30 %"
        accuracy = values.T1[row, values.SVHN].mean / 100
        own = {"weak": changed["weak"]} if name == "none" else changed
        write_t1_run(tmp_path / name, name, size=size, accuracy=accuracy, changed=own, **svhn)
    row = "SVHN, 30 %: gain of the coreset over that of a random subset"
    line = lines_of(tmp_path)["T4", "sentences about speed-up and gain", row]
    assert line.deviations == ()
    assert line.ours.mean == pytest.approx(24.9, abs=0.05)


def test_a_subset_trained_on_alone_is_compared_with_all(tmp_path):
    for name, accuracy, images in (("none", 0.5, 100), ("coreset", 0.8, 20), ("all", 0.9, 200)):
        rest = {"none": {}, "all": {"augment": "identity"}}
        subset = {"fraction": 0.1, "train_on": "subset", "augment": "identity"}
        method = MethodConfig(name, **rest.get(name, subset))
        write_run(tmp_path / name, method=method, accuracies=(accuracy,), images=images)
    lines = lines_of(tmp_path)
    part = "comparison on digits, mlp, R = 1"
    speed_up = lines["T4", part, "coreset 10 % strong, by images processed"]
    assert speed_up.ours.mean == pytest.approx(10)
    gain = lines["T4", part, "coreset 10 % strong, share of the gain"]
    assert gain.ours.mean == pytest.approx(75)


def test_times_of_selections_are_divided_by_p_and_r(tmp_path):
    method = MethodConfig("coreset", fraction=0.1, reselect_every=2, augment="identity")
    write_run(tmp_path / "a", method=method)
    assert not [key for key in lines_of(tmp_path) if "selections on" in key[1]]
    write_timing(tmp_path / "b", tmp_path / "a", seconds=(1, 3, 1, 1), processors=4)
    lines = lines_of(tmp_path)
    part = "selections on digits, mlp, R = 2"
    assert lines["T5", part, "coreset 10 % of 100"].ours == pytest.approx((6, np.sqrt(42.75), 3))
    assert lines["T5", part, "coreset 10 % of 100, divided by p and R"].ours.mean == 6 / 4 / 2


def test_runs_without_a_timing_are_not_compared_by_seconds(tmp_path):
    for name, seconds in (("none", None), ("random", None), ("all", (2, 0, 0, 0))):
        run = write_t1_run(tmp_path / name, name, size=0.1 if name == "random" else None)
        if seconds:
            write_timing(tmp_path / f"{name}-timing", run, seconds=seconds)
    place = "T4", values.CIFAR10, "random 10 %, by seconds"
    line = lines_of(tmp_path)[place]
    assert (line.ours, line.remark) == (None, "not timed by itself")
    folder = tmp_path / "random-timing"
    write_timing(folder, tmp_path / "random", seconds=(1, 0, 0, 0), processors=64)
    line = lines_of(tmp_path)[place]
    told = "augmenting everything was not timed on the same machine"
    assert (line.ours, line.remark) == (None, told)


def test_a_timing_without_a_run_is_named(tmp_path):
    run = write_t1_run(tmp_path / "runs" / "none", "none")
    other = write_t1_run(tmp_path / "other", "all")
    write_timing(tmp_path / "runs" / "known", run, seconds=(1, 0, 0, 0))
    write_timing(tmp_path / "runs" / "unknown", other, seconds=(1, 0, 0, 0))
    found = read_runs(str(tmp_path / "runs"))
    assert found.problems == ["unknown: no recorded run has the settings of this timing"]


def test_the_timings_that_others_disturbed_least_count_and_tell_how_much(tmp_path):
    for name, size in (("all", None), ("coreset", 0.1)):
        run = write_t1_run(tmp_path / name, name, size=size)
        for others, seconds in ((0.3, 4), (0.07, 2), (0.4, 8)):
            folder = tmp_path / f"{name}-{others}"
            epoch = 1 + seconds if name == "all" else 1
            write_timing(folder, run, seconds=(epoch, 0, 0, 0), others=others)
    line = lines_of(tmp_path)["T4", values.CIFAR10, "coreset 10 %, by seconds"]
    assert line.ours.mean == pytest.approx(3)
    assert line.remark.endswith("2 processors, of which other programs used 7 %")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"selection": [', '"choice": ['),
        ("0.5", "-1"),
        ("0.5", "null"),
        ('"others": 0.0', '"others": "no"'),
        ('"processors": 2', '"processors": 0'),
    ],
)
def test_broken_timings_are_named(tmp_path, old, new):
    write_timing(tmp_path / "t", write_t1_run(tmp_path / "a", "none"), seconds=(1, 1, 1, 1))
    path = tmp_path / "t" / "timing.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    found = read_runs(str(tmp_path))
    assert (len(found.runs), len(found.timings)) == (1, 0)
    assert found.problems[0].startswith("t: timing.json is broken")
