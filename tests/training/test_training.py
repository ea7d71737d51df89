import dataclasses
import shutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ntk_aug import augment, data, models, records, training
from ntk_aug.checks import InputError

CONFIG = training.TrainingConfig(epochs=2, batch_size=5, learning_rate=0.05)


@pytest.fixture(scope="module")
def network():
    return models.build_network("mlp", 3, width=8, activation="tanh")


def equal(one, other):
    return jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, other))


def test_an_epoch_is_plain_sgd_on_every_image_once(network, digits):
    # By hand: one batch of all images, heavy-ball momentum, two epochs.
    config = dataclasses.replace(CONFIG, batch_size=12, weight_decay=0.01)
    trained = training.train(network, digits, config)
    images, labels = data.unit_range(digits.images), jnp.asarray(digits.labels)

    def loss(params):
        logits = network.apply(params, {}, images, False, None)[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    params = training.initial_state(network, digits.image_shape, config).params
    velocity = jax.tree.map(jnp.zeros_like, params)
    for _ in range(2):
        gradient = jax.tree.map(lambda g, p: g + 0.01 * p, jax.grad(loss)(params), params)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
        params = jax.tree.map(lambda p, v: p - 0.05 * v, params, velocity)
    for own, expected in zip(jax.tree.leaves(trained.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)


def test_statistics_are_of_every_image_once_also_in_a_partial_batch(network, digits):
    def init(key, images):
        params, _ = network.init(key, images)
        return params, {"count": jnp.zeros(()), "sum": jnp.zeros(images.shape[1:])}

    def apply(params, state, images, train, key):
        logits, _ = network.apply(params, {}, images, train, key)
        return logits, {"count": state["count"] + len(images), "sum": state["sum"] + images.sum(0)}

    counting = models.Network(init, apply)
    trained = training.train(counting, digits, dataclasses.replace(CONFIG, epochs=1))
    assert trained.state["count"] == len(digits)
    preprocessed = data.normalize(data.unit_range(digits.images), digits.mean, digits.std)
    np.testing.assert_allclose(trained.state["sum"], preprocessed.sum(0), rtol=1e-5, atol=1e-5)


def test_one_program_for_the_epoch_and_one_for_a_step_train_the_same(network, digits):
    arrays = [jnp.asarray(a) for a in (digits.images, digits.labels, digits.indices)]
    start = training.initial_state(network, digits.image_shape, CONFIG)
    ends = []
    for scan in (False, True):
        run_epoch = training.epoch_program(
            network,
            training.build_optimizer(CONFIG, steps_per_epoch=3),
            augment.build_augmentation("noise:0.5"),
            data.unit_range,
            training.Keys.of_seed(0),
            CONFIG.batch_size,
            scan=scan,
        )
        state, sums = run_epoch(start, *arrays)
        ends.append((*run_epoch(state, *arrays), sums))
    for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert ends[0][0].epoch == 2


def test_weight_decay_shrinks_weights_when_gradients_are_zero():
    config = training.TrainingConfig(learning_rate=0.1, momentum=0.9, weight_decay=0.1)
    optimizer = training.build_optimizer(config, steps_per_epoch=1)
    params = {"w": jnp.ones(1)}
    state = optimizer.init(params)
    for _ in range(10):
        updates, state = optimizer.update({"w": jnp.zeros(1)}, state, params)
        params = optax.apply_updates(params, updates)
    assert 0 < params["w"][0] < 1


def test_the_learning_rate_decays_at_its_epochs():
    config = training.TrainingConfig(learning_rate=1.0, momentum=0.0, decay_epochs=(1,))
    optimizer = training.build_optimizer(config, steps_per_epoch=2)
    params = jnp.zeros(())
    state, steps = optimizer.init(params), []
    for _ in range(4):
        update, state = optimizer.update(jnp.ones(()), state, params)
        steps.append(float(update))
    np.testing.assert_allclose(steps, [-1, -1, -0.1, -0.1], rtol=1e-6)


def test_evaluation_counts_a_partial_batch_in_full(network, digits):
    state = training.initial_state(network, digits.image_shape, CONFIG)
    view = network.view(state.params, state.state)
    logits = view.apply_fn(view.params, data.unit_range(digits.images))
    program = training.evaluation_program(view.apply_fn, lambda x: x, 5)
    sums = program(view.params, jnp.asarray(digits.images), jnp.asarray(digits.labels))
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(digits.labels))
    loss, accuracy = sums.means()
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-6)
    assert accuracy == (np.argmax(logits, 1) == digits.labels).mean()


def test_a_stopped_run_goes_on_to_the_same_bits(network, digits, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=3)
    training.train(network, digits, config, folder=tmp_path, keep_epochs=(1, 2))
    # As if the run had been stopped after its second epoch.
    shutil.rmtree(tmp_path / "checkpoints" / "3")
    resumed = training.train(network, digits, config, folder=tmp_path)
    whole = training.train(network, digits, config)
    assert equal(resumed.params, whole.params)
    assert resumed.history == whole.history


