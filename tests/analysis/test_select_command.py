import csv
import json

import numpy as np
import pytest
from scipy.special import log_softmax

from analysis.__main__ import COMMANDS
from analysis.select.figures import sheet_examples
from ntk_aug import coreset, data, training
from ntk_aug.programs import run_program

FILES = {"selection.npz", "summary.json", "classes.csv", "sheet.npz", "sheet.png", "sheet.pdf"}
OWN_MODULE = """
import numpy as np
from ntk_aug import coreset

def last(key, examples, count):
    return coreset.Subset(np.arange(len(examples))[::-1][:count])

def interrupted(key, examples, count):
    if examples.labels[0] == 3:
        raise KeyboardInterrupt
    return last(key, examples, count)
"""


def analysis(*arguments):
    return run_program("analysis", "", COMMANDS, arguments=["select", *map(str, arguments)])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return ["--epochs", 2, "--width", 16, "--random-subsets", 50, "--cache", cache]


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("select") / "out"
    assert analysis(*small, "--out", out) == 0
    return out


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_selectors_of_a_user.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_selectors_of_a_user"


def selection_of(out):
    with np.load(out / "selection.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def summary_of(out):
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def digits():
    return data.load_dataset("digits", "train")


@pytest.fixture(scope="module")
def log_probabilities(finished, digits):
    """Of the network of the run, in float64 after the logits."""
    view = training.load_trained_model(summary_of(finished)["network"]["folder"]).view
    inputs = data.normalize(data.unit_range(digits.images), digits.mean, digits.std)
    return log_softmax(np.asarray(view.apply_fn(view.params, inputs), np.float64), axis=1)


@pytest.fixture(scope="module")
def gradients(log_probabilities, digits):
    return np.exp(log_probabilities) - np.eye(10)[digits.labels]


def test_a_tenth_of_the_images_is_selected_and_stands_for_all(finished, digits):
    assert {path.name for path in finished.iterdir()} == FILES | {"errors.png", "errors.pdf"}
    selection = selection_of(finished)
    assert set(selection) == {"indices", "weights", "gains", "labels"}
    assert selection["indices"].dtype == np.int64
    assert len(np.unique(selection["indices"])) == len(selection["indices"]) == 144
    np.testing.assert_array_equal(selection["labels"], digits.labels[selection["indices"]])
    sums = np.bincount(selection["labels"], selection["weights"])
    np.testing.assert_array_equal(sums, np.bincount(digits.labels))
    for number in range(10):  # greedy: none adds more than the one before
        assert (np.diff(selection["gains"][selection["labels"] == number]) <= 1e-9).all()


def test_gradient_errors_are_those_of_the_networks_gradients(finished, digits, gradients):
    summary, selection = summary_of(finished), selection_of(finished)
    left = gradients.copy()
    left[selection["indices"]] *= 1 - selection["weights"][:, None]
    expected = np.linalg.norm(left.sum(axis=0))
    assert summary["all"]["gradient_error"] == pytest.approx(expected, rel=1e-3)
    norm = np.linalg.norm(gradients.sum(axis=0))
    assert summary["gradient_norm"] == pytest.approx(norm, rel=1e-3)
    for number, row in enumerate(summary["classes"]):
        own = digits.labels == number
        expected = np.linalg.norm(left[own].sum(axis=0))
        assert row["gradient_error"] == pytest.approx(expected, rel=1e-3)
        chosen = selection["indices"][selection["labels"] == number]
        distances = np.linalg.norm(gradients[own][:, None] - gradients[chosen], axis=2)
        assert row["estimate"] == pytest.approx(distances.min(axis=1).sum(), rel=1e-3)
        assert row["gradient_error"] <= row["estimate"]
        assert row["size"] == own.sum()
        assert row["selected"] == row["budget"] == len(chosen)
    assert summary["all"]["estimate"] == pytest.approx(
        sum(row["estimate"] for row in summary["classes"])
    )


def test_random_subsets_err_as_sampling_without_replacement_does(finished, digits, gradients):
    summary = summary_of(finished)
    for point in [{"fraction": 0.1, **summary["all"]}, *summary["by_size"]]:
        sizes = np.bincount(digits.labels)
        budgets = coreset.class_budgets(sizes, fraction=point["fraction"])
        variances = [gradients[digits.labels == c].var(axis=0, ddof=1).sum() for c in range(10)]
        expected = (sizes**2 * (1 / budgets - 1 / sizes) * variances).sum()
        found = point["random_mean"] ** 2 + point["random_std"] ** 2
        # The standard error of a mean square of 50 draws is about a tenth of it.
        assert found == pytest.approx(expected, rel=0.3)
        assert point["random_least"] <= point["random_mean"]
        assert point["gradient_error"] < point["random_mean"]
    assert [point["fraction"] for point in summary["by_size"]] == [0.01, 0.02, 0.05, 0.1, 0.2, 0.3]
    assert summary["by_size"][3]["gradient_error"] == summary["all"]["gradient_error"]


def test_the_sheet_shows_the_extreme_weights_and_losses(finished, digits, log_probabilities):
    with np.load(finished / "sheet.npz", allow_pickle=False) as arrays:
        sheet = dict(arrays)
    np.testing.assert_array_equal(sheet["images"], digits.images[sheet["indices"]])
    np.testing.assert_array_equal(sheet["labels"], digits.labels[sheet["indices"]])
    weights = dict(zip(*(selection_of(finished)[k] for k in ("indices", "weights")), strict=True))
    losses = -log_probabilities[np.arange(len(digits)), digits.labels]
    largest, smallest, worst = (sheet["rows"] == row for row in range(3))
    by_weight = sorted(weights.values())
    np.testing.assert_array_equal(sheet["values"][largest], by_weight[:-11:-1])
    np.testing.assert_array_equal(sheet["values"][smallest], by_weight[:10])
    np.testing.assert_allclose(sheet["values"][worst], np.sort(losses)[:-11:-1], rtol=1e-4)
    np.testing.assert_allclose(losses[sheet["indices"][worst]], sheet["values"][worst], rtol=1e-4)
    for shown in (largest, smallest):
        assert [weights[i] for i in sheet["indices"][shown]] == sheet["values"][shown].tolist()
    assert sheet["selected"].tolist() == [index in weights for index in sheet["indices"]]


def test_images_of_equal_weight_take_turns_by_class(digits):
    of_two = digits.take(np.flatnonzero(digits.labels < 2))
    indices = np.concatenate([np.flatnonzero(of_two.labels == number)[:15] for number in (0, 1)])
    ones = np.ones(30)
    selection = coreset.Subset(indices, ones, ones, of_two.labels[indices])
    sheet = sheet_examples(of_two, selection, np.zeros(len(of_two)))
    for row in (0, 1):
        assert sheet["labels"][sheet["rows"] == row].tolist() == [0, 1] * 5


def test_the_table_of_classes_is_also_a_csv_file(finished):
    with (finished / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, expected in zip(rows, summary_of(finished)["classes"], strict=True):
        assert row["class"] == expected["class"]
        assert float(row["gradient_error"]) == expected["gradient_error"]
        assert float(row["random_std"]) == expected["random_std"]
        assert int(row["zero_weights"]) == expected["zero_weights"]


def test_from_redraws_the_same_without_computing(finished, capsys, monkeypatch):
    drawn = ("classes.csv", "sheet.png", "sheet.pdf", "errors.png", "errors.pdf")
    before = {name: (finished / name).read_bytes() for name in drawn}
    for name in drawn:
        (finished / name).unlink()
    monkeypatch.setattr(coreset, "select", None)
    assert analysis("--from", finished) == 0
    assert {name: (finished / name).read_bytes() for name in drawn} == before
    everything = summary_of(finished)["all"]
    told = capsys.readouterr().out
    assert f"gradient error {everything['gradient_error']:.4g}, norm of the sum" in told
    assert f"{everything['random_mean']:.4g} +- {everything['random_std']:.3g}, least" in told


def test_a_checkpoint_gives_the_same_selection(small, finished, tmp_path):
    checkpoint = summary_of(finished)["network"]["folder"]
    assert analysis("--checkpoint", checkpoint, "--sizes", 0.1, "--out", tmp_path / "out") == 0
    for name, array in selection_of(finished).items():
        np.testing.assert_array_equal(selection_of(tmp_path / "out")[name], array)


@pytest.mark.parametrize(("selector", "count"), [("none", 0), ("all", 1438)])
def test_none_and_all_need_no_budget(small, selector, count, tmp_path):
    out = tmp_path / "out"
    assert analysis(*small, "--selector", selector, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == FILES
    everything = summary_of(out)["all"]
    assert everything["selected"] == count
    assert everything["estimate"] is None
    expected = 0 if count else summary_of(out)["gradient_norm"]
    assert everything["gradient_error"] == pytest.approx(expected, abs=1e-9)
    assert everything["random_mean"] == pytest.approx(expected, abs=1e-9)


def test_a_tolerance_alone_stops_each_class(small, tmp_path):
    out = tmp_path / "out"
    assert analysis(*small, "--tolerance", 50, "--sizes", 0.05, "--out", out) == 0
    summary = summary_of(out)
    assert summary["all"]["estimate"] <= 50
    assert 10 < summary["all"]["selected"] < 1438
    assert [row["budget"] for row in summary["classes"]] == [
        row["size"] for row in summary["classes"]
    ]
    assert summary["by_size"][0]["selected"] == 72  # the size, whatever its error is


def test_indices_are_places_in_the_split_where_classes_are_chosen(small, digits, tmp_path):
    out = tmp_path / "out"
    chosen = ("--classes", 7, 2, "--selector", "max-loss", "--count", 20, "--sizes", 0.02)
    assert (
        analysis(*small, *chosen, "--allocation", "equal", "--per-class", "True", "--out", out) == 0
    )
    selection = selection_of(out)
    assert selection["labels"].tolist() == [0] * 10 + [1] * 10
    np.testing.assert_array_equal(
        digits.labels[selection["indices"]], np.array([7, 2])[selection["labels"]]
    )
    assert [row["class"] for row in summary_of(out)["classes"]] == ["7", "2"]


def test_over_all_classes_random_subsets_are_drawn_alike(small, gradients, tmp_path):
    out = tmp_path / "out"
    assert (
        analysis(*small, "--per-class", "False", "--count", 30, "--sizes", 0.002, "--out", out) == 0
    )
    summary = summary_of(out)
    assert [row["budget"] for row in summary["classes"]] == [None] * 10
    assert summary["by_size"][0]["selected"] == 3  # of three classes at most
    assert summary["all"]["gradient_error"] <= summary["all"]["estimate"]
    n, k = 1438, 30
    expected = n**2 * (1 / k - 1 / n) * gradients.var(axis=0, ddof=1).sum()
    found = summary["all"]["random_mean"] ** 2 + summary["all"]["random_std"] ** 2
    assert found == pytest.approx(expected, rel=0.3)
    assert sum(row["selected"] for row in summary["classes"]) == 30


def test_gradients_that_are_all_zero_are_stood_for_by_any(small, tmp_path):
    out = tmp_path / "out"  # of one class: softmax(f) is 1
    assert analysis(*small, "--classes", 3, "--sizes", 0.1, 0.3, "--out", out) == 0
    summary = summary_of(out)
    assert summary["gradient_norm"] == summary["all"]["gradient_error"] == 0
    assert {path.name for path in out.iterdir()} == FILES | {"errors.png", "errors.pdf"}


def test_a_selector_of_the_users_own(small, own_module, digits, tmp_path):
    selector = ("--selector", f"{own_module}:last", "--sizes", 0.005, 0.1)
    assert analysis(*small, *selector, "--out", tmp_path / "out") == 0
    selection = selection_of(tmp_path / "out")
    for number in range(10):
        own = np.flatnonzero(digits.labels == number)
        chosen = selection["indices"][selection["labels"] == number]
        np.testing.assert_array_equal(chosen, own[::-1][: len(chosen)])
    # Half a per cent are 7 images: some class would give none, and the size is left out.
    assert [p["fraction"] for p in summary_of(tmp_path / "out")["by_size"]] == [0.1]


def test_a_selector_of_other_arguments_is_told(own_module, tmp_path, capsys):
    selector = ("--selector", f"{own_module}:last", "--fraction", 0.1, "--tolerance", 1)
    assert analysis(*selector, "--out", tmp_path / "out") == 2
    assert "unexpected keyword argument 'tolerance'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_selection_writes_nothing(small, own_module, tmp_path, capsys):
    before = set(tmp_path.iterdir())
    selector = ("--selector", f"{own_module}:interrupted")
    assert analysis(*small, *selector, "--out", tmp_path / "out") == 130
    assert {path for path in tmp_path.iterdir() if path.name != "__pycache__"} == before
    assert capsys.readouterr().err.endswith("interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "budget      144 (15, 16, 14, 13, 15, 15, 15, 14, 13, 14)"),
        (["--per-class", "False", "--fraction", "0.2"], "budget      288 (288)"),
        (["--memory-gib", "1e-4"], "of the largest group, 9.7e-05 GiB, are computed again"),
        (["--proxy", "last-layer-weight"], "memory      0.00029 GiB of gradients"),
        ([], "distances of the largest group, 9.7e-05 GiB, are kept\n"),
        (["--algorithm", "lazy"], "memory      0.00011 GiB of gradients\n"),
        (["--selector", "grad-norm"], "groups      1 of 1,438 to 1,438 images"),
        (["--selector", "k-center"], "memory      0.00011 GiB of gradients\n"),
    ],
)
def test_dry_run_tells_budgets_and_memory_and_writes_nothing(
    small, arguments, expected, tmp_path, capsys
):
    assert analysis(*small, *arguments, "--dry-run", "--out", tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert expected in told
    for line in ("pretraining ", "gradients   "):
        assert f"\n{line}" in told
    assert ("\nselection   " in told) == ("grad-norm" not in arguments)
    assert not (tmp_path / "out").exists()


def test_the_list_names_every_part(capsys):
    assert analysis("--list") == 0
    told = capsys.readouterr().out
    names = [line.split()[0] for line in told.splitlines() if line.startswith("  ")]
    assert names == [*coreset.SELECTORS, *coreset.PROXIES, *coreset.ALGORITHMS]
    assert "Liu and Mirzasoleiman 2022" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--selector", "coresets"], "did you mean 'coreset'"),
        (["--selector", "no_module_of_mine:f"], "cannot import 'no_module_of_mine'"),
        (["--proxy", "logit"], "unknown proxy 'logit'"),
        (["--loss", "hinge"], "unknown loss 'hinge'"),
        (["--allocation", "even"], "unknown allocation of a budget 'even'"),
        (["--algorithm", "lasy"], "did you mean 'lazy'"),
        (["--fraction", "0"], "--fraction is 0.0, expected above 0 and at most 1"),
        (["--fraction", "1.5"], "--fraction is 1.5, expected above 0 and at most 1"),
        (["--fraction", "nan"], "--fraction is nan"),
        (["--sizes", "0.1", "2"], "--sizes is 2.0, expected above 0 and at most 1"),
        (["--fraction", "0.1", "--count", "9"], "--fraction and --count exclude each other"),
        (["--count", "1439"], "is 1439, expected 1 to 1438"),
        (["--count", "0"], "is 0, expected 1 to 1438"),
        (["--count", "5"], "a budget of 5 leaves class"),
        (["--tolerance", "-1"], "--tolerance is -1.0, expected at least 0"),
        (["--tolerance", "1", "--algorithm", "stochastic"], "'stochastic' needs a count"),
        (["--selector", "herding", "--tolerance", "1"], "'herding' takes no option --tolerance"),
        (["--selector", "random", "--algorithm", "lazy"], "takes no option --algorithm"),
        (["--epsilon", "2", "--algorithm", "stochastic"], "epsilon is 2.0"),
        (["--epsilon", "0.5"], "epsilon is for algorithm 'stochastic', not 'incremental'"),
        (["--proxy", "network-projected"], "network-projected needs --dimension"),
        (["--proxy", "network-projected", "--dimension", "0"], "--dimension is 0, expected at"),
        (["--dimension", "5"], "--dimension is for proxy network-projected"),
        (["--proxy", "network", "--memory-gib", "0.001"], "take proxy 'network-projected'"),
        (["--memory-gib", "0"], "--memory-gib is 0.0, expected a number above 0"),
        (["--random-subsets", "1"], "--random-subsets is 1, expected at least 2"),
        (["--data", "digts"], "did you mean 'digits'"),
        (["--data", "mnist", "--data-dir", "nowhere"], "nowhere"),
        (["--classes", "0", "77"], "has no class '77'"),
        (["--model", "mpl"], "did you mean 'mlp'"),
        (["--checkpoint", "."], "holds no training run"),
        (["--checkpoint", ".", "--momentum", "0.5"], "--momentum is for pretraining"),
        (["--epoch", "3"], "did you mean --epochs?"),
        (["--from", "nowhere"], "nowhere is no folder"),
        (["--slector", "coreset"], "did you mean --selector?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert analysis("--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_selection_is_not_replaced_unless_asked(small, finished, tmp_path, capsys):
    before = (finished / "selection.npz").read_bytes()
    assert analysis(*small, "--selector", "random", "--out", finished) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert (finished / "selection.npz").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("")
    assert analysis(*small, "--out", tmp_path / "mine", "--overwrite") == 2
    assert "holds files but no summary.json" in capsys.readouterr().err
