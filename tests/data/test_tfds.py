import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_data import as_examples, draw, prepare

from ntk_aug import data
from ntk_aug.data import tfds as loader
from ntk_aug.data.splits import SPLITS
from ntk_aug.errors import InputError


def test_pixels_labels_and_class_names_are_those_that_were_written(blobs):
    root, _, arrays = blobs
    for split in ("train", "test"):
        dataset = data.load_dataset("blobs", split, data_dir=root)
        images, labels = arrays[split]
        assert dataset.images.dtype == np.uint8
        assert dataset.labels.dtype == np.int32
        np.testing.assert_array_equal(dataset.images, images)
        np.testing.assert_array_equal(dataset.labels, labels)
        np.testing.assert_array_equal(dataset.indices, np.arange(len(images)))
        assert dataset.class_names == ("red", "blue", "green")
        assert (dataset.name, dataset.split) == ("blobs", split)
        assert (dataset.mean, dataset.std) == ((0.0,) * 3, (1.0,) * 3)


def test_parquet_is_read_without_tensorflow(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(loader, "_tensorflow_blocks", None)
    images, labels = draw()
    prepare(tmp_path, "blobs", {"test": as_examples(images, labels)}, file_format="parquet")
    dataset = data.load_dataset("blobs", "test", data_dir=tmp_path)
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)


def test_a_named_data_set_has_its_published_normalisation(tmp_path):
    digit = {
        "image": tfds.features.Image(shape=(4, 4, 1)),
        "label": tfds.features.ClassLabel(num_classes=10),
    }
    images, labels = draw(shape=(4, 4, 1), classes=10)
    features = tfds.features.FeaturesDict(digit)
    prepare(tmp_path, "mnist", {"test": as_examples(images, labels)}, features=features)
    dataset = data.load_dataset("mnist", "test", data_dir=tmp_path)
    np.testing.assert_array_equal(dataset.images, images)
    assert dataset.class_names == tuple("0123456789")
    assert (dataset.mean, dataset.std) == ((0.1307,), (0.3081,))


@pytest.mark.parametrize("supervised", [("picture", "kind"), None])
def test_image_and_label_are_found_by_their_kind(tmp_path, supervised):
    several = {
        "id": tfds.features.Text(),
        "kind": tfds.features.ClassLabel(names=["a", "b"]),
        "picture": tfds.features.Image(shape=(5, 4, 3)),
    }
    if supervised:  # which of the two labels it is, only the supervised pair says
        several["coarse"] = tfds.features.ClassLabel(num_classes=7)
    images, labels = draw(classes=2)
    examples = [
        {"id": "x", "coarse": 6, "kind": e["label"], "picture": e["image"]}
        for e in as_examples(images, labels)
    ]
    examples = [{key: example[key] for key in several} for example in examples]
    features = tfds.features.FeaturesDict(several)
    prepare(tmp_path, "blobs", {"test": examples}, features=features, supervised=supervised)
    dataset = data.load_dataset("blobs", "test", data_dir=tmp_path)
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.class_names == ("a", "b")


def test_two_images_in_each_example_are_no_classification(tmp_path):
    image = tfds.features.Image(shape=(5, 4, 3))
    label = tfds.features.ClassLabel(num_classes=3)
    features = tfds.features.FeaturesDict({"left": image, "right": image, "label": label})
    examples = [
        {"left": e["image"], "right": e["image"], "label": e["label"]} for e in as_examples(*draw())
    ]
    prepare(tmp_path, "pairs", {"train": examples}, features=features)
    with pytest.raises(InputError, match="2 are images and 1 class labels, expected one of each"):
        data.load_dataset("pairs", "train", data_dir=tmp_path)


def test_validation_is_the_test_split_where_there_is_no_other(tmp_path):
    arrays = {"train": draw(), "validation": draw(10, seed=1)}
    prepare(tmp_path, "blobs", {split: as_examples(*pair) for split, pair in arrays.items()})
    for split, source in (("train", "train"), ("test", "validation")):
        dataset = data.load_dataset("blobs", split, data_dir=tmp_path)
        np.testing.assert_array_equal(dataset.images, arrays[source][0])


