"""What `augment` and `select` hand to the library, for options that are not the defaults."""

import dataclasses

import jax
import numpy as np
import pytest

from analysis.__main__ import COMMANDS
from analysis.augment import command as augment_command
from analysis.augment.command import AugmentOptions
from analysis.select import inputs as select_inputs
from analysis.select.options import SelectOptions
from ntk_aug import augment, coreset, data, training
from ntk_aug.data.splits import SPLITS
from ntk_aug.errors import InputError
from ntk_aug.programs import run_program


def analysis_of(command, *arguments):
    return run_program("analysis", "", COMMANDS, arguments=[command, *map(str, arguments)])


@pytest.fixture
def recorded(monkeypatch):
    """Makes a function of a module note what it is called with: recorded(module, name) -> calls."""

    def record(module, name):
        function, calls = getattr(module, name), []

        def noting(*arguments, **options):
            calls.append((arguments, options))
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, noting)
        return calls

    return record


def bits(key):
    return np.asarray(jax.random.key_data(key)).tolist()


def fold(seed, *numbers):
    key = jax.random.key(seed)
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return bits(key)


# --- augment -----------------------------------------------------------------------------------


def test_a_sheet_shows_what_the_library_draws(recorded, monkeypatch, tmp_path):
    policy = augment.Policy(augment.parse_table("Rotate 0.5 *\nInvert 0.5 3"), rounds=2)
    augmentation = augment.PolicyAugmentation(policy)
    built, loaded = [], recorded(data, "load_dataset")
    monkeypatch.setattr(
        augment, "build_augmentation", lambda spec: built.append(spec) or augmentation
    )
    drawn = recorded(data, "draw_examples")
    sheets = recorded(augment_command, "draw_sheet")
    out = tmp_path / "out"
    options = ("--augment", "identity", "--n", 2, "--draws", 3, "--seed", 4)
    assert analysis_of("augment", *options, "--data-dir", tmp_path, "--out", out) == 0
    assert set(built) == {"identity"}
    assert loaded == [(("digits", "train"), {"data_dir": str(tmp_path)})]
    (((key, whole, n), _),) = drawn
    assert (bits(key), n) == (fold(4, 2), 2)
    chosen = data.draw_examples(key, whole, 2)
    images = np.asarray(data.unit_range(chosen.images))
    (((shown, augmented, told, _), _),) = sheets
    np.testing.assert_array_equal(shown, images)
    draws = jax.jit(
        lambda draw: augment.augment_batch(
            augmentation, jax.random.key(4), images, chosen.indices, draw=draw
        )
    )
    for draw in range(3):
        np.testing.assert_array_equal(augmented[:, draw], draws(draw))
        for row, index in enumerate(chosen.indices):
            own = augment.example_key(jax.random.key(4), 0, int(index), draw)
            assert told[row][draw] == augmentation.describe(own, 8, 8)
    assert len({text for row in told for text in row}) > 2


def test_a_sheet_is_of_the_images_of_a_file(recorded, tmp_path):
    loaded = recorded(data, "load_images_file")
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(20) % 2)
    options = ("--augment", "identity", "--n", 1, "--draws", 1, "--out", tmp_path / "out")
    for more in ((), ("--overwrite",)):
        assert analysis_of("augment", "--images", tmp_path / "own.npz", *options, *more) == 0
    assert loaded == [((str(tmp_path / "own.npz"), "train"), {})] * 2


def test_the_defaults_of_a_sheet():
    assert dataclasses.asdict(AugmentOptions()) == {
        "data": None,
        "data_dir": None,
        "images": None,
        "augment": "autoaugment-cifar10",
        "n": 6,
        "draws": 8,
        "seed": 0,
        "out": "runs/augment",
        "overwrite": False,
        "list": False,
        "table": False,
    }


# --- select ------------------------------------------------------------------------------------

PRETRAINING = (
    *("--epochs", 1, "--batch-size", 64, "--learning-rate", 0.02, "--momentum", 0.5),
    *("--weight-decay", 0.001, "--weak", "noise:0.1", "--width", 8),
    *("--activation", "tanh", "--seed", 5, "--classes", 3, 1, 4),
)
SELECTION = (
    *("--count", 40, "--allocation", "equal", "--algorithm", "stochastic", "--epsilon", 0.3),
    *("--proxy", "network-projected", "--dimension", 7, "--loss", "squared"),
    *("--memory-gib", 0.5, "--random-subsets", 7, "--sizes", 0.2),
)
GROUPS = {"allocation": "equal", "algorithm": "stochastic", "epsilon": 0.3}


