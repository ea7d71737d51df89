"""A user's own images, network and selected subset, without a preset."""

import numpy as np
import pytest

from ntk_aug import data, training

OWN_MODULE = """
import flax.linen as nn
from ntk_aug import coreset
import numpy as np

class Small(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))

def network(num_classes):
    return Small(num_classes)

def first(key, examples, count):
    return coreset.Subset(np.arange(count))

def darker(key, image):
    return image / 2
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """An npz file of 60 images in a folder with a module; both are named from there."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 6, 5, 3), dtype=np.uint8)
    labels = np.array(["cat", "dog", "eel"])[np.arange(60) % 3]
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    (tmp_path / "own_training_parts.py").write_text(OWN_MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return ("--images", "own.npz", "--model", "own_training_parts:network", "--batch-size", 8)


def test_own_images_network_selector_and_augmentation(experiments, own, capsys):
    method = ("--selector", "own_training_parts:first", "--count", 6)
    augment = ("--augment", "own_training_parts:darker", "--epochs", 1)
    assert experiments("run", *own, *method, *augment, "--out", "out") == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert "own.npz: 48 training and 12 test images (every fifth of the file)" in line
    assert "classes 0 = cat, 1 = dog, 2 = eel" in line
    run = training.RunFolder.read("out")
    assert run.config["data"]["class_names"] == ["cat", "dog", "eel"]
    assert run.config["model"]["name"] == "own_training_parts:network"
    assert run.history()[0].examples == 48 + 6
    # The first two of each class, by their places in the file, of which every fifth is test.
    places = data.load_images_file("own.npz", "train").indices
    labels = places % 3
    expected = [places[labels == k][:2] for k in range(3)]
    assert sorted(run.selection(0)["indices"]) == sorted(np.concatenate(expected))


def test_own_data_without_out_have_a_folder_by_their_names(experiments, own):
    assert experiments("run", *own, "--epochs", 0) == 0
    name = "runs/own.npz-own_training_parts-network/0"
    assert training.RunFolder.read(name).config["preset"] is None


def test_a_dry_run_of_own_parts(experiments, own, capsys):
    np.savez("subset.npz", indices=data.load_images_file("own.npz", "train").indices[:5])
    assert experiments("run", *own, "--selection", "subset.npz", "--epochs", 3, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert f"parameters          {6 * 5 * 3 * 3 + 3}\n" in shown
    assert "selected            5 of 48 at a time\n" in shown
    assert "images              15 in 3 steps; 36 pass forward only\n" in shown


def test_a_saved_subset_is_trained_on_alone(experiments, own):
    places = data.load_images_file("own.npz", "train").indices[[30, 2, 7, 11]]
    np.savez("subset.npz", indices=places, weights=[3.0, 1.0, 2.0, 6.0], gains=np.ones(4))
    assert experiments("run", *own, "--selection", "subset.npz", "--epochs", 2, "--out", "o") == 0
    run = training.RunFolder.read("o")
    assert (run.config["method"]["selector"], run.config["method"]["train_on"]) == (
        "given",
        "subset",
    )
    assert run.history()[-1].examples == 2 * 4
    assert run.history()[-1].distinct_used == 4
    recorded = run.selection(0)
    np.testing.assert_array_equal(recorded["indices"], places)
    np.testing.assert_array_equal(recorded["weights"], [3, 1, 2, 6])


def test_a_saved_subset_can_be_augmented_beside_the_full_data(experiments, own):
    np.savez("subset.npz", indices=data.load_images_file("own.npz", "train").indices[:5])
    method = ("--train-on", "full", "--augment", "flip-crop", "--epochs", 1)
    assert experiments("run", *own, "--selection", "subset.npz", *method, "--out", "o") == 0
    assert training.RunFolder.read("o").history()[0].examples == 48 + 5


def test_a_preset_takes_a_saved_subset(experiments, tmp_path):
    digits = data.load_dataset("digits", "train")
    chosen = np.flatnonzero(digits.labels == 4)[:20]
    arrays = {"indices": digits.indices[chosen], "labels": digits.labels[chosen]}
    np.savez(tmp_path / "s.npz", **arrays)
    arguments = ("--selection", tmp_path / "s.npz", "--epochs", 1, "--out", tmp_path / "out")
    plain = ("--augment", "none", "--weak", "identity")
    assert experiments("run", "digits-coreset-10", *arguments, *plain) == 0
    run = training.RunFolder.read(tmp_path / "out")
    assert run.config["preset"] == "digits-coreset-10"
    assert run.history()[0].distinct_used == 20


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"places": [1]}, "s.npz has no array 'indices'; it has places"),
        ({"indices": [0.5]}, "indices of s.npz are float64 (1,), expected integers [k]"),
        ({"indices": [0, 4, 9]}, "selects place 4 (2 such of 3), which is not among the 48"),
        ({"indices": [0, 1000]}, "selects place 1000 (1 such of 2)"),
        ({"indices": [0, -1]}, "selects place -1 (1 such of 2)"),
        ({"indices": [0, 1], "labels": [0, 2]}, "s.npz has other labels than own.npz"),
        ({"indices": [0, 1], "weights": [1.0]}, "the given subset has weights of shape (1,)"),
        ({"indices": [0, 0]}, "at least one, each at most once"),
    ],
)
def test_a_subset_of_something_else_is_refused(experiments, own, arrays, message, capsys):
    np.savez("s.npz", **{name: np.array(values) for name, values in arrays.items()})
    assert experiments("run", *own, "--selection", "s.npz", "--out", "o") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_what_the_select_command_writes_is_trained_on(experiments, tmp_path):
    from analysis.__main__ import COMMANDS
    from ntk_aug.programs import run_program

    out, cache = tmp_path / "selected", tmp_path / "cache"
    select = ("select", "--epochs", "1", "--count", "40", "--random-subsets", "2")
    arguments = [*select, "--cache", str(cache), "--out", str(out)]
    assert run_program("analysis", "", COMMANDS, arguments=arguments) == 0
    given = ("--selection", out / "selection.npz", "--epochs", 1, "--out", tmp_path / "run")
    assert experiments("run", "digits-mlp", *given) == 0
    assert training.RunFolder.read(tmp_path / "run").history()[0].distinct_used == 40
