"""A user's own data, network and weights, from their own script to the command's numbers."""

import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict

from analysis.__main__ import COMMANDS
from ntk_aug import augment, coreset, data, models, spectrum, training
from ntk_aug.programs import run_program

OWN = """
import flax.linen as nn
from flax import nnx

class Net(nn.Module):
    num_classes: int
    width: int = 8

    @nn.compact
    def __call__(self, images, train: bool = False):
        x = nn.Dense(self.width, name="first")(images.reshape(len(images), -1))
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return nn.Dense(self.num_classes, name="last")(nn.tanh(x))

class NNXNet(nnx.Module):
    def __init__(self, num_classes, rngs):
        last = nnx.Linear(6, num_classes, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(64, 6, rngs=rngs), last])
        self.norm = nnx.BatchNorm(6, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)

    def __call__(self, images):
        x = nnx.tanh(self.norm(self.layers[0](images.reshape(len(images), -1))))
        return self.layers[1](self.dropout(x))

class Embedding(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, tokens):
        return nn.Dense(self.num_classes)(nn.Embed(11, 5)(tokens).mean(axis=1))

def net(num_classes, width=8):
    return Net(num_classes, width)

def from_rngs(num_classes):
    return lambda rngs: NNXNet(num_classes, rngs)

def embedding(num_classes):
    return Embedding(num_classes)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the user's module, from which all commands run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_models.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        patch.chdir(folder)
        yield folder
    sys.modules.pop("own_models", None)


@pytest.fixture(scope="module")
def own(folder):
    import own_models

    return own_models


def analysis(*arguments):
    return run_program("analysis", "", COMMANDS, arguments=list(map(str, arguments)))


def summary_of(out):
    return json.loads((out / "summary.json").read_text())


def pixels_and_labels():
    digits = data.load_dataset("digits", "train")
    return jnp.asarray(digits.images), jnp.asarray(digits.labels)


@pytest.fixture(scope="module")
def linen(own):
    """Variables that the user has trained for a few steps of plain optax, without this library."""
    images, labels = pixels_and_labels()
    module = own.Net(10)
    variables = module.init(jax.random.key(0), images[:1])
    optimizer = optax.adam(1e-2)
    state = optimizer.init(variables["params"])

    @jax.jit
    def step(variables, state):
        def loss(params):
            logits, updated = module.apply(
                {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), updated

        gradient, updated = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state_after = optimizer.update(gradient, state)
        params = optax.apply_updates(variables["params"], updates)
        return {"params": params, **updated}, state_after

    for _ in range(20):
        variables, state = step(variables, state)
    return variables


@pytest.fixture(scope="module")
def saved(linen, folder):
    """The npz file and the folder of orbax in which the user keeps them."""
    np.savez(folder / "w.npz", **flatten_dict(linen, sep="/"))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "w-orbax", linen)
    return folder / "w.npz", folder / "w-orbax"


def test_a_study_at_own_weights_is_that_of_the_library(own, linen, saved, folder, capsys):
    out = folder / "study"
    arguments = ("--n", 6, "--augment", "noise:0.5", "--bins", 4, "--model", "own_models:net")
    assert analysis("spectrum", *arguments, "--weights", saved[0], "--out", out) == 0
    assert "1,438 training and 359 test images; classes 0, 1, 2" in capsys.readouterr().out
    found = spectrum.SpectrumStudy.load(out / "spectrum.npz")
    digits = data.load_dataset("digits", "train")
    chosen = data.draw_examples(jax.random.fold_in(jax.random.key(0), 2), digits, 6)
    expected = spectrum.study_spectrum(
        0,
        models.linen_view(own.Net(10), linen),
        data.unit_range(chosen.images),
        {"noise:0.5": augment.build_augmentation("noise:0.5")},
        indices=chosen.indices,
        num_bins=4,
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    np.testing.assert_allclose(found.difference, expected.difference, rtol=1e-3, atol=1e-4)
    (network,) = summary_of(out)["networks"]
    images, labels = pixels_and_labels()
    logits = own.Net(10).apply(linen, images)
    accuracy = float((np.argmax(logits, axis=1) == labels).mean())
    assert accuracy > 0.5  # it was trained
    assert network["train_accuracy"] == pytest.approx(accuracy)
    assert (network["model"], network["training"]) == ("own_models:net", None)
    assert network["folder"] == str(saved[0])
    assert f"weights of {saved[0]}" in (out / "report.html").read_text()


def test_several_files_are_several_networks(saved, capsys):
    arguments = ("--n", 4, "--augment", "identity", "--model", "own_models:net", "--dry-run")
    assert analysis("spectrum", *arguments, "--weights", *saved) == 0
    told = capsys.readouterr().out
    assert "(2 networks x 1 augmentations x 1 draws)" in told
    assert "rows        40 (4 images x 10)" in told  # all classes, as a trained network has
    assert "pretraining" not in told


@pytest.mark.slow
def test_a_selection_at_own_weights_of_an_nnx_module(own, folder):
    images, _ = pixels_and_labels()
    module = own.NNXNet(10, nnx.Rngs(5))
    module.train()
    module(images)  # moves the statistics
    module.eval()
    state = nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngState)))
    np.savez(
        folder / "nnx.npz", **{"/".join(map(str, k)): v for k, v in flatten_dict(state).items()}
    )
    out = folder / "selection"
    arguments = ("--model", "own_models:from_rngs", "--weights", folder / "nnx.npz")
    arguments += ("--sizes", 0.1, "--random-subsets", 2)
    assert analysis("select", *arguments, "--out", out) == 0
    examples = coreset.network_examples(module, data.load_dataset("digits", "train"))
    expected = coreset.select(
        jax.random.fold_in(jax.random.key(0), 3), examples, "coreset", fraction=0.1
    )
    with np.load(out / "selection.npz") as found:
        np.testing.assert_array_equal(found["indices"], expected.indices)
        np.testing.assert_allclose(found["weights"], expected.weights)
    assert summary_of(out)["network"]["epochs_done"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "own_models:net", "--weights", "none.npz"), "--weights none.npz is missing"),
        (
            ("--model", "own_models:net", "--weights", "w.npz", "--classes", "0", "1"),
            "last/kernel is (8, 10), expected (8, 2) (the network has an output for each of the "
            "classes 0, 1)",
        ),
        (
            ("--model", "own_models:net", "--width", "5", "--weights", "w.npz"),
            "of another shape: first/bias is (8,), expected (5,), ",
        ),
        (("--weights", "w.npz"), "does not fit the network; missing: hidden/bias, hidden/kernel, "),
        (("--weights", "w.npz", "--momentum", "0"), "--momentum is for pretraining, but the netw"),
        (
            ("--weights", "w.npz", "--epochs", "3"),
            "--epochs is for pretraining or --checkpoint, ",
        ),
        (("--weights", "w.npz", "--checkpoint", "."), "--checkpoint and --weights exclude each"),
    ],
)
@pytest.mark.parametrize("command", ["spectrum", "select"])
def test_weights_that_do_not_fit_are_one_line(saved, command, arguments, message, capsys):
    assert analysis(command, *arguments, "--out", "never") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_one_network_is_selected_by(saved, capsys):
    assert analysis("select", "--model", "own_models:net", "--weights", *saved) == 2
    assert "--weights are 2, expected at most 1" in capsys.readouterr().err


# A user's own examples


@pytest.fixture(scope="module")
def tokens(folder):
    """Sentences of eleven words in three classes, that a network can tell apart."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["joy", "anger", "calm"], 40)
    words = np.concatenate([rng.integers(low, low + 7, (40, 6)) for low in (0, 2, 4)])
    order = rng.permutation(120)
    np.savez(folder / "tokens.npz", x=words[order], y=labels[order])
    return words[order], labels[order]


