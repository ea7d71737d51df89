"""`time`: the parts of a run, and what they add up to."""

import json
from collections import Counter

import pytest

from experiments import timing
from ntk_aug import data, models, training
from ntk_aug.errors import InputError
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.parts import PartSeconds, part_counts, parts_of_histories
from ntk_aug.training.selecting import SubsetSelection
from ntk_aug.training.versions import ExampleVersions


@pytest.fixture
def called(monkeypatch):
    """The names of the parts in the order in which they occur."""
    called = []
    select, draw = SubsetSelection.__call__, ExampleVersions._run

    def selecting(*given):
        called.append("selection")
        return select(*given)

    def drawing(versions, program, *rest):
        called.append("weak" if program is versions._weak else "strong")
        return draw(versions, program, *rest)

    monkeypatch.setattr(SubsetSelection, "__call__", selecting)
    monkeypatch.setattr(ExampleVersions, "_run", drawing)
    return called


@pytest.mark.parametrize(
    ("selector", "train_on"),
    [
        *(("none", "full"), ("random", "full"), ("random", "subset"), ("all", "full")),
        *(("random", "full, in place"), ("random", "subset, in place"), ("all", "full, in place")),
    ],
)
def test_each_part_occurs_as_often_as_in_a_real_run(called, selector, train_on):
    train_on, *in_place = train_on.split(", ")
    digits = data.load_dataset("digits", "train")
    network = models.build_network("mlp", 10, width=2)
    config = training.TrainingConfig(epochs=7, batch_size=600, weak="weak-digits", weak_every=2)
    strong = {"augment": "identity", "strong_every": 4, "reselect_every": 3, "train_on": train_on}
    budget = {"count": 10} if selector == "random" else {}
    if in_place:
        budget["placement"] = "in-place"
    method = training.MethodConfig(selector, **({} if selector == "none" else strong), **budget)
    training.train(network, digits, config, method=method)
    expected = part_counts(config, method)
    counts = Counter(called)
    assert {name: counts[name] for name in expected if name != "training"} == {
        name: count for name, count in expected.items() if name != "training"
    }
    # Epochs 0, 2, 4, 6, and 0 and 3 of new examples; none if all is strong.
    all_strong = in_place and (selector == "all" or train_on == "subset")
    assert expected["weak"] == (0 if all_strong else 5 if train_on == "subset" else 4)


def test_a_whole_run_is_the_sum_of_its_parts_medians():
    parts = PartSeconds([1.0, 2.0, 9.0], [10.0], [100.0], [1000.0])
    config = training.TrainingConfig(epochs=7, weak="weak-digits", weak_every=2)
    method = training.MethodConfig("random", count=1, augment="identity", reselect_every=3)
    assert parts.whole(config, method) == 7 * 2 + 3 * 10 + 4 * 100 + 7 * 1000


def test_weak_redraws_are_what_strong_ones_alone_do_not_take():
    both, strong = (
        [EpochRecord(0, 0, 0, seconds_training=one, seconds_augmentation=10 * one) for one in times]
        for times in ((1.0, 2.0), (0.1, 0.3, 0.9))
    )
    parts = parts_of_histories(both, strong)
    assert parts.training == [1, 2]
    assert parts.strong == [1, 3, 9]
    assert parts.weak == [7, 17]


