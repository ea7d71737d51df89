"""The parts of the benchmark of training, at tiny shapes."""

import dataclasses
import json
import time

import jax
import numpy as np
import pytest

from benchmarks import torch_networks
from benchmarks import training as benchmark
from benchmarks.training_contestants import BareLoop, BareStep, TorchLoop, TrainingRun
from ntk_aug import models, training
from ntk_aug.errors import InputError
from ntk_aug.training.initial import initial_state
from ntk_aug.training.plan import shuffle
from ntk_aug.training.step import Keys

CONFIG = training.TrainingConfig(epochs=1, batch_size=4, learning_rate=0.05, weight_decay=0.01)


def check_close(one, other, rtol=1e-4):
    for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("model", ["mlp", "resnet"])
def test_the_bare_loop_trains_as_ours(model, digits):
    module = models.MLP(3, 8) if model == "mlp" else models.CifarResNet(3, (1,), 4)
    network = models.linen_network(module)
    start = initial_state(network, digits.example, CONFIG)
    order = shuffle(Keys.of_seed(CONFIG.seed).order, 0, len(digits))
    step = BareStep(module, digits, CONFIG)
    bare = BareLoop(step, digits, CONFIG.batch_size, (start.params, start.state), order)
    assert bare.epoch() > 0
    trained = training.train(network, digits, CONFIG)
    check_close(bare.carry[:2], (trained.params, trained.state))
    before = jax.tree.map(np.array, bare.carry)
    assert bare.forward(2) > 0
    check_close(bare.carry, before, rtol=0)


def test_pytorch_trains_as_the_bare_loop(digits):
    pytest.importorskip("torch")
    for model, module, flax in (
        ("mlp", models.MLP(3, 8), torch_networks.flax_mlp_variables),
        ("resnet20", models.CifarResNet(3), torch_networks.flax_variables),
    ):
        torch_loop = TorchLoop(model, 8, digits, CONFIG)
        variables = flax(torch_loop.net)
        start = variables.pop("params")
        bare = BareLoop(BareStep(module, digits, CONFIG), digits, 4, (start, variables))
        torch_loop.epoch(), bare.epoch()
        expected = flax(torch_loop.net)["params"]
        # Variances of 12 images' activations: rounding differs, and grows through 20 layers.
        check_close(bare.carry[0], expected, rtol=1e-3 if model == "mlp" else 0.05)


def test_a_run_goes_on_epoch_by_epoch_as_in_one_piece(digits):
    network = models.build_network("mlp", 3, width=8)
    config = dataclasses.replace(CONFIG, epochs=3)
    expected = training.train(network, digits, config).history
    with TrainingRun(network, digits, CONFIG) as run:
        for record in expected:
            start = time.perf_counter()
            seconds = run.epoch()
            assert run.last.without_seconds() == record.without_seconds()
            assert run.last.seconds_training < seconds < time.perf_counter() - start
    assert not run._thread.is_alive()


def test_an_error_of_the_run_reaches_who_asked_for_the_epoch(digits):
    with (
        TrainingRun(models.build_network("mlp", 2, width=8), digits, CONFIG) as run,
        pytest.raises(InputError, match="one image"),
    ):
        run.epoch()


def test_pairs_alternate_and_the_median_counts():
    calls, times = [], {"one": iter([9, 3.0, 8.0, 5.0]), "other": iter([9, 2.0, 4.0, 5.0])}

    def next_of(name):
        calls.append(name)
        return next(times[name])

    found = benchmark.alternate(lambda: next_of("one"), lambda: next_of("other"), pairs=3, warmup=1)
    assert calls == ["one", "other", "one", "other", "other", "one", "one", "other"]
    assert (found["one"], found["other"]) == (5, 4)
    assert (found["least"], found["ratio"], found["most"]) == (1, 1.5, 2)
    assert found["extra"] == 1
    # Neighbours: 4 after 2, and 5 after 8.
    assert found["noise"] == pytest.approx(np.median([0.5, 0.6]))


TINY = benchmark.Options(
    model="mlp", data="digits", steps=(2,), images=130, pairs=2, batch_size=40, width=8,
    augment="noise:0.1",
)  # fmt: skip


def test_the_loop_and_an_appended_part_at_a_tiny_size(tmp_path, capsys):
    out = tmp_path / "measured.json"
    options = dataclasses.replace(TINY, parts=("loop", "appended"), out=str(out))
    report = benchmark.main(options)
    assert [found["steps"] for found in report["loop"]] == [2]
    appended = report["appended"]
    assert (appended["images"], appended["appended"], appended["test_images"]) == (120, 36, 24)
    seconds = appended["seconds"]
    assert min(seconds.values()) > 0
    rest = seconds["training"] + seconds["augmentation"] + seconds["evaluation"]
    for every, share in appended["selection_share"].items():
        assert share / (1 - share) == pytest.approx(seconds["selection"] / (every * rest))
    assert json.loads(out.read_text())["loop"] == json.loads(json.dumps(report["loop"]))
    printed = capsys.readouterr().out
    for text in ("bare steps, 2 of them", "30% appended against plain, 120 images", "R = 20"):
        assert text in printed


@pytest.mark.slow
def test_wu_at_a_tiny_size(capsys):
    report = benchmark.main(dataclasses.replace(TINY, parts=("wu",)))
    assert report["wu"]["images"] == 120
    assert 0 < report["wu"]["drawing"]["ratio"] < 1.5
    assert "Wu et al. against 4 forward + 1 step, 120 images" in capsys.readouterr().out


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="unknown part 'lop'"):
        benchmark.main(benchmark.Options(data="digits", parts=("lop",)))
    with pytest.raises(InputError, match="pairs is 1, expected at least 2"):
        benchmark.main(benchmark.Options(data="digits", pairs=1))
    with pytest.raises(InputError, match="images is 100, expected at least 128"):
        benchmark.main(benchmark.Options(data="digits", images=100, parts=("appended",)))
