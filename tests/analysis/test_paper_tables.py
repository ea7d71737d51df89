"""The paper's tables from synthetic records with known answers."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paper_records import SMALL, T1_CIFAR10, lines_of, write_run, write_t1_run
from scipy import stats

from analysis.__main__ import COMMANDS
from analysis.paper import values
from analysis.paper.cells import paper_cells
from analysis.paper.settings import DATA_COPIES, deviations, is_same_cell, recorded_settings
from analysis.recorded.reading import read_runs
from analysis.tables.collecting import collect_tables
from analysis.tables.output import cells_of
from experiments.presets import matching_presets
from experiments.run import resolve
from ntk_aug.programs import run_program
from ntk_aug.records import write_npz
from ntk_aug.training import MethodConfig

ROOT = Path(__file__).parents[2]
JPEG, TEST_JPEG = DATA_COPIES


def analysis(*arguments):
    return run_program("analysis", "", COMMANDS, arguments=list(map(str, arguments)))


def test_a_cell_is_the_mean_of_its_seeds_beside_the_papers_value(tmp_path):
    for seed, accuracy in enumerate((0.90, 0.91, 0.92)):
        write_t1_run(tmp_path / f"c{seed}", "coreset", size=0.1, seed=seed, accuracy=accuracy)
    for seed, accuracy in enumerate((0.90, 0.905)):
        write_t1_run(tmp_path / f"r{seed}", "random", size=0.1, seed=seed, accuracy=accuracy)
    lines = lines_of(tmp_path)
    line = lines["T1", values.CIFAR10, "coreset 10 %"]
    assert line.ours == pytest.approx((91, 1, 3))
    assert line.paper[:2] == (91.54, 0.19)
    assert line.difference == pytest.approx(-0.54)
    assert cells_of(line)[1:5] == ("91.00 +- 1.00 %", "3", "91.54 +- 0.19 %", "-0.54")
    random = lines["T1", values.CIFAR10, "random 10 %"]
    expected = stats.ttest_ind([90, 90.5], [90, 91, 92], equal_var=False).pvalue
    assert random.p_value == pytest.approx(expected)
    assert cells_of(lines["T1", values.CIFAR10, "all"])[1:3] == ("no run", "-")


def test_runs_that_deviate_are_marked_and_never_mixed(tmp_path):
    write_t1_run(tmp_path / "a", "none", accuracy=0.90)
    write_t1_run(tmp_path / "b", "none", seed=1, accuracy=0.92)
    write_t1_run(tmp_path / "c", "none", seed=2, accuracy=0.1, changed={"epochs": 100})
    write_t1_run(tmp_path / "d", "none", seed=3, accuracy=0.2, fingerprint=JPEG)
    tables = collect_tables(read_runs(str(tmp_path)))
    own = [line for line in tables.lines if line.row == "none" and line.part == values.CIFAR10]
    told = {line.deviations: line.ours.mean for line in own}
    assert told == {
        (): pytest.approx(91),
        ("epochs 100 instead of 200",): pytest.approx(10),
        ("JPEG-compressed copy of the data",): pytest.approx(20),
    }
    assert [cells_of(line)[0] for line in own] == ["none", "none *", "none *"]


def test_settings_without_effect_do_not_count(tmp_path):
    write_t1_run(tmp_path / "a", "coreset", size=0.3, accuracy=0.90)
    changed = {"eval_every": 50, "also_record": ("max-loss",), "fraction": None, "count": 15_000}
    write_t1_run(tmp_path / "b", "coreset", size=0.3, seed=1, accuracy=0.92, changed=changed)
    line = lines_of(tmp_path)["T1", values.CIFAR10, "coreset 30 %"]
    assert line.ours == pytest.approx((91, np.sqrt(2), 2))
    assert line.remark == "evaluated every 50 epochs"
    changed = {"reselect_every": 7, "draws": 3}  # of a run that selects nothing
    write_t1_run(tmp_path / "c", "none", changed=changed)
    assert lines_of(tmp_path)["T1", values.CIFAR10, "none"].ours.runs == 1


def test_a_run_fills_the_table_that_it_deviates_from_least(tmp_path):
    changed = {"weak_every": 1, "epochs": 100}
    write_t1_run(tmp_path / "a", "none", changed=changed)
    lines = lines_of(tmp_path)
    assert lines["T7", f"{values.CIFAR10}: accuracy", "none *"].ours.mean == 90
    assert ("T1", values.CIFAR10, "none *") not in lines


def test_the_share_never_selected_is_that_of_the_last_epoch(tmp_path):
    method = {"weak_every": 1, "reselect_every": 1}
    write_t1_run(tmp_path / "a", "coreset", size=0.002, changed=method, distinct=10_000)
    lines = lines_of(tmp_path)
    assert lines["T7", f"{values.CIFAR10}: never selected", "coreset 0.2 %"].ours.mean == 80
    assert lines["T7", f"{values.CIFAR10}: accuracy", "coreset 0.2 %"].ours.mean == 90


def test_methods_are_compared_on_the_same_copy_of_the_data(tmp_path):
    for copy, level in (("one", 0.9), ("two", 0.5)):
        for selector, more in (("random", 0.0), ("coreset", 0.01)):
            for seed in range(3):
                told = {"accuracy": level + more + 0.002 * seed, "fingerprint": copy}
                folder = tmp_path / f"{copy}-{selector}-{seed}"
                write_t1_run(folder, selector, size=0.1, seed=seed, **told)
    tables = collect_tables(read_runs(str(tmp_path)))
    lines = [line for line in tables.lines if line.row == "random 10 %" and line.table == "T1"]
    lines = [line for line in lines if line.ours]
    expected = stats.ttest_ind([0, 0.2, 0.4], [1, 1.2, 1.4], equal_var=False).pvalue
    assert [line.p_value for line in lines] == [pytest.approx(expected)] * 2


def test_other_data_is_a_comparison_of_its_own(tmp_path):
    for name in ("none", "coreset", "random"):
        rest = {} if name == "none" else {"fraction": 0.1, "augment": "identity"}
        method = MethodConfig(name, **rest)
        write_run(tmp_path / name, method=method)
        write_run(tmp_path / f"{name}-2", method=method, training=replace(SMALL, batch_size=5))
    lines = lines_of(tmp_path)
    parts = {part for table, part, _ in lines if table == "T7"} - {
        f"{values.CIFAR10}: accuracy",
        f"{values.CIFAR10}: never selected",
    }
    assert parts == {
        f"comparison on digits, mlp, R = 1 (batch_size {size}){measure}"
        for size in (5, 10)
        for measure in ("", ": never selected")
    }
    assert (
        lines["T7", "comparison on digits, mlp, R = 1 (batch_size 5)", "random 10 %"].paper is None
    )


def test_a_method_beside_those_of_the_paper_is_shown_with_them(tmp_path):
    for name, size in (("none", None), ("coreset", 0.1), ("k-center", 0.1)):
        write_t1_run(tmp_path / name, name, size=size)
    lines = lines_of(tmp_path)
    part = "comparison on cifar10, resnet20, R = 20"
    assert {row for _, own, row in lines if own == part} == {
        *("none", "coreset 10 %", "k-center 10 %")
    }


def test_groups_that_a_cell_does_not_tell_apart_are_told_apart_by_their_settings(tmp_path):
    for name in ("one", "two"):
        write_t1_run(tmp_path / "of-paper" / name, "none", fingerprint=name)
    tables = collect_tables(read_runs(str(tmp_path / "of-paper")))
    own = [line for line in tables.lines if line.row == "none" and line.table == "T1" and line.ours]
    assert {line.remark for line in own} == {"fingerprint one", "fingerprint two"}
    for name in ("identity", "rotation:30"):
        method = MethodConfig("coreset", fraction=0.1, train_on="subset", augment=name)
        write_run(tmp_path / "others" / name, method=method)
    lines = lines_of(tmp_path / "others")
    rows = {row for _, part, row in lines if part == "comparison on digits, mlp, R = 1"}
    assert rows == {f"coreset 10 % strong, augment {name}" for name in ("identity", "rotation:30")}


def test_of_the_same_run_twice_the_one_that_recorded_more_counts(tmp_path):
    chosen = {0: {"indices": [1], "max-loss/indices": [2]}}
    changed = {"also_record": ("max-loss",)}
    write_t1_run(tmp_path / "a", "coreset", size=0.3)
    write_t1_run(tmp_path / "b", "coreset", size=0.3, changed=changed, selections=chosen)
    found = read_runs(str(tmp_path))
    assert [run.folder.name for run in found.runs] == ["b"]
    assert [problem.split(":")[0] for problem in found.problems] == ["a"]


def test_a_copy_of_the_data_is_known_by_its_test_split_too(tmp_path):
    folder = write_t1_run(tmp_path / "a", "none", imbalance=10.0, model="resnet32")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"test": "test"', f'"test": "{TEST_JPEG}"'))
    line = lines_of(tmp_path)["T1", values.IMB10, "none *"]
    assert line.deviations == ("JPEG-compressed copy of the data",)


def test_missing_and_broken_records_are_named_and_left_out(tmp_path, capsys):
    write_t1_run(tmp_path / "good", "none")
    for name in ("no-config", "broken-line", "stopped", "broken-npz", "old", "half", "places"):
        write_t1_run(tmp_path / name, "none", seed=7, selections={0: [1, 2]})
    (tmp_path / "no-config" / "config.json").unlink()
    for name, keep in (("broken-line", "{\n"), ("stopped", "")):
        metrics = tmp_path / name / "metrics.jsonl"
        lines = metrics.read_text().splitlines(keepends=True)
        metrics.write_text("".join(lines[:-1]) + keep)
    (tmp_path / "broken-npz" / "selections" / "00000.npz").write_bytes(b"nothing")
    write_npz(tmp_path / "places" / "selections" / "00000.npz", {"indices": np.array([-1])})
    (tmp_path / "old" / "config.json").write_text('{"format_version": 1}')
    (tmp_path / "half" / "config.json").write_text('{"format_version": 2, "training": {}}')
    shutil.copytree(tmp_path / "good", tmp_path / "twice")
    assert analysis("tables", "--runs", tmp_path, "--out", tmp_path / "out") == 0
    told = capsys.readouterr()
    problems = [line.split(": ")[1] for line in told.err.splitlines()]
    names = ["broken-line", "broken-npz", "half", "no-config", "old", "places", "stopped", "twice"]
    assert problems == names
    assert "stopped after 199 of 200 epochs" in told.err
    text = (tmp_path / "out" / "tables.md").read_text()
    assert all(f"- {name}: " in text for name in names)
    assert "| none | 90.00 % | 1 | 89.46 +- 0.17 % | +0.54 |" in text


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("config.json", '"epochs": 200', '"epochs": "many"'),
        ("config.json", '"selector": "none"', '"selector": null'),
        ("config.json", '"num_examples": 50000', '"num_examples": 0'),
        ("config.json", '"name": "cifar10"', '"name": 3'),
        ("config.json", '"test": "test"', '"test": []'),
        ("metrics.jsonl", '"seconds_training": 1.0', '"seconds_training": null'),
        ("metrics.jsonl", '"examples": 0', '"examples": "none"'),
        ("environment.json", "{", "[{"),
    ],
)
def test_values_of_another_type_are_named(tmp_path, file, old, new):
    path = write_t1_run(tmp_path / "a", "none") / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = read_runs(str(tmp_path))
    assert not found.runs
    assert len(found.problems) == 1
    assert "broken" in found.problems[0] or "not readable" in found.problems[0]


def test_the_order_of_files_does_not_matter(tmp_path):
    tables = []
    for order in (("a", "b", "c"), ("c", "a", "b")):
        folder = tmp_path / "".join(order)
        for seed, name in enumerate(order):
            write_t1_run(folder / name, "none", seed=seed, accuracy=(0.9, 0.91, 0.93)[seed])
            write_t1_run(folder / f"{name}-r", "random", size=0.3, seed=seed)
        tables.append(collect_tables(read_runs(str(folder))).lines)
    assert tables[0] == tables[1]


def test_csv_has_every_cell_of_the_paper_and_unrounded_numbers(tmp_path):
    write_t1_run(tmp_path / "runs" / "a", "none", accuracy=0.123456)
    assert analysis("tables", "--runs", tmp_path / "runs", "--out", tmp_path / "out") == 0
    blocks = (values.T1, values.T2, values.T3, values.T4, values.T5, values.T6, values.T7)
    for number, block in enumerate(blocks, start=1):
        with (tmp_path / "out" / f"T{number}.csv").open() as file:
            rows = list(csv.DictReader(file))
        printed = sorted(float(row["paper_mean"]) for row in rows if row["paper_mean"])
        known = sorted(value.mean for value in block.values())
        assert set(known) <= set(printed)
        if number == 1:
            assert [row["ours_mean"] for row in rows if row["ours_mean"]] == ["12.3456"]


def test_a_users_mistakes_are_told_in_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for command in ("tables", "figures", "report"):
        for runs, told in (("missing", "is no folder"), ("empty", "no recorded run")):
            arguments = ("--runs", tmp_path / runs, "--out", tmp_path / "out")
            assert analysis(command, *arguments) == 2
            error = capsys.readouterr().err
            assert told in error
            assert len(error.splitlines()) == 1
    write_t1_run(tmp_path / "a", "none")
    arguments = ("tables", "--runs", tmp_path / "a", "--out", tmp_path / "out")
    assert analysis(*arguments) == 0
    assert analysis(*arguments) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_the_presets_of_a_table_have_the_settings_of_its_cells():
    cells = [cell for cell in paper_cells() if cell.settings is not None]
    filled = set()
    for table in ("t1", "t2", "t4", "t7", "f5"):
        for name, preset in matching_presets(table).items():
            recorded = resolve(name, preset.experiment, {}).recorded
            config = {**recorded, "data": {**T1_CIFAR10, "fingerprint": "published"}}
            config["data"]["name"] = recorded["experiment"]["data"]
            config["model"] = {"name": recorded["experiment"]["model"]}
            settings = recorded_settings(config)
            own = [
                cell
                for cell in cells
                if is_same_cell(settings, cell.settings.settings(T1_CIFAR10["num_examples"]))
                and not deviations(settings, cell.settings.settings(T1_CIFAR10["num_examples"]))
            ]
            assert own, name
            filled |= set(own)
    assert {cell.table for cell in filled} == {"T1", "T2", "T4", "T7"}
    assert set(cells) == filled


def test_the_recorded_runs_fill_what_they_can():
    lines = lines_of(ROOT / "results" / "training")
    line = lines["T1", "comparison on mnist, mlp, R = 5", "coreset 10 %"]
    assert (round(line.ours.mean, 2), round(line.ours.std, 2), line.ours.runs) == (98.0, 0.09, 5)
    star = lines["T2", values.CIFAR10, "0.2 %, coreset strong *"]
    assert star.deviations == ("JPEG-compressed copy of the data", "R 20 instead of 1")
    folder = ROOT / "results" / "training" / "cifar10-resnet20-cpu-coreset-strong"
    results = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    accuracies = [100 * result["last"]["test_accuracy"] for result in results]
    assert len(accuracies) == star.ours.runs > 1
    assert star.difference == pytest.approx(np.mean(accuracies) - 45.1)
    assert lines["T2", values.CIFAR10, "0.2 %, coreset strong"].ours is None