def test_a_selection_hands_its_options_to_the_library(recorded, tmp_path):
    loaded = recorded(data, "load_dataset")
    trained = recorded(training, "train_named_model")
    budgets = recorded(select_inputs, "selection_budgets")
    programs = recorded(select_inputs, "ExamplesProgram")
    selections = recorded(coreset, "select")
    errors = recorded(coreset, "random_gradient_errors")
    cache, out = tmp_path / "cache", tmp_path / "out"
    folders = ("--data-dir", tmp_path, "--cache", cache, "--out", out)
    assert analysis_of("select", *PRETRAINING, *SELECTION, "--per-class", "True", *folders) == 0

    assert loaded == [(("digits", split), {"data_dir": str(tmp_path)}) for split in SPLITS]
    (((model, train, config), options),) = trained
    assert (model, train.class_names) == ("mlp", ("3", "1", "4"))
    assert options["options"] == {"width": 8, "activation": "tanh"}
    assert options["cache"] == str(cache)
    assert options["test_set"].split == "test"
    assert config == training.TrainingConfig(
        epochs=1,
        batch_size=64,
        learning_rate=0.02,
        momentum=0.5,
        weight_decay=0.001,
        weak="noise:0.1",
        seed=5,
    )
    for (_, dataset), options in programs:
        assert dataset.fingerprint() == train.fingerprint()
        assert bits(options["projection_key"]) == fold(5, 5)
        named = ("proxy", "loss", "dimension", "memory_bytes")
        assert [options[name] for name in named] == ["network-projected", "squared", 7, 2**29]
    assert len(programs) == 2  # to refuse, and to compute

    asked = [{"count": 40}, {"fraction": 0.2}]
    for ((key, _, selector), options), budget in zip(selections, asked, strict=True):
        assert (bits(key), selector) == (fold(5, 3), "coreset")
        options.pop("progress")
        assert options == {**GROUPS, **budget, "per_class": True, "memory_bytes": 2**29}
    for (labels, num_classes, selector), options in budgets:
        np.testing.assert_array_equal(labels, train.labels)
        assert (num_classes, selector) == (3, "coreset")
        budget = {name: options.pop(name) for name in ("count", "fraction") if name in options}
        assert budget in asked
        assert options == {**GROUPS, "per_class": True}
    # Of each class by its number, and of all by theirs, at the budget and at the size.
    assert [bits(key) for (key, *_), _ in errors] == [
        fold(5, 4, number) for number in (0, 1, 2, 3, 3)
    ]
    assert {options["draws"] for _, options in errors} == {7}


def test_a_tolerance_over_all_classes_reaches_the_library(monkeypatch, tmp_path):
    class ReachedError(InputError):
        pass

    asked = []

    def selection_budgets(labels, num_classes, selector, **options):
        asked.append((selector, options))
        raise ReachedError("as far as this")

    monkeypatch.setattr(select_inputs, "selection_budgets", selection_budgets)
    out = ("--out", tmp_path / "out")
    assert analysis_of("select", "--tolerance", 3, "--per-class", "False", *out) == 2
    assert analysis_of("select", "--selector", "random", *out) == 2
    assert asked == [
        ("coreset", {"allocation": "proportional", "per_class": False, "tolerance": 3.0}),
        ("random", {"allocation": "proportional", "per_class": False, "fraction": 0.1}),
    ]


def test_a_checkpoint_is_loaded_at_its_epoch(monkeypatch, tmp_path):
    asked = []

    def load_trained_model(folder, *, epoch):
        asked.append((folder, epoch))
        raise InputError("as far as this")

    monkeypatch.setattr(training, "load_trained_model", load_trained_model)
    options = ("--checkpoint", "somewhere", "--epochs", 3, "--out", tmp_path / "out")
    assert analysis_of("select", *options) == 2
    assert asked == [("somewhere", 3)]


def test_the_defaults_of_a_selection():
    found = dataclasses.asdict(SelectOptions())
    expected = {
        "data": None,
        "model": "mlp",
        "epochs": None,
        "seed": 0,
        "classes": (),
        "selector": "coreset",
        "fraction": None,  # 0.1, where nothing else says how many
        "count": None,
        "tolerance": None,
        "allocation": "proportional",
        "per_class": None,
        "proxy": "last-layer-logit",
        "loss": "cross-entropy",
        "dimension": None,
        "algorithm": None,
        "epsilon": None,
        "memory_gib": 2.0,
        "sizes": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3),
        "random_subsets": 100,
        "out": "runs/select",
        "overwrite": False,
        "dry_run": False,
    }
    assert {name: found[name] for name in expected} == expected