def test_token_ids_with_labels_in_words_are_selected_from(tokens, folder, capsys):
    words, labels = tokens
    out = folder / "tokens"
    arguments = ("--images", "tokens.npz", "--model", "own_models:embedding", "--epochs", 2)
    arguments += ("--sizes", 0.2, "--random-subsets", 2, "--cache", folder / "cache")
    assert analysis("select", *arguments, "--out", out) == 0
    told = capsys.readouterr().out
    assert (
        "tokens.npz: 96 training and 24 test examples (every fifth of the file); "
        "classes 0 = anger, 1 = calm, 2 = joy\n"
    ) in told
    with np.load(out / "selection.npz") as found:
        selected = found["indices"], found["labels"]
    assert (np.array(["anger", "calm", "joy"])[selected[1]] == labels[selected[0]]).all()
    assert not (selected[0] % 5 == 4).any()  # of the test split
    summary = summary_of(out)
    view = training.load_trained_model(summary["network"]["folder"]).view
    logits = np.asarray(view.apply_fn(view.params, jnp.asarray(words[4::5])))
    expected = (np.array(["anger", "calm", "joy"])[logits.argmax(axis=1)] == labels[4::5]).mean()
    assert summary["network"]["test_accuracy"] == pytest.approx(expected)
    assert {path.name for path in out.iterdir()} == {
        *("selection.npz", "summary.json", "classes.csv", "errors.png", "errors.pdf")
    }
    assert analysis("select", "--from", out) == 0
    assert "sheet.png" not in capsys.readouterr().out


