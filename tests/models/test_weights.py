"""Weights of a user's own: saved in the ways that Flax's users save them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict

from ntk_aug import models
from ntk_aug.errors import InputError, NtkAugError
from ntk_aug.models.network import num_params

IMAGES = np.random.default_rng(0).normal(size=(5, 2, 3, 1)).astype(np.float32)
SHAPE = (2, 3, 1)


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, images, train: bool = False):
        x = nn.Dense(4, name="first")(images.reshape(len(images), -1))
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return nn.Dense(3)(x)


class NNXNet(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(6, 4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, images):
        x = self.norm(self.layers[0](images.reshape(len(images), -1)))
        return self.layers[1](self.dropout(x))


def save_orbax(folder, tree):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), tree)
    return folder


def moved(tree):
    """Weights and statistics that are not the initial ones."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: np.float32(leaf + rng.random(leaf.shape)), tree)


@pytest.fixture(scope="module")
def variables():
    return moved(LinenNet().init(jax.random.key(7), IMAGES))


@pytest.fixture(scope="module")
def names(variables):
    """What numpy saves of them."""
    return flatten_dict(variables, sep="/")


@pytest.fixture
def save(tmp_path):
    def save(arrays):
        np.savez(tmp_path / "w.npz", **arrays)
        return tmp_path / "w.npz"

    return save


def test_a_linen_network_is_its_direct_call_at_the_saved_weights(variables, names, save, tmp_path):
    network = models.linen_network(LinenNet())
    expected = LinenNet().apply(variables, IMAGES)
    bare = {name.removeprefix("params/"): array for name, array in names.items()}
    assert "batch_stats/norm/mean" in bare
    paths = [save_orbax(tmp_path / "orbax", variables), save(names)]
    views = [models.load_weights(network, SHAPE, path) for path in paths]
    views.append(models.load_weights(network, SHAPE, save(bare)))
    double = {name: array.astype(np.float64) for name, array in names.items()}
    views.append(models.load_weights(network, SHAPE, save(double)))
    for view in views:
        np.testing.assert_allclose(view.apply_fn(view.params, IMAGES), expected, rtol=1e-6)
        assert {leaf.dtype for leaf in jax.tree.leaves(view.params)} == {np.dtype(np.float32)}
        assert num_params(view.params) == (6 * 4 + 4) + 8 + (4 * 3 + 3)


def test_an_nnx_network_is_its_direct_call_at_the_saved_weights(save, tmp_path):
    module = NNXNet(nnx.Rngs(3))
    nnx.update(module, moved(nnx.state(module, nnx.Not(nnx.RngState))))
    module.eval()
    expected = module(IMAGES)
    state = nnx.state(module, nnx.Not(nnx.RngState))
    flat = flatten_dict(nnx.to_pure_dict(state))
    named = {"/".join(map(str, keys)): np.asarray(value) for keys, value in flat.items()}
    assert {"layers/0/kernel", "norm/mean"} < set(named)
    paths = [save_orbax(tmp_path / "state", state)]
    paths += [save_orbax(tmp_path / "dict", nnx.to_pure_dict(state)), save(named)]
    for path in paths:
        view = models.load_weights(models.nnx_network(NNXNet), SHAPE, path)
        np.testing.assert_allclose(view.apply_fn(view.params, IMAGES), expected, rtol=1e-6)
    # The random streams of the module may be there, too.
    count = {**named, "dropout/rngs/count": np.uint32(9)}
    view = models.load_weights(models.nnx_network(NNXNet), SHAPE, save(count))
    np.testing.assert_allclose(view.apply_fn(view.params, IMAGES), expected, rtol=1e-6)


def test_a_network_of_pure_functions_and_bfloat16_on_disk(tmp_path):
    network = models.pure_network(
        lambda key, tokens: {"table": jnp.zeros((9, 3)), "value": jnp.zeros(3)},
        lambda params, tokens: params["table"][tokens].mean(axis=1) + params["value"],
    )
    table = np.arange(27.0).reshape(9, 3)
    tree = {"table": jnp.asarray(table, jnp.bfloat16), "value": jnp.ones(3, jnp.bfloat16)}
    example = jax.ShapeDtypeStruct((4,), np.int32)
    view = models.load_weights(network, example, save_orbax(tmp_path / "orbax", tree))
    assert view.params["table"].dtype == np.float32
    np.testing.assert_array_equal(view.params["table"], table)
    np.testing.assert_array_equal(view.params["value"], np.ones(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"params/first/kernel": None, "batch_stats/norm/var": None},
            r"does not fit the network; missing: first/kernel, batch_stats/norm/var$",
        ),
        (
            {"opt/count": np.zeros(()), "params/last/bias": np.zeros(3)},
            r"fit the network; not the network's: opt/count, params/last/bias$",
        ),
        (
            {"params/first/kernel": np.zeros((4, 6), np.float32), "first/bias": np.zeros(4)},
            r"not the network's: first/bias; of another shape: first/kernel is \(4, 6\), expected "
            r"\(6, 4\)$",
        ),
        ({"params/first/bias": np.full(4, np.nan)}, "first/bias of .* holds NaN or infinity"),
        ({"params/first/bias": np.arange(4)}, "first/bias of .* has dtype int64, expected float32"),
        ({"params/first/bias": np.full(4, "a")}, "first/bias of .* has dtype <U1, expected float"),
    ],
)
def test_what_does_not_fit_is_listed_in_one_line(names, save, change, message):
    arrays = {name: array for name, array in {**names, **change}.items() if array is not None}
    with pytest.raises(InputError, match=message) as caught:
        models.load_weights(models.linen_network(LinenNet()), SHAPE, save(arrays))
    assert "\n" not in str(caught.value)
    assert "w.npz" in str(caught.value)


def test_a_list_of_names_is_cut(names, save):
    extra = {f"extra/{number}": np.zeros(1) for number in range(12)}
    with pytest.raises(InputError, match=r"extra/4 and 7 more$"):
        models.load_weights(models.linen_network(LinenNet()), SHAPE, save({**names, **extra}))


def test_what_is_no_file_of_weights_is_named(names, save, tmp_path):
    network = models.linen_network(LinenNet())
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("weights")
    for name, message in [
        ("nothing", "nothing is missing"),
        ("folder", "folder is no readable folder of orbax: .*_METADATA"),
        ("text", "text is not a readable npz file"),
    ]:
        with pytest.raises(NtkAugError, match=message) as caught:
            models.load_weights(network, SHAPE, tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"first/kernel is \(6, 4\), expected \(8, 4\)"):
        models.load_weights(network, (2, 4, 1), save(names))
    with pytest.raises(InputError, match=r"does not take images of shape \(3,\): "):
        models.load_weights(models.build_network("resnet4", 3), (3,), save(names))
