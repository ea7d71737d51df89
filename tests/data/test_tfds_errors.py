import importlib.util
import json
import logging
import os
import shlex

import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_data import as_examples, draw, prepare

from ntk_aug import data
from ntk_aug.errors import InputError


@pytest.mark.parametrize("name", ["cifar10", "eurosat/rgb"])
def test_what_is_not_prepared_is_named_with_the_command_that_prepares_it(name, tmp_path):
    with pytest.raises(InputError) as caught:
        data.load_dataset(name, "train", data_dir=tmp_path / "none")
    message = str(caught.value)
    assert message.startswith(f"data set {name!r} is not prepared in {tmp_path / 'none'};")
    assert "\n" not in message
    command = shlex.split(message[message.index("python -c") :])
    # The command is Python, and what it calls exists.
    assert compile(command[2], "the command", "exec").co_names[-1] == "download_and_prepare"
    assert f'"{name}", data_dir="{tmp_path / "none"}", file_format="array_record"' in command[2]
    assert not (tmp_path / "none").exists(), "nothing is downloaded, no folder made"


def cut(folder, name, size):
    os.truncate(folder / name, size)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "blobs-train.array_record-00001-of-00002").unlink(),
        lambda folder: cut(folder, "blobs-train.array_record-00001-of-00002", 0),
        lambda folder: cut(folder, "blobs-train.array_record-00001-of-00002", 2**16),
        lambda folder: (folder / "dataset_info.json").unlink(),
        lambda folder: cut(folder, "dataset_info.json", 100),
        lambda folder: (folder / "features.json").unlink(),
        lambda folder: cut(folder, "features.json", 100),
    ],
    ids=["no shard", "empty shard", "cut shard", "no info", "cut info", "no features", "cut"],
)
def test_a_broken_folder_is_named_with_the_command_that_prepares_it(blobs, damage):
    root, folder, _ = blobs
    damage(folder)
    with pytest.raises(InputError) as caught:
        data.load_dataset("blobs", "train", data_dir=root)
    message = str(caught.value)
    assert message.startswith(f"{folder} is broken or half prepared (")
    assert "remove it and prepare it anew: python -c" in message
    assert "\n" not in message


def rewrite(path, change):
    text = json.loads(path.read_text())
    change(text)
    path.write_text(json.dumps(text))


@pytest.mark.parametrize("file_format", ["array_record", "parquet"])
def test_fewer_records_than_are_announced_are_refused(tmp_path, file_format):
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    splits = {"test": as_examples(*draw())}
    folder = prepare(tmp_path, "blobs", splits, file_format=file_format)

    def announce(info):
        info["splits"][0]["shardLengths"] = ["10", "11"]

    rewrite(folder / "dataset_info.json", announce)
    with pytest.raises(InputError, match=r"1\.0\.0 is broken or half prepared"):
        data.load_dataset("blobs", "test", data_dir=tmp_path)


def test_a_label_outside_the_classes_is_refused(blobs):
    root, folder, arrays = blobs

    def two_classes(features):
        features["featuresDict"]["features"]["label"]["classLabel"]["numClasses"] = "2"

    rewrite(folder / "features.json", two_classes)
    (folder / "label.labels.txt").write_text("red\nblue\n")
    first = int(np.argmax(arrays["train"][1] == 2))
    with pytest.raises(InputError, match=rf"1\.0\.0: label 2 of image {first} is outside 0 \.\. 1"):
        data.load_dataset("blobs", "train", data_dir=root)


def test_images_of_different_sizes_are_refused(tmp_path):
    any_size = tfds.features.Image(shape=(None, None, 3))
    label = tfds.features.ClassLabel(num_classes=3)
    features = tfds.features.FeaturesDict({"image": any_size, "label": label})
    examples = as_examples(*draw()) + as_examples(*draw(shape=(5, 6, 3)))
    prepare(tmp_path, "photos", {"test": examples[:20]}, features=features)
    assert data.load_dataset("photos", "test", data_dir=tmp_path).image_shape == (5, 4, 3)
    prepare(tmp_path, "mixed", {"test": examples}, features=features)
    with pytest.raises(
        InputError, match=r"image 20 of .* is uint8 \(5, 6, 3\), the first \(5, 4, 3\)"
    ):
        data.load_dataset("mixed", "test", data_dir=tmp_path)


def test_tfrecord_without_tensorflow_says_what_is_missing(blobs, monkeypatch):
    root, folder, _ = blobs
    rewrite(folder / "dataset_info.json", lambda info: info.update(fileFormat="tfrecord"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs another package .*only tensorflow reads tfrecord"):
        data.load_dataset("blobs", "train", data_dir=root)


def test_messages_of_other_programs_through_absl_are_not_lost(blobs):
    root, folder, _ = blobs
    logger = logging.getLogger("absl")
    data.load_dataset("blobs", "train", data_dir=root)
    assert not logger.disabled
    (folder / "features.json").unlink()
    with pytest.raises(InputError):
        data.load_dataset("blobs", "train", data_dir=root)
    assert not logger.disabled