def test_the_spectrum_of_token_ids_is_that_of_their_exact_jacobian(tokens, own, folder):
    words, _ = tokens
    out = folder / "token-study"
    module = own.Embedding(3)
    variables = module.init(jax.random.key(0), words)
    np.savez(folder / "embedding.npz", **flatten_dict(variables, sep="/"))
    arguments = (
        "--images",
        "tokens.npz",
        "--model",
        "own_models:embedding",
        "--augment",
        "identity",
    )
    arguments += ("--weights", "embedding.npz", "--n", 12, "--bins", 2)
    assert analysis("spectrum", *arguments, "--out", out) == 0
    found = spectrum.SpectrumStudy.load(out / "spectrum.npz")
    train = data.load_images_file("tokens.npz", "train")
    chosen = data.draw_examples(jax.random.fold_in(jax.random.key(0), 2), train, 12)
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.float64, variables["params"])
        rows = jax.jacrev(lambda p: module.apply({"params": p}, chosen.images))(params)
        matrix = np.hstack([np.reshape(leaf, (36, -1)) for leaf in jax.tree.leaves(rows)])
    expected = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-4, atol=1e-5 * expected[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("spectrum", "--augment", "noise:1"),
            "augmentation 'noise:1' is for images [n, h, w, c], ",
        ),
        (
            ("augment", "--augment", "rotation"),
            "augmentation 'rotation' is for images [n, h, w, c]",
        ),
        (("select", "--weak", "rotation"), "but tokens.npz holds (n, 6): only 'identity'"),
        (("select", "--model", "resnet4"), "the network does not take examples of int32 (6,): "),
    ],
)
def test_what_is_of_images_only_is_told_in_one_line(tokens, arguments, message, capsys):
    command, *rest = arguments
    model = () if command == "augment" or "resnet4" in rest else ("--model", "own_models:embedding")
    assert analysis(command, "--images", "tokens.npz", *model, *rest, "--out", "never") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["spectrum", "select"])
def test_the_help_says_how_data_are_split_and_chosen(command, capsys):
    with pytest.raises(SystemExit):
        analysis(command, "--help")
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "(x_test, y_test) every fifth image is the test split" in told
    classes = "default: the first three, the checkpoint's, or with --weights all"
    assert (classes if command == "spectrum" else "default: all, or the checkpoint's") in told
    assert "an npz file of named arrays, or a folder of orbax" in told


def test_it_is_said_which_classes_are_used(folder, capsys):
    images = np.random.default_rng(0).random((50, 4, 4))
    np.savez(folder / "many.npz", x=images, y=np.arange(50) // 5 * 10)
    line = "many.npz: 12 training and 3 test images (every fifth of the file); "
    # What is told before something is refused: too many images.
    for arguments, expected in [
        (("spectrum", "--images", "many.npz"), f"{line}classes 0 = 0, 1 = 10, 2 = 20 of 10\n"),
        (("spectrum",), "digits: 455 training and 82 test images; classes 0, 1, 2 of 10\n"),
        (("spectrum", "--classes", 7, 2), " classes 0 = 7, 1 = 2 of 10\n"),
    ]:
        assert analysis(*arguments, "--n", 10**6) == 2
        assert expected in capsys.readouterr().out
    assert analysis("select", "--count", 10**6) == 2
    assert "classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n" in capsys.readouterr().out


@pytest.mark.slow
def test_what_the_page_says_runs(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "own.md").read_text(encoding="utf-8")
    own_data, own_net, own_training, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    commands = re.findall(r"^    python -m analysis (.*)$", page, re.MULTILINE)
    line = re.search(r"^    (data     parity.*)$", page, re.MULTILINE).group(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_net.py").write_text(own_net)
    exec(own_data, {})
    assert capsys.readouterr().out == "('even', 'odd')\n"
    exec(own_training, {})
    select, *of_weights = commands
    assert analysis(*select.split(), "--epochs", 0, "--width", 2, "--count", 10**6) == 2
    assert capsys.readouterr().out == line + "\n"
    assert len(of_weights) == 2
    for command in of_weights:
        small = ("--augment", "identity") if "spectrum" in command else ()
        assert analysis(*command.replace("--n 100", "--n 5").split(), *small, "--dry-run") == 0
    view = models.load_weights(
        models.linen_network(sys.modules["own_net"].Net(10)), (8, 8, 1), "weights.npz"
    )
    assert training.evaluate(view, data.load_dataset("digits", "test")).accuracy > 0.8
    sys.modules.pop("own_net")
