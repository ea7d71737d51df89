import json
import re

import jax
import numpy as np
import pytest

from analysis.__main__ import COMMANDS
from analysis.theory.figures import draw_figures
from analysis.theory.options import ON_NETWORKS, TheoryOptions, check_options
from analysis.theory.tables import number_text, statement_rows
from ntk_aug import data, theory, training
from ntk_aug.programs import run_program

FIGURES = {
    "theorem-b-1",
    "theorem-5-2",
    "lemma-4-1-network",
    "theorem-b-1-network",
    "lemma-b-3-network",
}


def analysis_of(*arguments):
    return run_program("analysis", "", COMMANDS, arguments=["theory", *map(str, arguments)])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Options of a small network on few images."""
    cache = tmp_path_factory.mktemp("cache")
    sizes = ["--n", 10, "--pool", 20, "--draws", 2, "--steps", 20, "--instances", 3]
    return [*sizes, "--epochs", 2, "--width", 8, "--cache", cache]


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("theory") / "out"
    assert analysis_of(*small, "--out", out) == 0
    return out


def summary_of(out):
    return json.loads((out / "theory.json").read_text())


def test_everything_is_written(finished):
    names = {path.name for path in finished.iterdir()}
    assert names == {"theory.json", "theory.npz", "theory.html", "figures"}
    drawn = {path.name for path in (finished / "figures").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in FIGURES for ending in ("png", "pdf")}


def test_each_statement_has_its_row_and_corrected_forms_hold_everywhere(finished):
    statements = summary_of(finished)["statements"]
    assert list(statements) == list(theory.STATEMENTS)
    for number, found in statements.items():
        statement = theory.STATEMENTS[number]
        assert found["status"] == statement.status
        made = {f.__name__ for f in (*statement.counterexamples, *statement.attained)}
        corrected = found["corrected_form"]
        assert corrected["held"] == corrected["instances"] == 3 + len(made), number
        if statement.counterexamples:
            assert found["printed_form"]["held"] < found["printed_form"]["instances"]
    rows = statement_rows(summary_of(finished))
    assert [row[0] for row in rows] == list(statements)
    assert rows[-1][4] == "4 of 4"  # F6: its counterexample is where it is attained, too


def test_a_tally_is_what_the_library_finds(finished):
    found = summary_of(finished)["statements"]["A.5"]
    drawn = theory.random_instances(jax.random.key(0), "A.5", 3)
    made = [
        make()
        for make in (*theory.STATEMENTS["A.5"].counterexamples, *theory.STATEMENTS["A.5"].attained)
    ]
    held = sum(sides.printed_holds for sides in (*drawn, *made))
    assert found["printed_form"]["held"] == held
    worst = max(sides.corrected_bound.ratio for sides in drawn)
    assert found["corrected_form"]["worst"] == pytest.approx(worst, rel=1e-12)


def test_the_page_shows_every_statement_and_its_counterexamples_in_full(finished):
    page = (finished / "theory.html").read_text()
    for number, statement in theory.STATEMENTS.items():
        assert statement.title in page, number
        assert f"theory.{statement.function.__name__}" in page
        for make in statement.counterexamples:
            assert f"def {make.__name__}(" in page
    assert page.count("<img ") == len(FIGURES)
    # Infinite ratios and unknown ones have words of their own
    assert "nan" not in re.sub(r'src="[^"]*"', "", page).lower()


def test_the_network_is_checked_by_every_statement_on_networks(finished):
    network = summary_of(finished)["network"]
    assert network["certified"]
    labels = {label for found in network["tightness"].values() for label in found}
    assert labels == {"F1", "F2", "F3", "5.1 (a)", "5.1 (b)", "A.5", "B.3"}
    for found in network["tightness"].values():
        for label, one in found.items():
            assert all(bound["holds"] for bound in one["corrected"].values()), label
    assert list(network["shifts"]) == list(network["dynamics"]) == ["noise:0.5", "rotation:30"]
    for found in network["dynamics"].values():
        assert found["linearized_from_formula"] < 1e-8
    with np.load(finished / "theory.npz") as arrays:
        assert arrays["shifts/0/relative"].shape == (2, 100)
        assert (np.abs(arrays["shifts/0/relative"]) <= 1 + 1e-6).all()
        assert arrays["coreset/random"].shape == (20, 20)
        assert arrays["coreset/everything"].shape == (200,)


def lines_of(axes):
    return {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.get_lines()}


def test_curves_are_the_two_sides_and_what_was_trained(finished):
    with np.load(finished / "theory.npz") as file:
        arrays = dict(file)
    figures = draw_figures(summary_of(finished), arrays)
    model = theory.STATEMENTS["B.1"].counterexamples[1]()
    curves = lines_of(figures["theorem-b-1"].axes[0])
    np.testing.assert_allclose(curves["measured (exact)"], model.lhs, rtol=1e-12)
    np.testing.assert_allclose(curves["printed, Eq. (45)"], model.printed, rtol=1e-12)
    np.testing.assert_allclose(curves["(a) exact factors"], model.corrected, rtol=1e-12)
    for letter, label in (("b", "(b) chord"), ("c", "(c) no law"), ("d", "(d) no gaps")):
        np.testing.assert_allclose(curves[label], model.further[letter].rhs, rtol=1e-12)
    for number, make in enumerate(theory.STATEMENTS["5.2"].counterexamples):
        sides = make()
        curves = lines_of(figures["theorem-5-2"].axes[number])
        np.testing.assert_allclose(curves["exact, printed step"], sides.printed_lhs, rtol=1e-12)
        np.testing.assert_allclose(curves["printed, Eq. (43)"], sides.printed, rtol=1e-12)
        np.testing.assert_allclose(curves["exact, half the step"], sides.lhs, rtol=1e-12)
        np.testing.assert_allclose(curves["corrected"], sides.corrected, rtol=1e-12)
    curves = lines_of(figures["theorem-b-1-network"].axes[1])  # of the rotation
    mean = arrays["dynamics/1/network"].mean(axis=0)
    np.testing.assert_array_equal(curves["network"], mean)
    np.testing.assert_array_equal(curves["printed, Eq. (45)"], arrays["dynamics/1/printed"])
    np.testing.assert_array_equal(curves["(d) no gaps"], arrays["dynamics/1/bound_d"])
    curves = lines_of(figures["lemma-b-3-network"].axes[0])
    np.testing.assert_array_equal(curves["coreset"], arrays["coreset/coreset"])


def test_figures_page_and_tables_are_drawn_again_from_the_files(finished, capsys):
    page = (finished / "theory.html").read_bytes()
    (finished / "theory.html").unlink()
    assert analysis_of("--from", finished) == 0
    assert (finished / "theory.html").read_bytes() == page
    assert "B.6" in capsys.readouterr().out


def test_single_statements_run_without_a_network(tmp_path, capsys):
    out = tmp_path / "out"
    assert analysis_of("--only", "4.2", "b.4", "--instances", 2, "--seed", 3, "--out", out) == 0
    summary = summary_of(out)
    assert list(summary["statements"]) == ["4.2-18", "4.2-19", "B.4"]
    assert summary["network"] is None
    assert "data" not in capsys.readouterr().out


def test_instances_depend_on_the_seed_alone(tmp_path):
    def found(name, *options):
        assert analysis_of("--only", "B.4", "--out", tmp_path / name, *options) == 0
        return summary_of(tmp_path / name)["statements"]["B.4"]["corrected_form"]

    first = found("a", "--instances", 4, "--seed", 1)
    assert found("b", "--instances", 4, "--seed", 1) == first
    assert found("c", "--instances", 4, "--seed", 2) != first


def test_the_network_of_a_run_is_taken(tmp_path, digits_run):
    out = tmp_path / "out"
    sizes = ["--n", 4, "--pool", 10, "--draws", 1, "--instances", 1]
    assert analysis_of("--checkpoint", digits_run, "--only", "F2", *sizes, "--out", out) == 0
    assert summary_of(out)["network"]["origin"]["folder"] == str(digits_run)
    assert not summary_of(out)["network"]["certified"]  # it is a ReLU network


@pytest.fixture
def digits_run(tmp_path):
    train = data.select_classes(data.load_dataset("digits", "train"), ["0", "1"])
    config = training.TrainingConfig(epochs=1, learning_rate=0.05)
    network = training.train_named_model(
        "mlp", train, config, options={"width": 4}, cache=tmp_path / "cache"
    )
    return network.run.path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "B.9"], "unknown statement 'B.9'"),
        (["--instances", "0"], "--instances is 0, expected at least 1"),
        (["--draws", "0"], "--draws is 0"),
        (["--n", "1"], "--n is 1, expected at least 2"),
        (["--pool", "9"], "--pool is 9, expected at least 10"),
        (["--steps", "0"], "--steps is 0"),
        (["--fraction", "1.5"], "--fraction is 1.5, expected above 0"),
        (["--augment", "noise:0.5", "noise:0.5"], "none twice"),
        (["--augment", "nonsense"], "unknown augmentation"),
        (["--n", "5000"], "--n (images) is 5000, expected 1 to 1438"),
        (["--width", "2"], "J has 600 rows and 160 columns"),
        (["--n", "1400", "--width", "100"], "take 1.6 GiB, expected at most 1: take fewer"),
        (["--checkpoint", "nowhere", "--momentum", "0.5"], "--momentum is for pretraining"),
        (["--from", "nowhere"], "nowhere is no folder"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_before_any_work(
    arguments, message, tmp_path, capsys, monkeypatch
):
    def fail(*arguments, **options):
        raise AssertionError("long work has started")

    monkeypatch.setattr(theory, "check_statement", fail)
    monkeypatch.setattr("analysis.theory.network.pretrain", fail)
    monkeypatch.setattr("ntk_aug.theory.networks.MEMORY_BYTES", 2**30)
    assert analysis_of(*arguments, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


def test_dry_run_says_what_it_would_take(tmp_path, capsys, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("long work has started")

    monkeypatch.setattr("analysis.theory.network.pretrain", fail)
    arguments = ["--only", "B.1", "--n", 20, "--draws", 3, "--steps", 10, "--width", 4]
    assert analysis_of(*arguments, "--dry-run", "--out", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "statements  B.1: 300 random instances" in out
    assert "20 images, 200 rows x 310 parameters" in out  # 64 * 4 + 4 + 4 * 10 + 10
    assert "120 steps of gradient descent" in out  # two networks, three draws, two augmentations
    assert not (tmp_path / "out").exists()


def test_earlier_results_are_replaced_only_when_asked(finished, small, capsys):
    assert analysis_of(*small, "--out", finished) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (finished / "theory.json").exists()


def test_a_pretrained_mlp_is_smooth_unless_asked_otherwise():
    assert check_options(TheoryOptions()).activation == "tanh"
    assert check_options(TheoryOptions(activation="relu")).activation == "relu"
    assert check_options(TheoryOptions(model="resnet20")).activation is None
    assert check_options(TheoryOptions(weights=("w.npz",))).activation is None
    assert set(ON_NETWORKS) < set(theory.STATEMENTS)


def test_numbers_in_tables():
    texts = [number_text(value) for value in (0.98765, 123456.0, "inf", None)]
    assert texts == ["0.988", "1.23e+05", "inf", "-"]
