"""Steps and epochs: SGD by hand, batch statistics, remainders, programs and their compilation."""

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ntk_aug import data, models, training
from ntk_aug.training import epoch as epoch_module
from ntk_aug.training.epoch import ORIGINAL, STRONG_STORE, WEAK_STORE, EpochProgram, Rows, Sources
from ntk_aug.training.evaluation import EvaluationProgram
from ntk_aug.training.initial import initial_state
from ntk_aug.training.optimizer import build_optimizer
from ntk_aug.training.plan import steps_per_epoch
from ntk_aug.training.step import MetricSums, training_step

CONFIG = training.TrainingConfig(epochs=1, batch_size=5, learning_rate=0.05, weight_decay=0.01)
CLASSES = 3


@pytest.fixture(scope="module")
def network():
    return models.build_network("mlp", CLASSES, width=8, activation="tanh")


def rows_of(n, *, seed=0, sources=(ORIGINAL,), sizes=(12,)):
    """Rows in any order, with soft labels and weights of all sizes."""
    rng = np.random.default_rng(seed)
    source = rng.choice(sources, n).astype(np.int32)
    place = np.array([rng.integers(sizes[s]) for s in source], np.int32)
    soft = rng.dirichlet(np.ones(CLASSES), n).astype(np.float32)
    return Rows(source, place, soft, rng.uniform(0, 3, n).astype(np.float32))


def program(network, config=CONFIG, *, max_rows=24, compiled=None, **options):
    step = training_step(network, build_optimizer(config), lambda images: images, **options)
    return EpochProgram(step, config.batch_size, max_rows=max_rows, compiled=compiled)


def start(network, digits):
    return initial_state(network, digits.image_shape, CONFIG)


def run(epochs, network, digits, rows, *, sources=None, rate=0.05):
    sources = sources or Sources(jnp.asarray(digits.images))
    steps = steps_per_epoch(len(rows.place), CONFIG.batch_size)
    rates = np.full(steps, rate, np.float32)
    return epochs(1, start(network, digits), sources, rows, rates)


def test_an_epoch_is_sgd_on_the_mean_of_weight_times_cross_entropy(network, digits):
    stores = [np.random.default_rng(s).uniform(size=(4 + s, 8, 8, 1)) for s in range(2)]
    weak, strong = (np.asarray(store, np.float32) for store in stores)
    rows = rows_of(
        13, sources=(ORIGINAL, WEAK_STORE, STRONG_STORE), sizes=(12, len(weak), len(strong))
    )
    sources = Sources(jnp.asarray(digits.images), jnp.asarray(weak), jnp.asarray(strong))
    smoothed = 0.1
    epochs = program(network, label_smoothing=smoothed)
    result = run(epochs, network, digits, rows, sources=sources)

    by_source = [np.asarray(data.unit_range(digits.images)), weak, strong]
    images = np.stack([by_source[s][p] for s, p in zip(rows.source, rows.place, strict=True)])
    targets = (1 - smoothed) * rows.soft_labels + smoothed / CLASSES

    def losses(params, batch):
        logits = network.apply(params, {}, images[batch], False, None)[0]
        return rows.weights[batch] * -(targets[batch] * jax.nn.log_softmax(logits)).sum(axis=1)

    params = start(network, digits).params
    velocity, loss, hits = jax.tree.map(jnp.zeros_like, params), 0.0, 0
    for batch in (slice(0, 5), slice(5, 10), slice(10, 13)):
        loss += float(losses(params, batch).sum())
        logits = network.apply(params, {}, images[batch], False, None)[0]
        hits += int((logits.argmax(axis=1) == rows.soft_labels[batch].argmax(axis=1)).sum())
        gradient = jax.grad(lambda p, b=batch: losses(p, b).mean())(params)
        velocity = jax.tree.map(lambda v, g, p: 0.9 * v + g + 0.01 * p, velocity, gradient, params)
        params = jax.tree.map(lambda p, v: p - 0.05 * v, params, velocity)
    for own, expected in zip(
        jax.tree.leaves(result.state.params), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)
    mean, accuracy = result.sums.means()
    assert mean == pytest.approx(loss / rows.weights.sum(), rel=1e-5)
    assert accuracy == hits / 13
    assert (int(result.state.epoch), result.not_finite) == (1, None)