def test_every_fifth_image_is_the_test_split_where_there_is_only_train(tmp_path):
    images, labels = draw()
    prepare(tmp_path, "blobs", {"train": as_examples(images, labels)})
    train, test = (data.load_dataset("blobs", split, data_dir=tmp_path) for split in SPLITS)
    np.testing.assert_array_equal(test.images, images[4::5])
    np.testing.assert_array_equal(test.labels, labels[4::5])
    np.testing.assert_array_equal(train.images, np.delete(images, np.s_[4::5], axis=0))


def test_a_missing_train_split_is_refused(tmp_path):
    prepare(tmp_path, "blobs", {"test": as_examples(*draw())})
    with pytest.raises(InputError, match=r"blobs/1.0.0 has no split 'train'; it has test"):
        data.load_dataset("blobs", "train", data_dir=tmp_path)


def test_the_highest_version_is_read(tmp_path):
    for version, seed in (("9.0.0", 0), ("10.0.0", 1)):
        examples = as_examples(*draw(seed=seed))
        prepare(tmp_path, "blobs", {"test": examples}, version=version)
        # The second time the lower version is in the cache.
        dataset = data.load_dataset("blobs", "test", data_dir=tmp_path)
        np.testing.assert_array_equal(dataset.images, draw(seed=seed)[0])


def test_a_second_load_decodes_nothing(blobs, monkeypatch, tmp_path):
    root, _, arrays = blobs
    options = {"data_dir": root, "cache_dir": tmp_path / "mine"}
    first = data.load_dataset("blobs", "train", **options)
    data.load_dataset("blobs", "test", **options)
    assert len(list((tmp_path / "mine").iterdir())) == 2
    monkeypatch.setattr(loader, "_decode", None)
    second = data.load_dataset("blobs", "train", **options)
    assert second.fingerprint() == first.fingerprint()
    np.testing.assert_array_equal(second.images, arrays["train"][0])


def test_changed_files_are_decoded_again(blobs):
    root, folder, _ = blobs
    data.load_dataset("blobs", "train", data_dir=root)
    shutil.rmtree(folder)
    images, labels = draw(seed=2)
    prepare(root, "blobs", {"train": as_examples(images, labels)})
    dataset = data.load_dataset("blobs", "test", data_dir=root)
    np.testing.assert_array_equal(dataset.images, images[4::5])


def test_nothing_is_written_where_data_lie_nor_needed_where_a_cache_cannot(blobs, tmp_path):
    root, _, arrays = blobs
    before = sorted(root.rglob("*"))
    (tmp_path / "file").write_text("")
    dataset = data.load_dataset(
        "blobs", "train", data_dir=root, cache_dir=tmp_path / "file" / "cache"
    )
    np.testing.assert_array_equal(dataset.images, arrays["train"][0])
    assert sorted(root.rglob("*")) == before


def test_the_environment_says_where_data_lie(blobs, monkeypatch):
    root, _, arrays = blobs
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    dataset = data.load_dataset("blobs", "train")
    np.testing.assert_array_equal(dataset.images, arrays["train"][0])


def test_one_configuration_is_found_and_several_are_listed(tmp_path):
    images, labels = draw()
    prepare(tmp_path, "blobs/small", {"test": as_examples(images, labels)})
    for name in ("blobs", "blobs/small"):
        dataset = data.load_dataset(name, "test", data_dir=tmp_path)
        np.testing.assert_array_equal(dataset.images, images)
    prepare(tmp_path, "blobs/large", {"test": as_examples(*draw(seed=1))})
    with pytest.raises(InputError, match=r"choose blobs/large, blobs/small$"):
        data.load_dataset("blobs", "test", data_dir=tmp_path)
    dataset = data.load_dataset("blobs/small", "test", data_dir=tmp_path)
    np.testing.assert_array_equal(dataset.images, images)


def test_array_record_is_read_without_tensorflow_and_without_a_word(blobs, tmp_path):
    root, _, _ = blobs
    code = (
        "import sys; from ntk_aug import data;"
        "print(len(data.load_dataset('blobs', 'train', data_dir=sys.argv[1])));"
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, root],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("20\n", "")
