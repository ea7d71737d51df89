"""The real MNIST and CIFAR-10, where TFDS_DATA_DIR has them; files that need TensorFlow."""

import os
from pathlib import Path

import numpy as np
import pytest
from prepared_data import as_examples, draw, prepare

from ntk_aug import data
from ntk_aug.data.splits import SPLITS
from ntk_aug.data.tfds import find_prepared

pytestmark = pytest.mark.slow

DATA_DIR = os.environ.get("TFDS_DATA_DIR")

# Images of each digit, from the files of Y. LeCun, C. Cortes and C. Burges.
MNIST_COUNTS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}
CIFAR_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, shared_cache):
    """Each real split is decoded once for all tests here."""
    monkeypatch.setenv("NTK_AUG_CACHE", shared_cache)


def load_real(name, split, data_dir=DATA_DIR, **options):
    if data_dir is None or find_prepared(name, data_dir=data_dir) is None:
        pytest.skip(f"TFDS_DATA_DIR has no prepared {name}")
    return data.load_dataset(name, split, data_dir=data_dir, **options)


@pytest.mark.parametrize("split", SPLITS)
def test_mnist_has_its_known_counts(split):
    dataset = load_real("mnist", split)
    assert dataset.image_shape == (28, 28, 1)
    assert dataset.class_names == tuple("0123456789")
    np.testing.assert_array_equal(np.bincount(dataset.labels), MNIST_COUNTS[split])


@pytest.mark.parametrize(("split", "count"), [("train", 5000), ("test", 1000)])
def test_cifar10_has_its_known_counts(split, count):
    dataset = load_real("cifar10", split)
    assert dataset.image_shape == (32, 32, 3)
    assert dataset.class_names == tuple(CIFAR_CLASSES.split())
    np.testing.assert_array_equal(np.bincount(dataset.labels), [count] * 10)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_the_published_normalisation_is_that_of_the_pixels(name):
    dataset = load_real(name, "train")
    pixels = dataset.images.reshape(-1, dataset.image_shape[-1])
    # MNIST is published with four digits. A copy of CIFAR-10 that went through JPEG has lost
    # 0.7 % of its std; the std of single images, often given in its place, is 18 % smaller.
    tolerance = 5e-5 if name == "mnist" else 2e-3
    np.testing.assert_allclose(pixels.mean(axis=0) / 255, dataset.mean, rtol=0, atol=tolerance)
    np.testing.assert_allclose(pixels.std(axis=0) / 255, dataset.std, rtol=0, atol=tolerance)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_other_formats_beside_the_data_folder_hold_the_same_examples(name, split):
    dataset = load_real(name, split)
    others = [path for path in Path(DATA_DIR).resolve().parent.iterdir() if path.is_dir()]
    others = [path for path in others if path != Path(DATA_DIR).resolve()]
    others = [path for path in others if find_prepared(name, data_dir=path)]
    if not others:
        pytest.skip(f"no folder beside TFDS_DATA_DIR has {name} too")
    for other in others:
        assert load_real(name, split, other).fingerprint() == dataset.fingerprint()


def test_a_real_data_set_is_read_without_a_word(capfd, caplog, tmp_path):
    load_real("mnist", "test", cache_dir=tmp_path)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


# The writer of parquet of tensorflow-datasets 4.9 keeps no more than a part of a file of over 100.
@pytest.mark.parametrize(
    ("file_format", "n"), [("tfrecord", 1100), ("array_record", 1100), ("parquet", 150)]
)
def test_every_format_gives_what_was_written_in_its_order(tmp_path, capfd, file_format, n):
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    pytest.importorskip("tensorflow")
    images, labels = draw(n)
    splits = {"test": as_examples(images, labels)}
    prepare(tmp_path, "blobs", splits, file_format=file_format)
    capfd.readouterr()
    dataset = data.load_dataset("blobs", "test", data_dir=tmp_path)
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)
