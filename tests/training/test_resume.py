"""Runs that were stopped, folders that were harmed, disks that are full."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from ntk_aug import models, records, training
from ntk_aug.errors import InputError
from ntk_aug.training import checkpoint, run_folder
from ntk_aug.training.checkpoint import restore_checkpoint
from ntk_aug.training.initial import initial_state

CONFIG = training.TrainingConfig(epochs=4, batch_size=5, learning_rate=0.05, weak="noise:0.1")
METHOD = training.MethodConfig(
    selector="coreset", count=4, augment="noise:0.5", reselect_every=3, strong_every=2
)


@pytest.fixture(scope="module")
def network():
    return models.build_network("mlp", 3, width=8, activation="tanh")


def train(network, digits, folder, config=CONFIG, **options):
    options = {"method": METHOD, "seconds_between_checkpoints": 0, **options}
    return training.train(network, digits, config, folder=folder, **options)


@pytest.fixture(scope="module")
def whole(network, digits, tmp_path_factory):
    """A run that was never stopped, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return train(network, digits, folder, keep_epochs=(1,)), folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of its folder."""
    shutil.copytree(whole[1], tmp_path / "run")
    return tmp_path / "run"


def check_same(network, digits, whole, folder):
    """Goes on in the folder; the end is that of the whole run."""
    resumed = train(network, digits, folder)
    for one, other in zip(
        jax.tree.leaves(resumed.params), jax.tree.leaves(whole[0].params), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    recorded = training.RunFolder.read(folder)
    for history in (resumed.history, recorded.history()):
        assert [r.without_seconds() for r in history] == [
            r.without_seconds() for r in whole[0].history
        ]
    assert recorded.selection_epochs() == [0, 3]
    assert recorded.result() is not None


def test_checkpoints_are_rotated_but_for_those_that_were_asked_for(whole):
    assert training.RunFolder.read(whole[1]).epochs() == [1, 3, 4]
    assert sorted(p.name for p in (whole[1] / "selections").iterdir()) == ["00000.npz", "00003.npz"]


def test_a_record_that_is_ahead_of_the_checkpoint_is_cut_back(whole, folder, network, digits):
    for epoch in (3, 4):
        shutil.rmtree(folder / "checkpoints" / str(epoch))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5, "train_lo')  # killed while it wrote
    (folder / "checkpoints" / ".partial-3-77").mkdir()
    assert len(training.RunFolder.read(folder).history()) == 4
    check_same(network, digits, whole, folder)
    assert not (folder / "checkpoints" / ".partial-3-77").exists()
    assert training.RunFolder.read(folder).environment["resumed"][0]["epoch"] == 1


@pytest.mark.parametrize("harm", ["changed", "cut", "missing"])
def test_a_broken_last_checkpoint_falls_back_to_the_one_before(
    whole, folder, network, digits, harm
):
    data = sorted((folder / "checkpoints" / "4" / "state").rglob("d/*"))[0]
    if harm == "changed":
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
    elif harm == "cut":
        data.write_bytes(data.read_bytes()[:-1])
    else:
        data.unlink()
    told = "is missing" if harm == "missing" else "has changed"
    with pytest.warns(UserWarning, match=f"differs from its manifest: .* {told}; trying the one"):
        check_same(network, digits, whole, folder)


def test_a_checkpoint_whose_name_was_never_finished_does_not_count(folder, network, digits, whole):
    (folder / "checkpoints" / "4" / "manifest.json").unlink()
    assert training.RunFolder.read(folder).epochs() == [1, 3]
    check_same(network, digits, whole, folder)


def test_a_finished_run_is_found_again_and_nothing_is_trained(whole, folder, network, digits):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json*")}
    again = train(network, digits, folder, on_epoch=lambda record: pytest.fail("it trains"))
    assert [r.epoch for r in again.history] == [1, 2, 3, 4]
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.json*")}


def test_another_run_in_the_same_folder_is_refused_by_what_differs(folder, network, digits):
    config = dataclasses.replace(CONFIG, momentum=0.5)
    method = dataclasses.replace(METHOD, draws=2)
    with pytest.raises(InputError, match=r"differs in method\.draws, training\.momentum\); choose"):
        train(network, digits, folder, config, method=method)
    with pytest.raises(InputError, match=r"differs in data\.fingerprint"):
        train(network, dataclasses.replace(digits, images=digits.images / 2), folder)


def test_on_another_processor_it_says_that_bits_may_differ(
    whole, folder, network, digits, monkeypatch
):
    shutil.rmtree(folder / "checkpoints" / "4")
    elsewhere = {**records.environment(), "processor": "another one"}
    monkeypatch.setattr(run_folder, "environment", lambda: elsewhere)
    with pytest.warns(UserWarning, match=r"processor: .* then, another one now\): bits may differ"):
        check_same(network, digits, whole, folder)


@pytest.mark.parametrize("fails", ["write_npz", "write_json"])
def test_a_full_disk_leaves_the_last_checkpoint(
    whole, network, digits, tmp_path, monkeypatch, fails
):
    calls = []

    def full(*args):
        calls.append(args)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return getattr(records, fails)(*args)

    monkeypatch.setattr(checkpoint, fails, full)
    message = (
        "checkpoint of epoch 3 cannot be written .* No space left .* the last one is of epoch 2"
    )
    with pytest.raises(InputError, match=message):
        train(network, digits, tmp_path / "run")
    monkeypatch.undo()
    run = training.RunFolder.read(tmp_path / "run")
    assert (run.epochs(), run.result()) == ([1, 2], None)
    assert not list(run.checkpoints.glob(".partial*"))
    check_same(network, digits, whole, tmp_path / "run")


def test_orbax_that_cannot_write_is_one_line(network, digits, tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.ocp.StandardCheckpointHandler, "save", broken)
    with pytest.raises(InputError, match=r"epoch 1 cannot be written .* there is no earlier one"):
        train(network, digits, tmp_path / "run")
    assert training.RunFolder.read(tmp_path / "run").epochs() == []


def test_a_folder_that_is_being_written_is_refused(folder, network, digits):
    with (
        training.RunFolder.read(folder).locked(),
        pytest.raises(InputError, match="is being written by another process"),
    ):
        train(network, digits, folder)


def test_a_checkpoint_of_another_network_is_told(folder, digits):
    other = models.build_network("mlp", 3, width=9, activation="tanh")
    like = initial_state(other, digits.image_shape, CONFIG)._asdict()
    with pytest.raises(
        InputError,
        match=r"checkpoint of epoch 4 .* is not of this network: \[.* is float32 \[8\], exp",
    ):
        restore_checkpoint(folder / "checkpoints", 4, like)
    with pytest.raises(InputError, match=r"no whole checkpoint of epoch 2; it has those of \[1, 3"):
        restore_checkpoint(folder / "checkpoints", 2, like)


def test_a_start_that_was_killed_before_its_first_record_is_started_again(
    network, digits, tmp_path
):
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.json.x.partial").touch()
    (tmp_path / "environment.json").write_text("{}")
    config = dataclasses.replace(CONFIG, epochs=1)
    assert len(train(network, digits, tmp_path, config).history) == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(InputError, match="holds no training run"):
        train(network, digits, tmp_path / "other", config)