def test_another_run_in_the_same_folder_is_refused(network, digits, tmp_path):
    training.train(network, digits, dataclasses.replace(CONFIG, epochs=0), folder=tmp_path)
    with pytest.raises(InputError, match=r"holds another run \(it differs in training\)"):
        training.train(network, digits, CONFIG, folder=tmp_path)


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
    found = training.evaluate_view(trained.view, test_set)
    assert found == pytest.approx((record.test_loss, record.test_accuracy), rel=1e-5)
    assert abs(record.test_loss - training.evaluate_view(trained.view, train_set)[0]) > 1e-3


def test_a_model_whose_code_has_changed_is_told_under_the_same_versions(digits, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=0)
    training.train_named_model("mlp", digits, config, folder=tmp_path)
    content = records.read_json(tmp_path / "config.json")
    content["run"]["model"]["fingerprint"] = "of other code"
    records.write_json(tmp_path / "config.json", content)
    with pytest.raises(InputError, match=r"model 'mlp' is not what .* its code has changed"):
        training.load_trained_model(tmp_path)
    content["environment"]["jax"] = "0.0.1"  # which writes the same program in other words
    records.write_json(tmp_path / "config.json", content)
    assert training.load_trained_model(tmp_path).history == []


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(InputError, match="holds no training run"):
        training.load_trained_model(tmp_path)


def test_a_network_with_other_outputs_than_classes_is_refused(digits):
    with pytest.raises(InputError, match=r"one image has shape \(1, 2\), expected \(1, 3\)"):
        training.train(models.build_network("mlp", 2, width=8), digits, CONFIG)


def test_a_loss_that_is_not_finite_stops_the_run(network, digits):
    with pytest.raises(InputError, match=r"epoch 1 \(steps 1 to 3\) is not finite"):
        training.train(network, digits, dataclasses.replace(CONFIG, learning_rate=np.inf))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"momentum": 1.0}, "momentum"),
        ({"batch_size": 0}, "batch"),
        ({"epochs": -1}, "epochs"),
        ({"decay_factor": np.nan}, "decay_factor is nan"),
        ({"decay_epochs": (3, -1)}, "decay_epochs is -1"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        training.TrainingConfig(**changed)


def test_a_partial_batch_weighs_what_its_images_weigh(network, digits):
    # At a learning rate of 0 every batch meets the initial weights: the mean is that of all images.
    config = dataclasses.replace(CONFIG, epochs=1, learning_rate=0.0, batch_size=5)
    (record,) = training.train(network, digits, config).history
    state = training.initial_state(network, digits.image_shape, config)
    logits = network.apply(state.params, {}, data.unit_range(digits.images), False, None)[0]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(digits.labels))
    batches = [losses[start : start + 5].mean() for start in (0, 5, 10)]
    assert abs(np.mean(batches) - losses.mean()) > 1e-3  # of batches of 5, 5 and 2
    assert record.train_loss == pytest.approx(float(losses.mean()), rel=1e-5)
    assert record.train_accuracy == (np.argmax(logits, axis=1) == digits.labels).mean()
    counted = training.evaluate_view(network.view(state.params, {}), digits)
    assert counted == pytest.approx((record.train_loss, record.train_accuracy), rel=1e-5)