def test_a_preset_is_timed_with_the_whole_runs_settings(experiments, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(timing, "check_idle", lambda: None)
    small = ("--width", 4, "--epochs", 50, "--reselect-every", 7)
    command = ("time", "digits-coreset-10", *small, "--repeats", 2, "--out", tmp_path / "out")
    assert experiments(*command) == 0
    shown = capsys.readouterr().out
    folder = tmp_path / "out" / "digits-coreset-10"
    told = json.loads((folder / "timing.json").read_text())
    assert {name: len(own) for name, own in told["seconds"].items()} == dict.fromkeys(
        PartSeconds._fields, 2
    )
    config = json.loads((folder / "config.json").read_text())
    assert (config["training"]["epochs"], config["method"]["reselect_every"]) == (50, 7)
    assert config["training"]["weak_every"] == 5
    assert config["data"]["num_examples"] == 1438
    assert config["overrides"] == {"epochs": 50, "width": 4, "reselect_every": 7}
    whole = PartSeconds(**told["seconds"]).whole(
        training.TrainingConfig(epochs=50, weak="weak-digits", weak_every=5),
        training.MethodConfig("coreset", fraction=0.1, augment="identity", reselect_every=7),
    )
    assert f" {whole:.3g} " in shown
    # A second time, it is kept; another one of the same name is refused.
    monkeypatch.setattr(timing, "time_run", None)
    assert experiments(*command) == 0
    assert f" {whole:.3g} " in capsys.readouterr().out
    assert experiments(*command, "--momentum", 0.5) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    (folder / "timing.json").write_text("{}")
    assert experiments(*command) == 2
    assert "timing.json is no timing of a run; pass --overwrite" in capsys.readouterr().err


def test_strong_versions_are_timed_without_weak_ones(called, monkeypatch, tmp_path, experiments):
    monkeypatch.setattr(timing, "check_idle", lambda: None)
    small = ("--train-on", "subset", "--width", 2, "--repeats", 1, "--out", tmp_path)
    assert experiments("time", "digits-random-10", *small) == 0
    # Two epochs with all parts, and two of which the first alone selects and draws weak versions.
    assert called == ["selection", "weak", "strong"] * 3 + ["strong"]


def test_what_was_timed_is_shown_if_another_fails(monkeypatch, tmp_path, experiments, capsys):
    monkeypatch.setattr(timing, "check_idle", lambda: None)
    parts = PartSeconds([1.0], [1.0], [1.0], [1.0])

    def fails_but_once(resolved, *_, **__):
        if resolved.preset != "digits-none":
            raise InputError("diverged")
        return parts

    monkeypatch.setattr(timing, "time_run", fails_but_once)
    assert experiments("time", "digits-quick", "--out", tmp_path / "out") == 2
    shown = capsys.readouterr()
    assert "diverged" in shown.err
    assert "digits-none" in shown.out


def test_a_busy_machine_is_told_before_any_work(experiments, monkeypatch, tmp_path, capsys):
    seconds = iter([0.0, 1e6, 0.0, 0.0])
    monkeypatch.setattr(timing, "_busy_seconds", lambda: next(seconds))
    monkeypatch.setattr(timing.time, "sleep", lambda _: None)
    assert experiments("time", "digits-quick", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "% of the processors, expected at most 10 %: wait for them, or pass --busy" in error
    assert not (tmp_path / "out").exists()
    timing.check_idle()  # nothing else worked


def test_what_others_use_is_what_this_process_does_not(monkeypatch):
    busy, own, clock = iter([100.0, 107.0]), iter([1.0, 4.0]), iter([0.0, 10.0])
    monkeypatch.setattr(timing, "_busy_seconds", lambda: next(busy))
    monkeypatch.setattr(timing, "_own_seconds", lambda: next(own))
    monkeypatch.setattr(timing.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(timing.os, "cpu_count", lambda: 2)
    with timing.measure_others() as others:
        pass
    assert others.share == (7 - 3) / 10 / 2


def test_systems_that_do_not_tell_are_taken_as_they_are(monkeypatch, tmp_path):
    (tmp_path / "empty").touch()
    for name in ("none", "empty"):
        assert timing._busy_seconds(stat=str(tmp_path / name)) is None
    (tmp_path / "stat").write_text(
        "cpu 100 200 300 4000 50 60 70 0 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\n"
    )
    ticks = timing.os.sysconf("SC_CLK_TCK")
    assert timing._busy_seconds(stat=str(tmp_path / "stat")) == 730 / ticks
    monkeypatch.setattr(timing, "_busy_seconds", lambda: None)
    with timing.measure_others() as others:
        pass
    assert others.share is None
    seconds = iter([0.0, 0.0])  # a system that shows nothing of what works
    monkeypatch.setattr(timing, "_busy_seconds", lambda: next(seconds))
    own = iter([0.0, 5.0])
    monkeypatch.setattr(timing, "_own_seconds", lambda: next(own))
    with timing.measure_others() as others:
        pass
    assert others.share is None
