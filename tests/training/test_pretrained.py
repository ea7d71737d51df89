"""Networks trained by name, found again by their whole configuration, and read from a folder."""

import dataclasses

import jax
import numpy as np
import pytest

from ntk_aug import data, records, training
from ntk_aug.errors import InputError
from ntk_aug.training.run_folder import recorded_example

CONFIG = training.TrainingConfig(epochs=2, batch_size=5, learning_rate=0.05)


def equal(one, other):
    return jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, other))


def test_a_named_model_is_found_again_by_its_whole_configuration(digits, tmp_path):
    def run(**changed):
        config = dataclasses.replace(CONFIG, epochs=1, **changed)
        options = {"width": 4}
        return training.train_named_model("mlp", digits, config, options=options, cache=tmp_path)

    first, again, other = run(), run(), run(seed=1)
    options = {"options": {"width": 4}, "cache": tmp_path}
    config = dataclasses.replace(CONFIG, epochs=1)
    tested = training.train_named_model("mlp", digits, config, test_set=digits, **options)
    assert tested.run.path not in (first.run.path, other.run.path)
    assert first.run.path == again.run.path != other.run.path
    assert equal(first.view.params, again.view.params)
    loaded = training.load_trained_model(first.run.path)
    assert equal(loaded.view.params, first.view.params)
    assert loaded.history == first.history
    with pytest.raises(InputError, match=r"no checkpoint of epoch 7; it has those of \[1\]"):
        training.load_trained_model(first.run.path, epoch=7)


def test_a_run_keeps_what_it_is_told_and_is_tested_on_the_test_set(digits, tmp_path):
    train_set, test_set = digits.take(np.arange(8)), digits.take(np.arange(8, 12))
    trained = training.train_named_model(
        "mlp", train_set, CONFIG, test_set=test_set, folder=tmp_path, keep_epochs=(0, 1)
    )
    assert trained.run.epochs() == [0, 1, 2]
    last, first = (training.load_trained_model(tmp_path, epoch=epoch) for epoch in (None, 1))
    assert equal(last.view.params, trained.view.params)
    assert not equal(first.view.params, trained.view.params)
    assert (last.history, first.history) == (trained.history, trained.history[:1])
    record = trained.history[-1]
    found = training.evaluate(trained.view, test_set)[:2]
    assert found == pytest.approx((record.test_loss, record.test_accuracy), rel=1e-5)
    assert abs(record.test_loss - training.evaluate(trained.view, train_set).loss) > 1e-3


def test_a_model_whose_code_has_changed_is_told_under_the_same_versions(digits, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=0)
    training.train_named_model("mlp", digits, config, folder=tmp_path)
    content = records.read_json(tmp_path / "config.json")
    content["model"]["fingerprint"] = "of other code"
    records.write_json(tmp_path / "config.json", content)
    with pytest.raises(InputError, match=r"model 'mlp' is not what .* its code has changed"):
        training.load_trained_model(tmp_path)
    environment = records.read_json(tmp_path / "environment.json")
    environment["jax"] = "0.0.1"  # which writes the same program in other words
    records.write_json(tmp_path / "environment.json", environment)
    assert training.load_trained_model(tmp_path).history == []


def test_folders_without_a_run_or_of_another_format_are_told(digits, tmp_path):
    with pytest.raises(InputError, match="holds no training run"):
        training.load_trained_model(tmp_path)
    records.write_json(tmp_path / "config.json", {"run": {"training": {}}, "environment": {}})
    with pytest.raises(InputError, match="before its training records had a version; train"):
        training.load_trained_model(tmp_path)
    with pytest.raises(InputError, match="train it again into another folder"):
        training.train_named_model("mlp", digits, CONFIG, folder=tmp_path)
    records.write_json(tmp_path / "config.json", {"format_version": 3})
    with pytest.raises(InputError, match="has records of format 3, expected 2"):
        training.load_trained_model(tmp_path)


RNG = np.random.default_rng(0)
LABELS = np.arange(12) % 3
TOKENS = data.Dataset.from_arrays(RNG.integers(0, 9, (12, 4)) * (1 + LABELS[:, None]), LABELS)


def test_a_run_on_examples_of_another_kind_is_found_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_embedding.py").write_text(
        "import flax.linen as nn\n"
        "def net(num_classes):\n"
        "    return nn.Sequential([nn.Embed(27, 4), lambda x: x.mean(axis=1), nn.Dense(3)])\n"
    )
    config = dataclasses.replace(CONFIG, epochs=1)
    first = training.train_named_model("own_embedding:net", TOKENS, config, folder=tmp_path / "run")
    assert first.run.config["data"]["example"] == {"shape": [4], "dtype": "int32"}
    loaded = training.load_trained_model(tmp_path / "run")
    assert equal(loaded.view.params, first.view.params)
    leaf = {"shape": [2], "dtype": "int32"}
    recorded = {"example": {"a": leaf, "shape": leaf}}
    assert recorded_example(recorded)["a"] == jax.ShapeDtypeStruct((2,), np.int32)