def drawn_in_training(digits, *, epochs=2, batch_size=6, seed=0):
    """Of each epoch: the images of each step, their augmentation, and the key of dropout.

    The network writes down what it is called with: state["seen"] of each step's first numbers.
    """
    steps = training.steps_per_epoch(len(digits), batch_size)

    def init(key, images):
        state = {"step": jnp.zeros((), int), "dropout": jnp.zeros((epochs * steps, 2), jnp.uint32)}
        state["order"] = jnp.full((epochs * steps, batch_size), -1)
        state["noise"] = jnp.zeros((epochs, len(digits)))
        return {"bias": jax.random.normal(key, (3,))}, state

    def apply(params, state, images, train, key):
        logits = jnp.zeros((len(images), 3)) + params["bias"]
        if not train:
            return logits, state
        step = state["step"]
        place = jnp.round(images[:, 0, 0, 0]).astype(int)  # each image holds its own number ...
        noise = images[:, 1, 1, 0]  # ... and elsewhere what its augmentation has drawn
        return logits, {
            "step": step + 1,
            "dropout": state["dropout"].at[step].set(jax.random.key_data(key)),
            "order": state["order"].at[step, : len(images)].set(place),
            "noise": state["noise"].at[step // steps, place].set(noise),
        }

    def augmentation(key, image):
        return image.at[1, 1, 0].set(jax.random.uniform(key))

    network = models.Network(init, apply)
    config = training.TrainingConfig(learning_rate=0.0, batch_size=batch_size, seed=seed)
    state = training.initial_state(network, (2, 2, 1), config)
    run_epoch = training.epoch_program(
        network,
        training.build_optimizer(config, steps_per_epoch=steps),
        augmentation,
        lambda images: images,
        training.Keys.of_seed(seed),
        batch_size,
        scan=False,
    )
    images = np.zeros((len(digits), 2, 2, 1), np.float32)
    images[:, 0, 0, 0] = np.arange(len(digits))
    arrays = [jnp.asarray(a) for a in (images, digits.labels, digits.indices)]
    start = state.params["bias"]
    for _ in range(epochs):
        state, _ = run_epoch(state, *arrays)
    found = {name: np.asarray(value) for name, value in state.state.items()}
    orders = [tuple(row[row >= 0]) for row in found["order"].reshape(epochs, -1)]
    return orders, found["noise"], found["dropout"].reshape(epochs, steps, 2), start


def test_what_is_drawn_differs_over_epochs_steps_images_and_seeds_and_not_over_batches(digits):
    orders, noise, dropout, start = drawn_in_training(digits)
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert orders[0] != orders[1]
    assert len(np.unique(noise)) == noise.size  # of each image in each epoch
    assert len({tuple(key) for key in dropout.reshape(-1, 2).tolist()}) == 2 * 2
    # An image keeps its augmentation in every batch; it is the one of its place in the split.
    _, of_batches, _, _ = drawn_in_training(digits, batch_size=4)
    np.testing.assert_array_equal(of_batches, noise)
    moved = dataclasses.replace(digits, indices=digits.indices[::-1].copy())
    np.testing.assert_array_equal(drawn_in_training(moved)[1], noise[:, ::-1])
    other = drawn_in_training(digits, seed=1)
    assert other[0] != orders
    assert not np.isin(other[1], noise).any()
    assert not np.isin(other[2], dropout).all()
    assert not (other[3] == start).any()


def test_the_keys_of_a_seed_are_four():
    keys = [*training.Keys.of_seed(0), *training.Keys.of_seed(1)]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 8


# Examples that are no images

RNG = np.random.default_rng(0)
LABELS = np.arange(12) % 3
TOKENS = data.Dataset.from_arrays(RNG.integers(0, 9, (12, 4)) * (1 + LABELS[:, None]), LABELS)
TABLE = data.Dataset.from_arrays(RNG.normal(size=(12, 5)) + LABELS[:, None], LABELS)
BOTH = data.Dataset.from_arrays({"tokens": TOKENS.images, "table": TABLE.images}, LABELS)


class Embedding(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        if isinstance(inputs, dict):
            return self.of_tokens(inputs["tokens"]) + nn.Dense(3)(inputs["table"])
        return self.of_tokens(inputs)

    def of_tokens(self, tokens):
        return nn.Dense(3)(nn.Embed(27, 4)(tokens).mean(axis=1))


@pytest.mark.parametrize(
    ("dataset", "module"), [(TABLE, nn.Dense(3)), (TOKENS, Embedding()), (BOTH, Embedding())]
)
def test_tables_token_ids_and_dictionaries_are_trained_on_as_they_are(dataset, module):
    network = models.linen_network(module)
    config = dataclasses.replace(CONFIG, epochs=1, batch_size=12, momentum=0.0, learning_rate=0.5)
    trained = training.train(network, dataset, config, test_set=dataset)
    inputs = dataset.images

    def loss(params):
        logits = module.apply({"params": params}, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()

    params = training.initial_state(network, dataset.example, config).params
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, params, jax.grad(loss)(params))
    for own, other in zip(jax.tree.leaves(trained.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)
    (record,) = trained.history
    assert record.test_loss == pytest.approx(float(loss(expected)), rel=1e-5)
    pair = (module, {"params": trained.params})  # as `models.as_view` takes it
    found = training.evaluate_view(pair, dataset)
    assert found == pytest.approx((record.test_loss, record.test_accuracy), rel=1e-5)
    with pytest.raises(InputError, match=r"'rotation' is of images .* only 'identity' fits"):
        training.train(network, dataset, dataclasses.replace(config, augmentation="rotation"))


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
    assert training.recorded_example(recorded)["a"] == jax.ShapeDtypeStruct((2,), np.int32)


def test_a_network_that_returns_a_tuple_is_told(digits):
    network = models.pure_network(
        lambda key, images: jnp.zeros((64, 3)),
        lambda params, images: (images.reshape(len(images), -1) @ params, images),
    )
    with pytest.raises(InputError, match=r"the network returns a tuple of 2, expected logits \[n"):
        training.train(network, digits, CONFIG)
