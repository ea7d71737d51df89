"""The training loop: what it trains on, what it refuses, and what it records of each epoch."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ntk_aug import coreset, data, models, training
from ntk_aug.coreset.gradient_errors import error_estimate
from ntk_aug.errors import DivergenceError, InputError
from ntk_aug.training.checkpoint import restore_checkpoint
from ntk_aug.training.initial import initial_state
from ntk_aug.training.step import Keys

CONFIG = training.TrainingConfig(epochs=2, batch_size=5, learning_rate=0.05)
CORESET = training.MethodConfig(selector="coreset", count=4, augment="noise:0.5", reselect_every=2)


@pytest.fixture(scope="module")
def network():
    return models.build_network("mlp", 3, width=8, activation="tanh")


def changed(**options):
    return dataclasses.replace(CONFIG, **options)


@pytest.fixture(scope="module")
def coreset_run(network, digits, tmp_path_factory):
    """Five epochs with a coreset that is selected anew after two and four."""
    folder = tmp_path_factory.mktemp("run")
    method = dataclasses.replace(CORESET, also_record=("max-loss", "random"))
    config = changed(epochs=5, eval_every=2)
    trained = training.train(
        network,
        digits,
        config,
        method=method,
        test_set=digits,
        folder=folder,
        keep_epochs=(0, 2, 4),
    )
    return trained, training.RunFolder.read(folder), method


def test_selections_are_what_the_selectors_pick_from_the_network_at_that_time(
    coreset_run, network, digits
):
    _, run, method = coreset_run
    assert run.selection_epochs() == [0, 2, 4]
    like = initial_state(network, digits.image_shape, CONFIG)._asdict()
    select_key, _ = jax.random.split(Keys.of_seed(0).selection)
    for epoch in run.selection_epochs():
        state = restore_checkpoint(run.checkpoints, epoch, like).tree
        view = network.view(state["params"], state["state"])
        examples = coreset.network_examples(view, digits)
        found = run.selection(epoch)
        for name in ("coreset", *method.also_record):
            expected = coreset.select(
                jax.random.fold_in(select_key, epoch), examples, name, count=4
            )
            before = "" if name == "coreset" else f"{name}/"
            np.testing.assert_array_equal(
                found[f"{before}indices"], digits.indices[expected.indices]
            )
            np.testing.assert_allclose(found[f"{before}weights"], expected.weights, rtol=1e-6)
            np.testing.assert_allclose(found[f"{before}gains"], expected.gains, rtol=1e-4)
        bound = error_estimate(
            examples.gradients, np.flatnonzero(np.isin(digits.indices, found["indices"]))
        )
        # Of each class by its own members: at least the bound over all members together.
        assert bound <= found["estimate"] * (1 + 1e-6)
        assert np.isnan(found["random/estimate"])
        assert (found["indices"].dtype, found["weights"].dtype) == (np.int32, np.float32)


def test_the_record_counts_what_was_done(coreset_run, digits):
    trained, run, _ = coreset_run
    assert run.history() == trained.history
    last = trained.history[-1]
    assert [record.epoch for record in trained.history] == [1, 2, 3, 4, 5]
    assert [record.examples for record in trained.history] == [16 * e for e in range(1, 6)]
    # 16 rows of batches of 5: one image would be left over, so the last of three steps takes 6.
    assert [record.steps for record in trained.history] == [3 * e for e in range(1, 6)]
    selected = np.concatenate([run.selection(epoch)["indices"] for epoch in (0, 2, 4)])
    assert last.distinct_selected == len(np.unique(selected))
    assert {record.distinct_used for record in trained.history} == {12}
    assert [record.test_loss is not None for record in trained.history] == [0, 1, 0, 1, 1]
    assert [record.seconds_selection > 1e-3 for record in trained.history] == [1, 0, 1, 0, 1]
    assert last.learning_rate == pytest.approx(0.05)
    result = run.result()
    assert result["last"]["test_accuracy"] == last.test_accuracy
    assert result["best"]["test_accuracy"] == max(r.test_accuracy or 0 for r in trained.history)
    assert result["last"]["epoch"] == 5
    assert len(result["last"]["test_class_accuracy"]) == 3
    assert result["seconds"]["training"] == pytest.approx(
        sum(record.seconds_training for record in trained.history)
    )
    assert run.config["format_version"] == 2
    assert run.config["method"]["also_record"] == ["max-loss", "random"]
    assert run.environment["jax"] == jax.__version__


def test_a_period_as_long_as_the_run_selects_once_and_a_subset_alone_is_trained_on(
    network, digits, tmp_path
):
    method = dataclasses.replace(
        CORESET, selector="max-loss", reselect_every=9, train_on="subset", augment="none"
    )
    config = changed(epochs=3, batch_size=100)
    trained = training.train(network, digits, config, method=method, folder=tmp_path)
    run = training.RunFolder.read(tmp_path)
    assert run.selection_epochs() == [0]
    assert (trained.history[-1].distinct_used, trained.history[-1].steps) == (4, 3)
    # By hand: the four largest losses of the initial network, all in one batch.
    images = data.unit_range(digits.images)
    params = initial_state(network, digits.image_shape, CONFIG).params

    def losses(params, chosen):
        logits = network.apply(params, {}, images[chosen], False, None)[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, digits.labels[chosen])

    chosen = np.argsort(-losses(params, np.arange(12)), kind="stable")[:4]
    np.testing.assert_array_equal(run.selection(0)["indices"], digits.indices[chosen])
    velocity = jax.tree.map(jnp.zeros_like, params)
    for _ in range(3):
        gradient = jax.grad(lambda p: losses(p, chosen).mean())(params)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
        params = jax.tree.map(lambda p, v: p - 0.05 * v, params, velocity)
    for own, expected in zip(jax.tree.leaves(trained.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)


def test_a_given_subset_is_trained_on_with_its_weights_and_soft_labels(network, digits):
    given = coreset.Subset(
        np.array([3, 8]), np.array([9.0, 3.0]), np.full(2, np.nan), digits.labels[[3, 8]]
    )
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 12).astype(np.float32)
    method = training.MethodConfig(selector="given", train_on="subset")
    config = changed(epochs=1, momentum=0.0)
    trained = training.train(
        network, digits, config, method=method, selection=given, soft_labels=soft
    )
    images = data.unit_range(digits.images)[given.indices]
    params = initial_state(network, digits.image_shape, CONFIG).params

    def loss(params):
        logits = network.apply(params, {}, images, False, None)[0]
        losses = optax.softmax_cross_entropy(logits, soft[given.indices])
        return (np.array([1.5, 0.5]) * losses).mean()  # weights of mean 1

    expected = jax.tree.map(lambda p, g: p - 0.05 * g, params, jax.grad(loss)(params))
    for own, other in zip(jax.tree.leaves(trained.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)


def test_the_gradients_of_the_whole_network_can_select(network, digits):
    for proxy, dimension in (("network", None), ("network-projected", 64)):
        method = dataclasses.replace(
            CORESET, proxy=proxy, dimension=dimension, augment="none", reselect_every=1
        )
        trained = training.train(network, digits, changed(epochs=2), method=method)
        assert trained.history[-1].distinct_selected >= 4


def test_what_others_would_pick_is_recorded_of_plain_training_too(network, digits, tmp_path):
    method = training.MethodConfig(count=3, also_record=("max-loss",), reselect_every=2)
    config = changed(epochs=3)
    trained = training.train(network, digits, config, method=method, folder=tmp_path)
    run = training.RunFolder.read(tmp_path)
    assert run.selection_epochs() == [0, 2]
    found = run.selection(2)
    assert (len(found["indices"]), len(found["max-loss/indices"])) == (0, 3)
    plain = training.train(network, digits, config)
    for one, other in zip(*map(jax.tree.leaves, (trained.params, plain.params)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert trained.history[-1].distinct_selected == 0


def test_progress_counts_steps(network, digits):
    told = []
    training.train(network, digits, CONFIG, progress=lambda *update: told.append(update))
    assert [update for update in told if update[0] == "training"] == [
        ("training", 3, 6),
        ("training", 6, 6),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": dataclasses.replace(CORESET, count=None)}, "exactly one of them"),
        ({"method": dataclasses.replace(CORESET, count=99)}, "is 99, expected 1 to 12"),
        (
            {"method": dataclasses.replace(CORESET, count=2)},
            r"leaves class . \(. examples\) without",
        ),
        (
            {"method": dataclasses.replace(CORESET, count=7, placement="in-place-twice")},
            "is 14, expected 1 to 12",
        ),
        ({"method": training.MethodConfig(selector="given")}, "no subset is given"),
        ({"soft_labels": np.ones((12, 2), np.float32)}, r"shape \(12, 2\), expected \(12, 3\)"),
        ({"soft_labels": np.ones((12, 3), np.float32)}, "sum to 3"),
    ],
)
def test_what_does_not_fit_the_data_is_refused_before_anything_is_compiled(
    network, digits, options, message, tmp_path
):
    with pytest.raises(InputError, match=message):
        training.train(network, digits, CONFIG, folder=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_given_subset_that_is_not_of_the_data_is_refused(network, digits):
    method = training.MethodConfig(selector="given")

    def given(indices, weights):
        nothing = np.full(len(indices), np.nan)
        return coreset.Subset(np.array(indices), np.array(weights), nothing, np.array(indices))

    for subset, message in (
        (given([0, 12], [1.0, 1.0]), "indices 0 to 12, expected integers from 0 to 11"),
        (given([1, 1], [1.0, 1.0]), "each at most once"),
        (given([1, 2], [1.0, -1.0]), "finite number of at least 0"),
    ):
        with pytest.raises(InputError, match=message):
            training.train(network, digits, CONFIG, method=method, selection=subset)
    with pytest.raises(InputError, match="selector is 'none' and a subset is given"):
        training.train(network, digits, CONFIG, selection=given([1], [1.0]))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_before(
    network, digits, tmp_path
):
    config = changed(epochs=4, learning_rate=1.0, decay_epochs=(1,), decay_factor=1e38)
    with pytest.raises(DivergenceError, match=r"step 5 \(epoch 2, step 2 of 3\)") as told:
        training.train(network, digits, config, folder=tmp_path, seconds_between_checkpoints=0)
    assert (told.value.epoch, told.value.step) == (2, 5)
    run = training.RunFolder.read(tmp_path)
    assert (run.epochs(), len(run.history()), run.result()) == ([1], 1, None)


def test_a_network_with_other_outputs_than_classes_is_refused(digits):
    with pytest.raises(InputError, match=r"one image has shape \(1, 2\), expected \(1, 3\)"):
        training.train(models.build_network("mlp", 2, width=8), digits, CONFIG)


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

    params = initial_state(network, dataset.example, config).params
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, params, jax.grad(loss)(params))
    for own, other in zip(jax.tree.leaves(trained.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)
    (record,) = trained.history
    assert record.test_loss == pytest.approx(float(loss(expected)), rel=1e-5)
    pair = (module, {"params": trained.params})  # as `models.as_view` takes it
    found = training.evaluate(pair, dataset)
    assert found[:2] == pytest.approx((record.test_loss, record.test_accuracy), rel=1e-5)
    with pytest.raises(InputError, match=r"'rotation' is for images .* only 'identity' fits"):
        training.train(network, dataset, dataclasses.replace(config, weak="rotation"))


def test_a_network_that_returns_a_tuple_is_told(digits):
    network = models.pure_network(
        lambda key, images: jnp.zeros((64, 3)),
        lambda params, images: (images.reshape(len(images), -1) @ params, images),
    )
    with pytest.raises(InputError, match=r"the network returns a tuple of 2, expected logits \[n"):
        training.train(network, digits, CONFIG)
