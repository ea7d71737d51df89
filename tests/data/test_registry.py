import subprocess
import sys

import numpy as np
import pytest

from ntk_aug import data
from ntk_aug.data.digits import load_digits
from ntk_aug.errors import InputError


def test_the_named_data_sets():
    assert set(data.DATASETS) >= {
        "digits",
        "mnist",
        "fashion_mnist",
        "cifar10",
        "cifar100",
        "svhn_cropped",
    }
    assert all("\n" not in entry.description for entry in data.DATASETS.values())


def test_the_digits_by_name_are_the_digits():
    by_name, direct = data.load_dataset("digits", "test"), load_digits("test")
    np.testing.assert_array_equal(by_name.images, direct.images)
    np.testing.assert_array_equal(by_name.labels, direct.labels)


@pytest.mark.parametrize("name", ["cifar11", "module:function", "../mnist", "mnist/", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(InputError) as caught:
        data.load_dataset(name, "train", data_dir=tmp_path)
    message = str(caught.value)
    assert message.startswith(f"unknown data set {name!r}")
    assert "cifar10, cifar100, digits, fashion_mnist, mnist, svhn_cropped" in message
    assert message.endswith("every image-classification data set of tensorflow-datasets")


def test_a_close_name_is_suggested(tmp_path):
    with pytest.raises(InputError, match=r"'cifar_10' \(did you mean 'cifar10'\?\)"):
        data.load_dataset("cifar_10", "train", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["digits", "mnist", "eurosat"])
def test_an_unknown_split_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="unknown split 'validation'; known: test, train"):
        data.load_dataset(name, "validation", data_dir=tmp_path)


def test_importing_the_library_imports_no_tensorflow():
    code = (
        "import sys; from ntk_aug import augment, data, jacobian, models, ntk, spectrum, training;"
        "data.load_dataset('digits', 'test');"
        "print(*{'tensorflow', 'tensorflow_datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        # In units of 1/255, as published with Cutout and Wide ResNets; to their one decimal place.
        ("cifar10", (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
        ("cifar100", (129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
        ("svhn_cropped", (109.9, 109.7, 113.8), (50.1, 50.6, 50.8)),
        # As in PyTorch's examples.
        ("mnist", (0.1307 * 255,), (0.3081 * 255,)),
        ("fashion_mnist", (0.2860 * 255,), (0.3530 * 255,)),
    ],
)
def test_images_are_normalised_as_published(name, mean, std, monkeypatch):
    found = {}
    monkeypatch.setattr(
        "ntk_aug.data.registry.load_tfds",
        lambda *_, **given: found.update(given) or load_digits("test"),
    )
    data.DATASETS[name].load("train", None, None)
    np.testing.assert_allclose(np.array(found["mean"]) * 255, mean, atol=0.06)
    np.testing.assert_allclose(np.array(found["std"]) * 255, std, atol=0.06)