def counting(network):
    """The same network, which counts the images that it sees, and how many in each call."""

    def init(key, images):
        params, _ = network.init(key, images)
        return params, {"count": jnp.zeros(()), "sum": jnp.zeros(images.shape[1:])}

    def apply(params, state, images, train, key):
        logits, _ = network.apply(params, {}, images, train, key)
        return logits, {"count": state["count"] + len(images), "sum": state["sum"] + images.sum(0)}

    return models.Network(init, apply)


@pytest.mark.parametrize("compiled", [False, True])
def test_statistics_are_of_every_row_once_whatever_its_weight(network, digits, compiled):
    rows = rows_of(11)  # batches of 5 and 6: one image left over is no batch
    rows = rows._replace(weights=np.where(np.arange(11) % 2, rows.weights, 0).astype(np.float32))
    result = run(program(counting(network), compiled=compiled), counting(network), digits, rows)
    assert result.state.state["count"] == 11
    assert int(result.sums.num_images) == 11
    expected = np.asarray(data.unit_range(digits.images))[rows.place].sum(axis=0)
    np.testing.assert_allclose(result.state.state["sum"], expected, rtol=1e-5, atol=1e-5)


def test_weights_do_not_enter_batch_statistics(digits):
    network = models.build_network("resnet4", CLASSES)
    rows = rows_of(5)
    statistics = []
    for factor in (1, 0):
        epochs = program(network, max_rows=5)
        weighted = rows._replace(weights=(factor * rows.weights).astype(np.float32))
        statistics.append(run(epochs, network, digits, weighted, rate=0.0).state.state)
    for one, other in zip(*map(jax.tree.leaves, statistics), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_program_for_the_epoch_and_one_for_a_step_train_the_same(network, digits, monkeypatch):
    rows = rows_of(18)
    ends = [
        run(program(network, compiled=compiled), network, digits, rows)
        for compiled in (False, True)
    ]
    monkeypatch.setattr(epoch_module, "_STEPS_PER_CALL", 2)  # of three full ones: two calls
    ends.append(run(program(network), network, digits, rows))
    for others in ends[1:]:
        for one, other in zip(
            jax.tree.leaves(ends[0][:2]), jax.tree.leaves(others[:2]), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_on_a_cpu_only_convolutions_keep_steps_out_of_a_loop(network, digits):
    convolutional = models.linen_network(
        nn.Sequential([nn.Conv(2, (3, 3)), lambda x: x.mean((1, 2)), nn.Dense(CLASSES)])
    )
    for own, has_convolutions in ((network, False), (convolutional, True)):
        epochs = program(own)
        run(epochs, own, digits, rows_of(13))
        calls = (epochs.full_step._cache_size(), epochs.full_steps._cache_size())
        assert calls == ((1, 0) if has_convolutions else (0, 1))


@pytest.mark.parametrize("compiled", [False, True])
def test_another_number_of_rows_compiles_only_a_remainder_of_a_new_size(network, digits, compiled):
    epochs = program(network, compiled=compiled)
    sizes = {}
    for n in (13, 18, 23, 24, 10, 3):  # remainders 3, 3, 3, 4, none, 3
        run(epochs, network, digits, rows_of(n))
        full = epochs.full_steps if compiled else epochs.full_step
        sizes[n] = (full._cache_size(), epochs.last_step._cache_size())
    assert sizes == {n: (1, 1 if n < 24 and n != 10 and n != 3 else 2) for n in sizes}


def test_an_epoch_and_an_evaluation_can_be_compiled_for_gpus_and_tpus(digits):
    network = models.build_network("resnet4", CLASSES)
    config = dataclasses.replace(CONFIG, epochs=1)
    epochs = program(network, config, compiled=True)
    rows = rows_of(10)
    state = start(network, digits)
    carry = epoch_module._Carry(state, MetricSums.zero(), jnp.asarray(0), jnp.asarray(-1))
    store = jnp.zeros((4, 8, 8, 1))
    sources = Sources(jnp.asarray(digits.images), store, store)
    batches = epochs._in_batches(rows, 2)
    arguments = (carry, np.int32(2), sources, batches, np.zeros(4, np.float32), jax.random.key(0))
    platforms = ["cuda", "tpu"]
    epoch = jax.export.export(epochs.full_steps, platforms=platforms)(*arguments)
    assert epoch.platforms == ("cuda", "tpu")
    assert "convolution" in epoch.mlir_module()
    assert "while" in epoch.mlir_module()  # one program for all steps
    evaluation = EvaluationProgram(
        lambda variables, images: network.apply(*variables, images, False, None)[0], digits
    )
    variables = (state.params, state.state)
    exported = jax.export.export(evaluation.program._program, platforms=platforms)
    assert exported(variables, digits.images).out_avals[0].shape == (12, CLASSES)


class InBfloat16(nn.Module):
    """Tells the types that it meets."""

    @nn.compact
    def __call__(self, images, train: bool = False):
        x = nn.BatchNorm(use_running_average=not train)(images)
        x = nn.Dense(CLASSES)(x.reshape(len(x), -1))
        assert x.dtype == (jnp.bfloat16 if train else jnp.float32)
        return x


def test_bfloat16_is_of_the_passes_and_not_of_what_is_kept(digits):
    network = models.linen_network(InBfloat16())
    rows = rows_of(5)
    state = run(program(network, precision="bfloat16"), network, digits, rows).state
    for leaf in jax.tree.leaves((state.params, state.state, state.opt_state)):
        assert leaf.dtype == jnp.float32
    exact = models.build_network("mlp", CLASSES, width=8, activation="tanh")
    low, high = (
        run(program(exact, precision=precision), exact, digits, rows).state.params
        for precision in ("bfloat16", "float32")
    )
    before = start(exact, digits).params
    moved = [
        np.concatenate(
            [np.ravel(x) for x in jax.tree.leaves(jax.tree.map(jnp.subtract, p, before))]
        )
        for p in (low, high)
    ]
    difference = np.linalg.norm(moved[0] - moved[1]) / np.linalg.norm(moved[1])
    assert 1e-5 < difference < 0.03  # of 8 bits


def test_the_first_step_whose_loss_is_not_finite_is_told(network, digits):
    rows = rows_of(13)
    bad = rows.weights.copy()
    bad[7] = np.inf  # in the second step
    for compiled in (False, True):
        epochs = program(network, compiled=compiled)
        assert run(epochs, network, digits, rows._replace(weights=bad)).not_finite == 1


def test_steps_have_keys_of_their_own_for_dropout(digits):
    def apply(params, state, images, train, key):
        drawn = state["drawn"].at[state["step"]].set(jax.random.uniform(key))
        return params["w"] * jnp.ones((len(images), 1)), {"drawn": drawn, "step": state["step"] + 1}

    def init(key, images):
        return {"w": jnp.zeros(CLASSES)}, {"drawn": jnp.zeros(3), "step": jnp.zeros((), jnp.int32)}

    network = models.Network(init, apply)
    ends = [run(program(network, compiled=c), network, digits, rows_of(13)) for c in (False, True)]
    drawn = [np.asarray(end.state.state["drawn"]) for end in ends]
    assert len(np.unique(drawn[0])) == 3
    np.testing.assert_array_equal(*drawn)


def test_plain_training_equals_optax_sgd_on_the_labels(network, digits):
    """The whole loop, with optax's own SGD as the second route."""
    config = dataclasses.replace(CONFIG, epochs=2, batch_size=12)
    trained = training.train(network, digits, config)
    images, labels = data.unit_range(digits.images), jnp.asarray(digits.labels)

    @partial(jax.jit)
    def gradient(params):
        def loss(params):
            logits = network.apply(params, {}, images, False, None)[0]
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        return jax.grad(loss)(params)

    optimizer = optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.05, momentum=0.9))
    params = start(network, digits).params
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
    for own, expected in zip(jax.tree.leaves(trained.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)
